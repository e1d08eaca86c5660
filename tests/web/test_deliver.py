"""How answers reach the client: framed anew, never looking whole when they are not, at the client's pace."""

import os
import socket
from collections.abc import Callable

import pytest

from anongw.address import Endpoint
from anongw.config import Limits
from anongw.errors import Reason
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.net.wait import Side
from anongw.web.deliver import Delivery, reframe
from anongw.web.exchange import Inflow, Memory, Request, Response
from anongw.web.pool import Pool
from anongw.wire.body import LengthBody
from anongw.wire.http1 import NO_BODY, Framing, Kind, Mark
from tests.support.driven import driven
from tests.support.gateway import Running, running
from tests.support.raw_origin import OK, Line, Origin, meanwhile

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TO_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
MIB = 1 << 20


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("kind", Kind)
def test_reframe(kind: Kind, minor: int) -> None:
    expected = {
        Kind.NONE: Kind.NONE,
        Kind.LENGTH: Kind.LENGTH,
        Kind.CHUNKED: Kind.CHUNKED if minor else Kind.CLOSE,
        Kind.CLOSE: Kind.CHUNKED if minor else Kind.CLOSE,
    }[kind]
    assert reframe(Framing(kind, 7 if kind is Kind.LENGTH else 0), minor).kind is expected


# Framing


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("raw", "ends"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhelloworld", False),
        (CHUNKED + b"5\r\nhello\r\n5;x=y\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n", False),
        (TO_CLOSE + b"helloworld", True),
        (b"HTTP/1.0 200 OK\r\n\r\nhelloworld", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhelloworld", True),
    ],
    ids=["length", "chunked", "until close", "1.0 until close", "1.0 length"],
)
@pytest.mark.parametrize("size", [0, 1, 7], ids=["whole", "bytewise", "in sevens"])
def test_framings(anyio_backend: str, version: str, raw: bytes, *, ends: bool, size: int) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request(version=version))
        with origin.accept() as far:
            far.message()
            far.send(*(raw[at : at + (size or len(raw))] for at in range(0, len(raw), size or len(raw))))
            if ends:
                far.last()
            head = client.head()
            assert client.body(head) == b"helloworld"
            if version == "1.0":
                assert "transfer-encoding" not in head.headers
                assert client.rest() == b""
                return
            assert "connection" not in head.headers
        with_next(client, origin)


