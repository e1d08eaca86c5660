"""A member's health: down after failures in a row, left alone ever longer, up once it has proved itself."""

from collections import Counter
from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import given, settings

from anongw import config
from anongw.outbound.health import NUMBERS, Score, State

HEALTH = config.Health(failures=3, hold=10.0, hold_most=60.0, successes=2)
UP, DOWN, TRYING = State.UP, State.DOWN, State.TRYING


def tell(score: Score, began: float, now: float, *, works: bool) -> None:
    (score.succeeded if works else score.failed)(began, now)


class Told:
    """A score that is told of one dial after the other, each as long as `takes`."""

    def __init__(self, health: config.Health = HEALTH, takes: float = 0.5) -> None:
        self.score = Score(health)
        self.now = 1000.0
        self._takes = takes

    def hears(self, outcomes: str) -> State:
        """Of a success for each S and a failure for each F."""
        for outcome in outcomes:
            began = self.now
            self.now += self._takes
            tell(self.score, began, self.now, works=outcome == "S")
        return self.score.state(self.now)

    def after(self, seconds: float) -> State:
        self.now += seconds
        return self.score.state(self.now)

    @property
    def held(self) -> float:
        return self.score.held_until - self.now


def test_so_many_failures_in_a_row_put_it_down() -> None:
    told = Told()
    assert told.after(0) is UP
    assert told.hears("FFSFF") is UP
    assert told.hears("F") is DOWN
    assert told.held == 10


def test_it_is_tried_when_its_hold_is_over_and_not_before() -> None:
    told = Told()
    told.hears("FFF")
    assert told.after(9.99) is DOWN
    assert told.after(0.01) is TRYING
    assert told.after(10000) is TRYING, "time alone proves nothing"


def test_after_a_hold_one_failure_is_enough_and_doubles_it_up_to_the_most() -> None:
    told = Told()
    told.hears("FFF")
    holds = [told.held]
    for _ in range(4):
        told.after(told.held)
        assert told.hears("F") is DOWN
        holds.append(told.held)
    assert holds == [10, 20, 40, 60, 60]


def test_successes_in_a_row_make_it_up_and_the_next_hold_short() -> None:
    told = Told()
    told.hears("FFF")
    told.after(told.held)
    assert told.hears("S") is TRYING
    assert told.hears("F") is DOWN
    assert told.held == 20
    told.after(told.held)
    assert told.hears("S") is TRYING, "the success before that failure is not in a row with it"
    assert told.hears("S") is UP
    assert told.hears("FF") is UP, "and failures are counted anew"
    assert told.hears("F") is DOWN
    assert told.held == 10


def test_the_most_holds_for_the_first_one_too() -> None:
    told = Told(config.Health(failures=1, hold=10.0, hold_most=5.0))
    told.hears("F")
    assert told.held == 5


def test_what_is_dialled_although_it_is_down_and_works_waits_no_longer() -> None:
    told = Told()
    told.hears("FFF")
    assert told.hears("S") is TRYING
    assert told.hears("S") is UP


def test_what_is_dialled_although_it_is_down_and_fails_waits_as_long_as_it_did() -> None:
    told = Told()
    told.hears("FFF")
    until = told.score.held_until
    assert told.hears("FFFF") is DOWN
    assert told.score.held_until == until


def test_who_goes_by_the_same_numbers_agrees() -> None:
    numbers = [0.0] * NUMBERS
    one, other = Score(HEALTH, numbers), Score(HEALTH, numbers)
    one.failed(1, 1)
    other.failed(1, 2)
    one.failed(1, 3)
    assert one.state(3) is other.state(3) is DOWN
    assert other.held_until == 13
    other.failed(2, 4)  # it began before
    assert one.held_until == 13
    other.succeeded(14, 15)
    one.succeeded(15, 16)
    assert one.state(16) is other.state(16) is UP
    assert (one.dials, one.failures, other.dials, other.failures) == (3, 2, 3, 2), "each counts its own"


def test_everything_is_counted() -> None:
    told = Told()
    told.hears("SFFFFS")
    assert (told.score.dials, told.score.failures) == (6, 4)


@given(
    st.lists(st.tuples(st.floats(0.001, 60), st.floats(0, 60), st.booleans()), max_size=40),
    st.text("FS", max_size=4),
)
def test_many_dials_that_one_outage_ends_are_one_outage(
    flying: list[tuple[float, float, bool]], later: str
) -> None:
    """They end in the hold and after it, some of them well, and it is as if they were not there."""
    told, alone = Told(), Told()
    for one in (told, alone):
        one.hears("FFF")
    died = told.now
    for before, after, outcome in sorted(flying, key=lambda dial: dial[1]):
        tell(told.score, died - before, died + after, works=outcome)
    assert told.score.held_until == alone.score.held_until
    for one in (told, alone):
        one.after(60)
        one.hears(later)
    assert told.after(0) is alone.after(0)
    assert told.score.held_until == alone.score.held_until


@dataclass(frozen=True)
class Dial:
    """One dial: how long after the one before it, how long it takes, how it ends."""

    pause: float
    takes: float
    works: bool


dials = st.builds(
    Dial,
    pause=st.sampled_from([0.0, 0.5, 4.0, 15.0, 100.0]),
    takes=st.sampled_from([0.1, 1.0, 6.0]),
    works=st.booleans(),
)
healths = st.builds(
    config.Health,
    failures=st.integers(1, 4),
    hold=st.sampled_from([0.5, 2.0, 10.0]),
    hold_most=st.sampled_from([10.0, 30.0]),
    successes=st.integers(1, 3),
)


def test_what_holds_for_any_dials() -> None:
    seen: Counter[tuple[State, State]] = Counter()

    @settings(max_examples=800, deadline=None, database=None)
    @given(healths, st.lists(dials, max_size=60))
    def holds(health: config.Health, plan: list[Dial]) -> None:
        score = Score(health)
        now, ends = 0.0, []
        for dial in plan:
            now += dial.pause
            ends.append((now + dial.takes, now, dial.works))
        hold, died, in_a_row = 0.0, 0.0, ""
        for now, began, works in sorted(ends):
            before, until = score.state(now), score.held_until
            tell(score, began, now, works=works)
            after = score.state(now)
            seen[before, after] += 1
            if began < died:
                assert (after, score.held_until) == (before, until), "it is of an outage that is known"
                continue
            in_a_row += "S" if works else "F"
            if before is DOWN:
                assert after is DOWN or works
                assert after is DOWN or score.held_until == now
                assert after is not DOWN or score.held_until == until, "no hold changes while it runs"
            elif after is DOWN:
                assert before is TRYING or in_a_row.endswith("F" * health.failures)
                hold = min(health.hold_most, 2 * hold if before is TRYING else health.hold)
                assert score.held_until == now + hold
                died, in_a_row = now, ""
            else:
                assert works or before is UP
                assert before is UP or (after is UP) == in_a_row.endswith("S" * health.successes)
                assert before is TRYING or after is UP
                assert not in_a_row.endswith("F" * health.failures)
        assert score.dials == len(plan)
        assert score.failures == sum(not dial.works for dial in plan)

    holds()
    moves = {(UP, UP), (UP, DOWN), (DOWN, DOWN), (DOWN, TRYING), (DOWN, UP), (TRYING, TRYING)}
    assert set(seen) == moves | {(TRYING, DOWN), (TRYING, UP)}
