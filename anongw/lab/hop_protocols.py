"""The server's side of SOCKS5, SOCKS4a and HTTP CONNECT, as a fake hop speaks it.

A protocol reads a request and knows what each outcome is called; `Talk` says it in the manner that the hop's
fault wants. What a client must not say fails the test (Wrong, at the end of the hop's block).
"""

import base64
import ipaddress
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

from anongw.lab.hop_script import Fault, Manner, Phase, Seen
from anongw.lab.hop_wire import Wire
from anongw.lab.wrong import must

_LOGIN = 2  # RFC 1928 section 3, a method: USERNAME/PASSWORD
_NAMED = 3  # section 5, a kind of address: DOMAINNAME


class Over(Exception):
    """The conversation ends here, in this manner."""

    def __init__(self, manner: Manner) -> None:
        super().__init__(manner)
        self.manner = manner


class Outcome(NamedTuple):
    """What became of a request, in SOCKS5's, SOCKS4's and HTTP's words."""

    five: int
    four: int
    status: bytes


GRANTED = Outcome(0x00, 0x5A, b"200 Connection established")
UNREACHABLE = Outcome(0x04, 0x5B, b"502 Bad Gateway")  # an unknown name
REFUSED = Outcome(0x05, 0x5B, b"503 Service Unavailable")


class Talk:
    """One conversation. `users`: their passwords; without any, a login is taken whatever it is."""

    def __init__(self, wire: Wire, seen: Seen, users: Mapping[str, str], fault: Fault | None) -> None:
        self.wire = wire
        self.seen = seen
        self.users = users
        self._fault = fault

    def answer(self, phase: Phase, right: bytes) -> bytes:
        """Say it, or what the fault wants instead; what was said."""
        fault = self.fault(phase)
        if fault is None:
            self.wire.say(right)
            return right
        manner = fault.manner
        silent = manner in (Manner.HANG, Manner.CLOSE, Manner.RESET)
        said = fault.says if fault.says is not None else b"" if silent else right
        if manner is Manner.BYTEWISE:
            for place in range(len(said)):
                self.wire.say(said[place : place + 1])
        else:
            self.wire.say(said[: len(said) // 2] if manner is Manner.HALF else said)
        if manner is Manner.HANG:
            self.wire.rest()
        if silent or manner is Manner.HALF:
            raise Over(Manner.RESET if manner is Manner.RESET else Manner.CLOSE)
        return said

    def refuse(self, reply: bytes) -> NoReturn:
        self.answer(Phase.REPLY, reply)
        raise Over(Manner.CLOSE)

    def fault(self, phase: Phase) -> Fault | None:
        return self._fault if self._fault and self._fault.phase is phase else None

    def carries(self, grants: Callable[[bytes], bool]) -> bool:
        """Whether a request that could be granted is: a fault may say otherwise, or nothing whole."""
        fault = self.fault(Phase.REPLY)
        if fault is None:
            return True
        whole = fault.manner in (Manner.PLAINLY, Manner.BYTEWISE)
        return whole and (fault.says is None or grants(fault.says))

    def is_known(self) -> bool:
        if self.seen.user is None:
            return not self.users
        return not self.users or self.users.get(self.seen.user) == self.seen.password


class Protocol(NamedTuple):
    request: Callable[[Talk], None]  # reads it, into `Talk.seen`
    reply: Callable[[Outcome], bytes]
    grants: Callable[[bytes], bool]  # whether such a reply says yes


def _socks5(talk: Talk) -> None:
    wire, seen = talk.wire, talk.seen
    version, count = wire.exactly(2)
    must((version, count > 0) == (5, True), "RFC 1928 section 3")
    seen.methods = wire.exactly(count)
    # A login on offer is taken, as Tor does.
    method = _LOGIN if _LOGIN in seen.methods else 0 if 0 in seen.methods and not talk.users else 0xFF
    said = talk.answer(Phase.METHOD, bytes((5, method)))
    if said[:2] == b"\x05\x02":
        _login(talk)
    elif said[:2] != b"\x05\x00":
        raise Over(Manner.CLOSE)
    version, command, reserved, kind = wire.exactly(4)
    must((version, command, reserved) == (5, 1, 0), "RFC 1928 section 4, CONNECT")
    if kind == _NAMED:
        seen.kind, seen.host = "name", wire.exactly(wire.exactly(1)[0]).decode("ascii")
    else:
        must(kind in (1, 4), "RFC 1928 section 5")
        _addressed(seen, wire.exactly(4 if kind == 1 else 16))
    seen.port = int.from_bytes(wire.exactly(2), "big")


def _login(talk: Talk) -> None:
    version, size = talk.wire.exactly(2)
    must(version == 1, "RFC 1929 section 2")
    talk.seen.user = talk.wire.exactly(size).decode()
    talk.seen.password = talk.wire.exactly(talk.wire.exactly(1)[0]).decode()
    said = talk.answer(Phase.LOGIN, b"\x01\x00" if talk.is_known() else b"\x01\x01")
    if said[1:2] != b"\x00":
        raise Over(Manner.CLOSE)


def _socks4(talk: Talk) -> None:
    wire, seen = talk.wire, talk.seen
    version, command = wire.exactly(2)
    must((version, command) == (4, 1), "CONNECT")
    seen.port = int.from_bytes(wire.exactly(2), "big")
    address = wire.exactly(4)
    seen.user = wire.until(b"\0")[:-1].decode()
    if address[:3] == bytes(3) and address[3]:  # 4a
        seen.kind, seen.host = "name", wire.until(b"\0")[:-1].decode("ascii")
    else:
        _addressed(seen, address)
    if talk.users and seen.user not in talk.users:
        wire.say(b"\0\x5d" + bytes(6))
        raise Over(Manner.CLOSE)


def _connect(talk: Talk) -> None:
    seen = talk.seen
    seen.head = talk.wire.until(b"\r\n\r\n")
    line, *fields = seen.head[:-4].split(b"\r\n")
    method, authority, version = line.decode("ascii").split(" ")
    must((method, version) == ("CONNECT", "HTTP/1.1"), "RFC 9110 section 9.3.6")
    host, _, port = authority.rpartition(":")
    seen.host, seen.port = host.strip("[]"), int(port)
    try:
        _addressed(seen, ipaddress.ip_address(seen.host).packed)
    except ValueError:
        seen.kind = "name"
    for field in fields:
        name, _, value = field.partition(b": ")
        if name.lower() == b"proxy-authorization" and value.startswith(b"Basic "):
            seen.user, _, seen.password = base64.b64decode(value[6:]).decode().partition(":")
    if not talk.is_known():
        talk.wire.say(
            b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="hop"\r\n'
            b"Content-Length: 0\r\n\r\n"
        )
        raise Over(Manner.CLOSE)


def _addressed(seen: Seen, packed: bytes) -> None:
    address = ipaddress.ip_address(packed)
    seen.host, seen.kind = str(address), f"ipv{address.version}"


PROTOCOLS = {
    "socks5": Protocol(
        _socks5,
        lambda outcome: bytes((5, outcome.five, 0, 1)) + bytes(6),
        lambda said: said[:2] == b"\x05\x00",
    ),
    "socks4": Protocol(
        _socks4,
        lambda outcome: bytes((0, outcome.four)) + bytes(6),
        lambda said: said[:2] == b"\x00\x5a",
    ),
    "http": Protocol(
        _connect,
        lambda outcome: b"HTTP/1.1 %b\r\n\r\n" % outcome.status,
        lambda said: said.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")),
    ),
}
