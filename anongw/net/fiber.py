"""A flow as the engine drives it: its coroutine, the streams it owns, what it waits for, when it must end.

Rules that hold here, each with its test:

- Both directions stay open. The client's hang-up is watched while its flow waits for anything else.
- A flow dies whole. Its task is cancelled and awaited, every stream it owns is closed, and nothing that it
  raises reaches another flow. A bug ends one flow and is counted.
- No anyio inside a step: a cancel scope entered there would be the engine's own task's. Each flow steps in a
  `contextvars.Context` of its own. Anything but the requests of `net/wait.py` raises at once.
- Clean-up does not wait: a flow that was killed may say last words, and is closed if it parks again.
"""

import contextvars
import math
import socket
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio

from anongw.errors import Reason, Refused
from anongw.net.poller import Poller
from anongw.net.stream import Stream
from anongw.net.wait import BATCH_END, GONE, LAST, InTask, Park, Request, Waits

# Seconds that a flow has for its last words after a limit of it ran out.
LAST_WORDS = 5.0

Carry = Coroutine[Request, Any, "Delegate | None"]


class Delegate(Protocol):
    """What carries on for a flow by callbacks. It calls `fiber.end(reason)` when it is done."""

    active: float  # when something last moved; seconds on the engine's clock

    def start(self, fiber: "Fiber") -> None: ...

    def ready(self, stream: Stream, events: int) -> None: ...

    def tick(self, now: float) -> None:
        """`fiber.wake_at` has come: set it anew, or end."""

    def abort(self, refused: Refused) -> None:
        """End at once."""


class Job:
    """The one anyio task that a flow may be waiting for."""

    __slots__ = ("refused", "request", "scope")

    def __init__(self, request: InTask) -> None:
        self.request = request
        self.scope = anyio.CancelScope()
        self.refused: Refused | None = None  # thrown into the flow once the task is over


class Host(Poller):
    """What a fiber needs of the engine besides its epoll."""

    half_closed: float  # seconds that a client which said its last may wait for the answer to begin
    stopping: bool  # whoever finishes a piece of work takes no other

    @abstractmethod
    def start_job(self, run: Callable[[Job], Coroutine[Any, Any, None]], job: Job) -> None:
        """Run a flow's job as a task."""

    @abstractmethod
    def forget(self, fiber: "Fiber") -> None:
        """The flow is over."""

    @abstractmethod
    def note_bug(self, bug: BaseException) -> None:
        """A flow raised what no flow should."""


