"""The fake hop alone: it relays like a real one, to whom it may, and leaves nothing behind."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import asks, namespace, outside
from tests.support.asks import CONNECT, SOCKS4, SOCKS5, TUNNELS, Way
from tests.support.fake_hop import FakeHop, Scheme, certified
from tests.support.hop_client import (
    CA,
    HOP_NAME,
    NAME,
    SMALL,
    client,
    heard_to_the_last,
    last,
    login,
    narrow,
    nothing_is_left,
    reached,
    secured,
    tls,
)
from tests.support.outside import Origin, listening
from tests.support.programs import output
from tests.support.raw_origin import Line, meanwhile
from tests.support.upstreams import PASSWORD, USER

PROTOCOLS: dict[str, Scheme] = {"socks5": "socks5", "socks4": "socks4", "connect": "http"}
BY_WAY = pytest.mark.parametrize("way", TUNNELS, ids=[way.name for way in TUNNELS])
PLAIN_OR_TLS = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
BULK = 4 << 20


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    with nothing_is_left():
        yield


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin(listening("127.0.0.9")) as one:
        yield one


@BY_WAY
@PLAIN_OR_TLS
def test_it_relays_to_a_name_and_remembers(way: Way, origin: Origin, *, secure: bool) -> None:
    names = reached(origin)
    with FakeHop(PROTOCOLS[way.name], names=names, tls=tls(secure=secure)) as hop:
        with client(hop, secure=secure) as line:
            said = way.ask(NAME, 80) + b"ping"
            line.send(said)
            assert line.exactly(len(way.granted) + 4) == way.granted + b"ping"
            hop.until(lambda: hop.live == 1)
        hop.until(lambda: hop.live == 0)
        (seen,) = hop.seen
        assert seen.target == (NAME, 80)
        assert seen.kind == "name"
        assert seen.heard == said
        assert seen.carried == b"ping"
        assert seen.server_name == (HOP_NAME if secure else None)
        assert hop.asked == [(NAME, 80)]
        assert hop.everything == said


@pytest.mark.parametrize(("host", "kind"), [("127.0.0.1", "ipv4"), ("::1", "ipv6")])
@pytest.mark.parametrize("way", [SOCKS5, CONNECT], ids=["socks5", "connect"])
def test_an_address_is_connected_to_as_it_is(way: Way, host: str, kind: str) -> None:
    with Origin(listening(host)) as origin, FakeHop(PROTOCOLS[way.name]) as hop:
        asks.served(hop.place, host, origin.port, way)
        assert (hop.seen[0].target, hop.seen[0].kind) == ((host, origin.port), kind)


def test_socks4_with_an_address(origin: Origin) -> None:
    with FakeHop("socks4") as hop:
        asks.served(hop.place, "127.0.0.9", origin.port, SOCKS4)
        assert hop.seen[0].kind == "ipv4"


def test_three_of_them_are_a_chain(origin: Origin) -> None:
    """By way of TLS in the middle; each hears of the next, and the last of the origin."""
    with (
        FakeHop("socks4", names=reached(origin)) as third,
        FakeHop("http", names={"third.example": third.place}, tls=certified(CA, HOP_NAME)) as second,
        FakeHop("socks5", names={"second.example": second.place}) as first,
        asks.tunnel(first.place, SOCKS5, "second.example", 443) as sock,
        Line(secured(sock)) as line,
    ):
        for way, host in ((CONNECT, "third.example"), (SOCKS4, NAME)):
            line.send(way.ask(host, 80))
            assert line.exactly(len(way.granted)) == way.granted
        line.send(outside.flood(BULK))
        piece = outside.flooded(BULK)
        assert line.exactly(BULK) == (piece * (BULK // len(piece) + 1))[:BULK]
        asked = first.asked + second.asked + third.asked
        assert asked == [("second.example", 443), ("third.example", 80), (NAME, 80)]
        assert NAME.encode() not in first.everything, "it lies within TLS"


@PLAIN_OR_TLS
def test_neither_direction_waits_for_the_other(origin: Origin, *, secure: bool) -> None:
    data = bytes(range(256)) * (BULK >> 8)
    with FakeHop(names=reached(origin), tls=tls(secure=secure)) as hop, client(hop, secure=secure) as line:
        line.send(SOCKS5.ask(NAME, 80))
        assert line.exactly(len(SOCKS5.granted)) == SOCKS5.granted
        line.sock.settimeout(0)
        said, heard = 0, bytearray()
        while len(heard) < len(data):
            with suppress(BlockingIOError, ssl.SSLWantWriteError):
                while said < len(data):
                    said += line.sock.send(data[said : said + 65536])
            with suppress(BlockingIOError, ssl.SSLWantReadError):
                heard += line.sock.recv(65536)
        assert heard == data


@PLAIN_OR_TLS
def test_nothing_is_lost_where_buffers_are_small(*, secure: bool) -> None:
    """Not even what is still on its way when both have said their last."""
    data = bytes(range(256)) * (1 << 12)
    with listening("127.0.0.9") as behind:
        names = {NAME: behind.getsockname()}
        hop = FakeHop(names=names, tls=tls(secure=secure), listener=narrow())
        with hop, client(hop, secure=secure, buffer=SMALL) as line:
            line.send(SOCKS5.ask(NAME, 80))
            with Line(behind.accept()[0]) as target:
                assert line.exactly(len(SOCKS5.granted)) == SOCKS5.granted
                last(line)
                assert target.rest() == b""

                with meanwhile(lambda: target.send(data)):
                    assert line.exactly(len(data)) == data, "though nothing pushes the end of it"

                def say() -> None:
                    target.send(data)
                    target.last()

                with meanwhile(say):
                    assert heard_to_the_last(line) == data


def test_an_upload_goes_on_after_the_targets_last() -> None:
    """TLS has bytes of it in hand when it says the target's last."""
    data = bytes(range(256)) * (1 << 13)
    with listening("127.0.0.9") as behind:
        behind.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        names = {NAME: behind.getsockname()}
        hop = FakeHop(names=names, tls=certified(CA, HOP_NAME))
        with hop, client(hop, secure=True) as line:
            line.send(SOCKS5.ask(NAME, 80))
            with Line(behind.accept()[0]) as target:
                assert line.exactly(len(SOCKS5.granted)) == SOCKS5.granted
                with meanwhile(lambda: line.send(data)):
                    assert target.exactly(SMALL) == data[:SMALL]
                    target.last()
                    assert target.exactly(len(data) - SMALL) == data[SMALL:]
                assert line.rest() == b""


