"""SOCKS4 (Ying-Da Lee's memo) and SOCKS4A, as a server speaks them.

There is no RFC. "The memo" is the text of SOCKS4.protocol, "4A" that of socks4a.protocol: an address of
0.0.0.x with x other than 0 says that a host name follows the user's name.

Rules: as for SOCKS5. Both strings end with NUL and have no length in front, so both have a limit.
"""

import enum
from collections.abc import Generator
from dataclasses import dataclass
from ipaddress import IPv4Address

from anongw.address import Address, Endpoint, parse_host
from anongw.errors import Reason, Refused
from anongw.wire.reader import Reader

VERSION = 4
# Bytes, without the NUL. The user's name: what SOCKS5 allows. The host's: a name has 253 characters at most,
# and may be written with a dot behind it.
USER_MOST = 255
NAME_MOST = 254

_4A = range(1, 256)  # the addresses 0.0.0.1 to 0.0.0.255, as numbers


class Command(enum.IntEnum):
    CONNECT = 1
    BIND = 2


class Reply(enum.IntEnum):
    """The memo's four answers; the last two speak of identd, which we do not ask."""

    GRANTED = 0x5A
    REJECTED = 0x5B
    NO_IDENTD = 0x5C
    WRONG_USER = 0x5D


# SOCKS4 has one word for nearly every refusal. Where a proven user is asked for, no SOCKS4 client can be one.
REPLY: dict[Reason, Reply] = dict.fromkeys(Reason, Reply.REJECTED) | {
    Reason.AUTH_REQUIRED: Reply.WRONG_USER,
    Reason.AUTH_FAILED: Reply.WRONG_USER,
}


@dataclass(frozen=True, slots=True)
class Request:
    command: int  # a Command, or one that we do not know: the caller refuses it
    endpoint: Endpoint  # its port is 0 only where the command is not CONNECT
    user: bytes
    named: bool  # by 4A: what follows the user is the host, an address in letters too


def request(reader: Reader) -> Generator[None, None, Request]:
    """What the client wants.

    Raises:
        Refused: MALFORMED, or TOO_LARGE for a string over its limit.
        EOFError: the client closed in the middle.
    """
    head = yield from reader.exactly(8)
    version, command = head[0], head[1]
    if version != VERSION:
        raise Refused(Reason.MALFORMED, f"request of version {version}")
    port = int.from_bytes(head[2:4])
    if not port and command == Command.CONNECT:
        raise Refused(Reason.MALFORMED, "port 0")
    user = yield from _string(reader, USER_MOST)
    address = IPv4Address(head[4:])
    named = int(address) in _4A
    host = (yield from _name(reader)) if named else address
    return Request(command, Endpoint(host, port), user, named)


def reply(code: Reply) -> bytes:
    # The memo has clients ignore port and address of the answer to a CONNECT: both are zero.
    return bytes((0, code)) + bytes(6)


def _name(reader: Reader) -> Generator[None, None, str | Address]:
    name = yield from _string(reader, NAME_MOST)
    if not name.isascii():
        raise Refused(Reason.MALFORMED, "a host name that is not ASCII")
    return parse_host(name.decode("ascii"))


def _string(reader: Reader, most: int) -> Generator[None, None, bytes]:
    """Bytes up to a NUL, which is taken and not returned."""
    return (yield from reader.until(b"\0", most + 1))[:-1]
