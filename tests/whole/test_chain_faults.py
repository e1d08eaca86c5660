"""Hops that fail in every way, at every place of a chain: what clients are told, how soon, and nothing else.

One gateway serves the whole table (tests/support/hop_faults.py). It leaves from an address of its own, so
that whoever it reaches knows that it was the gateway itself; an audit hook tells of every connection that it
makes; and its resolver, which would answer, is asked for nothing.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from anongw.lab.hop_script import Cut, Fault, Manner, Phase
from tests.support import asks, outside
from tests.support.asks import HTTP, TUNNELS, WAYS, Way
from tests.support.audit import Follower
from tests.support.config_file import Table, configured
from tests.support.fake_hop import FakeHop, Place, Scheme, certified
from tests.support.hop_faults import FAULTS, PROTOCOLS, Protocol, told
from tests.support.raw_origin import Line
from tests.support.upstreams import PASSWORD, USER

GATEWAY = "127.0.0.5"
# A datagram socket that sends nothing: whether the address is one to leave from (net/egress.py).
ITSELF = (GATEWAY, 9)
PLACES = ("only", "first", "second", "pool")
# Who stands beside a hop that fails, so that protocols are mixed.
PARTNER: Mapping[Protocol, Scheme] = {
    "socks5": "http",
    "socks4": "socks5",
    "http": "socks4",
    "https": "socks5",
}
# Seconds. A hop's own time is 5 s by default: an answer that comes sooner has waited for nothing.
AT_ONCE = 4.0
# Those of a chain whose hops will not answer, its place for it, and what a slow machine may add.
HASTY = {"hop_timeout": "500ms", "timeout": "1s"}
HASTY_POOL = {"hop_timeout": "500ms", "timeout": "3s"}
SLACK = 3.0


class Hops(NamedTuple):
    """The hops of one protocol's chains. `bad` is reached from the gateway, `far` from another hop."""

    bad: FakeHop
    far: FakeHop
    before: FakeHop
    after: FakeHop
    spare: FakeHop

    @property
    def first(self) -> tuple[FakeHop, ...]:
        return self.bad, self.before, self.spare


class World:
    def __init__(self, origin: outside.Origin, names: outside.Names, hops: Mapping[Protocol, Hops]) -> None:
        self.origin = origin
        self.names = names
        self.hops = hops
        self.where: Place  # the gateway
        self.events: Follower  # what it does

    def play(
        self, protocol: Protocol, reasons: Mapping[str, str], *, within: float = AT_ONCE, hasty: bool = False
    ) -> None:
        """Every client asks by every place at once; `reasons`: what each place's clients must be told."""
        before = len(self.origin.heard)
        began = time.monotonic()
        with ExitStack() as stack:
            asked = {
                (place, way): stack.enter_context(self.ask(way, name(protocol, place, hasty=hasty)))
                for place in reasons
                for way in WAYS
            }
            heard = {key: line.rest() for key, line in asked.items()}
        took = time.monotonic() - began
        for (place, way), answer in heard.items():
            reason = reasons[place]
            right = [way.refused(one) for one in reason.split(" or ")] if reason else [granted(way)]
            assert answer in right, (place, way.name)
        assert took < within
        served = [one for one in self.origin.heard[before:] if one.data]
        assert len(served) == len(WAYS) * list(reasons.values()).count("")
        self.fails_closed()

    def fails_closed(self) -> None:
        """Nobody was met by the gateway itself but first hops, and nobody was asked for a name."""
        assert self.names.asked == []
        assert GATEWAY not in {one.peer[0] for one in self.origin.heard}
        first = {hop.place for hops in self.hops.values() for hop in hops.first}
        for hops in self.hops.values():
            for hop in hops:
                assert {one.peer[0] for one in hop.seen} <= {GATEWAY if hop.place in first else "127.0.0.1"}
        for event, arguments in self.events.new():
            assert event in ("socket.__new__", "socket.bind", "socket.connect", "open"), (event, arguments)
            if event == "socket.connect":
                assert arguments[0] in [list(place) for place in first | {ITSELF}]
            elif event == "socket.bind":
                assert arguments == [[GATEWAY, 0]]

    @contextmanager
    def faulty(self, protocol: Protocol, fault: Fault) -> Iterator[None]:
        """The hop that fails does so, wherever it stands."""
        its = self.hops[protocol]
        its.bad.fault = its.far.fault = fault
        try:
            yield
        finally:
            its.bad.fault = its.far.fault = None

    @contextmanager
    def cut(self, protocol: Protocol, cut: Cut) -> Iterator[None]:
        """The same for one that dies in the relay."""
        its = self.hops[protocol]
        its.bad.cut = its.far.cut = cut
        try:
            yield
        finally:
            its.bad.cut = its.far.cut = None

    @contextmanager
    def ask(self, way: Way, host: str) -> Iterator[Line]:
        line = Line(asks.dial(self.where))
        with line:
            if way is HTTP:
                line.send(asks.get(host, self.origin.port, b"Connection: close"))
            else:
                with suppress(OSError):  # a refusal may be quicker
                    line.send(way.ask(host, self.origin.port) + b"ping")
                    line.last()
            yield line


