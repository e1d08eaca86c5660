"""HTTP/2: one connection, and everything that h2 leaves to its user."""

import anyio
import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest
import trustme

from anongw.errors import Reason, Refused
from anongw.net.task_stream import TaskStream
from anongw.resolve.http2 import Http2
from anongw.resolve.link import AT_ONCE_MOST
from anongw.resolve.server import Server, parse_server
from anongw.wire.dns import Answer, Kind, Question
from tests.support.dns_links import Results, linked
from tests.support.dns_script import Fault, always, first
from tests.support.dns_server import FakeDns, asking

A = Question("a.example", Kind.A)
RECORDS = {f"{name}.example": ("192.0.2.1",) for name in ("a", "b", *map(str, range(300)))}


@pytest.fixture
def server(ca: trustme.CA) -> FakeDns:
    return FakeDns(RECORDS, ca=ca)


async def test_many_questions_share_one_connection(server: FakeDns, ca_file: str) -> None:
    async with asking(server, "https", ca_file) as upstream, anyio.create_task_group() as tasks:
        for number in range(300):  # three times what the server takes at once
            tasks.start_soon(upstream.ask, Question(f"{number}.example", Kind.A))
    assert server.connections == 1
    assert len(server.seen) == 300
    assert {seen.transport for seen in server.seen} == {"h2"}


@pytest.mark.parametrize("streams_most", [1, 7])
async def test_the_servers_limit_on_streams_binds(server: FakeDns, ca_file: str, streams_most: int) -> None:
    server.streams_most = streams_most
    async with asking(server, "https", ca_file) as upstream:
        await upstream.ask(A)  # the settings have come
        server.script = always(Fault.HOLD)
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(upstream.ask, Question(f"{number}.example", Kind.A))
            await server.until(lambda: len(server.seen) == 1 + streams_most)
            server.released.set()
    assert len(server.seen) == 21
    assert server.connections == 1


async def test_a_query_waits_for_its_window(server: FakeDns, ca_file: str) -> None:
    server.shut_window = True
    async with asking(server, "https", ca_file) as upstream:
        for name in ("a", "b"):  # the window is shut when the second one comes
            assert (await upstream.ask(Question(f"{name}.example", Kind.A))).addresses


async def test_what_is_received_is_acknowledged(server: FakeDns, ca_file: str) -> None:
    # Padded answers of 468 octets: the connection's window of 64 KiB would be used up after 140.
    async with asking(server, "https", ca_file) as upstream:
        for number in range(160):
            await upstream.ask(Question(f"{number}.example", Kind.A))
    assert server.connections == 1


async def test_an_interim_response_is_passed_over(server: FakeDns, ca_file: str) -> None:
    server.script = always(Fault.EARLY_HINTS)
    async with asking(server, "https", ca_file) as upstream:
        assert (await upstream.ask(A)).addresses


@pytest.mark.parametrize("fault", [Fault.GOAWAY, Fault.CLOSE, Fault.RESET])
async def test_asked_once_again_after(server: FakeDns, ca_file: str, fault: Fault) -> None:
    server.script = first(fault)
    async with asking(server, "https", ca_file) as upstream:
        assert (await upstream.ask(A)).addresses
    assert len(server.seen) == 2
    assert server.connections == (1 if fault is Fault.RESET else 2)


async def test_a_goaway_puts_every_question_in_flight_again(server: FakeDns, ca_file: str) -> None:
    results: list[Answer] = []

    async with asking(server, "https", ca_file) as upstream:

        async def ask(number: int) -> None:
            results.append(await upstream.ask(Question(f"{number}.example", Kind.A)))

        server.script = always(Fault.HOLD)
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(ask, number)
            await server.until(lambda: len(server.seen) == 10)
            server.script = first(Fault.GOAWAY)
            tasks.start_soon(ask, 10)
    assert len(results) == 11
    assert all(answer.addresses for answer in results)
    assert server.connections == 2


@pytest.mark.parametrize(
    "fault", [Fault.STATUS, Fault.MEDIA_TYPE, Fault.HUGE, Fault.GARBAGE, Fault.WRONG_QUESTION]
)
async def test_a_bad_answer_is_a_failure_and_the_connection_stays(
    server: FakeDns, ca_file: str, fault: Fault
) -> None:
    server.script = first(fault)
    async with asking(server, "https", ca_file) as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
        assert refused.value.reason is (
            Reason.TOO_LARGE if fault is Fault.HUGE else Reason.UPSTREAM_MALFORMED
        )
        assert (await upstream.ask(A)).addresses
    assert server.connections == 1


async def test_a_question_given_up_resets_its_stream_and_leaves_the_connection(
    server: FakeDns, ca_file: str
) -> None:
    server.script = first(Fault.HOLD)
    async with asking(server, "https", ca_file) as upstream:
        async with anyio.create_task_group() as leaver:
            leaver.start_soon(upstream.ask, A)
            await server.until(lambda: len(server.seen) == 1)
            leaver.cancel_scope.cancel()
        await server.until(lambda: server.cancelled == [1])
        assert (await upstream.ask(A)).addresses
    assert server.connections == 1


# The bytes themselves, with the test as the server.


def target() -> Server:
    found = parse_server("https://127.0.0.1")
    assert isinstance(found, Server)
    return found


def http2(stream: TaskStream) -> Http2:
    return Http2(stream, target())


async def test_no_push_and_a_ping_is_answered() -> None:
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    peer.initiate_connection()
    async with linked(http2) as (_, stream, _tasks):
        events: list[h2.events.Event] = []
        peer.ping(b"12345678")
        await stream.send(peer.data_to_send())
        while not any(isinstance(event, h2.events.PingAckReceived) for event in events):
            events += peer.receive_data(await stream.receive())
    codes = h2.settings.SettingCodes
    assert peer.remote_settings.enable_push == 0
    assert peer.remote_settings[codes.MAX_CONCURRENT_STREAMS] == AT_ONCE_MOST
    assert any(isinstance(event, h2.events.SettingsAcknowledged) for event in events)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(100), id="DATA on stream 0"),
        pytest.param(bytes([0, 0, 4, 6, 0, 0, 0, 0, 0]) + b"1234", id="a PING of half the length"),
        pytest.param(bytes([0, 0, 1, 1, 4, 0, 0, 0, 2]) + b"\xff", id="HEADERS that are no HPACK"),
    ],
)
async def test_what_is_not_http2_ends_the_connection(data: bytes) -> None:
    results = Results()
    async with linked(http2) as (link, stream, tasks):
        tasks.start_soon(results.ask, link, A)
        await stream.send(data)
        await results.until(1)
        assert not link.alive
    refused = results["a.example"]
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.UPSTREAM_CLOSED


async def test_a_connection_without_streams_left_is_not_used() -> None:
    async with linked(http2) as (link, _, _tasks):
        assert isinstance(link, Http2)
        link._h2.highest_outbound_stream_id = link._h2.HIGHEST_ALLOWED_STREAM_ID
        with pytest.raises(Refused) as refused:
            await link.ask(A)
        assert refused.value.reason is Reason.UPSTREAM_CLOSED
        assert not link.alive
