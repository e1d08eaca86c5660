"""A look at one member: how far it gets and how long that takes, and a word for each way in which it ends."""

import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address

import anyio
import pytest
import trustme

from anongw import config
from anongw.address import Address, Endpoint
from anongw.config import Member
from anongw.errors import Reason, Refused
from anongw.lab.hop_script import Fault, Manner, Phase
from anongw.net.egress import ANYWHERE, Egress
from anongw.net.fiber import Fiber
from anongw.outbound.examine import Examiner, Finding, State
from anongw.outbound.isolation import Isolation
from anongw.outbound.path import BOOTSTRAP, Reach
from anongw.outbound.position import Position
from anongw.outbound.relays import Step
from tests.support import outside
from tests.support.asks import socks5_reply
from tests.support.chains import KEY, Names, chained, member
from tests.support.driven import DrivenEngine
from tests.support.fake_hop import FakeHop, Scheme, certified
from tests.support.nobody import nobody

PASSWORD = "hunter2"
# Seconds, of a hop that is not going to answer. The engine looks at its deadlines every quarter of one.
SOON = 0.3
LONG = 10.0


def step(one: FakeHop | Member) -> Step:
    """It alone at its position."""
    hop = config.Hop(members=(one if isinstance(one, Member) else member(one),))
    return Step(Position(hop, config.Health(), draw=random.Random(0), sticky_most=1), 0)


class Look:
    """One look: what was found, and of which step."""

    def __init__(self, finding: Finding, steps: tuple[Step, ...]) -> None:
        self.finding = finding
        self.place = steps.index(finding.step)

    @property
    def words(self) -> str:
        return self.finding.words

    @property
    def stages(self) -> tuple[bool, bool, bool]:
        """Which of them was timed."""
        times = (self.finding.reach, self.finding.login, self.finding.target)
        assert all(one is None or 0 <= one < LONG for one in times)
        return times[0] is not None, times[1] is not None, times[2] is not None


async def look(  # noqa: PLR0913 - every one has its test
    engine: DrivenEngine,
    *made: FakeHop | Member,
    target: Endpoint | None = None,
    names: Names | None = None,
    egress: Egress = ANYWHERE,
    hop: float = LONG,
    whole: float = LONG,
    meanwhile: Callable[[], None] = lambda: None,
) -> Look:
    """Look at the last of them, by way of those before."""
    steps = tuple(step(one) for one in made)
    examiner = Examiner(Reach(names or Names(), egress), Isolation(KEY), hop=hop, whole=whole)
    found: list[Finding] = []
    over = anyio.Event()

    async def carry(fiber: Fiber) -> None:
        found.append(await examiner.examine(steps, target, fiber))

    engine.launch(carry, lambda _fiber, _reason: over.set())
    meanwhile()
    await over.wait()
    assert PASSWORD not in repr(found)
    return Look(found[0], steps)


@pytest.fixture
def origin() -> Iterator[outside.Origin]:
    with outside.Origin(outside.listening("127.0.0.1")) as origin:
        yield origin


@pytest.fixture
def dead() -> Iterator[Member]:
    """A hop where nobody answers."""
    with nobody() as port:
        yield member(f"socks5://127.0.0.1:{port}")


@contextmanager
def hops(*protocols: Scheme, **options: object) -> Iterator[list[FakeHop]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeHop(one, **options)) for one in protocols]  # type: ignore[arg-type]


def at(origin: outside.Origin) -> Endpoint:
    return Endpoint(IPv4Address(origin.host), origin.port)


# Who works


@pytest.mark.parametrize(
    ("protocol", "state", "stages"),
    [
        ("socks5", State.UP, (True, True, False)),
        ("socks4", State.ACCEPTS, (True, False, False)),
        ("http", State.ACCEPTS, (True, False, False)),
    ],
)
async def test_without_a_target_nothing_is_asked_for(
    protocol: Scheme, state: State, stages: tuple[bool, bool, bool]
) -> None:
    with hops(protocol) as (one,):
        async with chained(one) as engine:
            found = await look(engine, one)
        assert one.asked == []
        assert one.everything == (b"\x05\x01\x00" if protocol == "socks5" else b"")
    assert (found.finding.state, found.stages, found.words) == (state, stages, state.value)


@pytest.mark.parametrize("protocol", ["socks5", "socks4", "http"])
async def test_a_target_is_gone_to(origin: outside.Origin, protocol: Scheme) -> None:
    # SOCKS4 has no passwords.
    with hops(protocol, users={"alice": PASSWORD} if protocol != "socks4" else {}) as (one,):
        async with chained(one) as engine:
            found = await look(engine, one, target=at(origin))
        assert one.asked == [(origin.host, origin.port)]
    assert found.finding.state is State.UP
    assert found.stages == (True, protocol == "socks5", True)


