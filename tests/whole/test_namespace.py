"""What really leaves the machine: every packet on the gateway's cables, in a network of its own.

The gateway may send to its resolver's one port and to the origins that were asked for, and to nobody else;
and nothing that it sends there may tell who asked. See tests/support/namespace.py for the network.
"""

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import pytest

from anongw.lab import capture
from anongw.lab.capture import TCP, UDP, Packet
from tests.support import asks, namespace, outside, process
from tests.support.asks import CONNECT, HTTP, SOCKS4, SOCKS5, WAYS, Way
from tests.support.namespace import (
    CLIENT,
    GATEWAY_INSIDE,
    GATEWAY_OUTSIDE,
    ORIGIN,
    ORIGIN_6,
    REFUSING,
    RESOLVER,
    RESOLVER_6,
)

USER, PASSWORD = b"alice-of-wonderland", b"down-the-rabbit-hole"
PLANTED = {
    b"X-Forwarded-For": b"10.1.2.3",
    b"Forwarded": b"for=10.1.2.3",
    b"Via": b"1.1 planted-hop",
    b"From": b"planted@example.org",
    b"Referer": b"http://planted-page.example/",
    b"User-Agent": b"Planted/1.0",
    b"X-Planted": b"planted-value",
    b"Accept-Language": b"xx-PLANTED",
    b"If-None-Match": b'"planted-tag"',
    b"Proxy-Authorization": b"Basic " + base64.b64encode(USER + b":" + PASSWORD),
}
RECORDS = {
    "origin.example": (ORIGIN,),
    "six.example": (ORIGIN_6,),
    "refusing.example": (REFUSING,),
    "lie.example": ("127.0.0.1", "10.77.0.2", "::1", "fe80::1", "::ffff:192.168.0.1"),
}
REFUSED_NAMES = ("localhost", "printer", "x.local", "x.onion", "x.internal", "x.home.arpa", "x.test", "x.alt")
PRIVATE = ("127.0.0.1", "10.77.0.2", "10.77.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1")

pytestmark = pytest.mark.skipif(bool(namespace.why_not()), reason=namespace.why_not() or "namespaces work")


Play = Callable[..., AbstractContextManager["Scene"]]


@dataclass
class Scene:
    """A gateway with the world around it; `seen` is filled when the gateway has ended."""

    networks: namespace.Networks
    origin: outside.Origin
    names: outside.Names
    where: tuple[str, int] = ("", 0)
    ports: set[int] = field(default_factory=set)  # the client's
    outward: list[Packet] = field(default_factory=list)
    inward: list[Packet] = field(default_factory=list)
    own: list[Packet] = field(default_factory=list)  # on the gateway's loopback

    def ask(self, raw: bytes, *, count: int = 0) -> bytes:
        """Say it as the client; the first `count` bytes of the answer, or all until the end."""
        with self.networks.client() as sock:
            sock.settimeout(asks.PATIENCE)
            sock.connect(self.where)
            self.ports.add(sock.getsockname()[1])
            sock.sendall(raw)
            if not count:
                return asks.rest(sock)
            heard = asks.exactly(sock, count)
            sock.sendall(b"ping")
            assert asks.exactly(sock, 4) == b"ping"
            return heard

    def refused(self, way: Way, host: str, port: int, reason: str) -> None:
        # Other machines reach this listener, so no header tells a CONNECT why.
        expected = asks.http_refusal(asks.CODES[reason][1]) if way is CONNECT else way.refused(reason)
        assert self.ask(way.ask(host, port)) == expected, (way.name, host)

    def edges(self) -> set[tuple[int, str, int]]:
        return {packet.edge for packet in self.outward}

    @property
    def to_names(self) -> tuple[int, str, int]:
        return UDP, RESOLVER, self.names.port

    @property
    def to_origin(self) -> tuple[int, str, int]:
        return TCP, ORIGIN, self.origin.port


@pytest.fixture(scope="module")
def networks() -> Iterator[namespace.Networks]:
    with namespace.networks() as made:
        yield made


@pytest.fixture
def play(networks: namespace.Networks, tmp_path: Path) -> Play:
    """Make scenes, each judged by `judge` once it is over."""

    @contextmanager
    def playing(*settings: str, resolver: str = RESOLVER) -> Iterator[Scene]:
        listener = networks.listener(ORIGIN)
        port = listener.getsockname()[1]
        with (
            networks.frames(namespace.CABLE_OUTSIDE) as outward_cable,
            networks.frames(namespace.CABLE_INSIDE) as inward_cable,
            networks.frames("lo") as own_cable,
            outside.Origin(listener, networks.listener(ORIGIN_6, port)) as origin,
            outside.Names(networks.datagrams(resolver), RECORDS) as names,
        ):
            scene = Scene(networks, origin, names)
            server = f"[{resolver}]" if ":" in resolver else resolver
            with process.gateway(
                tmp_path,
                f'resolve.servers=["udp://{server}:{names.port}"]',
                f'listen.clients=["{CLIENT}/32"]',
                *settings,
                listen=f"{GATEWAY_INSIDE}:0",
                program=[*networks.prefix, *process.PROGRAM],
            ) as running:
                scene.where = running.where
                yield scene
            cables = (outward_cable, inward_cable, own_cable)
            outward, scene.inward, scene.own = map(capture.drain, cables)
            mine = (namespace.GATEWAY_OUTSIDE, namespace.GATEWAY_OUTSIDE_6)
            scene.outward = [packet for packet in outward if packet.source in mine]
            assert all(packet in scene.outward or packet.target in mine for packet in outward)
            judge(scene)

    return playing


