"""A running engine for a test, which must end with nothing left open.

`engine.flow(carry)` starts a flow on one end of a pair; the other end is its `peer`, and `await flow.over()`
says why it ended.
"""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from anongw.errors import Reason
from anongw.net.engine import Engine
from anongw.net.fiber import Carry, Fiber
from anongw.net.poller import Batch
from anongw.net.stream import Stream
from tests.support.sockets import Kind, Peer, descriptors, pair

# A test that would hang fails after so many seconds. No test waits for it.
PATIENCE = 20.0


class Played:
    """One flow of a test: its client's end, and how it ended."""

    def __init__(self, engine: "DrivenEngine", peer: Peer) -> None:
        self.engine = engine
        self.peer = peer
        self.reasons: list[Reason | None] = []  # one entry, once it has ended
        self.fiber: Fiber
        self._ended = anyio.Event()

    def ended(self, _fiber: Fiber, reason: Reason | None) -> None:
        self.reasons.append(reason)
        self._ended.set()

    async def over(self) -> Reason | None:
        """Wait for its end."""
        await self._ended.wait()
        assert len(self.reasons) == 1, "a flow ends once"
        return self.reasons[0]

    @property
    def is_over(self) -> bool:
        return bool(self.reasons)


class DrivenEngine(Engine):
    """An engine that counts its turns and makes flows on pairs of sockets."""

    def __init__(self, **options: float) -> None:
        self.seen: list[BaseException] = []
        super().__init__(on_bug=self.seen.append, **options)
        self.turns = 0
        self.expected_bugs = 0
        self._turned: anyio.Event | None = None
        self.sockets: list[socket.socket] = []  # the test's, closed at its end

    def turn(self) -> bool:
        served = super().turn()
        if not served:
            self.turns += 1
        return served

    def serve(self, batch: Batch) -> Batch:
        others = super().serve(batch)
        if len(others) < len(batch):
            self.turns += 1
            if self._turned is not None:
                self._turned.set()
        return others

    def flow(
        self,
        carry: Callable[[Fiber, Stream], Carry],
        *,
        kind: Kind = Kind.TCP,
        buffer: int | None = None,
        on_end: Callable[[Fiber, Reason | None], None] | None = None,
    ) -> Played:
        near, far = pair(kind, buffer)
        self.sockets.append(far)
        played = Played(self, Peer(far))
        played.fiber = self.spawn(near, carry, on_end or played.ended)
        self.settle()
        return played

    def pair(self, kind: Kind = Kind.TCP, buffer: int | None = None) -> tuple[socket.socket, Peer]:
        """A socket for the flow to adopt, and its far end."""
        near, far = pair(kind, buffer)
        self.sockets.append(far)
        return near, Peer(far)

    async def next_turn(self) -> None:
        """Wait until the engine has served something."""
        self._turned = anyio.Event()
        await self._turned.wait()

    async def at_rest(self) -> int:
        """Wait until the engine has nothing to do; how many turns it took, the empty ones with them."""
        before = self.turns
        while True:
            now = self.turns
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            if self.turns == now:
                return self.turns - before


@asynccontextmanager
async def driven(*, alone: bool = True, **options: float) -> AsyncIterator[DrivenEngine]:
    """`alone`: nothing else in this process opens descriptors meanwhile, so that ours can be counted."""
    before = descriptors()
    engine = DrivenEngine(**options)
    try:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                await tasks.start(engine.run)
                yield engine
                tasks.cancel_scope.cancel()
    finally:
        for sock in engine.sockets:
            sock.close()
    left = descriptors() - before if alone else ()
    assert not left, f"the engine left descriptors open: {left}"
    assert not engine.fibers
    assert engine.bugs == engine.expected_bugs, engine.seen
