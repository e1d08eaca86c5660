"""Who goes through which member: never through another, the same for a while, then through others."""

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from anongw import config
from anongw.outbound.health import State
from anongw.outbound.position import Position
from anongw.outbound.stays import Indexes, OwnStays

HEALTH = config.Health(failures=1, hold=10.0, hold_most=60.0, successes=1)
NOBODY: frozenset[int] = frozenset()
STRATEGIES: tuple[config.Strategy, ...] = ("fail-over", "round-robin", "random", "least-used")
STICKING = STRATEGIES[1:]
MINUTE = 60.0


def pool(
    count: int, strategy: config.Strategy = "random", *, most: int = 100, seed: int = 1, **keys: object
) -> Position:
    hop = config.Hop(members=members(*range(count)), strategy=strategy)
    return Position(msgspec.structs.replace(hop, **keys), HEALTH, draw=random.Random(seed), sticky_most=most)


def members(*numbers: int) -> tuple[config.Member, ...]:
    return tuple(
        config.Member(
            url=config.HopUrl(f"socks5://u:secret@192.0.2.{number}"), user="u", password=config.Secret("p")
        )
        for number in numbers
    )


def staying(position: Position, now: float) -> int:
    """How many identities have members of their own."""
    assert isinstance(position._stays, OwnStays)
    return sum(position._holds(stay, now) for stay in position._stays._stays.values())


def one(position: Position, identity: str = "me", now: float = 0.0, *tried: int) -> int:
    (index,) = position.choose(identity, now, frozenset(tried))
    return index


def fall(position: Position, index: int, now: float = 0.0) -> None:
    position.scores[index].failed(now, now)
    assert position.scores[index].state(now) is State.DOWN


# Strategies


def test_fail_over_takes_the_first_that_is_up_and_comes_back_to_it() -> None:
    position = pool(3, "fail-over")
    assert one(position) == 0
    assert one(position, "me", 0, 0) == 1
    assert one(position) == 0, "the identity does not stick to the second"
    fall(position, 0)
    fall(position, 1)
    assert one(position) == 2
    assert one(position, "me", 10) == 0, "its hold is over"


def test_round_robin_is_even() -> None:
    position = pool(3, "round-robin", sticky=0)
    assert [one(position, who) for who in "aabbccdab"] == [0, 1, 2] * 3
    position = pool(3, "round-robin")
    assert [one(position, who) for who in "aabbccdab"] == [0, 0, 1, 1, 2, 2, 0, 0, 1]


@given(st.integers(1, 6), st.data())
def test_round_robin_is_even_for_any_pool(count: int, data: st.DataObject) -> None:
    pick = data.draw(st.integers(1, count))
    position = pool(count, "round-robin", sticky=0, pick=pick)
    chosen: Counter[int] = Counter(dict.fromkeys(range(count), 0))
    for _ in range(data.draw(st.integers(1, 30))):
        chosen.update(position.choose("me", 0, NOBODY))
        assert max(chosen.values()) - min(chosen.values()) <= 1


def test_random_takes_all_of_them_as_they_are_drawn() -> None:
    position = pool(4, sticky=0)
    drawn = [one(position) for _ in range(400)]
    assert all(70 < count < 130 for count in Counter(drawn).values())
    assert set(drawn) == {0, 1, 2, 3}
    again, other = pool(4, sticky=0), pool(4, sticky=0, seed=2)
    assert [one(again) for _ in range(400)] == drawn
    assert [one(other) for _ in range(400)] != drawn


def test_least_used_takes_the_least_used_and_draws_between_equals() -> None:
    position = pool(3, "least-used", sticky=0)
    for index in (0, 0, 1, 2, 2):
        position.entered(index)
    assert {one(position) for _ in range(20)} == {1}
    position.left(0)
    assert {one(position) for _ in range(40)} == {0, 1}
    assert {one(position, "me", 0, 0, 1) for _ in range(20)} == {2}


