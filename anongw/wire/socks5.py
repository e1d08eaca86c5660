"""SOCKS5 as a server speaks it (RFC 1928), with user and password (RFC 1929).

Readers are generators over a Reader and take the version byte too; answers are plain functions. BND.ADDR is
always zero: the address that we connect from is nobody's business, and CONNECT has no use for it.

Rules: nothing behind a message is touched; a reserved byte that is not zero, a host name that is not ASCII
and a port of 0 to connect to are refused, because what is read leniently here is read in another way there.
"""

import enum
from collections.abc import Generator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from anongw.address import Address, Endpoint, parse_host
from anongw.errors import Reason, Refused
from anongw.wire.reader import Reader

VERSION = 5
_LOGIN_VERSION = 1  # RFC 1929 §2: "the current version of the subnegotiation, which is X'01'"


class Method(enum.IntEnum):
    """How the client may prove who it is (RFC 1928 §3)."""

    NONE = 0x00
    USER_PASSWORD = 0x02
    UNACCEPTABLE = 0xFF  # the answer where nothing on offer will do; the client must close


class Command(enum.IntEnum):
    CONNECT = 0x01
    BIND = 0x02
    UDP_ASSOCIATE = 0x03


class AddressType(enum.IntEnum):
    IPV4 = 0x01
    NAME = 0x03
    IPV6 = 0x04


# Looked up rather than called for: an Enum takes its time to say which member a number is.
_KINDS = {int(kind): kind for kind in AddressType}
_SIZES = {AddressType.IPV4: 4, AddressType.NAME: 1, AddressType.IPV6: 16}  # a name says how long it is


class Reply(enum.IntEnum):
    """RFC 1928 §6."""

    SUCCEEDED = 0x00
    GENERAL_FAILURE = 0x01
    NOT_ALLOWED = 0x02
    NETWORK_UNREACHABLE = 0x03
    HOST_UNREACHABLE = 0x04
    CONNECTION_REFUSED = 0x05
    TTL_EXPIRED = 0x06
    COMMAND_NOT_SUPPORTED = 0x07
    ADDRESS_TYPE_NOT_SUPPORTED = 0x08


# What a client is told. It learns no more than it needs to decide whether to try again: a name that does not
# exist is an unreachable host, and a timeout is an expired TTL, as Tor has it.
REPLY: dict[Reason, Reply] = {
    Reason.MALFORMED: Reply.GENERAL_FAILURE,
    Reason.TOO_LARGE: Reply.GENERAL_FAILURE,
    Reason.UNSUPPORTED_PROTOCOL: Reply.GENERAL_FAILURE,
    Reason.UNSUPPORTED_COMMAND: Reply.COMMAND_NOT_SUPPORTED,
    Reason.UNSUPPORTED_ADDRESS: Reply.ADDRESS_TYPE_NOT_SUPPORTED,
    Reason.UNSUPPORTED_ENCODING: Reply.GENERAL_FAILURE,
    Reason.EXPECTATION_FAILED: Reply.GENERAL_FAILURE,
    Reason.AUTH_REQUIRED: Reply.NOT_ALLOWED,
    Reason.AUTH_FAILED: Reply.NOT_ALLOWED,
    Reason.CLIENT_GONE: Reply.GENERAL_FAILURE,
    Reason.CLIENT_REFUSED: Reply.NOT_ALLOWED,
    Reason.PROBE: Reply.GENERAL_FAILURE,
    # As Tor answers with SafeSocks: "connection not allowed by ruleset".
    Reason.RESOLVED_BY_CLIENT: Reply.NOT_ALLOWED,
    Reason.FORBIDDEN: Reply.NOT_ALLOWED,
    Reason.PRIVATE_TARGET: Reply.NOT_ALLOWED,
    Reason.PRIVATE_NAME: Reply.NOT_ALLOWED,
    Reason.REBINDING: Reply.NOT_ALLOWED,
    Reason.OWN_LISTENER: Reply.NOT_ALLOWED,
    Reason.NAME_NOT_FOUND: Reply.HOST_UNREACHABLE,
    Reason.RESOLVER_FAILED: Reply.HOST_UNREACHABLE,
    Reason.CONNECTION_REFUSED: Reply.CONNECTION_REFUSED,
    Reason.HOST_UNREACHABLE: Reply.HOST_UNREACHABLE,
    Reason.NETWORK_UNREACHABLE: Reply.NETWORK_UNREACHABLE,
    Reason.CONNECT_TIMEOUT: Reply.TTL_EXPIRED,
    Reason.TLS_FAILED: Reply.GENERAL_FAILURE,
    Reason.UPSTREAM_CLOSED: Reply.GENERAL_FAILURE,
    Reason.UPSTREAM_MALFORMED: Reply.GENERAL_FAILURE,
    Reason.UPSTREAM_TIMEOUT: Reply.TTL_EXPIRED,
    Reason.EGRESS_GONE: Reply.GENERAL_FAILURE,
    Reason.ROUTE_REFUSED: Reply.NOT_ALLOWED,
    Reason.HOP_UNREACHABLE: Reply.GENERAL_FAILURE,
    Reason.HOP_TIMEOUT: Reply.TTL_EXPIRED,
    Reason.HOP_CLOSED: Reply.GENERAL_FAILURE,
    Reason.HOP_MALFORMED: Reply.GENERAL_FAILURE,
    Reason.HOP_AUTH: Reply.GENERAL_FAILURE,
    Reason.HOP_TLS: Reply.GENERAL_FAILURE,
    Reason.HOP_REFUSED: Reply.NOT_ALLOWED,
    Reason.BUDGET_SPENT: Reply.NOT_ALLOWED,
    Reason.FORGOTTEN: Reply.GENERAL_FAILURE,
    Reason.TOO_MANY: Reply.GENERAL_FAILURE,
    Reason.RESOURCES: Reply.GENERAL_FAILURE,
    Reason.HANDSHAKE_TIMEOUT: Reply.GENERAL_FAILURE,
    Reason.IDLE_TIMEOUT: Reply.GENERAL_FAILURE,
    Reason.LIFETIME: Reply.GENERAL_FAILURE,
    Reason.STOPPING: Reply.GENERAL_FAILURE,
    Reason.INTERNAL: Reply.GENERAL_FAILURE,
}


