"""Identities: their keys, their epochs, their budgets, and that no epoch is ever come back to."""

import itertools
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from anongw import config
from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.identities import DAY, EPOCHS_MOST, Identities, Identity, Selector
from anongw.privacy import Kind, Privacy

RULES = config.Identity()
ALICE = Selector(user="alice")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class Connection:
    """Carries a flow; `reasons`: why it was ended."""

    moved: int = 0
    flow: Flow = field(default_factory=lambda: Flow("127.0.0.1:1080", protocol="socks5"))
    reasons: list[Reason] = field(default_factory=list)

    def end(self, refused: Refused) -> None:
        self.reasons.append(refused.reason)


def connection(user: str | None = "alice", token: str = "") -> Connection:
    made = Connection()
    made.flow.user, made.flow.token, made.flow.route = user, token, "one"
    made.flow.target = Endpoint("a.example", 443)
    return made


def identities(clock: Callable[[], float] | None = None, most: int = 100, **named: object) -> Identities:
    made = Identities(clock or Clock(), bytes(32), most)
    own = {user: msgspec.convert(table, config.NamedIdentity) for user, table in named.items()}
    made.configure(own, most)
    return made


def entered(known: Identities, user: str | None = "alice", token: str = "") -> tuple[Identity, Connection]:
    one = connection(user, token)
    return known.enter(one.flow, one, RULES), one


def left(identity: Identity, one: Connection, sent: int = 0, received: int = 0) -> None:
    one.flow.sent, one.flow.received = sent, received
    identity.leave(one.flow, one)


# Who is who


def test_the_first_use_makes_it_and_the_next_finds_it() -> None:
    known = identities()
    alice, first = entered(known)
    again, second = entered(known)
    assert again is alice
    assert alice.live == {first, second}
    assert first.flow.identity == second.flow.identity == alice.key == "user alice"
    left(alice, first, 10, 20)
    left(alice, second, 1, 2)
    assert (alice.flows, alice.sent, alice.received, alice.ways, alice.live) == (2, 11, 22, {"one"}, set())


def test_of_too_many_the_one_that_was_away_longest_makes_room() -> None:
    known = identities(most=2)
    alice, first = entered(known, "alice")
    entered(known, "bob")
    left(alice, first)
    entered(known, "alice")[0].live.clear()
    entered(known, "carol")
    assert [one.user for one in known] == ["bob", "carol"], "bob has a connection, so that alice goes"
    entered(known, "dave")
    assert {one.user for one in known} == {"bob", "carol", "dave"}, "nobody with a connection goes"


# Epochs


def test_a_new_epoch_is_for_flows_that_begin_afterwards() -> None:
    known = identities(clock := Clock())
    alice, before = entered(known)
    left(*entered(known), 5, 5)
    clock.now += 60
    assert known.begin(ALICE, "nonce") == [alice]
    assert (alice.epoch, alice.since, alice.flows, alice.sent, alice.ways) == (2, clock.now, 0, 0, set())
    _, after = entered(known)
    assert before.flow.identity == "user alice"
    assert after.flow.identity == alice.key == "user alice epoch nonce"
    assert alice.live == {before, after}
    left(alice, before, 100, 100)
    assert alice.sent == 0, "what an earlier epoch did is not this one's story"
    left(alice, after, 1, 1)
    assert alice.sent == 1


@pytest.mark.parametrize(
    ("selector", "moved"),
    [
        (Selector(), {"alice", "alice 1", "alice 2", "bob", "nobody"}),
        (ALICE, {"alice", "alice 1", "alice 2"}),
        (Selector(name="user alice token 1"), {"alice 1"}),
        (Selector(user="carol"), set()),
    ],
)
def test_who_is_meant(selector: Selector, moved: set[str]) -> None:
    asks: Mapping[str, tuple[str | None, str]] = {
        "alice": ("alice", ""),
        "alice 1": ("alice", "1"),
        "alice 2": ("alice", "2"),
        "bob": ("bob", ""),
        "nobody": (None, ""),
    }
    known = identities()
    before = {name: entered(known, *ask)[0].key for name, ask in asks.items()}
    known.begin(selector, "nonce")
    after = {name: entered(known, *ask)[0].key for name, ask in asks.items()}
    assert {name for name in asks if before[name] != after[name]} == moved


def test_an_epoch_is_begun_for_who_is_not_here_and_survives_being_dropped() -> None:
    known = identities(most=1)
    known.begin(Selector(user="alice"), "first")
    alice, one = entered(known)
    assert alice.key == "user alice epoch first"
    left(alice, one)
    left(*entered(known, "bob"))
    assert [identity.user for identity in known] == ["bob"]
    assert entered(known)[0].key == "user alice epoch first"


def test_processes_that_are_told_the_same_come_to_the_same_keys() -> None:
    one, two = identities(), identities()
    entered(one)
    for selector in (ALICE, Selector(), Selector(name="user alice")):
        nonce = secrets.token_hex()
        one.begin(selector, nonce)
        two.begin(selector, nonce)
    assert entered(one)[0].key == entered(two)[0].key


