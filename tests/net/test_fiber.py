"""Each rule of `net/fiber.py` on tasks, limits and endings.

That both directions stay open and that a flow dies whole has its own tests, in `tests/whole/`.
"""

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import LAST_WORDS, Fiber
from anongw.net.stream import Stream
from anongw.net.wait import READ, in_task, park
from tests.support.delegates import Faulty
from tests.support.driven import driven

FOR_EVER = 3600.0


class Log(list[str]):
    """What happened, in order."""


# Tasks


async def test_a_task_gives_its_result_or_its_error_to_the_flow() -> None:
    async with driven() as engine:
        log = Log()

        async def work(word: str) -> str:
            await anyio.lowlevel.checkpoint()
            if word == "bad":
                raise Refused(Reason.NAME_NOT_FOUND)
            return word.upper()

        async def carry(fiber: Fiber, client: Stream) -> None:
            log.append(await in_task(work, "good"))
            await in_task(work, "bad")

        flow = engine.flow(carry)
        assert await flow.over() is Reason.NAME_NOT_FOUND
        assert log == ["GOOD"]


async def test_a_result_that_comes_for_a_dead_flow_is_discarded() -> None:
    async with driven() as engine:
        discarded: list[int] = []
        hold = anyio.Event()

        async def dial() -> int:
            with anyio.CancelScope(shield=True):  # it has just succeeded and does not hear of it any more
                await hold.wait()
            return 42

        async def carry(fiber: Fiber, client: Stream) -> None:
            await in_task(dial, discard=discarded.append)

        flow = engine.flow(carry)
        await engine.at_rest()
        flow.peer.reset()
        await engine.at_rest()
        assert not flow.is_over, "it waits for its task"
        hold.set()
        assert await flow.over() is Reason.CLIENT_GONE
        assert discarded == [42]


async def test_a_result_in_time_is_not_discarded() -> None:
    async with driven() as engine:
        discarded: list[int] = []

        async def dial() -> int:
            return 42

        async def carry(fiber: Fiber, client: Stream) -> None:
            assert await in_task(dial, discard=discarded.append) == 42

        assert await engine.flow(carry).over() is None
        assert discarded == []


async def test_a_limit_that_runs_out_cancels_the_task_and_is_told_to_the_flow() -> None:
    async with driven() as engine:
        log = Log()

        async def carry(fiber: Fiber, client: Stream) -> None:
            fiber.within(0.0, Reason.CONNECT_TIMEOUT)
            try:
                await in_task(anyio.sleep_forever)
            except Refused as refused:
                log.append(str(refused))
                # Unlike a flow that was killed, it may wait: an answer is due.
                fiber.within(FOR_EVER, Reason.IDLE_TIMEOUT)
                await client.fill()

        flow = engine.flow(carry)
        engine.sweep()
        await engine.at_rest()
        assert log == ["connect-timeout"]
        assert not flow.is_over
        flow.peer.last()
        assert await flow.over() is None


# Limits


async def test_a_limit_is_thrown_by_the_first_sweep_after_it_and_not_before() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            fiber.within(FOR_EVER, Reason.IDLE_TIMEOUT)
            await client.fill()
            fiber.within(0.0, Reason.HANDSHAKE_TIMEOUT)
            await client.fill()

        flow = engine.flow(carry)
        engine.sweep()
        assert not flow.is_over
        await flow.peer.send(b"x")
        await engine.at_rest()
        engine.sweep()
        assert flow.reasons == [Reason.HANDSHAKE_TIMEOUT]


async def test_last_words_after_a_limit_may_wait_but_not_for_ever() -> None:
    async with driven() as engine:
        told = Log()

        async def carry(fiber: Fiber, client: Stream) -> None:
            fiber.within(0.0, Reason.IDLE_TIMEOUT)
            for _ in range(2):
                try:
                    await client.fill()
                except Refused as refused:
                    told.append(str(refused))

        flow = engine.flow(carry)
        engine.sweep()
        assert told == ["idle-timeout"]
        assert flow.fiber.wake_at == engine.now + LAST_WORDS
        flow.fiber.tick(engine.now + LAST_WORDS)
        assert flow.is_over


