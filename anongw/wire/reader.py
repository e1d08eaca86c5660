"""The buffer between a stream and a codec: bytes in as they arrive, fields out as they are asked for.

A codec is a generator over a Reader. It yields (nothing) when it needs more bytes and returns a value, so it
reads like blocking code, gives the same value however the bytes were cut, and never meets a socket. The loop
that feeds it is written once (`net/stream.py`). Whatever a codec did not take stays here, and the relay
forwards it: nothing that was sent early is lost.

Rules: every unbounded read has a mandatory limit; only `Refused` and `EOFError` come out of here.
"""

import re
from collections.abc import Generator

from anongw.errors import Reason, Refused

# Bytes that are copied in less time than a view of them takes to make.
_SHORT = 512


class Reader:
    """Bytes received and not yet understood."""

    __slots__ = ("_buffer", "_eof")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._eof = False

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def at_eof(self) -> bool:
        """The peer has said its last and everything it said has been taken."""
        return self._eof and not self._buffer

    @property
    def eof(self) -> bool:
        """The peer has said its last; some of it may still be here."""
        return self._eof

    @property
    def is_spent(self) -> bool:
        """All that came has been taken, and the peer may say more."""
        return not self._buffer and not self._eof

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self._buffer += data

    def feed_eof(self) -> None:
        self._eof = True

    def find(self, separator: bytes, start: int = 0, end: int | None = None) -> int:
        """Where `separator` begins, wholly between `start` and `end`; -1 if it is not here."""
        return self._buffer.find(separator, start, end)

    def search(self, pattern: re.Pattern[bytes], start: int = 0) -> bool:
        """Whether `pattern` matches anywhere from `start` on."""
        # No match object leaves: it would pin the buffer, which could then not grow.
        return pattern.search(self._buffer, start) is not None

    def take(self, most: int | None = None) -> bytes:
        """What is here, at most `most` bytes, without waiting; b"" if nothing is."""
        if most is None or most >= len(self._buffer):
            taken = bytes(self._buffer)
            self._buffer.clear()
        else:
            taken = self._cut(most)
        return taken

    def peek_now(self, count: int) -> bytes:
        """What is here of the next `count` bytes, without waiting and without taking it."""
        return bytes(self._buffer[:count])

    def unread(self, data: bytes) -> None:
        """Put bytes back in front of everything else."""
        self._buffer[:0] = data

    def peek(self, count: int) -> Generator[None, None, bytes]:
        """Look at the next `count` bytes and leave them; EOFError if the peer closes first."""
        while len(self._buffer) < count:
            if self._eof:
                raise EOFError(f"closed after {len(self._buffer)} of {count} bytes")
            yield
        return bytes(self._buffer[:count])

    def exactly(self, count: int) -> Generator[None, None, bytes]:
        """Take the next `count` bytes; EOFError if the peer closes first."""
        while len(self._buffer) < count:
            if self._eof:
                raise EOFError(f"closed after {len(self._buffer)} of {count} bytes")
            yield
        return self._cut(count)

    def until(self, separator: bytes, limit: int) -> Generator[None, None, bytes]:
        """Take everything up to and with `separator`, at most `limit` bytes of it.

        Raises:
            Refused: TOO_LARGE as soon as it is certain that the limit will be passed.
            EOFError: the peer closed first.
        """
        buffer = self._buffer
        seen = 0
        while True:
            found = buffer.find(separator, seen)
            end = found + len(separator)
            if found >= 0 and end <= limit:
                return self._cut(end)
            if found >= 0 or len(buffer) >= limit:
                raise Refused(Reason.TOO_LARGE, f"no end within {limit} bytes")
            if self._eof:
                raise EOFError(f"closed after {len(buffer)} bytes")
            seen = max(0, len(buffer) - len(separator) + 1)
            yield

    def _cut(self, count: int) -> bytes:
        # Through a view: a slice of a bytearray would copy once more, which only a short one is worth.
        # Cutting from the front moves a bytearray's start and copies nothing, so small bites are cheap.
        if count <= _SHORT:
            taken = bytes(self._buffer[:count])
        else:
            with memoryview(self._buffer) as view:
                taken = bytes(view[:count])
        del self._buffer[:count]
        return taken
