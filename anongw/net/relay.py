"""The relay: two streams, each byte of one to the other, until both have said their last.

It works by callbacks from the engine and holds no coroutine, so that an idle tunnel costs little. A direction
reads into one shared buffer and sends at once; after two full reads in a row it turns to splice, where bytes
never enter this process, and back when the source has no more.

Rules, each with its test:

- Each direction ends on its own: a side that has said its last still gets all that the other sends.
- A reset is passed on as one, after everything that had arrived before it.
- Nothing is held in this process beyond one chunk a direction; a reader that stops stops its own tunnel only.
- Bytes in a pipe belong to one tunnel: a pipe that is not drained is closed, never reused.
- A wake-up moves at most `BUDGET` bytes a direction, splice included, so that nobody starves.
"""

import math
import os
import select

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.pipes import BUDGET, SPLICE_FLAGS, Pipe, Pipes
from anongw.net.stream import CHUNK, Stream
from anongw.net.wait import GONE, LAST, READ, WRITE

# Full reads in a row after which a direction is taken for bulk.
_BULK_AFTER = 2
# Seconds that a reset waits for its peer to take what came before it.
RESET_PATIENCE = 5.0


class _Direction:
    """Bytes from `source` to `sink`, and how far it has come."""

    __slots__ = (
        "ended",
        "full_reads",
        "pending",
        "pipe",
        "piped",
        "plain",
        "sink",
        "source",
    )

    def __init__(self, source: Stream, sink: Stream) -> None:
        self.source = source
        self.sink = sink
        self.pending: memoryview | None = None  # read and not yet taken by the sink
        self.pipe: Pipe | None = None
        self.piped = 0  # bytes in the pipe
        self.full_reads = 0  # in a row, up to now
        self.ended = False  # nothing more will come this way
        self.plain = False  # open, not bulk, and nothing waits for the sink

    @property
    def bulk(self) -> bool:
        """So much comes that splice is worth its pipe."""
        return self.full_reads >= _BULK_AFTER

    @property
    def blocked(self) -> bool:
        """Bytes wait for the sink."""
        return self.pending is not None or self.piped > 0


