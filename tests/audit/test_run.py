"""From a config to a verdict; test_audit_lab.py has whole ones."""

import shutil
import sys
from pathlib import Path

import pytest

from anongw.audit.run import CannotRun, Wish, audit
from anongw.config import Config, load
from anongw.lab import networks
from anongw.lab.networks import why_not
from tests.support.laboratory import two_hops


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")
def test_what_is_wished_is_played_and_kept(tmp_path: Path) -> None:
    played: list[tuple[int, int, str]] = []
    keep = tmp_path / "kept"
    verdict = audit(
        load(None, chain=two_hops(tmp_path)),
        Wish("to a name", keep),
        lambda *progress: played.append(progress),
    )
    assert verdict.is_clean
    assert [row.scenario for row in verdict.rows] == [name for _, _, name in played]
    assert [(done, total) for done, total, _ in played] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    kept = {file.name for file in keep.iterdir()}
    assert kept == {"gateway.log", "anongw.toml"}, (
        "neither keys nor passwords, and no capture of what is clean"
    )
    assert verdict.kept == str(keep)


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")
def test_a_gateway_that_does_not_start_is_no_verdict() -> None:
    program = (sys.executable, "-c", "print('it is broken')")
    with pytest.raises(CannotRun, match="it is broken"):
        audit(Config(), Wish(program=program))


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")
def test_when_time_is_over_the_rest_is_not_tried_and_that_is_no_green() -> None:
    verdict = audit(Config(), Wish("to a name", seconds=-1))
    assert not verdict.is_clean
    assert {row.not_tried for row in verdict.rows} == {"the time for all of them is over"}
    shutil.rmtree(verdict.kept)


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")
def test_a_scenario_that_is_not_there_is_said() -> None:
    with pytest.raises(CannotRun, match="tea with the queen"):
        audit(Config(), Wish("tea with the queen"))


def test_where_there_are_no_namespaces_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert networks.why_not() == "unshare is not installed"
    with pytest.raises(CannotRun, match=r"unshare is not installed; run it as root, or"):
        audit(Config(), Wish())


def test_another_system_has_no_laboratory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(CannotRun, match="no Linux"):
        audit(Config(), Wish())
