"""Each rule of `net/engine.py`: the loop around the flows."""

import time
from collections.abc import Callable

import anyio
import anyio.lowlevel

from anongw.errors import Reason, Refused
from anongw.net.fiber import Carry, Fiber
from anongw.net.poller import CROWD, GATHERED
from anongw.net.stream import Stream
from anongw.net.wait import READ, Side, beside, in_task, park
from tests.support.driven import DrivenEngine, Played, driven
from tests.support.sockets import Kind, pair


async def echo(fiber: Fiber, client: Stream) -> None:
    while await client.fill():
        await client.send(client.reader.take())


async def test_many_flows_are_carried_at_once() -> None:
    async with driven() as engine:
        flows = [engine.flow(echo) for _ in range(100)]
        for number, flow in enumerate(flows):
            await flow.peer.send(b"%d" % number)
            flow.peer.last()
        for number, flow in enumerate(flows):
            assert await flow.peer.rest() == b"%d" % number
            assert await flow.over() is None


async def test_a_flow_takes_what_has_arrived_without_a_wait() -> None:
    async with driven() as engine:
        near, far = pair()
        with far:
            far.send(b"hello")
            heard: list[bytes] = []

            async def carry(fiber: Fiber, client: Stream) -> None:
                await client.fill()
                heard.append(client.reader.take())

            engine.now = time.monotonic()  # as within a turn, where listeners spawn
            engine.spawn(near, carry, lambda *_: None)
            assert heard == [b"hello"]


async def test_an_idle_engine_takes_no_turns() -> None:
    async with driven() as engine:
        engine.flow(echo)
        await engine.at_rest()
        assert await engine.at_rest() == 0


async def test_the_event_loop_has_its_say_between_turns() -> None:
    async with driven() as engine:

        async def spin(fiber: Fiber, client: Stream) -> None:
            while True:
                await park((client, READ))

        flow = engine.flow(spin)
        await flow.peer.send(b"never read")
        await anyio.lowlevel.checkpoint()
        before = engine.turns
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        # An engine that kept the loop to itself would never have let us come back here.
        assert engine.turns > before


async def test_a_busy_flow_has_one_step_a_turn() -> None:
    async with driven() as engine:
        steps = 0

        async def spin(fiber: Fiber, client: Stream) -> None:
            nonlocal steps
            while True:
                await park((client, READ))
                steps += 1

        flow, other = engine.flow(spin), engine.flow(echo)
        await flow.peer.send(b"never read")
        await other.peer.send(b"ping")
        before = steps
        engine.turn()
        assert steps == before + 1
        assert other.peer.sock.recv(4) == b"ping"


# What is sent while several are served. Unix sockets: what is said on one end is there on the other at once.


def answering(log: list[str], word: str) -> Callable[[Fiber, Stream], Carry]:
    """A flow that reads once, answers, and says when it did which."""

    async def carry(_fiber: Fiber, client: Stream) -> None:
        await client.fill()
        log.append(f"{word} read")
        await client.send(client.reader.take())
        log.append(f"{word} sent")

    return carry


def crowd(engine: DrivenEngine, log: list[str], count: int = CROWD) -> list[Played]:
    """So many flows that answer, each of which has something to do."""
    flows = [engine.flow(answering(log, str(number)), kind=Kind.UNIX) for number in range(count)]
    for flow in flows:
        flow.peer.sock.send(b"hello")
    return flows


async def test_what_a_crowd_sends_is_sent_together_at_the_end_of_the_batch() -> None:
    async with driven() as engine:
        log: list[str] = []
        flows = crowd(engine, log)
        engine.turn()
        assert log[CROWD:] == [line.replace("read", "sent") for line in log[:CROWD]]
        for flow in flows:
            assert flow.peer.sock.recv(9) == b"hello"


async def test_the_first_of_a_large_batch_does_not_wait_for_its_last() -> None:
    async with driven() as engine:
        log: list[str] = []
        flows = [engine.flow(answering(log, str(number)), kind=Kind.UNIX) for number in range(GATHERED + 1)]
        for flow in flows:
            flow.peer.sock.send(b"hello")
        engine.turn()
        whats = [line.split()[1] for line in log]
        assert whats == ["read"] * GATHERED + ["sent"] * GATHERED + ["read", "sent"]


