"""A flow dies whole: what it owns goes with it, and nothing that it raises or sets reaches another."""

import contextvars
import types
from collections.abc import Callable, Generator

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import Carry, Fiber
from anongw.net.stream import Stream
from anongw.net.wait import Park, in_task
from tests.support.delegates import Faulty
from tests.support.driven import driven


class Log(list[str]):
    """What happened, in order."""


async def test_every_stream_of_a_flow_is_closed_with_it() -> None:
    async with driven() as engine:
        sock, upstream = engine.pair()

        async def carry(fiber: Fiber, client: Stream) -> None:
            fiber.adopt(sock, Reason.UPSTREAM_CLOSED)

        flow = engine.flow(carry)
        assert await flow.over() is None
        assert await flow.peer.receive() == b""
        assert await upstream.receive() == b""


async def test_a_stream_that_was_given_up_is_not_closed_with_its_flow_but_with_the_one_that_took_it() -> None:
    async with driven() as engine:
        sock, upstream = engine.pair()
        kept: list[Stream] = []

        async def gives(fiber: Fiber, client: Stream) -> None:
            stream = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            await stream.fill()
            fiber.give_up(stream)
            kept.append(stream)

        async def takes(fiber: Fiber, client: Stream) -> None:
            fiber.take(kept[0])
            await client.send(kept[0].reader.take())
            await kept[0].fill()
            await client.send(kept[0].reader.take())

        giver = engine.flow(gives)
        await upstream.send(b"early, ")
        assert await giver.over() is None
        assert not kept[0].closed
        taker = engine.flow(takes)
        await upstream.send(b"late")
        assert await taker.over() is None
        assert await taker.peer.rest() == b"early, late"
        assert await upstream.receive() == b""


@pytest.mark.parametrize("where", ["step", "start", "ready", "tick", "abort"])
async def test_a_bug_ends_its_flow_only_and_is_counted(where: str) -> None:
    async with driven() as engine:
        engine.expected_bugs = 1

        async def buggy(fiber: Fiber, client: Stream) -> Faulty:
            await client.fill()
            if where == "step":
                raise LookupError("secret")
            return Faulty(where)

        async def sound(fiber: Fiber, client: Stream) -> None:
            await client.fill()
            await client.send(client.reader.take())

        flow, other = engine.flow(buggy), engine.flow(sound)
        await flow.peer.send(b"x")
        await engine.at_rest()
        if where == "abort":
            flow.fiber.kill(Refused(Reason.LIFETIME))
        else:
            await flow.peer.send(b"y")
            engine.sweep()
        assert await flow.over() is Reason.INTERNAL
        await other.peer.send(b"ping")
        assert await other.peer.rest() == b"ping"
        assert await other.over() is None
        assert [type(bug) for bug in engine.seen] == [LookupError]


async def test_a_bug_in_a_delegate_that_follows_a_task_is_the_flows_too() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1

        async def carry(fiber: Fiber, client: Stream) -> Faulty:
            await in_task(anyio.lowlevel.checkpoint)
            return Faulty("start")

        assert await engine.flow(carry).over() is Reason.INTERNAL


async def test_a_bug_in_who_discards_a_late_result_is_counted() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1
        hold = anyio.Event()

        async def dial() -> str:
            with anyio.CancelScope(shield=True):
                await hold.wait()
            return "late"

        def discard(_late: str) -> None:
            raise LookupError

        async def carry(fiber: Fiber, client: Stream) -> None:
            await in_task(dial, discard=discard)

        flow = engine.flow(carry)
        await engine.at_rest()
        flow.peer.reset()
        await engine.at_rest()
        hold.set()
        assert await flow.over() is Reason.INTERNAL


async def test_a_bug_where_the_end_is_told_is_counted_and_the_flow_is_over() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1

        async def carry(fiber: Fiber, client: Stream) -> None: ...

        def ended(_fiber: Fiber, _reason: Reason | None) -> None:
            raise LookupError

        flow = engine.flow(carry, on_end=ended)
        assert flow.fiber.ended
        assert await flow.peer.receive() == b""


async def test_a_bug_before_the_first_step_is_the_flows() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1

        def carry(fiber: Fiber, client: Stream) -> Carry:
            raise LookupError

        flow = engine.flow(carry)
        assert await flow.peer.receive() == b""
        assert not engine.fibers


@types.coroutine
def foreign(value: object) -> Generator[object, object, None]:
    yield value


@pytest.mark.parametrize("value", [None, 1, object(), Park])
async def test_anything_else_that_is_yielded_raises_at_once(value: object) -> None:
    async with driven() as engine:
        log = Log()

        async def carry(fiber: Fiber, client: Stream) -> None:
            try:
                await foreign(value)
            except TypeError as error:
                log.append(str(error))

        flow = engine.flow(carry)
        assert flow.reasons == [None]
        assert log == [f"{type(value).__name__} yielded to the engine"]


async def test_a_flow_that_insists_on_a_foreign_wait_ends_and_no_other() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            while True:
                try:
                    await foreign(None)
                except TypeError:
                    continue

        async def sound(fiber: Fiber, client: Stream) -> None:
            await client.fill()

        assert engine.flow(carry).reasons == [Reason.INTERNAL]
        engine.expected_bugs = engine.bugs
        other = engine.flow(sound)
        other.peer.last()
        assert await other.over() is None


async def test_anyio_inside_a_step_raises_and_does_not_touch_the_engines_task() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1

        async def carry(fiber: Fiber, client: Stream) -> None:
            await anyio.lowlevel.checkpoint()

        async def sound(fiber: Fiber, client: Stream) -> None:
            await client.fill()

        flow, other = engine.flow(carry), engine.flow(sound)
        assert await flow.over() is Reason.INTERNAL
        other.peer.last()
        assert await other.over() is None


COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("COLOUR", default="none")


async def test_a_context_variable_stays_in_its_flow() -> None:
    async with driven() as engine:
        seen = Log()

        def carrying(colour: str) -> Callable[[Fiber, Stream], Carry]:
            async def carry(fiber: Fiber, client: Stream) -> None:
                seen.append(COLOUR.get())
                COLOUR.set(colour)
                await client.fill()
                seen.append(COLOUR.get())

            return carry

        flows = [engine.flow(carrying(colour)) for colour in ("red", "blue")]
        for flow in flows:
            flow.peer.last()
            await flow.over()
        assert seen == ["none", "none", "red", "blue"]
        assert COLOUR.get() == "none"
