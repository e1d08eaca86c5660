"""Every `socket.*` event of a process whose flows go through chains: first hops are met, and nobody else.

As test_audit.py has it for the direct way: the interpreter tells of each event, and each must be one that is
listed. Resolvers are asked for a first hop's name, and by nobody of this machine for a target's.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme
from anyio.from_thread import start_blocking_portal

from tests.support import asks, outside
from tests.support.asks import TUNNELS, WAYS
from tests.support.audit import Follower
from tests.support.config_file import Table, configured
from tests.support.dns_server import FakeDns, running
from tests.support.fake_hop import FakeHop, Place, certified
from tests.support.hop_faults import PROTOCOLS, Protocol
from tests.support.process import Gateway
from tests.whole.test_audit import violations

NAME = "origin.example"
RECORDS = {NAME: ("127.0.0.9",), "hop.example": ("127.0.0.1",), "lie.example": ("10.0.0.1",)}
# Of this house, or of an overlay that no chain here is marked for.
NEVER_TOLD = (
    "localhost",
    "printer",
    "a.local",
    "b.onion",
    "c.internal",
    "d.home.arpa",
    "e.test",
    "f.alt",
    "g.i2p",
    "h.invalid",
)


class World:
    """Two hops, an origin behind them, and a resolver beside them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._folder = folder
        self._stack = stack
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.origin = stack.enter_context(outside.Origin(outside.listening("127.0.0.9")))
        self.dns = FakeDns(RECORDS, ca=self.ca, host="127.0.0.8")
        portal = stack.enter_context(start_blocking_portal())
        stack.enter_context(portal.wrap_async_context_manager(running(self.dns)))

    @property
    def asked(self) -> set[str]:
        return {seen.name for seen in self.dns.seen}

    def hop(self, scheme: Protocol = "socks5", names: Mapping[str, Place] | None = None) -> FakeHop:
        tls = certified(self.ca, "127.0.0.1") if scheme == "https" else None
        known = {NAME: (self.origin.host, self.origin.port), **(names or {})}
        hop = FakeHop("http" if scheme == "https" else scheme, tls=tls, names=known)
        return self._stack.enter_context(hop)

    def table(self, hop: FakeHop) -> Table:
        trusted = {"ca_file": str(self._folder / "ca.pem")} if hop.url.startswith("https:") else {}
        return {"url": hop.url, **trusted}

    @contextmanager
    def gateway(
        self, chain: Table, *peers: Place, server: str = "udp", routes: Sequence[Table] = ()
    ) -> Iterator[Gateway]:
        """One whose everything goes through this chain; it may meet these peers, and must."""
        events = Follower(self._folder / "audit.jsonl")
        with configured(
            self._folder,
            program=events.program,
            policy={"allow_private": ["127.0.0.9/32"]},
            resolve={"servers": [self.dns.url(server)], "ca_file": str(self._folder / "ca.pem")},
            chains={"lab": chain},
            route=[*routes, {"to": "lab"}],
        ) as one:
            yield one
        seen = events.new()
        assert violations(seen, set(peers)) == []
        met = [event.args[0] for event in seen if event.name == "socket.connect"]
        assert all(list(peer) in met for peer in peers), "the run was to reach them"

    def drive(self, gateway: Gateway, *hosts: str) -> None:
        """Every protocol, good targets and all kinds of bad ones."""
        for host in hosts:
            for way in TUNNELS:
                asks.served(gateway.where, host, self.origin.port, way)
            answer = asks.exchange(gateway.where, asks.get(host, self.origin.port, b"Connection: close"))
            assert answer.endswith(b"\r\n\r\n" + outside.BODY)
        for way in WAYS:
            for host in NEVER_TOLD:
                said = way.ask(host, self.origin.port)
                assert asks.exchange(gateway.where, said) == way.refused("private-name")
            for host in ("127.0.0.1", "169.254.169.254", "10.0.0.1"):
                said = way.ask(host, self.origin.port)
                assert asks.exchange(gateway.where, said) == way.refused("private-target")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, tmp_path)


