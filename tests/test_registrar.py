"""New epochs and forgetting, held against the very rooms in which things are kept by identity."""

import secrets
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw import config
from anongw.address import Endpoint
from anongw.config import Config, load
from anongw.control import Declined
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.generation import Generation, Lasting
from anongw.identities import Identities, Identity
from anongw.ledger import alone
from anongw.log import Counters
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.outbound.isolation import Isolation
from anongw.privacy import Privacy
from anongw.registrar import Registrar
from tests.support.driven import DrivenEngine, driven
from tests.support.gateway import user

KEY = bytes(32)
ORIGIN = Endpoint("a.example", 80)
USERS = ("alice", "bob", "carol")
HOP = config.Hop(
    members=tuple(
        config.Member(url=config.HopUrl(f"socks5://192.0.2.{number}"), isolation="auth")
        for number in range(3)
    ),
    strategy="random",
)
Epoch = tuple[str, int]  # a user and how many epochs it has had


def pooled(*sets: str) -> Config:
    """A chain that keeps identities apart in every way, and a direct way with a resolver."""
    chain = config.Chain(hop=(HOP,))
    ways = (config.Route(target=(config.Rule("a.example"),), to="one"), config.Route(to="direct"))
    return msgspec.structs.replace(load(None, sets), chains={"one": chain}, route=ways)


@dataclass(eq=False)
class Connection:
    """One flow: in whose name, what it got, and whether it was ended."""

    epoch: Epoch
    flow: Flow
    identity: Identity
    moved: int = 0
    ended: list[Reason] = field(default_factory=list)

    def end(self, refused: Refused) -> None:
        self.ended.append(refused.reason)


class World:
    """A registrar with its rooms, and what a test knows of them."""

    def __init__(self, engine: DrivenEngine, made: Config) -> None:
        self.engine = engine
        self.identities = Identities(lambda: engine.now, KEY, 100)
        lasting = Lasting(
            engine=engine,
            pipes=Pipes(0),
            own=(),
            counters=Counters(),
            ledger=alone(),
            identities=self.identities,
            finished=lambda _flow: None,
            left=lambda _client: None,
        )
        self.generations = [Generation(made, lasting)]
        self.privacy = Privacy()
        self.registrar = Registrar(self.identities, self.privacy, lambda: self.generations, engine)
        self.epochs = dict.fromkeys(USERS, 1)
        self.running: list[Connection] = []
        self.tokens: dict[str, Epoch] = {}
        self.exits: dict[Epoch, tuple[int, ...]] = {}
        self.kept: dict[object, Epoch] = {}
        self.answers: dict[IPv4Address, Epoch] = {}
        self.seen: Counter[str] = Counter()

    @property
    def rooms(self) -> Generation:
        return self.generations[-1]

    def close(self) -> None:
        for generation in self.generations:
            generation.retire()

    def flow(self, name: str) -> Connection:
        """One begins; everything that it may find is its own epoch's, and it leaves something everywhere."""
        epoch = name, self.epochs[name]
        flow = Flow("127.0.0.1:1080", protocol="http", user=name, target=ORIGIN, route="one")
        made = Connection(epoch, flow, None)  # type: ignore[arg-type]  # known a line later
        made.identity = self.identities.enter(flow, made, config.Identity())
        self.running.append(made)
        self._look_up(flow.identity, epoch)
        self._go_out(flow.identity, epoch)
        self._connect(flow.identity, epoch)
        return made

    def _look_up(self, identity: str, epoch: Epoch) -> None:
        resolver = self.rooms.resolvers[0]
        found = resolver.cached("b.example", identity)
        if found is not None:
            self.seen["a name from the cache"] += 1
            assert self.answers[found[0]] == epoch  # type: ignore[index]
            return
        address = IPv4Address(len(self.answers))
        self.answers[address] = epoch
        resolver._cache.put(identity, "b.example", (address,), 1000)

    def _go_out(self, identity: str, epoch: Epoch) -> None:
        isolation = Isolation(KEY)
        for member in HOP.members:
            token = isolation.token(identity, str(member.url))
            assert self.tokens.setdefault(token, epoch) == epoch, "a token of another's, or of another epoch"
        (position,) = self.rooms.chains["one"].positions
        exit_ = position.choose(identity, self.engine.now, frozenset())
        assert self.exits.setdefault(epoch, exit_) == exit_, "it has left its exit within an epoch"
        before = self.exits.get((epoch[0], epoch[1] - 1))
        if before is not None and before != exit_:
            self.seen["another exit"] += 1

    def _connect(self, identity: str, epoch: Epoch) -> None:
        key = "one", identity, b"a.example"
        fiber = Fiber(self.engine, lambda _fiber, _reason: None)
        stream = self.rooms.pool.take(key, fiber)
        if stream is None:
            stream = fiber.adopt(self.engine.pair()[0], Reason.UPSTREAM_CLOSED)
            self.kept[stream] = epoch
        else:
            self.seen["a kept connection"] += 1
        assert self.kept[stream] == epoch, "a connection of another's, or of another epoch"
        self.rooms.pool.keep(key, stream, fiber)

    def leave(self, place: int) -> None:
        if self.running:
            one = self.running.pop(place % len(self.running))
            one.identity.leave(one.flow, one)

    def meant(self, name: str) -> list[str]:
        found = list(USERS) if name == "all" else [name]
        return [one for one in found if one in {identity.user for identity in self.identities}]

    def new(self, name: str) -> None:
        here = self.meant(name)
        if not here and name != "all":
            with pytest.raises(Declined):
                self.registrar._selected({"name": name})
            return
        theirs = {one.identity for one in self.running if one.identity.user in here}
        running = sum(len(one.live) for one in theirs)
        done = self.registrar.renew(self.registrar._selected({"name": name}), secrets.token_hex())
        assert (done.identities, done.running) == (len(here), running)
        self._begun(name)
        self.seen["new"] += 1

    def forget(self, name: str) -> None:
        here = self.meant(name)
        if not here and name != "all":
            return
        done = self.registrar.forget(self.registrar._selected({"name": name}), secrets.token_hex())
        ended = [one for one in self.running if one.identity.user in here]
        assert (done.identities, done.closed) == (len(here), len(ended))
        assert all(one.ended == [Reason.FORGOTTEN] for one in ended)
        self.running = [one for one in self.running if one not in ended]
        for one in ended:
            one.identity.leave(one.flow, one)
        for owner in self.rooms.pool._kept:
            assert owner[1].split(" ")[1] not in here, "a connection of a forgotten one is still kept"
        self._begun(name)
        self.seen["forget"] += 1

    def _begun(self, name: str) -> None:
        for one in USERS if name == "all" else (name,):
            self.epochs[one] += 1
        assert not any(one.ended for one in self.running), "somebody else's flow was ended"


