"""What clients say, and what they hear: each protocol's conversation, step by step and by hand.

A conversation that ends early, or in another word than yes, is not granted; what was heard is kept.
"""

import base64
import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from anongw.audit.canaries import NAMING, PASSWORD, USER
from anongw.config import Spoken

# Seconds for a whole answer: more than any wait of the mapped config, less than a person's patience.
PATIENCE: Final = 8.0
PING: Final = b"ping\n"
_CHUNK: Final = 1 << 16
_NO_HEADERS: Final[Mapping[str, str]] = {}
UDP_ASSOCIATE, BIND, CONNECT = 3, 2, 1  # RFC 1928 section 4


@dataclass
class Line:
    """A client's connection, and all that it heard."""

    sock: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    granted: bool = False

    def say(self, data: bytes) -> None:
        with suppress(OSError):  # it may be refused before it is whole
            self.sock.sendall(data)

    def more(self, count: int) -> bytes:
        """So many bytes, or fewer where they end."""
        data = bytearray()
        with suppress(OSError):
            while len(data) < count and (piece := self.sock.recv(count - len(data))):
                data += piece
        self.heard += data
        return bytes(data)

    def head(self) -> bytes:
        """An HTTP head, or what there was of it."""
        data = bytearray()
        with suppress(OSError):
            while not data.endswith(b"\r\n\r\n") and (piece := self.sock.recv(1)):
                data += piece
        self.heard += data
        return bytes(data)

    def rest(self) -> bytes:
        """Everything until the end, or until patience ends."""
        data = bytearray()
        with suppress(OSError):
            while piece := self.sock.recv(_CHUNK):
                data += piece
        self.heard += data
        return bytes(data)

    def pings(self) -> bool:
        """Whether a word comes back."""
        self.say(PING)
        return self.more(len(PING)) == PING


@dataclass(frozen=True)
class Login:
    user: str = USER
    password: str = PASSWORD

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def tunnel(  # noqa: PLR0913, PLR0917 - what a client has to say
    line: Line, spoken: Spoken, host: str, port: int, login: Login, headers: Mapping[str, str] = _NO_HEADERS
) -> bool:
    """Ask for a tunnel; whether it is there."""
    if spoken == "socks5":
        line.granted = _socks5(line, host, port, login, CONNECT)
    elif spoken == "socks4":
        line.say(_socks4(host, port, login.user))
        line.granted = line.more(8)[:2] == b"\x00\x5a"
    else:
        line.say(connect(host, port, login, headers))
        line.granted = b" 200 " in line.head()
    return line.granted


def socks5_other(line: Line, command: int, host: str, port: int, login: Login) -> bool:
    """Ask for BIND or UDP ASSOCIATE; whether the gateway said yes."""
    return _socks5(line, host, port, login, command)


def web(line: Line, raw: bytes) -> bytes:
    """A request of plain HTTP as it stands; everything that is heard."""
    line.say(raw)
    return line.rest()


def connect(host: str, port: int, login: Login, headers: Mapping[str, str]) -> bytes:
    where = f"{_bracketed(host)}:{port}"
    return head(f"CONNECT {where} HTTP/1.1", [("Host", where), *_proof(login), *headers.items()])


def get(  # noqa: PLR0913 - what a request has
    host: str, port: int, login: Login, headers: Mapping[str, str], path: str = "/", *, last: bool = True
) -> bytes:
    """A plain request for a proxy. `last`: the connection ends with its answer."""
    where = _bracketed(host) if port == 80 else f"{_bracketed(host)}:{port}"  # noqa: PLR2004 - http's own
    ending = [("Connection", f"{NAMING}, {'close' if last else 'keep-alive'}")]
    lines = [("Host", where), *_proof(login), *headers.items(), *ending]
    return head(f"GET http://{where}{path} HTTP/1.1", lines)


def head(first: str, lines: list[tuple[str, str]]) -> bytes:
    return "\r\n".join((first, *(f"{name}: {value}" for name, value in lines), "", "")).encode()


def _proof(login: Login) -> list[tuple[str, str]]:
    return [("proxy-authorization", login.basic)]


def _socks5(line: Line, host: str, port: int, login: Login, command: int) -> bool:
    line.say(b"\x05\x01\x02")
    if line.more(2) != b"\x05\x02":
        return False
    user, password = login.user.encode(), login.password.encode()
    line.say(b"\x01" + bytes((len(user),)) + user + bytes((len(password),)) + password)
    if line.more(2) != b"\x01\x00":
        return False
    line.say(bytes((5, command, 0)) + _socks5_host(host) + port.to_bytes(2, "big"))
    said = line.more(4)
    if len(said) < 4:  # noqa: PLR2004 - RFC 1928 section 6: as far as the kind of address
        return False
    line.more({1: 6, 4: 18}.get(said[3], 0))
    return said[1] == 0


def _socks5_host(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return b"\x03" + bytes((len(host),)) + host.encode()
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed  # noqa: PLR2004 - IPv4


def _socks4(host: str, port: int, user: str) -> bytes:
    first = b"\x04\x01" + port.to_bytes(2, "big")
    try:
        return first + ipaddress.IPv4Address(host).packed + user.encode() + b"\0"
    except ValueError:
        return first + b"\0\0\0\x01" + user.encode() + b"\0" + host.encode() + b"\0"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
