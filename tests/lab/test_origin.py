"""The origin records raw bytes, and does what it is asked for by path."""

import socket
from collections.abc import Iterator

import pytest

from anongw.lab.origin import ANSWERS, BODY, Origin
from tests.support.outside import listening
from tests.support.raw_origin import Line


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin(listening("127.0.0.1")) as one:
        yield one


def dial(origin: Origin) -> Line:
    sock = socket.socket()
    sock.connect(origin.place)
    return Line(sock)


def test_requests_are_answered_each(origin: Origin) -> None:
    first = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    second = b"GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n"
    with dial(origin) as line:
        line.send(first, second)
        assert line.message().body == BODY
        assert line.message().headers["alt-svc"].startswith("h3")
    assert origin.everything == first + second
    assert origin.seen[0].kind == "web"


@pytest.mark.parametrize("path", ANSWERS)
def test_it_answers_as_it_is_asked_to(path: bytes, origin: Origin) -> None:
    with dial(origin) as line:
        line.send(b"GET /%b HTTP/1.1\r\n\r\n" % path)
        assert line.exactly(len(ANSWERS[path])) == ANSWERS[path]


def test_it_dies_in_mid_stream(origin: Origin) -> None:
    with dial(origin) as line:
        line.send(b"GET /die HTTP/1.1\r\n\r\n")
        assert line.rest_until_reset().endswith(b"half")


def test_what_is_not_http_comes_back(origin: Origin) -> None:
    with dial(origin) as line:
        line.send(b"ping\n")
        assert line.exactly(5) == b"ping\n"
        line.send(b"hang\n")
        origin.until(lambda: origin.everything.endswith(b"hang\n"))
    assert origin.seen[0].kind == "tunnel"
