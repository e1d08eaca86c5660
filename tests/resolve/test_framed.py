"""Messages on a stream: framing in any pieces, answers in any order, ids that nobody can guess."""

import ipaddress
from collections.abc import Callable

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.task_stream import TaskStream
from anongw.resolve.framed import Framed
from anongw.resolve.link import Link
from anongw.wire.dns import Answer, Kind, Question
from tests.support.dns_links import Results, asked, linked, reply

A = Question("a.example", Kind.A)
B = Question("b.example", Kind.A)


def with_ids(*ids: int, padded: bool = True) -> Callable[[TaskStream], Link]:
    left = list(ids)

    def make(stream: TaskStream) -> Link:
        return Framed(stream, lambda: left.pop(0), padded=padded)

    return make


async def queries(server: TaskStream, count: int) -> list[bytes]:
    data = b""
    found: list[bytes] = []
    while len(found) < count:
        data += await server.receive()
        while len(data) >= 2 and len(data) >= (end := 2 + int.from_bytes(data[:2], "big")):
            found.append(data[2:end])
            data = data[end:]
    return found


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


async def test_answers_in_the_other_order_and_byte_by_byte() -> None:
    results = Results()
    async with linked(with_ids(7, 8)) as (link, server, tasks):
        tasks.start_soon(results.ask, link, A)
        tasks.start_soon(results.ask, link, B)
        by_name = {asked(query): query for query in await queries(server, 2)}
        stream = framed(reply(by_name["b.example"], "192.0.2.2")) + framed(
            reply(by_name["a.example"], "192.0.2.1")
        )
        for place in range(len(stream)):
            await server.send(stream[place : place + 1])
        await results.until(2)
    assert results == {
        "a.example": Answer((ipaddress.ip_address("192.0.2.1"),), 60),
        "b.example": Answer((ipaddress.ip_address("192.0.2.2"),), 60),
    }


async def test_the_drawn_ids_are_used_and_none_twice_at_a_time() -> None:
    async with linked(with_ids(500, 500, 500, 501)) as (link, server, tasks):
        tasks.start_soon(Results().ask, link, A)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(Results().ask, link, B)
        got = await queries(server, 2)
    assert [int.from_bytes(query[:2], "big") for query in got] == [500, 501]


@pytest.mark.parametrize(("padded", "length"), [(True, 128), (False, 46)])
async def test_padded_where_it_is_encrypted(padded: bool, length: int) -> None:  # noqa: FBT001 - a column
    async with linked(with_ids(1, padded=padded)) as (link, server, tasks):
        tasks.start_soon(Results().ask, link, A)
        assert [len(query) for query in await queries(server, 1)] == [length]


async def test_a_late_answer_finds_nobody() -> None:
    results = Results()
    async with linked(with_ids(1, 2)) as (link, server, tasks):
        async with anyio.create_task_group() as leaver:
            leaver.start_soon(link.ask, A)
            await anyio.wait_all_tasks_blocked()
            leaver.cancel_scope.cancel()
        tasks.start_soon(results.ask, link, B)
        late, current = await queries(server, 2)
        await server.send(framed(reply(late)) + framed(reply(current)))
        await results.until(1)
    assert isinstance(results["b.example"], Answer)


@pytest.mark.parametrize("junk", [b"", b"x", b"\x00\x01", b"\x00\x01 no message"])
async def test_junk(junk: bytes) -> None:
    """Under the question's id it ends the question; under another one, or none, it is passed over."""
    results = Results()
    async with linked(with_ids(1)) as (link, server, tasks):
        tasks.start_soon(results.ask, link, A)
        (query,) = await queries(server, 1)
        await server.send(framed(junk) + framed(reply(query)))
        await results.until(1)
        assert link.alive
    result = results["a.example"]
    if junk[:2] == b"\x00\x01":
        assert isinstance(result, Refused)
        assert result.reason is Reason.UPSTREAM_MALFORMED
    else:
        assert isinstance(result, Answer)
