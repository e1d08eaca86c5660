"""Both directions stay open: whatever a flow waits for, its client's hang-up and early news are noticed."""

import math

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.net.wait import READ, Driven, Side, beside, in_task, park
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Kind

KINDS = pytest.mark.parametrize("kind", list(Kind))
FOR_EVER = 3600.0


class Log(list[str]):
    """What happened, in order."""


async def wait_elsewhere(engine: DrivenEngine, fiber: Fiber) -> None:
    """Park on a stream that stays silent."""
    sock, _ = engine.pair()
    silent = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
    while True:
        await park((silent, READ))


@KINDS
async def test_a_client_that_goes_away_is_noticed_while_its_flow_waits_elsewhere(kind: Kind) -> None:
    async with driven(half_closed=FOR_EVER) as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            await wait_elsewhere(engine, fiber)

        flow = engine.flow(carry, kind=kind)
        await flow.peer.send(b"a pipelined request")
        await engine.at_rest()
        if kind is Kind.TCP:
            flow.peer.reset()
        else:
            flow.peer.close()
        assert await flow.over() is Reason.CLIENT_GONE


async def test_a_client_that_goes_away_is_noticed_while_a_task_runs_which_is_cancelled_and_awaited() -> None:
    async with driven() as engine:
        log = Log()

        async def work() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                log.append("task cleaned up")

        async def carry(fiber: Fiber, client: Stream) -> None:
            try:
                await in_task(work)
            except Refused as refused:
                log.append(f"flow told: {refused}")
                raise

        def ended(_fiber: Fiber, _reason: Reason | None) -> None:
            log.append("flow over")
            done.set()

        done = anyio.Event()
        flow = engine.flow(carry, on_end=ended)
        await engine.at_rest()
        flow.peer.reset()
        await done.wait()
        assert log == ["task cleaned up", "flow told: client-gone", "flow over"]


async def test_a_fin_gives_the_client_a_while_and_then_it_is_gone() -> None:
    async with driven(half_closed=0.0) as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            await wait_elsewhere(engine, fiber)

        flow = engine.flow(carry)
        engine.sweep()
        assert not flow.is_over
        flow.peer.last()
        await engine.at_rest()
        engine.sweep()
        assert await flow.over() is Reason.CLIENT_GONE


async def test_a_fin_alone_does_not_end_a_flow_before_its_while_is_over() -> None:
    async with driven(half_closed=FOR_EVER) as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            await wait_elsewhere(engine, fiber)

        flow = engine.flow(carry)
        flow.peer.last()
        await engine.at_rest()
        engine.sweep()
        assert not flow.is_over
        assert flow.fiber.wake_at < math.inf


async def test_what_a_client_said_before_its_last_is_passed_on_before_its_while_begins() -> None:
    async with driven(half_closed=0.0) as engine:
        sock, origin = engine.pair(buffer=4096)

        async def carry(fiber: Fiber, client: Stream) -> None:
            upstream = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            while await client.fill():
                await upstream.send(client.reader.take())
            await park((upstream, READ))

        flow = engine.flow(carry)
        said = 100_000  # more than the origin's side takes unread, less than keeps the FIN behind it
        await flow.peer.send(bytes(said))
        flow.peer.last()
        await engine.at_rest()
        for _ in range(3):
            engine.sweep()  # the origin has not read: the while has not begun
            assert not flow.is_over
        assert len(await origin.exactly(said)) == said
        await engine.at_rest()
        engine.sweep()
        assert await flow.over() is Reason.CLIENT_GONE


async def test_a_client_that_said_its_last_and_is_being_answered_is_not_gone() -> None:
    async with driven(half_closed=0.0) as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            sock, _ = engine.pair()
            silent = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            # In the very step in which the FIN is there and before the sweep looks.
            await park((silent, READ), until=engine.now - 1)
            await client.send(b"answer")
            await park((silent, READ))

        flow = engine.flow(carry)
        flow.peer.last()
        engine.turn()
        assert flow.fiber._leaving is not None
        flow.fiber._step(flow.fiber._running.send, None)
        engine.sweep()
        assert not flow.is_over
        assert await flow.peer.exactly(6) == b"answer"


async def test_a_reader_that_waits_for_the_client_hears_its_fin_itself() -> None:
    async with driven(half_closed=0.0) as engine:
        filled: list[bool] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            filled.append(await client.fill())

        flow = engine.flow(carry)
        await engine.at_rest()
        flow.peer.last()
        assert await flow.over() is None
        assert filled == [False]


async def test_what_the_client_says_early_costs_no_turns_and_is_there_later() -> None:
    async with driven(half_closed=FOR_EVER) as engine:
        sock, upstream = engine.pair()
        heard: list[bytes] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            await park((fiber.adopt(sock, Reason.UPSTREAM_CLOSED), READ))
            await client.fill()
            heard.append(client.reader.take())

        flow = engine.flow(carry)
        await flow.peer.send(b"early")
        flow.peer.last()
        await engine.at_rest()
        assert await engine.at_rest() == 0, "readiness that nobody waits for is disarmed"
        await upstream.send(b"x")
        assert await flow.over() is None
        assert heard == [b"early"]


async def test_an_upstream_that_hangs_up_unheard_costs_no_turns_and_is_heard_later() -> None:
    async with driven() as engine:
        sock, upstream = engine.pair()

        async def carry(fiber: Fiber, client: Stream) -> None:
            stream = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            await stream.fill()
            await client.fill()
            await stream.fill()

        flow = engine.flow(carry)
        await upstream.send(b"x")
        await engine.at_rest()
        upstream.reset()
        await engine.at_rest()
        assert await engine.at_rest() == 0
        await flow.peer.send(b"go on")
        assert await flow.over() is Reason.UPSTREAM_CLOSED


async def test_an_early_answer_is_read_while_the_upload_is_stopped() -> None:
    async with driven() as engine:
        sock, upstream = engine.pair(buffer=16384)

        async def carry(fiber: Fiber, client: Stream) -> None:
            origin = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            upload = Side(_upload(origin))
            assert await beside(_answer(origin, client), upload) == b"413"
            assert not upload.done
            upload.close()

        async def _upload(origin: Stream) -> None:
            await origin.send(bytes(2**24))

        async def _answer(origin: Stream, client: Stream) -> bytes:
            await origin.fill()
            answer = origin.reader.take()
            await client.send(answer)
            return answer

        flow = engine.flow(carry)
        await engine.at_rest()
        assert await engine.at_rest() == 0, "the upload waits"
        await upstream.send(b"413")
        assert await flow.peer.rest() == b"413"
        assert await flow.over() is None


async def test_a_client_that_goes_away_during_an_upload_ends_both_halves() -> None:
    async with driven() as engine:
        sock, _ = engine.pair(buffer=16384)
        log = Log()

        async def carry(fiber: Fiber, client: Stream) -> None:
            origin = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            upload = Side(_half("upload", origin.send(bytes(2**24))))
            try:
                await beside(_half("answer", origin.fill()), upload)
            finally:
                upload.close()

        async def _half(name: str, waiting: Driven[object]) -> None:
            try:
                await waiting
            finally:
                log.append(name)

        flow = engine.flow(carry)
        await engine.at_rest()
        flow.peer.reset()
        assert await flow.over() is Reason.CLIENT_GONE
        assert log == ["answer", "upload"]
