"""That nothing passes a running gateway unscrubbed; which lines pass is the business of test_scrub."""

import pytest

from tests.support.gateway import basic, running, user
from tests.support.raw_origin import OK, Message, Origin

SENT = (
    "User-Agent: curl/1.2.3 (my machine)",
    "Accept: */*",
    "Via: 1.1 me",
    "X-Forwarded-For: 10.1.2.3",
    "Forwarded: for=10.1.2.3",
    "From: me@here.test",
    "Referer: http://other.test/",
    "X-Unheard-Of: 1",
    "Connection: keep-alive, X-Hop, Cookie",
    "X-Hop: 1",
    "Keep-Alive: timeout=5",
    "TE: trailers",
    "Proxy-Connection: keep-alive",
    "If-None-Match: cookie",
    "DNT: 1",
)


def asked(backend: str, *lines: str, settings: tuple[str, ...] = (), method: str = "GET") -> Message:
    """What the origin is asked when a client sends these lines."""
    with running(backend, *settings) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", *lines, method=method))
        with origin.accept() as far:
            head = far.message()
            far.send(OK)
            assert client.message().status == 200
    return head


def test_requests(anyio_backend: str) -> None:
    assert asked(anyio_backend, *SENT).headers.keys() == {"host", "user-agent", "accept"}


@pytest.mark.parametrize("setting", ["log.level=info", 'scrub.profile="open"', user()])
@pytest.mark.parametrize("name", ["Proxy-Authorization", "pRoXy-authorization"])
def test_the_password_for_us_is_for_nobody_else(anyio_backend: str, setting: str, name: str) -> None:
    line = basic("alice", "secret").replace("Proxy-Authorization", name)
    head = asked(anyio_backend, line, settings=(setting,))
    assert "authorization" not in head.headers
    assert not [one for one in head.headers if one.startswith("proxy")]


def test_rules_of_the_config(anyio_backend: str) -> None:
    rule = 'scrub.rules=[{host="127.0.0.1", drop=["Accept"], set={"X-Mine"="1"}, keep=["X-Unheard-Of"]}]'
    head = asked(anyio_backend, *SENT, settings=(rule,))
    assert head.headers.keys() == {"host", "user-agent", "x-mine", "x-unheard-of"}


def test_what_no_list_names_is_counted_and_not_named(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", "X-Unheard-Of: 1", "X-Another: 2"))
        with origin.accept() as far:
            far.message()
            far.send(OK)
            client.message()
    assert ", 2 unknown header lines dropped;" in gateway.log[-1]
    assert "unheard" not in "".join(gateway.log).lower()


@pytest.mark.parametrize(
    ("target", "status"), [("/b", 201), ("http://{}/b", 201), ("http://127.0.0.9/b", 403)]
)
def test_a_destination_is_judged(anyio_backend: str, target: str, status: int) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/a", f"Destination: {target.format(origin.authority)}", method="COPY"))
        if status == 403:
            assert client.message().status == 403
            assert origin.is_left_alone()
            return
        with origin.accept() as far:
            assert far.message().headers["destination"].endswith("/b")
            far.send(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            assert client.message().status == 201


ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: far\r\nX-Unheard-Of: 1\r\nAlt-Svc: h3=':443'\r\n"
    b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nAccept-CH: x\r\nVia: 1.1 far\r\n"
    b"Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTrailer: X\r\nX-Client-IP: 10.1.2.3\r\n\r\nok"
)


def test_answers(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(ANSWER)
            assert client.message().headers.keys() == {"content-length", "server", "x-unheard-of"}


def test_the_gateway_adds_nothing_to_an_answer(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(OK)
            assert client.until(b"ok") == OK
