"""Where a flow wants to go: a name or an address, and a port.

The rule that everything else stands on: a name stays a name. Nothing here looks anything up, and only
`resolve/` ever turns a name into addresses.

Every spelling becomes one: `127.1`, `0x7f000001`, `::ffff:127.0.0.1`, `LOCALHOST.`, full-width digits and
IDNA are brought to the form that policy judges and that is dialled, so that no second parser can read them
differently.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from anongw.errors import Reason, Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 1035 §2.3.4: a name is at most 255 octets on the wire, which is 253 characters; a label 63.
NAME_MOST = 253
# Letters, digits and hyphen (RFC 952), and the underscore that real service names use.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_IPV4_PARTS_MOST = 4
_OCTET_MOST = 255
_OCTET = re.compile(r"25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]")
PORT_MOST = 65535
_PORT = re.compile(r"[0-9]{1,5}")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host, by name or by address, and a TCP port. The host is in its one canonical spelling."""

    host: str | Address
    port: int

    def __str__(self) -> str:
        if isinstance(self.host, ipaddress.IPv6Address):
            return f"[{self.host}]:{self.port}"
        return f"{self.host}:{self.port}"


# IPv4-mapped (RFC 4291 §2.5.5.2) and NAT64's well-known prefix (RFC 6052 §2.1): an IPv4 address at the end.
_MAPPED = 0xFFFF
_NAT64 = 0x64FF9B << 64


def unwrap(address: Address) -> Address:
    """The IPv4 address that an IPv6 address merely spells or is translated to, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        number = int(address)
        if number >> 32 in (_MAPPED, _NAT64):
            return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return address


def suffixes(name: str) -> Iterator[str]:
    """`a.b.c`, `b.c`, `c`: the name itself, then what follows each of its dots."""
    while name:
        yield name
        name = name.partition(".")[2]


def parse_host(text: str) -> str | Address:
    """Bring any spelling of a host to an address or to a lower-case ASCII name without a trailing dot.

    An IPv6 address may stand in brackets. A host whose last label is a number is an IPv4 address in one of
    inet_aton's forms or nothing at all (WHATWG URL §3.5), because libc on the far side would read it so.

    Raises:
        Refused: MALFORMED where it is neither.
    """
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    if ":" in text:
        return _ipv6(text)
    name = _ascii(text).removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    if len(name) > NAME_MOST or not all(map(_LABEL.fullmatch, labels)):
        raise Refused(Reason.MALFORMED, "not a host name")
    return name


def parse_port(text: str) -> int:
    """A TCP port, 1 to 65535, in plain digits.

    Raises:
        Refused: MALFORMED otherwise.
    """
    if _PORT.fullmatch(text) and int(text) in range(1, PORT_MOST + 1):
        return int(text)
    raise Refused(Reason.MALFORMED, "not a port")


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        # IDNA's nameprep also folds full-width digits and dots, which is how a private address is disguised.
        return text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise Refused(Reason.MALFORMED, "not a host name") from None


def _ipv6(text: str) -> Address:
    # RFC 4007: a zone index means something on this machine only; a target has none.
    if "%" not in text:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            pass
        else:
            # Mapped only: behind NAT64 the IPv4 address itself may have no route.
            return address.ipv4_mapped or address
    raise Refused(Reason.MALFORMED, "not an IPv6 address")


def _ipv4(parts: list[str]) -> ipaddress.IPv4Address:
    """inet_aton(3): one to four numbers, decimal, octal or hexadecimal; the last fills what is left."""
    if len(parts) == _IPV4_PARTS_MOST and all(map(_OCTET.fullmatch, parts)):
        return ipaddress.IPv4Address(bytes(map(int, parts)))  # what nearly all are written as
    if len(parts) <= _IPV4_PARTS_MOST and all(_NUMBER.fullmatch(part) for part in parts):
        try:
            numbers = [_number(part) for part in parts]
        except ValueError:
            raise Refused(Reason.MALFORMED, "not an IPv4 address") from None
        *heads, last = numbers
        room = 256 ** (_IPV4_PARTS_MOST - len(heads))
        if all(number <= _OCTET_MOST for number in heads) and last < room:
            value = last
            for place, number in enumerate(heads):
                value += number << (8 * (3 - place))
            return ipaddress.IPv4Address(value)
    raise Refused(Reason.MALFORMED, "not an IPv4 address")


def _number(part: str) -> int:
    if part[:2] in ("0x", "0X"):
        return int(part[2:] or "0", 16)
    if part.startswith("0") and part != "0":
        return int(part, 8)
    return int(part)