async def test_what_a_flow_sends_after_that_waits_for_no_other_batch() -> None:
    async with driven() as engine:

        async def carry(_fiber: Fiber, client: Stream) -> None:
            await client.fill()
            await client.send(b"one")
            await client.send(b"two")

        flow = engine.flow(carry, kind=Kind.UNIX)
        flow.peer.sock.send(b"hello")
        crowd(engine, [])
        engine.turn()
        assert flow.peer.sock.recv(9) == b"onetwo"


async def test_where_few_are_served_each_sends_at_once() -> None:
    async with driven() as engine:
        log: list[str] = []
        crowd(engine, log, CROWD - 1)
        engine.turn()
        assert [line.split()[1] for line in log] == ["read", "sent"] * (CROWD - 1)


async def test_what_was_put_off_is_not_sent_for_a_flow_that_ended_meanwhile() -> None:
    async with driven() as engine:
        log: list[str] = []

        async def ends(_fiber: Fiber, client: Stream) -> None:
            await client.fill()
            await client.send(b"hello")  # by now both have read
            first.fiber.kill(Refused(Reason.STOPPING))

        second = engine.flow(ends, kind=Kind.UNIX)
        first = engine.flow(answering(log, "first"), kind=Kind.UNIX)
        for flow in (second, first):
            flow.peer.sock.send(b"hello")
        crowd(engine, [], CROWD - 2)
        engine.turn()
        assert (log, first.reasons) == (["first read"], [Reason.STOPPING])
        assert second.reasons == [None]
        assert first.peer.sock.recv(9) == b""


async def test_the_last_words_of_a_flow_that_is_killed_wait_for_no_end_of_a_batch() -> None:
    async with driven() as engine:
        sock, origin = engine.pair(Kind.UNIX)

        async def carry(fiber: Fiber, _client: Stream) -> None:
            upstream = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            try:
                await upstream.fill()
            except Refused:
                await upstream.send(b"bye")
                raise

        killed = engine.flow(carry, kind=Kind.UNIX)
        killed.peer.sock.close()
        crowd(engine, [])
        engine.turn()
        assert killed.reasons == [Reason.CLIENT_GONE]
        assert origin.sock.recv(9) == b"bye"


async def test_two_sides_of_a_flow_may_both_put_off_what_they_send() -> None:
    async with driven() as engine:
        sock, origin = engine.pair(Kind.UNIX)

        async def pass_on(source: Stream, sink: Stream) -> None:
            while await source.fill():
                await sink.send(source.reader.take())

        async def carry(fiber: Fiber, client: Stream) -> None:
            upstream = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            await beside(pass_on(client, upstream), Side(pass_on(upstream, client)))

        flow = engine.flow(carry, kind=Kind.UNIX)
        flow.peer.sock.send(b"up")
        origin.sock.send(b"down")
        crowd(engine, [])
        engine.turn()
        assert (origin.sock.recv(9), flow.peer.sock.recv(9)) == (b"up", b"down")


class Idle:
    """A delegate that nothing happens to."""

    active = 0.0

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def start(self, fiber: Fiber) -> None:
        self._fiber = fiber

    def ready(self, stream: Stream, events: int) -> None: ...

    def tick(self, now: float) -> None: ...

    def abort(self, refused: Refused) -> None:
        self._log.append("delegate")
        self._fiber.end(refused.reason)


async def test_stopping_the_engine_closes_every_flow_in_whatever_state() -> None:
    log: list[str] = []

    async def parked(fiber: Fiber, client: Stream) -> None:
        try:
            await client.fill()
        finally:
            log.append("parked")

    async def working(fiber: Fiber, client: Stream) -> None:
        try:
            await in_task(anyio.sleep_forever)
        finally:
            log.append("working")

    async def delegating(fiber: Fiber, client: Stream) -> Idle:
        return Idle(log)

    async with driven() as engine:
        sock, _ = engine.pair()

        async def with_upstream(fiber: Fiber, client: Stream) -> None:
            await park((fiber.adopt(sock, Reason.UPSTREAM_CLOSED), READ))

        flows = [engine.flow(carry) for carry in (parked, working, delegating, with_upstream)]
        await engine.at_rest()
    assert [flow.reasons for flow in flows] == [[Reason.STOPPING]] * 4
    assert sorted(log) == ["delegate", "parked", "working"]


