"""What code driven by the engine may wait for, as values that it yields.

`park` for readiness of one or several sources, `in_task` for anyio work; nothing else. Both are answered by
`net/engine.py`. `beside` runs two such coroutines within one flow, so that an upload and its answer, each
written as linear code, are alive at the same time without a task for either.
"""

import select
import socket
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
# The peer has said its last (FIN); it may still be listening.
LAST = select.EPOLLRDHUP
# Of the processes that watch one listener, one is woken by a connection and not all. Cannot be modified, only
# taken back (epoll_ctl(2), EPOLLEXCLUSIVE).
ONE_OF_US = select.EPOLLEXCLUSIVE
# Both directions are over, or the connection was reset. epoll reports these unasked.
GONE = select.EPOLLHUP | select.EPOLLERR

T = TypeVar("T")


class Source(Protocol):
    """What may stand in the engine's epoll: a stream or a listener. `armed` is the engine's alone."""

    fd: int
    sock: socket.socket
    armed: int  # events asked of epoll; -1: not registered
    closed: bool
    owner: Any  # has ready(source, events)


Waits = tuple[tuple[Source, int], ...]


class _BatchEnd:
    """What is waited for like a source and is none: the end of the batch of events that is being served."""

    fd = -1
    sock: socket.socket  # it has none
    armed = -1
    closed = False
    owner = None


BATCH_END = _BatchEnd()


class Park:
    """Wait until one of the sources is ready, or until the engine's clock passes `until` (seconds)."""

    __slots__ = ("until", "waits")

    def __init__(self, waits: Waits, until: float | None) -> None:
        self.waits = waits
        self.until = until


class InTask:
    """Run `function(*args)` as an anyio task. `discard` gets a result that comes too late to be used."""

    __slots__ = ("args", "discard", "function")

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        discard: Callable[[Any], None] | None,
    ) -> None:
        self.function = function
        self.args = args
        self.discard = discard


Request = Park | InTask
# Code that the engine drives: it yields requests and is sent what became ready.
Driven = Coroutine[Request, Any, T]


@types.coroutine
def park(*waits: tuple[Source, int], until: float | None = None) -> Generator[Park, Any, Source | None]:
    """Wait for one of several sources; returns the one that woke us, or None where `until` passed first.

    A source that hung up wakes whoever waits for it: the next call on its socket tells how it ended.
    """
    woken: Source | None = yield Park(waits, until)
    return woken


@types.coroutine
def in_task(
    function: Callable[..., Awaitable[T]],
    *args: Any,  # noqa: ANN401 - whatever the function takes
    discard: Callable[[T], None] | None = None,
) -> Generator[InTask, Any, T]:
    """Wait for anyio work. If the flow dies first, the task is cancelled and awaited before it does."""
    result: T = yield InTask(function, args, discard)
    return result


class Side:
    """Work that goes on beside what the flow does, through one or several calls of `beside`."""

    __slots__ = ("_coroutine", "_park")

    def __init__(self, coroutine: Driven[None]) -> None:
        self._coroutine = coroutine
        self._park = _step(coroutine, None)  # to its first wait, at once

    @property
    def done(self) -> bool:
        return isinstance(self._park, _Done)

    def join(self, park: Park) -> Park:
        """What to wait for so that both this and whoever waits for `park` can go on."""
        if isinstance(self._park, _Done):
            return park
        untils = [until for until in (park.until, self._park.until) if until is not None]
        return Park(park.waits + self._park.waits, min(untils, default=None))

    def wake(self, woken: Source | None) -> None:
        """Go on, if `woken` is what this waits for. What it raises is the flow's."""
        if isinstance(self._park, Park) and _concerns(woken, self._park.waits):
            self._park = _step(self._coroutine, woken)

    def close(self) -> None:
        self._coroutine.close()


@types.coroutine
def beside(main: Driven[T], side: Side) -> Generator[Park, Any, T]:
    """Run `main`, with `side` going on meanwhile, and return what `main` returns. `side` may go on after it.

    What either raises ends the call. Neither may use `in_task`: a flow has one task at a time at most.
    """
    try:
        park = _step(main, None)
        while isinstance(park, Park):
            woken = yield side.join(park)
            # Being woken once too often is harmless: the socket says "not yet" and the code parks again.
            side.wake(woken)
            if _concerns(woken, park.waits):
                park = _step(main, woken)
        result: T = park.value
        return result
    finally:
        main.close()


@types.coroutine
def rest_of(side: Side) -> Generator[Park, Any, None]:
    """Wait until `side` is done."""
    while not side.done:
        side.wake((yield side.join(Park((), None))))


class _Done:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:  # noqa: ANN401 - whatever a coroutine returns
        self.value = value


def _concerns(woken: Source | None, waits: Waits) -> bool:
    return woken is None or any(source is woken for source, _ in waits)


def _step(coroutine: Driven[Any], value: object) -> Park | _Done:
    try:
        request = coroutine.send(value)
    except StopIteration as done:
        return _Done(done.value)
    if not isinstance(request, Park):
        raise TypeError(f"{type(request).__name__} yielded where only park is allowed")
    return request