def test_so_many_different_members_in_any_order() -> None:
    position = pool(3, "fail-over", pick=2)
    assert {position.choose("me", 0, NOBODY) for _ in range(40)} == {(0, 1), (1, 0)}
    position = pool(3, sticky=0, pick=3)
    assert len({position.choose("me", 0, NOBODY) for _ in range(200)}) == 6


# What is left


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("sticky", [0.0, MINUTE])
def test_one_that_was_tried_is_not_chosen_again(strategy: config.Strategy, sticky: float) -> None:
    position = pool(3, strategy, sticky=sticky)
    tried: frozenset[int] = frozenset()
    while indexes := position.choose("me", 0, tried):
        assert not tried & set(indexes)
        tried |= set(indexes)
    assert tried == {0, 1, 2}
    assert position.choose("me", 0, NOBODY)


def test_a_chain_never_gets_shorter_than_its_file_says() -> None:
    position = pool(3, pick=2)
    assert len(position.choose("me", 0, frozenset({1}))) == 2
    assert position.choose("me", 0, frozenset({1, 2})) == ()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_all_are_down_the_one_that_is_due_next_is_tried(strategy: config.Strategy) -> None:
    position = pool(3, strategy)
    fall(position, 1, now=0)
    fall(position, 2, now=1)
    fall(position, 0, now=2)
    assert one(position, "a", 3) == 1
    assert one(position, "b", 3, 1) == 2


def test_one_that_is_down_fills_up_what_is_missing() -> None:
    position = pool(3, pick=2)
    fall(position, 0)
    assert {index for who in "abcdefgh" for index in position.choose(who, 1, NOBODY)} == {1, 2}
    fall(position, 2, now=1)
    assert {frozenset(position.choose(who, 1, NOBODY)) for who in "ijklmnop"} == {frozenset({0, 1})}


# An identity and its members


@pytest.mark.parametrize("strategy", STICKING)
def test_an_identity_keeps_its_member_until_its_time_is_over(strategy: config.Strategy) -> None:
    position = pool(4, strategy, sticky=MINUTE)
    first = one(position, "me", 5)
    for who in "abcdefgh":
        position.entered(one(position, who, 6))
    assert one(position, "me", 5 + MINUTE - 0.001) == first, "and its use does not lengthen it"
    assert one(position, "me", 5 + MINUTE) != first


def test_it_keeps_it_for_so_many_connections() -> None:
    position = pool(4, sticky_count=3)
    exits = []
    for _ in range(30):
        exits.append(one(position))
        position.used("me", (exits[-1],), 0)
    runs = [set(exits[start : start + 3]) for start in range(0, 30, 3)]
    assert all(len(run) == 1 for run in runs)
    assert all(run != following for run, following in itertools.pairwise(runs))


def test_what_comes_first_ends_it() -> None:
    position = pool(2, sticky=MINUTE, sticky_count=2)
    first = one(position)
    position.used("me", (first,), 0)
    assert one(position, "me", MINUTE - 1) == first
    position.used("me", (first,), 0)
    assert one(position, "me", MINUTE - 1) != first
    assert one(position, "me", 2 * MINUTE - 1) == first


def test_a_connection_through_what_it_had_before_is_not_counted() -> None:
    position = pool(4, sticky_count=1)
    first = one(position)
    second = one(position, "me", 1, first)
    position.used("me", (first,), 0)  # it was slow
    assert one(position, "me", 2) == second
    position.used("me", (second,), 0)
    assert one(position, "me", 3) != second


def test_dials_before_the_first_success_go_the_same_way() -> None:
    position = pool(8)
    assert len({one(position, "me", now) for now in range(6)}) == 1