def name(protocol: str, place: str, *, hasty: bool = False) -> str:
    """The target whose route leads through this protocol's chain."""
    return f"{place}.{protocol}.{'hasty' if hasty else 'patient'}.example"


def granted(way: Way) -> bytes:
    if way is HTTP:
        return outside.ANSWER[:-8] + b"Connection: close\r\n\r\n" + outside.BODY
    return way.granted + b"ping"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    with outside.on_loopback({}) as (origin, names), ExitStack() as stack:

        def start(scheme: Protocol) -> FakeHop:
            tls = certified(ca, "127.0.0.1") if scheme == "https" else None
            users = {USER: PASSWORD} if scheme != "socks4" else {}
            hop = FakeHop("http" if scheme == "https" else scheme, tls=tls, users=users)
            stack.enter_context(hop)
            for protocol in PROTOCOLS:
                for place in PLACES:
                    for hasty in (False, True):
                        hop.names[name(protocol, place, hasty=hasty)] = (origin.host, origin.port)
            return hop

        hops = {
            protocol: Hops(
                bad=start(protocol),
                far=start(protocol),
                before=start(PARTNER[protocol]),
                after=start(PARTNER[protocol]),
                spare=start(protocol),
            )
            for protocol in PROTOCOLS
        }
        world = World(origin, names, hops)
        chains, routes = ways_out(hops, folder / "ca.pem")
        world.events = Follower(folder / "audit.jsonl")
        with configured(
            folder,
            program=world.events.program,
            # A kept connection would need no hop again.
            limits={"upstream_kept": 0},
            egress={"source": [GATEWAY]},
            resolve={"servers": [f"udp://127.0.0.8:{names.port}"]},
            chains=chains,
            route=[*routes, {"to": "refuse"}],
        ) as gateway:
            world.where = gateway.where
            world.events.new()
            yield world


def ways_out(hops: Mapping[Protocol, Hops], ca_file: Path) -> tuple[dict[str, Table], list[Table]]:
    """A chain for each protocol and place, in a hurry and not, and a route to each."""
    chains: dict[str, Table] = {}
    routes: list[Table] = []

    def one(*pool: FakeHop) -> Table:
        table = {"urls": [hop.url for hop in pool]}
        return table | ({"ca_file": str(ca_file)} if pool[0].url.startswith("https:") else {})

    for protocol, its in hops.items():
        positions: Mapping[str, Sequence[Table]] = {
            "only": [one(its.bad)],
            "first": [one(its.bad), one(its.after)],
            "second": [one(its.before), one(its.far)],
            "pool": [one(its.bad, its.spare)],
        }
        for place, hop in positions.items():
            for hasty in (False, True):
                times = {} if not hasty else HASTY_POOL if place == "pool" else HASTY
                chain = f"{protocol} {place} {'hasty' if hasty else 'patient'}"
                # Never down: each case finds the hops as the first one did.
                chains[chain] = {"hop": hop, "health": {"failures": 1_000_000}, **times}
                routes.append({"target": [f"={name(protocol, place, hasty=hasty)}"], "to": chain})
    return chains, routes


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    found: Protocol = request.param
    return found


