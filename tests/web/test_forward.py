"""What a running gateway asks of an origin, and what it makes of the answers that origins give."""

from collections.abc import Callable

import pytest

from anongw.web.forward import INTERIM_MOST
from tests.support.gateway import running
from tests.support.raw_origin import OK, Line, Message, Origin

BODY = b"The request could not be served.\n"
UPLOAD = b"0123456789" * 100_000
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def refusal(client: Line, status: int) -> None:
    answer = client.message()
    assert (answer.status, answer.body) == (status, BODY)
    assert answer.headers.keys() == {"content-type", "content-length", "connection"}
    assert client.rest() == b""


# What the origin gets


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_length_goes_up_as_length(anyio_backend: str, method: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "Content-Length: 5", method=method), b"he", b"llo")
        with origin.accept() as far:
            head = far.message()
            assert head.headers["content-length"] == "5"
            assert head.body == b"hello"
            far.send(OK)
            assert client.message().status == 200


def test_a_length_of_zero_is_said(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "Content-Length: 0", method="POST"))
        with origin.accept() as far:
            assert far.message().headers["content-length"] == "0"
            far.send(OK)
            client.message()
            client.send(origin.request("/2"))
            assert far.message().first == "GET /2 HTTP/1.1"


def test_chunks_go_up_as_chunks(anyio_backend: str) -> None:
    """Re-framed: no extension and no trailer gets through."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "Transfer-Encoding: chunked", method="POST"))
        with origin.accept() as far:
            head = far.head()
            assert head.headers["transfer-encoding"] == "chunked"
            assert "content-length" not in head.headers
            client.send(b"5;ext=1\r\nhello\r\n")
            assert far.exactly(10) == b"5\r\nhello\r\n"
            client.send(b"0005\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n")
            assert far.exactly(15) == b"5\r\nworld\r\n0\r\n\r\n"
            far.send(OK)
            client.message()
            client.send(origin.request("/2"))
            assert far.message().first == "GET /2 HTTP/1.1"


def test_expect_is_ours_to_answer(anyio_backend: str) -> None:
    """Once the origin is there, which never hears of it; its own 100 is swallowed."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        with origin.accept() as far:
            assert "expect" not in far.head().headers
            client.send(b"hello")
            assert far.exactly(5) == b"hello"
            far.send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
            assert client.message().status == 200


def test_no_100_if_the_origin_is_not_there(anyio_backend: str) -> None:
    with running(anyio_backend, "policy.allow_private=[]") as gateway, gateway.connect() as client:
        lines = b"Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        client.send(b"PUT http://127.0.0.1:1/ HTTP/1.1\r\n" + lines)
        assert client.head().status == 403


def test_a_client_that_does_not_wait_for_100(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "Expect: 100-continue", "Content-Length: 5", method="PUT") + b"hello")
        with origin.accept() as far:
            assert far.message().body == b"hello"
            far.send(OK)
            assert client.head().status == 100
            assert client.message().status == 200


# Interim answers


