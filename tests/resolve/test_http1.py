"""HTTP/1.1, where a server has nothing better: one question after the other."""

import contextlib

import anyio
import pytest
import trustme

from anongw.errors import Reason, Refused
from anongw.net.task_stream import TaskStream
from anongw.resolve.http1 import Http1
from anongw.resolve.server import Server, parse_server
from anongw.wire.dns import Kind, Question
from tests.support.dns_links import Results, linked, reply
from tests.support.dns_script import Fault, always, first
from tests.support.dns_server import FakeDns, asking

A = Question("a.example", Kind.A)
RECORDS = {f"{name}.example": ("192.0.2.1",) for name in ("a", *map(str, range(20)))}


@pytest.fixture
def server(ca: trustme.CA) -> FakeDns:
    return FakeDns(RECORDS, ca=ca, alpn=("http/1.1",))


async def test_one_after_the_other_on_one_connection(server: FakeDns, ca_file: str) -> None:
    async with asking(server, "https", ca_file) as upstream, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(upstream.ask, Question(f"{number}.example", Kind.A))
    assert server.connections == 1
    assert {seen.transport for seen in server.seen} == {"h1"}
    assert len(server.seen) == 20


async def test_only_one_is_under_way(server: FakeDns, ca_file: str) -> None:
    server.script = first(Fault.HOLD)
    async with asking(server, "https", ca_file) as upstream, anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(upstream.ask, Question(f"{number}.example", Kind.A))
        await server.until(lambda: len(server.seen) == 1)
        await anyio.wait_all_tasks_blocked()
        assert len(server.seen) == 1
        server.released.set()


async def test_an_interim_response_is_passed_over(server: FakeDns, ca_file: str) -> None:
    server.script = always(Fault.EARLY_HINTS)
    async with asking(server, "https", ca_file) as upstream:
        assert (await upstream.ask(A)).addresses


async def test_asked_once_again_after_a_cut(server: FakeDns, ca_file: str) -> None:
    server.script = first(Fault.CLOSE)
    async with asking(server, "https", ca_file) as upstream:
        assert (await upstream.ask(A)).addresses
    assert server.connections == 2


async def test_a_server_that_closes_after_each_answer(server: FakeDns, ca_file: str) -> None:
    server.script = always(Fault.LAST)
    async with asking(server, "https", ca_file) as upstream:
        for _ in range(3):
            assert (await upstream.ask(A)).addresses
    assert server.connections == 3


@pytest.mark.parametrize(
    "fault", [Fault.STATUS, Fault.MEDIA_TYPE, Fault.HUGE, Fault.GARBAGE, Fault.WRONG_QUESTION]
)
async def test_a_bad_answer_is_a_failure(server: FakeDns, ca_file: str, fault: Fault) -> None:
    server.script = first(fault)
    async with asking(server, "https", ca_file) as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
        assert refused.value.reason is (
            Reason.TOO_LARGE if fault is Fault.HUGE else Reason.UPSTREAM_MALFORMED
        )
        assert (await upstream.ask(A)).addresses


async def test_a_question_given_up_ends_the_connection(server: FakeDns, ca_file: str) -> None:
    server.script = first(Fault.HOLD)
    async with asking(server, "https", ca_file) as upstream:
        async with anyio.create_task_group() as leaver:
            leaver.start_soon(upstream.ask, A)
            await server.until(lambda: len(server.seen) == 1)
            leaver.cancel_scope.cancel()
        assert (await upstream.ask(A)).addresses
    assert server.connections == 2


# The bytes themselves, with the test as the server.


def http1(stream: TaskStream) -> Http1:
    found = parse_server("https://127.0.0.1")
    assert isinstance(found, Server)
    return Http1(stream, found)


async def query(stream: TaskStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < 128:
        data += await stream.receive()
    return data.partition(b"\r\n\r\n")[2]


def response(body: bytes, extra: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: %d\r\n" % len(body)
    return head + extra + b"\r\n" + body


async def test_an_answer_byte_by_byte() -> None:
    results = Results()
    async with linked(http1) as (link, stream, tasks):
        tasks.start_soon(results.ask, link, A)
        for byte in response(reply(await query(stream))):
            await stream.send(bytes([byte]))
        await results.until(1)
        assert link.alive
    assert not isinstance(results["a.example"], Refused)


@pytest.mark.parametrize(
    ("junk", "reason"),
    [
        pytest.param(b"nonsense\r\n\r\n", Reason.UPSTREAM_MALFORMED, id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, Reason.TOO_LARGE, id="a head without end"),
        pytest.param(response(b"one", b"Content-Length: 4\r\n"), Reason.UPSTREAM_MALFORMED, id="two lengths"),
    ],
)
async def test_junk_ends_the_connection(junk: bytes, reason: Reason) -> None:
    results = Results()
    async with linked(http1) as (link, stream, tasks):
        tasks.start_soon(results.ask, link, A)
        await query(stream)
        tasks.start_soon(send_what_it_takes, stream, junk)
        await results.until(1)
        assert not link.alive
    refused = results["a.example"]
    assert isinstance(refused, Refused)
    assert refused.reason is reason


async def send_what_it_takes(stream: TaskStream, data: bytes) -> None:
    with contextlib.suppress(anyio.BrokenResourceError):  # it has heard enough
        await stream.send(data)


async def test_a_second_answer_is_not_taken_for_the_next_question() -> None:
    results = Results()
    async with linked(http1) as (link, stream, tasks):
        tasks.start_soon(results.ask, link, A)
        answer = response(reply(await query(stream)))
        await stream.send(answer + answer)
        await results.until(1)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_a_connection_that_the_server_will_not_keep_is_closed() -> None:
    results = Results()
    async with linked(http1) as (link, stream, tasks):
        tasks.start_soon(results.ask, link, A)
        await stream.send(response(reply(await query(stream)), b"Connection: close\r\n"))
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await results.until(1)
    assert not isinstance(results["a.example"], Refused)


async def test_a_server_that_speaks_unasked_is_left() -> None:
    async with linked(http1) as (link, stream, _):
        await stream.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        assert not link.alive
