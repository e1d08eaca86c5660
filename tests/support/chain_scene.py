"""A gateway between its cables, chains that it may go out by, and the judgement on every packet meanwhile.

    client --- in0 gateway out0 --- first hop ... exit --- origin
                                    (from each to the next by the outside's own loopback)

What is said to a hop can be read on the way to it, and on the way to the hops before it, back to the last one
that is spoken to in TLS. That is where its login and what it is asked for may be found, and nowhere else.
See tests/support/namespace.py for the networks.
"""

import base64
import ipaddress
import re
import socket
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import trustme

from anongw.lab import capture
from anongw.lab.capture import ICMP, TCP, UDP, Link, Packet, Watch
from anongw.lab.passed import Passed, in_dns
from tests.support import asks, config_file, namespace, outside, process
from tests.support.asks import CONNECT, HTTP, SOCKS4, SOCKS5, WAYS, Way
from tests.support.config_file import Table
from tests.support.fake_hop import FakeHop, Place, certified
from tests.support.namespace import (
    CLIENT,
    GATEWAY_INSIDE,
    GATEWAY_OUTSIDE,
    GATEWAY_OUTSIDE_6,
    HOPS,
    HOPS_6,
    LOOPBACK,
    ORIGIN,
)

# What clients ask for: in tunnels, and in plain HTTP, which tells the origin too.
NAME, PLAIN_NAME = "secret-site.example", "plain-site.example"
NAME_6, ONION = "six-site.example", "hidden.onion"
# What the name server knows.
HOP_NAME, OTHER_HOP_NAME = "hop.example", "other-hop.example"
DIRECT_NAME, HERE_NAME, LIE = "direct.example", "here.example", "lie.example"
RECORDS = {
    HOP_NAME: (HOPS[0],),
    OTHER_HOP_NAME: (HOPS[0],),
    DIRECT_NAME: (ORIGIN,),
    HERE_NAME: (ORIGIN,),
    LIE: ("127.0.0.1", GATEWAY_INSIDE, "::1"),
}
PASSWORD = b"down-the-rabbit-hole"
# Every client's name begins so, also in Basic's base64.
_CLIENTS = b"client-of-"
_CLIENTS_CODED = base64.b64encode(_CLIENTS[:9])
PLANTED = {
    b"X-Forwarded-For": b"10.1.2.3",
    b"Forwarded": b"for=10.1.2.3",
    b"Via": b"1.1 planted-hop",
    b"From": b"planted@example.org",
    b"Referer": b"http://planted-page.example/",
    b"User-Agent": b"Planted/1.0",
    b"X-Planted": b"planted-value",
    b"Accept-Language": b"xx-PLANTED",
}
_LINES = tuple(b": ".join(pair) for pair in PLANTED.items())
# With nothing behind it: 20.0.0.1 is no part of 20.0.0.11.
_OWN = re.compile(rf"({re.escape(GATEWAY_OUTSIDE)}|{re.escape(GATEWAY_OUTSIDE_6)})(?![0-9a-f])".encode())
_NUMBERS = re.compile(rb"(?<![0-9A-Za-z])[0-9]{5}(?![0-9A-Za-z])")
_NEVER = (
    ipaddress.ip_address(CLIENT).packed,
    CLIENT.encode(),
    GATEWAY_INSIDE.encode(),
    ipaddress.ip_address(GATEWAY_OUTSIDE).packed,
    ipaddress.ip_address(GATEWAY_OUTSIDE_6).packed,
    PASSWORD,
    _CLIENTS,
    _CLIENTS_CODED,
    b"anongw",
    *PLANTED.values(),
)
_NONE: Mapping[str, Place] = {}

Kind = Literal["socks5", "socks4", "http", "https"]
Wish = tuple[bytes, Way, str]  # a client's name, what it speaks and where it wants to go