class Relay:
    """A tunnel between a client and an upstream; a `Delegate` that a flow's coroutine returns.

    Args:
        idle: seconds without a byte either way after which the tunnel ends.
        pipes: where splice gets its pipes.

    """

    __slots__ = ("_broken", "_down", "_engine", "_fiber", "_idle", "_pipes", "_reset_by", "_up", "active")

    def __init__(self, client: Stream, upstream: Stream, *, idle: float, pipes: Pipes) -> None:
        self.active = 0.0  # when something last moved, on the engine's clock
        self._up = _Direction(client, upstream)
        self._down = _Direction(upstream, client)
        self._idle = idle
        self._pipes = pipes
        self._broken: Stream | None = None  # the side that was reset
        self._reset_by = math.inf

    # What the engine calls

    def start(self, fiber: Fiber) -> None:
        self._fiber = fiber
        self._engine = fiber.engine
        self.active = self._engine.now
        fiber.wake_at = self.active + self._idle
        for direction in (self._up, self._down):
            source = direction.source
            # A FIN may be told of twice, as something to read and as an end: to ask for less would be a call.
            self._engine.watch(source, READ, keep=LAST)
            direction.pending = memoryview(source.hand_over()) or None
            direction.plain = direction.pending is None
        # Only now: moving bytes one way may find the other side broken, and read what it said.
        for direction in (self._up, self._down):
            if direction.pending is not None and not fiber.ended:
                self._flush(direction)

    def ready(self, stream: Stream, events: int) -> None:
        up = self._up
        out = up if stream is up.source else self._down
        if events == READ and out.plain:
            # What most events of most tunnels are: a message that one read takes and one send gives.
            if self._copy(out):
                self._pump(out, BUDGET - CHUNK)
            return
        back = self._down if out is up else up
        if back.blocked and events & (WRITE | GONE):
            self._flush(back)
            if stream.closed:
                return
        if out.ended or out.blocked:
            self._heard_in_vain(stream, events, out, back)
        elif events & (READ | LAST | GONE):
            self._pump(out)
        elif not back.blocked:
            self._engine.disarm(stream, WRITE)

    def tick(self, now: float) -> None:
        if self._reset_by < math.inf:
            self._reset_when_taken(now)
        elif now >= self.active + self._idle:
            self.abort(Refused(Reason.IDLE_TIMEOUT))
        else:
            self._fiber.wake_at = self.active + self._idle

    def abort(self, refused: Refused) -> None:
        # A reset, for what the two sides got may not be all there was.
        self._up.source.reset()
        self._down.source.reset()
        self._end(refused.reason)

    # Moving bytes

    def _pump(self, direction: _Direction, budget: int = BUDGET) -> None:
        """Move what the source has, until it has no more, the sink takes no more, or the budget is spent."""
        while budget > 0:
            if direction.bulk and direction.pipe is None:
                direction.pipe = self._pipes.borrow()
            moved = self._copy(direction) if direction.pipe is None else self._splice(direction, budget)
            if not moved:
                break
            budget -= moved
        if direction.pipe is not None and not direction.piped:
            self._return_pipe(direction)
        direction.plain = not (direction.ended or direction.blocked or direction.bulk)
        if not (direction.ended or direction.blocked or direction.source.closed):
            # While its bytes waited for the sink, the source was not listened to.
            self._engine.arm(direction.source, READ)

    def _copy(self, direction: _Direction) -> int:
        """One read and one write; the bytes moved, or 0 if there is nothing to go on with."""
        # All in one body: calls made up most of what a small message costs beyond its two system calls.
        engine = self._engine
        source = direction.source
        try:
            count = source.sock.recv_into(engine.buffer)
        except BlockingIOError:
            return 0
        except OSError:
            self._exhausted(direction)
            return 0
        if not count:
            self._source_ended(direction)
            return 0
        source.received += count
        self.active = engine.now
        try:
            sent = direction.sink.sock.send(engine.view[:count])
        except BlockingIOError:
            sent = 0
        except OSError:
            self._sink_broke(direction)
            return 0
        direction.sink.sent += sent
        if sent < count:
            direction.pending = memoryview(bytes(engine.view[sent:count]))
            self._block(direction)
        elif count < CHUNK:
            # The kernel had no more. Level-triggered: if some came since, we are told again.
            direction.full_reads = 0
        else:
            direction.full_reads += 1
            return count
        return 0

    def _splice(self, direction: _Direction, most: int) -> int:
        """Like `_copy`, through the pipe; `most` bytes."""
        assert direction.pipe is not None  # noqa: S101 - for the type checker; _pump has just looked
        try:
            count = os.splice(direction.source.fd, direction.pipe[1], most, flags=SPLICE_FLAGS)
        except BlockingIOError:
            count = 0
        except OSError:
            self._exhausted(direction)
            return 0
        if not count:
            # Nothing yet, an end, or a byte of urgent data, at which splice(2) stops for good: a read tells.
            self._return_pipe(direction)
            return self._copy(direction)
        direction.source.received += count
        self.active = self._engine.now
        direction.piped = count
        # Small pieces are cheaper to copy.
        direction.full_reads = _BULK_AFTER if count >= min(CHUNK, most) else 0
        return count if self._drain(direction) else 0

    def _drain(self, direction: _Direction) -> bool:
        """Empty the pipe into the sink; False if it takes no more."""
        assert direction.pipe is not None  # noqa: S101 - bytes are in it
        sink = direction.sink
        while direction.piped:
            try:
                sent = os.splice(direction.pipe[0], sink.fd, direction.piped, flags=SPLICE_FLAGS)
            except BlockingIOError:
                self._block(direction)
                return False
            except OSError:
                self._sink_broke(direction)
                return False
            direction.piped -= sent
            sink.sent += sent
            self.active = self._engine.now
        return True

    def _send(self, direction: _Direction, data: memoryview) -> int:
        """The bytes that the sink took; -1 if it broke."""
        try:
            sent = direction.sink.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._sink_broke(direction)
            return -1
        direction.sink.sent += sent
        self.active = self._engine.now
        return sent

    def _flush(self, direction: _Direction) -> None:
        """The sink can take more: give it what waits, then go on with the source."""
        if direction.pending is not None:
            sent = self._send(direction, direction.pending)
            if sent < 0:
                return
            direction.pending = direction.pending[sent:] or None
            if direction.pending is not None:
                self._block(direction)
                return
        elif not self._drain(direction):
            return
        self._engine.disarm(direction.sink, WRITE)
        self._pump(direction)

    def _block(self, direction: _Direction) -> None:
        direction.plain = False
        self._engine.arm(direction.sink, WRITE)
        self._engine.disarm(direction.source, READ | LAST)

    def _heard_in_vain(self, stream: Stream, events: int, out: _Direction, back: _Direction) -> None:
        """An event of a side that cannot be read now: it ended, or what it said waits for the sink."""
        if out.ended and events & select.EPOLLERR:
            self._side_broke(stream, out, back)
        else:
            self._engine.disarm(stream, events, WRITE if back.blocked else 0)
            if events & select.EPOLLERR:
                # It was reset. What it said before that is worth seconds of a stalled reader, not hours.
                self._idle = min(self._idle, RESET_PATIENCE)
                self._fiber.wake_at = self._engine.now + self._idle

    # Endings

    def _source_ended(self, direction: _Direction) -> None:
        other = self._down if direction is self._up else self._up
        direction.source.ended_first = not other.ended
        if direction.source is self._broken or direction.source.cut:
            # A reset that an earlier call has already reported reads as an end; so does one further away.
            self._exhausted(direction)
            return
        direction.ended = True
        direction.plain = False
        self._return_pipe(direction)
        if self._up.ended and self._down.ended:
            self._end(None)  # closing says it too
        else:
            direction.sink.send_eof()
            self._engine.watch(direction.source, 0, keep=WRITE)

    def _sink_broke(self, direction: _Direction) -> None:
        """A write failed: the side was reset. It may have said something before that."""
        out = self._down if direction is self._up else self._up
        self._side_broke(direction.sink, out, direction)
        if not (out.ended or out.blocked or self._fiber.ended):
            self._pump(out)

    def _exhausted(self, direction: _Direction) -> None:
        """A read failed: the side was reset, and everything that it said before has been moved."""
        back = self._down if direction is self._up else self._up
        direction.ended = True
        direction.plain = False
        self._return_pipe(direction)
        self._side_broke(direction.source, direction, back)

    def _side_broke(self, stream: Stream, out: _Direction, back: _Direction) -> None:
        if self._broken not in (None, stream):
            self._end(stream.lost)
            return
        self._broken = stream
        stream.ended_first |= not back.ended
        back.ended = True
        back.plain = False
        back.pending = None
        self._return_pipe(back)
        self._engine.unwatch(stream)
        if out.ended:
            # Now the other side is told the same, once it has what came before.
            self._engine.disarm(back.source, READ | LAST)
            self._reset_by = self._engine.now + RESET_PATIENCE
            self._reset_when_taken(self._engine.now)

    def _reset_when_taken(self, now: float) -> None:
        assert self._broken is not None  # noqa: S101 - for the type checker
        survivor = self._down.source if self._broken is self._up.source else self._up.source
        if survivor.unsent() and now < self._reset_by:
            self._fiber.wake_at = now  # the next sweep
            return
        survivor.reset()
        self._end(self._broken.lost)

    def _return_pipe(self, direction: _Direction) -> None:
        if direction.pipe is not None:
            self._pipes.give_back(direction.pipe, clean=not direction.piped)
            direction.pipe = None
            direction.piped = 0

    def _end(self, reason: Reason | None) -> None:
        self._return_pipe(self._up)
        self._return_pipe(self._down)
        self._fiber.end(reason)