def test_it_moves_once_when_dials_through_its_member_fail_together() -> None:
    position = pool(8)
    first = one(position)
    second = one(position, "me", 1, first)
    assert {one(position, "me", 2, first) for _ in range(5)} == {second}
    assert one(position, "me", 3) == second, "and stays there"
    assert one(position, "me", 600.5) == second, "its time began when it moved"
    assert one(position, "me", 601) != second


def test_it_stays_where_there_is_no_other_that_is_up() -> None:
    position = pool(2, sticky=MINUTE)
    first = one(position)
    fall(position, 1 - first, now=MINUTE)
    assert one(position, "me", MINUTE) == first
    assert one(pool(1)) == one(pool(1), "me", 10000) == 0


def test_it_stays_though_others_found_its_member_down() -> None:
    position = pool(2)
    mine = one(position)
    fall(position, mine)
    assert one(position) == mine, "or who can bring a hop down would see who moves with it"
    assert {one(position, who) for who in "abcdefgh"} == {1 - mine}
    assert one(position, "me", 0, mine) == 1 - mine, "its own dial failed"
    assert one(position, "me", 100) == 1 - mine


def test_without_stickiness_each_dial_chooses_anew() -> None:
    position = pool(4, sticky=0, sticky_count=5)
    assert {one(position) for _ in range(100)} == {0, 1, 2, 3}
    assert staying(position, 0) == 0


def test_it_is_forgotten_for_good() -> None:
    position = pool(4)
    first = one(position)
    position.forget("me")
    position.forget("nobody")
    position.used("me", (first,), 0)  # a dial that was under way
    assert staying(position, 0) == 0
    drawn = set()
    for _ in range(40):
        drawn.add(one(position))
        position.forget("me")
    assert drawn == {0, 1, 2, 3}, "not even what it had is avoided"


@pytest.mark.parametrize("strategy", STICKING)
def test_under_a_new_name_it_goes_through_another_if_there_is_one(strategy: config.Strategy) -> None:
    for seed in range(20):
        position = pool(2, strategy, seed=seed)
        before = one(position, "me")
        position.renew("me", "me anew", 0)
        after = one(position, "me anew")
        assert after != before
        assert one(position, "me anew", 1.0) == after, "and stays there"
    alone = pool(1, strategy)
    assert one(alone, "me") == 0
    alone.renew("me", "me anew", 0)
    alone.renew("nobody", "nobody anew", 0)
    assert one(alone, "me anew") == 0


def test_only_so_many_are_remembered_and_the_longest_unseen_goes_first() -> None:
    position = pool(64, most=2)
    a, b = one(position, "a"), one(position, "b")
    assert one(position, "a") == a
    one(position, "c")
    assert staying(position, 0) == 2
    assert one(position, "a") == a
    assert one(position, "b") != b
    a = one(position, "a", 0, a)
    one(position, "b")
    a = one(position, "a", 0, a)
    one(position, "c")
    assert one(position, "a") == a, "one that moves has been seen"


def test_nothing_is_remembered_where_nothing_may_be() -> None:
    position = pool(64, most=0)
    assert len({one(position) for _ in range(20)}) > 1
    assert staying(position, 0) == 0


# Status and reload


def test_a_snapshot_names_members_and_nobody_else() -> None:
    position = pool(2, "round-robin", sticky=MINUTE)
    position.entered(one(position, "alice"))
    one(position, "bob")
    position.scores[0].succeeded(0, 0)
    position.scores[0].latency = 0.25
    fall(position, 1)
    found = position.snapshot(4)
    assert found.strategy == "round-robin"
    assert staying(position, 4) == 2
    assert [(m.url, m.state, m.held, m.live, m.dials, m.failures, m.latency) for m in found.members] == [
        ("socks5://192.0.2.0:1080", State.UP, 0, 1, 1, 0, 0.25),
        ("socks5://192.0.2.1:1080", State.DOWN, 6, 0, 1, 1, None),
    ]
    text = msgspec.json.encode(found)
    assert b'"down"' in text
    assert not any(word in text for word in (b"alice", b"bob", b"secret", b"u:"))
    assert staying(position, MINUTE) == 0


