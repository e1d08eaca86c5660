"""Rows of numbers for things that have names, for several processes: each name's row is one and the same.

A row is never given to another name. Where all are taken, which many reloads with ever new names would bring
about, a process keeps its own.
"""

from array import array
from collections.abc import Iterator
from mmap import mmap

from anongw.ledger.table import KEY_BYTES, Lock

_NUMBER_BYTES = 8
_NOBODY = bytes(KEY_BYTES)


class Rows:
    """Rows of `width` floats in memory of `rows_bytes`, zero at the start. Changes are made under `lock`."""

    def __init__(self, memory: mmap, width: int, lock: Lock) -> None:
        self.lock = lock
        self._memory = memoryview(memory).cast("B")
        self._width = width
        self._step = KEY_BYTES + width * _NUMBER_BYTES
        self._places = range(0, len(self._memory) // self._step * self._step, self._step)

    def row(self, key: bytes) -> "memoryview[float]":
        """The numbers of the thing with this key, all of them 0.0 at first."""
        with self.lock:
            for at in self._places:
                found = bytes(self._memory[at : at + KEY_BYTES])
                if found == _NOBODY:
                    self._memory[at : at + KEY_BYTES] = key
                if found in (_NOBODY, key):
                    return self._memory[at + KEY_BYTES : at + self._step].cast("d")
        return memoryview(array("d", [0.0] * self._width))

    def taken(self) -> Iterator["memoryview[float]"]:
        """The numbers of every name that has a row in the memory that all share."""
        for at in self._places:
            if bytes(self._memory[at : at + KEY_BYTES]) == _NOBODY:
                return
            yield self._memory[at + KEY_BYTES : at + self._step].cast("d")


def rows_bytes(rows: int, width: int) -> int:
    return rows * (KEY_BYTES + width * _NUMBER_BYTES)