class Fiber:
    """One flow's coroutine, the streams it owns and what it waits for."""

    __slots__ = (
        "_context",
        "_coroutine",
        "_deadline",
        "_deadline_reason",
        "_delegate",
        "_dying",
        "_job",
        "_leaving",
        "_lifetime",
        "_on_end",
        "_until",
        "_waits",
        "client",
        "ended",
        "engine",
        "resting",
        "streams",
        "wake_at",
    )

    def __init__(self, engine: "Host", on_end: "Callable[[Fiber, Reason | None], None]") -> None:
        self.engine = engine
        self.streams: list[Stream] = []
        self.client: Stream | None = None  # whose hang-up ends the flow
        self.resting = False  # nothing of value is lost if the flow ends now
        self.ended = False
        self.wake_at = math.inf  # when the sweep looks at this flow; seconds on the engine's clock
        self._on_end = on_end
        self._context = contextvars.Context()
        self._coroutine: Carry | None = None
        self._delegate: Delegate | None = None
        self._job: Job | None = None
        self._waits: Waits = ()
        self._until: float | None = None
        self._deadline = math.inf
        self._deadline_reason = Reason.LIFETIME
        self._lifetime = math.inf
        self._leaving: tuple[float, int] | None = None
        self._dying: Reason | None = None

    # What connection code calls

    def adopt(self, sock: socket.socket, lost: Reason) -> Stream:
        """Make a stream of a connected, non-blocking socket; it is closed when the flow ends."""
        stream = Stream(sock, self.engine, self, lost)
        self.streams.append(stream)
        return stream

    def take(self, stream: Stream) -> None:
        """Own a stream that was kept elsewhere."""
        stream.owner = self
        self.streams.append(stream)

    def give_up(self, stream: Stream) -> None:
        """Own a stream no longer: somebody else keeps it now."""
        self.streams.remove(stream)

    def close_all_but(self, stream: Stream) -> None:
        """Only this one is still of use."""
        for other in self.streams:
            if other is not stream:
                other.close()
        self.streams = [stream]

    def within(self, seconds: float, reason: Reason) -> None:
        """From now on, be done (or call this again) within `seconds`, or be thrown `Refused(reason)`."""
        self._deadline = deadline = self.engine.now + seconds
        self._deadline_reason = reason
        # Only ever earlier: a look that comes too early costs little, and sets the next one right.
        self.wake_at = min(self.wake_at, deadline)

    def live_for(self, seconds: float) -> None:
        """Bound the whole life of the flow."""
        self._lifetime = self.engine.now + seconds
        self._set_wake()

    # What the engine and delegates call

    def start(self, coroutine: Carry) -> None:
        self._coroutine = coroutine
        self._step(coroutine.send, None)

    def ready(self, stream: Stream, events: int) -> None:
        wanted = 0
        for source, mask in self._waits:
            if source is stream:
                wanted |= mask
        if wanted and events & (wanted | GONE):
            self._step(self._running.send, stream)
        elif stream is self.client:
            self._client_stirs(stream, events, wanted)
        else:
            self.engine.disarm(stream, events, wanted)

    def batch_ended(self) -> None:
        if any(source is BATCH_END for source, _ in self._waits):
            self._step(self._running.send, BATCH_END)

    def kill(self, refused: Refused) -> None:
        """End the flow as soon as its task, if any, is over. It may say last words but not wait again."""
        if self.ended:
            return
        self.engine.gathers = False  # nor for the end of the batch
        self._dying = refused.reason
        self._throw(refused)

    def end(self, reason: Reason | None) -> None:
        """The flow is over: close all it owns, whoever calls."""
        if self.ended:
            return
        self.ended = True
        self._waits = ()
        for stream in self.streams:
            self.engine.close(stream)
        self.streams.clear()
        self.engine.forget(self)
        try:
            self._on_end(self, reason)
        except Exception as bug:  # noqa: BLE001 - as in `_step`
            self.engine.note_bug(bug)
        # Whoever is told, and what carried on, know this flow: let go of them, so that all of it is freed now
        # and not when the collector comes by.
        self._on_end = _nobody
        self._delegate = self.client = None

    def tick(self, now: float) -> None:
        """The sweep found that `wake_at` has come."""
        if now >= self._lifetime:
            self.kill(Refused(Reason.LIFETIME))
        elif self._delegate is not None:
            self._guarded(self._delegate.tick, now)
            self.wake_at = min(self.wake_at, self._lifetime)
        elif now >= self._deadline:
            self._deadline = now + LAST_WORDS
            self._throw(Refused(self._deadline_reason))
        elif self._leaving is not None and self.client is not None and now >= self._leaving[0]:
            self._still_leaving(self.client, self._leaving[1])
        elif self._until is not None and now >= self._until:
            self._step(self._running.send, None)
        if not self.ended and self._delegate is None:
            self._set_wake()

    def is_quiet(self, seconds: float) -> bool:
        """Nothing is lost if the flow ends now: it rests, or is a tunnel in which nothing has moved."""
        if self._delegate is not None:
            return self.engine.now - self._delegate.active >= seconds
        return self.resting

    def fail(self, bug: Exception) -> None:
        """A bug ends this flow, in whatever state it is, and no other."""
        self.engine.note_bug(bug)
        self.drop(Reason.INTERNAL)

    def drop(self, reason: Reason) -> None:
        """End now: no last words, no waiting."""
        delegate, self._delegate = self._delegate, None
        if delegate is not None:
            self._guarded(delegate.abort, Refused(reason))
        elif self._coroutine is not None:
            self._discard_coroutine()
        self.end(reason)

    # Inside

    @property
    def _running(self) -> Carry:
        assert self._coroutine is not None, "a flow is stepped only while its coroutine runs"  # noqa: S101
        return self._coroutine

    def _set_wake(self) -> None:
        wake_at = min(self._deadline, self._lifetime)
        if self._until is not None and self._until < wake_at:
            wake_at = self._until
        if self._leaving is not None and self._leaving[0] < wake_at:
            wake_at = self._leaving[0]
        self.wake_at = wake_at

    def _client_stirs(self, client: Stream, events: int, wanted: int) -> None:
        """The client did something while its flow waits for something else."""
        if events & GONE:
            self.engine.disarm(client, events, wanted)
            self.kill(Refused(client.lost))
            return
        if events & LAST and self._leaving is None:
            # A FIN alone does not tell a client that left from one that only has no more to send, and only a
            # write would. So it gets a while: once something was sent to it, the kernel knows.
            self._leaving = (self.engine.now + self.engine.half_closed, client.sent)
            self._set_wake()
        self.engine.disarm(client, events, wanted)

    def _still_leaving(self, client: Stream, sent: int) -> None:
        """The grace of a client that said its last is over. It counts from when its last was passed on."""
        on_its_way = client.has_unread() or any(
            stream.unsent() for stream in self.streams if stream is not client
        )
        if client.sent != sent:
            self._leaving = None
        elif on_its_way:
            self._leaving = (self.engine.now + self.engine.half_closed, sent)
        else:
            self.kill(Refused(client.lost))

    def _throw(self, refused: Refused) -> None:
        if self._delegate is not None:
            self.drop(refused.reason)
        elif self._job is not None:
            self._job.refused = self._job.refused or refused
            self._job.scope.cancel()
        else:
            self._step(self._running.throw, refused)

    def _step(self, advance: Callable[[Any], Request], value: object) -> None:
        """Run the coroutine to its next request, and take that request."""
        self._waits = ()
        self._until = None
        try:
            self._wait_for(self._context.run(advance, value))
        except StopIteration as done:
            self._returned(done.value)
        except Refused as refused:
            self.drop(refused.reason)
        except Exception as bug:  # noqa: BLE001 - whatever it is, it ends this flow and no other
            self.fail(bug)

    def _guarded(self, call: Callable[..., None], *args: object) -> None:
        """Call what is not the coroutine; its bugs are this flow's too."""
        try:
            call(*args)
        except Exception as bug:  # noqa: BLE001 - as in `_step`
            self.fail(bug)

    def _returned(self, delegate: Delegate | None) -> None:
        self._coroutine = None
        if delegate is None or self._dying is not None:
            self.end(self._dying)
            return
        self._delegate = delegate
        # A delegate takes no steps, and may idle in a crowd: it keeps nothing of them.
        del self._context
        self._deadline = math.inf
        self._leaving = None
        for stream in self.streams:
            stream.owner = delegate
        self._guarded(delegate.start, self)
        self.wake_at = min(self.wake_at, self._lifetime)

    def _wait_for(self, request: Request) -> None:
        if self._dying is not None:
            # Clean-up does not wait: whoever caught the end of its flow and waits again is closed.
            self._discard_coroutine()
            self.end(self._dying)
        elif type(request) is Park:
            self._waits = request.waits
            for source, mask in request.waits:
                if source is BATCH_END:
                    self.engine.put_off.append(self.batch_ended)
                else:
                    self.engine.arm(source, mask)
            if request.until is not None:
                self._until = request.until
                self._set_wake()
        elif type(request) is InTask:
            self._job = Job(request)
            self.engine.start_job(self._run_job, self._job)
        else:
            self._step(self._running.throw, TypeError(f"{type(request).__name__} yielded to the engine"))

    def _discard_coroutine(self) -> None:
        try:
            self._context.run(self._running.close)
        except Refused:
            return
        except Exception as bug:  # noqa: BLE001 - it waits again even while it is being closed, or worse
            self.engine.note_bug(bug)

    async def _run_job(self, job: Job) -> None:
        result: Any = None
        error: Exception | None = None
        done = False
        with job.scope:
            try:
                result = await job.request.function(*job.request.args)
                done = True
            except Exception as raised:  # noqa: BLE001 - it is the flow's, and is raised there
                error = raised
        self._job = None
        too_late = job.refused is not None or self.ended
        if done and too_late and job.request.discard is not None:
            self._guarded(job.request.discard, result)
        if not self.ended:
            if job.refused is not None:
                self._step(self._running.throw, job.refused)
            elif error is not None:
                self._step(self._running.throw, error)
            else:
                self._step(self._running.send, result)
        self.engine.settle()


def _nobody(_fiber: Fiber, _reason: Reason | None) -> None:
    """Who is told of the end of a flow that has ended."""