def reloaded(old: Position, *numbers: int, health: config.Health = HEALTH, **keys: object) -> Position:
    hop = msgspec.structs.replace(old.settings, members=members(*numbers), **keys)
    new = Position(hop, health, draw=random.Random(3), sticky_most=100)
    new.inherit(old)
    return new


def test_a_reload_keeps_what_is_known_of_the_same_members() -> None:
    old = pool(3)
    fall(old, 2)
    old.entered(2)
    whose = {who: one(old, who) for who in "abcdefgh"}
    new = reloaded(old, 2, 7, 1)
    assert [score.state(1) for score in new.scores] == [State.DOWN, State.UP, State.UP]
    assert [member.live for member in new.snapshot(1).members] == [1, 0, 0]
    old.left(2)
    assert new.scores[0].live == 0, "connections through the old one end here too"
    kept = {who: index for who, index in whose.items() if index == 1}
    assert 0 < len(kept) < len(whose)
    assert staying(new, 1) == len(kept)
    assert all(one(new, who) == 2 for who in kept)


def test_a_reload_brings_its_own_rules() -> None:
    old = pool(2)
    mine = one(old, "me", 5)
    old.used("me", (mine,), 0)
    assert one(reloaded(old, 0, 1), "me", 604.9) == mine
    assert one(reloaded(old, 0, 1), "me", 605) == 1 - mine
    assert one(reloaded(old, 0, 1, sticky_count=2), "me", 6) == mine
    assert one(reloaded(old, 0, 1, sticky_count=1), "me", 6) == 1 - mine
    assert one(reloaded(old, 0, 1, sticky=MINUTE), "me", 65) == 1 - mine
    assert staying(reloaded(old, 0, 1, strategy="fail-over"), 0) == 0
    assert staying(reloaded(old, 0, 1, pick=2), 0) == 0
    new = reloaded(old, 0, 1, health=config.Health(failures=2))
    new.scores[0].failed(0, 0)
    assert new.scores[0].state(0) is State.UP


def test_a_reload_keeps_no_more_than_may_be_remembered() -> None:
    old = pool(2)
    for who in "abc":
        one(old, who)
    new = Position(old.settings, HEALTH, draw=random.Random(3), sticky_most=2)
    new.inherit(old)
    assert staying(new, 0) == 2


def test_a_pool_that_lists_a_member_twice_is_not_confused() -> None:
    position = pool(0, pick=2)
    names = [str(number) for number in range(20)]
    for numbers in [(0, 0, 1, 1), (0, 1)]:
        position = reloaded(position, *numbers)
        assert all(len(set(position.choose(who, 0, NOBODY))) == 2 for who in names)


# Whatever happens, in whatever order: each choice is one of those that the rules leave.


@dataclass(frozen=True)
class Step:
    """Time passes, connections end, an identity may be forgotten, and then it dials until a dial succeeds."""

    identity: str
    pause: float
    fails: int  # dials, before one succeeds
    forgets: bool
    ends: int  # connections, the oldest first


steps = st.builds(
    Step,
    identity=st.sampled_from("abcd"),
    pause=st.sampled_from([0.0, 0.0, 1.0, 9.0, 25.0]),
    fails=st.sampled_from([0, 0, 0, 0, 1, 2, 5]),
    forgets=st.sampled_from([False] * 9 + [True]),
    ends=st.integers(0, 2),
)
pools = st.builds(
    pool,
    count=st.integers(1, 5),
    strategy=st.sampled_from(STRATEGIES),
    seed=st.integers(0, 1000),
    sticky=st.sampled_from([0.0, 20.0, 60.0]),
    sticky_count=st.sampled_from([0, 0, 1, 3]),
    pick=st.sampled_from([1, 1, 1, 2, 3]),
)


@dataclass
class Home:
    """What the test knows of one identity."""

    indexes: Indexes = ()
    until: float = 0.0
    used: int = 0