async def test_a_bug_while_the_engine_stops_does_not_keep_the_other_flows_open() -> None:
    async with driven() as engine:
        engine.expected_bugs = 2

        async def buggy(fiber: Fiber, client: Stream) -> None:
            try:
                await client.fill()
            finally:
                raise LookupError

        for _ in range(2):
            engine.flow(buggy)
            engine.flow(echo)


async def test_ending_all_flows_throws_into_each() -> None:
    async with driven() as engine:
        words: list[str] = []

        async def polite(fiber: Fiber, client: Stream) -> None:
            try:
                await client.fill()
            except Refused as refused:
                words.append(str(refused))
                raise

        flows = [engine.flow(polite) for _ in range(3)]
        engine.end_flows(Refused(Reason.STOPPING))
        assert [flow.reasons for flow in flows] == [[Reason.STOPPING]] * 3
        assert words == ["stopping"] * 3


async def test_ending_the_quiet_ones_leaves_the_others() -> None:
    async with driven() as engine:

        async def rests(fiber: Fiber, client: Stream) -> None:
            fiber.resting = True
            await client.fill()

        quiet, busy = engine.flow(rests), engine.flow(echo)
        engine.end_flows(Refused(Reason.STOPPING), quiet_for=1.0)
        assert quiet.reasons == [Reason.STOPPING]
        assert not busy.is_over


async def test_drained_waits_for_the_last_flow() -> None:
    async with driven() as engine:
        await engine.drained()
        flows = [engine.flow(echo) for _ in range(2)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(engine.drained)
            tasks.start_soon(engine.drained)
            for flow in flows:
                flow.peer.last()
                await flow.over()
        assert not engine.fibers


async def test_whoever_asked_is_called_at_each_sweep_with_the_time() -> None:
    async with driven() as engine:
        seen: list[float] = []
        engine.on_sweep.append(seen.append)
        engine.sweep()
        assert seen == [engine.now]


async def test_the_engine_sweeps_by_itself() -> None:
    async with driven() as engine:
        swept = anyio.Event()
        engine.on_sweep.append(lambda _now: swept.set())
        await swept.wait()


async def test_a_flow_that_ends_another_during_a_sweep_does_not_confuse_it() -> None:
    async with driven() as engine:
        fibers: list[Fiber] = []

        async def jealous(fiber: Fiber, client: Stream) -> None:
            fibers.append(fiber)
            fiber.within(0.0, Reason.IDLE_TIMEOUT)
            try:
                await client.fill()
            finally:
                fibers.remove(fiber)
                for other in fibers:
                    other.kill(Refused(Reason.STOPPING))

        flows = [engine.flow(jealous) for _ in range(3)]
        engine.sweep()
        reasons = [reason for flow in flows for reason in flow.reasons]
        assert reasons.count(Reason.IDLE_TIMEOUT) == 1
        assert reasons.count(Reason.STOPPING) == 2


async def test_a_number_that_is_free_again_brings_the_next_flow_no_old_news() -> None:
    async with driven() as engine:
        for _ in range(50):
            flow = engine.flow(echo)
            await flow.peer.send(b"x")
            assert await flow.peer.exactly(1) == b"x"
            flow.peer.reset()
            assert await flow.over() is Reason.CLIENT_GONE


async def test_a_task_that_runs_when_the_engine_stops_is_over_before_it() -> None:
    over = anyio.Event()

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            over.set()

    async def carry(fiber: Fiber, client: Stream) -> None:
        await in_task(work)

    async with driven() as engine:
        engine.flow(carry)
        await engine.at_rest()
    assert over.is_set()