async def test_the_life_of_a_flow_is_bounded_whatever_else_it_sets() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            fiber.live_for(0.0)
            fiber.within(FOR_EVER, Reason.IDLE_TIMEOUT)
            await client.fill()

        flow = engine.flow(carry)
        engine.sweep()
        assert flow.reasons == [Reason.LIFETIME]


async def test_the_life_of_a_flow_bounds_its_delegate_too() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> Faulty:
            fiber.live_for(0.0)
            return Faulty("nowhere")

        flow = engine.flow(carry)
        engine.sweep()
        assert flow.reasons == [Reason.LIFETIME]


async def test_a_park_ends_when_its_time_has_passed() -> None:
    async with driven() as engine:
        woken: list[object] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            woken.append(await park((client, READ), until=engine.now + FOR_EVER))
            woken.append(await park((client, READ), until=engine.now))

        flow = engine.flow(carry)
        engine.sweep()
        assert woken == []
        await flow.peer.send(b"x")
        await engine.at_rest()
        assert len(woken) == 2, "still readable, so ready at once"

        async def silent(fiber: Fiber, client: Stream) -> None:
            woken.append(await park((client, READ), until=engine.now))

        quiet = engine.flow(silent)
        engine.sweep()
        assert quiet.reasons == [None]
        assert woken[2] is None


# Killing


async def test_a_killed_flow_may_say_last_words_but_its_clean_up_does_not_wait() -> None:
    async with driven() as engine:
        log = Log()

        async def carry(fiber: Fiber, client: Stream) -> None:
            try:
                await client.fill()
            except Refused:
                client.send_now(b"sorry")
                try:
                    await client.fill()
                finally:
                    log.append("closed")

        flow = engine.flow(carry)
        flow.fiber.kill(Refused(Reason.STOPPING))
        assert flow.reasons == [Reason.STOPPING]
        assert log == ["closed"]
        assert await flow.peer.rest() == b"sorry"


async def test_a_killed_flow_that_just_returns_ended_for_that_reason() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> Faulty | None:
            try:
                await client.fill()
            except Refused:
                return Faulty("nowhere")
            return None

        flow = engine.flow(carry)
        flow.fiber.kill(Refused(Reason.STOPPING))
        assert flow.reasons == [Reason.STOPPING]


async def test_killing_twice_ends_once() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            await client.fill()

        flow = engine.flow(carry)
        for _ in range(2):
            flow.fiber.kill(Refused(Reason.STOPPING))
        flow.fiber.end(Reason.INTERNAL)
        assert await flow.over() is Reason.STOPPING


@pytest.mark.parametrize("bug", [LookupError, None])
async def test_clean_up_that_raises_or_waits_again_is_counted_and_the_flow_ends(
    bug: type[Exception] | None,
) -> None:
    async with driven() as engine:
        engine.expected_bugs = 1

        async def carry(fiber: Fiber, client: Stream) -> None:
            while True:
                try:
                    await client.fill()
                except Refused:
                    continue
                except GeneratorExit:
                    if bug is not None:
                        raise bug from None
                    await client.fill()

        flow = engine.flow(carry)
        flow.fiber.kill(Refused(Reason.STOPPING))
        assert flow.reasons == [Reason.STOPPING]


async def test_a_flow_that_waits_for_a_stream_it_has_closed_has_a_bug() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1
        sock, _ = engine.pair()

        async def carry(fiber: Fiber, client: Stream) -> None:
            stream = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            stream.close()
            await park((stream, READ))

        assert engine.flow(carry).reasons == [Reason.INTERNAL]


async def test_a_flow_is_quiet_when_it_rests() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            await client.fill()
            fiber.resting = True
            await client.fill()

        flow = engine.flow(carry)
        assert not flow.fiber.is_quiet(1.0)
        await flow.peer.send(b"x")
        await engine.at_rest()
        assert flow.fiber.is_quiet(1.0)
