"""A gateway that is told where to leave from: which cable its packets take, and that nothing else is one.

The second cable leads to the same outside as the first, and the routing table prefers the first: whatever is
not bound goes there, is answered, and is seen. See tests/support/namespace.py.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from anongw.lab import capture
from anongw.lab.capture import TCP, UDP, Packet
from tests.support import asks, namespace, outside, process
from tests.support.asks import CONNECT, SOCKS4, SOCKS5, SOCKS5_V6, WAYS, Way
from tests.support.namespace import (
    CABLE_OUTSIDE,
    CABLE_SECOND,
    CLIENT,
    GATEWAY_INSIDE,
    GATEWAY_OUTSIDE,
    GATEWAY_SECOND,
    GATEWAY_SECOND_6,
    ORIGIN,
    ORIGIN_6,
    RESOLVER,
    ROUTER_SECOND,
)

BOUND = f'egress.interface="{CABLE_SECOND}"'
RECORDS = {
    "origin.example": (ORIGIN,),
    "six.example": (ORIGIN_6,),
    "both.example": (ORIGIN, ORIGIN_6),
}
MARK = 2**31 + 51  # above what a signed number holds

pytestmark = pytest.mark.skipif(bool(namespace.why_not()), reason=namespace.why_not() or "namespaces work")

Play = Callable[..., AbstractContextManager["Scene"]]


@dataclass
class Scene:
    networks: namespace.Networks
    origin: outside.Origin
    names: outside.Names
    where: tuple[str, int] = ("", 0)

    @contextmanager
    def tunnel(self, way: Way, host: str) -> Iterator[Callable[[], bytes]]:
        """An open tunnel, and a call that sends a word through it and waits for the echo."""
        with self.networks.client() as sock:
            sock.settimeout(asks.PATIENCE)
            sock.connect(self.where)
            sock.sendall(way.ask(host, self.origin.port))
            assert asks.exactly(sock, len(way.granted)) == way.granted

            def ping() -> bytes:
                sock.sendall(b"ping")
                return asks.exactly(sock, 4)

            yield ping

    def carries(self, host: str, way: Way = SOCKS5) -> str:
        """Carry a word there and back; the address that the origin saw."""
        with self.tunnel(way, host) as ping:
            assert ping() == b"ping"
        return self.origin.heard[-1].peer[0]

    def refuses(self, way: Way, host: str, reason: str) -> None:
        with self.networks.client() as sock:
            sock.settimeout(asks.PATIENCE)
            sock.connect(self.where)
            sock.sendall(way.ask(host, self.origin.port))
            # Other machines reach this listener, so no header tells a CONNECT why.
            told = asks.http_refusal(asks.CODES[reason][1]) if way is CONNECT else way.refused(reason)
            assert asks.rest(sock) == told, (way.name, host)

    def passed(self, cable: str) -> AbstractContextManager["Passed"]:
        return _passed(self.networks, cable)


class Passed:
    """What the gateway has sent by a cable; filled when the block ends."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    @property
    def edges(self) -> set[tuple[int, str, int]]:
        return {packet.edge for packet in self.packets}

    @property
    def sources(self) -> set[str]:
        return {packet.source for packet in self.packets}


@contextmanager
def _passed(networks: namespace.Networks, cable: str) -> Iterator[Passed]:
    seen = Passed()
    with networks.frames(cable) as frames:
        yield seen
        answering = (ORIGIN, ORIGIN_6, RESOLVER)
        seen.packets = [packet for packet in capture.drain(frames) if packet.source not in answering]


@pytest.fixture(scope="module")
def networks() -> Iterator[namespace.Networks]:
    with namespace.networks() as made:
        yield made


@pytest.fixture
def play(networks: namespace.Networks, tmp_path: Path) -> Play:
    """A gateway between two cables."""

    @contextmanager
    def playing(*settings: str) -> Iterator[Scene]:
        listener = networks.listener(ORIGIN)
        port = listener.getsockname()[1]
        with (
            networks.second_cable(),
            outside.Origin(listener, networks.listener(ORIGIN_6, port)) as origin,
            outside.Names(networks.datagrams(RESOLVER), RECORDS) as names,
        ):
            scene = Scene(networks, origin, names)
            with process.gateway(
                tmp_path,
                f'resolve.servers=["udp://{RESOLVER}:{names.port}"]',
                f'listen.clients=["{CLIENT}/32"]',
                *settings,
                listen=f"{GATEWAY_INSIDE}:0",
                program=[*networks.prefix, *process.PROGRAM],
            ) as running:
                scene.where = running.where
                yield scene

    return playing


def test_unbound_it_leaves_by_the_first_cable(play: Play) -> None:
    """That the others go by the second one is their own doing."""
    with play() as scene:
        with scene.passed(CABLE_OUTSIDE) as first, scene.passed(CABLE_SECOND) as second:
            assert scene.carries("origin.example") == GATEWAY_OUTSIDE
        assert first.edges == {(UDP, RESOLVER, scene.names.port), (TCP, ORIGIN, scene.origin.port)}
        assert second.packets == []


