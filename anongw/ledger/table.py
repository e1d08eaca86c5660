"""Records of one size under keys, for several processes: a bounded table, and the lock that guards it.

A key has sixteen places, found by its first bytes; where all are taken, the one that was put longest ago
gives way. Twice as many places as records are meant to fit, so that this seldom happens before it is full.
"""

import fcntl
import os
import struct
from mmap import mmap
from types import TracebackType

KEY_BYTES = 16
_WAYS = 16
_SPARE = 2
# The key, and when it was put: a number that only grows.
_HEAD = struct.Struct(f"={KEY_BYTES}sd")
_NOBODY = bytes(KEY_BYTES)


class Lock:
    """Keeps the other processes out for the few microseconds of a look and a change.

    A lock of fcntl(2), which the kernel gives back when its holder dies, whatever it died of.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("anongw-lock", os.MFD_CLOEXEC)

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)


class Table:
    """Records of `size` bytes in memory of `table_bytes`, zero at the start. Whoever calls holds `lock`."""

    def __init__(self, memory: mmap, size: int, lock: Lock) -> None:
        self.lock = lock
        self._memory = memoryview(memory).cast("B")
        self._size = size
        self._step = _HEAD.size + size
        self._sets = len(self._memory) // (self._step * _WAYS)

    def get(self, key: bytes) -> bytes | None:
        for at in self._places(key):
            if self._memory[at : at + KEY_BYTES] == key:
                start = at + _HEAD.size
                return bytes(self._memory[start : start + self._size])
        return None

    def put(self, key: bytes, record: bytes, now: float) -> None:
        """Keep a record; `now` in seconds of a clock that all processes have."""
        if len(record) != self._size:
            raise ValueError(f"a record has {self._size} bytes")
        at = self._place_for(key)
        # First nobody's, and the key's once it is whole: whoever dies in between leaves no half of a record.
        self._memory[at : at + KEY_BYTES] = _NOBODY
        start = at + _HEAD.size
        self._memory[start : start + self._size] = record
        _HEAD.pack_into(self._memory, at, key, now)

    def drop(self, key: bytes) -> None:
        for at in self._places(key):
            if self._memory[at : at + KEY_BYTES] == key:
                _HEAD.pack_into(self._memory, at, _NOBODY, 0.0)

    def _places(self, key: bytes) -> range:
        start = int.from_bytes(key[:8]) % self._sets * _WAYS * self._step
        return range(start, start + _WAYS * self._step, self._step)

    def _place_for(self, key: bytes) -> int:
        """Its own; else one that is free or was put longest ago."""
        oldest, since = -1, float("inf")
        for at in self._places(key):
            found, put = _HEAD.unpack_from(self._memory, at)
            if found == key:
                return at
            if found == _NOBODY:
                put = -1.0
            if put < since:
                oldest, since = at, put
        return oldest


def table_bytes(records: int, size: int) -> int:
    """Memory for a table in which so many fit."""
    sets = -(-records * _SPARE // _WAYS)
    return sets * _WAYS * (_HEAD.size + size)