async def test_a_log_in_is_proved_without_a_target() -> None:
    with hops("socks5", users={"alice": PASSWORD}) as (one,):
        async with chained(one) as engine:
            found = await look(engine, one)
        assert (one.seen[0].user, one.seen[0].password) == ("alice", PASSWORD)
        assert one.asked == []
    assert (found.finding.state, found.stages) == (State.UP, (True, True, False))


async def test_tls_is_verified_without_a_target() -> None:
    ca = trustme.CA()
    with hops("http", tls=certified(ca, "127.0.0.1")) as (one,), ca.cert_pem.tempfile() as file:
        async with chained(one) as engine:
            found = await look(engine, member(one, ca_file=file))
        assert one.everything == b""
    assert (found.finding.state, found.stages) == (State.ACCEPTS, (True, True, False))


async def test_each_stage_has_its_own_time() -> None:
    with hops("socks5", "socks5", "socks5") as made:
        async with chained(*made) as engine:
            found = await look(engine, *made)
        assert [one.asked for one in made] == [[made[1].place], [made[2].place], []]
    assert (found.place, found.finding.state, found.stages) == (2, State.UP, (True, True, False))


async def test_a_slow_stage_is_told_by_its_time() -> None:
    """The look-up takes its time, and belongs to reaching the first hop; what comes after it does not."""

    class Slow(Names):
        async def addresses(self, name: str, identity: str) -> Sequence[Address]:
            await anyio.sleep(SOON)
            return await super().addresses(name, identity)

    with hops("socks5") as (one,):
        named = member(f"socks5://first.example:{one.port}")
        async with chained(one) as engine:
            finding = (await look(engine, named, names=Slow({"first.example": "127.0.0.1"}))).finding
    assert finding.reach is not None
    assert finding.login is not None
    assert finding.reach >= SOON > finding.login


async def test_time_is_not_the_engines() -> None:
    """Its clock stands still between events, and would be late where nothing has happened for a while."""
    with hops("socks5") as (one,):
        async with chained(one) as engine:
            engine.now -= LONG / 2
            finding = (await look(engine, one)).finding
    assert finding.reach is not None
    assert finding.reach < LONG / 2


# Who does not, and why

HANG, CLOSE, RESET = Manner.HANG, Manner.CLOSE, Manner.RESET
GARBAGE = Manner.PLAINLY
TO_A_TARGET = "when it is asked for the target"


def fault(phase: Phase, manner: Manner, says: bytes | None = None) -> Fault:
    return Fault(phase, manner, says)


# Of a SOCKS5 hop: what it does, and what is said of it. Those at REPLY need a target to show.
FAULTS = [
    (fault(Phase.ACCEPT, HANG), State.SILENT, ""),
    (fault(Phase.METHOD, HANG), State.SILENT, ""),
    (fault(Phase.METHOD, CLOSE), State.CLOSES, ""),
    (fault(Phase.METHOD, RESET), State.CLOSES, ""),
    (fault(Phase.METHOD, GARBAGE, b"HTTP/1.1 400\r\n\r\n"), State.GARBAGE, ""),
    (fault(Phase.METHOD, GARBAGE, b"\x05\xff"), State.LOGIN, "it asks for some, and none are set"),
    (fault(Phase.REPLY, HANG), State.SILENT, TO_A_TARGET),
    (fault(Phase.REPLY, CLOSE), State.CLOSES, TO_A_TARGET),
    (fault(Phase.REPLY, GARBAGE, b"\x04" * 10), State.GARBAGE, TO_A_TARGET),
    (fault(Phase.REPLY, GARBAGE, socks5_reply(2)), State.REFUSES, ""),
    (fault(Phase.REPLY, GARBAGE, socks5_reply(3)), State.TARGET, "network unreachable"),
    (fault(Phase.REPLY, GARBAGE, socks5_reply(4)), State.TARGET, "host unreachable"),
    (fault(Phase.REPLY, GARBAGE, socks5_reply(5)), State.TARGET, "connection refused"),
    (fault(Phase.REPLY, GARBAGE, socks5_reply(6)), State.TARGET, "connect timeout"),
]


