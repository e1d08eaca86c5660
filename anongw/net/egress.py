"""Where connections leave from: an interface, a source address, a mark for firewall and routing rules.

Every option is set on the socket before it connects; one that cannot be set is a refusal, because a socket
that lacks it leaves by whatever way is there. Only an interface pins the way. A source address decides what
the far side sees, a mark what this machine's rules see, and the routing table has the last word on both.
"""

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Sequence

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.net.reasons import refusal

# netdevice(7): IFNAMSIZ is 16, the final zero with it.
INTERFACE_MOST = 15
# socket(7): SO_MARK; the kernel's field is 32 bits wide.
MARK_MOST = 2**32 - 1
_LOOPBACK = "lo"
# For sockets that never send.
_DISCARD = 9
_ANY_TARGET = ipaddress.IPv4Address("192.0.2.1")  # an interface and a mark are the same for both versions


class Egress:
    """What a socket is bound to. Nothing set: it leaves by whichever way the kernel chooses."""

    def __init__(self, interface: str = "", source: Sequence[Address] = (), mark: int = 0) -> None:
        """Nothing is asked of the kernel yet: the interface may come later.

        Raises:
            ValueError: one of them can never be had, with how to write it.
        """
        self._interface = _interface(interface)
        self._source = _sources(source)
        if not 0 <= mark <= MARK_MOST:
            raise ValueError(f"mark {mark} does not fit: write a number from 1 to {MARK_MOST}, or 0 for none")
        self._mark = mark

    def apply(self, sock: socket.socket, target: Address) -> None:
        """Bind a new socket that is going to connect to `target`. Who gets a refusal closes it.

        Raises:
            Refused: EGRESS_GONE, its detail a sentence that says what is missing; NETWORK_UNREACHABLE where
                no way leads from there to the target; RESOURCES.
        """
        if self._interface:
            self._bind_interface(sock, target)
        if self._mark:
            self._set_mark(sock)
        if self._source:
            self._bind_source(sock, target)

    def _bind_interface(self, sock: socket.socket, target: Address) -> None:
        # The kernel would send it: RFC 1122 §3.2.1.3 (g), "MUST NOT appear outside a host".
        if target.is_loopback and self._interface != _LOOPBACK:
            detail = f"{target} is this machine itself: {self._interface} does not lead there"
            raise Refused(Reason.NETWORK_UNREACHABLE, detail)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, os.fsencode(self._interface))
        except OSError as error:
            sentences = {
                errno.ENODEV: f"there is no interface {self._interface}",
                errno.EPERM: "binding to an interface needs CAP_NET_RAW before Linux 5.7",
            }
            raise _refusal(error, sentences) from None

    def _set_mark(self, sock: socket.socket) -> None:
        try:
            # Packed: Python's int is signed here, and half of all marks are above its range.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", self._mark))
        except OSError as error:
            raise _refusal(error, {errno.EPERM: "setting a mark needs CAP_NET_ADMIN"}) from None

    def _bind_source(self, sock: socket.socket, target: Address) -> None:
        source = self._source.get(target.version)
        if source is None:
            raise Refused(Reason.EGRESS_GONE, f"no source address is set for IPv{target.version}")
        try:
            # ip(7): without it the port would be chosen now, and could serve no second target meanwhile.
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
            broadcast = _is_broadcast(source, sock.family)
        except OSError as error:
            sentences = {
                errno.EADDRNOTAVAIL: f"{source} is no address of this machine",
                errno.EINVAL: f"{source} is link-local: name its interface too",
            }
            raise _refusal(error, sentences) from None
        if broadcast:
            raise Refused(Reason.EGRESS_GONE, f"{source} is a broadcast address: nothing can leave from it")


def check(interface: str, source: Sequence[Address], mark: int) -> str:
    """What is missing for leaving from there now, as a sentence; "" where nothing is. Nothing is sent."""
    try:
        egress = Egress(interface, source, mark)
        for target in source or (_ANY_TARGET,):
            family = socket.AF_INET if isinstance(target, ipaddress.IPv4Address) else socket.AF_INET6
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                egress.apply(probe, target)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"no socket for it: {error.strerror}"
    except Refused as refused:
        return refused.detail
    return ""


def _interface(name: str) -> str:
    # The kernel cuts a longer name, and stops at a zero: it would bind to another interface, or to none.
    if len(os.fsencode(name)) > INTERFACE_MOST or "\0" in name:
        raise ValueError(f'"{name}" is no interface: the name of one has at most {INTERFACE_MOST} bytes')
    return name


def _sources(source: Sequence[Address]) -> dict[int, str]:
    """By IP version."""
    found: dict[int, str] = {}
    for address in source:
        text = str(address)
        if "%" in text:
            raise ValueError(f"{text}: name what follows the % as the interface")
        mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped
        # bind(2) takes the last two, and connect(2) then leaves from an address of the kernel's choice.
        if mapped or address.is_unspecified or address.is_multicast:
            raise ValueError(f"{text} is no source: write an address that an interface of this machine has")
        if found.setdefault(address.version, text) != text:
            raise ValueError(f"{text} is a second source for IPv{address.version}: name one of each version")
    return found


def _is_broadcast(address: str, family: int) -> bool:
    """bind(2) takes these too, and connect(2) then leaves from another address; as a target EACCES tells."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex((address, _DISCARD)) == errno.EACCES


def _refusal(error: OSError, sentences: dict[int, str]) -> Refused:
    told = refusal(error)
    if told.reason is Reason.RESOURCES:
        return told
    return Refused(Reason.EGRESS_GONE, sentences.get(error.errno or 0, told.detail))


# From this machine, by whichever way its routing table says.
ANYWHERE = Egress()