@pytest.mark.parametrize("scheme", PROTOCOLS)
def test_only_the_first_hop_is_met(scheme: Protocol, world: World) -> None:
    second = world.hop("https" if scheme == "socks4" else "socks4")
    first = world.hop(scheme)
    with world.gateway({"hop": [world.table(first), world.table(second)]}, first.place) as gateway:
        world.drive(gateway, NAME, "127.0.0.9")
        for way in WAYS:
            # The exit knows no such name, and nobody else is asked.
            said = way.ask("unknown.example", world.origin.port)
            assert asks.exchange(gateway.where, said) == way.refused("host-unreachable")
    assert world.asked == set()
    assert {one.host for one in second.seen} == {NAME, "127.0.0.9", "unknown.example"}


@pytest.mark.parametrize("server", ["tcp", "tls", "https"])
def test_names_that_are_resolved_here_are_asked_for_through_the_chain(server: str, world: World) -> None:
    first, second = world.hop("http"), world.hop()
    chain = {"hop": [world.table(first), world.table(second)], "names": "here"}
    with world.gateway(chain, first.place, server=server) as gateway:
        world.drive(gateway, NAME, "127.0.0.9")
        for way in WAYS:
            for host, reason in (("lie.example", "rebinding"), ("unknown.example", "name-not-found")):
                said = way.ask(host, world.origin.port)
                assert asks.exchange(gateway.where, said) == way.refused(reason)
    assert world.asked == {NAME, "lie.example", "unknown.example"}
    assert world.dns.peers == {"127.0.0.1"}
    assert {one.host for one in second.seen} == {"127.0.0.8", "127.0.0.9"}


@pytest.mark.parametrize("server", ["udp", "tcp", "tls", "https"])
def test_of_names_only_the_first_hops_is_asked_here(server: str, world: World) -> None:
    second = world.hop("http")
    first = world.hop(names={"second.example": second.place})
    chain = {
        "hop": [
            {"url": f"socks5://hop.example:{first.port}"},
            {"url": f"http://second.example:{second.port}"},
        ]
    }
    url = world.dns.url(server).removeprefix(f"{server}://127.0.0.8:")
    resolver = "127.0.0.8", int(url.partition("/")[0].partition("#")[0])
    with world.gateway(chain, first.place, resolver, server=server) as gateway:
        world.drive(gateway, NAME, "127.0.0.9")
    assert world.asked == {"hop.example"}
    assert first.asked[0] == ("second.example", second.port)


def test_a_probe_goes_through_its_chain(world: World) -> None:
    first, second = world.hop(), world.hop()
    chain = {
        "hop": [world.table(first), world.table(second)],
        "probe": {"target": f"{NAME}:{world.origin.port}", "every": "300ms"},
    }
    with world.gateway(chain, first.place):
        second.until(lambda: len(second.seen) >= 3)
    assert world.asked == set()
    assert set(second.asked) == {(NAME, world.origin.port)}


def test_a_route_of_another_way_changes_nothing_for_the_others(world: World) -> None:
    """Beside a direct route: what is not for it is not looked up by it."""
    hop = world.hop(names={"through.example": (world.origin.host, world.origin.port)})
    routes = [{"target": [f"={NAME}"], "to": "direct"}]
    resolver = "127.0.0.8", int(world.dns.url("udp").rpartition(":")[2])
    origin = world.origin.host, world.origin.port
    with world.gateway({"hop": [world.table(hop)]}, hop.place, resolver, origin, routes=routes) as gateway:
        for host in (NAME, "through.example"):
            for way in TUNNELS:
                asks.served(gateway.where, host, world.origin.port, way)
    assert world.asked == {NAME}
    assert set(hop.asked) == {("through.example", world.origin.port)}


def test_without_its_hop_nothing_goes_anywhere(world: World) -> None:
    """Nor where a direct route stands beside it: it is no one's second choice."""
    hop = world.hop()
    routes = [{"target": ["=other.example"], "to": "direct"}]
    with hop.away(), world.gateway({"hop": [world.table(hop)]}, hop.place, routes=routes) as gateway:
        for way in WAYS:
            for host in (NAME, "127.0.0.9"):
                said = way.ask(host, world.origin.port)
                assert asks.exchange(gateway.where, said) == way.refused("hop-unreachable")
    assert world.asked == set()
    assert world.origin.heard == []
