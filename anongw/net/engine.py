"""The engine: one epoll that carries every connection, without a task for any of them.

Connection code is written as one linear `async def`, and `net/fiber.py` steps it (`coroutine.send`). Such
code may yield the two requests of `net/wait.py` and nothing else; it may end by returning a `Delegate`, an
object that works by callbacks (the relay) and needs no coroutine frame while a tunnel idles.

This file is the loop around it: it serves the epoll's events in batches, sweeps the deadlines, and runs the
few anyio tasks that flows wait for. Fair: events, accepts and bytes are bounded per turn, and the event loop
has its say between turns.
"""

import select
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from anongw.errors import Reason, Refused
from anongw.net.fiber import Carry, Fiber, Host, Job
from anongw.net.keepalive import KEEPALIVE_LOOK, look
from anongw.net.loop import claim
from anongw.net.stream import Stream
from anongw.net.wait import LAST, READ, Source

# Seconds of turns after which the event loop's other tasks (resolvers, signals) run, where no loop of ours
# has us serve a batch at a time.
VISIT_AFTER = 0.005
# Seconds between two looks at the deadlines. Coarse: one sweep serves all and no step pays for a timer.
SWEEP_INTERVAL = 0.25
# Each client keeps this number: let it be one object.
_READ_OR_LAST = READ | LAST


class Engine(Host):
    """The epoll, the flows that it drives, and the loop. One to an event loop.

    Args:
        half_closed: seconds that a client which said its last may wait for the answer to begin.
        on_bug: told of an exception that no flow should raise; must not print its text.

    """

    def __init__(
        self, *, half_closed: float = 10.0, on_bug: Callable[[BaseException], None] = lambda _bug: None
    ) -> None:
        self._beneath = claim()
        super().__init__(self._beneath.epoll if self._beneath else select.epoll())
        self.half_closed = half_closed
        self.stopping = False  # whoever finishes a piece of work takes no other
        self.bugs = 0  # exceptions that no flow should have raised
        self.fibers: set[Fiber] = set()
        self.look_at = 0.0  # when to look at connections that the kernel does not probe yet
        self.on_sweep: list[Callable[[float], None]] = []
        self._on_bug = on_bug
        self._idle: anyio.Event | None = None
        self._tasks: anyio.abc.TaskGroup | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Drive all flows until cancelled; then every flow and every descriptor is closed."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._sweep_forever)
                task_status.started()
                await self._loop()
        finally:
            self.shut()

    def spawn(
        self,
        sock: socket.socket,
        carry: Callable[[Fiber, Stream], Carry],
        on_end: Callable[[Fiber, Reason | None], None],
    ) -> Fiber:
        """Start a flow for an accepted, non-blocking socket."""
        fiber = Fiber(self, on_end)
        self.fibers.add(fiber)
        client = fiber.adopt(sock, Reason.CLIENT_GONE)
        fiber.client = client
        try:
            self.arm(client, _READ_OR_LAST)
            fiber.start(carry(fiber, client))
        except Refused as refused:
            fiber.drop(refused.reason)
        except Exception as bug:  # noqa: BLE001 - whatever it is, it ends this flow and no other
            fiber.fail(bug)
        return fiber

    def launch(
        self, carry: Callable[[Fiber], Carry], on_end: Callable[[Fiber, Reason | None], None]
    ) -> Fiber:
        """Start a flow of the gateway's own, that no client asked for."""
        fiber = Fiber(self, on_end)
        self.fibers.add(fiber)
        fiber.start(carry(fiber))
        return fiber

    def shut(self) -> None:
        """Close every flow and every descriptor, at once."""
        for fiber in list(self.fibers):
            fiber.drop(Reason.STOPPING)
        for source in list(self._watched.values()):
            self.close(source)
        self._in_turn = False
        self.settle()
        if self._beneath is None:
            self._epoll.close()
        else:
            self._beneath.claimed = False

    async def drained(self) -> None:
        """Wait until no flow is left."""
        while self.fibers:
            self._idle = self._idle or anyio.Event()
            await self._idle.wait()

    def start_job(self, run: Callable[[Job], Coroutine[Any, Any, None]], job: Job) -> None:
        assert self._tasks is not None, "flows are spawned while the engine runs"  # noqa: S101
        self._tasks.start_soon(run, job)

    def forget(self, fiber: Fiber) -> None:
        self.fibers.discard(fiber)
        if not self.fibers and self._idle is not None:
            self._idle.set()
            self._idle = None

    def blame(self, source: Source, bug: Exception) -> None:
        for fiber in self.fibers:
            if source in fiber.streams:
                fiber.fail(bug)
                return
        self.note_bug(bug)

    def note_bug(self, bug: BaseException) -> None:
        self.bugs += 1
        self._on_bug(bug)

    def end_flows(self, refused: Refused, *, quiet_for: float = 0.0) -> None:
        """End every flow, or only those that have been quiet for so many seconds."""
        for fiber in list(self.fibers):
            if not quiet_for or fiber.is_quiet(quiet_for):
                fiber.kill(refused)
        self.settle()

    def sweep(self) -> None:
        """Look at every deadline once."""
        self.now = now = time.monotonic()
        due = [fiber for fiber in self.fibers if fiber.wake_at <= now]
        for fiber in due:
            if not fiber.ended:
                fiber.tick(now)
        for told in self.on_sweep:
            told(now)
        if now >= self.look_at:
            self.look_at = now + KEEPALIVE_LOOK
            look(self._watched.values())
        self.settle()

    async def _loop(self) -> None:
        if self._beneath is not None:
            await self._beneath.carry(self.serve)
        visited = time.monotonic()
        while True:
            if not self.turn():
                await anyio.wait_readable(self._epoll.fileno())
            elif time.monotonic() - visited < VISIT_AFTER:
                continue
            else:
                await checkpoint()
            visited = time.monotonic()

    async def _sweep_forever(self) -> None:
        while True:
            await anyio.sleep(SWEEP_INTERVAL)
            self.sweep()