def judge(scene: Scene) -> None:
    """What holds in every scene."""
    assert scene.own == [], "nothing is asked of this machine itself"
    inside = {CLIENT, GATEWAY_INSIDE}
    assert {packet.source for packet in scene.inward} | {packet.target for packet in scene.inward} <= inside
    assert all(scene.where[1] in (packet.source_port, packet.target_port) for packet in scene.inward)
    sources = {packet.source_port for packet in scene.outward}
    assert not sources & scene.ports, "the client's port is a number that both sides could compare"
    address = bytes(int(part) for part in CLIENT.split("."))
    secrets = [
        address,
        CLIENT.encode(),
        GATEWAY_INSIDE.encode(),
        USER,
        PASSWORD,
        b"anongw",
        *PLANTED.values(),
    ]
    secrets += [str(port).encode() for port in scene.ports]
    for packet in scene.outward:
        for secret in secrets:
            assert secret.lower() not in packet.whole.lower(), (secret, packet.edge)


def test_good_requests_meet_the_resolver_and_the_origin_only(play: Play) -> None:
    with play() as scene:
        port = scene.origin.port
        for host in ("origin.example", ORIGIN):
            login = asks.socks5_login(USER, PASSWORD) + asks.socks5_request(host, port)
            assert scene.ask(login, count=14) == b"\x05\x02\x01\x00" + asks.socks5_reply(0)
            assert scene.ask(asks.socks4(host, port, USER), count=8) == asks.socks4_reply(0x5A)
            planted = [b": ".join(pair) for pair in PLANTED.items()]
            assert scene.ask(asks.connect(host, port, *planted), count=39) == asks.ESTABLISHED
            answer = scene.ask(asks.get(host, port, *planted, b"Connection: close"))
            assert answer.endswith(outside.BODY)
    assert scene.edges() == {scene.to_names, scene.to_origin}
    assert set(scene.names.asked) == {"origin.example"}
    assert b"Host: origin.example" in scene.origin.everything


def test_a_question_says_no_more_than_a_question(play: Play) -> None:
    """No client subnet, no cookie, no name but the one; a fresh port and number for each."""
    with play() as scene:
        for way, count in ((SOCKS5, 12), (SOCKS4, 8), (CONNECT, 39)):
            user = asks.socks5_login(USER, b"") if way is SOCKS5 else b""
            assert user or scene.ask(way.ask("origin.example", scene.origin.port), count=count)
            if user:
                request = asks.socks5_request("origin.example", scene.origin.port)
                assert scene.ask(user + request, count=14)
    questions = [dns.message.from_wire(wire) for wire in scene.names.raw]
    assert {len(one.question) for one in questions} == {1}
    # RFC 7871 §7.1.2: a prefix of 0 bits, the way to ask a resolver to send no subnet of ours either.
    options = {option.to_text() for one in questions for option in one.options}
    assert options <= {"ECS 0.0.0.0/0 scope/0", "ECS ::/0 scope/0"}
    assert not any(one.answer or one.authority for one in questions)
    ports = [packet.source_port for packet in scene.outward if packet.edge == scene.to_names]
    assert len(set(ports)) == len(ports) == len(questions)


def test_names_that_are_nobodys_business_are_asked_of_nobody(play: Play) -> None:
    with play() as scene:
        for way in WAYS:
            for host in REFUSED_NAMES:
                scene.refused(way, host, 80, "private-name")
    assert scene.outward == []


def test_private_addresses_are_sent_nothing(play: Play) -> None:
    with play() as scene:
        for way in WAYS:
            for host in PRIVATE:
                scene.refused(way, host, 80, "private-target")
            scene.refused(way, GATEWAY_INSIDE, scene.where[1], "own-listener")
    assert scene.outward == []


def test_a_silent_resolver_is_replaced_by_nobody(play: Play) -> None:
    with play("resolve.timeout=300ms") as scene:
        scene.names.silent = True
        for way in WAYS:
            scene.refused(way, "origin.example", scene.origin.port, "resolver-failed")
        assert scene.origin.heard == []
    assert scene.edges() == {scene.to_names}


def test_a_dead_resolver_is_replaced_by_nobody(play: Play) -> None:
    dead = f'resolve.servers=["udp://{RESOLVER}:1", "tcp://{RESOLVER}:2", "tls://{RESOLVER}:3#a.example"]'
    with play(dead) as scene:
        for way in WAYS:
            scene.refused(way, "origin.example", scene.origin.port, "resolver-failed")
    assert scene.edges() <= {(UDP, RESOLVER, 1), (TCP, RESOLVER, 1), (TCP, RESOLVER, 2), (TCP, RESOLVER, 3)}
    assert {packet.target for packet in scene.outward} == {RESOLVER}


