"""asyncio's event loop with an engine beneath it: one epoll for both, so that one wait serves both.

The only file that imports asyncio: anyio has no way to lend its loop a selector, and asyncio's loop takes one
(`asyncio.SelectorEventLoop(selector)`). Without it the engine's epoll is nested in the loop's, and a task has
to be woken for every event that finds the gateway idle. On another loop the engine does just that.

Rules that hold here, each with its test:

- One poll for each call of `select`. How long the loop may wait was reckoned before the flows were served,
  and they may have started a task since; so what was served ends the call.
- Nothing that the engine raises leaves `select`: it is raised where the engine runs.
- The loop's own callbacks run between any two batches, and a batch is bounded: neither starves the other.
- A descriptor is the loop's or the engine's: the epoll refuses to watch it for both.
"""

import asyncio
import os
import select
import selectors
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import anyio

from anongw.net.poller import EVENTS_A_TURN, Batch

T = TypeVar("T")

_READ_OR_BROKEN = ~select.EPOLLOUT
_WRITE_OR_BROKEN = ~select.EPOLLIN


class Beneath(selectors.EpollSelector):
    """The loop's selector. An engine that claims it watches its own descriptors by `epoll`."""

    def __init__(self) -> None:
        super().__init__()
        # A second descriptor of the very same epoll: the one inside of the class is private to it.
        self.epoll = select.epoll.fromfd(os.dup(self.fileno()))
        self.claimed = False
        self._serve: Callable[[Batch], Batch] | None = None
        self._broken: asyncio.Future[NoReturn]

    async def carry(self, serve: Callable[[Batch], Batch]) -> NoReturn:
        """Have each batch served, until cancelled. `serve` returns the events that are none of the engine's.

        Raises:
            Exception: what `serve` raised.
        """
        self._broken = asyncio.get_running_loop().create_future()
        self._serve = serve
        try:
            await self._broken
        finally:
            self._serve = None
        raise AssertionError  # nobody gives it a result

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for at most `timeout` seconds; serve the engine's events and return the loop's."""
        batch = self.epoll.poll(timeout, EVENTS_A_TURN)
        if not batch:
            return []
        if self._serve is not None:
            try:
                batch = self._serve(batch)
            except Exception as bug:  # noqa: BLE001 - whatever it is, the loop must not end with it
                self._serve = None
                if not self._broken.done():  # it is, where the engine has just been cancelled
                    self._broken.set_exception(bug)
        keys = self.get_map()
        return [(key, _told(events) & key.events) for fd, events in batch if (key := keys.get(fd))]

    def close(self) -> None:
        self.epoll.close()
        super().close()


class Loop(asyncio.SelectorEventLoop):
    """asyncio's, with what is beneath it in reach."""

    def __init__(self) -> None:
        self.beneath = Beneath()
        super().__init__(self.beneath)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run it as `anyio.run` does, on such a loop."""
    return anyio.run(work, backend_options={"loop_factory": Loop})


def claim() -> Beneath | None:
    """What is beneath the running loop, for one engine; None if another has it, or if it is another loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio, or no loop at all
        return None
    if not isinstance(loop, Loop) or loop.beneath.claimed:
        return None
    loop.beneath.claimed = True
    return loop.beneath


def _told(events: int) -> int:
    """As selectors.EpollSelector translates them: who waits for either is told of an error or a hang-up."""
    asked = selectors.EVENT_READ if events & _READ_OR_BROKEN else 0
    return asked | (selectors.EVENT_WRITE if events & _WRITE_OR_BROKEN else 0)
