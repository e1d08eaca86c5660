"""HTTP/1 heads: what is read, what is refused and why, and that building is the reverse of reading.

The requests that must be refused are the corpus in tests/support/smuggling.py; here is what must pass, what
responses may say, and the properties that hold for all bytes.
"""

from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anongw.errors import Reason, Refused
from anongw.wire import http1
from anongw.wire.body import decoder
from anongw.wire.http1 import (
    Answers,
    Framing,
    Headers,
    HeadLimits,
    Heads,
    Kind,
    RequestHead,
    ResponseHead,
)
from anongw.wire.memo import REMEMBERED_MOST
from anongw.wire.reader import Reader
from anongw.wire.target import absolute, authority
from tests.support.feed import Outcome, feed
from tests.support.http_messages import CUTS, HEADERS, REQUEST_LINE, STATUS_LINE, TARGET, VALUE, messages
from tests.support.smuggling import CASES, Case

LIMITS = HeadLimits(size=4096, lines=40)
NONE = Framing(Kind.NONE)
EMPTY = Framing(Kind.LENGTH, 0)


def request(
    raw: bytes, cuts: list[int] | range = range(0), limits: HeadLimits = LIMITS
) -> Outcome[RequestHead | None]:
    return feed(lambda reader: http1.request_head(reader, limits), raw, cuts)


def accepted(raw: bytes) -> RequestHead:
    head = request(raw).value
    assert head is not None
    return head


def response(
    raw: bytes,
    method: bytes = b"GET",
    cuts: list[int] | range = range(0),
    limits: HeadLimits = LIMITS,
    known: Answers | None = None,
) -> Outcome[ResponseHead]:
    return feed(lambda reader: http1.response_head(reader, limits, method, known), raw, cuts)


