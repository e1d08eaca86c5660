"""What workers have of the books, and what one has that is alone."""

from anongw.ledger import Books, alone


def test_workers_have_one_key_and_starts_have_not() -> None:
    with Books(2, stays=10, stay_bytes=8, standings=4, numbers=5) as books:
        first, second = books.worker(0), books.worker(1)
        assert first.key == second.key
        assert first.name("stay", "a") == second.name("stay", "a")
    assert len({first.key, alone().key, alone().key}) == 3
    assert first.key.hex() not in repr(first)


def test_no_two_things_have_one_name() -> None:
    ledger = alone()
    names = {
        ledger.name(*parts) for parts in ((), ("a",), ("a", "b"), ("ab",), ("", "ab"), ("b", "a"), ("ab", ""))
    }
    assert len(names) == 7


def test_what_they_share() -> None:
    with Books(2, stays=10, stay_bytes=8, standings=4, numbers=5) as books:
        first, second = books.worker(0), books.worker(1)
        assert first.tally.enter(1, 1, 1)
        assert not second.tally.enter(1, 1, 1)
        assert first.stays is not None
        assert second.stays is not None
        first.stays.put(b"k" * 16, b"12345678", 1.0)
        assert second.stays.get(b"k" * 16) == b"12345678"
        assert first.standings is not None
        assert second.standings is not None
        first.standings.row(b"m" * 16)[4] = 1.5
        assert second.standings.row(b"m" * 16)[4] == 1.5
        books.clear(0)
        assert second.tally.enter(1, 1, 1)
        assert second.stays.get(b"k" * 16) == b"12345678", "an identity keeps its exit when a worker dies"


def test_one_that_is_alone_shares_nothing() -> None:
    ledger = alone()
    assert (ledger.index, ledger.workers, ledger.stays, ledger.standings) == (0, 1, None, None)
