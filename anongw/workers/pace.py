"""How soon a worker that died is replaced: at once, unless it died young. Pure; the clock is the caller's."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Of one worker's place. Times are in seconds.

    One that dies younger than `young` will probably do so again, and starting it over and over would take the
    others' time: it waits `first`, and twice as long each time in a row, up to `most`. After `tries` in a row
    there is no hope left, which matters only where there is none for any of them.
    """

    young: float = 10.0
    first: float = 0.1
    most: float = 30.0
    tries: int = 8
    in_a_row: int = 0

    def died(self, lived: float) -> float:
        """One has died after so many seconds: how long until the next."""
        if lived >= self.young:
            self.in_a_row = 0
            return 0.0
        self.in_a_row += 1
        return min(self.first * 2.0 ** (self.in_a_row - 1), self.most)

    @property
    def hopeless(self) -> bool:
        return self.in_a_row >= self.tries