@dataclass(frozen=True)
class Laid:
    """A chain as it lies outside. `name` is what the config calls it."""

    name: str
    hops: tuple[FakeHop, ...]
    table: Table

    @property
    def client(self) -> bytes:
        """The user name whose route leads through it."""
        return _CLIENTS + self.name.encode()

    @property
    def first(self) -> Place:
        return self.hops[0].place

    def wishes(self, *hosts: str, ways: Iterable[Way] = WAYS) -> list[Wish]:
        """Its client's, for each of these hosts by each of these ways."""
        return [
            (self.client, way, PLAIN_NAME if way is HTTP and host == NAME else host)
            for way in ways
            for host in hosts
        ]

    def readers(self, number: int) -> set[Place]:
        """On the way to whom it can be read what is said to this hop."""
        found = set[Place]()
        for hop in reversed(self.hops[: number + 1]):
            if hop.upstream.scheme == "https":
                break
            found.add(hop.place)
        return found

    @property
    def exits(self) -> set[Place]:
        """On the way to whom it can be read what the exit is asked for."""
        return self.readers(len(self.hops) - 1)

    def between(self, *targets: Place) -> set[tuple[str, Place]]:
        """From hop to hop, and from the exit to these."""
        addresses = [hop.place[0] for hop in self.hops]
        exits = {4: HOPS[len(addresses) - 1], 6: HOPS_6[len(addresses) - 1]}
        onward = {(before, hop.place) for before, hop in zip(addresses, self.hops[1:], strict=False)}
        return onward | {(exits[ipaddress.ip_address(place[0]).version], place) for place in targets}


