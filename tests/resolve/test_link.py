"""What holds for every connection to a resolver, on the simplest kind of them."""

import itertools

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.task_stream import TaskStream
from anongw.resolve.framed import Framed
from anongw.resolve.link import AT_ONCE_MOST, Link
from anongw.wire.dns import Answer, Kind, Question
from tests.support.dns_links import Results, asked, linked, reply

A = Question("a.example", Kind.A)
B = Question("b.example", Kind.A)


def framed(stream: TaskStream) -> Link:
    return Framed(stream, itertools.count().__next__, padded=True)


def hasty(stream: TaskStream) -> Link:
    return Framed(stream, itertools.count().__next__, padded=True, idle=0.01)


async def read(server: TaskStream) -> bytes:
    """One framed query of 128 octets."""
    data = b""
    while len(data) < 130:
        data += await server.receive(130 - len(data))
    return data[2:]


async def write(server: TaskStream, message: bytes) -> None:
    await server.send(len(message).to_bytes(2, "big") + message)


async def test_a_question_and_its_answer() -> None:
    results = Results()
    async with linked(framed) as (link, server, tasks):
        tasks.start_soon(results.ask, link, A)
        await write(server, reply(await read(server)))
        await results.until(1)
    assert isinstance(results["a.example"], Answer)


@pytest.mark.parametrize("reset", [False, True])
async def test_the_end_reaches_every_asker_and_later_ones(reset: bool) -> None:  # noqa: FBT001
    results = Results()
    async with linked(framed) as (link, server, tasks):
        for question in (A, B):
            tasks.start_soon(results.ask, link, question)
        await read(server)
        if not reset:
            await read(server)  # a socket that is closed with bytes unread is reset
        await server.aclose()
        await results.until(2)
        assert not link.alive
        with pytest.raises(Refused) as refused:
            await link.ask(A)
        assert refused.value.reason is Reason.UPSTREAM_CLOSED
    for result in results.values():
        assert isinstance(result, Refused)
        assert result.reason is Reason.UPSTREAM_CLOSED
    assert len(results) == 2


async def test_an_asker_that_leaves_disturbs_nobody() -> None:
    results = Results()
    async with linked(framed) as (link, server, tasks):
        async with anyio.create_task_group() as leaver:
            leaver.start_soon(link.ask, A)
            await anyio.wait_all_tasks_blocked()
            leaver.cancel_scope.cancel()
        tasks.start_soon(results.ask, link, B)
        first, second = await read(server), await read(server)
        assert (asked(first), asked(second)) == ("a.example", "b.example")
        await write(server, reply(first))
        await write(server, reply(second))
        await results.until(1)
        assert link.alive
    assert isinstance(results["b.example"], Answer)


async def test_at_most_so_many_at_once() -> None:
    results = Results()
    async with linked(framed) as (link, server, tasks):
        for number in range(AT_ONCE_MOST + 1):
            tasks.start_soon(results.ask, link, Question(f"{number}.example", Kind.A))
        queries = [await read(server) for _ in range(AT_ONCE_MOST)]
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0) as scope:
            await server.receive()
        assert scope.cancelled_caught
        await write(server, reply(queries[0]))
        await read(server)  # the last one comes as soon as there is room


async def test_those_who_wait_for_room_hear_the_end_too() -> None:
    results = Results()
    async with linked(framed) as (link, _, tasks):
        for number in range(AT_ONCE_MOST + 20):
            tasks.start_soon(results.ask, link, Question(f"{number}.example", Kind.A))
        await anyio.wait_all_tasks_blocked()
        link.close()
        await results.until(AT_ONCE_MOST + 20)
    assert len(results) == AT_ONCE_MOST + 20


async def test_those_for_whom_there_never_was_room_hear_the_end_too() -> None:
    results = Results()
    async with linked(framed) as (link, _, tasks):
        link._room.total_tokens = 0  # as a server may say that allows no streams
        tasks.start_soon(results.ask, link, A)
        await anyio.wait_all_tasks_blocked()
        link.close()
        await results.until(1)
    assert isinstance(results["a.example"], Refused)


async def test_nobody_asks_so_it_closes() -> None:
    async with linked(hasty) as (link, server, _):
        with pytest.raises(anyio.EndOfStream):
            await server.receive()
        assert not link.alive


async def test_somebody_waits_so_it_stays() -> None:
    results = Results()
    async with linked(hasty) as (link, server, tasks):
        tasks.start_soon(results.ask, link, A)
        query = await read(server)
        with anyio.move_on_after(0.05):  # several times the idle time
            await server.receive()
        await write(server, reply(query))
        with pytest.raises(anyio.EndOfStream):
            await server.receive()
    assert isinstance(results["a.example"], Answer)


async def test_an_answer_counts_as_something_heard() -> None:
    results = Results()
    async with linked(framed) as (link, server, tasks):
        assert link.heard == 0
        tasks.start_soon(results.ask, link, A)
        await write(server, reply(await read(server)))
        await results.until(1)
        assert link.heard == 1


class Buggy(Framed):
    def _take(self, data: bytes) -> None:
        raise ZeroDivisionError


async def test_a_bug_ends_the_connection_and_nothing_else() -> None:
    results = Results()
    async with linked(lambda stream: Buggy(stream, lambda: 1, padded=True)) as (link, server, tasks):
        tasks.start_soon(results.ask, link, A)
        await write(server, reply(await read(server)))
        await results.until(1)
        assert not link.alive
    refused = results["a.example"]
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.detail) == (Reason.INTERNAL, "ZeroDivisionError")


async def test_a_link_that_is_cancelled_before_it_ran_closes_its_socket() -> None:
    async with linked(framed) as (_, server, tasks):
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            with pytest.raises(anyio.EndOfStream):
                await server.receive()
