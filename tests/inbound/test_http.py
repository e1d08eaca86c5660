"""HTTP clients against a running gateway: who they are, which forms they may use, how they are refused."""

import socket
from collections.abc import Iterator

import pytest

from anongw.errors import Reason, Refused
from anongw.inbound.http import STATUS, credentials, refusal
from anongw.wire.http1 import NO_BODY, RequestHead
from tests.support.gateway import LOOPBACK, Running, basic, running, user
from tests.support.raw_origin import OK, Line, Message, Origin
from tests.support.smuggling import CASES, ORIGIN, Case

BODY = b"The request could not be served.\n"
FIRST_BYTES = b"\r\nABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What an answer of our own may say about us: nothing but these.
OWN = {"content-type", "content-length", "connection"}


def own_answer(line: Line) -> Message:
    """An answer of the gateway's own, which must say nothing of it."""
    answer = line.message()
    assert answer.body == BODY
    assert answer.headers.keys() - {"proxy-authenticate", "anongw-request-failed"} == OWN
    return answer


# Tables


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_one_fixed_answer(reason: Reason) -> None:
    answer = refusal(reason, told=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % STATUS[reason])
    assert body == BODY
    assert reason.value.encode() not in answer
    assert (b"Proxy-Authenticate: Basic" in head) == (STATUS[reason] == 407)


@pytest.mark.parametrize("reason", Reason)
def test_the_reason_is_told_only_where_it_may_be(reason: Reason) -> None:
    assert b"\r\nAnongw-Request-Failed: " + reason.value.encode() in refusal(reason, told=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([b"Basic YTpi"], (b"a", b"b")),
        ([b"basic YTpi"], (b"a", b"b")),
        ([b"Basic  YTpi "], (b"a", b"b")),
        ([b"Basic YTpiOmM="], (b"a", b"b:c")),
        ([b"Basic YQ=="], (b"a", b"")),
        ([b"Basic Og=="], (b"", b"")),
        ([b"Basic /zp4"], (b"\xff", b"x")),
        ([b"Basic YTpi", b"Basic YTpi"], Reason.MALFORMED),
        ([b"Basic YTp"], Reason.AUTH_FAILED),
        ([b"Basic \xff"], Reason.AUTH_FAILED),
        ([b"Basic YT pi"], Reason.AUTH_FAILED),
        ([b"Bearer YTpi"], Reason.AUTH_FAILED),
        ([b"Negotiate YTpi"], Reason.AUTH_FAILED),
        ([b""], Reason.AUTH_FAILED),
    ],
)
def test_credentials(values: list[bytes], expected: object) -> None:
    headers = [(b"proxy-AUTHORIZATION", value) for value in values]
    head = RequestHead(b"GET", b"http://a.test/", 1, headers, NO_BODY, True, False, b"")  # noqa: FBT003
    try:
        found: object = credentials(head)
    except Refused as refused:
        found = refused.reason
    assert found == expected


