"""Direct connections: to one of several addresses, raced as RFC 8305 says, driven by the engine.

The only file that connects a flow's socket. It takes addresses, never names; the port it leaves from is the
kernel's choice, never the client's. What the egress demands is set before connect, or nothing connects.
"""

import errno
import ipaddress
import socket
from collections.abc import Sequence

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.net.egress import ANYWHERE, Egress
from anongw.net.fiber import Fiber
from anongw.net.reasons import reason_of
from anongw.net.stream import Stream
from anongw.net.wait import WRITE, park

# Seconds before the next address is tried beside the one that has not answered yet. RFC 8305 §5 recommends
# 250 ms; the engine's sweep rounds it up to at most twice that, well below the 2 s it allows.
STAGGER = 0.25

_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK

# The largest packet on the way of a connected socket, by family (ip(7) IP_MTU, ipv6(7) IPV6_MTU): Linux
# allows an interface 65,535 bytes, and gives that much to its loopback alone.
_MTU_V4 = socket.IPPROTO_IP, 14
_MTU_V6 = socket.IPPROTO_IPV6, 24
_LOOPBACK_MTU = 65535

# Which failure is told when several addresses failed: the one that says most about the far side.
_TELLING = (
    Reason.CONNECTION_REFUSED,
    Reason.CONNECT_TIMEOUT,
    Reason.HOST_UNREACHABLE,
    Reason.NETWORK_UNREACHABLE,
    Reason.RESOURCES,
    Reason.EGRESS_GONE,  # of one family only, where another has failed as well
)


async def connect(fiber: Fiber, addresses: Sequence[Address], port: int, egress: Egress = ANYWHERE) -> Stream:
    """The first of `addresses` that accepts, in their order, each given a head start of `STAGGER`.

    The caller bounds it with `fiber.within`.

    Raises:
        Refused: every address failed, with the most telling reason.
    """
    race = _Race(fiber, port, egress)
    waiting = list(addresses)
    try:
        while True:
            winner = race.start(waiting.pop(0)) if waiting else None
            if winner is None and race.running:
                winner = await race.wait(more=bool(waiting))
            if winner is not None:
                return winner
            if not race.running and not waiting:
                raise race.lost()
    finally:
        race.clear()


def is_this_machine(address: Address, port: int) -> bool:
    """Whether a target's address is one of this machine's own, whatever the interface.

    Connecting a datagram socket sends nothing; it asks the kernel for the route, and so for the address that
    we would leave from, which for one's own address is that very address. For a second address of an
    interface it is the first one, but the way there is the loopback's all the same, whose packets are the
    largest that IP has.

    Asked anew each time, although it is five calls: a verdict that is kept would let an address through that
    an interface was given since, and a socket that is connected again keeps its first source (Linux sets it
    only where there is none), so that the kernel would be asked about another route, or find it invalid.

    Raises:
        Refused: RESOURCES where the kernel has no descriptor left to tell by.
    """
    is_v4 = isinstance(address, ipaddress.IPv4Address)
    family, mtu = (socket.AF_INET, _MTU_V4) if is_v4 else (socket.AF_INET6, _MTU_V6)
    text = _text(address)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((text, port))
            source = probe.getsockname()[0]
            by_loopback = probe.getsockopt(*mtu) >= _LOOPBACK_MTU
    except OSError as error:
        if reason_of(error.errno) is Reason.RESOURCES:
            raise Refused(Reason.RESOURCES) from None  # not known is not allowed
        return False  # no way there at all
    # An IPv4 address has one spelling; of IPv6 the kernel's may differ from ours.
    is_source = source == text if is_v4 else ipaddress.ip_address(source) == address
    return is_source or (by_loopback and not address.is_loopback)


class _Race:
    def __init__(self, fiber: Fiber, port: int, egress: Egress) -> None:
        self.running: list[Stream] = []
        self._fiber = fiber
        self._port = port
        self._egress = egress
        self._failures: dict[Reason, str] = {}  # with the detail of each, where there is one

    def start(self, address: Address) -> Stream | None:
        """Begin to connect; the stream, if it succeeded on the spot."""
        try:
            sock = _open(address, self._egress)
        except OSError as error:
            self._failures[reason_of(error.errno)] = ""
            return None
        except Refused as refused:
            self._failures[refused.reason] = refused.detail
            return None
        stream = self._fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
        stream.probed = False
        code = sock.connect_ex((_text(address), self._port))
        if code not in (0, errno.EINPROGRESS):
            self._failed(stream, code)
            return None
        # On loopback the kernel has done the whole handshake by now: ask before waiting for it.
        if address.is_loopback and _is_connected(sock):
            return stream
        self.running.append(stream)
        return None

    async def wait(self, *, more: bool) -> Stream | None:
        """Wait for one of them to win; None: one failed, or it is time for the next."""
        until = self._fiber.engine.now + STAGGER if more else None
        woken = await park(*[(stream, WRITE) for stream in self.running], until=until)
        if not isinstance(woken, Stream):
            return None
        code = woken.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code and not _is_connected(woken.sock):
            return None
        self.running.remove(woken)
        if code:
            self._failed(woken, code)
            return None
        return woken

    def lost(self) -> Refused:
        reason = next((reason for reason in _TELLING if reason in self._failures), Reason.HOST_UNREACHABLE)
        return Refused(reason, self._failures.get(reason, ""))

    def clear(self) -> None:
        """Close the attempts that are still running."""
        for stream in self.running:
            self._drop(stream)
        self.running.clear()

    def _failed(self, stream: Stream, code: int) -> None:
        self._failures[reason_of(code)] = ""
        self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self._fiber.give_up(stream)
        stream.close()


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _text(address: Address) -> str:
    """As connect(2)'s callers want it. Python takes four times as long to spell an IPv4 address out."""
    if isinstance(address, ipaddress.IPv4Address):
        return socket.inet_ntoa(address.packed)
    return str(address)


def _open(address: Address, egress: Egress) -> socket.socket:
    family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
    sock = socket.socket(family, _KIND)
    try:
        egress.apply(sock, address)
        # No delay for small messages. Probes for a vanished peer can wait; see keepalive.py.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, Refused):
        sock.close()
        raise
    return sock
