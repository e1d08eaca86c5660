"""HTTP/1 bodies: what the decoders give, where they stop, and what they refuse."""

import itertools
from collections import Counter
from collections.abc import Generator, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.errors import Reason, Refused
from anongw.wire import body
from anongw.wire.body import PIECES_MOST, ChunkedBody, CloseBody, LengthBody, decoder
from anongw.wire.http1 import Framing, Kind
from anongw.wire.reader import Reader
from tests.support.feed import Outcome, feed

HELLO = b"5\r\nhello\r\n0\r\n\r\n"
PLENTY = 1 << 20


def decode(framing: Framing, raw: bytes, cuts: Iterable[int] = (), most: int = PLENTY) -> Outcome[bytes]:
    """The whole payload, taken at most `most` bytes at a time."""

    def codec(reader: Reader) -> Generator[None, None, bytes]:
        decoding = decoder(framing, Reason.MALFORMED)
        payload = b""
        while not decoding.done:
            piece = decoding.decode(reader, most)
            assert len(piece) <= most
            payload += piece
            if not piece and not decoding.done:
                yield
        return payload

    return feed(codec, raw, cuts)


def chunked(raw: bytes, cuts: Iterable[int] = (), most: int = PLENTY) -> Outcome[bytes]:
    return decode(Framing(Kind.CHUNKED), raw, cuts, most)


@pytest.mark.parametrize("most", [1, 3, PLENTY])
@pytest.mark.parametrize("cuts", [range(0), range(99)], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("framing", "raw", "outcome"),
    [
        (Framing(Kind.NONE), b"rest", Outcome(value=b"", rest=b"rest")),
        (Framing(Kind.LENGTH, 0), b"rest", Outcome(value=b"", rest=b"rest")),
        (Framing(Kind.LENGTH, 5), b"hellorest", Outcome(value=b"hello", rest=b"rest")),
        (Framing(Kind.LENGTH, 5), b"hello", Outcome(value=b"hello")),
        (Framing(Kind.LENGTH, 5), b"hell", Outcome(short=True)),
        (Framing(Kind.CLOSE), b"hello", Outcome(value=b"hello")),
        (Framing(Kind.CLOSE), b"", Outcome(value=b"")),
        (Framing(Kind.CHUNKED), HELLO + b"rest", Outcome(value=b"hello", rest=b"rest")),
        (Framing(Kind.CHUNKED), HELLO, Outcome(value=b"hello")),
        (Framing(Kind.CHUNKED), b"0\r\n\r\nrest", Outcome(value=b"", rest=b"rest")),
        (Framing(Kind.CHUNKED), b"", Outcome(short=True)),
    ],
)
def test_a_body_ends_where_its_framing_says(
    framing: Framing, raw: bytes, outcome: Outcome[bytes], cuts: range, most: int
) -> None:
    assert decode(framing, raw, cuts, most) == outcome


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"a\r\n0123456789\r\n00\r\n\r\n", b"0123456789"),
        (b"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", b"hello"),
        (b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"hello"),
        (b'5;a="\xe4 \t"\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
        (b"5\r\nhello\r\n0\r\nX: a\r\nContent-Length: 9\r\nEmpty:\r\n\r\n", b"hello"),
    ],
)
def test_chunks_that_pass(raw: bytes, payload: bytes) -> None:
    for cuts in (range(0), range(99)):
        assert chunked(raw + b"rest", cuts) == Outcome(value=payload, rest=b"rest")


@pytest.mark.parametrize("end", range(len(HELLO)))
def test_chunks_that_end_too_early(end: int) -> None:
    assert chunked(HELLO[:end]).short


@pytest.mark.parametrize("reason", [Reason.MALFORMED, Reason.UPSTREAM_MALFORMED])
@pytest.mark.parametrize(
    "raw", [b"x\r\n", b"5\r\nhelloX", b"5\r\nhello\rX", b"0\r\nX\r\n", b"\r\n", b"-1\r\n"]
)
def test_the_owner_says_whose_fault_bad_chunks_are(raw: bytes, reason: Reason) -> None:
    reader = Reader()
    reader.feed(raw)
    with pytest.raises(Refused) as refused:
        decoder(Framing(Kind.CHUNKED), reason).decode(reader, PLENTY)
    assert refused.value.reason is reason


def size_line(size: int) -> bytes:
    return b"5;" + b"a" * (size - 4) + b"\r\n"


def trailers(size: int) -> bytes:
    """Trailers of so many bytes, the empty line included."""
    return b"X:" + b"a" * (size - 6) + b"\r\n\r\n"


