"""Each rule of `net/fiber.py`: how one flow lives, waits and dies."""

import contextvars
import math
import types
from collections.abc import Callable, Generator

import anyio
import anyio.lowlevel
import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import LAST_WORDS, Carry, Fiber
from anongw.net.stream import Stream
from anongw.net.wait import READ, Driven, Park, Side, beside, in_task, park
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


# Both directions stay open


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


# A flow dies whole


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


class Faulty:
    """A delegate with a bug in one of its calls."""

    active = 0.0

    def __init__(self, where: str) -> None:
        self._where = where

    def _maybe(self, where: str) -> None:
        if where == self._where:
            raise LookupError("secret")

    def start(self, fiber: Fiber) -> None:
        self._fiber = fiber
        fiber.wake_at = 0.0
        self._maybe("start")

    def ready(self, stream: Stream, events: int) -> None:
        self._maybe("ready")
        self._fiber.end(None)

    def tick(self, now: float) -> None:
        self._maybe("tick")

    def abort(self, refused: Refused) -> None:
        self._maybe("abort")
        self._fiber.end(refused.reason)


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
