"""How the user names a resolver: `https://9.9.9.9/dns-query#dns.quad9.net`.

    scheme://ADDRESS[:PORT][/PATH][#NAME]      system

The scheme is https, tls, tcp or udp. A resolver is named by its address: to look its name up one would have
to ask somebody else first. NAME is what its certificate must bear, the address itself where there is none.
`system` means the nameservers of this machine (`resolve/system.py`).
"""

import enum
import ipaddress
import re
from dataclasses import dataclass

from anongw.address import Address, parse_host, parse_port
from anongw.errors import Refused

_VISIBLE = re.compile(r"[!-~]*")  # what may stand in a request line
_AUTHORITY = re.compile(r"(\[(?P<six>[^\]]*)\]|(?P<four>[^:]*))(:(?P<port>[^:]*))?")


class Scheme(enum.Enum):
    HTTPS = "https"
    TLS = "tls"
    TCP = "tcp"
    UDP = "udp"

    @property
    def encrypted(self) -> bool:
        return self in (Scheme.HTTPS, Scheme.TLS)


# RFC 8484 §8.1, RFC 7858 §3.1, RFC 1035 §4.2.
_PORTS = {Scheme.HTTPS: 443, Scheme.TLS: 853, Scheme.TCP: 53, Scheme.UDP: 53}
_PATH = "/dns-query"


@dataclass(frozen=True, slots=True)
class Server:
    """One resolver. `path` is for HTTPS, `name` (a host name or an address) for HTTPS and TLS."""

    scheme: Scheme
    address: Address
    port: int
    path: str = ""
    name: str = ""

    @property
    def authority(self) -> str:
        """What HTTP calls the server (RFC 9110 §4.2.2): the certificate's name, the port where unusual."""
        host = f"[{self.name}]" if ":" in self.name else self.name
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class System:
    """The nameservers of this machine, whichever they are at the moment."""


def parse_server(text: str) -> Server | System:
    """Read what the user wrote.

    Raises:
        ValueError: with a sentence that says how to write it.
    """
    if text == "system":
        return System()
    start, mark, rest = text.partition("://")
    if not mark or start not in {scheme.value for scheme in Scheme}:
        raise ValueError(f'"{text}" is no resolver: write https://, tls://, tcp:// or udp:// and its address')
    scheme = Scheme(start)
    rest, named, name = rest.partition("#")
    authority, slash, path = rest.partition("/")
    address, port = _where(text, authority, scheme)
    if not scheme.encrypted and named:
        raise ValueError(f'"{text}": #{name} names a certificate, and {start} has none: use https or tls')
    if scheme is not Scheme.HTTPS and path:
        raise ValueError(f'"{text}": only https has a path: leave out /{path}')
    if not _VISIBLE.fullmatch(path):
        raise ValueError(f'"{text}": write spaces and other signs in the path as %20')
    return Server(
        scheme,
        address,
        port,
        path=(slash + path if path else _PATH) if scheme is Scheme.HTTPS else "",
        name=_name(text, name or str(address)) if scheme.encrypted else "",
    )


def parse_servers(texts: tuple[str, ...]) -> tuple[Server, ...] | System:
    """A list of resolvers, or the one word `system`.

    Raises:
        ValueError: as `parse_server`; the list is empty, or `system` does not stand alone.
    """
    servers = list(dict.fromkeys(parse_server(text) for text in texts))
    if servers == [System()]:
        return System()
    found = tuple(server for server in servers if isinstance(server, Server))
    if not found or len(found) < len(servers):
        raise ValueError('name at least one resolver, or "system" alone')
    return found


def _where(text: str, authority: str, scheme: Scheme) -> tuple[Address, int]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError(f'"{text}": write an IPv6 address in brackets, as in {scheme.value}://[2620:fe::fe]')
    try:
        address = ipaddress.ip_address(parts["six"] or parts["four"])
    except ValueError:
        raise ValueError(
            f'"{text}": a resolver is named by its address; the name of its certificate goes to the end, '
            f"as in {scheme.value}://9.9.9.9#dns.quad9.net"
        ) from None
    if parts["port"] is None:
        return address, _PORTS[scheme]
    try:
        return address, parse_port(parts["port"])
    except Refused:
        raise ValueError(f'"{text}": a port is a number from 1 to 65535') from None


def _name(text: str, name: str) -> str:
    try:
        return str(parse_host(name.partition("%")[0]))
    except Refused:
        raise ValueError(f'"{text}": no certificate bears the name {name}') from None