@dataclass
class World:
    """Dials through one position, each choice held against the rules."""

    position: Position
    seen: Counter[str]
    now: float = 100.0
    homes: dict[str, Home] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)

    def take(self, step: Step) -> None:
        self.now += step.pause
        for index in self.open[: step.ends]:
            self.position.left(index)
        del self.open[: step.ends]
        if step.forgets:
            self.position.forget(step.identity)
            self.homes.pop(step.identity, None)
        self.dial(step.identity, step.fails)

    def dial(self, identity: str, fails: int) -> None:
        tried: frozenset[int] = frozenset()
        while True:
            before = self.now
            live = [score.live for score in self.position.scores]
            indexes = self.position.choose(identity, self.now, tried)
            self.judge(identity, tried, indexes, live)
            if not indexes:
                return
            self.now += 0.25
            if not fails:
                self.succeed(identity, indexes, before)
                return
            fails -= 1
            self.position.scores[indexes[-1]].failed(before, self.now)
            tried |= {indexes[-1]}

    def succeed(self, identity: str, indexes: Indexes, began: float) -> None:
        self.position.used(identity, indexes, self.now)
        if identity in self.homes:
            self.homes[identity].used += 1
        for index in indexes:
            self.position.scores[index].succeeded(began, self.now)
            self.position.entered(index)
        self.open.extend(indexes)

    def judge(self, identity: str, tried: frozenset[int], indexes: Indexes, live: list[int]) -> None:
        hop = self.position.settings
        left = set(range(len(hop.members))) - tried
        if len(left) < hop.pick:
            self.seen["none left"] += 1
            assert indexes == ()
            return
        assert len(set(indexes)) == len(indexes) == hop.pick
        assert set(indexes) <= left
        home = self.homes.get(identity, Home())
        counted = not hop.sticky_count or home.used < hop.sticky_count
        if self.now < home.until and counted and not tried & set(home.indexes):
            self.seen["kept"] += 1
            assert indexes == home.indexes
            return
        self.judge_new(left, set(home.indexes), indexes, live)
        if hop.sticky and hop.strategy != "fail-over":
            if home.indexes:
                self.seen[
                    "counted out" if not counted else "time over" if self.now >= home.until else "failed"
                ] += 1
            self.homes[identity] = Home(indexes, self.now + hop.sticky)

    def judge_new(self, left: set[int], had: set[int], indexes: Indexes, live: list[int]) -> None:
        """First those that are up and new, then those that it had, then the next of those that are down."""
        pick, strategy = self.position.settings.pick, self.position.settings.strategy
        chosen = set(indexes)
        up = {index for index in left if self.position.scores[index].state(self.now) is not State.DOWN}
        fresh, down = up - had, left - up
        assert len(chosen & fresh) == min(pick, len(fresh))
        assert len(chosen & up) == min(pick, len(up))
        due = {index: self.position.scores[index].held_until for index in down}
        assert all(due[a] <= due[b] for a in chosen & down for b in down - chosen)
        self.seen["down" if chosen & down else "had" if chosen & had else "new"] += 1
        if strategy == "fail-over":
            assert all(a < b for a in chosen & fresh for b in fresh - chosen)
        if strategy == "least-used":
            assert all(live[a] <= live[b] for a in chosen & fresh for b in fresh - chosen)
            self.seen["least"] += bool(fresh - chosen)


def test_each_choice_is_one_that_the_rules_leave() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=600, deadline=None, database=None)
    @given(pools, st.lists(steps, max_size=40))
    def holds(position: Position, plan: list[Step]) -> None:
        world = World(position, seen)
        for step in plan:
            world.take(step)

    holds()
    kinds = ("kept", "counted out", "time over", "failed", "none left", "new", "had", "down", "least")
    assert set(seen) == set(kinds), seen
    assert all(seen.values()), seen
