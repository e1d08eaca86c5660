"""What becomes of the connections through a chain: who carries how many, and whether they lived.

A hop that takes a connection and drops it is as dead as one that takes none, and more expensive. So a dial
alone proves nothing: it counts as a success once a byte came back, or once it has lived for `early` seconds;
and as a failure if its upstream ends it sooner without a byte. A client that leaves first proves neither.
"""

from collections import OrderedDict
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
    heard: int  # bytes that the handshakes took; what comes after them is the target's
    began: float  # the dial; engine's clock, as all times here
    due: float  # when it has lived long enough


class Relays:
    """The connections of one chain. `early` is in seconds."""

    def __init__(self, early: float) -> None:
        self._early = early
        # In the order of their `due`. Those that are over are not among them: nothing of them is kept.
        self._young: OrderedDict[_Young, None] = OrderedDict()

    @property
    def unproved(self) -> int:
        """Connections that live and have proved nothing yet."""
        return len(self._young)

    def begin(self, path: tuple[Step, ...], stream: Stream, began: float, now: float) -> None:
        """A dial through `path`, begun at `began`, has succeeded."""
        # What the target said with the last hop's reply is in the reader, and its own.
        heard = stream.received - len(stream.reader)
        young = _Young(path, heard, began, now + self._early)
        for step in path:
            step.position.entered(step.index)
        self._young[young] = None
        stream.on_close = partial(self._closed, young)

    def sweep(self, now: float) -> None:
        """Those that have lived long enough did so because every hop works."""
        while (young := next(iter(self._young), None)) is not None and young.due <= now:
            self._succeeded(young, now)

    def _closed(self, young: _Young, stream: Stream) -> None:
        now = stream.keeper.now
        for step in young.path:
            step.position.left(step.index)
        if young not in self._young:
            return
        if stream.received > young.heard or now >= young.due:
            self._succeeded(young, now)
            return
        del self._young[young]
        if stream.ended_first:
            for step in young.path:
                step.score.failed(young.began, now)

    def _succeeded(self, young: _Young, now: float) -> None:
        del self._young[young]
        for step in young.path:
            step.score.succeeded(young.began, now)