@pytest.mark.parametrize(("what", "state", "reason"), FAULTS)
async def test_a_fault_has_its_word(what: Fault, state: State, reason: str, origin: outside.Origin) -> None:
    late = what.phase is Phase.REPLY
    with hops("socks5", fault=what) as (one,):
        async with chained(one) as engine:
            seconds = SOON if what.manner is HANG else LONG
            found = await look(engine, one, target=at(origin), hop=seconds, whole=2 * seconds)
    assert (found.finding.state, found.finding.reason) == (state, reason)
    assert found.stages == (True, late, False)


async def test_a_wrong_password_and_a_missing_one() -> None:
    with hops("socks5", users={"alice": "right"}) as (one,):
        wrong = member(f"socks5://alice:{PASSWORD}@127.0.0.1:{one.port}")
        bare = member(one.upstream.bare)
        async with chained(one) as engine:
            assert (await look(engine, wrong)).words == "refuses our credentials"
            said = (await look(engine, bare)).words
    assert said == "refuses our credentials: it asks for some, and none are set"


async def test_an_http_hop_asks_for_a_log_in_only_with_a_target(origin: outside.Origin) -> None:
    with hops("http", users={"alice": "right"}) as (one,):
        bare = member(one.upstream.bare)
        async with chained(one) as engine:
            assert (await look(engine, bare)).finding.state is State.ACCEPTS
            found = await look(engine, bare, target=at(origin))
    assert found.words == "refuses our credentials: it asks for some, and none are set"


async def test_nobody_listens(dead: Member) -> None:
    async with chained() as engine:
        found = await look(engine, dead)
    assert (found.words, found.stages) == ("unreachable: connection refused", (False, False, False))


async def test_socks4_has_no_ipv6() -> None:
    with hops("socks4") as (one,):
        async with chained(one) as engine:
            found = await look(engine, one, target=Endpoint(IPv6Address("2001:db8::1"), 1))
    assert found.finding.state is State.REFUSES


