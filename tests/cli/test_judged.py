"""A verdict for people says what leaks, where, and what was not tried."""

import io

from rich.console import Console

from anongw.audit.checks import CHECKS
from anongw.audit.verdict import Row, Verdict
from anongw.cli.judged import LEAK, progress, show


def shown(verdict: Verdict) -> str:
    out = io.StringIO()
    show(verdict, Console(file=out, width=200))
    return out.getvalue()


def test_what_is_clean_is_said_to_be() -> None:
    text = shown(Verdict([Row("SOCKS5 to a name")], notes=["waits are cut"], seconds=9.4))
    assert f"1 scenarios, {len(CHECKS)} checks each, 9 s: nothing leaks" in text
    assert "note: waits are cut" in text
    assert LEAK not in text
    assert all(check.proves in text for check in CHECKS)


def test_a_leak_is_said_with_its_place_and_where_its_packets_are() -> None:
    row = Row("reload in mid-stream", {"edges": ["sent to 8.8.8.8 port 53 by UDP"]})
    text = shown(Verdict([row, Row("other")], kept="/tmp/kept"))
    assert "edges: sent to 8.8.8.8 port 53 by UDP" in text
    assert text.count(LEAK) == 1
    assert "packets, log and config: /tmp/kept" in text
    assert "1 leak" in text


def test_what_was_not_tried_is_no_green() -> None:
    text = shown(Verdict([Row("killed", not_tried="the gateway is gone")]))
    assert "not tried to its end: the gateway is gone" in text
    assert "1 could not be tried" in text
    assert "nothing leaks" not in text


def test_what_a_config_leaves_out_is_said_and_is_no_failure() -> None:
    text = shown(Verdict([Row("route 2", left_out="an earlier one takes all")]))
    assert "route 2: left out: an earlier one takes all" in text
    assert "nothing leaks" in text


def test_progress_is_told_of_each() -> None:
    with progress() as played:
        played(0, 2, "one")
        played(1, 2, "two")