class Scene:
    """The world around a gateway, and its `listeners`."""

    def __init__(self, networks: namespace.Networks, stack: ExitStack) -> None:
        self.networks = networks
        listener = networks.listener(ORIGIN)
        port = listener.getsockname()[1]
        frames = {
            name: networks.frames(*place)
            for name, place in {
                "inward": (namespace.CABLE_INSIDE,),
                "outward": (namespace.CABLE_OUTSIDE,),
                "own": (LOOPBACK,),
                "onward": (LOOPBACK, "outside"),
            }.items()
        }
        self.watch = stack.enter_context(Watch(frames))
        self.origin = stack.enter_context(
            outside.Origin(listener, networks.listener(namespace.ORIGIN_6, port))
        )
        resolver = networks.datagrams(namespace.RESOLVER)
        over_tcp = networks.listener(namespace.RESOLVER, resolver.getsockname()[1])
        self.names = stack.enter_context(outside.Names(resolver, RECORDS, over_tcp))
        self.ca = trustme.CA()
        self.listeners: list[Place] = []
        self.chains: dict[str, Laid] = {}
        self.to_origin: Place = (ORIGIN, port)
        self.to_origin_6: Place = (namespace.ORIGIN_6, port)
        self.to_names: Place = (namespace.RESOLVER, self.names.port)
        self._stack = stack
        self._known = set[Link]()  # connections, from the side that opened them
        self._ports = set[int]()  # the client's
        self._logins = set[bytes]()

    # What is laid out

    def hop(
        self, name: str, kind: Kind, number: int = 0, *, host: str = "", names: Mapping[str, Place] = _NONE
    ) -> FakeHop:
        """A hop outside, at this place of a chain; nobody but the gateway can log in to it."""
        host = host or HOPS[number]
        user, password = f"{name}-{number}-user", f"{name}-{number}-pass"
        self._logins |= {user.encode(), password.encode(), basic(user, password)}
        return self._stack.enter_context(
            FakeHop(
                "http" if kind == "https" else kind,
                users={user: "" if kind == "socks4" else password},
                tls=certified(self.ca, host) if kind == "https" else None,
                listener=self.networks.listener(host),
                outgoing=self.networks.outgoing(HOPS[number], HOPS_6[number]),
                names={**self._targets(), **names},
            )
        )

    def chain(self, name: str, *kinds: Kind, **keys: object) -> Laid:
        """A chain of such hops; `keys`: what else its table says."""
        hops = tuple(self.hop(name, kind, number) for number, kind in enumerate(kinds))
        return self.lay(name, hops, [self.table(hop) for hop in hops], **keys)

    def lay(self, name: str, hops: tuple[FakeHop, ...], tables: Sequence[Table], **keys: object) -> Laid:
        """A chain of hops that are there, which its `tables` name."""
        laid = self.chains[name] = Laid(name, hops, {"hop": tables, **keys})
        return laid

    def table(self, hop: FakeHop, host: str = "") -> Table:
        """A hop as a config writes it; `host`: by which name."""
        upstream = replace(hop.upstream, host=host or hop.upstream.host)
        if upstream.scheme == "socks4":
            return {"url": upstream.bare, "user": upstream.user}
        return {"url": upstream.url} | ({"ca_file": "ca.pem"} if upstream.scheme == "https" else {})

    def _targets(self) -> Mapping[str, Place]:
        return {
            **dict.fromkeys((NAME, PLAIN_NAME, ONION, DIRECT_NAME), self.to_origin),
            NAME_6: self.to_origin_6,
        }

    def write(self, directory: Path, route: Sequence[Table]) -> Path:
        """The config of a gateway that has all the chains."""
        self.ca.cert_pem.write_to_path(directory / "ca.pem")
        chains = {one.name: one.table for one in self.chains.values()}
        return config_file.write(directory / "anongw.toml", chains=chains, route=route)

    @contextmanager
    def gateway(
        self, path: Path, *settings: str, meanwhile: Container[Place] = ()
    ) -> Iterator[process.Gateway]:
        """Run it until the block ends; what has passed since the block looked last is judged as well.

        `meanwhile`: whom it may have called without a client.
        """
        with process.gateway(
            path.parent,
            f'resolve.servers=["udp://{namespace.RESOLVER}:{self.names.port}"]',
            f'listen.clients=["{CLIENT}/32"]',
            "limits.shutdown=1s",
            *settings,
            listen=f"{GATEWAY_INSIDE}:0",
            program=[*self.networks.prefix, *process.PROGRAM],
            arguments=("--config", str(path)),
        ) as running:
            self.listeners = [_place(address) for address in running.addresses]
            yield running
        passed = self.passed()
        assert all(place in meanwhile for place in passed.opened)
        assert passed.asked == set()

    # What clients do

    @contextmanager
    def asking(self, who: bytes, way: Way, host: str, *, port: int = 0) -> Iterator[socket.socket]:
        """A client that has said what it wants."""
        with self.connected() as sock:
            sock.sendall(_asked(who, way, host, port or self.origin.port))
            yield sock

    @contextmanager
    def connected(self, listener: int = 0) -> Iterator[socket.socket]:
        with self.networks.client() as sock:
            sock.settimeout(asks.PATIENCE)
            sock.connect(self.listeners[listener])
            self._ports.add(sock.getsockname()[1])
            yield sock

    @contextmanager
    def tunnel(self, who: bytes, way: Way, host: str) -> Iterator[socket.socket]:
        with self.asking(who, way, host) as sock:
            expected = _granted(way, host)
            assert asks.exactly(sock, len(expected)) == expected
            yield sock

    def carries(self, who: bytes, way: Way, host: str) -> None:
        """Carry a word there and back."""
        with self.connected() as sock:
            self.serves(sock, who, way, host)

    def serves(self, sock: socket.socket, who: bytes, way: Way, host: str) -> None:
        """The same for a client that is there already."""
        sock.sendall(_asked(who, way, host, self.origin.port))
        if way is HTTP:
            assert asks.rest(sock).endswith(outside.BODY)
            return
        expected = _granted(way, host)
        assert asks.exactly(sock, len(expected)) == expected
        sock.sendall(b"ping")
        assert asks.exactly(sock, 4) == b"ping"

    def get(self, sock: socket.socket, who: bytes, host: str) -> None:
        """One request of several on a client's connection."""
        sock.sendall(_asked(who, HTTP, host, self.origin.port, last=False))
        heard = b""
        while not heard.endswith(outside.BODY):
            heard += asks.exactly(sock, 1)

    def refuses(self, *wishes: Wish) -> None:
        """Carry nothing for any of these, who ask all at once."""
        with ExitStack() as stack:
            socks = [stack.enter_context(self.asking(*wish)) for wish in wishes]
            for (who, way, host), sock in zip(wishes, socks, strict=True):
                heard = asks.rest(sock)
                right = outside.BODY if way is HTTP else _granted(way, host)
                assert right not in heard, (who, way.name, host)

    # What is judged

    def passed(self) -> Passed:
        """What has passed since the last time, judged by what holds always."""
        seen = self.watch.take()
        assert seen["own"] == [], "nothing is asked of this machine itself"
        self._judge_inward(seen["inward"])
        outward = seen["outward"]
        # Each is seen twice there, as it is sent and as it is received.
        onward = [packet for packet in seen["onward"] if packet.sent]
        self._known |= {packet.link for packet in (*outward, *onward) if packet.sent and packet.opens}
        for packet in outward:
            near, far = packet.link[:2], packet.link[2:]
            link = (*near, *far) if packet.sent else (*far, *near)
            question = packet.protocol == UDP and link[2:] == self.to_names
            # The kernel's word that an answer came when nobody waited for it any more.
            question = question or (packet.protocol == ICMP and packet.target == self.to_names[0])
            assert question or (packet.protocol == TCP and link in self._known), packet
            assert link[1] not in self._ports, "the client's port is a number that both sides could compare"
        passed = Passed(outward, onward, self._known)
        self._judge_secrets(passed)
        self._ports.clear()
        return passed

    def _judge_inward(self, packets: list[Packet]) -> None:
        for packet in packets:
            near, far = packet.link[:2], packet.link[2:]
            assert packet.protocol == TCP
            assert near in self.listeners or far in self.listeners
            assert {near[0], far[0]} == {GATEWAY_INSIDE, CLIENT}
        said = b"\n".join(data for link, data in capture.streams(packets) if link[2] == CLIENT)
        places = [form for host in HOPS for form in (host.encode(), ipaddress.ip_address(host).packed)]
        for secret in (*self._logins, *places):
            assert secret not in said, "clients learn nothing of hops"

    def _judge_secrets(self, passed: Passed) -> None:
        assert passed.readers(*_NEVER) == set()
        targets = (NAME, PLAIN_NAME, NAME_6, ONION)
        assert passed.readers(*map(in_dns, targets)) == set(), "a question for a target's name"
        assert not any(_OWN.search(data) for _, data in passed.streams), "the gateway's address is told"
        numbers = {int(found) for _, data in passed.streams for found in _NUMBERS.findall(data)}
        assert not numbers & self._ports, "a client's port is told"
        address = ipaddress.ip_address(CLIENT).packed
        assert not any(address in packet.whole for packet in (*passed.outward, *passed.onward))


