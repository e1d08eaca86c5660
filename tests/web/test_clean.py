"""That nothing passes a running gateway unscrubbed; which lines pass is the business of test_scrub."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.log import Counters
from anongw.net.fiber import Fiber
from anongw.web import scrub
from anongw.web.clean import Clean
from anongw.web.exchange import Memory, Request, Response
from anongw.web.rules import Rules
from anongw.wire.http1 import NO_BODY, Framing, Headers, Kind, Mark, build_lines, build_response
from anongw.wire.target import host_header
from tests.support.gateway import basic, running, user
from tests.support.raw_origin import OK, Line, Message, Origin
from tests.web.test_scrub import ABOUT, ANSWER_LINES, LINES, RULES

T = TypeVar("T")

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


def test_each_identity_looks_like_what_it_is_to_also_on_one_connection(anyio_backend: str) -> None:
    own = ('identities.alice.persona="browser"', 'identities.bob.persona="tool"')
    says = ("User-Agent: curl/1.2.3", "Accept: */*")
    looks = {"alice": "Mozilla/5.0 (Windows", "bob": "curl/7.88.1", "carol": "curl/7.88.1"}
    with (
        running(anyio_backend, *own, "limits.upstream_kept=0") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        for name in ("alice", "bob", "carol", "alice", "bob", "alice"):
            client.send(origin.request("/", *says, basic(name, "")))
            with origin.accept() as far:
                head = far.message()
                far.send(OK)
                assert client.message().status == 200
            assert head.headers["user-agent"].startswith(looks[name])
            assert ("accept-language" in head.headers) == (name == "alice")


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


def asking(lines: Headers, about: scrub.Outgoing, mark: Mark, memory: Memory) -> Request:
    return Request(
        method=about.method,
        target=about.origin,
        authority=host_header(about.origin, "http"),
        path=b"/",
        headers=lines,
        ready=None,
        framing=about.framing,
        body=None,
        minor=1,
        websocket=about.websocket,
        expects_continue=False,
        flow=Flow(""),
        mark=mark,
        memory=memory,
    )


def answering(lines: Headers, framing: Framing, mark: Mark | None = None) -> Response:
    nobody = cast("Any", None)
    return Response(200, b"", lines, framing, None, nobody, keep_alive=True, upload=None, mark=mark)


def through(rules: Rules, request: Request, response: Response) -> tuple[Response | Reason, int]:
    """What Clean makes of the request, in place, and of its answer; and how many lines it counted."""

    async def forward(request: Request, fiber: Fiber) -> Response:
        return response

    counters = Counters()
    try:
        Clean(rules, forward, counters)(request, cast("Fiber", None)).send(None)
    except Refused as refused:
        return refused.reason, counters.headers_dropped
    except StopIteration as done:
        response = done.value
    return response, counters.headers_dropped


def plainly(call: Callable[[], T]) -> T | Reason:
    try:
        return call()
    except Refused as refused:
        return refused.reason


ORDER = st.lists(st.integers(0, 2), max_size=8)
ASKED = st.lists(st.tuples(LINES, ABOUT), min_size=3, max_size=3)
ANSWERED = st.lists(
    st.tuples(ANSWER_LINES, st.sampled_from([NO_BODY, Framing(Kind.LENGTH, 5)])), min_size=3, max_size=3
)
PLAIN = scrub.Outgoing(b"GET", Endpoint("example.org", 80), NO_BODY, websocket=False)


def test_lines_that_come_again_are_cleaned_as_they_were_the_first_time() -> None:
    """Whomever they are for, and though the memo is smaller than what comes."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300, derandomize=True, deadline=None, database=None)
    @given(ASKED, RULES, ORDER, st.integers(1, 3))
    def run(asked: list[tuple[Headers, scrub.Outgoing]], rules: Rules, order: list[int], most: int) -> None:
        memory = Memory(most)
        marks = [Mark() for _ in asked]
        for place in order:
            lines, about = asked[place]
            request = asking(lines, about, marks[place], memory)
            known = (request.mark, request.authority) in memory.asked
            plain = plainly(lambda lines=lines, about=about: scrub.request(lines, about, rules))  # type: ignore[misc]
            found, unknown = through(rules, request, answering([], NO_BODY))
            if isinstance(plain, Reason):
                assert found is plain
            else:
                assert (request.headers, unknown) == plain
                assert request.ready == build_lines(plain.headers)
            assert len(memory.asked) <= most
            seen["refused" if isinstance(plain, Reason) else "again" if known else "new"] += 1

    run()
    assert min(seen["again"], seen["new"], seen["refused"]) > 20, seen


def test_answers_that_come_again_are_cleaned_as_they_were_the_first_time() -> None:
    """Whatever they answer."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300, derandomize=True, deadline=None, database=None)
    @given(ANSWERED, RULES, ORDER, ORDER, st.integers(1, 3))
    def run(
        answers: list[tuple[Headers, Framing]],
        rules: Rules,
        order: list[int],
        asked: list[int],
        most: int,
    ) -> None:
        memory = Memory(most)
        marks, answer_marks = [Mark() for _ in range(3)], [Mark() for _ in answers]
        for place, question in zip(order, asked, strict=False):
            lines, framing = answers[place]
            request = asking([], PLAIN, marks[question], memory)
            known = (answer_marks[place], marks[question], request.authority) in memory.answered
            plain = plainly(
                lambda lines=lines, framing=framing: scrub.response(  # type: ignore[misc]
                    lines, 200, framing, websocket=False, rules=rules, host="example.org"
                )
            )
            found, _ = through(rules, request, answering(lines, framing, answer_marks[place]))
            if isinstance(plain, Reason):
                assert found is plain
            else:
                assert isinstance(found, Response)
                assert (found.headers, found.ready) == (plain, build_response(200, b"", plain))
            assert len(memory.answered) <= most
            seen["refused" if isinstance(plain, Reason) else "again" if known else "new"] += 1

    run()
    assert min(seen["again"], seen["new"], seen["refused"]) > 20, seen


def test_what_has_no_mark_is_not_remembered() -> None:
    memory = Memory(2)
    request = asking([(b"Cookie", b"a")], PLAIN, Mark(), memory)
    request.mark = None
    through(Rules(), request, answering([(b"Server", b"a")], NO_BODY, Mark()))
    assert not memory.asked
    assert not memory.answered
    through(Rules(), asking([], PLAIN, Mark(), memory), answering([(b"Server", b"a")], NO_BODY))
    assert not memory.answered


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
