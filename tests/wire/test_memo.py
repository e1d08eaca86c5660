"""The memo of one connection: it gives back what was put in, and never holds more than it may."""

from hypothesis import given
from hypothesis import strategies as st

from anongw.wire.memo import Memo


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.integers())))
def test_it_is_bounded_and_holds_the_last_word(most: int, entries: list[tuple[int, int]]) -> None:
    memo: Memo[int, int] = Memo(most)
    said: dict[int, int] = {}
    for key, value in entries:
        memo.remember(key, value)
        said[key] = value
        assert memo[key] == value
        assert len(memo) <= most
        assert memo.items() <= said.items()


def test_what_is_there_does_not_make_it_forget() -> None:
    memo: Memo[int, int] = Memo(2)
    for key in (1, 2, 2, 1):
        memo.remember(key, key)
    assert memo == {1: 1, 2: 2}
