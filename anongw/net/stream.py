"""One connected socket, as code driven by the engine sees it.

It can un-read (its `reader` holds what came early), never hides a byte from the kernel's view of the
descriptor, and moves between owners (a flow, the relay, the pool of kept connections) without a system call.

Rules: reads and writes are tried at once and parked only on EAGAIN. Errors of the socket become `Refused`
with this stream's own `lost` reason here and nowhere else. Only the engine closes the descriptor.
"""

import fcntl
import select
import socket
import struct
import time
import types
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Protocol, TypeVar

from anongw.errors import Reason, Refused
from anongw.net.wait import BATCH_END, READ, WRITE, Park, park
from anongw.wire.reader import Reader

T = TypeVar("T")

# How much one call takes from the kernel, in bytes. Also the most that a stream holds for a slow reader.
CHUNK = 64 * 1024
# Seconds after which a flow that never had to wait gives way: where both peers are fast, no call says EAGAIN.
SHARE = 0.002

# ioctl(2) SIOCOUTQ: bytes that the peer has not acknowledged yet (tcp(7)).
_SIOCOUTQ = 0x5411
_CLOSED = 7  # TCP_CLOSE, as the first byte of TCP_INFO has it (tcp(7))
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, on, zero seconds


class Owner(Protocol):
    """Whoever a stream's events belong to at the moment."""

    def ready(self, stream: "Stream", events: int) -> None: ...


class Keeper(Protocol):
    """What a stream needs of the engine."""

    buffer: bytearray
    now: float  # when the batch of events that is being served began, by time.monotonic
    gathers: bool  # more is being served: what is sent waits for `BATCH_END`

    def close(self, stream: "Stream") -> None: ...


class Stream:
    """A non-blocking stream socket that is registered with the engine."""

    __slots__ = (
        "armed",
        "closed",
        "cut",
        "ended_first",
        "fd",
        "keeper",
        "lost",
        "on_close",
        "owner",
        "probed",
        "reader",
        "received",
        "sent",
        "sock",
        "spoke_last",
        "was_reset",
    )

    def __init__(self, sock: socket.socket, keeper: Keeper, owner: Owner, lost: Reason) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.keeper = keeper
        self.owner = owner
        self.lost = lost  # what it means to the flow when this peer goes away
        self.armed = -1  # events asked of epoll; -1: not registered. The engine's alone
        self.closed = False
        self.cut = False  # an end of it is a break: what carries it lost its own connection
        self.ended_first = False  # the peer ended or broke it; we did not
        self.was_reset = False
        self.probed = True  # nothing is left to do for the kernel to notice a vanished peer
        self.on_close: Callable[[Stream], None] | None = None  # told once, when it is given up
        self.reader = Reader()
        self.sent = 0  # bytes, in all
        self.received = 0
        self.spoke_last = False  # we did, and the peer has said nothing since

    async def fill(self) -> bool:
        """Take what has arrived into the reader, waiting if nothing has; False once the peer said its last.

        Raises:
            Refused: with `lost`, if the connection broke.
        """
        # What answers us is a round trip away: to try for it would be a call in vain, as dear as the wait.
        if self.spoke_last or self._had_its_turn():
            await park((self, READ))
        while (count := self._receive()) is None:
            await park((self, READ))
        return count > 0

    @types.coroutine
    def arrive(self) -> Generator[Park, object, bool]:
        """Like `fill`, for when nothing is here yet, most likely: a try in vain costs as much as the wait."""
        # As `await park(...)`, without a frame for it: each exchange of plain HTTP comes here twice.
        yield Park(((self, READ),), None)
        while (count := self._receive()) is None:
            yield Park(((self, READ),), None)
        return count > 0

    async def give_way(self) -> None:
        """Let the others have their turn, if this flow has had one without ever waiting."""
        if self._had_its_turn():
            await park((self, WRITE))

    def is_silent(self) -> bool:
        """Nothing has arrived that nobody has taken from the kernel: no byte, no end, no error."""
        # By poll, which has no exception to make where there is nothing.
        look = select.poll()
        look.register(self.fd, select.POLLIN | select.POLLRDHUP)
        return not look.poll(0)

    def hand_over(self) -> bytes:
        """What came early, for whoever uses the socket itself from now on: this stream reads no more."""
        early = self.reader.take()
        del self.reader  # a tenth of what an idle tunnel would hold
        return early

    async def read(self, codec: Generator[None, None, T]) -> T:
        """Drive a codec over the reader, feeding it from the socket.

        Raises:
            Refused: from the codec; with `lost`, if the peer ended before the codec had all it needs.
        """
        try:
            while True:
                next(codec)
                await self.fill()
        except StopIteration as done:
            value: T = done.value
            return value
        except EOFError as short:
            raise Refused(self.lost, str(short)) from None

    async def send(self, data: bytes) -> None:
        """Send all of it, waiting while the peer does not take it.

        Raises:
            Refused: with `lost`, if the connection broke.
        """
        if self.keeper.gathers:
            await park((BATCH_END, 0))
        count = self._send(data)
        if count == len(data):
            return
        rest = memoryview(data)[count:]
        while rest:
            await park((self, WRITE))
            rest = rest[self._send(rest) :]

    def send_now(self, data: bytes) -> None:
        """Last words: send what the kernel takes at once and forget the rest. Never waits, never raises."""
        with suppress(OSError):
            self.sent += self.sock.send(data)

    def send_eof(self) -> None:
        """Say our last; the peer may go on. Harmless on a connection that is gone."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def has_unread(self) -> bool:
        """Bytes have arrived that nobody has taken from the kernel."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def unsent(self) -> int:
        """Bytes that the peer has not acknowledged and still may; 0 where the kernel cannot say."""
        try:
            answer = fcntl.ioctl(self.fd, _SIOCOUTQ, b"\0\0\0\0")
        except OSError:
            return 0
        count: int = struct.unpack("i", answer)[0]
        # What a connection had left when it was reset stays counted.
        return 0 if count and self._is_gone() else count

    def broke(self, error: OSError) -> Refused:
        """A call on the socket failed: what that is to the flow, to be raised."""
        self.ended_first = True
        return Refused(self.lost, type(error).__name__)

    def close(self) -> None:
        self.keeper.close(self)

    def reset(self) -> None:
        """Close so that the peer sees a reset: what it got is not all there was."""
        self.was_reset = True
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.keeper.close(self)

    def _is_gone(self) -> bool:
        with suppress(OSError):  # no TCP
            return self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED
        return False

    def _had_its_turn(self) -> bool:
        return time.monotonic() - self.keeper.now > SHARE

    def _receive(self) -> int | None:
        buffer = self.keeper.buffer
        try:
            count = self.sock.recv_into(buffer, CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self.broke(error) from None
        self.spoke_last = False
        if count:
            self.received += count
            self.reader.feed(memoryview(buffer)[:count])
        else:
            self.ended_first = True
            if self.cut:
                raise Refused(self.lost, "cut")
            self.reader.feed_eof()
        return count

    def _send(self, data: bytes | memoryview) -> int:
        try:
            count = self.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self.broke(error) from None
        self.sent += count
        self.spoke_last = True
        return count