@pytest.mark.parametrize("cuts", [range(0), range(99999)], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (size_line(body.SIZE_LINE_MOST) + b"hello\r\n0\r\n\r\n", "accepted"),
        (size_line(body.SIZE_LINE_MOST + 1) + b"hello\r\n0\r\n\r\n", "MALFORMED"),
        (b"0" * body.SIZE_LINE_MOST, "MALFORMED"),
        (b"0\r\n" + trailers(body.TRAILERS_MOST), "accepted"),
        (b"0\r\n" + trailers(body.TRAILERS_MOST + 1), "MALFORMED"),
        (b"0\r\n" + b"X:\r\n" * (body.TRAILERS_MOST // 4) + b"\r\n", "MALFORMED"),
        (b"0\r\n" + b"X" * body.TRAILERS_MOST, "MALFORMED"),
        (b"%x\r\n" % body.CHUNK_MOST, "short"),
        (b"%x\r\n" % (body.CHUNK_MOST + 1), "MALFORMED"),
    ],
)
def test_the_limits_of_chunking(raw: bytes, name: str, cuts: range) -> None:
    assert chunked(raw, cuts).name == name


def test_a_decoder_is_done_as_soon_as_the_last_byte_is_here() -> None:
    reader = Reader()
    length, chunks = LengthBody(5), ChunkedBody(Reason.MALFORMED)
    reader.feed(b"hello" + HELLO)
    assert (length.decode(reader, 5), length.done) == (b"hello", True)
    assert (chunks.decode(reader, 5), chunks.done) == (b"hello", True)
    assert (length.decode(reader, 5), chunks.decode(reader, 5)) == (b"", b"")


def test_a_body_until_close_is_done_at_the_close() -> None:
    reader = Reader()
    decoding = CloseBody()
    reader.feed(b"hello")
    assert (decoding.decode(reader, 3), decoding.done) == (b"hel", False)
    reader.feed_eof()
    assert (decoding.decode(reader, 3), decoding.done) == (b"lo", True)


def test_what_came_before_the_close_is_given_out_first() -> None:
    for decoding, raw in ((LengthBody(9), b"hello"), (ChunkedBody(Reason.MALFORMED), b"9\r\nhello")):
        reader = Reader()
        reader.feed(raw)
        reader.feed_eof()
        assert decoding.decode(reader, PLENTY) == b"hello"
        with pytest.raises(EOFError):
            decoding.decode(reader, PLENTY)


def test_many_chunks_come_out_as_one_piece() -> None:
    reader = Reader()
    reader.feed(b"1\r\na\r\n" * PIECES_MOST)
    assert ChunkedBody(Reason.MALFORMED).decode(reader, PLENTY) == b"a" * PIECES_MOST


def test_encoding() -> None:
    assert body.chunk(b"hello") + body.LAST_CHUNK == HELLO
    assert body.chunk(b"x" * 255)[:4] == b"ff\r\n"
    assert body.chunk(b"") == b""


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 500)), st.integers(1, 50))
def test_decoding_is_the_reverse_of_encoding(parts: list[bytes], cuts: list[int], most: int) -> None:
    raw = b"".join(map(body.chunk, parts)) + body.LAST_CHUNK
    assert chunked(raw + b"rest", cuts, most) == Outcome(value=b"".join(parts), rest=b"rest")


def mostly(right: bytes, *wrong: bytes) -> st.SearchStrategy[bytes]:
    return st.integers(0, 30).flatmap(lambda dice: st.sampled_from(wrong) if dice == 7 else st.just(right))


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    payload = draw(st.binary(min_size=1, max_size=12))
    size = draw(
        mostly(b"%x" % len(payload), b"%x" % (len(payload) + 1), b"+1", b"", b"g", b"F" * 16, b"0" * 17)
    )
    extension = draw(mostly(b"", b";a=b", b" ", b";\0"))
    return (
        size + extension + draw(mostly(b"\r\n", b"\n")) + payload + draw(mostly(b"\r\n", b"\n", b"\r", b""))
    )


BODY = st.tuples(
    st.lists(chunks(), max_size=5).map(b"".join),
    mostly(b"0\r\n", b"0\n", b"0;x\r\n", b""),
    st.lists(mostly(b"X: a\r\n", b"X\r\n", b"X : a\r\n", b" X: a\r\n", b"X:\0\r\n"), max_size=2).map(
        b"".join
    ),
    mostly(b"\r\n", b"\n", b"\r", b""),
    st.just(b"rest"),
).map(b"".join)


def test_any_bytes_are_decoded_refused_or_short_however_they_are_cut() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, deadline=None, database=None)
    @given(BODY, st.integers(0, 40), st.lists(st.integers(1, 120), max_size=6), st.integers(1, 20))
    def run(raw: bytes, spared: int, cuts: list[int], most: int) -> None:
        raw = raw[: len(raw) - spared] if spared < 20 else raw
        whole = chunked(raw)
        seen[whole.name] += 1
        assert chunked(raw, cuts, most) == whole

    run()
    assert {"accepted", "short", "MALFORMED"} == set(seen), seen
    assert min(seen.values()) > 5, seen


def test_no_piece_is_larger_than_asked_for_and_nothing_is_lost() -> None:
    payload = bytes(range(256)) * 64
    raw = body.chunk(payload) + body.LAST_CHUNK
    for most, step in itertools.product((1, 100, 4096), (7, 5000)):
        assert chunked(raw, range(0, len(raw), step), most).value == payload


def test_a_call_joins_so_many_chunks_and_no_more() -> None:
    """One byte in each chunk is little payload and much work."""
    body, reader = ChunkedBody(Reason.MALFORMED), Reader()
    reader.feed(b"1\r\nx\r\n" * (PIECES_MOST + 1) + b"0\r\n\r\n")
    assert body.decode(reader, 1 << 20) == b"x" * PIECES_MOST
    assert not body.done
    assert body.decode(reader, 1 << 20) == b"x"
    assert body.done
