"""What becomes of the connections through a chain: who carries how many, and whether they lived.

A hop that takes a connection and drops it is as dead as one that takes none, and more expensive. So a dial
alone proves nothing: it counts as a success once a byte came back, or once it has lived for `early` seconds;
and as a failure if its upstream ends it sooner without a byte. A client that leaves first proves neither.
"""

from collections import deque
from dataclasses import dataclass
from functools import partial

from anongw.config import Member
from anongw.net.stream import Stream
from anongw.outbound.health import Score
from anongw.outbound.position import Position


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One hop of a path: a member of a position."""

    position: Position
    index: int

    @property
    def member(self) -> Member:
        return self.position.members[self.index]

    @property
    def score(self) -> Score:
        return self.position.scores[self.index]


@dataclass(slots=True, eq=False)
class _Young:
    """A connection that has proved nothing yet."""

    path: tuple[Step, ...]
    stream: Stream
    heard: int  # bytes that the handshakes took; what comes after them is the target's
    began: float  # the dial; engine's clock, as all times here
    due: float  # when it has lived long enough
    judged: bool = False


class Relays:
    """The connections of one chain. `early` is in seconds."""

    def __init__(self, early: float) -> None:
        self._early = early
        self._young: deque[_Young] = deque()

    def begin(self, path: tuple[Step, ...], stream: Stream, began: float, now: float) -> None:
        """A dial through `path`, begun at `began`, has succeeded."""
        # What the target said with the last hop's reply is in the reader, and its own.
        heard = stream.received - len(stream.reader)
        young = _Young(path, stream, heard, began, now + self._early)
        for step in path:
            step.position.entered(step.index)
        self._young.append(young)
        stream.on_close = partial(self._closed, young)

    def sweep(self, now: float) -> None:
        """Those that have lived long enough did so because every hop works."""
        while self._young and self._young[0].due <= now:
            _succeeded(self._young.popleft(), now)

    def _closed(self, young: _Young, stream: Stream) -> None:
        now = stream.keeper.now
        for step in young.path:
            step.position.left(step.index)
        if stream.received > young.heard or now >= young.due:
            _succeeded(young, now)
        elif stream.ended_first:
            for step in young.path:
                step.score.failed(young.began, now)
        young.judged = True


def _succeeded(young: _Young, now: float) -> None:
    if not young.judged:
        young.judged = True
        for step in young.path:
            step.score.succeeded(young.began, now)
