"""Pairs of connected sockets, and the far end of one as a test plays it.

`Peer` is written on `anyio.wait_readable` and shares no code with the streams under test.
"""

import enum
import os
import socket
import struct

import anyio

from anongw.net.keepalive import KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES

# What a socket's options are where the kernel notices a vanished peer.
PROBED = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): KEEPALIVE_IDLE,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): KEEPALIVE_INTERVAL,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): KEEPALIVE_PROBES,
}


class Kind(enum.Enum):
    TCP = "tcp"
    UNIX = "unix"


def pair(kind: Kind = Kind.TCP, buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
    """Two connected non-blocking sockets. `buffer` bytes of kernel buffer at each, so that it fills soon."""
    near, far = _tcp_pair(buffer) if kind is Kind.TCP else socket.socketpair(socket.AF_UNIX)
    for sock in (near, far):
        sock.settimeout(0)
        if kind is Kind.TCP:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    return near, far


def reset(sock: socket.socket) -> None:
    """Close a TCP socket so that the other side sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def descriptors() -> set[int]:
    """The numbers that this process has open."""
    found = {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208 - names, not paths
    # One of them was the listing itself, closed by now.
    return {number for number in found if _is_open(number)}


class Peer:
    """The far end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self.sock)

    async def receive(self, most: int = 65536) -> bytes:
        """What arrives next; b"" after the other side said its last; ConnectionResetError after a reset."""
        while True:
            try:
                return self.sock.recv(most)
            except BlockingIOError:
                await anyio.wait_readable(self.sock)

    async def exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = await self.receive(count - len(data))
            assert piece, f"ended after {len(data)} of {count} bytes"
            data += piece
        return bytes(data)

    async def rest(self) -> bytes:
        """Everything until the other side's last."""
        data = bytearray()
        while piece := await self.receive():
            data += piece
        return bytes(data)

    async def rest_until_reset(self) -> bytes:
        """Everything until the reset that must come."""
        data = bytearray()
        try:
            while piece := await self.receive():
                data += piece
        except ConnectionResetError:
            return bytes(data)
        raise AssertionError(f"said its last instead of a reset, after {len(data)} bytes")

    def fill(self) -> int:
        """Send until the kernel takes no more; how much it took."""
        count = 0
        while True:
            try:
                count += self.sock.send(bytes(65536))
            except BlockingIOError:
                return count

    def last(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        reset(self.sock)

    def close(self) -> None:
        self.sock.close()


def _tcp_pair(buffer: int | None) -> tuple[socket.socket, socket.socket]:
    with socket.socket() as listener, socket.socket() as probe:
        if buffer is not None:
            # A window is agreed on at the handshake, so a small one must be asked for before it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        probe.connect(listener.getsockname())
        near, _ = listener.accept()
        return near, probe.dup()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