@pytest.mark.parametrize(
    ("names", "options", "why"),
    [
        (("127.0.0.1",), {}, "unable to get local issuer certificate"),
        (("other.example",), {"ca": True}, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        (("127.0.0.1",), {"pin": f"sha256/{'A' * 43}="}, "the hop's key is not the pinned one"),
        (("127.0.0.1",), {"ca_file": "/dev/null"}, "/dev/null holds no certificates: "),
    ],
)
async def test_a_certificate_that_does_not_verify(
    names: tuple[str, ...], options: dict[str, str], why: str
) -> None:
    ca = trustme.CA()
    with hops("http", tls=certified(ca, *names)) as (one,), ca.cert_pem.tempfile() as file:
        chosen = {"ca_file": file} if "ca" in options else options
        async with chained(one) as engine:
            found = await look(engine, member(one, **chosen))
        assert one.everything == b""
    assert found.finding.state is State.CERTIFICATE
    assert found.finding.reason.startswith(why)
    assert found.stages == (True, False, False)


async def test_a_hop_without_tls_is_no_https_hop() -> None:
    with hops("socks5", fault=Fault(Phase.ACCEPT, says=b"SSH-2.0-x\r\n")) as (one,):
        async with chained(one) as engine:
            found = await look(engine, member(f"https://127.0.0.1:{one.port}"))
        one._wrong.clear()  # what it heard was TLS, and no greeting
    assert found.words == "garbage"


async def test_this_machine_cannot_go_out() -> None:
    """It is nobody's fault but ours, so nothing is said of the hop."""
    egress = Egress(source=[IPv4Address("192.0.2.77")])
    async with chained() as engine:
        found = await look(engine, member("socks5://192.0.2.1"), egress=egress)
    assert found.words == "not tried: 192.0.2.77 is no address of this machine"


async def test_a_stop() -> None:
    with hops("socks5", fault=Fault(Phase.METHOD, HANG)) as (one,):
        async with chained(one) as engine:

            def stop() -> None:
                one.until(lambda: bool(one.seen))
                engine.end_flows(Refused(Reason.STOPPING))

            found = await look(engine, one, meanwhile=stop)
    assert found.words == "not tried: stopping"


# By way of others


async def test_the_hop_before_it_says_why(dead: Member) -> None:
    with hops("socks5") as (first,):
        async with chained(first) as engine:
            found = await look(engine, first, dead)
    assert (found.place, found.stages) == (1, (False, False, False))
    assert found.words == f"unreachable: connection refused, by way of {first.url}"


@pytest.mark.parametrize(
    ("manner", "says", "why"),
    [
        (HANG, None, "no answer"),
        (CLOSE, None, "closed without an answer"),
        (GARBAGE, socks5_reply(2), "forbidden"),
        (GARBAGE, socks5_reply(1), "host unreachable"),
    ],
)
async def test_where_it_may_be_either_it_is_the_one_that_was_not_reached(
    manner: Manner, says: bytes | None, why: str
) -> None:
    with hops("socks5", "socks5") as (first, second):
        first.fault = Fault(Phase.REPLY, manner, says)
        async with chained(first, second) as engine:
            found = await look(engine, first, second, hop=SOON if manner is HANG else LONG)
    assert (found.place, found.words) == (1, f"unreachable: {why}, by way of {first.url}")


async def test_one_on_the_way_that_fails_is_found_instead() -> None:
    with hops("http", "socks5", "socks5") as (first, second, third):
        first.users = {"alice": "right"}
        bare = member(first.upstream.bare)
        async with chained(first, second, third) as engine:
            found = await look(engine, bare, second, third)
            assert (found.place, found.stages) == (0, (True, False, False))
            assert found.words == "refuses our credentials: it asks for some, and none are set"

            first.users = {}
            second.fault = Fault(Phase.REPLY, says=b"\x04" * 10)
            found = await look(engine, bare, second, third)
            assert (found.place, found.stages) == (1, (True, True, False))
            assert found.words == f"garbage: when it is asked for {third.url}"
    assert third.seen == []


# Names, identities, times


async def test_only_the_first_hops_name_is_looked_up_here(origin: outside.Origin) -> None:
    names = Names({"first.example": "127.0.0.1"})
    with hops("socks5", "http") as (first, second):
        first.names["second.example"] = second.place
        second.names["target.example"] = (origin.host, origin.port)
        made = (
            member(f"socks5://first.example:{first.port}"),
            member(f"http://second.example:{second.port}"),
        )
        async with chained(first, second) as engine:
            found = await look(engine, *made, target=Endpoint("target.example", 443), names=names)
        assert first.asked == [("second.example", second.port)]
        assert second.asked == [("target.example", 443)]
    assert found.finding.state is State.UP
    assert names.asked == [("first.example", BOOTSTRAP)]


UNKNOWN = {
    Reason.NAME_NOT_FOUND: "its name has no address",
    Reason.RESOLVER_FAILED: "no resolver told its address",
    Reason.PRIVATE_NAME: "nobody is asked for such a name: write its address, or set resolve.zones",
}


@pytest.mark.parametrize("reason", Reason)
async def test_a_first_hop_whose_name_comes_to_nothing(reason: Reason) -> None:
    class Nobody(Names):
        async def addresses(self, name: str, identity: str) -> Sequence[Address]:
            raise Refused(reason, name)

    async with chained() as engine:
        found = await look(engine, member("socks5://first.example"), names=Nobody())
    if reason in UNKNOWN:
        assert found.words == f"unreachable: {UNKNOWN[reason]}"
    else:
        assert found.finding.state in (State.UNREACHABLE, State.UNTRIED)
        assert found.finding.reason


async def test_every_look_is_somebody_elses() -> None:
    with hops("socks5") as (one,):
        async with chained(one) as engine:
            for _ in range(3):
                await look(engine, member(one, isolation="auth"))
        users = {seen.user for seen in one.seen}
        assert len(users) == len({seen.password for seen in one.seen}) == 3
        assert None not in users


@pytest.mark.parametrize(("hop", "whole"), [(SOON, LONG), (LONG, SOON)])
async def test_both_times_bound_it(hop: float, whole: float) -> None:
    with hops("socks5", fault=Fault(Phase.METHOD, HANG)) as (one,):
        async with chained(one) as engine:
            began = anyio.current_time()
            found = await look(engine, one, hop=hop, whole=whole)
            assert anyio.current_time() - began < LONG / 2
    assert found.words == "silent"


async def test_a_target_has_as_long_as_the_whole(origin: outside.Origin) -> None:
    """It may be farther away than a hop, so it is not judged by a hop's time."""
    with hops("socks5", fault=Fault(Phase.REPLY, HANG)) as (one,):
        async with chained(one) as engine:
            began = anyio.current_time()
            await look(engine, one, target=at(origin), hop=SOON, whole=4 * SOON)
            assert anyio.current_time() - began > 2 * SOON


async def test_the_first_connection_is_bounded() -> None:
    """A listener whose queue is full does not answer."""
    with outside.listening("127.0.0.1", backlog=0) as full, socket.socket() as first:
        where = full.getsockname()
        first.connect(where)
        async with chained() as engine:
            found = await look(engine, member(f"socks5://127.0.0.1:{where[1]}"), hop=SOON)
    assert found.words == "unreachable: no answer"
