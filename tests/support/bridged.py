"""A flow whose upstream is a hop behind TLS, in a running engine: `client` - flow - bridge - `hop`.

The flow is a relay unless a test says what it does with the near stream.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anongw.errors import Reason
from anongw.net.bridge import Bridge, Near, secure
from anongw.net.fiber import Carry, Delegate, Fiber
from anongw.net.pipes import Pipes
from anongw.net.relay import Relay
from anongw.net.stream import Stream
from tests.support.driven import DrivenEngine, Played, driven
from tests.support.sockets import Kind
from tests.support.tls_peer import NAME, TlsPeer, serving, trusting

# What a flow does with its client and the near stream.
Use = Callable[[Fiber, Stream, Stream], Carry]


async def relayed(_fiber: Fiber, client: Stream, near: Stream) -> Delegate:
    return Relay(client, near, idle=3600.0, pipes=Pipes(0))


class Bridged:
    """The flow starts at once; the hop has to shake hands."""

    def __init__(  # noqa: PLR0913 - every one has its test
        self,
        engine: DrivenEngine,
        use: Use = relayed,
        *,
        context: ssl.SSLContext | None = None,
        name: str = NAME,
        pin: bytes = b"",
        early: bytes = b"",
        kind: Kind = Kind.TCP,
        buffer: int | None = None,
        within: float = 3600.0,
    ) -> None:
        self.engine = engine
        self.near: Stream
        self.bridge: Bridge
        self.far: Stream
        self._sock: socket.socket
        self._sock, self.wire = engine.pair(buffer=buffer)
        self._use = use
        self._secure = (context or trusting(), name, pin)
        self._early = early
        self._within = within
        self.flow: Played = engine.flow(self._carry, kind=kind, buffer=buffer)
        self.client = self.flow.peer

    async def over(self) -> Reason | None:
        return await self.flow.over()

    @property
    def held(self) -> tuple[int, int]:
        """Bytes in the bridge, of each direction."""
        bridge = self.bridge
        up = len(bridge._unsaid or b"") + len(bridge._cipher or b"") + bridge._client.waiting
        return up, len(bridge._plain or b"")

    async def _carry(self, fiber: Fiber, client: Stream) -> Delegate | None:
        self.far = fiber.adopt(self._sock, Reason.UPSTREAM_CLOSED)
        self.far.reader.feed(self._early)
        fiber.within(self._within, Reason.HOP_TIMEOUT)
        context, name, pin = self._secure
        near = await secure(fiber, self.far, context, name, pin=pin)
        assert isinstance(near, Near)
        assert near.owner is fiber
        if near.bridge is not None:
            self.bridge = near.bridge
        self.near = near
        return await self._use(fiber, client, near)


@asynccontextmanager
async def bridged(
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, use: Use = relayed, *, buffer: int | None = None
) -> AsyncIterator[tuple[Bridged, TlsPeer]]:
    """A bridge, and the hop that it leads to, once they have shaken hands."""
    async with driven() as engine:
        flow = Bridged(engine, use, buffer=buffer)
        hop = TlsPeer.over(flow.wire, serving(version))
        await hop.shake_hands()
        await engine.at_rest()
        yield flow, hop