# Forms of a request


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_absolute_form(anyio_backend: str, version: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/a?b=c", version=version))
        with origin.accept() as far:
            head = far.message()
            far.send(OK)
            answer = client.message()
            assert head.first == "GET /a?b=c HTTP/1.1"
            assert head.headers["host"] == origin.authority
            assert (answer.first, answer.body) == ("HTTP/1.1 200 OK", b"ok")
            if version == "1.0":
                assert answer.headers["connection"] == "close"
                assert client.rest() == b""


def test_http_1_0_may_ask_to_be_kept(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/1", "Proxy-Connection: keep-alive", version="1.0"))
        with origin.accept() as far:
            far.message()
            far.send(OK)
            assert client.message().headers["connection"] == "keep-alive"
            client.send(origin.request("/2", version="1.0"))
            assert far.message().first == "GET /2 HTTP/1.1"
            far.send(OK)
            assert client.message().headers["connection"] == "close"


def test_the_uri_wins_over_host(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request().replace(b"Host: ", b"Host: other.test\r\nX-Ignored: "))
        with origin.accept() as far:
            assert far.message().headers["host"] == origin.authority
            far.send(OK)
            assert client.message().status == 200


@pytest.mark.parametrize("target", ["/", "/x", "*", "//a.test/"])
@pytest.mark.parametrize("users", [(), (user(),)], ids=["nobody known", "users"])
def test_a_web_page_that_probes_learns_nothing(
    anyio_backend: str, target: str, users: tuple[str, ...]
) -> None:
    with running(anyio_backend, *users) as gateway, gateway.connect() as client:
        method = "OPTIONS" if target == "*" else "GET"
        host = gateway.addresses[0]
        client.send(
            f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil.test\r\n\r\n".encode()
        )
        assert client.rest() == b""


def test_a_probe_with_a_head_too_long_learns_nothing(anyio_backend: str) -> None:
    # A page can make any URL as long as it likes, and tells an answer from none even where it cannot read it.
    with running(anyio_backend, "limits.header_bytes=4096") as gateway, gateway.connect() as client:
        client.send(b"GET /" + b"a" * 6000 + b" HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.gone()


def test_who_names_this_machine_is_told(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: LocalHost:1080\r\n\r\n")
        assert own_answer(client).status == 400
        assert client.rest() == b""


@pytest.fixture(scope="module")
def named() -> Iterator[Running]:
    """One gateway for the whole corpus, which knows the origin's name."""
    name = ORIGIN.decode()
    with running("asyncio", f'resolve.hosts."{name}"=["127.0.0.1"]', "log.level=error") as gateway:
        yield gateway


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_smuggling(named: Running, case: Case) -> None:
    """Refused, closed, and nothing behind it is taken for a request."""
    with Origin() as origin, named.connect() as client:
        port = str(origin.port).encode()
        raw = case.raw.replace(b"http://" + ORIGIN + b"/", b"http://" + ORIGIN + b":" + port + b"/")
        client.send(raw.replace(b"CONNECT " + ORIGIN + b":80 ", b"CONNECT " + ORIGIN + b":" + port + b" "))
        client.last()
        answer = client.rest()
        # What is wrong behind the head is seen once the head is on its way.
        assert origin.is_left_alone() or b"chunked\r\n\r\n" in case.raw
        if raw[0] not in FIRST_BYTES:
            assert answer == b"", "not taken for HTTP at all"
            return
        assert answer.startswith(b"HTTP/1.1 %d " % STATUS[case.reason])
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\n" + BODY)
        assert answer.count(BODY) == 1


def test_pipelining(anyio_backend: str) -> None:
    """Three requests in one segment; the answers come in their order, by one connection to the origin."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(b"".join(origin.request(f"/{number}") for number in range(3)))
        with origin.accept() as far:
            for number in range(3):
                assert far.message().first == f"GET /{number} HTTP/1.1"
                assert far.silent(), "one request at a time"
                far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
            assert [client.message().body for _ in range(3)] == [b"0", b"1", b"2"]
        assert origin.is_left_alone()


def test_a_body_and_the_next_request_in_one_segment(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        length = origin.request("/1", "Content-Length: 5", method="POST") + b"hello"
        chunked = origin.request("/2", "Transfer-Encoding: chunked", method="POST") + b"2\r\nab\r\n0\r\n\r\n"
        client.send(length + chunked + origin.request("/3"))
        with origin.accept() as far:
            for expected in (b"hello", b"ab", b""):
                assert far.message().body == expected
                far.send(OK)
                assert client.message().body == b"ok"


@pytest.mark.parametrize("line", ["Connection: close", "Proxy-Connection: close"])
def test_a_client_that_wants_no_more(anyio_backend: str, line: str) -> None:
    """Its connection is closed; the origin's is kept."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/1", line) + origin.request("/ignored"))
        with origin.accept() as far:
            assert "connection" not in far.message().headers
            far.send(OK)
            assert client.message().headers["connection"] == "close"
            client.last()
            assert client.rest() == b""
            assert far.silent()


def test_an_empty_line_between_requests(anyio_backend: str) -> None:
    """RFC 9112 §2.2."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request(), b"\r\n", origin.request("/2"))
        with origin.accept() as far:
            for _ in range(2):
                far.message()
                far.send(OK)
                assert client.message().body == b"ok"


def test_a_client_that_writes_byte_by_byte(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.bytewise(origin.request("/a"))
        with origin.accept() as far:
            assert far.message().first == "GET /a HTTP/1.1"
            far.bytewise(OK)
            assert client.message().body == b"ok"


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_client_that_ends_within_its_head(anyio_backend: str, cut: int) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request()[:cut])
        client.last()
        assert client.rest() == b""
        assert origin.is_left_alone()


# Who asks


def test_nobody_is_asked_where_no_users_exist(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", basic("anybody", "anything")))
        with origin.accept() as far:
            assert "proxy-authorization" not in far.message().headers
            far.send(OK)
            assert client.message().status == 200


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ((), 407),
        ((basic("alice", "wrong"),), 407),
        ((basic("bob", "secret"),), 407),
        ((basic("", ""),), 407),
        (("Proxy-Authorization: Bearer YTpi",), 407),
        (("Authorization: Basic YWxpY2U6c2VjcmV0",), 407),
        ((basic("alice", "secret"), basic("alice", "secret")), 400),
        ((basic("alice", "secret"),), 200),
    ],
    ids=["none", "wrong password", "unknown", "empty", "bearer", "authorization", "two", "right"],
)
def test_users(anyio_backend: str, line: tuple[str, ...], status: int) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", *line))
        if status != 200:
            answer = own_answer(client)
            assert answer.status == status
            assert ("proxy-authenticate" in answer.headers) == (status == 407)
            assert origin.is_left_alone()
            return
        with origin.accept() as far:
            assert not [name for name in far.message().headers if name.startswith("proxy-")]
            far.send(OK)
            assert client.message().status == 200


@pytest.mark.parametrize(
    ("line", "status"),
    [((), 407), ((basic("alice", "wrong"),), 407), ((basic("alice", "secret"),), 200)],
    ids=["none", "wrong", "right"],
)
def test_users_of_connect(anyio_backend: str, line: tuple[str, ...], status: int) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.connect(*line))
        if status == 407:
            answer = own_answer(client)
            assert answer.status == 407
            assert answer.headers["connection"] == "keep-alive"
            # The same connection, as curl does it.
            client.send(origin.connect(basic("alice", "secret")))
        with origin.accept() as far:
            assert client.head().status == 200
            client.send(b"up")
            assert far.exactly(2) == b"up"


def test_every_request_of_a_kept_connection_proves_itself(anyio_backend: str) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/1", basic("alice", "secret")))
        with origin.accept() as far:
            far.message()
            far.send(OK)
            assert client.message().status == 200
            client.send(origin.request("/2"))
            assert own_answer(client).status == 407
            client.send(origin.request("/3", basic("alice", "secret")))
            assert far.message().first == "GET /3 HTTP/1.1"
            far.send(OK)
            assert client.message().status == 200


def test_a_challenge_to_head_has_no_body(anyio_backend: str) -> None:
    """RFC 9110 §9.3.2: what is sent behind it would be read as the next answer."""
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request(method="HEAD"))
        assert client.message(bodiless=True).status == 407
        client.send(origin.request(method="HEAD"))
        assert client.message(bodiless=True).status == 407


def test_a_challenge_to_a_request_with_body_ends_the_connection(anyio_backend: str) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        smuggled = origin.request("/", basic("alice", "secret"))
        client.send(origin.request("/", f"Content-Length: {len(smuggled)}", method="POST") + smuggled)
        answer = own_answer(client)
        assert (answer.status, answer.headers["connection"]) == (407, "close")
        assert client.rest() == b""
        assert origin.is_left_alone()


def test_the_name_is_the_identity(anyio_backend: str) -> None:
    """Where nobody is known too: two names share no connection, on one client connection or on two."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        kept = {}
        for name in ("a", "b", ""):
            client.send(origin.request("/", *([basic(name, "x")] if name else [])))
            kept[name] = origin.accept()
            kept[name].message()
            kept[name].send(OK)
            client.message()
        with gateway.connect() as other:
            for name in ("b", "a", ""):
                other.send(origin.request(f"/{name}", *([basic(name, "x")] if name else [])))
                assert kept[name].message().first == f"GET /{name} HTTP/1.1"
                kept[name].send(OK)
                other.message()
        assert origin.seen == 3
        assert origin.is_left_alone()
        for far in kept.values():
            far.close()


@pytest.mark.parametrize(
    "lines",
    [
        (basic("a", "x"),),
        (basic("a", "y"),),
        (basic("b", "x"),),
        ("Tor-Stream-Isolation: one",),
        ("Tor-Stream-Isolation: two",),
        (basic("a", "x"), "Tor-Stream-Isolation: one"),
        (),
    ],
)
def test_what_tors_clients_are_told_apart_by(anyio_backend: str, lines: tuple[str, ...]) -> None:
    """Name, password and header, each by itself: a connection that another left is not taken."""
    fourth = (basic("a", "x"), "Tor-Stream-Isolation: four")
    others = [(basic("a", "z"),), ("Tor-Stream-Isolation: three",), fourth]
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        kept: list[Line] = []
        for said in (*others, lines, lines):
            client.send(origin.request("/", *said))
            if len(kept) <= len(others):
                kept.append(origin.accept())
            assert "tor-stream-isolation" not in kept[-1].message().headers
            kept[-1].send(OK)
            client.message()
        assert origin.seen == len(others) + 1
        for far in kept:
            far.close()


# CONNECT


def test_success_is_said_after_the_connect(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, socket.socket() as bound, gateway.connect() as client:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        port = bound.getsockname()[1]
        client.send(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = own_answer(client)
        assert (answer.status, answer.headers["anongw-request-failed"]) == (502, "connection-refused")


def test_early_payload_of_connect_is_kept(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.connect() + b"early")
        with origin.accept() as far:
            assert far.exactly(5) == b"early"
            far.send(b"back")
            assert client.until(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
            assert client.exactly(4) == b"back"
            client.last()
            assert far.rest() == b""
            far.send(b"more")
            far.close()
            assert client.rest() == b"more"


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("127.0.0.1:1", 403, "private-target"),
        ("127.1:1", 403, "private-target"),
        ("0x7f000001:1", 403, "private-target"),
        ("[::ffff:127.0.0.1]:1", 403, "private-target"),
        ("[64:ff9b::7f00:1]:1", 403, "private-target"),
        ("[::1]:1", 403, "private-target"),
        ("169.254.169.254:80", 403, "private-target"),
        ("localhost:1", 403, "private-name"),
        ("LOCALHOST.:1", 403, "private-name"),
        ("x.onion:1", 403, "private-name"),
        ("rebound.example:1", 403, "rebinding"),
        ("denied.example:1", 403, "forbidden"),
    ],
)
def test_refused_targets(anyio_backend: str, target: str, status: int, reason: str) -> None:
    settings = (
        "policy.allow_private=[]",
        'policy.deny=["denied.example"]',
        'resolve.hosts."rebound.example"=["127.0.0.1"]',
    )
    with running(anyio_backend, *settings) as gateway:
        with gateway.connect() as client:
            client.send(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = own_answer(client)
            assert (answer.status, answer.headers["anongw-request-failed"]) == (status, reason)
        # The same by a plain request, whose answer a page could read: nothing is told.
        with gateway.connect() as client:
            client.send(f"GET http://{target}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = own_answer(client)
            assert answer.status == status
            assert answer.headers.keys() == OWN


def test_a_listener_others_reach_tells_no_reason(anyio_backend: str) -> None:
    settings = ('listen.addresses=["0.0.0.0:0"]', user(), "policy.allow_private=[]")
    with running(anyio_backend, *settings) as gateway:
        port = gateway.addresses[0].rpartition(":")[2]
        with gateway.connect(f"127.0.0.1:{port}") as client:
            client.send(b"CONNECT 10.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert own_answer(client).headers.keys() == {*OWN, "proxy-authenticate"}
            client.send(
                f"CONNECT 10.0.0.1:1 HTTP/1.1\r\nHost: x\r\n{basic('alice', 'secret')}\r\n\r\n".encode()
            )
            answer = own_answer(client)
            assert answer.status == 403
            assert answer.headers.keys() == OWN


@pytest.mark.parametrize("form", ["connect", "plain"])
def test_the_gateway_itself_is_no_target(anyio_backend: str, form: str) -> None:
    with running(anyio_backend, LOOPBACK) as gateway, gateway.connect() as client:
        own = gateway.addresses[0]
        first = f"CONNECT {own}" if form == "connect" else f"GET http://{own}/"
        client.send(f"{first} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert own_answer(client).status == 403


def test_a_refused_client_that_goes_on_sending_reads_its_answer(anyio_backend: str) -> None:
    with running(anyio_backend, "policy.allow_private=[]") as gateway, gateway.connect() as client:
        client.send(b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        client.send(*[bytes(10_000)] * 100)
        assert own_answer(client).status == 403
        assert client.rest() == b""


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("X: y" + "\r\nX: y" * 99, 431),
        ("Expect: 200-ok", 417),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("X: " + "a" * 40_000, 431),
    ],
)
def test_refused_heads(anyio_backend: str, line: str, status: int) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/", line, method="POST"))
        assert own_answer(client).status == status
        assert client.rest() == b""
        assert origin.is_left_alone()
