"""A relay between two pairs of sockets, for tests: `client` and `origin` are its far ends."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipe, Pipes
from anongw.net.relay import Relay
from anongw.net.stream import Stream
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Kind, Peer

SMALL = 16384  # bytes of kernel buffers that fill soon
WAYS = pytest.mark.parametrize("upwards", [True, False], ids=["up", "down"])
SPLICED = pytest.mark.parametrize("budget", [0, 8 * 2**20], ids=["copied", "spliced"])
DATA = bytes(range(251)) * 40_000  # 10 MB


class CountedPipes(Pipes):
    """A pool that remembers what was borrowed and how it came back."""

    def __init__(self, budget: int = 8 * 2**20) -> None:
        super().__init__(budget)
        self.borrowed = 0
        self.returned: list[bool] = []  # whether each was clean

    def borrow(self) -> Pipe | None:
        pipe = super().borrow()
        self.borrowed += pipe is not None
        return pipe

    def give_back(self, pipe: Pipe, *, clean: bool) -> None:
        self.returned.append(clean)
        super().give_back(pipe, clean=clean)

    @property
    def all_are_back(self) -> bool:
        return self.borrowed == len(self.returned)


class Tunnel:
    """The flow starts at once; its streams are `near` (the client's) and `far` (the origin's)."""

    near: Stream
    far: Stream
    relay: Relay

    def __init__(  # noqa: PLR0913 - every one has its test
        self,
        engine: DrivenEngine,
        pipes: Pipes,
        *,
        kind: Kind = Kind.TCP,
        buffer: int | None = None,
        idle: float = 3600.0,
        early: tuple[bytes, bytes] = (b"", b""),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self._then = then  # called when it has ended
        self._sock: socket.socket
        self._sock, self.origin = engine.pair(kind, buffer)
        self._pipes = pipes
        self._idle = idle
        self._early = early
        self.flow = engine.flow(self._carry, kind=kind, buffer=buffer, on_end=self._ended)
        self.client: Peer = self.flow.peer

    async def over(self) -> Reason | None:
        return await self.flow.over()

    def _ended(self, fiber: Fiber, reason: Reason | None) -> None:
        self.flow.ended(fiber, reason)
        self._then()

    @property
    def held(self) -> int:
        """Bytes of both directions in this process; those in a pipe are the kernel's."""
        return sum(len(way.pending or b"") for way in (self.relay._up, self.relay._down))

    @property
    def blocked(self) -> tuple[bool, bool]:
        """Whether the origin, and the client, is waited for."""
        return self.relay._up.blocked, self.relay._down.blocked

    async def _carry(self, fiber: Fiber, client: Stream) -> Relay:
        self.near = client
        self.far = fiber.adopt(self._sock, Reason.UPSTREAM_CLOSED)
        for stream, early in zip((self.near, self.far), self._early, strict=True):
            stream.reader.feed(early)
        self.relay = Relay(self.near, self.far, idle=self._idle, pipes=self._pipes)
        return self.relay


@asynccontextmanager
async def relaying(
    budget: int = 8 * 2**20,
    *,
    kind: Kind = Kind.TCP,
    buffer: int | None = None,
    idle: float = 3600.0,
    early: tuple[bytes, bytes] = (b"", b""),
) -> AsyncIterator[tuple[DrivenEngine, Tunnel, CountedPipes]]:
    """A tunnel whose pipes must all be back at the end."""
    pipes = CountedPipes(budget)
    async with driven() as engine:
        yield engine, Tunnel(engine, pipes, kind=kind, buffer=buffer, idle=idle, early=early), pipes
        engine.end_flows(Refused(Reason.STOPPING))
        assert pipes.all_are_back
        pipes.close()


def ends(tunnel: Tunnel, *, upwards: bool) -> tuple[Peer, Peer]:
    """Who says and who hears."""
    return (tunnel.client, tunnel.origin) if upwards else (tunnel.origin, tunnel.client)


async def stall(engine: DrivenEngine, speaker: Peer) -> int:
    """Send until nothing on the way takes any more; how much that was."""
    count = 0
    while piece := speaker.fill():
        count += piece
        await engine.at_rest()
    return count


async def until_untaken(engine: DrivenEngine, tunnel: Tunnel) -> None:
    """Send until the origin's kernel takes no more, while the gateway's still does."""
    while tunnel.far.unsent() < SMALL // 2:
        await tunnel.client.send(bytes(1024))
        await engine.at_rest()
    assert tunnel.blocked == (False, False)
