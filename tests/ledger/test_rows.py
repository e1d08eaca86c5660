"""Rows of numbers: a name's row is the same for everybody, and never another's."""

import mmap
import os
from collections.abc import Iterator

import pytest

from anongw.ledger.rows import Rows, rows_bytes
from anongw.ledger.table import Lock

A, B, C = (letter * 16 for letter in (b"a", b"b", b"c"))


@pytest.fixture
def lock() -> Iterator[Lock]:
    made = Lock()
    yield made
    made.close()


def test_it_begins_with_nothing_and_is_the_same_for_all(lock: Lock) -> None:
    memory = mmap.mmap(-1, rows_bytes(4, 3))
    one, other = Rows(memory, 3, lock), Rows(memory, 3, lock)
    row = one.row(A)
    assert list(row) == [0.0, 0.0, 0.0]
    row[1] = 2.5
    assert list(other.row(B)) == [0.0, 0.0, 0.0]
    assert list(other.row(A)) == [0.0, 2.5, 0.0]


def test_another_process_sees_it(lock: Lock) -> None:
    rows = Rows(mmap.mmap(-1, rows_bytes(4, 3)), 3, lock)
    pid = os.fork()
    if not pid:
        rows.row(A)[2] = 7.0
        os._exit(0)
    os.waitpid(pid, 0)
    assert list(rows.row(A)) == [0.0, 0.0, 7.0]


def test_where_all_are_taken_a_process_has_its_own(lock: Lock) -> None:
    memory = mmap.mmap(-1, rows_bytes(2, 3))
    one, other = Rows(memory, 3, lock), Rows(memory, 3, lock)
    one.row(A)
    one.row(B)
    mine = one.row(C)
    mine[0] = 1.0
    assert list(other.row(C)) == [0.0, 0.0, 0.0]
    assert list(other.row(A)) == [0.0, 0.0, 0.0]
