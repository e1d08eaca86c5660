"""HTTP/1 bodies: decoders over a Reader, and the chunked encoder (RFC 9112 §6 and §7).

A decoder gives the payload that is here and never waits, so a body of any size goes through in constant
memory: whoever drives it asks for at most as much as there is room for. Every body is framed anew by us; of
a chunked one nothing but its payload survives. Chunk extensions and trailers are dropped, because trailers
are a second header block that no filter has seen.

Rules: a decoder takes no byte behind its body; a body that ends too early is an EOFError; bad chunking is a
Refused with the reason that its owner gave, because only the owner knows whose fault it is.
"""

import re
from typing import Protocol

from anongw.errors import Reason, Refused
from anongw.wire.http1 import Framing, Kind
from anongw.wire.reader import Reader

LAST_CHUNK = b"0\r\n\r\n"
# Bytes of a chunk's size line, CRLF included: 16 digits and room for extensions, which nobody uses.
SIZE_LINE_MOST = 256
# Bytes of one chunk: what Content-Length may say at most, so that neither framing allows more.
CHUNK_MOST = 10**15 - 1
# Bytes of all trailers together, CRLFs included: checksums and a signature fit many times.
TRAILERS_MOST = 8192
# Chunks joined by one call. A peer that sends one byte in each would have us work for long on what a single
# read brought, and whoever drives us lets others have their turn between two calls.
PIECES_MOST = 256

_CRLF = b"\r\n"
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*)?")
# What stands between two chunks, nearly always: the end of one, and the size of the next, which is not the
# last. Twelve digits are less than CHUNK_MOST.
_BETWEEN = re.compile(rb"\r\n(?!0+\r\n)([0-9A-Fa-f]{1,12})\r\n")
_BETWEEN_MOST = 16  # bytes
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")


class Body(Protocol):
    """The rest of one message."""

    done: bool  # everything was decoded; what is in the reader now belongs to the next message

    def decode(self, reader: Reader, most: int) -> bytes:
        """The payload that is here, at most `most` (> 0) bytes; b"" if none is yet, or if it is done.

        Raises:
            EOFError: the peer closed before the end, and all that came has been given out.
            Refused: the framing is wrong.
        """
        ...


class LengthBody:
    """So many bytes (RFC 9112 §6.2); none of them is no body at all."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length  # bytes that have not been decoded
        self.done = not length

    def decode(self, reader: Reader, most: int) -> bytes:
        data = reader.take(min(self.left, most))
        self.passed(len(data))
        if not data and not self.done and reader.eof:
            raise EOFError(f"closed {self.left} bytes before the end of a body")
        return data

    def passed(self, count: int) -> None:
        """So many of them went another way than through a reader: they are their own encoding."""
        self.left -= count
        self.done = not self.left


class CloseBody:
    """All until the peer closes: whether anything is missing cannot be known (RFC 9112 §8)."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def decode(self, reader: Reader, most: int) -> bytes:
        data = reader.take(most)
        self.done = reader.at_eof
        return data


class ChunkedBody:
    """Chunks (RFC 9112 §7.1). Strict: hexadecimal digits, CRLF, no blanks, known limits."""

    __slots__ = ("_chunk_open", "_left", "_reason", "_trailers", "done")

    def __init__(self, reason_if_bad: Reason) -> None:
        self._reason = reason_if_bad
        self._left = 0  # bytes of payload that this chunk still has to give
        self._chunk_open = False  # the CRLF behind its payload has not come yet
        self._trailers = -1  # bytes of trailers that may still come; -1 before the last chunk
        self.done = False

    def decode(self, reader: Reader, most: int) -> bytes:
        pieces = []
        while not self.done:
            if self._left:
                piece = reader.take(min(self._left, most))
                if not piece:  # the reader is empty, or `most` is reached
                    break
                pieces.append(piece)
                most -= len(piece)
                self._left -= len(piece)
                if len(pieces) == PIECES_MOST:
                    break
            elif not (self._chunk_open and self._next_chunk(reader)) and not self._step(reader):
                break
        if not pieces and not self.done and reader.eof:
            raise EOFError("closed before the last chunk")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _next_chunk(self, reader: Reader) -> bool:
        """Two steps at once, where all is usual; else none."""
        between = _BETWEEN.match(reader.peek_now(_BETWEEN_MOST))
        if between is None:
            return False
        reader.take(between.end())
        self._left = int(between[1], 16)
        return True

    def _step(self, reader: Reader) -> bool:
        """Understand the next line that is not payload; False if it is not wholly here."""
        if self._chunk_open:
            return self._chunk_end(reader)
        if self._trailers < 0:
            return self._size_line(reader)
        return self._trailer(reader)

    def _chunk_end(self, reader: Reader) -> bool:
        end = reader.peek_now(len(_CRLF))
        if not _CRLF.startswith(end):
            raise Refused(self._reason, "no CRLF behind a chunk")
        if end != _CRLF:
            return False
        reader.take(len(_CRLF))
        self._chunk_open = False
        return True

    def _size_line(self, reader: Reader) -> bool:
        line = self._line(reader, SIZE_LINE_MOST)
        if line is None:
            return False
        size = _SIZE_LINE.fullmatch(line)
        if not size:
            raise Refused(self._reason, "chunk size")
        self._left = int(size[1], 16)
        if self._left > CHUNK_MOST:
            raise Refused(self._reason, f"a chunk over {CHUNK_MOST} bytes")
        if self._left:
            self._chunk_open = True
        else:
            self._trailers = TRAILERS_MOST
        return True

    def _trailer(self, reader: Reader) -> bool:
        line = self._line(reader, self._trailers)
        if line is None:
            return False
        self._trailers -= len(line) + len(_CRLF)
        if not line:
            self.done = True
        elif not _TRAILER.fullmatch(line):
            raise Refused(self._reason, "trailer")
        return True

    def _line(self, reader: Reader, most: int) -> bytes | None:
        """The next line without its CRLF, if it is here; with it, it may have `most` bytes."""
        end = reader.find(_CRLF, 0, most)
        if end < 0:
            if len(reader) >= most:
                raise Refused(self._reason, f"no end of line within {most} bytes")
            return None
        return reader.take(end + len(_CRLF))[:end]


def decoder(framing: Framing, reason: Reason) -> Body:
    """The decoder of a body; `reason` is MALFORMED for a client's, UPSTREAM_MALFORMED for an origin's."""
    if framing.kind is Kind.CHUNKED:
        return ChunkedBody(reason)
    if framing.kind is Kind.CLOSE:
        return CloseBody()
    return LengthBody(framing.length)


def chunk(data: bytes) -> bytes:
    """One chunk of payload. Of nothing it makes nothing: an empty chunk would be the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