def with_next(client: Line, origin: Origin) -> None:
    """The client's connection is still good for another exchange, on a new connection."""
    client.send(origin.request("/next"))
    with origin.accept() as far:
        assert far.message().first == "GET /next HTTP/1.1"
        far.send(OK)
        assert client.message().body == b"ok"


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", CHUNKED),
        ("HEAD", b"HTTP/1.1 404 Not Found\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_without_body(anyio_backend: str, method: str, raw: bytes) -> None:
    """Both connections are good for the next exchange."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request(method=method))
        with origin.accept() as far:
            far.message()
            far.send(raw)
            head = client.message(bodiless=True)
            if b"1000" in raw:
                assert head.headers["content-length"] == "1000"
            assert "transfer-encoding" not in head.headers
            client.send(origin.request("/next"))
            assert far.message().first == "GET /next HTTP/1.1"
            far.send(OK)
            assert client.message().body == b"ok"


# What broke off


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("raw", "how"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", Line.close),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", Line.reset),
        (CHUNKED + b"5\r\nhello\r\n", Line.close),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", Line.close),
        (CHUNKED + b"5\r\nhel", Line.close),
        (CHUNKED + b"5\r\nhello\r\n", Line.reset),
        (CHUNKED + b"5\r\nhello\r\nx\r\n", Line.last),
        (CHUNKED + b"5\r\nhellox", Line.last),
        (TO_CLOSE + b"hello", Line.reset),
    ],
    ids=[
        "length",
        "length, reset",
        "chunked",
        "chunked, no last line",
        "in a chunk",
        "chunked, reset",
        "bad size",
        "bad chunk",
        "until close, reset",
    ],
)
def test_what_broke_off_never_looks_whole(
    anyio_backend: str, version: str, raw: bytes, how: Callable[[Line], None]
) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request(version=version))
        with origin.accept() as far:
            far.message()
            head, _, body = raw.partition(b"\r\n\r\n")
            far.send(head + b"\r\n\r\n")
            client.head()
            far.send(body)
            how(far)
            got = client.rest_until_reset()
        assert not got.endswith(b"0\r\n\r\n")


async def _settled(*, taken: bool) -> int:
    """Refuse a request whose body was read to its end; how many connections to the origin are kept.

    `taken`: the origin has got all of that body, too.
    """
    kept: list[int] = []
    async with driven() as engine:
        limits = Limits()
        pool = Pool(engine, limits)
        near, _ = engine.pair(buffer=4096)

        async def carry(fiber: Fiber, client: Stream) -> None:
            upstream = fiber.adopt(near, Reason.UPSTREAM_CLOSED)
            upload = Side(upstream.send(b"x" if taken else bytes(8 * MIB)))
            target = Endpoint("a.example", 80)
            request = Request(
                method=b"PUT",
                target=target,
                authority=b"a.example",
                path=b"/",
                headers=[],
                ready=None,
                framing=NO_BODY,
                body=Inflow(client, LengthBody(0)),
                minor=1,
                websocket=False,
                expects_continue=False,
                flow=Flow("", target=target),
                mark=Mark(),
                memory=Memory(1),
            )
            response = Response(403, b"", [], NO_BODY, None, upstream, keep_alive=True, upload=upload)
            assert await Delivery(pool, limits, Pipes(0))(request, response, client, fiber, keep_alive=True)
            kept.append(len(pool))

        await engine.flow(carry).over()
        pool.close()
    return kept[0]


async def test_a_half_sent_request_is_never_followed_by_another() -> None:
    """The body was wholly read from the client, but the origin, which has said no, does not take it."""
    assert await _settled(taken=True) == 1
    assert await _settled(taken=False) == 0


# Clients that leave


def test_a_client_that_aborts_a_download(anyio_backend: str) -> None:
    """The origin's connection is closed, and not when the client's limits run out."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(CHUNKED + b"5\r\nhello\r\n")
            client.head()
            client.reset()
            assert far.gone()


def test_a_client_that_aborts_an_upload(anyio_backend: str) -> None:
    """The origin must not take what it has for the whole."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
        with origin.accept() as far:
            far.head()
            far.exactly(10)
            client.reset()
            assert far.gone()


@pytest.mark.parametrize(
    ("framing", "sent"),
    [("Content-Length: 10", b"hello"), ("Transfer-Encoding: chunked", b"5\r\nhello\r\n")],
)
def test_an_upload_that_ends_too_early(anyio_backend: str, framing: str, sent: bytes) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", framing, method="POST") + sent)
        client.last()
        with origin.accept() as far:
            far.head()
            assert not far.rest().endswith(b"0\r\n\r\n")
        assert client.rest() == b""


def test_a_reset_during_a_long_wait_is_noticed_at_once(anyio_backend: str) -> None:
    settings = "limits.half_closed=1h"
    with running(anyio_backend, settings) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            client.reset()
            assert far.gone()


def test_an_end_during_a_long_wait_is_noticed_in_time(anyio_backend: str) -> None:
    settings = "limits.half_closed=300ms"
    with running(anyio_backend, settings) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            client.close()
            assert far.gone()


@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_has_no_more_to_ask_gets_its_answers(anyio_backend: str, count: int) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request() * count)
        client.last()
        with origin.accept() as far:
            for _ in range(count):
                far.message()
                far.send(OK)
                assert client.message().body == b"ok"
        assert client.rest() == b""


# Size and pace


def taken(line: Line, most: int) -> int:
    """Send until nothing is taken for a while; how much was."""
    line.sock.settimeout(0.5)
    count = 0
    try:
        while count < most:
            count += line.sock.send(bytes(65536))
    except TimeoutError:
        return count
    raise AssertionError(f"all of {most} bytes were taken")


def small(gateway: Running) -> Line:
    return gateway.connect(buffer=4096)


def test_a_client_that_stops_reading_stops_its_origin(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, small(gateway) as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1024 * MIB))
            # What the kernel holds at four ends and one chunk of ours: far less than the body.
            assert taken(far, 64 * MIB) < 32 * MIB
            with gateway.connect() as other:
                other.send(origin.request("/other"))
                with origin.accept() as second:
                    second.message()
                    second.send(OK)
                    assert other.message().body == b"ok", "nobody else is stopped"


def test_an_origin_that_stops_reading_stops_its_client(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin(buffer=4096) as origin, gateway.connect() as client:
        client.send(origin.request("/", f"Content-Length: {1024 * MIB}", method="PUT"))
        with origin.accept() as far:
            far.head()
            assert taken(client, 64 * MIB) < 32 * MIB


@pytest.mark.parametrize("chunked", [False, True])
def test_64_mib_down_in_bounded_memory(anyio_backend: str, *, chunked: bool) -> None:
    block = os.urandom(MIB)
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()

            def send() -> None:
                far.send(
                    CHUNKED if chunked else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB)
                )
                for _ in range(64):
                    far.send(b"%x\r\n%b\r\n" % (MIB, block) if chunked else block)
                far.send(b"0\r\n\r\n" if chunked else b"")

            before = _resident()
            with meanwhile(send):
                head = client.head()
                if chunked:
                    total, tail = 0, b""
                    for piece in client.chunks():
                        total, tail = total + len(piece), (tail + piece)[-MIB:]
                    assert (total, tail) == (64 * MIB, block)
                else:
                    assert head.headers["content-length"] == str(64 * MIB)
                    for _ in range(64):
                        assert client.exactly(MIB) == block
            assert _resident() - before < 24 * MIB
            client.send(origin.request("/next"))
            assert far.message().first == "GET /next HTTP/1.1"


@pytest.mark.parametrize("chunked", [False, True])
def test_64_mib_up_in_bounded_memory(anyio_backend: str, *, chunked: bool) -> None:
    block = os.urandom(MIB)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {64 * MIB}"
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:

        def send() -> None:
            client.send(origin.request("/", framing, method="PUT"))
            for _ in range(64):
                client.send(b"%x\r\n%b\r\n" % (MIB, block) if chunked else block)
            client.send(b"0\r\n\r\n" if chunked else b"")

        before = _resident()
        with meanwhile(send), origin.accept() as far:
            far.head()
            if chunked:
                total = sum(len(piece) for piece in far.chunks())
                assert total == 64 * MIB
            else:
                for _ in range(64):
                    assert far.exactly(MIB) == block
            far.send(OK)
            assert client.message().body == b"ok"
        assert _resident() - before < 24 * MIB


def test_the_first_piece_travels_with_the_head(anyio_backend: str) -> None:
    """One packet for a small answer: two would cost its reader a second wake-up."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(OK)
            assert client.sock.recv(65536, socket.MSG_PEEK).endswith(b"ok")


def _resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - a pathlib of it reads the same
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
