"""Each line with what becomes of it and why; then that what is shown as sent is what the scrubber sends."""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anongw.config import Scrub, ScrubRule
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.log import Counters
from anongw.net.fiber import Fiber
from anongw.web import scrub
from anongw.web.clean import Clean
from anongw.web.deliver import reframe
from anongw.web.difference import Line, Mark, of_request, of_response
from anongw.web.exchange import Memory, Request, Response
from anongw.web.headers import ANSWER, REQUEST
from anongw.web.rules import Profile, Rules, compile_rules
from anongw.web.scrub import Step
from anongw.wire import http1
from anongw.wire.http1 import NO_BODY, Framing, Headers, Kind, RequestHead, ResponseHead
from anongw.wire.target import host_header
from tests.web.test_headers import (
    ANSWER_DROPPED,
    ANSWER_KEPT,
    ANSWER_STRICT,
    BALANCED,
    DROPPED,
    STRICT,
    spellings,
)
from tests.web.test_scrub import ABOUT, ANSWER_LINES, LINES, ORIGIN, RULES

FIREFOX = (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
LENGTH, CHUNKED = Framing(Kind.LENGTH, 5), Framing(Kind.CHUNKED)
TO_CLOSE = Framing(Kind.CLOSE)
T = TypeVar("T")

KEPT, SET, DROPPED_ = Mark.KEPT, Mark.SET, Mark.DROPPED


def head(
    *lines: tuple[bytes, bytes], method: bytes = b"POST", framing: Framing = NO_BODY, websocket: bool = False
) -> RequestHead:
    return asking(b"http://example.org/a", *lines, method=method, framing=framing, websocket=websocket)


def asking(
    target: bytes,
    *lines: tuple[bytes, bytes],
    method: bytes = b"GET",
    framing: Framing = NO_BODY,
    websocket: bool = False,
) -> RequestHead:
    return RequestHead(
        method,
        target,
        1,
        list(lines),
        framing,
        keep_alive=True,
        expects_continue=False,
        upgrade=b"websocket" if websocket else b"",
    )


def answer(
    *lines: tuple[bytes, bytes], status: int = 200, framing: Framing = TO_CLOSE, minor: int = 1
) -> ResponseHead:
    return ResponseHead(status, b"OK", minor, list(lines), framing, keep_alive=True)


def rules(profile: Profile = Profile.BALANCED, *mine: ScrubRule) -> Rules:
    return compile_rules(Scrub(profile=profile.value, rules=mine))


def of(lines: tuple[Line, ...], name: bytes) -> list[tuple[Mark, str | None, str]]:
    """What became of the lines of a name."""
    start = f"{name.decode()}:".lower()
    return [
        (line.mark, line.sent, line.why)
        for line in lines
        if any(one.lower().startswith(start) for one in (*line.received, line.sent or ""))
    ]


# Requests


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("name", DROPPED)
def test_a_dropped_line_has_the_reason_of_its_row(name: str, profile: Profile) -> None:
    for spelling in spellings(name):
        if spelling.lower() in (
            b"host",
            b"content-length",
            b"transfer-encoding",
            b"accept-language",
            b"connection",
        ):
            continue  # answered by a line of ours; see below
        (found,) = of(of_request(head((spelling, b"a")), rules(profile)), spelling)
        assert found == (DROPPED_, None, REQUEST[spelling].why)


@pytest.mark.parametrize("name", [name for name in BALANCED if name not in STRICT])
def test_what_strict_drops_says_so(name: str) -> None:
    for spelling in spellings(name):
        (found,) = of(of_request(head((spelling, b"a")), rules(Profile.STRICT)), spelling)
        assert found == (DROPPED_, None, f"not in profile strict: {REQUEST[spelling].why}")


@pytest.mark.parametrize(
    ("lines", "name", "found"),
    [
        ([(b"Cookie", b"a=b")], b"Cookie", (KEPT, "Cookie: a=b", REQUEST[b"Cookie"].why)),
        # In the spelling of the list, and joined as RFC 6265 has it.
        (
            [(b"cookie", b"a=b"), (b"COOKIE", b"c=d")],
            b"Cookie",
            (KEPT, "Cookie: a=b; c=d", REQUEST[b"Cookie"].why),
        ),
        # Equal lines of what may be said once count as one.
        (
            [(b"Content-Type", b"a/b"), (b"Content-Type", b"a/b")],
            b"Content-Type",
            (KEPT, "Content-Type: a/b", REQUEST[b"Content-Type"].why),
        ),
        ([(b"X-A", b"b")], b"X-A", (DROPPED_, None, "no list names it")),
        (
            [(b"X_Real_IP", b"b")],
            b"X_Real_IP",
            (DROPPED_, None, "a server may take it for X-Real-IP, which is never written so"),
        ),
        ([(b"Via", b"b")], b"Via", (DROPPED_, None, REQUEST[b"Via"].why)),
        ([(b"Host", b"b")], b"Host", (SET, "Host: example.org", Step.OWN.value)),
        ([(b"Host", b"example.org")], b"Host", (KEPT, "Host: example.org", Step.OWN.value)),
        ([], b"Host", (SET, "Host: example.org", Step.OWN.value)),
        (
            [(b"User-Agent", b"me")],
            b"User-Agent",
            (SET, "User-Agent: curl/7.88.1", "the persona's record: curl"),
        ),
        ([], b"User-Agent", (SET, "User-Agent: curl/7.88.1", "the persona's record: curl")),
        (
            [(b"User-Agent", b"curl/7.88.1")],
            b"User-Agent",
            (KEPT, "User-Agent: curl/7.88.1", REQUEST[b"User-Agent"].why),
        ),
        (
            [FIREFOX, (b"Accept-Language", b"de")],
            b"Accept-Language",
            (SET, "Accept-Language: en-US,en;q=0.9", "the persona's record: Firefox on Windows"),
        ),
        ([(b"Accept-Encoding", b"br")], b"Accept-Encoding", (DROPPED_, None, "the persona's record: curl")),
        ([(b"Connection", b"Prefer"), (b"Prefer", b"a")], b"Prefer", (DROPPED_, None, Step.NAMED.value)),
        (
            [(b"Referer", b"http://a.test/")],
            b"Referer",
            (DROPPED_, None, "tells this site of another one, or of a place on its page"),
        ),
        (
            [(b"Authorization", b"NTLM a")],
            b"Authorization",
            (DROPPED_, None, "NTLM and Negotiate name machine and user, and bind the connection to them"),
        ),
        (
            [(b"X-Requested-With", b"app")],
            b"X-Requested-With",
            (DROPPED_, None, "any value but XMLHttpRequest is an application's own name"),
        ),
        (
            [(b"Cache-Control", b"max-age=9")],
            b"Cache-Control",
            (DROPPED_, None, "says more than every browser's reload does"),
        ),
        ([(b"Pragma", b"x")], b"Pragma", (DROPPED_, None, "says more than every browser's reload does")),
        (
            [(b"Destination", b"http://EXAMPLE.org/b")],
            b"Destination",
            (
                SET,
                "Destination: http://example.org/b",
                "on the server that is asked, in the spelling of Host",
            ),
        ),
    ],
)
def test_requests(lines: Headers, name: bytes, found: tuple[Mark, str | None, str]) -> None:
    assert of(of_request(head(*lines), rules()), name) == [found]


def test_conditions_and_the_range_that_goes_with_them() -> None:
    lines = [(b"If-None-Match", b'"a"'), (b"If-Range", b'"a"'), (b"Range", b"bytes=0-1")]
    found = of_request(head(*lines, method=b"GET"), rules())
    assert of(found, b"If-None-Match") == [(DROPPED_, None, Step.CONDITIONED.value)]
    assert of(found, b"Range") == [(DROPPED_, None, Step.RANGED.value)]
    guarded = of_request(head(*lines, method=b"PUT"), rules())
    assert [mark for mark, _, _ in of(guarded, b"Range")] == [KEPT]


def test_rules_of_ones_own_are_named() -> None:
    mine = ScrubRule(
        host="example.org", drop=("Cookie",), set={"X-Mine": "1", "User-Agent": "me"}, keep=("X-A",)
    )
    found = of_request(head((b"Cookie", b"a"), (b"X-A", b"b"), (b"X-B", b"c")), rules(Profile.BALANCED, mine))
    by_rule = "a rule of yours, for example.org"
    assert of(found, b"Cookie") == [(DROPPED_, None, by_rule)]
    assert of(found, b"X-Mine") == [(SET, "X-Mine: 1", by_rule)]
    assert of(found, b"User-Agent") == [(SET, "User-Agent: me", by_rule)]
    assert of(found, b"X-A") == [(KEPT, "X-A: b", by_rule)]
    assert of(found, b"X-B") == [(DROPPED_, None, "no list names it")]


def test_open_lets_pass_what_no_list_names_and_says_so() -> None:
    (found,) = of(of_request(head((b"x-a", b"b")), rules(Profile.OPEN)), b"X-A")
    assert found == (KEPT, "X-A: b", "no list names it, and profile open lets it pass")


def test_the_first_line_and_the_framing() -> None:
    found = of_request(head((b"Transfer-Encoding", b"chunked"), framing=CHUNKED), rules())
    assert found[0] == Line(
        mark=SET,
        received=("POST http://example.org/a HTTP/1.1",),
        sent="POST /a HTTP/1.1",
        why="an origin is asked by path, in HTTP/1.1",
    )
    assert of(found, b"Transfer-Encoding") == [(KEPT, "Transfer-Encoding: chunked", Step.OWN.value)]
    sized = of_request(head((b"Content-Length", b"005"), framing=LENGTH), rules())
    assert of(sized, b"Content-Length") == [(SET, "Content-Length: 5", Step.OWN.value)]


def test_a_websocket_is_asked_for_by_us() -> None:
    lines = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    found = of_request(head(*lines, method=b"GET", websocket=True), rules())
    assert of(found, b"Upgrade") == [(KEPT, "Upgrade: websocket", Step.OWN.value)]
    other = of_request(head(*lines, method=b"GET"), rules())
    assert of(other, b"Upgrade") == [(DROPPED_, None, REQUEST[b"Upgrade"].why)]


@pytest.mark.parametrize(
    ("lines", "target", "reason"),
    [
        ([(b"Content-Type", b"a"), (b"Content-Type", b"b")], b"http://a.test/", Reason.MALFORMED),
        ([(b"A b", b"c")], b"http://a.test/", Reason.MALFORMED),
        ([(b"Destination", b"http://b.test/")], b"http://a.test/", Reason.FORBIDDEN),
        ([], b"https://a.test/", Reason.UNSUPPORTED_PROTOCOL),
        ([], b"a.test:80", Reason.MALFORMED),
    ],
)
def test_what_is_refused_is_refused(lines: Headers, target: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        of_request(asking(target, *lines), rules())
    assert refused.value.reason is reason


# Answers


@pytest.mark.parametrize("profile", list(Profile))
def test_answers_by_their_lists(profile: Profile) -> None:
    for name in (*ANSWER_DROPPED, *ANSWER_STRICT, *ANSWER_KEPT):
        for spelling in spellings(name):
            if spelling.lower() in (b"content-length", b"transfer-encoding"):
                continue
            (found,) = of(of_response(answer((spelling, b"a")), rules(profile), "example.org"), spelling)
            text, why = f"{spelling.decode()}: a", ANSWER[spelling].why
            if name in ANSWER_KEPT:
                assert found == (KEPT, text, "the client's own information")
            elif name in ANSWER_STRICT and profile is Profile.STRICT:
                assert found == (DROPPED_, None, f"not in profile strict: {why}")
            elif name in ANSWER_STRICT:
                assert found == (KEPT, text, f"profile {profile.value} lets it pass: {why}")
            else:
                assert found == (DROPPED_, None, why)


@pytest.mark.parametrize(
    ("lines", "name", "found"),
    [
        ([(b"Link", b"</a>; rel=next")], b"Link", (KEPT, "Link: </a>; rel=next", "nothing in it has to go")),
        ([(b"Link", b"</a>; rel=preload")], b"Link", (DROPPED_, None, ANSWER[b"Link"].why)),
        (
            [(b"Link", b"</a>; rel=preload, </b>; rel=next")],
            b"Link",
            (SET, "Link: </b>; rel=next", ANSWER[b"Link"].why),
        ),
        ([(b"Connection", b"X-A"), (b"X-A", b"b")], b"X-A", (DROPPED_, None, Step.NAMED.value)),
        ([(b"Content-Length", b"5")], b"Content-Length", (KEPT, "Content-Length: 5", Step.OWN.value)),
    ],
)
def test_answers(lines: Headers, name: bytes, found: tuple[Mark, str | None, str]) -> None:
    assert of(of_response(answer(*lines, framing=LENGTH), rules(), "example.org"), name) == [found]


def test_the_framing_of_an_answer_is_ours_and_depends_on_the_client() -> None:
    found = of_response(answer(), rules(), "example.org")
    assert of(found, b"Transfer-Encoding") == [(SET, "Transfer-Encoding: chunked", Step.OWN.value)]
    assert not of(of_response(answer(), rules(), "example.org", minor=0), b"Transfer-Encoding")


def test_rules_for_answers_are_named_and_set_nothing() -> None:
    mine = ScrubRule(drop=("Server",), set={"X-B": "1"}, keep=("Via", "WWW-Authenticate"))
    lines = [(b"Server", b"a"), (b"Via", b"b"), (b"X-B", b"c"), (b"WWW-Authenticate", b"NTLM")]
    found = of_response(answer(*lines), rules(Profile.BALANCED, mine), "example.org")
    assert of(found, b"Server") == [(DROPPED_, None, "a rule of yours, for *")]
    assert of(found, b"Via") == [(KEPT, "Via: b", "a rule of yours, for *")]
    assert of(found, b"X-B") == [(KEPT, "X-B: c", "the client's own information")]
    assert of(found, b"WWW-Authenticate") == [(DROPPED_, None, ANSWER[b"WWW-Authenticate"].why)]


def test_an_interim_answer_ends_here_and_a_407_is_refused() -> None:
    found = of_response(answer((b"Link", b"</a>"), status=103, framing=NO_BODY), rules(), "example.org")
    assert {(line.mark, line.sent, line.why) for line in found} == {
        (DROPPED_, None, "an interim answer ends at the gateway")
    }
    with pytest.raises(Refused):
        of_response(answer(status=407), rules(), "example.org")
    with pytest.raises(Refused):
        of_response(answer(status=101, framing=NO_BODY), rules(), "example.org")


def test_a_switched_protocol() -> None:
    lines = [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade"), (b"Sec-WebSocket-Accept", b"a")]
    found = of_response(answer(*lines, status=101, framing=NO_BODY), rules(), "example.org", websocket=True)
    assert of(found, b"Upgrade") == [(KEPT, "Upgrade: websocket", Step.OWN.value)]
    assert of(found, b"Connection") == [(SET, "Connection: Upgrade", Step.OWN.value)]


# What holds for every message


def on_wire(lines: tuple[Line, ...]) -> bytes:
    return "".join(f"{line.sent}\r\n" for line in lines if line.sent is not None).encode("latin-1") + b"\r\n"


def outcome(work: Callable[[], T]) -> T | Reason:
    try:
        return work()
    except Refused as refused:
        return refused.reason


def accounted(lines: tuple[Line, ...], received: Headers) -> None:
    """Every line that was received stands once, and each has its reason."""
    told = Counter(one for line in lines[1:] for one in line.received)
    assert told == Counter((name + b": " + value).decode("latin-1") for name, value in received)
    for line in lines:
        assert line.why
        assert (line.sent is None) == (line.mark is DROPPED_)
        assert line.received or line.mark is SET


def test_what_is_shown_as_sent_is_sent() -> None:
    seen: Counter[object] = Counter()

    # What is drawn depends on which modules are loaded, so these outcomes are not left to chance.
    @settings(max_examples=1000, deadline=None, database=None)
    @example([(b"A b", b"")], scrub.Outgoing(b"GET", ORIGIN, NO_BODY, websocket=False), rules())
    @example(
        [(b"Destination", b"http://b.test/")],
        scrub.Outgoing(b"COPY", ORIGIN, NO_BODY, websocket=False),
        rules(),
    )
    @example(
        [(b"Connection", b"Prefer"), (b"Prefer", b"a")],
        scrub.Outgoing(b"PUT", ORIGIN, LENGTH, websocket=False),
        rules(),
    )
    @example(
        [(b"If-Range", b"a"), (b"Range", b"bytes=0-1")],
        scrub.Outgoing(b"GET", ORIGIN, NO_BODY, websocket=True),
        rules(),
    )
    @example(
        [(b"Cookie", b"a")],
        scrub.Outgoing(b"GET", ORIGIN, NO_BODY, websocket=False),
        rules(Profile.BALANCED, ScrubRule(drop=("Cookie",))),
    )
    @given(LINES, ABOUT, RULES)
    def holds(lines: Headers, about: scrub.Outgoing, made: Rules) -> None:
        target = b"http://%b/a" % host_header(about.origin, "http")
        request = asking(
            target, *lines, method=about.method, framing=about.framing, websocket=about.websocket
        )
        sent = outcome(lambda: scrub.request(lines, about, made).headers)
        found = outcome(lambda: of_request(request, made))
        if isinstance(sent, Reason) or isinstance(found, Reason):
            assert sent is found
            seen[found] += 1
            return
        assert on_wire(found) == http1.build_request(about.method, b"/a", sent)
        accounted(found, lines)
        for line in found[1:]:
            seen[line.mark] += 1
            seen.update(step for step in Step if line.why.startswith(step.value))

    holds()
    # Those that have words of their own for each name are reached in the tables above.
    by_words = set(Step) - {Step.LISTED, Step.JUDGED}
    assert seen.keys() == {*Mark, *by_words, Reason.MALFORMED, Reason.FORBIDDEN}, seen


def test_what_is_shown_as_answered_is_answered() -> None:
    seen: Counter[object] = Counter()

    @settings(max_examples=600, deadline=None, database=None)
    @given(
        ANSWER_LINES,
        st.sampled_from([200, 200, 304, 204, 101, 401, 407]),
        st.sampled_from([NO_BODY, LENGTH, CHUNKED, TO_CLOSE]),
        st.integers(0, 1),
        RULES,
    )
    def holds(lines: Headers, status: int, framing: Framing, minor: int, made: Rules) -> None:
        websocket = status == 101
        if websocket:
            lines = [line for line in lines if line[0].lower() != b"upgrade"] + [(b"Upgrade", b"websocket")]
        received = answer(*lines, status=status, framing=framing)

        sent = outcome(
            lambda: scrub.response(lines, status, reframe(framing, minor), websocket, made, "example.org")
        )
        found = outcome(lambda: of_response(received, made, "example.org", minor=minor, websocket=websocket))
        if isinstance(sent, Reason) or isinstance(found, Reason):
            assert sent is found
            seen[found] += 1
            return
        assert on_wire(found) == http1.build_response(status, b"OK", sent)
        accounted(found, lines)
        seen.update(line.mark for line in found[1:])

    holds()
    assert seen.keys() == {*Mark, Reason.UPSTREAM_MALFORMED}, seen


def test_it_is_what_clean_sends() -> None:
    """The same lines through the handler that the gateway has around `forward`."""
    lines: Headers = [
        FIREFOX,
        (b"Cookie", b"a=b"),
        (b"Referer", b"http://b.test/"),
        (b"X-A", b"b"),
        (b"TE", b"trailers"),
    ]
    back: Headers = [(b"Server", b"a"), (b"Alt-Svc", b"h3"), (b"Content-Length", b"5")]
    forwarded: list[Headers] = []

    async def forward(request: Request, fiber: Fiber) -> Response:
        forwarded.append(request.headers)
        return Response(200, b"OK", back, LENGTH, None, cast("Any", None), keep_alive=True, upload=None)

    asked = head(*lines)
    clean = Clean(rules(), forward, Counters())
    request = Request(
        method=asked.method,
        target=ORIGIN,
        authority=host_header(ORIGIN, "http"),
        path=b"/a",
        headers=asked.headers,
        ready=None,
        framing=asked.framing,
        body=None,
        minor=1,
        websocket=False,
        expects_continue=False,
        flow=Flow("127.0.0.1:1080"),
        mark=asked.mark,
        memory=Memory(1),
    )
    with pytest.raises(StopIteration) as done:
        clean(request, cast("Any", None)).send(None)
    answered: Response = done.value.value
    assert on_wire(of_request(asked, rules())) == http1.build_request(b"POST", b"/a", forwarded[0])
    shown = of_response(answer(*back, framing=LENGTH), rules(), "example.org")
    assert on_wire(shown) == http1.build_response(200, b"OK", answered.headers)