# Logins


def test_socks5_logins(origin: Origin) -> None:
    with FakeHop(names=reached(origin), users={USER: PASSWORD}) as hop:
        assert asks.exchange(hop.place, SOCKS5.ask(NAME, 80)) == b"\x05\xff"
        assert asks.exchange(hop.place, login(USER, "wrong")) == b"\x05\x02\x01\x01"
        with client(hop) as line:
            line.send(login(USER, PASSWORD) + b"ping")
            assert line.exactly(18) == b"\x05\x02\x01\x00" + asks.socks5_reply(0) + b"ping"
        assert [one.user for one in hop.seen] == [None, USER, USER]
        assert hop.seen[2].methods == b"\x02"
        assert hop.url == f"socks5://alice:pa%3Ass%40w%25rd%2F@127.0.0.1:{hop.port}"


def test_a_login_on_offer_is_taken_whatever_it_is(origin: Origin) -> None:
    with FakeHop(names=reached(origin)) as hop, client(hop) as line:
        line.send(login("<torS0X>0", "token"))
        assert line.exactly(14) == b"\x05\x02\x01\x00" + asks.socks5_reply(0)
        assert (hop.seen[0].user, hop.seen[0].password) == ("<torS0X>0", "token")
        assert hop.seen[0].carried == b""


def test_http_logins(origin: Origin) -> None:
    # alice:pa:ss@w%rd/ and alice:wrong
    right, wrong = b"YWxpY2U6cGE6c3NAdyVyZC8=", b"YWxpY2U6d3Jvbmc="
    with FakeHop("http", names=reached(origin), users={USER: PASSWORD}) as hop:
        for lines in ((), (b"Proxy-Authorization: Basic " + wrong,)):
            assert asks.exchange(hop.place, asks.connect(NAME, 80, *lines)).startswith(b"HTTP/1.1 407 ")
        with client(hop) as line:
            line.send(asks.connect(NAME, 80, b"Proxy-Authorization: Basic " + right))
            assert line.until(b"\r\n\r\n") == asks.ESTABLISHED
        assert b"\r\nProxy-Authorization: Basic " + right in hop.seen[2].head


def test_socks4_user_ids(origin: Origin) -> None:
    with FakeHop("socks4", names=reached(origin), users={USER: ""}) as hop:
        assert asks.exchange(hop.place, SOCKS4.ask(NAME, 80)) == b"\0\x5d" + bytes(6)
        with client(hop) as line:
            line.send(asks.socks4(NAME, 80, USER.encode()))
            assert line.exactly(8) == SOCKS4.granted


# What is refused


@BY_WAY
def test_who_cannot_be_reached(way: Way) -> None:
    five, status = {"unknown": 4, "closed": 5}, {"unknown": 502, "closed": 503}
    with FakeHop(PROTOCOLS[way.name], names={"closed.example": ("127.0.0.1", 1)}) as hop:
        for host in ("unknown", "closed"):
            heard = asks.exchange(hop.place, way.ask(f"{host}.example", 80))
            if way is CONNECT:
                assert heard.startswith(b"HTTP/1.1 %d " % status[host])
            else:
                right = (
                    asks.socks4_reply(0x5B) if way is SOCKS4 else b"\x05\x00" + asks.socks5_reply(five[host])
                )
                assert heard == right


def test_what_a_client_must_not_say_fails_the_test() -> None:
    def ask() -> None:
        with FakeHop() as hop:
            asks.exchange(hop.place, b"\x04\x01\x00")

    with pytest.raises(AssertionError, match="RFC 1928"):
        ask()


# Where it lives


def test_it_goes_away_and_comes_back(origin: Origin) -> None:
    """On the same port, however often; while it is away, the port is nobody else's."""
    with FakeHop(names=reached(origin)) as hop:
        for _ in range(3):
            with asks.tunnel(hop.place, SOCKS5, NAME, 80) as sock:
                with hop.away():
                    assert asks.rest(sock) == b""
                    with pytest.raises(ConnectionRefusedError):
                        asks.dial(hop.place)
                    with socket.socket() as other, pytest.raises(OSError, match="in use"):
                        other.bind(hop.place)
                asks.served(hop.place, NAME, 80)


@pytest.mark.skipif(bool(namespace.why_not()), reason=namespace.why_not() or "namespaces work")
def test_it_listens_in_another_network(origin: Origin, tmp_path: Path) -> None:
    """Whoever lives there reaches it, and it reaches what this process does."""
    with namespace.networks() as networks:
        listener = networks.listener(namespace.ORIGIN)
        with FakeHop(names=reached(origin), listener=listener) as hop:
            assert hop.url == f"socks5://{namespace.ORIGIN}:{hop.port}"
            proxy = f"socks5h://{namespace.ORIGIN}:{hop.port}"
            command = [*networks.prefix, "curl", "-qsSf", "-x", proxy, f"http://{NAME}/"]
            assert output(command, tmp_path) == outside.BODY
