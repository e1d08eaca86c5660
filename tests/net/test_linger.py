"""Last words arrive, though the client is still sending; and nobody is listened to for ever."""

import pytest

from anongw.net.fiber import Fiber
from anongw.net.linger import linger
from anongw.net.stream import Stream
from tests.support.driven import driven

LAST_WORDS = b"no"


async def _refuse(fiber: Fiber, stream: Stream, seconds: float, most: int) -> None:
    stream.send_now(LAST_WORDS)
    await linger(fiber, stream, seconds=seconds, most=most)


async def test_until_the_client_ends() -> None:
    async with driven() as engine:
        flow = engine.flow(lambda fiber, stream: _refuse(fiber, stream, 60, 1 << 30))
        await flow.peer.send(bytes(1 << 20))
        assert await flow.peer.rest() == LAST_WORDS
        assert not flow.is_over
        flow.peer.last()
        assert await flow.over() is None


async def test_until_the_client_is_gone() -> None:
    async with driven() as engine:
        flow = engine.flow(lambda fiber, stream: _refuse(fiber, stream, 60, 1 << 30))
        flow.peer.reset()
        await flow.over()


async def test_so_long_and_no_longer() -> None:
    async with driven() as engine:
        flow = engine.flow(lambda fiber, stream: _refuse(fiber, stream, 0.1, 1 << 30))
        assert await flow.over() is None
        assert await flow.peer.rest() == LAST_WORDS


async def test_so_much_and_no_more() -> None:
    async with driven() as engine:
        flow = engine.flow(lambda fiber, stream: _refuse(fiber, stream, 60, 100_000))
        with pytest.raises(ConnectionError):
            await flow.peer.send(bytes(100 << 20))
        assert await flow.over() is None


async def test_what_is_heard_is_forgotten() -> None:
    async with driven() as engine:
        streams: list[Stream] = []

        async def carry(fiber: Fiber, stream: Stream) -> None:
            streams.append(stream)
            await linger(fiber, stream, seconds=60, most=1 << 30)

        flow = engine.flow(carry)
        await flow.peer.send(bytes(1 << 20))
        flow.peer.last()
        await flow.over()
        assert streams[0].received == 1 << 20
        assert not len(streams[0].reader)