def test_no_epoch_ever_comes_back() -> None:
    """Whatever is begun for whomever, in whatever order."""
    selectors = (Selector(), ALICE, Selector(user="bob"), Selector(name="user alice"))
    for order in itertools.permutations(selectors * 2, 4):
        known = identities()
        seen = {entered(known)[0].key}
        for selector in order:
            known.begin(selector, secrets.token_hex())
            key = entered(known)[0].key
            assert (key in seen) == (not selector.means("user alice", "alice"))
            seen.add(key)


def test_with_too_many_epochs_everybody_begins_anew() -> None:
    known = identities()
    bob = entered(known, "bob")[0]
    for number in range(EPOCHS_MOST):
        known.begin(Selector(user=f"user {number}"), f"nonce {number}")
    assert bob.key == "user bob"
    seven = entered(known, "user 7")[0].key
    known.begin(ALICE, "last")
    assert bob.key == "user bob epoch last"
    assert entered(known, "user 7")[0].key not in (seven, "user user 7")
    assert entered(known)[0].key == "user alice epoch last"


def test_an_epoch_may_end_by_itself_and_each_at_its_own_time() -> None:
    known = identities(clock := Clock(), alice={"renew": 100}, bob={"renew": 100})
    keys: dict[str, list[str]] = {"alice": [], "bob": [], "carol": []}
    moves: dict[str, list[float]] = {"alice": [], "bob": [], "carol": []}
    for _ in range(300):
        clock.now += 1
        for user, seen in keys.items():
            key = entered(known, user)[0].key
            if key not in seen:
                seen.append(key)
                moves[user].append(clock.now)
    assert [len(seen) for seen in keys.values()] == [4, 4, 1]
    for user in ("alice", "bob"):
        assert [after - before for before, after in itertools.pairwise(moves[user][1:])] == [100, 100]
    assert set(moves["alice"][1:]).isdisjoint(moves["bob"][1:])


# Whom a person means


def test_a_name_a_pseudonym_or_all() -> None:
    known, privacy = identities(named={}), Privacy()
    alice, _ = entered(known, "alice", "1")
    assert known.select("all", privacy) == Selector()
    assert known.select("alice", privacy) == ALICE
    assert known.select("named", privacy) == Selector(user="named"), "by the config, before it was here"
    assert known.select(alice.name, privacy) == Selector(name="user alice token 1")
    said = privacy.say(Kind.IDENTITY, alice.name)
    assert known.select(said, privacy) == Selector(name="user alice token 1")
    assert known.select("bob", privacy) is None
    assert known.select(Privacy().say(Kind.IDENTITY, alice.name), privacy) is None


# Budgets


def test_connections_at_once() -> None:
    known = identities(alice={"connections": 2})
    (alice, first), _ = entered(known), entered(known)
    with pytest.raises(Refused, match="budget-spent"):
        entered(known)
    with pytest.raises(Refused, match="budget-spent"):
        entered(known, "alice", "another password is the same user")
    entered(known, "bob")
    left(alice, first)
    entered(known)


def test_bytes_of_a_day() -> None:
    known = identities(clock := Clock(), alice={"bytes_a_day": 100})
    left(*entered(known), 60, 39)
    left(*entered(known), 0, 1)
    with pytest.raises(Refused, match="budget-spent"):
        entered(known)
    clock.now += DAY - 1
    known.sweep(clock.now)
    with pytest.raises(Refused, match="budget-spent"):
        entered(known)
    clock.now += 1
    known.sweep(clock.now)
    entered(known)


def test_what_runs_ends_when_its_bytes_are_spent() -> None:
    known = identities(alice={"bytes_a_day": 100})
    (_, one), (_, two), (_, other) = entered(known), entered(known), entered(known, "bob")
    one.moved, two.moved, other.moved = 50, 49, 1000
    known.sweep(0)
    assert not one.reasons
    two.moved += 1
    known.sweep(0)
    assert one.reasons == two.reasons == [Reason.BUDGET_SPENT]
    assert other.reasons == []


def test_a_new_day_forgives_what_a_running_flow_moved_before() -> None:
    known = identities(clock := Clock(), alice={"bytes_a_day": 100})
    alice, one = entered(known)
    one.moved = 90
    clock.now += DAY
    known.sweep(clock.now)
    one.moved = 180
    known.sweep(clock.now)
    assert one.reasons == []
    left(alice, one, 180, 0)
    known.sweep(clock.now)
    entered(known)


def test_a_reload_brings_another_budget() -> None:
    known = identities(alice={"connections": 1})
    entered(known)
    known.configure({"alice": config.NamedIdentity(connections=2)}, 100)
    entered(known)
    with pytest.raises(Refused):
        entered(known)
    known.configure({}, 100)
    entered(known)
