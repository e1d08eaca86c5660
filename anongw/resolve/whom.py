"""Whom a name is asked of, and what is known without asking. Pure: by the settings and the name alone.

The resolver goes by it, and so does whoever says beforehand who would be asked (`anongw explain`).
"""

import ipaddress
from collections.abc import Sequence

import msgspec

from anongw.address import Address, parse_host
from anongw.config import Resolve
from anongw.errors import Reason, Refused
from anongw.resolve.server import Server, System, parse_server, parse_servers
from anongw.resolve.verdict import interleave
from anongw.resolve.zones import chosen
from anongw.wire.dns import Kind

Servers = tuple[Server, ...] | System

_KINDS = {"ipv4": (Kind.A,), "ipv6": (Kind.AAAA,)}
_BOTH = (Kind.AAAA, Kind.A)
_VERSIONS = {Kind.A: 4, Kind.AAAA: 6}
_FIRST = {"ipv4": 4, "prefer-ipv4": 4}  # IP versions; RFC 8305 §4 puts 6 first


class Whom:
    """What `[resolve]` says: `servers` for all names but those of `zones`; `kinds` of addresses to ask for.

    IP version `first` is the first to try.
    """

    def __init__(self, settings: Resolve) -> None:
        """Read the settings.

        Raises:
            ValueError: a server, a zone or a host that means nothing, with how to write it.
        """
        self.servers: Servers = parse_servers(settings.servers)
        self.zones: dict[str, Servers] = {
            _name(suffix): _zone(text) for suffix, text in settings.zones.items()
        }
        self.kinds = _KINDS.get(settings.family, _BOTH)
        self.first = _FIRST.get(settings.family, 6)
        self._hosts = {_name(name): _fixed(name, texts) for name, texts in settings.hosts.items()}

    def fixed(self, name: str) -> tuple[Address, ...] | None:
        """The addresses of a fixed host, in the order to try them; None: it is none.

        Raises:
            Refused: NAME_NOT_FOUND where none is of a family in use.
        """
        addresses = self._hosts.get(name)
        if addresses is None:
            return None
        versions = {_VERSIONS[kind] for kind in self.kinds}
        usable = interleave([address for address in addresses if address.version in versions], self.first)
        if not usable:
            raise Refused(Reason.NAME_NOT_FOUND, name)
        return usable

    def asked(self, name: str) -> Servers:
        """Those of whom one is asked for a name that is no fixed host's.

        Raises:
            Refused: PRIVATE_NAME where it may be asked of nobody.
        """
        return chosen(name, self.zones, self.servers)


def afar(settings: Resolve, family: str) -> Resolve:
    """The settings for asking through a chain of this family, where this network's servers mean nothing."""
    own = settings.family if family == "any" else family
    return msgspec.structs.replace(settings, family=own, zones={})


def _name(text: str) -> str:
    try:
        name = parse_host(text.removeprefix("."))
    except Refused:
        name = ""
    if isinstance(name, str) and name:
        return name
    raise ValueError(f'"{text}" is no name: write it like "printer.home.arpa"')


def _zone(text: str) -> Servers:
    server = parse_server(text)
    return server if isinstance(server, System) else (server,)


def _fixed(name: str, texts: Sequence[str]) -> tuple[Address, ...]:
    try:
        return tuple(ipaddress.ip_address(text) for text in texts)
    except ValueError:
        raise ValueError(f'"{name}" stands for addresses: write {name} = ["192.0.2.1"]') from None
