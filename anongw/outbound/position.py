"""Which member of a position a dial goes through: one upstream, or some of a pool.

Rules, each with its test:

- Nobody is chosen but the members that the file lists, and never one that this dial has tried.
- A member that is down gets nobody new while there is another. Where all are down, the one that is due next
  is chosen all the same: a pool is never dead for ever, and never a reason to go another way.
- An identity keeps its members, so that it looks like one person with one exit: for `sticky` seconds or
  `sticky_count` connections, whichever is over first, and then moves to others, if there are any.
- What one identity does moves no other. So an identity moves when a dial of its own failed, and not because
  its member went down in another's hands: who can make that happen could watch the two move together.
"""

import math
import random
from collections.abc import Container, Sequence
from dataclasses import dataclass

from anongw import config
from anongw.outbound.health import Score, State
from anongw.outbound.stays import Indexes, OwnStays, Stay, Stays


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """What may be told of a member: nothing of who uses it."""

    url: str  # without credentials
    state: State
    held: float  # seconds until it is tried again
    live: int
    dials: int
    failures: int
    latency: float | None  # seconds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A position at one moment."""

    strategy: str
    members: tuple[MemberStatus, ...]


class Position:
    """One `[[hop]]`: its members, how they do, and who goes through which. Times are as in `Score`.

    Args:
        settings: the position as the chain's file has it.
        health: when its members are down.
        draw: where chance comes from; `random.SystemRandom()`, except in a test.
        sticky_most: identities to remember; the one that was away longest is forgotten, and chooses anew.
        scores: of the members, in their order, and
        stays: which identity has which of them, where workers share these.

    """

    def __init__(  # noqa: PLR0913 - one fact each, named at every call
        self,
        settings: config.Hop,
        health: config.Health,
        *,
        draw: random.Random,
        sticky_most: int,
        scores: Sequence[Score] = (),
        stays: Stays | None = None,
    ) -> None:
        self.settings = settings
        self.members = settings.members
        self.scores = tuple(scores) or tuple(Score(health) for _ in self.members)
        self._health = health
        self._draw = draw
        # A fail-over's first member is everybody's, as soon as it is up again.
        self._sticks = settings.sticky > 0 and settings.strategy != "fail-over"
        self._stays: Stays = stays if stays is not None else OwnStays(sticky_most)
        self._turn = 0  # whose it is, for round-robin

    def choose(self, identity: str, now: float, tried: frozenset[int]) -> Indexes:
        """`pick` different members for a dial; () where so many are not left beside those `tried`."""
        if not self._sticks:
            return self._pick(now, tried, had=())
        with self._stays.changing():
            stay = self._stays.find(identity)
            if stay is None or not self._holds(stay, now) or not tried.isdisjoint(stay.indexes):
                indexes = self._pick(now, tried, had=stay.indexes if stay else ())
                stay = Stay(indexes, now)
            if stay.indexes:
                # At once, and not when the dial has succeeded: a browser dials six times before that.
                self._stays.put(identity, stay, now)
        return stay.indexes

    def used(self, identity: str, indexes: Indexes, now: float) -> None:
        """A dial of this identity through these succeeded: one more of `sticky_count`."""
        if not self._sticks:
            return
        with self._stays.changing():
            stay = self._stays.find(identity)
            if stay is not None and stay.indexes == indexes:
                stay.used += 1
                self._stays.put(identity, stay, now)

    def forget(self, identity: str) -> None:
        """It chooses anew, as if it had never been here."""
        with self._stays.changing():
            self._stays.forget(identity)

    def renew(self, old: str, new: str, now: float) -> None:
        """An identity goes on as another, which chooses anew, and other members where there are any."""
        with self._stays.changing():
            stay = self._stays.find(old)
            if stay is not None:
                self._stays.forget(old)
                self._stays.put(new, Stay(stay.indexes, -math.inf), now)

    def entered(self, index: int) -> None:
        """A connection through this member begins."""
        self.scores[index].live += 1

    def left(self, index: int) -> None:
        """It is over."""
        self.scores[index].live -= 1

    def inherit(self, old: "Position") -> None:
        """Take over what `old`, this position before a reload, knows of members that are the same.

        Connections through `old` go on, and are counted here too.
        """
        places = {member: index for index, member in enumerate(self.members)}
        moved = {index: places[was] for index, was in enumerate(old.members) if was in places}
        scores = list(self.scores)
        for before, index in moved.items():
            scores[index] = old.scores[before]
            scores[index].settings = self._health
        self.scores = tuple(scores)
        if not self._sticks:
            return
        self._stays.take_over(old._stays, moved, self.settings.pick)  # noqa: SLF001 - another of this class

    def snapshot(self, now: float) -> Snapshot:
        members = tuple(
            MemberStatus(
                url=str(member.url),
                state=score.state(now),
                held=max(0.0, score.held_until - now),
                live=score.live,
                dials=score.dials,
                failures=score.failures,
                latency=score.latency,
            )
            for member, score in zip(self.members, self.scores, strict=True)
        )
        return Snapshot(self.settings.strategy, members)

    def _holds(self, stay: Stay, now: float) -> bool:
        most = self.settings.sticky_count
        return now < stay.since + self.settings.sticky and (not most or stay.used < most)

    def _pick(self, now: float, tried: Container[int], had: Container[int]) -> Indexes:
        """The best that are left: others than the identity `had`, as far as any are not down."""
        left = [index for index in range(len(self.members)) if index not in tried]
        # Fewer hops than the file says are none at all.
        if len(left) < self.settings.pick:
            return ()
        if len(self.members) == 1:
            return (0,)
        down = {index for index in left if self.scores[index].state(now) is State.DOWN}
        usable = self._by_strategy([index for index in left if index not in down])
        usable.sort(key=lambda index: index in had)
        due = sorted(down, key=lambda index: self.scores[index].held_until)
        chosen = (usable + due)[: self.settings.pick]
        self._turn = (chosen[-1] + 1) % len(self.members)
        self._draw.shuffle(chosen)
        return tuple(chosen)

    def _by_strategy(self, usable: list[int]) -> list[int]:
        """The first is the first choice."""
        match self.settings.strategy:
            case "fail-over":
                return usable
            case "round-robin":
                return sorted(usable, key=lambda index: (index - self._turn) % len(self.members))
            case "random":
                return self._draw.sample(usable, len(usable))
            case "least-used":
                mixed = self._draw.sample(usable, len(usable))
                return sorted(mixed, key=lambda index: self.scores[index].live)
