"""A task's connection through the engine: bytes both ways, and no end of either side is missed."""

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.inner import connect_inside
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.net.task_stream import TaskStream
from anongw.net.wait import READ, park
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Peer


async def inside(engine: DrivenEngine, *, idle: float = 20) -> tuple[TaskStream, Peer]:
    near, far = engine.pair()

    async def dial(fiber: Fiber) -> Stream:
        return fiber.adopt(near, Reason.UPSTREAM_CLOSED)

    return await connect_inside(engine, dial, Pipes(0), idle=idle), far


async def test_bytes_go_both_ways_and_so_does_an_end() -> None:
    async with driven() as engine:
        stream, far = await inside(engine)
        await stream.send(b"question")
        assert await far.exactly(8) == b"question"
        await far.send(b"answer")
        assert await stream.receive() == b"answer"
        await stream.send_eof()
        assert await far.rest() == b""
        far.last()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        stream.close()


async def test_closing_it_ends_its_flow() -> None:
    async with driven() as engine:
        stream, far = await inside(engine)
        stream.close()
        assert await far.rest() == b""
        far.close()
        await engine.drained()


async def test_what_refuses_the_dial_refuses_the_caller() -> None:
    async def dial(fiber: Fiber) -> Stream:
        raise Refused(Reason.HOP_TLS, "detail")

    async with driven() as engine:
        with pytest.raises(Refused) as refused:
            await connect_inside(engine, dial, Pipes(0), idle=20)
        assert (refused.value.reason, refused.value.detail) == (Reason.HOP_TLS, "detail")
        assert not engine.fibers


async def test_a_caller_that_gives_up_leaves_nothing() -> None:
    async with driven() as engine:
        near, far = engine.pair()
        waiting = anyio.Event()

        async def dial(fiber: Fiber) -> Stream:
            stream = fiber.adopt(near, Reason.UPSTREAM_CLOSED)
            waiting.set()
            await park((stream, READ))
            return stream

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_connect, engine, dial)
            await waiting.wait()
            tasks.cancel_scope.cancel()
        assert await far.rest() == b""
        await engine.drained()


async def _connect(engine: DrivenEngine, dial: object) -> None:
    await connect_inside(engine, dial, Pipes(0), idle=20)  # type: ignore[arg-type]


async def test_an_engine_that_stops_says_so() -> None:
    async with driven() as engine:
        near, _ = engine.pair()

        async def dial(fiber: Fiber) -> Stream:
            stream = fiber.adopt(near, Reason.UPSTREAM_CLOSED)
            await park((stream, READ))
            return stream

        async def stop() -> None:
            while not engine.fibers:
                await anyio.lowlevel.checkpoint()
            engine.end_flows(Refused(Reason.STOPPING))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            with pytest.raises(Refused) as refused:
                await connect_inside(engine, dial, Pipes(0), idle=20)
        assert refused.value.reason is Reason.STOPPING


async def test_idle_ends_it() -> None:
    async with driven() as engine:
        stream, far = await inside(engine, idle=0.1)
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        with pytest.raises(ConnectionResetError):
            await far.receive()
        stream.close()
