"""When a worker that died is replaced."""

from anongw.workers.pace import Pace


def test_one_that_has_lived_is_replaced_at_once() -> None:
    pace = Pace()
    assert [pace.died(pace.young) for _ in range(20)] == [0.0] * 20
    assert not pace.hopeless


def test_those_that_die_young_wait_ever_longer_and_never_too_long() -> None:
    pace = Pace(young=10, first=0.1, most=1.0, tries=6)
    assert [pace.died(9.99) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pace.hopeless


def test_one_that_lives_is_a_new_beginning() -> None:
    pace = Pace(young=10, first=0.1, tries=2)
    pace.died(1)
    pace.died(1)
    assert pace.hopeless
    assert pace.died(10) == 0
    assert not pace.hopeless
    assert pace.died(1) == 0.1
