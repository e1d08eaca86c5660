"""What a client can do with a gateway: the right things, and everything that real ones do wrong.

Each function is one client's whole life on a socket that is connected to the gateway. Origin and hop are the
load generator's: the first byte of a connection says what the origin does with it (generator/origin.c).
"""

import random
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address

# Seconds for anything that the gateway has to say.
PATIENCE = 60.0
# A name of the origin's, in the gateway's own configuration; an address that is reached through a chain; a
# private one, which is refused.
NAME, CHAINED, PRIVATE = "origin.example", "127.0.0.40", "10.0.0.1"
# Addresses of the origin's, and those that clients come from: each has ports of its own in TIME-WAIT.
TARGETS = tuple(f"127.0.0.{host}" for host in range(2, 34))
SOURCES = tuple(f"127.0.1.{host}" for host in range(1, 65))
_MESSAGE = b"e" + bytes(range(63))
# Bytes before somebody breaks off in the middle of endless ones: more than any one read takes.
_SOME = 300_000
_LARGE = 5_000_000
_GRANTED_5, _GRANTED_4 = b"\x05\x00\x00\x01" + bytes(6), b"\x00\x5a" + bytes(6)
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Unexpected(Exception):
    """The gateway did something else than it must."""


@dataclass(frozen=True)
class Place:
    """Where all of it takes place: the ports of the gateway, the origin, and one where nobody listens."""

    gateway: int
    origin: int
    closed: int


@dataclass
class Client:
    sock: socket.socket
    place: Place
    number: int
    chance: random.Random
    target: str = field(init=False)

    def __post_init__(self) -> None:
        self.target = self.chance.choice(TARGETS)

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self, expected: bytes) -> None:
        """Exactly these bytes."""
        got = b""
        while len(got) < len(expected):
            more = self.sock.recv(len(expected) - len(got))
            if not more:
                raise Unexpected(f"heard {got!r} and the end instead of {expected[:80]!r}")
            got += more
        if got != expected:
            raise Unexpected(f"heard {got[:80]!r} instead of {expected[:80]!r}")

    def hear_end(self) -> None:
        if more := self.sock.recv(100):
            raise Unexpected(f"heard {more!r} instead of the end")

    def swallow(self, size: int) -> None:
        """So many bytes, whatever they are."""
        while size > 0:
            got = len(self.sock.recv(min(size, 1 << 16)))
            if got == 0:
                raise Unexpected(f"the end, {size} bytes too early")
            size -= got

    def head(self) -> bytes:
        """An HTTP head, byte by byte: what follows is left where it is."""
        got = b""
        while not got.endswith(b"\r\n\r\n"):
            more = self.sock.recv(1)
            if not more:
                raise Unexpected(f"the end in a head: {got!r}")
            got += more
        return got

    def answered(self, status: int, length: int | None = None) -> None:
        """A head with this status, and this many bytes behind it; None: as many as it says."""
        head = self.head()
        if not head.startswith(b"HTTP/1.1 %d " % status):
            raise Unexpected(f"answered {head[:60]!r} instead of {status}")
        if length is None:
            _, _, rest = head.lower().partition(b"content-length:")
            length = int(rest.split(b"\r\n", 1)[0])
        self.swallow(length)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Life = Callable[[Client], None]
Ask = Callable[[Client, str, int], None]


def _packed(port: int) -> bytes:
    return port.to_bytes(2, "big")


def _request5(host: str, port: int) -> bytes:
    try:
        return b"\x05\x01\x00\x01" + IPv4Address(host).packed + _packed(port)
    except ValueError:
        return b"\x05\x01\x00\x03" + bytes((len(host),)) + host.encode() + _packed(port)


def _socks5(client: Client, host: str, port: int) -> None:
    client.say(b"\x05\x01\x00")
    client.hear(b"\x05\x00")
    client.say(_request5(host, port))


def _login(client: Client, host: str, port: int) -> None:
    """A name of its own each time: an identity that never comes again."""
    user = b"user%d" % client.number
    client.say(b"\x05\x01\x02")
    client.hear(b"\x05\x02")
    client.say(b"\x01" + bytes((len(user),)) + user + b"\x04pass")
    client.hear(b"\x01\x00")
    client.say(_request5(host, port))


def _socks4(client: Client, host: str, port: int) -> None:
    try:
        address, name = IPv4Address(host).packed, b""
    except ValueError:
        address, name = b"\0\0\0\x01", host.encode() + b"\0"
    client.say(b"\x04\x01" + _packed(port) + address + b"user\0" + name)


