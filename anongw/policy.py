"""May this flow go there? Pure decisions on names and addresses; nothing here looks anything up.

Rules: only an address that every other machine could reach as well is a fit target, unless `allow_private`
names it. An address that carries another inside (IPv4-mapped, NAT64, ISATAP) is judged by both. What is not
known to be public is private: IPv6 outside 2000::/3 and the dead tunnels 6to4 and Teredo are never needed.

The tables are our own, because what `ipaddress.is_global` says differs between versions of Python. Sources:
IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), of which the test holds a copy.
"""

import ipaddress
from bisect import bisect_right
from collections.abc import Collection, Iterable

from anongw import config
from anongw.address import Address, Endpoint, suffixes, unwrap
from anongw.errors import Reason, Refused
from anongw.targets import Targets

_PRIVATE_V4 = (
    "0.0.0.0/8",  # this network (RFC 791); Linux takes it for loopback
    "10.0.0.0/8",  # private use (RFC 1918)
    "100.64.0.0/10",  # shared address space, CGNAT (RFC 6598); Alibaba's metadata
    "127.0.0.0/8",  # loopback (RFC 1122)
    "168.63.129.16/32",  # Azure's host agent: a public number that only leads to the machine's own host
    "169.254.0.0/16",  # link-local (RFC 3927); 169.254.169.254 is the metadata of most clouds
    "172.16.0.0/12",  # private use (RFC 1918)
    "192.0.0.0/24",  # protocol assignments (RFC 6890): PCP, DS-Lite; Oracle's metadata
    "192.0.2.0/24",  # documentation (RFC 5737)
    "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
    "192.168.0.0/16",  # private use (RFC 1918)
    "198.18.0.0/15",  # benchmarking (RFC 2544)
    "198.51.100.0/24",  # documentation (RFC 5737)
    "203.0.113.0/24",  # documentation (RFC 5737)
    "224.0.0.0/4",  # multicast (RFC 1112)
    "240.0.0.0/4",  # reserved (RFC 1112), and the limited broadcast (RFC 919)
)
_PRIVATE_V6 = (
    "::/3",  # loopback, unspecified, mapped, compatible, NAT64, discard: no global unicast (RFC 4291 §2.4)
    "2001::/23",  # protocol assignments (RFC 2928): Teredo, ORCHID, benchmarking
    "2001:db8::/32",  # documentation (RFC 3849)
    "2002::/16",  # 6to4 (RFC 3056): carries an IPv4 address, and its relays are gone (RFC 7526)
    "3fff::/20",  # documentation (RFC 9637)
    "4000::/2",  # not assigned; SRv6 SIDs 5f00::/16 (RFC 9602)
    "8000::/1",  # not assigned; unique local fc00::/7, fe80::/10, site-local fec0::/10, multicast ff00::/8
)

# Names that mean something on this machine or in this house only. With a chain they would be asked of a
# stranger, or worse, mean something in the stranger's house.
_PRIVATE_NAMES = frozenset(
    {
        "localhost",  # RFC 6761 §6.3
        "localdomain",  # what many systems add to localhost
        "local",  # mDNS, RFC 6762
        "internal",  # reserved for private use by ICANN, 2024; metadata.google.internal
        "home.arpa",  # RFC 8375
        *("test", "invalid"),  # RFC 6761 §6.2, §6.4: no resolver of others' has them
        *("intranet", "private", "corp", "home", "lan"),  # RFC 6762, appendix G
    }
)
# Top-level names of networks beside the Internet, known to the exits of some chains and to nobody else: RFC
# 7686, RFC 9476, and I2P's, which no RFC reserves.
OVERLAYS = frozenset({"onion", "alt", "i2p"})
# ISATAP (RFC 5214 §6.1): an interface identifier 0000:5efe or 0200:5efe, then an IPv4 address.
_ISATAP = (0x00005EFE, 0x02005EFE)


class Ranges:
    """Addresses by their numbers: `ipaddress` takes microseconds for each range to see if it holds one."""

    def __init__(self, networks: Iterable[config.Network]) -> None:
        self._bounds: dict[int, list[int]] = {4: [], 6: []}
        for one in sorted(networks, key=lambda one: (one.version, int(one[0]), -one.num_addresses)):
            bounds, first, end = self._bounds[one.version], int(one[0]), int(one[-1]) + 1
            # Of two networks that overlap one lies within the other, and the wider came first.
            if not bounds or first >= bounds[-1]:
                bounds += (first, end)

    def __contains__(self, address: Address) -> bool:
        return self.has(address.version, int(address))

    def has(self, version: int, number: int) -> bool:
        """Whether the address of this number lies within: then an odd count of ranges' ends is below it."""
        return bool(bisect_right(self._bounds[version], number) & 1)


_PRIVATE = Ranges(ipaddress.ip_network(text) for text in (*_PRIVATE_V4, *_PRIVATE_V6))


def is_public(address: Address) -> bool:
    """Whether the whole Internet knows this address by this number."""
    address = unwrap(address)
    number = int(address)
    if isinstance(address, ipaddress.IPv4Address):
        return not _PRIVATE.has(4, number)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP and _PRIVATE.has(4, number & 0xFFFFFFFF):
        return False
    return not _PRIVATE.has(6, number)


