"""A task's connection that goes out as a flow does: by the same dial, in the engine, through the same chain.

Resolvers live in anyio tasks and chains in the engine. What they need of each other is a pair of sockets: the
task has one end, and a flow of the gateway's own carries the other to wherever its dial leads.
"""

import socket
from collections.abc import Callable

import anyio

from anongw.errors import Reason, Refused
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.relay import Relay
from anongw.net.stream import Stream
from anongw.net.task_stream import TaskStream
from anongw.net.wait import Driven


async def connect_inside(
    engine: Engine, dial: Callable[[Fiber], Driven[Stream]], pipes: Pipes, *, idle: float
) -> TaskStream:
    """Run `dial` as a flow and return the near end of what it connected, once it has.

    Closing the stream ends the flow; so does `idle` seconds without a byte. A cancelled caller leaves
    nothing.

    Raises:
        Refused: what the dial was refused with; STOPPING where the engine ended it.
    """
    near, far = socket.socketpair()
    attempt = _Attempt(dial, pipes, idle)
    far.settimeout(0)
    stream = TaskStream(near)
    try:
        engine.spawn(far, attempt.carry, attempt.ended)
        engine.settle()
        await attempt.outcome()
    except BaseException:
        stream.close()
        raise
    return stream


class _Attempt:
    """One such flow, until it is known whether it connected."""

    def __init__(self, dial: Callable[[Fiber], Driven[Stream]], pipes: Pipes, idle: float) -> None:
        self.settled = anyio.Event()
        self.refused: Refused | None = Refused(Reason.STOPPING)
        self._dial = dial
        self._pipes = pipes
        self._idle = idle

    async def outcome(self) -> None:
        """Wait until it is known; what refused it is raised."""
        await self.settled.wait()
        if self.refused is not None:
            raise Refused(self.refused.reason, self.refused.detail)

    async def carry(self, fiber: Fiber, client: Stream) -> Relay:
        try:
            upstream = await self._dial(fiber)
        except Refused as refused:
            self.refused = refused
            raise
        self.refused = None
        self.settled.set()
        return Relay(client, upstream, idle=self._idle, pipes=self._pipes)

    def ended(self, _fiber: Fiber, _reason: Reason | None) -> None:
        self.settled.set()