def _connect(client: Client, host: str, port: int) -> None:
    client.say(b"CONNECT %b:%d HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (host.encode(), port, host.encode(), port))


_WAYS: dict[str, tuple[Ask, bytes]] = {
    "socks5": (_socks5, _GRANTED_5),
    "login": (_login, _GRANTED_5),
    "socks4": (_socks4, _GRANTED_4),
    "connect": (_connect, _ESTABLISHED),
}


def _tunnel(client: Client, way: str, host: str = "") -> None:
    ask, granted = _WAYS[way]
    ask(client, host or client.target, client.place.origin)
    client.hear(granted)


def _echo(client: Client, way: str, host: str = "") -> None:
    _tunnel(client, way, host)
    for _ in range(client.chance.randrange(1, 4)):
        client.say(_MESSAGE)
        client.hear(_MESSAGE)


def _any(client: Client) -> str:
    return client.chance.choice(list(_WAYS))


def _half_closed(client: Client) -> None:
    """`printf ... | nc -N`: all is said at once, and what comes back is whole."""
    _tunnel(client, _any(client))
    client.say(_MESSAGE)
    client.sock.shutdown(socket.SHUT_WR)
    client.hear(_MESSAGE)
    client.hear_end()


def _http(client: Client, method: str, path: str, *headers: str, host: str = "") -> None:
    authority = f"{host or client.target}:{client.place.origin}"
    lines = (f"{method} http://{authority}{path} HTTP/1.1", f"Host: {authority}", *headers)
    client.say("\r\n".join((*lines, "", "")).encode())


def _kept(client: Client) -> None:
    """Several requests on one connection; bodies of a length, in chunks, and up."""
    _http(client, "GET", "/length/1000", f"User-Agent: soak{client.number}")
    client.answered(200, 1000)
    _http(client, "POST", "/length/0", "Content-Length: 5000", host=NAME)
    client.say(bytes(5000))
    client.answered(200, 0)
    _http(client, "GET", "/chunked/20000")
    client.head()
    size = 0
    while line := int(_line(client), 16):
        size += line
        client.swallow(line + 2)
    client.hear(b"\r\n")
    if size < 20000:  # noqa: PLR2004 - as was asked for
        raise Unexpected(f"{size} bytes in chunks")


def _line(client: Client) -> bytes:
    got = b""
    while not got.endswith(b"\r\n"):
        more = client.sock.recv(1)
        if not more:
            raise Unexpected(f"the end in a line: {got!r}")
        got += more
    return got


def _http_half_closed(client: Client) -> None:
    _http(client, "GET", "/length/100000")
    client.sock.shutdown(socket.SHUT_WR)
    client.answered(200, 100_000)
    client.hear_end()


def _refused(client: Client) -> None:
    """By the gateway, which lets nobody reach a private address, or by the target."""
    way = client.chance.choice([*_WAYS, "http"])
    is_ours = client.chance.random() < 0.5  # noqa: PLR2004
    host, port = (PRIVATE, 80) if is_ours else (client.target, client.place.closed)
    if way == "http":
        client.say(f"GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        client.answered(403 if is_ours else 502)
        return
    _WAYS[way][0](client, host, port)
    if way == "connect":
        client.answered(403 if is_ours else 502)
    elif way == "socks4":
        client.hear(b"\x00\x5b" + bytes(6))
    else:
        client.hear(b"\x05" + (b"\x02" if is_ours else b"\x05") + b"\0\x01" + bytes(6))
    client.hear_end()


def _garbage(client: Client) -> None:
    client.say(client.chance.randbytes(client.chance.randrange(1, 200)))
    client.sock.shutdown(socket.SHUT_WR)
    try:
        while client.sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass


def _breaks_off(client: Client) -> None:
    """In the middle of what it asks, or before the answer: the gateway may be dialling then."""
    host, port = client.target, client.place.origin
    asks = (
        b"\x05\x01\x00" + _request5(host, port),
        b"\x04\x01" + _packed(port) + IPv4Address(host).packed + b"user\0",
        f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode(),
        f"GET http://{host}:{port}/length/1000 HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode(),
    )
    ask = client.chance.choice(asks)
    client.say(ask[: client.chance.randrange(len(ask) + 1)])
    if client.chance.random() < 0.5:  # noqa: PLR2004
        client.reset()


def _resets(client: Client) -> None:
    """In the middle of something large."""
    what = client.chance.choice(["down", "up", "both", "http down", "http chunked", "http up"])
    if what.startswith("http"):
        if what == "http up":
            _http(client, "POST", "/length/0", f"Content-Length: {_LARGE}")
            client.say(bytes(_SOME))
        else:
            _http(client, "GET", f"/{'chunked' if what == 'http chunked' else 'length'}/{_LARGE}")
            client.swallow(_SOME)
    else:
        _tunnel(client, _any(client))
        client.say({"down": b"s", "up": b"k", "both": b"b"}[what])
        if what != "up":
            client.swallow(_SOME)
        if what != "down":
            # The origin has first to take it, while nobody reads what it sends.
            client.say(bytes(_SOME))
    client.reset()


def _origin_leaves(client: Client) -> None:
    _tunnel(client, _any(client))
    client.say(b"c")
    client.hear_end()


def _origin_resets(client: Client) -> None:
    _tunnel(client, _any(client))
    client.say(b"r")
    try:
        client.hear_end()
    except ConnectionResetError:
        return
    raise Unexpected("a clean end where the origin's was a reset")


def stalls(client: Client) -> None:
    """Ask for bytes without end, and read none of them."""
    if client.chance.random() < 0.3:  # noqa: PLR2004
        _http(client, "GET", f"/length/{_LARGE * 20}")
    else:
        _tunnel(client, _any(client))
        client.say(b"s")


# Each as often as any other.
LIVES: Sequence[tuple[str, Life]] = (
    ("SOCKS5", partial(_echo, way="socks5")),
    ("SOCKS5 by name", partial(_echo, way="socks5", host=NAME)),
    ("log-in", partial(_echo, way="login")),
    ("log-in through a chain", partial(_echo, way="login", host=CHAINED)),
    ("SOCKS4", partial(_echo, way="socks4")),
    ("SOCKS4a", partial(_echo, way="socks4", host=NAME)),
    ("CONNECT", partial(_echo, way="connect")),
    ("CONNECT through a chain", partial(_echo, way="connect", host=CHAINED)),
    ("plain HTTP", _kept),
    ("half-closed", _half_closed),
    ("half-closed HTTP", _http_half_closed),
    ("refused", _refused),
    ("garbage", _garbage),
    ("breaks off", _breaks_off),
    ("resets", _resets),
    ("the origin leaves", _origin_leaves),
    ("the origin resets", _origin_resets),
    ("stalls", stalls),
)
