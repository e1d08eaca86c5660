"""That nothing passes a running gateway unscrubbed; which lines pass is the business of test_scrub."""

from collections import Counter
from contextlib import ExitStack
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.log import Counters
from anongw.net.fiber import Fiber
from anongw.web import scrub
from anongw.web.clean import Clean
from anongw.web.exchange import Cleaned, Request, Response
from anongw.web.rules import Rules
from anongw.wire.http1 import NO_BODY, Headers, Mark, build_lines, host_header
from tests.support.gateway import basic, running, user
from tests.support.raw_origin import OK, Line, Message, Origin
from tests.web.test_scrub import ABOUT, LINES, RULES

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


# What a connection remembers

ASKED = st.lists(st.tuples(LINES, ABOUT), min_size=1, max_size=3)


def scrubbed(lines: Headers, about: scrub.Outgoing, rules: Rules) -> scrub.Scrubbed | Reason:
    try:
        return scrub.request(lines, about, rules)
    except Refused as refused:
        return refused.reason


def cleaned(
    clean: Clean, lines: Headers, about: scrub.Outgoing, mark: Mark, memo: Cleaned
) -> scrub.Scrubbed | Reason:
    """What the next handler gets to see, and what was counted for it."""
    request = Request(
        method=about.method,
        target=about.origin,
        authority=host_header(about.origin, "http"),
        path=b"/",
        headers=lines,
        lines=None,
        framing=about.framing,
        body=None,
        minor=1,
        websocket=about.websocket,
        expects_continue=False,
        flow=Flow(""),
        mark=mark,
        cleaned=memo,
    )
    before = clean.counters.headers_dropped
    try:
        clean(request, cast("Fiber", None)).send(None)
    except Refused as refused:
        return refused.reason
    except StopIteration:
        assert request.lines == build_lines(request.headers)
    return scrub.Scrubbed(request.headers, clean.counters.headers_dropped - before)


async def answer(request: Request, fiber: Fiber) -> Response:
    return Response(200, b"OK", [], NO_BODY, None, cast("Any", None), keep_alive=True, upload=None)


def test_lines_that_come_again_are_cleaned_as_they_were_the_first_time() -> None:
    """To whatever origin, and though the memo is smaller than what comes."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300, derandomize=True, deadline=None, database=None)
    @given(ASKED, RULES, st.lists(st.integers(0, 2), max_size=8), st.integers(1, 3))
    def run(asked: list[tuple[Headers, scrub.Outgoing]], rules: Rules, order: list[int], most: int) -> None:
        clean = Clean(rules, answer, Counters())
        memo = Cleaned(most)
        marks = [Mark() for _ in asked]
        for place in order:
            lines, about = asked[place % len(asked)]
            mark = marks[place % len(asked)]
            known = (mark, host_header(about.origin, "http")) in memo
            plain = scrubbed(lines, about, rules)
            found = cleaned(clean, lines, about, mark, memo)
            assert found == plain
            assert len(memo) <= most
            seen["refused" if isinstance(plain, Reason) else "again" if known else "new"] += 1

    run()
    assert min(seen["again"], seen["new"], seen["refused"]) > 20, seen


def test_lines_that_come_again_go_to_each_origin_as_they_went_before(anyio_backend: str) -> None:
    with (
        running(anyio_backend) as gateway,
        Origin() as one,
        Origin() as two,
        gateway.connect() as client,
        ExitStack() as fars,
    ):
        lines = (f"Referer: http://{one.authority}/", "Cookie: a=b", "Accept: text/x", "X-Unheard-Of: 1")
        far: dict[Origin, Line] = {}
        heard = []
        for origin in (one, two, one, two):
            client.send(origin.request("/a", *lines))
            if origin not in far:
                far[origin] = fars.enter_context(origin.accept())
            heard.append(far[origin].message())
            far[origin].send(OK)
            assert client.message().status == 200
    assert heard[:2] == heard[2:]
    assert [head.headers["host"] for head in heard[:2]] == [one.authority, two.authority]
    assert ["referer" in head.headers for head in heard[:2]] == [True, False]
