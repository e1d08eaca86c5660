"""The table of bad input: what is sent, what comes back, byte for byte, and that the gateway lives.

Every row ends with the connection closed by the gateway, unless it says otherwise, and is followed by a good
request. The origin hears nothing of a row but what the row says. The table as it was met is written to
`bad-input.txt` under pytest's base temporary directory.
"""

import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support import asks, outside, smuggling
from tests.support.asks import (
    CONNECT,
    HTTP,
    SOCKS4,
    SOCKS5,
    SOCKS5_NONE,
    SOCKS5_NONE_CHOSEN,
    http_refusal,
    socks4,
    socks4_reply,
    socks5,
    socks5_name,
    socks5_reply,
    socks5_request,
)
from tests.support.bad_input import (
    FOREIGN,
    FOREIGN_PROTOCOLS,
    FOREIGN_TOLD,
    HTTP_ROWS,
    LOOPBACK_SPELLINGS,
    MALFORMED_SPELLINGS,
    NAME,
    NAME_SPELLINGS,
    NOT_GRANTED,
    SILENCE,
    SOCKS4_ROWS,
    SOCKS5_ROWS,
    V6_SPELLINGS,
    in_head,
    name_by_4a,
)
from tests.support.process import Gateway, gateway

# What `Reason` is in HTTP, for the smuggling corpus: written a second time, on purpose.
STATUS = {
    "malformed": 400,
    "unsupported-protocol": 501,
    "unsupported-command": 501,
    "unsupported-encoding": 501,
    "expectation-failed": 417,
}


class World(NamedTuple):
    """One gateway for all rows, the origin behind it, and a listener on loopback that nobody may reach."""

    gateway: Gateway
    origin: outside.Origin
    names: outside.Names
    forbidden: list[socket.socket]
    table: list[str]

    @property
    def where(self) -> tuple[str, int]:
        return self.gateway.where

    @property
    def private_port(self) -> int:
        port: int = self.forbidden[0].getsockname()[1]
        return port

    def row(self, name: str, sent: bytes, expected: bytes) -> None:
        """Meet one row: the whole answer up to the close, then a good request."""
        heard = asks.exchange(self.where, sent)
        asks.served(self.where, "127.0.0.9", self.origin.port)
        line = f"{name:48} {_shown(sent):66} {_shown(heard, 60)}"
        self.table.append(line)
        print(line)  # noqa: T201 - shown by pytest -rP
        assert heard == expected

    def quiet(self) -> None:
        """Nobody has connected to loopback."""
        for listener in self.forbidden:
            with pytest.raises(BlockingIOError):
                listener.accept()


def _shown(data: bytes, most: int = 64) -> str:
    text = repr(data)[2:-1] or "(nothing)"
    return text if len(text) <= most else f"{text[: most - 12]}... {len(data)} B"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """IPv4 and IPv6 loopback listen on one port, as what an attacker would be after."""
    records: dict[str, tuple[str, ...]] = {
        NAME: ("127.0.0.9",),
        "127.0.0.1.nip.example": ("127.0.0.1",),
        "six.example": ("::1",),
    }
    four = outside.listening("127.0.0.1")
    six = outside.listening("::1", four.getsockname()[1])
    directory = tmp_path_factory.mktemp("bad-input")
    table: list[str] = []
    with four, six, outside.on_loopback(records) as (origin, names):
        four.settimeout(0)
        six.settimeout(0)
        with gateway(
            directory,
            'policy.allow_private=["127.0.0.9/32"]',
            f'resolve.servers=["udp://127.0.0.8:{names.port}"]',
            "limits.handshake=2s",
            "limits.linger=1s",
        ) as running:
            yield World(running, origin, names, [four, six], table)
    (tmp_path_factory.getbasetemp() / "bad-input.txt").write_text("\n".join(table) + "\n")


# Before any protocol


def test_a_client_that_says_nothing(world: World) -> None:
    with asks.dial(world.where) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert asks.rest(sock) == SILENCE
    with asks.dial(world.where) as sock:
        assert asks.rest(sock) == SILENCE, "after limits.handshake it is closed"
    world.row("nothing, and a good request", socks5("127.0.0.1", 1), SOCKS5.refused("private-target"))


def test_every_first_byte(world: World) -> None:
    """A foreign protocol is closed at once; what could be the start of ours is waited for, within limits."""
    waiting = []
    for byte in range(256):
        if byte in FOREIGN:
            assert asks.exchange(world.where, bytes((byte,))) == SILENCE, byte
        else:
            sock = asks.dial(world.where)
            sock.sendall(bytes((byte,)))
            waiting.append((byte, sock))
    assert len(waiting) == 30
    heard = {}
    for byte, sock in waiting:
        with sock:
            heard[byte] = asks.rest(sock)
    world.row("all 256 first bytes, then", b"\xff", SILENCE)
    # A bare line feed is wrong already; the rest is cut, in the words of what it could have been.
    assert heard.pop(10) == http_refusal(400)
    assert heard.pop(4) == socks4_reply(0x5B)
    assert heard.pop(5) == SILENCE
    assert set(heard.values()) == {http_refusal(408)}


@pytest.mark.parametrize("name", FOREIGN_PROTOCOLS)
def test_foreign_protocols(name: str, world: World) -> None:
    world.row(name, FOREIGN_PROTOCOLS[name] + b"\r\n\r\n", FOREIGN_TOLD.get(name, SILENCE))


# SOCKS5


@pytest.mark.parametrize("name", SOCKS5_ROWS)
def test_socks5(name: str, world: World) -> None:
    sent, expected = SOCKS5_ROWS[name]
    if name.startswith(("greeting alone", "cut")):
        # It waits for the rest until limits.handshake; it is a timeout, and is told so where there is a code.
        expected += socks5_reply(1) if expected else b""
    world.row(f"SOCKS5: {name}", sent, expected)