def test_private_answers_are_not_followed(play: Play) -> None:
    with play() as scene:
        for way in WAYS:
            scene.refused(way, "lie.example", scene.origin.port, "rebinding")
    assert scene.edges() == {scene.to_names}


def test_a_name_that_does_not_exist_is_searched_nowhere_else(play: Play) -> None:
    with play() as scene:
        for way in WAYS:
            scene.refused(way, "absent.example", 80, "name-not-found")
    assert scene.edges() == {scene.to_names}
    assert set(scene.names.asked) == {"absent.example"}


def test_a_name_with_ipv6_addresses_only(play: Play) -> None:
    with play() as scene:
        for way, count in ((SOCKS5, 12), (SOCKS4, 8), (CONNECT, 39)):
            assert scene.ask(way.ask("six.example", scene.origin.port), count=count) == way.granted
    assert scene.edges() == {scene.to_names, (TCP, ORIGIN_6, scene.origin.port)}


def test_an_ipv4_gateway_sends_no_ipv6(play: Play) -> None:
    with play('resolve.family="ipv4"') as scene:
        for way in WAYS:
            scene.refused(way, "six.example", scene.origin.port, "name-not-found")
    assert scene.edges() == {scene.to_names}


def test_an_origin_that_refuses_is_replaced_by_nobody(play: Play) -> None:
    with play() as scene:
        for way in WAYS:
            scene.refused(way, "refusing.example", 80, "connection-refused")
            scene.refused(way, REFUSING, 80, "connection-refused")
    assert scene.edges() == {scene.to_names, (TCP, REFUSING, 80)}


def test_a_resolver_on_ipv6(play: Play) -> None:
    with play(resolver=RESOLVER_6) as scene:
        assert scene.ask(SOCKS5.ask("origin.example", scene.origin.port), count=12) == SOCKS5.granted
    assert scene.edges() == {(UDP, RESOLVER_6, scene.names.port), scene.to_origin}


def test_a_stranger_causes_no_packet(play: Play) -> None:
    # A hash that no password has: what matters is that nothing leaves before one was right.
    users = f"users.alice=$scrypt$ln=14,r=8,p=1${'A' * 22}${'A' * 43}"
    with play(users) as scene:
        login = asks.socks5_login(USER, PASSWORD) + asks.socks5_request("origin.example", 80)
        assert scene.ask(login) == b"\x05\x02\x01\x01"
        assert scene.ask(SOCKS5.ask("origin.example", 80)) == b"\x05\xff"
        assert scene.ask(SOCKS4.ask("origin.example", 80)) == asks.socks4_reply(0x5D)
        for ask in (asks.connect, asks.get):
            proof = b": ".join((b"Proxy-Authorization", PLANTED[b"Proxy-Authorization"]))
            answer = scene.ask(ask("origin.example", 80, proof, b"Connection: close"))
            assert answer == asks.http_refusal(407)
    assert scene.outward == []


@pytest.mark.parametrize(
    ("sin", "complaint"),
    [
        ("(b'', ('8.8.8.8', 53))", "an edge"),
        (f"(b'I am {CLIENT}', ('{RESOLVER}', 5))", CLIENT),
        ("(b'', ('127.0.0.53', 53))", "this machine"),
    ],
)
def test_a_leak_would_be_seen(sin: str, complaint: str, play: Play) -> None:
    program = f"import socket; socket.socket(2, 2).sendto(*{sin})"

    def leak() -> None:
        with play() as scene:
            subprocess.run([*scene.networks.prefix, sys.executable, "-c", program], check=True)
        assert scene.edges() == set(), "an edge"

    with pytest.raises(AssertionError, match=complaint):
        leak()


def test_this_machines_public_address_is_no_target(play: Play) -> None:
    """Open or closed, a port of the gateway's own public address is refused alike, and meets nobody."""
    program = (
        "import socket; s = socket.socket(); s.bind((" + repr(GATEWAY_OUTSIDE) + ", 2222)); s.listen();"
        "print('up', flush=True); s.accept(); print('met')"
    )
    with (
        play() as scene,
        subprocess.Popen(
            [*scene.networks.prefix, sys.executable, "-c", program], stdout=subprocess.PIPE
        ) as service,
    ):
        assert service.stdout is not None
        assert service.stdout.readline() == b"up\n"
        answers = {scene.ask(SOCKS5.ask(GATEWAY_OUTSIDE, port)) for port in (2222, 2223)}
        service.kill()
        met = service.stdout.read()
    assert answers == {SOCKS5.refused("own-listener")}
    assert met == b""


def test_nothing_of_http_is_left_out(play: Play) -> None:
    """The planted lines must have been planted: with profile `open`, one of them arrives."""
    with play('scrub.profile="open"') as scene:
        line = b"X-Visible: seen"
        assert scene.ask(HTTP.ask(ORIGIN, scene.origin.port)[:-2] + line + b"\r\nConnection: close\r\n\r\n")
    assert line in capture.spoken(scene.outward, ORIGIN)
