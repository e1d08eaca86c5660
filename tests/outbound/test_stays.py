"""Who has which members, remembered by one process and by several."""

import mmap
from collections.abc import Iterator

import pytest

from anongw.ledger.table import KEY_BYTES, Lock, Table, table_bytes
from anongw.outbound.stays import PICK_MOST, RECORD_BYTES, OwnStays, SharedStays, Stay, Stays

MEMBERS = [bytes((number,)) * 16 for number in range(1, 11)]


def name(identity: str) -> bytes:
    return identity.encode().ljust(KEY_BYTES, b".")


class Shared:
    """A table, and the stays of processes that share it."""

    def __init__(self, lock: Lock) -> None:
        self._memory = mmap.mmap(-1, table_bytes(100, RECORD_BYTES))
        self._lock = lock

    def of(self, *members: int) -> SharedStays:
        """Of a process whose config lists these."""
        table = Table(self._memory, RECORD_BYTES, self._lock)
        return SharedStays(table, name, [MEMBERS[number] for number in members])


@pytest.fixture
def shared() -> Iterator[Shared]:
    lock = Lock()
    yield Shared(lock)
    lock.close()


@pytest.fixture(params=["own", "shared"])
def stays(request: pytest.FixtureRequest, shared: Shared) -> Stays:
    return OwnStays(100) if request.param == "own" else shared.of(*range(10))


def test_what_is_remembered(stays: Stays) -> None:
    with stays.changing():
        assert stays.find("a") is None
        stays.put("a", Stay((3, 1), 12.5, 2), 20.0)
        stays.put("b", Stay((0,), 13.0), 20.0)
        assert stays.find("a") == Stay((3, 1), 12.5, 2)
        stays.put("a", Stay((2,), 14.0), 21.0)
        assert stays.find("a") == Stay((2,), 14.0)
        stays.forget("a")
        stays.forget("nobody")
        assert stays.find("a") is None
        assert stays.find("b") == Stay((0,), 13.0)


def test_another_process_finds_it_by_what_members_are(shared: Shared) -> None:
    shared.of(0, 1, 2).put("a", Stay((2, 0), 5.0, 1), 5.0)
    assert shared.of(0, 1, 2).find("a") == Stay((2, 0), 5.0, 1)
    assert shared.of(7, 2, 0).find("a") == Stay((1, 2), 5.0, 1), "listed in another order, after a reload"
    assert shared.of(0, 1).find("a") is None, "one of them is gone"


def test_as_many_members_as_may_be_picked(shared: Shared) -> None:
    stays = shared.of(*range(PICK_MOST))
    most = Stay(tuple(range(PICK_MOST)), 1.0)
    stays.put("a", most, 1.0)
    assert stays.find("a") == most


def test_only_its_own_are_taken_over(shared: Shared) -> None:
    old = OwnStays(10)
    old.put("a", Stay((0, 1), 1.0, 4), 1.0)
    old.put("b", Stay((1, 2), 1.0), 1.0)
    new = OwnStays(10)
    new.take_over(old, {0: 5, 1: 6}, 2)
    assert (new.find("a"), new.find("b")) == (Stay((5, 6), 1.0, 4), None)
    kept = shared.of(0, 1)
    kept.take_over(old, {0: 0, 1: 1}, 2)
    assert kept.find("a") is None
    new.take_over(kept, {0: 0}, 1)
    assert new.find("b") is None
