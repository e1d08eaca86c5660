"""One handshake with a hop, which the test plays at the far end of a pair, byte by byte where it matters."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.hop import Handshake
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Peer

Hop = Callable[[Peer], Awaitable[None]]


class Outcome:
    """How a handshake ended, and what was left of the stream."""

    reason: Reason | None = None
    early = b""


async def play(
    shake: Callable[..., Handshake],
    hop: Hop,
    *,
    target: Endpoint,
    **options: Any,  # noqa: ANN401 - whatever the handshake takes
) -> Outcome:
    """One handshake with `hop` at the far end; what comes after it is in `early`."""
    outcome = Outcome()

    async def carry(fiber: Fiber, client: Stream) -> None:
        engine = fiber.engine
        assert isinstance(engine, DrivenEngine)
        near, far = engine.pair()
        played.append(far)
        arrived.set()
        stream = fiber.adopt(near, Reason.UPSTREAM_CLOSED)
        handshake = shake(stream, **options)
        try:
            await handshake.enter()
            await handshake.ask(target)
            outcome.early = stream.reader.take()
        except Refused as refused:
            outcome.reason = refused.reason

    played: list[Peer] = []
    arrived = anyio.Event()
    async with driven() as engine:
        flow = engine.flow(carry)
        await arrived.wait()
        await hop(played[0])
        await flow.over()
    return outcome


def says(*exchanges: bytes | tuple[bytes, bytes], then_close: bool = False) -> Hop:
    """A hop that hears exactly these requests and answers each."""

    async def hop(peer: Peer) -> None:
        for exchange in exchanges:
            heard, said = exchange if isinstance(exchange, tuple) else (exchange, b"")
            assert await peer.exactly(len(heard)) == heard
            await peer.send(said)
        if then_close:
            peer.last()

    return hop