def test_interim_answers_are_swallowed(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            for interim in (
                b"100 Continue",
                b"102 Processing",
                b"103 Early Hints\r\nLink: </a>; rel=preload",
            ):
                far.send(b"HTTP/1.1 " + interim + b"\r\n\r\n")
            far.send(OK)
            assert client.message().status == 200


def test_interim_answers_without_end(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(b"HTTP/1.1 102 Processing\r\n\r\n" * INTERIM_MOST)
            refusal(client, 502)


def test_many_interim_answers(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(b"HTTP/1.1 102 Processing\r\n\r\n" * (INTERIM_MOST - 1) + OK)
            assert client.message().status == 200


# Answers that are none


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        SWITCHED,
        b"HTTP/2 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"220 mail.test ESMTP\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 40_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    ],
    ids=lambda answer: answer[:60].decode("latin-1").replace("\r\n", " "),
)
def test_malformed_answers(anyio_backend: str, answer: bytes) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(answer)
            refusal(client, 502)
            client.close()
            assert far.gone()
        assert origin.is_left_alone()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("how", [Line.close, Line.reset], ids=["close", "reset"])
def test_an_origin_that_ends_before_it_answers(
    anyio_backend: str, said: bytes, how: Callable[[Line], None]
) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        far = origin.accept()
        far.message()
        far.send(said)
        how(far)
        refusal(client, 502)
        assert origin.is_left_alone(), "a new connection that fails is not tried again"


# Kept connections that prove dead


def kept(origin: Origin, client: Line) -> Line:
    """One exchange; the origin's end of the connection that is kept after it."""
    client.send(origin.request("/first"))
    far = origin.accept()
    far.message()
    far.send(OK)
    assert client.message().status == 200
    return far


@pytest.mark.parametrize("how", [Line.close, Line.reset], ids=["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND"])
def test_tried_again_on_a_new_connection(
    anyio_backend: str, method: str, how: Callable[[Line], None]
) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        far = kept(origin, client)
        client.send(origin.request("/second", method=method))
        assert far.message().first == f"{method} /second HTTP/1.1"
        how(far)
        with origin.accept() as again:
            assert again.message().first == f"{method} /second HTTP/1.1"
            again.send(OK if method != "HEAD" else OK.removesuffix(b"ok"))
            assert client.message(bodiless=method == "HEAD").status == 200


def test_tried_again_once_only(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        far = kept(origin, client)
        client.send(origin.request("/second"))
        far.message()
        far.close()
        with origin.accept() as again:
            again.message()
        refusal(client, 502)
        assert origin.is_left_alone()


@pytest.mark.parametrize(
    ("method", "lines", "body"),
    [
        ("POST", (), b""),
        ("DELETE", (), b""),
        ("MKCOL", (), b""),
        ("POST", ("Content-Length: 2",), b"ab"),
        ("GET", ("Content-Length: 2",), b"ab"),
        ("PUT", ("Transfer-Encoding: chunked",), b"2\r\nab\r\n0\r\n\r\n"),
    ],
)
def test_not_tried_again(anyio_backend: str, method: str, lines: tuple[str, ...], body: bytes) -> None:
    """What may have been done once is not done twice; and a body that was sent is gone."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        far = kept(origin, client)
        client.send(origin.request("/second", *lines, method=method) + body)
        far.message()
        far.close()
        refusal(client, 502)
        assert origin.is_left_alone()


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_not_tried_again_once_something_came_back(anyio_backend: str, said: bytes) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        far = kept(origin, client)
        client.send(origin.request("/second"))
        far.message()
        far.send(said)
        far.close()
        refusal(client, 502)
        assert origin.is_left_alone()


# Answers before the upload is over


@pytest.mark.parametrize("closes", [True, False])
def test_an_upload_refused_in_its_middle(anyio_backend: str, *, closes: bool) -> None:
    """The client gets the 413 whole, and what is left of its body is not taken for a request."""
    length = 100 * len(UPLOAD)
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", f"Content-Length: {length}", method="POST") + UPLOAD[:1000])
        with origin.accept() as far:
            far.head()
            far.exactly(1000)
            far.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\n\r\ntoo big")
            if closes:
                far.close()
            answer = client.message()
            assert (answer.status, answer.body) == (413, b"too big")
            assert answer.headers["connection"] == "close"
            client.send(origin.request("/smuggled"))
            client.last()
            assert client.rest() == b""
            assert closes or far.gone()
        assert origin.is_left_alone()


def test_an_upload_refused_by_an_origin_that_takes_no_more(anyio_backend: str) -> None:
    """The write is found broken before the answer is read: the answer counts, the body is still a body."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        smuggled = origin.request("/smuggled")
        client.send(origin.request("/", f"Content-Length: {1 + 2 * len(smuggled)}", method="POST") + b"x")
        far = origin.accept()
        far.head()
        far.exactly(1)
        with gateway.frozen():
            client.send(smuggled)
            far.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            far.reset()
        answer = client.message()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        client.send(smuggled)
        client.last()
        assert client.rest() == b""
        assert origin.is_left_alone()


@pytest.mark.parametrize("how", [Line.close, Line.reset], ids=["close", "reset"])
def test_an_origin_that_ends_in_the_middle_of_an_upload(
    anyio_backend: str, how: Callable[[Line], None]
) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", f"Content-Length: {len(UPLOAD)}", method="POST") + UPLOAD[:10])
        far = origin.accept()
        far.head()
        far.exactly(10)
        how(far)
        client.send(UPLOAD[10:])
        refusal(client, 502)
        assert origin.is_left_alone()


def test_an_early_answer_and_the_rest_of_the_upload(anyio_backend: str) -> None:
    """An origin that answers 200 at once and goes on listening gets all of it."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", f"Content-Length: {len(UPLOAD)}", method="POST") + UPLOAD[:10])
        with origin.accept() as far:
            far.head()
            far.send(OK)
            answer = client.message()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            client.send(UPLOAD[10:])
            assert far.exactly(len(UPLOAD)) == UPLOAD
            assert client.rest() == b""
            client.close()
            with gateway.connect() as other:
                other.send(origin.request("/next"))
                assert far.message().first == "GET /next HTTP/1.1", "both messages were whole: it is kept"
                far.send(OK)
                other.message()


# WebSocket


def test_a_websocket_is_a_tunnel(anyio_backend: str) -> None:
    """Frames that come early, from either side, are part of it."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/chat", *WEBSOCKET) + b"\x81\x85early")
        with origin.accept() as far:
            head = far.head()
            assert head.headers["upgrade"] == "websocket"
            assert head.headers["connection"] == "Upgrade"
            assert head.headers["sec-websocket-key"] == "dGhlIHNhbXBsZSBub25jZQ=="
            far.send(SWITCHED + b"\x81\x05hello")
            answer = client.head()
            assert (answer.status, answer.headers["upgrade"]) == (101, "websocket")
            assert client.exactly(7) == b"\x81\x05hello"
            assert far.exactly(7) == b"\x81\x85early"
            client.send(b"\x00\xff")
            assert far.exactly(2) == b"\x00\xff"
            far.close()
            assert client.rest() == b""


def test_a_websocket_takes_no_kept_connection(anyio_backend: str) -> None:
    with (
        running(anyio_backend) as gateway,
        Origin() as origin,
        gateway.connect() as client,
        kept(origin, client) as far,
    ):
        client.send(origin.request("/chat", *WEBSOCKET))
        with origin.accept() as fresh:
            fresh.head()
            fresh.send(SWITCHED)
            assert client.head().status == 101
            assert far.silent()


def test_a_websocket_that_is_refused_is_an_answer(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/chat", *WEBSOCKET))
        with origin.accept() as far:
            far.head()
            far.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            answer = client.message()
            assert (answer.status, answer.body) == (403, b"no")
            client.send(origin.request("/next"))
            assert far.message().first == "GET /next HTTP/1.1"


@pytest.mark.parametrize("upgrade", ["h2c", "TLS/1.0", "websocket, h2c"])
def test_other_upgrades_are_not_passed_on(anyio_backend: str, upgrade: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}"))
        with origin.accept() as far:
            head: Message = far.message()
            assert head.headers.keys().isdisjoint({"upgrade", "connection", "http2-settings"})
            far.send(OK)
            assert client.message().status == 200