def basic(user: str, password: str) -> bytes:
    return base64.b64encode(f"{user}:{password}".encode())


def logins(hop: FakeHop) -> tuple[bytes, ...]:
    """What proves the gateway to this hop, as it is sent."""
    upstream = hop.upstream
    if upstream.scheme in ("http", "https"):
        return (basic(upstream.user, upstream.password),)
    return tuple(word.encode() for word in (upstream.user, upstream.password) if word)


def _place(address: str) -> Place:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _asked(who: bytes, way: Way, host: str, port: int, *, last: bool = True) -> bytes:
    proof = b"Proxy-Authorization: Basic " + base64.b64encode(who + b":" + PASSWORD)
    if way is SOCKS5:
        return asks.socks5_login(who, PASSWORD) + asks.socks5_request(host, port)
    if way is SOCKS4:
        return asks.socks4(host, port, who)
    if way is CONNECT:
        return asks.connect(host, port, proof, *_LINES)
    return asks.get(host, port, proof, *_LINES, b"Connection: close" if last else b"Connection: keep-alive")


def _granted(way: Way, host: str) -> bytes:
    if way is SOCKS5:
        return b"\x05\x02\x01\x00" + asks.socks5_reply(0, six=":" in host)
    return way.granted


@contextmanager
def scene(networks: namespace.Networks) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(networks, stack)