class Policy:
    """The rules of one config.

    `own` holds the endpoints of the gateway's own listeners and may be filled after they are bound. `zones`
    and `hosts` are the names that the config itself can resolve, and that are therefore no secret.
    """

    def __init__(
        self,
        settings: config.Policy,
        own: Collection[Endpoint] = (),
        *,
        zones: Collection[str] = (),
        hosts: Collection[str] = (),
    ) -> None:
        self._own = own
        self._exempt = Ranges(one.network for one in settings.allow_private)
        self._deny = Targets(settings.deny) if settings.deny else None
        self._allow = Targets(settings.allow) if settings.allow else None
        self._zones = frozenset(zones)
        self._hosts = frozenset(hosts)

    def judge(self, target: Endpoint, *, resolved_here: bool = False) -> None:
        """Judge what a client asked for, before anything is looked up or dialled.

        An allow rule about addresses can only speak for a name if the name is resolved here and each address
        goes through `judge_address`; whoever does so says `resolved_here`.

        Raises:
            Refused: PRIVATE_NAME or FORBIDDEN for a name; for an address as `judge_address` does.
        """
        name = target.host
        if not isinstance(name, str):
            self.judge_address(name, target.port, None)
            return
        if self._is_private_name(name):
            raise Refused(Reason.PRIVATE_NAME, name)
        self._judge_name(name, target.port, resolved_here=resolved_here)

    def _judge_name(self, name: str, port: int, *, resolved_here: bool) -> None:
        if self._deny and self._deny.match(name, (), port):
            raise Refused(Reason.FORBIDDEN, name)
        undecided = resolved_here and self._allow and self._allow.has_networks
        if self._allow and not undecided and not self._allow.match(name, (), port):
            raise Refused(Reason.FORBIDDEN, name)

    def judge_afar(
        self, target: Endpoint, *, overlays: Collection[str] = (), resolved_here: bool = False
    ) -> None:
        """Judge what goes out through a chain, where this machine's own zones and hosts mean nothing.

        `overlays` are the top-level names of networks (onion, i2p) that the chain's exit knows; to anybody
        else they would show what the client wants there.

        Raises:
            Refused: as `judge`; PRIVATE_NAME too for a name of an overlay that the chain is not marked for.
        """
        name = target.host
        if not isinstance(name, str):
            self.judge_address(name, target.port, None)
            return
        top = name.rpartition(".")[2]
        if self._is_local_name(name) or (top in OVERLAYS and top not in overlays):
            raise Refused(Reason.PRIVATE_NAME, name)
        self._judge_name(name, target.port, resolved_here=resolved_here)

    def judge_address(self, address: Address, port: int, name: str | None) -> None:
        """Judge an address about to be dialled; `name` is the one that it was found under, if any.

        Raises:
            Refused: OWN_LISTENER; PRIVATE_TARGET, or REBINDING where a name led there; FORBIDDEN.
        """
        plain = unwrap(address)
        if self._own and self._is_own(plain, port):
            raise Refused(Reason.OWN_LISTENER, str(address))
        if not self.may_use(address):
            raise Refused(Reason.REBINDING if name else Reason.PRIVATE_TARGET, str(address))
        if self._deny and self._deny.match(name, (address, plain), port):
            raise Refused(Reason.FORBIDDEN, str(address))
        if self._allow and not self._allow.match(name, (address, plain), port):
            raise Refused(Reason.FORBIDDEN, str(address))

    def may_use(self, address: Address) -> bool:
        """Whether an address is public, or private and named by `allow_private`."""
        return is_public(address) or self.is_exempt(address)

    def is_exempt(self, address: Address) -> bool:
        """Whether `allow_private` names an address."""
        plain = unwrap(address)
        return plain in self._exempt or (plain is not address and address in self._exempt)

    def listens_everywhere(self, port: int) -> bool:
        """Whether a listener of ours is on every address of this machine, so that any of them leads to us."""
        return any(
            one.port == port and not isinstance(one.host, str) and one.host.is_unspecified
            for one in self._own
        )

    def _is_own(self, address: Address, port: int) -> bool:
        hosts = [one.host for one in self._own if one.port == port]
        if not hosts:
            return False
        # A listener on every address is met on loopback too, and Linux takes 0.0.0.0 and :: for loopback.
        if any(not isinstance(host, str) and host.is_unspecified for host in hosts):
            return address.is_loopback or address.is_unspecified
        return address in hosts or (address.is_unspecified and any(_is_loopback(host) for host in hosts))

    def _is_private_name(self, name: str) -> bool:
        if name in self._hosts or not self._zones.isdisjoint(suffixes(name)):
            return False
        return self._is_local_name(name)

    @staticmethod
    def _is_local_name(name: str) -> bool:
        # A name of one label means whatever is in the house: the root has no addresses (RFC 7085).
        return "." not in name or not _PRIVATE_NAMES.isdisjoint(suffixes(name))


def _is_loopback(host: str | Address) -> bool:
    return not isinstance(host, str) and host.is_loopback
