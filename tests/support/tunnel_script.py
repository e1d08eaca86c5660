"""Scripts of what the two ends of a tunnel do, how they are played, and what must be true afterwards.

Each end sends what its kernel takes and reads unless it is paused. After each action both get some rounds, so
that actions meet transfers that are under way. At the end both read, say their last and wait for their end.
"""

import random
import socket
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain

from hypothesis import strategies as st

from anongw.errors import Reason
from anongw.net.stream import CHUNK, Stream
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Kind, Peer
from tests.support.tunnel import CountedPipes, Tunnel

MOST = 6 * 2**20  # bytes that one end says in all
# What each end says, so that a byte lost, doubled, swapped or taken from elsewhere shows.
_SAYINGS = (random.Random(1).randbytes(MOST), random.Random(2).randbytes(MOST))
# Rounds without any progress after which a tunnel is stuck: seconds, for a kernel delays some ACKs by 40 ms.
_STUCK = 5000

Action = tuple[int, tuple[str, int], int]  # which end, what and how much, how many rounds after it

SIZES = st.sampled_from([1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 2**20, 3 * 2**20])
ACTIONS = st.tuples(
    st.integers(0, 1),
    st.one_of(
        st.tuples(st.just("send"), SIZES),
        st.tuples(st.sampled_from(["pause", "resume", "last"]), st.just(0)),
    ),
    st.integers(0, 4),
)


def _bulk(which: int, rounds: int) -> Action:
    return (which, ("send", 3 * 2**20), rounds)


# What most scripts begin and end with, so that each outcome is common: bulk, read or not, then a sudden end.
OPENINGS = st.sampled_from(
    [
        [],
        [_bulk(0, 1)],
        [_bulk(1, 1)],
        [(1, ("pause", 0), 0), _bulk(0, 3)],
        [(0, ("pause", 0), 0), _bulk(1, 3)],
    ]
)
ENDINGS = st.one_of(
    st.builds(lambda which, rounds: [(which, ("reset", 0), rounds)], st.integers(0, 1), st.integers(0, 2)),
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.tuples(st.sampled_from(["reset", "close", "last"]), st.just(0)),
            st.integers(0, 2),
        ),
        max_size=2,
    ),
)


@dataclass(frozen=True)
class Script:
    kind: Kind
    buffer: int | None  # bytes of the kernel's buffers
    pipes: int  # bytes of pipes
    early: tuple[int, int]  # bytes that had come before the tunnel began
    actions: list[Action]


SCRIPTS = st.builds(
    Script,
    kind=st.sampled_from(Kind),
    buffer=st.sampled_from([None, None, 16384]),
    pipes=st.sampled_from([0, 8 * 2**20]),
    early=st.tuples(st.sampled_from([0, 0, 1, CHUNK]), st.sampled_from([0, 0, 1, CHUNK])),
    actions=st.builds(lambda *parts: [*chain(*parts)], OPENINGS, st.lists(ACTIONS, max_size=6), ENDINGS),
)


@dataclass
class End:
    """One end: what it has said and heard."""

    peer: Peer
    saying: bytes = field(repr=False)
    told: int  # bytes of `saying` that it wants to have said
    said: int  # of them, taken by its kernel
    heard: bytearray = field(default_factory=bytearray, repr=False)
    reading: bool = True
    spoken: bool = False  # it has no more to say
    last: bool = False  # and its kernel knows
    gone: str = ""  # it was reset or closed, by itself
    hears: str = ""  # how the other side ended: "last" or "reset"

    def act(self, action: str, size: int) -> None:
        if self.gone:
            return
        match action:
            case "send" if not self.spoken:
                self.told = min(self.told + size, len(self.saying))
            case "pause" | "resume":
                self.reading = action == "resume"
            case "last":
                self.spoken = True
            case "reset" | "close":
                self.gone = action
                if action == "reset" and self.peer.sock.family == socket.AF_INET:
                    self.peer.reset()
                else:
                    self.peer.close()

    def move(self) -> bool:
        """Say and hear what the kernel allows; whether that was anything."""
        if self.gone:
            return False
        before = (self.said, self.last, len(self.heard), self.hears)
        try:
            self._say()
        except BlockingIOError:
            pass
        except OSError:
            # The reset is told here, once; what came before it can still be read.
            self.hears = self.hears or "reset"
            self._hear_all()
            self.spoken = self.last = True
            self.told = self.said
        if self.reading:
            self._hear_all()
        return before != (self.said, self.last, len(self.heard), self.hears)

    @property
    def over(self) -> bool:
        return bool(self.gone or (self.hears and self.last))

    def _say(self) -> None:
        while self.said < self.told:
            self.said += self.peer.sock.send(self.saying[self.said : self.told])
        if self.spoken and not self.last:
            self.last = True
            self.peer.last()

    def _hear_all(self) -> None:
        while self.hears in ("", "reset"):
            try:
                data = self.peer.sock.recv(2**20)
            except BlockingIOError:
                return
            except OSError:
                self.hears = "reset"
                return
            if not data:
                self.hears = self.hears or "last"
                return
            self.heard += data