STEPS = st.one_of(
    st.tuples(st.just("flow"), st.sampled_from(USERS)),
    st.tuples(st.just("flow"), st.sampled_from(USERS)),
    st.tuples(st.just("leave"), st.integers(0, 5)),
    st.tuples(st.sampled_from(("new", "forget")), st.sampled_from((*USERS, "all"))),
)


async def test_nothing_crosses_and_nothing_of_an_epoch_that_is_over_is_used_again() -> None:
    """Many identities, with epochs begun and identities forgotten between their flows, in any order."""
    made = pooled()
    seen: Counter[str] = Counter()
    async with driven() as engine:

        @settings(max_examples=200, deadline=None)
        @given(st.lists(STEPS, min_size=10, max_size=40))
        def holds(steps: list[tuple[str, str | int]]) -> None:
            world = World(engine, made)
            try:
                for step, argument in steps:
                    getattr(world, step)(argument)
            finally:
                world.close()
                engine.settle()
                while engine.sockets:
                    engine.sockets.pop().close()
            seen.update(world.seen)

        holds()
    assert seen.keys() == {"a name from the cache", "a kept connection", "another exit", "new", "forget"}


async def test_a_reload_in_between_saves_nothing_that_is_to_be_forgotten() -> None:
    """What an old config's rooms hold for flows that still go by them is wiped too."""
    async with driven() as engine:
        world = World(engine, pooled())
        world.flow("alice")
        old = world.rooms.resolvers[0]
        world.generations.append(Generation(pooled("limits.idle=3h"), world.rooms._lasting, world.rooms))
        world.flow("alice")
        done = world.registrar.forget(world.registrar._selected({"name": "alice"}), "nonce")
        assert done.answers == 2
        assert old.cached_names == 0
        world.close()


async def test_a_login_that_was_right_is_asked_for_again() -> None:
    async with driven() as engine:
        world = World(engine, pooled(user("alice", "secret"), user("bob", "secret")))
        users = world.rooms.rooms.users
        assert users is not None
        for name in (b"alice", b"bob"):
            assert await users.check(name, b"secret")
        world.flow("alice")
        world.registrar.forget(world.registrar._selected({"name": "alice"}), "nonce")
        assert not users.remembered(b"alice", b"secret")
        assert users.remembered(b"bob", b"secret")
        world.registrar.forget(world.registrar._selected({"name": "all"}), "nonce")
        assert not users.remembered(b"bob", b"secret")
        world.close()


async def test_a_list_names_nobody_unless_names_are_on() -> None:
    async with driven() as engine:
        world = World(engine, pooled())
        world.leave(world.running.index(world.flow("alice")))
        world.flow("alice")
        (one,) = world.registrar.listed()
        assert one.name.startswith("identity~")
        assert (one.epoch, one.live, one.flows, one.ways) == (1, 1, 1, ("one",))
        assert world.registrar._selected({"name": one.name}).name == "user alice"
        world.privacy.names = True
        assert [one.name for one in world.registrar.listed()] == ["user alice"]
        world.close()


async def test_after_all_are_forgotten_no_pseudonym_of_before_is_understood() -> None:
    async with driven() as engine:
        world = World(engine, pooled())
        world.flow("alice")
        (before,) = world.registrar.listed()
        await world.registrar.tell_forget({"name": "all"})
        world.epochs["alice"] += 1
        world.flow("alice")
        (after,) = world.registrar.listed()
        assert before.name != after.name
        with pytest.raises(Declined, match="nobody of that name"):
            await world.registrar.tell_new({"name": before.name})
        with pytest.raises(Declined, match="say who"):
            await world.registrar.tell_new({})
        await world.registrar.tell_new({"name": after.name})
        told = await world.registrar.tell({})
        assert told == {"identities": world.registrar.listed()}
        world.close()


@pytest.mark.parametrize(("names", "says"), [(True, "log.names is on"), (False, "pseudonym")])
async def test_what_remains_is_said(names: bool, says: str) -> None:  # noqa: FBT001 - a parameter
    async with driven() as engine:
        world = World(engine, pooled())
        world.privacy.names = names
        remains = world.registrar.forget(world.registrar._selected({"name": "all"}), "nonce").remains
        for part in ("hops, resolvers and destinations", "the kernel", "the clients' own", says):
            assert any(part in sentence for sentence in remains), part
        world.close()
