"""`anongw audit` as it is typed: its output, and its status for CI."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from anongw.audit.verdict import Row, Verdict
from anongw.cli import main
from anongw.lab.networks import why_not
from tests.support.laboratory import two_hops
from tests.support.process import PROGRAM, ROOT


def typed(*words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = None if path is None else {"PATH": path, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*PROGRAM, "audit", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")
def test_a_clean_verdict_for_scripts(tmp_path: Path) -> None:
    done = typed("--chain", str(two_hops(tmp_path)), "--only", "socks5 to a name", "--json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["clean"] is True
    assert [one["name"] for one in verdict["scenarios"]] == ["SOCKS5 to a name"]


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")
def test_a_clean_verdict_for_people(tmp_path: Path) -> None:
    done = typed("--chain", str(two_hops(tmp_path)), "--only", "connect to a name")
    assert done.returncode == 0, done.stderr
    assert "nothing leaks" in done.stdout


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_leak_is_status_1(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    leak = Verdict([Row("SOCKS5 to a name", {"edges": ["sent to 8.8.8.8 port 53 by UDP"]})])
    monkeypatch.setattr("anongw.audit.run.audit", lambda *_: leak)
    done = CliRunner().invoke(main, ["audit", *words])
    assert done.exit_code == 1
    assert "8.8.8.8" in done.output


def test_it_says_why_it_cannot_run() -> None:
    done = typed(path=str(Path(sys.executable).parent))
    assert (done.returncode, done.stdout) == (2, "")
    assert "unshare is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_that_is_wrong_is_said_first() -> None:
    done = typed("--set", "listen.adresses=[]")
    assert done.returncode == 2
    assert "did you mean" in done.stderr
