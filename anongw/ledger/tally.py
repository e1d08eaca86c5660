"""Connections, in all and of each client: of one process, or of several together.

Together, each process writes its own cells and reads everybody's, so that no lock is needed. A client has a
place in each of two rows, found by a hash; what it has is the smaller of its sums. Two clients may meet in
one place, but hardly ever in both: so a count may be too large, once in a great while, and is never too
small.

Whoever adds before it looks can never exceed a limit together with others; at the worst two that come for
the last place at the same moment are both refused.
"""

from functools import lru_cache
from mmap import mmap
from typing import Protocol

# Places in a row: of a thousand clients, one in five thousand meets others in both.
_ROW_BITS = 16
_ROW = 1 << _ROW_BITS
# The first place is the sum over all clients. Each has a cell for every process, side by side.
_TOTAL, _FIRST, _SECOND = 0, 1, 1 + _ROW
_PLACES = 1 + 2 * _ROW
_CELL_BYTES = 4

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
        self._index = index
        self._processes = processes

    @property
    def own(self) -> int:
        return self._cells[_TOTAL + self._index]

    def enter(self, client: Client, most: int, per_client: int) -> bool:
        self._add(client, 1)
        total = self._sum(_TOTAL)
        # As nearly always: where there are so few, no client can have too many.
        if total <= per_client and total <= most:
            return True
        if total <= most and any(self._sum(place) <= per_client for place in _places(client)):
            return True
        self._add(client, -1)
        return False

    def leave(self, client: Client) -> None:
        self._add(client, -1)

    def clear(self) -> None:
        """The process is dead, and its connections with it."""
        every = memoryview(bytes(_PLACES * _CELL_BYTES)).cast("i")
        self._cells[self._index :: self._processes] = every

    def _sum(self, place: int) -> int:
        start = place * self._processes
        return sum(self._cells[start : start + self._processes])

    def _add(self, client: Client, change: int) -> None:
        cells, index, processes = self._cells, self._index, self._processes
        first, second = _places(client)
        cells[index] += change  # _TOTAL
        cells[first * processes + index] += change
        cells[second * processes + index] += change


def tally_bytes(processes: int) -> int:
    return processes * _PLACES * _CELL_BYTES


@lru_cache(maxsize=1024)
def _places(client: Client) -> tuple[int, int]:
    data = b"" if client is None else client.to_bytes(9, signed=True)
    # Python's hash of bytes is keyed anew at each start, and forked processes have one key: nobody can choose
    # an address that counts for somebody else's.
    digest = hash(data)
    return _FIRST + digest % _ROW, _SECOND + (digest >> _ROW_BITS) % _ROW
