"""A connected TCP socket for code that runs in an anyio task: resolving, a handshake, a chain's dial.

It holds a raw non-blocking socket, so nothing is hidden in a private queue: a socket moves between this and
the engine's streams, with the bytes that were read too early, by `detach` and the constructor. Only an
address can be dialled; nothing here knows names.

Errors of the socket leave `connect` as `Refused`. Send and receive raise what anyio's streams raise, because
anyio's TLS stands on them.
"""

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from anongw.address import Address
from anongw.errors import Refused
from anongw.net.egress import ANYWHERE, Egress
from anongw.net.reasons import refusal


class TaskStream(ByteStream):
    """A byte stream over a socket. `early` are bytes that were read from it before."""

    def __init__(self, sock: socket.socket, early: bytes = b"") -> None:
        sock.settimeout(0)
        self._sock = sock
        self._early = early
        # TLS writes from its reader too (a key update); two senders take turns instead of failing.
        self._sending = anyio.Lock()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        # Before the read and never after it: a cancellation must not cost bytes.
        await anyio.lowlevel.checkpoint()
        if self._early:
            taken, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return taken
        while True:
            try:
                data = self._sock.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._sock)
            except OSError as error:
                raise self._lost(error) from error
            else:
                if data:
                    return data
                raise anyio.EndOfStream

    async def send(self, item: bytes) -> None:
        async with self._sending:
            rest = memoryview(item)
            while rest:
                try:
                    rest = rest[self._sock.send(rest) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._sock)
                except OSError as error:
                    raise self._lost(error) from error

    async def send_eof(self) -> None:
        async with self._sending:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                raise self._lost(error) from error

    async def aclose(self) -> None:
        self.close()
        await anyio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close at once; whoever waits on the socket gets ClosedResourceError. Harmless when repeated."""
        if self._sock.fileno() >= 0:
            anyio.notify_closing(self._sock)
            self._sock.close()

    def detach(self) -> tuple[socket.socket, bytes]:
        """Give the socket away, with the bytes nobody has received yet. Nobody may be waiting on it."""
        # The descriptor moves to a new object, so that this one is closed for everybody who still holds it.
        sock = socket.socket(fileno=self._sock.detach())
        sock.settimeout(0)
        early, self._early = self._early, b""
        return sock, early

    def _lost(self, error: OSError) -> Exception:
        if self._sock.fileno() < 0:
            return anyio.ClosedResourceError()
        return anyio.BrokenResourceError(errno.errorcode.get(error.errno or 0, "unknown"))

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {
            SocketAttribute.family: lambda: self._sock.family,
            SocketAttribute.local_address: self._sock.getsockname,
            SocketAttribute.raw_socket: lambda: self._sock,
            SocketAttribute.remote_address: self._sock.getpeername,
            SocketAttribute.remote_port: lambda: self._sock.getpeername()[1],
        }


async def connect(
    address: Address,
    port: int,
    timeout: float,  # noqa: ASYNC109 - its own scope
    egress: Egress = ANYWHERE,
) -> TaskStream:
    """Connect to an address within `timeout` seconds, from a port that the kernel chooses.

    Raises:
        Refused: CONNECT_TIMEOUT, CONNECTION_REFUSED, NETWORK_UNREACHABLE, HOST_UNREACHABLE, RESOURCES or
            EGRESS_GONE.
    """
    sock = open_socket(address, socket.SOCK_STREAM, egress)
    try:
        with anyio.fail_after(timeout):
            await _connect(sock, sockaddr(address, port))
    except BaseException as error:
        sock.close()
        # TimeoutError is an OSError: the scope's own means the same as the kernel's ETIMEDOUT.
        if isinstance(error, OSError):
            raise refusal(error) from None
        raise
    return TaskStream(sock)


def open_socket(address: Address, kind: socket.SocketKind, egress: Egress) -> socket.socket:
    """A non-blocking socket of the address's family, bound as `egress` says.

    Raises:
        Refused: RESOURCES, NETWORK_UNREACHABLE or EGRESS_GONE.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IP's own numbers
    try:
        sock = socket.socket(family, kind)
    except OSError as error:
        raise refusal(error) from None
    try:
        egress.apply(sock, address)
    except Refused:
        sock.close()
        raise
    sock.settimeout(0)
    return sock


def sockaddr(address: Address, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The address as `connect` wants it. A zone (`fe80::1%eth0`) becomes the interface's number (RFC 4007).

    Raises:
        OSError: there is no such interface.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return str(address), port
    zone = address.scope_id or "0"
    index = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    return str(address).partition("%")[0], port, 0, index


async def _connect(sock: socket.socket, where: tuple[str, int] | tuple[str, int, int, int]) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(where)
    if code == errno.EINPROGRESS:
        await anyio.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
