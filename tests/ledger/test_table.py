"""Records that several processes share: bounded, whole or absent, and changed by one at a time."""

import mmap
import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from anongw.ledger.table import KEY_BYTES, Lock, Table, table_bytes

SIZE = 8


def key(number: int) -> bytes:
    return number.to_bytes(8).rjust(KEY_BYTES, b"\x01")[::-1]


def record(number: int) -> bytes:
    return number.to_bytes(SIZE)


@pytest.fixture
def lock() -> Iterator[Lock]:
    made = Lock()
    yield made
    made.close()


def table(lock: Lock, records: int) -> Table:
    return Table(mmap.mmap(-1, table_bytes(records, SIZE)), SIZE, lock)


def test_what_was_put_is_found_until_it_is_dropped(lock: Lock) -> None:
    kept = table(lock, 100)
    assert kept.get(key(1)) is None
    kept.put(key(1), record(1), 1.0)
    kept.put(key(2), record(2), 1.0)
    kept.put(key(1), record(3), 2.0)
    assert (kept.get(key(1)), kept.get(key(2))) == (record(3), record(2))
    kept.drop(key(1))
    kept.drop(key(7))
    assert (kept.get(key(1)), kept.get(key(2))) == (None, record(2))


def test_as_many_fit_as_it_is_made_for(lock: Lock) -> None:
    kept = table(lock, 1000)
    for number in range(1000):
        kept.put(key(number * 7919), record(number), float(number))
    missing = sum(kept.get(key(number * 7919)) is None for number in range(1000))
    assert missing < 20, "a few, where chance puts too many in one place"


def test_the_one_put_longest_ago_gives_way(lock: Lock) -> None:
    kept = table(lock, 8)  # 16 places, all in one set
    for number in range(16):
        kept.put(key(number), record(number), float(number))
    kept.put(key(0), record(0), 16.0)
    kept.put(key(99), record(99), 17.0)
    assert kept.get(key(1)) is None
    assert [kept.get(key(number)) for number in (0, 2, 15, 99)] == [record(n) for n in (0, 2, 15, 99)]


def test_a_record_of_another_size_is_none(lock: Lock) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        table(lock, 8).put(key(1), b"short", 1.0)


def test_processes_change_it_one_at_a_time(lock: Lock) -> None:
    """Four count up the same record; not one step is lost."""
    kept = table(lock, 8)
    kept.put(key(1), record(0), 1.0)
    children = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            with suppress(BaseException):
                for _ in range(500):
                    with kept.lock:
                        before = int.from_bytes(kept.get(key(1)) or b"")
                        kept.put(key(1), record(before + 1), 1.0)
                os._exit(0)
            os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0, 0]
    assert kept.get(key(1)) == record(2000)


def test_a_lock_is_given_back_by_the_dead(lock: Lock) -> None:
    pid = os.fork()
    if not pid:
        lock.__enter__()
        os._exit(0)
    os.waitpid(pid, 0)
    with lock:
        pass
