"""The parser of packets that other tests judge by: what a connection said is put together as it was said."""

import random

from hypothesis import given
from hypothesis import strategies as st

from anongw.lab.capture import TCP, Packet, streams

SYN, ACK, RST = 2, 16, 4


def packet(sequence: int, payload: bytes = b"", flags: int = ACK) -> Packet:
    return Packet(TCP, "20.0.0.1", 40000, "20.0.0.11", 1080, payload, b"", flags, sequence % (1 << 32))


@given(
    data=st.binary(min_size=1, max_size=200),
    pieces=st.lists(st.tuples(st.integers(0, 199), st.integers(1, 50))),
    opening=st.sampled_from([0, 1000, 2**31, 2**32 - 100]),
    seed=st.integers(0, 9),
)
def test_it_is_whole_in_whatever_order_and_however_often_it_came(
    data: bytes, pieces: list[tuple[int, int]], opening: int, seed: int
) -> None:
    sent = [packet(opening + 1 + start, data[start : start + count]) for start, count in pieces]
    sent += [packet(opening + 1 + start, data[start : start + 9]) for start in range(0, len(data), 9)]
    random.Random(seed).shuffle(sent)
    # A keep-alive probe lies before the first byte, and a reset's number may be any.
    around = [packet(opening, b"\0"), packet(opening + 2**30, flags=RST)]
    found = streams([packet(opening, flags=SYN), *sent, *around])
    assert found == [(sent[0].link, data)]


def test_ports_that_are_used_again_are_another_connection() -> None:
    first = [packet(1, flags=SYN), packet(2, b"old"), packet(1, flags=SYN)]
    second = [packet(7000, flags=SYN), packet(7001, b"new")]
    assert [said for _, said in streams([*first, *second])] == [b"old", b"new"]


def test_a_connection_that_was_there_before_is_read_from_where_it_was_met() -> None:
    assert streams([packet(500, b"mid"), packet(503, b"dle")]) == [(packet(0).link, b"middle")]
