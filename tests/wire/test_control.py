"""The control protocol: its lines read back, its limits, and that no bytes at all bring anything else."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.errors import Reason
from anongw.wire import control
from anongw.wire.control import Answer, Request
from tests.support.feed import Codec, Outcome, feed

MOST = 100
CUTS = st.lists(st.integers(1, 120), max_size=4)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=6,
)


def request(most: int = MOST) -> Codec[Request]:
    return lambda reader: control.request(reader, most)


def test_a_request() -> None:
    assert control.ask("status") == b'{"command":"status"}\n'
    outcome = Outcome(value=Request("status", {}), rest=b"early")
    assert feed(request(), control.ask("status") + b"early") == outcome
    assert feed(request(), control.ask("status") + b"early", range(99)) == outcome


def test_a_request_with_arguments_by_any_hand() -> None:
    outcome = feed(request(), b' { "n" : [1, null] , "command" : "a\\u00e4" }\r\n')
    assert outcome == Outcome(value=Request("aä", {"n": [1, None]}))


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"status", b"[]", b'"status"', b"null", b"{", b"{}{}", b'{"command":"a"}x'),
        *(b"{}", b'{"command":null}', b'{"command":1}', b'{"command":["status"]}', b'{"Command":"a"}'),
        *(b'{"command":"\xff"}', b'{"command":"\\ud800"}', b'{"command":"a","n":NaN}', b"GET / HTTP/1.1\r"),
    ],
)
def test_a_request_that_is_none(line: bytes) -> None:
    assert feed(request(), line + b"\n").reason is Reason.MALFORMED


def test_lists_in_lists() -> None:
    deep = b'{"command":' + b"[" * 50_000 + b"\n"
    assert feed(request(len(deep)), deep).reason is Reason.MALFORMED


def test_a_line_may_be_so_long_and_no_longer() -> None:
    line = b'{"command":"%s"}\n' % (b"a" * (MOST - len('{"command":""}\n')))
    assert len(line) == MOST
    assert feed(request(), line).value is not None
    assert feed(request(MOST - 1), line).reason is Reason.TOO_LARGE
    assert feed(request(MOST - 1), line[:-1]).reason is Reason.TOO_LARGE


def test_a_line_that_ends_early() -> None:
    line = control.ask("status")
    for end in range(len(line)):
        assert feed(request(), line[:end]).short


def test_answers() -> None:
    assert control.done({"a": (1, 2)}) == b'{"ok":true,"a":[1,2]}\n'
    assert feed(control.answer, control.done({"a": (1, 2)})).value == Answer(ok=True, fields={"a": [1, 2]})
    failed = Answer(ok=False, fields={"error": "no"})
    assert feed(control.answer, control.failed("no")).value == failed
    faulty = Answer(ok=False, fields={"error": "no", "faults": ["a.toml:1: bad"]})
    assert feed(control.answer, control.failed("no", ("a.toml:1: bad",))).value == faulty


@pytest.mark.parametrize(
    "line", [b"{}", b'{"ok":1}', b'{"ok":"true"}', b'{"ok":false}', b'{"ok":false,"error":1}', b"[true]", b""]
)
def test_an_answer_that_is_none(line: bytes) -> None:
    assert feed(control.answer, line + b"\n").reason is Reason.MALFORMED


def test_an_answer_has_a_limit() -> None:
    raw = control.done({"a": "b" * MOST})
    assert feed(lambda reader: control.answer(reader, len(raw)), raw).value is not None
    assert feed(lambda reader: control.answer(reader, len(raw) - 1), raw).reason is Reason.TOO_LARGE
    assert feed(control.answer, raw[:-1]).short


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=3), CUTS)
def test_every_answer_is_one_line_and_read_back(fields: dict[str, object], cuts: list[int]) -> None:
    fields.pop("ok", None)
    raw = control.done(fields)
    assert raw.count(b"\n") == 1
    assert feed(control.answer, raw + b"more", cuts) == Outcome(
        value=Answer(ok=True, fields=fields), rest=b"more"
    )


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, mostly right; some are padded past the limit, some are cut."""
    command = draw(st.sampled_from(("status", "reload", "", "a\nb", None, 1)))
    raw = json.dumps({draw(st.sampled_from(("command",) * 5 + ("Command",))): command, "n": draw(JSON)})
    raw += " " * draw(st.sampled_from((0, 0, 0, MOST)))
    line = raw.encode() + draw(st.sampled_from((b"\n", b"\r\n", b"\n\n", b"}\n", b"")))
    return line[: draw(st.sampled_from((len(line),) * 6 + tuple(range(8))))]


def test_any_bytes_are_read_refused_or_short_however_they_are_cut() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, deadline=None, database=None)
    @given(requests(), CUTS)
    def run(raw: bytes, cuts: list[int]) -> None:
        whole = feed(request(), raw)
        seen[whole.name] += 1
        assert feed(request(), raw, cuts) == whole

    run()
    assert {"accepted", "short", "MALFORMED", "TOO_LARGE"} == set(seen), seen
    assert min(seen.values()) > 5, seen
