"""Connections, in all and of each client: of one process, or of several together.

Together, each process writes its own cells and reads everybody's, so that no lock is needed. A client has a
cell in each of three rows, found by a hash; what it has is the smallest of its sums. Two clients may meet in
one cell, but hardly ever in all three: so a count may be too large, once in a great while, and is never too
small.

Whoever adds before it looks can never exceed a limit together with others; at the worst two that come for
the last place at the same moment are both refused.
"""

from functools import lru_cache
from mmap import mmap
from typing import Protocol

_ROWS = 3
# Cells in a row: of a thousand clients, one in 200,000 meets others in all its rows.
_ROW_BITS = 14
_ROW = 1 << _ROW_BITS
_CELL_BYTES = 4
_TOTAL, _FIRST = 0, 1  # the first cell is the sum over all clients
_CELLS = _FIRST + _ROWS * _ROW


# By what one is known: a number that is its own, or None for those that have no address.
Client = int | None


class Tally(Protocol):
    """Counts."""

    @property
    def own(self) -> int:
        """Connections now, of this process."""

    def enter(self, client: Client, most: int, per_client: int) -> bool:
        """Count one more of this client; False, and not counted, where `most` or `per_client` are there."""

    def leave(self, client: Client) -> None:
        """One that was counted is over."""


class OwnTally:
    """Of one process that is alone."""

    def __init__(self) -> None:
        self._counts: dict[Client, int] = {}
        self.own = 0

    def enter(self, client: Client, most: int, per_client: int) -> bool:
        count = self._counts.get(client, 0)
        if self.own >= most or count >= per_client:
            return False
        self._counts[client] = count + 1
        self.own += 1
        return True

    def leave(self, client: Client) -> None:
        self.own -= 1
        left = self._counts[client] - 1
        if left:
            self._counts[client] = left
        else:
            del self._counts[client]


class SharedTally:
    """Of process `index` of several, in memory of `tally_bytes(processes)` that is zero at the start."""

    def __init__(self, memory: mmap, index: int, processes: int) -> None:
        self._cells = memoryview(memory).cast("B").cast("i")
        self._mine = index * _CELLS
        self._starts = range(0, processes * _CELLS, _CELLS)

    @property
    def own(self) -> int:
        return self._cells[self._mine + _TOTAL]

    def enter(self, client: Client, most: int, per_client: int) -> bool:
        cells, starts = self._cells, self._starts
        places = _places(client)
        self._add(places, 1)
        if sum(cells[start + _TOTAL] for start in starts) <= most:
            for place in places:
                if sum(cells[start + place] for start in starts) <= per_client:
                    return True
        self._add(places, -1)
        return False

    def leave(self, client: Client) -> None:
        self._add(_places(client), -1)

    def _add(self, places: tuple[int, ...], change: int) -> None:
        cells, mine = self._cells, self._mine
        cells[mine + _TOTAL] += change
        for place in places:
            cells[mine + place] += change

    def clear(self) -> None:
        """The process is dead, and its connections with it."""
        self._cells[self._mine : self._mine + _CELLS] = memoryview(bytes(_CELLS * _CELL_BYTES)).cast("i")


def tally_bytes(processes: int) -> int:
    return processes * _CELLS * _CELL_BYTES


@lru_cache(maxsize=1024)
def _places(client: Client) -> tuple[int, ...]:
    data = b"" if client is None else client.to_bytes(9, signed=True)
    # Python's hash of bytes is keyed anew at each start, and forked processes have one key: nobody can choose
    # an address that counts for somebody else's.
    digest = hash(data)
    return tuple(_FIRST + row * _ROW + (digest >> row * _ROW_BITS) % _ROW for row in range(_ROWS))
