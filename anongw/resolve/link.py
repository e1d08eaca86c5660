"""An open connection to a resolver, which carries the questions of everybody at once.

What holds here:
- Only the connection's own tasks read and write. An asker that is cancelled can therefore never cut a message
  in two, which would spoil the connection for all; it gives up its question and the connection stays.
- When the connection ends, for whatever reason, every asker hears it at once; nobody waits for a dead one.
- Nothing that goes wrong here reaches the task group that `run` lives in.
"""

import math
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import ByteStream

from anongw.errors import Reason, Refused
from anongw.wire import dns

# Questions on one connection at once. Servers allow 100 streams at least (RFC 9113 §6.5.2 recommends it).
AT_ONCE_MOST = 100
# Seconds after which a connection that nobody uses is closed: long enough for the next click, short enough
# not to hold a port and a place at the server for nothing.
IDLE_MOST = 30.0

# What anyio's streams raise when the other side is gone, or speaks no TLS any more.
_LOST = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError)


class Asked:
    """One question under way: the id it bears, and what came of it."""

    __slots__ = ("answer", "done", "message_id", "refused")

    def __init__(self, message_id: int = 0) -> None:
        self.message_id = message_id
        self.answer = b""
        self.refused: Refused | None = None
        self.done = anyio.Event()

    def answered(self, answer: bytes) -> None:
        # The first one counts: a server that answers twice changes nobody's mind.
        if not self.done.is_set():
            self.answer = answer
            self.done.set()

    def fail(self, reason: Reason, detail: str) -> None:
        if not self.done.is_set():
            self.refused = Refused(reason, detail)
            self.done.set()


class Link(ABC):
    """A connection; the subclasses say how questions travel on it. `run` must be started for it to live."""

    def __init__(self, stream: ByteStream, at_once: int, idle: float = IDLE_MOST) -> None:
        self.alive = True
        self.heard = 0  # how often something arrived; an asker that gave up compares
        self._stream = stream
        self._idle = idle
        self._room = anyio.CapacityLimiter(at_once)
        self._asked: dict[int, Asked] = {}
        self._wake = anyio.Event()
        self._scope = anyio.CancelScope()
        self._end = Refused(Reason.UPSTREAM_CLOSED, "the resolver closed the connection")

    async def ask(self, question: dns.Question) -> dns.Answer:
        """Put a question and wait for its answer.

        Raises:
            Refused: UPSTREAM_CLOSED where the connection is gone and the question may be put again on
                another; else as `dns.answer`.
        """
        async with self._room:
            if not self.alive:
                raise Refused(self._end.reason, self._end.detail)
            key, asked = self._put(question)
            self._asked[key] = asked
            self._wake.set()
            try:
                await asked.done.wait()
            finally:
                self._asked.pop(key, None)
                if not asked.done.is_set():
                    self._forget(key)
                    self._wake.set()
        if asked.refused is not None:
            raise asked.refused
        return dns.answer(asked.answer, question, asked.message_id)

    async def run(self) -> None:
        """Read and write until either side has had enough, then close."""
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._guard, self._write)
                    tasks.start_soon(self._guard, self._read)
        finally:
            self.close()
            await anyio.aclose_forcefully(self._stream)

    def close(self) -> None:
        """Use it no more. Whoever waits for an answer hears at once that there will be none."""
        self.alive = False
        self._scope.cancel()
        for asked in self._asked.values():
            asked.fail(self._end.reason, self._end.detail)
        # Those who wait for room must hear it too, however little room there was.
        self._room.total_tokens = math.inf

    @abstractmethod
    def _put(self, question: dns.Question) -> tuple[int, Asked]:
        """Make the question part of what `_outgoing` gives; its key on this connection."""

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Read what arrived. A Refused ends the connection."""

    @abstractmethod
    def _outgoing(self) -> bytes:
        """What is to be sent now."""

    @abstractmethod
    def _forget(self, key: int) -> None:
        """Nobody waits for this answer any more."""

    async def _write(self) -> None:
        while True:
            data = self._outgoing()
            if data:
                await self._stream.send(data)
            else:
                self._wake = anyio.Event()
                await self._wake.wait()

    async def _read(self) -> None:
        while self.alive:
            data = b""
            with anyio.move_on_after(self._idle):
                data = await self._stream.receive()
            if data:
                self.heard += 1
                self._take(data)
                # Always: an acknowledgement or a window update may be waiting to go.
                self._wake.set()
            elif not self._asked:
                return

    async def _guard(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except _LOST:
            pass
        except Refused as refused:
            self._end = refused
        except Exception as error:  # noqa: BLE001 - a bug ends this connection and nothing else
            self._end = Refused(Reason.INTERNAL, type(error).__name__)
        self._scope.cancel()
