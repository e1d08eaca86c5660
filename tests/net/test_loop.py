"""Each rule of `net/loop.py`. What the engine does on such a loop is tested where it is on any other."""

import selectors
import socket
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest

from anongw.errors import Reason
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.loop import Beneath, claim, run
from anongw.net.poller import EVENTS_A_TURN, Batch
from anongw.net.stream import Stream
from anongw.net.wait import READ, in_task, park
from tests.support.backends import BENEATH, Backend
from tests.support.driven import PATIENCE, driven
from tests.support.sockets import descriptors, pair, reset


@pytest.fixture
def anyio_backend() -> Backend:
    return BENEATH


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = pair()
    with near, far:
        yield near, far


async def test_what_was_served_ends_the_call(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    far.send(b"never read")
    batches: list[Batch] = []

    def serve(batch: Batch) -> Batch:
        batches.append(batch)
        return []

    beneath = Beneath()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beneath.carry, serve)
        await anyio.lowlevel.checkpoint()
        beneath.epoll.register(near.fileno(), READ)
        assert beneath.select(None) == []
        assert batches == [[(near.fileno(), READ)]]
        tasks.cancel_scope.cancel()
    beneath.close()


async def test_a_task_that_a_flow_started_runs_although_nothing_else_wakes_the_loop() -> None:
    async with driven() as engine:

        async def work() -> bytes:
            return b"done"

        async def carry(_fiber: Fiber, client: Stream) -> None:
            await client.fill()
            await client.send(await in_task(work))

        flow = engine.flow(carry)
        await engine.at_rest()
        await flow.peer.send(b"go")
        assert await flow.peer.rest() == b"done"


async def test_the_loop_is_told_of_its_own_events_beside_the_engines(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    async with driven(alone=False) as engine:

        async def spin(_fiber: Fiber, client: Stream) -> None:
            while True:
                await park((client, READ))

        busy = engine.flow(spin)
        await busy.peer.send(b"never read")
        far.send(b"for a task")
        await anyio.wait_readable(near)
        assert near.recv(20) == b"for a task"
        await anyio.wait_writable(near)


async def test_a_busy_loop_starves_no_flow() -> None:
    async with driven() as engine:

        async def echo(_fiber: Fiber, client: Stream) -> None:
            await client.fill()
            await client.send(client.reader.take())

        flow = engine.flow(echo)
        flow.peer.sock.send(b"ping")
        while not flow.is_over:
            await anyio.lowlevel.checkpoint()  # the loop has something to do at once, whenever it is asked
        assert flow.peer.sock.recv(4) == b"ping"


async def test_a_batch_is_bounded(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    far.send(b"for all")
    beneath = Beneath()
    copies = [near.dup() for _ in range(EVENTS_A_TURN + 1)]
    for copy in copies:
        beneath.register(copy.fileno(), selectors.EVENT_READ)
    told = {key.fd for key, _ in beneath.select(0)}
    assert len(told) == EVENTS_A_TURN
    told |= {key.fd for key, _ in beneath.select(0)}
    assert len(told) == len(copies), "whoever was left out is the next"
    beneath.close()
    for copy in copies:
        copy.close()


async def test_what_is_raised_while_serving_is_raised_where_the_engine_runs(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    far.send(b"hello")

    def serve(_batch: Batch) -> Batch:
        raise ZeroDivisionError

    beneath = claim()
    assert beneath is not None
    beneath.epoll.register(near.fileno(), READ)
    with pytest.raises(ZeroDivisionError):
        await beneath.carry(serve)
    await anyio.lowlevel.checkpoint()  # the loop goes on


async def test_what_is_raised_after_the_engine_was_cancelled_leaves_the_loop_alone(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    far.send(b"hello")

    def serve(_batch: Batch) -> Batch:
        raise ZeroDivisionError

    beneath = Beneath()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beneath.carry, serve)
        await anyio.lowlevel.checkpoint()
        beneath.epoll.register(near.fileno(), READ)
        tasks.cancel_scope.cancel()
        assert beneath.select(None) == []
    beneath.close()


@pytest.mark.parametrize("asked", [selectors.EVENT_READ, selectors.EVENT_WRITE])
def test_whoever_waits_for_anything_is_told_of_a_break(asked: int) -> None:
    near, far = pair()
    beneath = Beneath()
    with near:
        beneath.register(near.fileno(), asked)
        reset(far)
        ((key, told),) = beneath.select(None)
        assert (key.fd, told) == (near.fileno(), asked)
    beneath.close()


async def test_a_descriptor_that_the_engine_watches_is_none_for_a_task() -> None:
    async with driven() as engine:
        sock, _ = engine.pair()

        async def carry(fiber: Fiber, _client: Stream) -> None:
            await park((fiber.adopt(sock, Reason.UPSTREAM_CLOSED), READ))

        engine.flow(carry)
        with pytest.raises(FileExistsError):
            await anyio.wait_readable(sock)


async def test_a_descriptor_that_a_task_waits_for_is_none_for_the_engine() -> None:
    async with driven() as engine, anyio.create_task_group() as tasks:
        sock, _ = engine.pair()

        async def hear() -> None:
            await anyio.wait_readable(sock)

        tasks.start_soon(hear)
        await anyio.lowlevel.checkpoint()

        async def carry(fiber: Fiber, _client: Stream) -> None:
            await park((fiber.adopt(sock, Reason.UPSTREAM_CLOSED), READ))

        assert await engine.flow(carry).over() is Reason.RESOURCES
        tasks.cancel_scope.cancel()


async def test_one_engine_to_a_loop_is_beneath_it_and_another_has_an_epoll_of_its_own() -> None:
    first, second = Engine(), Engine()
    assert (first._beneath is not None, second._beneath is not None) == (True, False)
    second.shut()
    first.shut()
    again = claim()
    assert again is not None, "an engine that has ended makes room"
    again.claimed = False


def test_no_other_loop_has_anything_beneath_it() -> None:
    async def work() -> None:
        assert claim() is None

    assert claim() is None
    anyio.run(work)
    anyio.run(work, backend="trio")


def test_a_loop_that_has_ended_leaves_no_descriptor() -> None:
    async def work() -> None:
        with anyio.fail_after(PATIENCE):
            async with driven():
                pass

    before = descriptors()
    run(work)
    assert descriptors() == before