def get(*headers: bytes, line: bytes = b"GET http://a.test/ HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"Host: a.test", *headers, b"", b""))


def whole_request(reader: Reader) -> Generator[None, None, None]:
    """Read a request as the gateway does: head, target, body."""
    head = yield from http1.request_head(reader, LIMITS)
    assert head is not None
    if head.method == b"CONNECT":
        authority(head.target)
    else:
        absolute(head.target)
    body = decoder(head.framing, Reason.MALFORMED)
    while not body.done:
        if not body.decode(reader, 7) and not body.done:
            yield


@pytest.mark.parametrize("cuts", [range(0), range(9999)], ids=["whole", "bytewise"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_smuggling_request_is_refused(case: Case, cuts: range) -> None:
    assert feed(whole_request, case.raw, cuts).reason is case.reason


def test_the_corpus_names_every_case_once() -> None:
    assert not [name for name, count in Counter(case.name for case in CASES).items() if count > 1]
    assert len(CASES) >= 125


def test_a_head_is_read_as_it_was_written() -> None:
    raw = b"GET /x?y HTTP/1.1\r\nhost: A.test:80\r\nX-a:\t b c \t\r\nX-A: \xe4\r\nEmpty:\r\n\r\nrest"
    outcome = request(raw)
    assert outcome.rest == b"rest"
    assert outcome.value == RequestHead(
        method=b"GET",
        target=b"/x?y",
        minor=1,
        headers=[(b"host", b"A.test:80"), (b"X-a", b"b c"), (b"X-A", b"\xe4"), (b"Empty", b"")],
        framing=NONE,
        keep_alive=True,
        expects_continue=False,
        upgrade=b"",
    )


@pytest.mark.parametrize("method", sorted(http1.METHODS))
def test_every_method_that_we_forward_passes_the_validator(method: bytes) -> None:
    target = b"a.test:443" if method == b"CONNECT" else b"http://a.test/"
    assert accepted(get(line=method + b" " + target + b" HTTP/1.1")).method == method


@pytest.mark.parametrize(
    ("headers", "framing"),
    [
        ([], NONE),
        ([b"Content-Length: 5"], Framing(Kind.LENGTH, 5)),
        ([b"Content-Length: 0"], Framing(Kind.LENGTH, 0)),
        ([b"Content-Length: 005"], Framing(Kind.LENGTH, 5)),
        ([b"content-length:5 "], Framing(Kind.LENGTH, 5)),
        ([b"Content-Length: 999999999999999"], Framing(Kind.LENGTH, 10**15 - 1)),
        ([b"Transfer-Encoding: chunked"], Framing(Kind.CHUNKED)),
        ([b"transfer-encoding:Chunked "], Framing(Kind.CHUNKED)),
        ([b"Connection: close", b"Transfer-Encoding: chunked"], Framing(Kind.CHUNKED)),
        ([b"Upgrade: h2c", b"Connection: upgrade", b"Content-Length: 5"], Framing(Kind.LENGTH, 5)),
        ([b"X_Content_Length: 5"], NONE),
    ],
)
def test_request_framing(headers: list[bytes], framing: Framing) -> None:
    assert accepted(get(*headers)).framing == framing


def test_a_connect_may_say_that_it_has_no_body() -> None:
    assert accepted(get(b"Content-Length: 0", line=b"CONNECT a.test:443 HTTP/1.1")).framing == NONE


@pytest.mark.parametrize(
    ("minor", "headers", "keep_alive"),
    [
        (1, [], True),
        (1, [b"Connection: close"], False),
        (1, [b"Connection: CLOSE"], False),
        (1, [b"Connection: x , Close"], False),
        (1, [b"Connection: x", b"Connection: close"], False),
        (1, [b"Connection: closed"], True),
        (1, [b"Proxy-Connection: close"], False),
        (1, [b"Connection: keep-alive", b"Proxy-Connection: close"], False),
        (0, [], False),
        (0, [b"Connection: Keep-Alive"], True),
        (0, [b"Proxy-Connection: keep-alive"], True),
        (0, [b"Connection: keep-alive, close"], False),
    ],
)
def test_request_persistence(minor: int, headers: list[bytes], *, keep_alive: bool) -> None:
    assert accepted(get(*headers, line=b"GET / HTTP/1.%d" % minor)).keep_alive is keep_alive


@pytest.mark.parametrize("target", [b"/#a", b"/\xe4", b"/\x7f", b""])
def test_a_target_of_our_own_is_refused_for_what_it_holds(target: bytes) -> None:
    assert request(get(line=b"GET " + target + b" HTTP/1.1")).reason is Reason.MALFORMED


def test_an_http_1_0_request_may_come_without_a_host() -> None:
    assert accepted(b"GET http://a.test/ HTTP/1.0\r\n\r\n").headers == []


@pytest.mark.parametrize(
    "host", [b"a.test", b"a.test:80", b"a.test:", b"[::1]:8080", b"10.0.0.1", b"a_b.test."]
)
def test_valid_hosts(host: bytes) -> None:
    assert accepted(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").headers == [(b"Host", host)]


@pytest.mark.parametrize(
    ("line", "headers", "expects"),
    [
        (b"PUT / HTTP/1.1", [b"Expect: 100-continue", b"Content-Length: 5"], True),
        (b"PUT / HTTP/1.1", [b"expect: 100-Continue", b"Transfer-Encoding: chunked"], True),
        (b"PUT / HTTP/1.1", [b"Expect: 100-continue"], False),
        (b"PUT / HTTP/1.0", [b"Expect: 100-continue", b"Content-Length: 5"], False),
    ],
)
def test_expect(line: bytes, headers: list[bytes], *, expects: bool) -> None:
    assert accepted(get(*headers, line=line)).expects_continue is expects


@pytest.mark.parametrize(
    ("line", "headers", "upgrade"),
    [
        (b"GET / HTTP/1.1", [b"Upgrade: websocket", b"Connection: Upgrade"], b"websocket"),
        (b"GET / HTTP/1.1", [b"upgrade: WebSocket", b"connection: keep-alive, upgrade"], b"websocket"),
        (b"GET / HTTP/1.1", [b"Upgrade: websocket"], b""),
        (b"GET / HTTP/1.1", [b"Upgrade: h2c", b"Connection: upgrade"], b""),
        (b"GET / HTTP/1.1", [b"Upgrade: websocket, h2c", b"Connection: upgrade"], b""),
        (b"GET / HTTP/1.1", [b"Upgrade: websocket", b"Upgrade: h2c", b"Connection: upgrade"], b""),
        (b"GET / HTTP/1.0", [b"Upgrade: websocket", b"Connection: upgrade"], b""),
        (b"POST / HTTP/1.1", [b"Upgrade: websocket", b"Connection: upgrade"], b""),
        (b"GET / HTTP/1.1", [b"Upgrade: websocket", b"Connection: upgrade", b"Content-Length: 1"], b""),
        (
            b"GET / HTTP/1.1",
            [b"Upgrade: websocket", b"Connection: upgrade", b"Transfer-Encoding: chunked"],
            b"",
        ),
    ],
)
def test_upgrade(line: bytes, headers: list[bytes], upgrade: bytes) -> None:
    outcome = request(get(*headers, line=line) + b"rest")
    assert outcome.value is not None
    assert outcome.value.upgrade == upgrade
    assert outcome.rest == b"rest"


def test_a_client_that_closes_between_requests_asked_for_nothing() -> None:
    assert request(b"") == Outcome(value=None)


@pytest.mark.parametrize("raw", [b"G", b"\r", b"\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n", get()[:-1]])
def test_a_client_that_closes_inside_a_head(raw: bytes) -> None:
    assert request(raw).short


def test_one_empty_line_may_come_first() -> None:
    assert request(b"\r\n" + get()).value == accepted(get())


def test_a_bare_lf_is_refused_before_the_head_ends() -> None:
    reader = Reader()
    step = http1.request_head(reader, LIMITS)
    reader.feed(b"GET / HTTP/1.1\r")
    next(step)
    reader.feed(b"\nHost: a\n")
    with pytest.raises(Refused) as refused:
        next(step)
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("cuts", [range(0), range(9999)], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("spare", "name"), [(0, "accepted"), (-1, "TOO_LARGE")], ids=["at the limit", "a byte over"]
)
def test_the_size_of_a_head_is_limited(cuts: range, spare: int, name: str) -> None:
    raw = get(b"X: " + b"a" * 500)
    limits = HeadLimits(size=len(raw) + spare, lines=40)
    assert request(raw, cuts, limits).name == name
    raw = b"HTTP/1.1 200 OK\r\n" + raw.partition(b"\r\n")[2]
    limits = HeadLimits(size=len(raw) + spare, lines=40)
    assert response(raw, b"GET", cuts, limits).name == name.replace("TOO_LARGE", "UPSTREAM_MALFORMED")


def test_a_head_without_end_is_refused_at_its_limit() -> None:
    reader = Reader()
    step = http1.request_head(reader, LIMITS)
    reader.feed(b"G" * (LIMITS.size - 1))
    next(step)
    reader.feed(b"G")
    with pytest.raises(Refused) as refused:
        next(step)
    assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(("lines", "name"), [(40, "accepted"), (41, "TOO_LARGE")])
def test_the_lines_of_a_head_are_limited(lines: int, name: str) -> None:
    headers = [b"X: a"] * (lines - 1)
    assert request(get(*headers)).name == name
    outcome = response(get(*headers, line=b"HTTP/1.1 200 OK"))
    assert outcome.name == name.replace("TOO_LARGE", "UPSTREAM_MALFORMED")


@pytest.mark.parametrize(
    ("raw", "method", "status", "framing", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"GET", 200, Framing(Kind.LENGTH, 5), True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", 200, Framing(Kind.CHUNKED), True),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"GET", 200, Framing(Kind.CLOSE), False),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", b"GET", 200, Framing(Kind.CLOSE), False),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"GET", 200, EMPTY, True),
        (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b"GET", 200, EMPTY, True),
        (b"HTTP/1.1 404 caf\xe9\r\nContent-Length: 0\r\n\r\n", b"GET", 404, EMPTY, True),
        (b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", b"GET", 999, EMPTY, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HEAD", 200, NONE, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HEAD", 200, NONE, True),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"HEAD", 200, NONE, True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"GET", 204, NONE, True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"GET", 304, NONE, True),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"PUT", 100, NONE, True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"GET", 103, NONE, True),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", b"GET", 101, NONE, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"CONNECT", 200, NONE, True),
        (b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n", b"CONNECT", 403, Framing(Kind.LENGTH, 5), True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"GET", 200, EMPTY, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", b"GET", 200, Framing(Kind.LENGTH, 5), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", b"GET", 200, EMPTY, True),
    ],
)  # fmt: skip
def test_response(raw: bytes, method: bytes, status: int, framing: Framing, *, keep_alive: bool) -> None:
    for cuts in (range(0), range(len(raw))):
        outcome = response(raw + b"rest", method, cuts)
        assert outcome.value is not None
        assert outcome.value.status == status
        assert outcome.value.framing == framing
        assert outcome.value.keep_alive is keep_alive
        assert outcome.rest == b"rest"


def test_a_response_is_read_as_it_was_written() -> None:
    outcome = response(b"HTTP/1.0 404 Not Here\r\nset-Cookie: a \r\nset-Cookie:b\r\n\r\n")
    assert outcome.value == ResponseHead(
        status=404,
        reason=b"Not Here",
        minor=0,
        headers=[(b"set-Cookie", b"a"), (b"set-Cookie", b"b")],
        framing=Framing(Kind.CLOSE),
        keep_alive=False,
    )


@pytest.mark.parametrize("cuts", [range(0), range(9999)], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 000 X\r\n\r\n",
        b"HTTP/1.1 099 X\r\n\r\n",
        b"HTTP/1.1 1000 X\r\n\r\n",
        b"HTTP/1.1 20 X\r\n\r\n",
        b"HTTP/1.1 2x0 X\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1\t200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\x01\r\n\r\n",
        b"HTTP/1.1 200 OK\0\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: a\n\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_bad_response_is_the_origins_fault(raw: bytes, cuts: range) -> None:
    assert response(raw, b"GET", cuts).reason is Reason.UPSTREAM_MALFORMED


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nX: a\r\n"])
def test_an_origin_that_closes_early(raw: bytes) -> None:
    assert response(raw).short


@pytest.mark.parametrize("pair", [(b"X", b"a\r\nY: b"), (b"X", b"a\n"), (b"X", b"\r"), (b"X\r\n", b"")])
def test_no_line_break_is_ever_written_into_a_head(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(Refused) as refused:
        http1.build_request(b"GET", b"/", [(b"Host", b"a"), pair])
    assert refused.value.reason is Reason.INTERNAL
    with pytest.raises(Refused):
        http1.build_response(200, b"OK", [pair])


def test_the_first_lines_that_we_write() -> None:
    assert http1.build_request(b"GET", b"/", [(b"Host", b"a")]) == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert http1.build_response(204, b"No Content", []) == b"HTTP/1.1 204 No Content\r\n\r\n"


@given(st.sampled_from(sorted(http1.METHODS - {b"CONNECT"})), TARGET, HEADERS, CUTS)
def test_reading_a_request_is_the_reverse_of_building_it(
    method: bytes, target: bytes, headers: Headers, cuts: list[int]
) -> None:
    headers = [(b"Host", b"a.test"), *headers]
    outcome = request(http1.build_request(method, target, headers) + b"rest", cuts)
    assert outcome.value is not None
    assert (outcome.value.method, outcome.value.target, outcome.value.headers) == (method, target, headers)
    assert outcome.rest == b"rest"


@given(st.integers(200, 599), VALUE, HEADERS, CUTS)
def test_reading_a_response_is_the_reverse_of_building_it(
    status: int, reason: bytes, headers: Headers, cuts: list[int]
) -> None:
    outcome = response(http1.build_response(status, reason, headers) + b"rest", b"GET", cuts)
    assert outcome.value is not None
    assert (outcome.value.status, outcome.value.reason, outcome.value.headers) == (status, reason, headers)
    assert outcome.rest == b"rest"


SMALL = HeadLimits(size=250, lines=5)


def test_any_request_bytes_are_read_refused_or_short_however_they_are_cut() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=1000, derandomize=True, deadline=None, database=None)
    @given(messages(REQUEST_LINE), CUTS)
    def run(raw: bytes, cuts: list[int]) -> None:
        whole = request(raw, range(0), SMALL)
        parts = request(raw, cuts, SMALL)
        seen[whole.name] += 1
        # Of two faults the one that is met first is named, so only refused or not is the same.
        assert (parts.value, parts.rest, parts.short) == (whole.value, whole.rest, whole.short)

    run()
    reasons = ("MALFORMED", "TOO_LARGE", "UNSUPPORTED_PROTOCOL", "UNSUPPORTED_COMMAND", "EXPECTATION_FAILED")
    assert {"accepted", "short", "UNSUPPORTED_ENCODING", *reasons} == set(seen), seen
    assert seen["accepted"] > 30, seen


def test_any_response_bytes_are_read_refused_or_short_however_they_are_cut() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400, derandomize=True, deadline=None, database=None)
    @given(messages(STATUS_LINE), st.sampled_from((b"GET", b"HEAD")), CUTS)
    @example(b"HTTP/1.1 200 OK\r\nA: b\r\n", b"GET", [5])  # what is drawn depends on which modules are loaded
    def run(raw: bytes, method: bytes, cuts: list[int]) -> None:
        whole = response(raw, method, range(0), SMALL)
        seen[whole.name] += 1
        assert response(raw, method, cuts, SMALL) == whole

    run()
    assert {"accepted", "short", "UPSTREAM_MALFORMED"} == set(seen), seen
    assert seen["accepted"] > 30, seen


# What a connection remembers

AGAIN = st.lists(st.tuples(messages(REQUEST_LINE), st.integers(1, 3)), min_size=1, max_size=4)


def test_a_head_is_understood_the_same_whether_its_lines_came_before_or_not() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, deadline=None, database=None)
    @given(AGAIN, st.lists(st.integers(0, 3), max_size=9), st.integers(1, 3))
    def run(heads: list[tuple[bytes, int]], order: list[int], most: int) -> None:
        known = Heads(most)
        for place in order:
            raw, times = heads[place % len(heads)]
            for _ in range(times):
                before = [head.mark for head in known.values()]
                outcome = feed(lambda reader: http1.request_head(reader, LIMITS, known), raw)
                assert outcome == request(raw)
                assert len(known) <= most
                if outcome.value is not None:
                    seen["again" if outcome.value.mark in before else "new"] += 1

    run()
    assert min(seen["again"], seen["new"]) > 30, seen


@pytest.mark.parametrize(
    ("second", "same"),
    [
        (get(), True),
        (get(line=b"GET http://b.test/c?d HTTP/1.1"), True),
        (get(line=b"HEAD http://a.test/ HTTP/1.1"), False),
        (get(line=b"GET http://a.test/ HTTP/1.0"), False),
        (get(b"X: a"), False),
        (get().replace(b"Host: a.test", b"Host:  a.test"), False),
    ],
)
def test_a_mark_stands_for_all_but_the_target(second: bytes, *, same: bool) -> None:
    known = Heads(4)
    heads = [feed(lambda reader: http1.request_head(reader, LIMITS, known), raw) for raw in (get(), second)]
    one, other = (outcome.value for outcome in heads)
    assert one is not None
    assert other is not None
    assert (one.mark is other.mark) is same
    assert other == accepted(second)


@pytest.mark.parametrize(
    "line",
    [
        b"Proxy-Authorization: Basic YTpi",
        b"proxy-authorization: Basic YTpi",
        b"Tor-Stream-Isolation: a",
        b"X: " + bytes(b"a" * REMEMBERED_MOST),
    ],
    ids=["password", "password in lower case", "isolation", "long"],
)
def test_what_is_for_us_or_long_is_not_remembered(line: bytes) -> None:
    known = Heads(4)
    for _ in range(2):
        outcome = feed(lambda reader: http1.request_head(reader, LIMITS, known), get(line))
        assert outcome == request(get(line))
        assert outcome.value is not None
        assert outcome.value.to_us is not line.startswith(b"X")
        assert outcome.value.mark is None
    assert not known


ANSWERS_AGAIN = st.lists(
    st.tuples(messages(STATUS_LINE), st.sampled_from((b"GET", b"HEAD"))), min_size=1, max_size=3
)


def test_an_answer_is_understood_the_same_whether_it_came_before_or_not() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, deadline=None, database=None)
    @given(ANSWERS_AGAIN, st.lists(st.integers(0, 2), max_size=9), st.integers(1, 3))
    def run(heads: list[tuple[bytes, bytes]], order: list[int], most: int) -> None:
        known = Answers(most)
        for place in order:
            raw, method = heads[place % len(heads)]
            before = [head.mark for head in known.values()]
            outcome = response(raw, method, known=known)
            assert outcome == response(raw, method)
            assert len(known) <= most
            if outcome.value is not None:
                seen["again" if outcome.value.mark in before else "new"] += 1

    run()
    assert min(seen["again"], seen["new"]) > 30, seen


@pytest.mark.parametrize(
    "line", [b"Set-Cookie: a=b", b"X: " + b"a" * REMEMBERED_MOST], ids=["cookie", "long"]
)
def test_an_answer_with_a_cookie_or_a_long_one_is_not_remembered(line: bytes) -> None:
    known = Answers(4)
    raw = b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n"
    for _ in range(2):
        outcome = response(raw, known=known)
        assert outcome == response(raw)
        assert outcome.value is not None
        assert outcome.value.mark is None
    assert not known
