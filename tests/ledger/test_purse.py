"""What a user holds and has spent, of one process and of several."""

from collections.abc import Iterator

import pytest

from anongw.ledger import Books
from anongw.ledger.purse import Purse, bury, purse_numbers

DAY = 100.0


def test_of_one_process() -> None:
    purse = Purse(50.0)
    purse.hold(3)
    purse.spend(700)
    assert (purse.held, purse.spent) == (3, 700)
    assert not purse.is_new_day(49.9, DAY)
    assert purse.is_new_day(50.0, DAY)
    assert not purse.is_new_day(149.9, DAY)
    purse.spend(0)
    assert (purse.held, purse.spent) == (3, 0)
    assert purse.is_new_day(151.0, DAY)


def several(count: int, until: float = 50.0) -> tuple[list[float], list[Purse]]:
    numbers = [0.0] * purse_numbers(count)
    return numbers, [Purse(until + index, numbers, index, count) for index in range(count)]


def test_of_several_it_is_the_sum_and_the_day_is_everybodys() -> None:
    _, (one, other) = several(2)
    one.hold(2)
    other.hold(5)
    one.spend(100)
    other.spend(11)
    for purse in (one, other):
        assert (purse.held, purse.spent) == (7, 111)
    assert other.is_new_day(50.0, DAY), "the first that came has said when it ends"
    assert one.is_new_day(50.1, DAY)
    assert not one.is_new_day(149.0, DAY)
    assert not other.is_new_day(149.0, DAY)
    one.spend(1)
    other.spend(2)
    assert one.spent == 3


def test_of_the_dead_what_was_spent_stays_and_what_was_held_does_not() -> None:
    numbers, (one, other) = several(2)
    one.hold(2)
    one.spend(100)
    other.hold(1)
    bury(numbers, 0)
    after = Purse(99.0, numbers, 0, 2)
    assert (after.held, after.spent) == (1, 100)
    after.spend(7)
    assert other.spent == 107
    assert after.is_new_day(50.0, DAY)
    after.spend(7)
    assert other.spent == 7


@pytest.fixture
def books() -> Iterator[Books]:
    with Books(2, stays=1, stay_bytes=8, standings=1, numbers=1, accounts=2) as made:
        yield made


def test_workers_have_one_for_each_user(books: Books) -> None:
    one, other = (books.worker(index).purse("alice", 50.0) for index in (0, 1))
    one.hold(2)
    other.spend(9)
    assert (other.held, one.spent) == (2, 9)
    assert books.worker(0).purse("bob", 50.0).held == 0
    books.clear(0)
    assert (other.held, one.spent) == (0, 9)