# SOCKS4


@pytest.mark.parametrize("name", SOCKS4_ROWS)
def test_socks4(name: str, world: World) -> None:
    world.row(f"SOCKS4: {name}", *SOCKS4_ROWS[name])


# HTTP, beyond the corpus


@pytest.mark.parametrize("name", HTTP_ROWS)
def test_http(name: str, world: World) -> None:
    sent, expected = HTTP_ROWS[name]
    answer = http_refusal(expected) if isinstance(expected, int) else expected
    world.row(f"HTTP: {name}", sent, answer)


def test_a_head_that_comes_byte_by_byte_is_cut(world: World) -> None:
    """One byte now and then keeps no connection: limits.handshake counts from the first."""
    with asks.dial(world.where) as sock:
        sock.settimeout(0.05)
        heard = b""
        for byte in in_head(b"GET http://origin.example/ HTTP/1.1", b"X: " + b"a" * 400):
            try:
                sock.sendall(bytes((byte,)))
                if not (heard := sock.recv(4096)):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
            else:
                break
        assert heard == http_refusal(408)


@pytest.mark.parametrize("case", smuggling.CASES, ids=lambda case: case.name)
def test_smuggling(case: smuggling.Case, world: World) -> None:
    authority = f"{NAME}:{world.origin.port}".encode()
    sent = re.sub(
        rb"(?<!CONNECT )origin\.test(?::80\b|(?!:))|origin\.test:80\b", authority, case.raw
    ).replace(b"origin.test", NAME.encode())
    before = len(world.origin.heard)
    heard = asks.exchange(world.where, sent)
    asks.served(world.where, "127.0.0.9", world.origin.port)
    world.table.append(f"{'smuggling: ' + case.name:48} {_shown(sent):66} {_shown(heard, 60)}")
    said = b"".join(bytes(one.data) for one in world.origin.heard[before:])
    assert b"smuggled" not in said
    told = "" if not case.raw.startswith(b"CONNECT") else case.reason.value
    foreign = sent[0] in FOREIGN
    assert heard in (
        (SILENCE,) if foreign else (http_refusal(STATUS[case.reason.value], t) for t in ("", told))
    )


# Private targets, in every spelling


@pytest.mark.parametrize("way", asks.WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
def test_private_ipv4(host: str, way: asks.Way, world: World) -> None:
    sent = way.ask(host, world.private_port)
    world.row(f"{way.name}: {host}", sent, way.refused("private-target"))
    if way is SOCKS5:
        by_name = SOCKS5_NONE + socks5_name(host.encode(), world.private_port)
        world.row(f"socks5 by name: {host}", by_name, way.refused("private-target"))
    world.quiet()


@pytest.mark.parametrize("host", V6_SPELLINGS)
def test_private_ipv6(host: str, world: World) -> None:
    port = world.private_port
    world.row(
        f"socks5: {host}",
        socks5(host, port),
        SOCKS5_NONE_CHOSEN + socks5_reply(2, six=True),
    )
    for spelling in (host, f"[{host}]"):
        by_name = SOCKS5_NONE + socks5_name(spelling.encode(), port)
        world.row(f"socks5 by name: {spelling}", by_name, SOCKS5.refused("private-target"))
        world.row(f"socks4a: {spelling}", name_by_4a(spelling.encode(), port), NOT_GRANTED)
    for way in (CONNECT, HTTP):
        world.row(f"{way.name}: [{host}]", way.ask(host, port), way.refused("private-target"))
    world.quiet()


@pytest.mark.parametrize("way", asks.WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("host", NAME_SPELLINGS)
def test_private_names(host: str, way: asks.Way, world: World) -> None:
    world.names.asked.clear()
    world.row(f"{way.name}: {host}", way.ask(host, world.private_port), way.refused("private-name"))
    assert world.names.asked == []
    world.quiet()


@pytest.mark.parametrize("way", asks.WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("host", MALFORMED_SPELLINGS)
def test_half_an_address(host: str, way: asks.Way, world: World) -> None:
    world.names.asked.clear()
    heard = asks.exchange(world.where, way.ask(host, world.private_port))
    # A name that no head may bear is refused with the head, before it is known to be a CONNECT's.
    assert heard in (way.refused("malformed"), way.refused("private-name"), HTTP.refused("malformed"))
    assert world.names.asked == []
    world.quiet()


@pytest.mark.parametrize("way", asks.WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("host", ["127.0.0.1.nip.example", "six.example"])
def test_a_public_name_that_answers_loopback(host: str, way: asks.Way, world: World) -> None:
    """A name stays a name: the resolver is asked, and its answer is refused."""
    sent = way.ask(host, world.private_port)
    world.row(f"{way.name}: {host}", sent, way.refused("rebinding"))
    assert host in world.names.asked
    world.quiet()


@pytest.mark.parametrize("way", asks.WAYS, ids=lambda way: way.name)
def test_the_gateway_is_no_target(way: asks.Way, world: World) -> None:
    host, port = world.where
    world.row(f"{way.name}: own listener", way.ask(host, port), way.refused("own-listener"))


def test_the_table_covers_what_it_names() -> None:
    """Both families of addresses and a request of ours in each protocol: the rows are what they seem."""
    assert socks5_request("::1", 80)[3] == 4
    assert socks4("127.1", 80)[4:8] == b"\0\0\0\x01", "an odd spelling goes as a 4a name"
    assert all(SOCKS4.ask(host, 80).endswith(host.encode() + b"\0") for host in NAME_SPELLINGS)
