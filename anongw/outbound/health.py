"""Whether a member of a chain works, learnt from real dials and from nothing else.

Rules, each with its test. `failures` in a row put it down. It is then left alone for `hold`, which doubles
with each outage up to `hold_most`, so that one that comes and goes is asked ever more seldom. After a hold it
is tried: a single failure puts it down again, and only `successes` in a row make it up, and holds short.

Many dials are under way when a member dies, and each of them fails. That is one outage: a dial that began
before the member went down says nothing of what came after, and no failure lengthens a hold that is running.
"""

import enum
import math

from anongw import config


class State(enum.Enum):
    """What to expect of a member. The value is what status calls it."""

    UP = "up"
    DOWN = "down"  # left alone, unless there is no other
    TRYING = "trying"  # its hold is over, and it has to prove itself


class Score:
    """One member's health and totals. Times are seconds of one clock that never goes back.

    Each dial is told once, when it is known how it ended. A target that cannot be reached is no failure: the
    member works if it says so.
    """

    def __init__(self, settings: config.Health) -> None:
        self.settings = settings
        self.held_until = -math.inf
        self.dials = 0  # told of since the start
        self.failures = 0  # of these
        self.live = 0  # connections through it, now
        self.latency: float | None = None  # seconds that the last dial through it took, the whole chain's
        self._down_since = -math.inf
        self._hold = 0.0  # how long the last one was; 0: none since it was last up
        self._up = True
        self._in_a_row = 0  # failures while it is up, successes while it is tried

    def state(self, now: float) -> State:
        if self._up:
            return State.UP
        return State.DOWN if now < self.held_until else State.TRYING

    def succeeded(self, began: float, now: float) -> None:
        """A dial that began at `began` did what it was for."""
        self.dials += 1
        if began < self._down_since:
            return
        if self._up:
            self._in_a_row = 0
            return
        # It was dialled although it was down, for want of another, and works: no need to wait any longer.
        self.held_until = now
        self._in_a_row += 1
        if self._in_a_row >= self.settings.successes:
            self._up = True
            self._in_a_row = 0
            self._hold = 0.0

    def failed(self, began: float, now: float) -> None:
        """A dial that began at `began` failed, and it was this member's fault."""
        self.dials += 1
        self.failures += 1
        if began < self._down_since or self.state(now) is State.DOWN:
            return
        if self._up:
            self._in_a_row += 1
            if self._in_a_row < self.settings.failures:
                return
        self._go_down(now)

    def _go_down(self, now: float) -> None:
        longer = 2 * self._hold or self.settings.hold
        self._hold = min(longer, self.settings.hold_most)
        self._down_since = now
        self.held_until = now + self._hold
        self._up = False
        self._in_a_row = 0
