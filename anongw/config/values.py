"""The values that a config is written in: durations, sizes, address ranges, rules, secrets.

Each is made from the text that stands in the file and says in a ValueError what is wrong and how to write it.
No message here ever holds the text of a secret.
"""

import binascii
import ipaddress
import re
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from anongw.address import NAME_MOST, PORT_MOST, Address, Endpoint, parse_host, parse_port
from anongw.errors import Refused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Plain numbers in code, text with a unit in the file: `load` knows these two by their annotation.
Seconds = Annotated[float, Meta(description="duration")]
Bytes = Annotated[int, Meta(description="size")]
Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DURATION_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZE = re.compile(r"([0-9]+) ?(B|KiB|MiB|GiB)")
_SIZE_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}

# scrypt needs 128 * r * n bytes for a check and time in proportion to p: 64 MiB and about half a second at
# the most, so that no config, and so no login, can make the gateway eat the machine. At least what a
# password deserves: n = 2**14, 16 MiB (OWASP's floor for p = 5; our own hashes have p = 1 and 50 ms).
_LN = range(14, 17)
_R = range(8, 9)
_P = range(1, 6)
_SALT_LEAST = 16
_KEY_BYTES = 32
_HASH = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)


def parse_duration(value: object) -> float:
    """Seconds from "250ms", "10s", "5m", "2h" or "1d"; a plain 0 needs no unit."""
    if value == 0 and type(value) is int:  # not False
        return 0.0
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError('a duration has a unit: write "10s", "5m" or "2h"')
    return float(found[1]) * _DURATION_UNITS[found[2]]


def duration_text(seconds: float) -> str:
    """The shortest spelling that `parse_duration` reads back."""
    for unit, worth in _DURATION_UNITS.items():
        count = round(seconds / worth, 6)
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds:g}s"


def parse_size(value: object) -> int:
    """Bytes from a plain number, "32KiB", "64MiB" or "1GiB"."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError('a size is a number of bytes: write 32768 or "32KiB"')
    return int(found[1]) * _SIZE_UNITS[found[2]]


def size_text(count: int) -> str:
    """The shortest spelling that `parse_size` reads back."""
    for unit, worth in _SIZE_UNITS.items():
        if count and count % worth == 0:
            return f"{count // worth}{unit}"
    return "0B"


class Written:
    """A value with one written form, by which it is compared and shown."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written) and type(other) is type(self) and other.text == self.text

    def __hash__(self) -> int:
        return hash((type(self), self.text))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class Secret(Written):
    """A text that no log, error or representation may show."""

    __slots__ = ()

    def reveal(self) -> str:
        return self.text

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "***"


class PasswordHash(Secret):
    """`$scrypt$ln=14,r=8,p=1$salt$key` as `anongw passwd` prints it; salt and key in base64, unpadded."""

    __slots__ = ("key", "n", "p", "r", "salt")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = _HASH.fullmatch(text)
        if not found:
            raise ValueError("not a password hash: make one with `anongw passwd`")
        ln, self.r, self.p = (int(number) for number in found.groups()[:3])
        if ln not in _LN or self.r not in _R or self.p not in _P:
            raise ValueError(
                f"a password hash needs ln {_LN[0]} to {_LN[-1]}, r {_R[0]} and p {_P[0]} to {_P[-1]}: "
                "make one with `anongw passwd`"
            )
        self.n = 1 << ln
        self.salt, self.key = _base64(found[4]), _base64(found[5])
        if len(self.salt) < _SALT_LEAST or len(self.key) != _KEY_BYTES:
            raise ValueError("the password hash was cut: make one with `anongw passwd`")


def _base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("the password hash was cut: make one with `anongw passwd`") from None


class Cidr(Written):
    """An address range, `10.0.0.0/8` or `fd00::/8`; an address by itself is a range of one."""

    __slots__ = ("network",)

    def __init__(self, text: str) -> None:
        self.network = _network(text)
        super().__init__(str(self.network))

    def __contains__(self, address: Address) -> bool:
        return address in self.network


def _network(text: str) -> Network:
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f'{text!r} is not an address range: write "10.0.0.0/8" or "fd00::/8"') from None
    # RFC 4007: a zone index is no part of a range.
    if "%" in text or interface.ip != interface.network.network_address:
        raise ValueError(f'{text!r} does not begin at its network: write "{interface.network}"')
    return interface.network


class Rule(Written):
    """What a target may be: `host`, `host:port` or `host:port-port`.

    The host is one of `example.org` (itself and all below), `=example.org` (exactly), `192.0.2.0/24` or
    `[2001:db8::/32]` (the addresses of that range), and `*` (everything).
    """

    __slots__ = ("exact", "name", "network", "ports")

    name: str  # "" where the rule is about addresses or everything
    exact: bool
    network: Network | None
    ports: range

    def __init__(self, text: str) -> None:
        super().__init__(text)
        host, self.ports = _split_ports(text)
        self.exact = host.startswith("=")
        self.name, self.network = "", None
        if host == "*":
            return
        if "/" in host or ":" in host:
            self.network = _network(host.replace("[", "").replace("]", ""))
            return
        named = parse_name(host.removeprefix("="))
        if isinstance(named, str):
            self.name = named
        else:
            self.network = _network(str(named))

    def matches_name(self, name: str) -> bool:
        """Whether the rule is about this name, whatever the port. Names are in canonical spelling."""
        if name == self.name:
            return bool(name)
        return bool(self.name) and not self.exact and name.endswith(f".{self.name}")


def _split_ports(text: str) -> tuple[str, range]:
    host, colon, ports = text.rpartition(":")
    # A bare IPv6 range has colons of its own and takes a port only behind brackets.
    if not colon or (":" in host and "]" not in host) or "]" in ports:
        return text, range(1, PORT_MOST + 1)
    first, _, last = ports.partition("-")
    try:
        found = range(parse_port(first), parse_port(last or first) + 1)
    except Refused:
        found = range(0)
    if not found or ports.endswith("-"):
        raise ValueError(f'{ports!r} is not a port or a range of ports: write "host:443" or "host:8000-8999"')
    return host, found


def parse_name(text: str) -> str | Address:
    """A host in its canonical spelling, as text a person wrote: `*.example.org` is put right, not guessed."""
    if text.startswith(("*.", ".")):
        better = text.lstrip("*.")
        raise ValueError(f'write "{better}": it stands for itself and all below it')
    try:
        return parse_host(text)
    except Refused:
        raise ValueError(f"{text[:NAME_MOST]!r} is neither a host name nor an address") from None


def parse_listen(text: str) -> Endpoint | Path:
    """Where a listener stands: `127.0.0.1:1080`, `[::1]:1080`, `unix:/run/anongw.sock`; port 0: any free one.

    The host is an address: a listener must not depend on what a name means today.
    """
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise ValueError('a Unix socket has an absolute path: write "unix:/run/anongw.sock"')
        return path
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        address = None
    if address is None or "%" in bare or (address.version == 6) != host.startswith("["):  # noqa: PLR2004 (IPv6)
        raise ValueError(f'{text!r} is no listener: write "127.0.0.1:1080", "[::1]:1080" or "unix:/path"')
    try:
        return Endpoint(address, 0 if port == "0" else parse_port(port))
    except Refused:
        raise ValueError(f"{port!r} is not a port: write a number from 0 (any free one) to 65535") from None
