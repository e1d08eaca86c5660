"""Feed a codec bytes in pieces and see how it ends.

Every codec must read the same value however its bytes were cut, leave what follows, and end in one of three
ways. Anything else that it raises comes through and fails the test.
"""

import itertools
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from anongw.errors import Reason, Refused
from anongw.wire.reader import Reader

T = TypeVar("T")
Codec = Callable[[Reader], Generator[None, None, T]]


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """A value with what it left, or a reason to refuse, or neither: the bytes ended too early."""

    value: T | None = None
    rest: bytes = b""
    reason: Reason | None = None
    short: bool = False

    @property
    def name(self) -> str:
        """What a property test counts."""
        if self.reason:
            return self.reason.name
        return "short" if self.short else "accepted"


def pieces(raw: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`raw`, cut at these offsets; those behind its end do nothing."""
    ends = sorted({cut for cut in cuts if 0 < cut < len(raw)})
    return [raw[start:end] for start, end in itertools.pairwise((0, *ends, len(raw)))]


def feed(codec: Codec[T], raw: bytes, cuts: Iterable[int] = ()) -> Outcome[T]:
    """What the codec makes of these bytes and the end behind them."""
    reader = Reader()
    step = codec(reader)
    waiting = pieces(raw, cuts)
    try:
        while True:
            next(step)
            if waiting:
                reader.feed(waiting.pop(0))
            else:
                assert not reader.eof, "asked for more behind the end"
                reader.feed_eof()
    except StopIteration as done:
        return Outcome(value=done.value, rest=reader.take() + b"".join(waiting))
    except Refused as refused:
        return Outcome(reason=refused.reason)
    except EOFError:
        return Outcome(short=True)