@dataclass(frozen=True, slots=True)
class Request:
    command: int  # a Command, or one that we do not know: the caller answers it with 0x07
    kind: AddressType  # as the client spelt it: the answer's address is of this family
    endpoint: Endpoint  # its port is 0 only where the command is not CONNECT


def greeting(reader: Reader) -> Generator[None, None, bytes]:
    """The methods on offer, one byte each; there may be none (RFC 1928 §3)."""
    version, count = yield from reader.peek(2)
    if version != VERSION:
        raise Refused(Reason.MALFORMED, f"greeting of version {version}")
    return (yield from reader.exactly(2 + count))[2:]


def method_choice(method: Method) -> bytes:
    return bytes((VERSION, method))


def user_password(reader: Reader) -> Generator[None, None, tuple[bytes, bytes]]:
    """A name and a password, each of 0 to 255 bytes (RFC 1929 §2).

    The RFC wants one byte at least. Clients that use the name as a label send no password, and an empty name
    is none: whoever checks them may say so.
    """
    version, length = yield from reader.peek(2)
    if version != _LOGIN_VERSION:
        raise Refused(Reason.MALFORMED, f"login of version {version}")
    name = 2 + length
    end = name + 1 + (yield from reader.peek(name + 1))[name]
    message = yield from reader.exactly(end)
    return message[2:name], message[name + 1 :]


def login_reply(*, granted: bool) -> bytes:
    # RFC 1929 §2: anything but 0 "MUST close the connection".
    return bytes((_LOGIN_VERSION, 0 if granted else 1))


def request(reader: Reader) -> Generator[None, None, Request]:
    """What the client wants (RFC 1928 §4).

    Raises:
        Refused: UNSUPPORTED_ADDRESS for an unknown address type, MALFORMED for everything else.
        EOFError: the client closed in the middle.
    """
    version, command, reserved, number = yield from reader.peek(4)
    if version != VERSION or reserved:
        raise Refused(Reason.MALFORMED, "request")
    kind = _KINDS.get(number)
    if kind is None:
        raise Refused(Reason.UNSUPPORTED_ADDRESS, f"address type {number:#04x}")
    end = 4 + _SIZES[kind]
    if kind is AddressType.NAME:
        end += (yield from reader.peek(end))[-1]
    # In one piece: each field that is waited for on its own costs more than all of them are worth.
    message = yield from reader.exactly(end + 2)
    port = int.from_bytes(message[end:])
    # The other commands may say 0: UDP ASSOCIATE does, where the client does not know its port yet.
    if not port and command == Command.CONNECT:
        raise Refused(Reason.MALFORMED, "port 0")
    return Request(command, kind, Endpoint(_host(kind, message[4:end]), port))


def reply(code: Reply, kind: AddressType = AddressType.IPV4) -> bytes:
    """The answer to a request with an address of this kind; IPv4 where it was a name or never understood."""
    family = AddressType.IPV6 if kind is AddressType.IPV6 else AddressType.IPV4
    return bytes((VERSION, code, 0, family)) + bytes(_SIZES[family] + 2)


def reply_message(reader: Reader) -> Generator[None, None, bytes]:
    """The whole reply of a server, unread: only its length is understood here (RFC 1928 §6).

    What a server refuses with may end after the code, so nothing more is waited for.
    """
    message = yield from reader.exactly(2)
    if message[1] != Reply.SUCCEEDED:
        return message
    message += yield from reader.exactly(2)
    if message[3] == AddressType.NAME:
        (length,) = yield from reader.peek(1)
        return message + (yield from reader.exactly(1 + length + 2))
    size = 16 if message[3] == AddressType.IPV6 else 4
    return message + (yield from reader.exactly(size + 2))


def _host(kind: AddressType, field: bytes) -> str | Address:
    if kind is AddressType.IPV4:
        return IPv4Address(field)
    if kind is AddressType.IPV6:
        return IPv6Address(field)
    name = field[1:]
    # RFC 1928 knows no other script, and the versions of IDNA do not agree on which host a name then means.
    if not name.isascii():
        raise Refused(Reason.MALFORMED, "a host name that is not ASCII")
    return parse_host(name.decode("ascii"))
