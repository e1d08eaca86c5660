"""Whether a member of a chain works, learnt from real dials and from nothing else.

Rules, each with its test. `failures` in a row put it down. It is then left alone for `hold`, which doubles
with each outage up to `hold_most`, so that one that comes and goes is asked ever more seldom. After a hold it
is tried: a single failure puts it down again, and only `successes` in a row make it up, and holds short.

Many dials are under way when a member dies, and each of them fails. That is one outage: a dial that began
before the member went down says nothing of what came after, and no failure lengthens a hold that is running.

Workers go by one and the same numbers (`ledger/`), so that they agree on who is down: an identity whose exit
depends on it, that of a fail-over, is not sent through two exits at once because two workers think otherwise.
"""

import enum
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from anongw import config


class State(enum.Enum):
    """What to expect of a member. The value is what status calls it."""

    UP = "up"
    DOWN = "down"  # left alone, unless there is no other
    TRYING = "trying"  # its hold is over, and it has to prove itself


# What all workers share, as places in a row of numbers.
_DOWN, _HELD_UNTIL, _DOWN_SINCE, _HOLD, _IN_A_ROW = range(5)
NUMBERS = 5


class Numbers(Protocol):
    """A row of them; of a list, or of memory that others see too."""

    def __getitem__(self, place: int, /) -> float: ...

    def __setitem__(self, place: int, number: float, /) -> None: ...


class Score:
    """One member's health and totals. Times are seconds of one clock that never goes back.

    Each dial is told once, when it is known how it ended. A target that cannot be reached is no failure: the
    member works if it says so.

    Args:
        settings: when it is down.
        numbers: NUMBERS of them, which other processes may go by too; none are this one's own.
        changing: entered while they are changed.

    """

    def __init__(
        self,
        settings: config.Health,
        numbers: Numbers | None = None,
        changing: AbstractContextManager[None] | None = None,
    ) -> None:
        self.settings = settings
        self.dials = 0  # told of since the start, as all of these
        self.failures = 0  # of these
        self.live = 0  # connections through it, now
        self.latency: float | None = None  # seconds that the last dial through it took, the whole chain's
        self._numbers: Numbers = numbers if numbers is not None else [0.0] * NUMBERS
        self._changing: AbstractContextManager[None] = changing if changing is not None else nullcontext()

    @property
    def held_until(self) -> float:
        """When it is tried again, if it is down."""
        return self._numbers[_HELD_UNTIL]

    @held_until.setter
    def held_until(self, when: float) -> None:
        self._numbers[_HELD_UNTIL] = when

    def state(self, now: float) -> State:
        if not self._numbers[_DOWN]:
            return State.UP
        return State.DOWN if now < self.held_until else State.TRYING

    def succeeded(self, began: float, now: float) -> None:
        """A dial that began at `began` did what it was for."""
        self.dials += 1
        numbers = self._numbers
        if not numbers[_DOWN] and not numbers[_IN_A_ROW]:
            return  # as nearly always: there is nothing to change
        with self._changing:
            if began < numbers[_DOWN_SINCE]:
                return
            if not numbers[_DOWN]:
                numbers[_IN_A_ROW] = 0
                return
            # It was dialled although it was down, for want of another, and works: no need to wait any longer.
            numbers[_HELD_UNTIL] = now
            numbers[_IN_A_ROW] += 1  # successes, while it is tried
            if numbers[_IN_A_ROW] >= self.settings.successes:
                numbers[_DOWN] = numbers[_IN_A_ROW] = numbers[_HOLD] = 0

    def failed(self, began: float, now: float) -> None:
        """A dial that began at `began` failed, and it was this member's fault."""
        self.dials += 1
        self.failures += 1
        numbers = self._numbers
        with self._changing:
            if began < numbers[_DOWN_SINCE] or self.state(now) is State.DOWN:
                return
            if not numbers[_DOWN]:
                numbers[_IN_A_ROW] += 1  # failures, while it is up
                if numbers[_IN_A_ROW] < self.settings.failures:
                    return
            self._go_down(now)

    def _go_down(self, now: float) -> None:
        numbers = self._numbers
        longer = 2 * numbers[_HOLD] or self.settings.hold  # 0: it has had none since it was last up
        numbers[_HOLD] = min(longer, self.settings.hold_most)
        numbers[_DOWN_SINCE] = now
        numbers[_HELD_UNTIL] = now + numbers[_HOLD]
        numbers[_DOWN] = 1
        numbers[_IN_A_ROW] = 0
