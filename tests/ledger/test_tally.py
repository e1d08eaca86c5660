"""Counts of one process and of several: no limit is ever exceeded, and what is dead counts no more."""

import mmap
import random
from collections import Counter

import pytest

from anongw.ledger.tally import OwnTally, SharedTally, Tally, tally_bytes

# As admission.py makes them: of IPv4, of IPv6, of a Unix socket.
ONE, TWO, SIX, UNIX = 0xC0000201, 0xC0000202, ~0x20010DB800000000, None
MANY = 1 << 30


def several(count: int) -> list[SharedTally]:
    memory = mmap.mmap(-1, tally_bytes(count))
    return [SharedTally(memory, index, count) for index in range(count)]


def fit(tally: Tally, client: int | None, most: int, per_client: int) -> int:
    """How many more of this client come in, of twenty."""
    return sum(tally.enter(client, most, per_client) for _ in range(20))


@pytest.mark.parametrize("client", [ONE, SIX, UNIX])
@pytest.mark.parametrize("tally", [OwnTally(), several(1)[0], several(3)[1]])
def test_what_comes_and_goes(tally: Tally, client: int | None) -> None:
    assert fit(tally, client, 9, 4) == 4
    assert fit(tally, TWO, 7, 9) == 3
    assert tally.own == 7
    tally.leave(client)
    assert fit(tally, TWO, 6, 9) == 0
    assert fit(tally, client, 9, 4) == 1
    for _ in range(4):
        tally.leave(client)
    for _ in range(3):
        tally.leave(TWO)
    assert tally.own == 0
    assert fit(tally, client, 2, 2) == 2
    for _ in range(2):
        tally.leave(client)


def test_limits_are_of_all_together() -> None:
    first, second = several(2)
    assert fit(first, ONE, 10, 6) == 6
    assert fit(second, ONE, 10, 6) == 0
    assert fit(second, TWO, 10, 6) == 4
    assert fit(first, SIX, 10, 6) == 0
    assert (first.own, second.own) == (6, 4)


def test_the_dead_count_no_more_and_the_others_do() -> None:
    first, second, third = several(3)
    for tally in (first, second, third):
        assert fit(tally, ONE, MANY, MANY) == 20
    second.clear()
    assert (first.own, second.own, third.own) == (20, 0, 20)
    assert fit(second, ONE, 50, 45) == 5


def test_clients_are_hardly_ever_taken_for_each_other() -> None:
    """Also where there are twice as many as a row is made for; and a limit is never exceeded."""
    tallies = several(2)
    counts = Counter[int]()
    draw = random.Random(5)
    clients = [draw.getrandbits(32) for _ in range(2000)]
    refused = 0
    for _ in range(6000):
        client = draw.choice(clients)
        inside = draw.choice(tallies).enter(client, MANY, 3)
        counts[client] += inside
        refused += not inside and counts[client] < 3
    assert max(counts.values()) == 3
    assert refused < 40