async def play(script: Script, outcomes: Counter[str]) -> None:
    """Play it, hold it against the rules, and count what happened."""
    pipes = CountedPipes(script.pipes)
    early = (_SAYINGS[0][: script.early[0]], _SAYINGS[1][: script.early[1]])
    async with driven() as engine:
        tunnel = Tunnel(engine, pipes, kind=script.kind, buffer=script.buffer, early=early)
        tunnel.near.received, tunnel.far.received = script.early
        ends = tuple(
            End(peer, saying, count, count)
            for peer, saying, count in zip(
                (tunnel.client, tunnel.origin), _SAYINGS, script.early, strict=True
            )
        )
        for which, (action, size), rounds in script.actions:
            ends[which].act(action, size)
            for _ in range(rounds):
                await _round(engine, tunnel, ends, outcomes)
        for end in ends:
            end.act("resume", 0)
            end.act("last", 0)
        idle = 0
        while not (tunnel.flow.is_over and all(end.over for end in ends)):
            idle = 0 if await _round(engine, tunnel, ends, outcomes) else idle + 1
            assert idle < _STUCK, f"stuck: {ends} {tunnel.blocked} {tunnel.flow.reasons}"
            engine.sweep()
        judge(script.kind, tunnel, ends, outcomes)
        assert pipes.all_are_back
        pipes.close()
    outcomes["spliced" if pipes.borrowed else "copied"] += 1
    outcomes["gave a dirty pipe back"] += False in pipes.returned


async def _round(engine: DrivenEngine, tunnel: Tunnel, ends: tuple[End, ...], outcomes: Counter[str]) -> bool:
    moved = [end.move() for end in ends]
    await engine.at_rest()
    assert tunnel.held <= 2 * CHUNK, "one chunk a direction"
    outcomes["stalled up"] += tunnel.blocked[0]
    outcomes["stalled down"] += tunnel.blocked[1]
    return any(moved)


def judge(kind: Kind, tunnel: Tunnel, ends: tuple[End, ...], outcomes: Counter[str]) -> None:
    """Hold what each end heard against what the other said, once the tunnel is over."""
    client, origin = ends
    streams = (tunnel.near, tunnel.far)
    for speaker, hearer, stream in zip(ends, reversed(ends), streams, strict=True):
        assert hearer.heard == speaker.saying[: len(hearer.heard)], "only what was said, in order"
        if not hearer.gone:
            assert len(hearer.heard) == stream.received, "all that had arrived"
        if not (hearer.gone or speaker.gone):
            assert len(hearer.heard) == speaker.told, "all that was said"
    if not (client.gone or origin.gone):
        assert (client.hears, origin.hears) == ("last", "last")
        assert tunnel.flow.reasons == [None]
        outcomes["both said their last"] += 1
    for speaker, hearer, stream in zip(ends, reversed(ends), streams, strict=True):
        if speaker.gone == "reset" and kind is Kind.TCP and not hearer.gone:
            _judge_reset(tunnel, speaker, hearer, stream)
            outcomes["reset up" if speaker is client else "reset down"] += 1


def _judge_reset(tunnel: Tunnel, speaker: End, hearer: End, stream: Stream) -> None:
    if not speaker.last:
        assert hearer.hears == "reset", "a reset is passed on as one"
    if not hearer.last:
        assert tunnel.flow.reasons == [stream.lost]
    assert tunnel.flow.reasons[0] in (None, Reason.CLIENT_GONE, Reason.UPSTREAM_CLOSED)
