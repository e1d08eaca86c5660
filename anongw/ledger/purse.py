"""What one user holds and has spent: of one process, or of several together, whose limits are the user's.

Each process writes its own numbers and adds up everybody's. The day is everybody's: who first sees that it is
over begins the next one, and the others find it begun. What a process that died had spent stays spent.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

_UNTIL, _FIRST = 0, 1


class Numbers(Protocol):
    """A row of them; of a list, or of memory that others see too."""

    def __getitem__(self, place: int, /) -> float: ...

    def __setitem__(self, place: int, number: float, /) -> None: ...


class Purse:
    """Of process `index` of several; with nothing else, of one that is alone.

    Args:
        until: when the first day ends, unless others have begun it; in seconds of everybody's clock.
        numbers: `purse_numbers(processes)`, zero at first.
        index: which process this is, of
        processes: so many.
        changing: entered while the day is changed.

    """

    def __init__(
        self,
        until: float,
        numbers: Numbers | None = None,
        index: int = 0,
        processes: int = 1,
        changing: AbstractContextManager[None] | None = None,
    ) -> None:
        self._numbers: Numbers = numbers if numbers is not None else [0.0] * purse_numbers(processes)
        self._held = range(_FIRST, _FIRST + processes)
        self._spent = range(_FIRST + processes, _FIRST + 2 * processes)
        self._index = index
        self._changing: AbstractContextManager[None] = changing if changing is not None else nullcontext()
        with self._changing:
            self._until = self._numbers[_UNTIL] = self._numbers[_UNTIL] or until
        # What another process in this place had spent of the day, before it died.
        self._before = self._numbers[self._spent[index]]

    @property
    def held(self) -> float:
        """Flows now, of all processes."""
        return sum(self._numbers[place] for place in self._held)

    @property
    def spent(self) -> float:
        """Bytes of this day, of all processes."""
        return sum(self._numbers[place] for place in self._spent)

    def hold(self, flows: int) -> None:
        """So many are this process's."""
        self._numbers[self._held[self._index]] = flows

    def spend(self, count: int) -> None:
        """So many bytes of this day are this process's."""
        self._numbers[self._spent[self._index]] = self._before + count

    def is_new_day(self, now: float, day: float) -> bool:
        """Whether another day has begun since this process last looked; one is `day` seconds long."""
        if now >= self._until:
            with self._changing:
                if self._numbers[_UNTIL] == self._until:
                    self._numbers[_UNTIL] = now + day
        if self._numbers[_UNTIL] == self._until:
            return False
        self._until, self._before = self._numbers[_UNTIL], 0.0
        return True


def purse_numbers(processes: int) -> int:
    return _FIRST + 2 * processes


def bury(numbers: Numbers, index: int) -> None:
    """The process is dead, and its flows with it."""
    numbers[_FIRST + index] = 0.0
