"""A relay between two pairs of sockets, for tests: `client` and `origin` are its far ends."""

import socket

from anongw.errors import Reason
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipe, Pipes
from anongw.net.relay import Relay
from anongw.net.stream import Stream
from tests.support.driven import DrivenEngine
from tests.support.sockets import Kind, Peer


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
    ) -> None:
        self._sock: socket.socket
        self._sock, self.origin = engine.pair(kind, buffer)
        self._pipes = pipes
        self._idle = idle
        self._early = early
        self.flow = engine.flow(self._carry, kind=kind, buffer=buffer)
        self.client: Peer = self.flow.peer

    async def over(self) -> Reason | None:
        return await self.flow.over()

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