# From the second hop a reset may overtake the answer.
WHERE_IT_BREAKS_OFF = [
    ("only", Manner.CLOSE),
    ("only", Manner.RESET),
    ("second", Manner.CLOSE),
    ("pool", Manner.CLOSE),
    ("pool", Manner.RESET),
]
CASES = [
    pytest.param(protocol, fault, reason, id=f"{protocol} {what}")
    for protocol, faults in FAULTS.items()
    for what, (fault, reason) in faults.items()
]


@pytest.mark.parametrize(("protocol", "fault", "reason"), CASES)
def test_a_fault(protocol: Protocol, fault: Fault, reason: str, world: World) -> None:
    its = world.hops[protocol]
    before = {hop: len(hop.seen) for hop in (its.bad, its.far)}
    hasty = fault.manner is Manner.HANG
    within = float(HASTY_POOL["timeout"].removesuffix("s")) + SLACK if hasty else AT_ONCE
    with world.faulty(protocol, fault):
        world.play(protocol, {place: told(reason, place) for place in PLACES}, within=within, hasty=hasty)
    if reason and protocol in ("socks5", "https"):
        said = b"".join(bytes(one.heard) for hop, count in before.items() for one in hop.seen[count:])
        # Nothing before its time: no password to whoever asks for none, and no target without a login.
        if fault.phase is not Phase.REPLY:
            assert b".example" not in said
        if fault.phase in (Phase.ACCEPT, Phase.METHOD):
            assert PASSWORD.encode() not in said


def test_a_hop_that_went_away_and_one_that_came_back(protocol: Protocol, world: World) -> None:
    """At the same port: nothing has to be started anew."""
    its = world.hops[protocol]
    with its.bad.away(), its.far.away():
        world.play(protocol, {place: "hop-unreachable" for place in PLACES if place != "pool"} | {"pool": ""})
    world.play(protocol, dict.fromkeys(PLACES, ""))


@pytest.mark.parametrize("manner", [Manner.CLOSE, Manner.RESET])
@pytest.mark.parametrize("after", [0, 2])
def test_a_hop_that_dies_in_the_relay(protocol: Protocol, after: int, manner: Manner, world: World) -> None:
    """What has come is passed on; a reset is one, and so is an end over TLS that was not announced."""
    broken = manner is Manner.RESET or protocol == "https"
    with world.cut(protocol, Cut(after, manner)):
        for place in ("only", "second", "pool"):
            for way in TUNNELS:
                with world.ask(way, name(protocol, place)) as line:
                    heard = line.rest_until_reset() if broken else line.rest()
                    said = way.granted + b"ping"[:after]
                    # A reset may overtake what the hop in front has not read yet.
                    assert heard == said or (place == "second" and said.startswith(heard)), (place, way.name)
            with world.ask(HTTP, name(protocol, place)) as line:
                assert line.rest() == HTTP.refused("upstream-closed"), place
        # Here it dies in the middle of another's handshake, and it may have been either.
        world.play(protocol, {"first": "hop-closed"})
    world.fails_closed()


@pytest.mark.parametrize(("place", "manner"), WHERE_IT_BREAKS_OFF)
def test_an_answer_that_a_hop_breaks_off_is_no_whole_one(
    protocol: Protocol, place: str, manner: Manner, world: World
) -> None:
    head = outside.ANSWER.index(outside.BODY)
    with world.cut(protocol, Cut(head + 2, manner)), world.ask(HTTP, name(protocol, place)) as line:
        assert line.rest_until_reset().endswith(b"\r\n\r\nhe")
    world.fails_closed()
