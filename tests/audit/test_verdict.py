"""A verdict is clean where everything was tried and nothing found."""

from anongw.audit.verdict import Row, Verdict


def test_clean() -> None:
    verdict = Verdict([Row("one"), Row("two")])
    assert verdict.is_clean
    assert verdict.table()["clean"] is True


def test_what_was_not_tried_is_not_clean() -> None:
    verdict = Verdict([Row("one"), Row("two", not_tried="the gateway is gone")])
    assert (verdict.is_clean, verdict.leaks, verdict.not_tried) == (False, 0, 1)


def test_a_leak_is_not_clean_and_is_told_to_scripts() -> None:
    verdict = Verdict([Row("one", {"edges": ["sent to 8.8.8.8 port 53 by UDP"]})])
    assert (verdict.is_clean, verdict.leaks) == (False, 1)
    assert verdict.table()["scenarios"][0]["wrong"] == {"edges": ["sent to 8.8.8.8 port 53 by UDP"]}