def test_bound_to_an_interface_all_leaves_there(play: Play) -> None:
    with play(BOUND) as scene:
        with scene.passed(CABLE_OUTSIDE) as first, scene.passed(CABLE_SECOND) as second:
            for way in (SOCKS5, SOCKS4, CONNECT):
                assert scene.carries("origin.example", way) == GATEWAY_SECOND
                assert scene.carries(ORIGIN, way) == GATEWAY_SECOND
                assert scene.carries("six.example", way) == GATEWAY_SECOND_6
            assert scene.carries(ORIGIN_6, SOCKS5_V6) == GATEWAY_SECOND_6
        assert first.packets == []
        assert second.sources == {GATEWAY_SECOND, GATEWAY_SECOND_6}
        assert (UDP, RESOLVER, scene.names.port) in second.edges


def test_an_interface_that_goes_away_is_replaced_by_nothing(play: Play) -> None:
    with play(BOUND) as scene, scene.passed(CABLE_OUTSIDE) as first:
        with scene.tunnel(SOCKS5, "origin.example") as ping:
            assert ping() == b"ping"
            asked = len(scene.names.asked)
            scene.networks.cut()
            for way in WAYS:
                scene.refuses(way, ORIGIN, "egress-gone")
                scene.refuses(way, "both.example", "egress-gone")
                scene.refuses(way, "origin.example", "egress-gone")  # known since before
            scene.refuses(SOCKS5_V6, ORIGIN_6, "egress-gone")
            assert len(scene.names.asked) == asked
        with scene.networks.second_cable():  # and by its name it is found again
            assert scene.carries("both.example") in (GATEWAY_SECOND, GATEWAY_SECOND_6)
    assert first.packets == []


@pytest.mark.parametrize("scheme", ["udp", "tcp", "tls", "https"])
def test_without_its_interface_no_resolver_is_asked_by_another(play: Play, scheme: str) -> None:
    server = f'resolve.servers=["{scheme}://{RESOLVER}", "{scheme}://{ORIGIN}"]'
    with play(BOUND, server) as scene, scene.passed(CABLE_OUTSIDE) as first:
        scene.networks.cut()
        for way in WAYS:
            scene.refuses(way, "origin.example", "egress-gone")
    assert first.packets == []


def test_an_interface_that_is_down_is_replaced_by_nothing(play: Play) -> None:
    with play(BOUND) as scene, scene.passed(CABLE_OUTSIDE) as first:
        scene.networks.ip("link", "set", CABLE_SECOND, "down")
        for way in WAYS:
            scene.refuses(way, ORIGIN, "network-unreachable")
            scene.refuses(way, "origin.example", "resolver-failed")
    assert first.packets == []


def test_a_source_is_what_the_far_side_sees(play: Play) -> None:
    with play(f'egress.source=["{GATEWAY_SECOND}"]') as scene:
        with scene.passed(CABLE_OUTSIDE) as first, scene.passed(CABLE_SECOND) as second:
            assert scene.carries("both.example") == GATEWAY_SECOND
            # The other version has no source: it is not used, rather than used with any.
            scene.refuses(SOCKS5_V6, ORIGIN_6, "egress-gone")
            scene.refuses(SOCKS5, "six.example", "egress-gone")
        assert first.sources | second.sources == {GATEWAY_SECOND}


def test_a_source_that_goes_away_is_replaced_by_nothing(play: Play) -> None:
    source = f'egress.source=["{GATEWAY_SECOND}", "{GATEWAY_SECOND_6}"]'
    with play(source) as scene:
        assert scene.carries("origin.example") == GATEWAY_SECOND
        scene.networks.cut()
        with scene.passed(CABLE_OUTSIDE) as first:
            for way in WAYS:
                scene.refuses(way, "origin.example", "egress-gone")
                scene.refuses(way, "both.example", "egress-gone")
            scene.refuses(SOCKS5_V6, ORIGIN_6, "egress-gone")
        assert first.packets == []


def test_a_mark_is_seen_by_the_machines_rules(play: Play) -> None:
    with play(f"egress.mark={MARK}") as scene:
        rule = ("rule", "add", "fwmark", str(MARK), "table", "51", "priority", "100")
        scene.networks.ip(*rule)
        scene.networks.ip(*f"route add default via {ROUTER_SECOND} dev {CABLE_SECOND} table 51".split())
        try:
            with scene.passed(CABLE_OUTSIDE) as first, scene.passed(CABLE_SECOND) as second:
                assert scene.carries("origin.example") == GATEWAY_SECOND
            assert first.packets == []
            assert (UDP, RESOLVER, scene.names.port) in second.edges
        finally:
            scene.networks.ip("rule", "del", *rule[2:])


def test_a_chain_that_has_lost_its_way_out_calls_no_hop_by_another(play: Play) -> None:
    hops = f'chains.lab.hop=[{{url="socks5://{ORIGIN}:1"}}]', 'route=[{to="lab"}]'
    with play(*hops, f'chains.lab.egress.interface="{CABLE_SECOND}"') as scene:
        with scene.passed(CABLE_OUTSIDE) as first:
            with scene.passed(CABLE_SECOND) as second:
                scene.refuses(SOCKS5, "origin.example", "hop-unreachable")
            assert second.edges == {(TCP, ORIGIN, 1)}
            scene.networks.cut()
            for way in WAYS:
                scene.refuses(way, "origin.example", "egress-gone")
        assert first.packets == []
