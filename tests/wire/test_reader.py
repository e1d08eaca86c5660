"""The buffer: what is fed comes out once, in order, and never more than was asked for."""

import re
from collections.abc import Callable, Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anongw.errors import Reason
from anongw.wire.reader import Reader
from tests.support.feed import Outcome, feed

Codec = Callable[[Reader], Generator[None, None, bytes]]


def holding(data: bytes) -> Reader:
    reader = Reader()
    reader.feed(data)
    return reader


@pytest.mark.parametrize("cuts", [range(0), range(99)], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("codec", "raw", "outcome"),
    [
        (lambda reader: reader.exactly(3), b"abcd", Outcome(value=b"abc", rest=b"d")),
        (lambda reader: reader.exactly(0), b"abcd", Outcome(value=b"", rest=b"abcd")),
        (lambda reader: reader.exactly(5), b"abcd", Outcome(short=True)),
        (lambda reader: reader.peek(3), b"abcd", Outcome(value=b"abc", rest=b"abcd")),
        (lambda reader: reader.peek(5), b"abcd", Outcome(short=True)),
        (lambda reader: reader.until(b"\r\n", 6), b"abcd\r\nef", Outcome(value=b"abcd\r\n", rest=b"ef")),
        (lambda reader: reader.until(b"\r\n", 5), b"abcd\r\nef", Outcome(reason=Reason.TOO_LARGE)),
        (lambda reader: reader.until(b"\r\n", 5), b"abcdefgh", Outcome(reason=Reason.TOO_LARGE)),
        (lambda reader: reader.until(b"\r\n", 9), b"abcd\r", Outcome(short=True)),
        (lambda reader: reader.until(b"\r\n", 9), b"\r\r\n", Outcome(value=b"\r\r\n")),
    ],
)
def test_reading(codec: Codec, raw: bytes, outcome: Outcome[bytes], cuts: range) -> None:
    assert feed(codec, raw, cuts) == outcome


def test_a_limit_is_passed_as_soon_as_that_is_certain() -> None:
    reader = holding(b"abc")
    step = reader.until(b"\n", 5)
    next(step)
    reader.feed(b"d")
    next(step)
    reader.feed(b"e")
    with pytest.raises(Exception, match=Reason.TOO_LARGE.value):
        next(step)


def test_taking() -> None:
    reader = holding(b"abcdef")
    assert reader.take(0) == b""
    assert reader.take(2) == b"ab"
    assert reader.peek_now(2) == b"cd"
    assert reader.peek_now(9) == b"cdef"
    assert reader.take(9) == b"cdef"
    assert reader.take() == reader.peek_now(1) == b""


def test_unreading() -> None:
    reader = holding(b"cd")
    reader.unread(b"ab")
    assert reader.take() == b"abcd"


def test_the_end() -> None:
    reader = holding(b"a")
    assert (reader.eof, reader.at_eof, len(reader)) == (False, False, 1)
    reader.feed_eof()
    assert (reader.eof, reader.at_eof) == (True, False)
    reader.take()
    assert (reader.eof, reader.at_eof, len(reader)) == (True, True, 0)


def test_finding() -> None:
    reader = holding(b"ab\r\ncd\r\n")
    assert reader.find(b"\r\n") == 2
    assert reader.find(b"\r\n", 3) == 6
    assert reader.find(b"\r\n", 0, 3) == -1
    assert reader.find(b"x") == -1


def test_searching_pins_nothing_and_looks_behind_its_start() -> None:
    bare = re.compile(rb"(?<!\r)\n")
    reader = holding(b"a\r\nb\n")
    assert reader.search(bare)
    assert reader.search(bare, 4)
    assert not holding(b"a\r\nb").search(bare, 2)
    reader.feed(b"more")
    assert reader.take() == b"a\r\nb\nmore"


@given(st.lists(st.one_of(st.binary(max_size=50), st.integers(0, 40))))
def test_what_is_fed_comes_out_once_and_in_order(steps: list[bytes | int]) -> None:
    reader, fed, taken = Reader(), b"", b""
    for step in steps:
        if isinstance(step, bytes):
            reader.feed(memoryview(step))
            fed += step
        else:
            piece = reader.take(step)
            assert len(piece) <= step
            taken += piece
    assert taken + reader.take() == fed


def test_it_is_spent_when_all_was_taken_and_more_may_come() -> None:
    reader = Reader()
    assert reader.is_spent
    reader.feed(b"x")
    assert not reader.is_spent
    reader.take()
    assert reader.is_spent
    reader.feed_eof()
    assert not reader.is_spent
