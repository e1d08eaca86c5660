"""Several tunnels in one engine, opened and closed among each other, so that descriptors' numbers come back.

Each step acts on some ends before the engine looks again: all that follows from it lies in one batch of
events. A tunnel that ends opens the next one, in the midst of a batch. Every end of every tunnel says what no
other does, so that a byte that strayed shows.
"""

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Kind
from tests.support.tunnel import CountedPipes, Tunnel
from tests.support.tunnel_script import End, judge

MOST_SAID = 2**20  # bytes of one end; enough for splice, and for a reader that stops to be felt
MOST_TUNNELS = 24
_SHIFT = 997
_WORDS = random.Random(3).randbytes(MOST_SAID + 2 * MOST_TUNNELS * _SHIFT)
# Rounds without any progress after which a tunnel is stuck.
_STUCK = 5000

Action = tuple[int, int, str, int]  # which tunnel of those that are open, which end, what, how much
Step = tuple[list[Action], int]  # what is done at once, and how many rounds after it

_ACTIONS = st.tuples(
    st.integers(0, 7),
    st.integers(0, 1),
    st.sampled_from(["send", "send", "pause", "resume", "last", "reset", "close"]),
    st.sampled_from([1, 100, 70_000, MOST_SAID]),
)
STEPS = st.lists(
    st.tuples(st.lists(_ACTIONS, min_size=1, max_size=8), st.integers(0, 3)), min_size=1, max_size=8
)
# What many begin with, so that what is rare by chance is common: bulk, bulk whose reader stops and then
# breaks, and a sudden end of either side.
OPENINGS = st.sampled_from(
    [
        [],
        [([(0, 0, "send", MOST_SAID), (1, 1, "send", MOST_SAID)], 1)],
        [([(0, 1, "pause", 0), (0, 0, "send", MOST_SAID)], 3), ([(0, 1, "reset", 0)], 1)],
        [([(1, 0, "pause", 0), (1, 1, "send", MOST_SAID)], 3), ([(1, 0, "close", 0)], 0)],
        [([(0, 0, "send", 100), (1, 1, "send", 100)], 1), ([(0, 0, "reset", 0), (1, 1, "reset", 0)], 1)],
    ]
)


@dataclass(frozen=True)
class Story:
    kind: Kind
    buffer: int | None  # bytes of the kernel's buffers
    pipes: int  # bytes of pipes
    openings: int  # tunnels at the beginning; each is replaced when it ends
    steps: list[Step]


STORIES = st.builds(
    Story,
    kind=st.sampled_from(Kind),
    buffer=st.sampled_from([None, None, 16384]),
    pipes=st.sampled_from([0, 8 * 2**20, 8 * 2**20]),
    openings=st.integers(2, 4),
    steps=st.builds(lambda first, then: [*first, *then], OPENINGS, STEPS),
)


class Crowd:
    """The tunnels of one story."""

    def __init__(self, story: Story, engine: DrivenEngine, outcomes: Counter[str]) -> None:
        self._story = story
        self._engine = engine
        self._outcomes = outcomes
        self._numbers: set[int] = set()
        self.replaces = True  # a tunnel that ends opens the next one
        self.pipes = CountedPipes(story.pipes)
        self.tunnels: list[tuple[Tunnel, tuple[End, End]]] = []
        for _ in range(story.openings):
            self.open()

    def open(self) -> None:
        count = len(self.tunnels)
        if count == MOST_TUNNELS or not self.replaces:
            return
        story = self._story
        tunnel = Tunnel(self._engine, self.pipes, kind=story.kind, buffer=story.buffer, then=self.open)
        client, origin = (_saying(2 * count + which) for which in (0, 1))
        ends = (End(tunnel.client, client, 0, 0), End(tunnel.origin, origin, 0, 0))
        self.tunnels.append((tunnel, ends))
        numbers = {tunnel.near.fd, tunnel.far.fd}
        given_up = {sock.fileno() for sock in self._engine._dead}
        assert not numbers & given_up, "a number that this batch may still speak of"
        self._outcomes["opened within a batch"] += self._engine._in_turn
        self._outcomes["opened beside what was given up"] += bool(given_up)
        self._outcomes["a number came back"] += bool(numbers & self._numbers)
        self._numbers |= numbers

    def act(self, which: int, end: int, what: str, size: int) -> None:
        living = [one for one in self.tunnels if not one[0].flow.is_over]
        if not living:
            return
        living[which % len(living)][1][end].act(what, size)

    async def round(self) -> bool:
        """Everybody says and hears what it can; whether that was anything."""
        moved = [end.move() for _, ends in self.tunnels for end in ends]
        await self._engine.at_rest()
        for tunnel, _ in self.tunnels:
            self._outcomes["stalled"] += any(tunnel.blocked)
        return any(moved)


def _saying(number: int) -> bytes:
    """What one end has to say: at every place another byte than at the others' same place, most likely."""
    return _WORDS[number * _SHIFT : number * _SHIFT + MOST_SAID]


async def tell(story: Story, outcomes: Counter[str]) -> None:
    """Play it, hold it against the rules, and count what happened."""
    async with driven() as engine:
        crowd = Crowd(story, engine, outcomes)
        for actions, rounds in story.steps:
            for action in actions:
                crowd.act(*action)
            for _ in range(rounds):
                await crowd.round()
        crowd.replaces = False
        for _, ends in crowd.tunnels:
            for end in ends:
                end.act("resume", 0)
                end.act("last", 0)
        idle = 0
        while not all(
            tunnel.flow.is_over and all(end.over for end in ends) for tunnel, ends in crowd.tunnels
        ):
            idle = 0 if await crowd.round() else idle + 1
            assert idle < _STUCK, f"stuck: {[ends for _, ends in crowd.tunnels]}"
            engine.sweep()
        for tunnel, ends in crowd.tunnels:
            judge(story.kind, tunnel, ends, outcomes)
        assert crowd.pipes.all_are_back
        crowd.pipes.close()
    outcomes["spliced" if crowd.pipes.borrowed else "copied"] += 1
