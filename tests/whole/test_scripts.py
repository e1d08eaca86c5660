"""The two commands on machines of every kind, with a stand-in for the gateway and locks that name nothing.

One test makes a real environment; for the others a stand-in for Python makes one in no time. Nothing is
downloaded here; `.ci/run` installs what the true lock names, from a clean clone.
"""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts.mirror import faults
from scripts.skips import unlisted
from tests.support.process import ROOT
from tests.support.programs import PATIENCE, found

GATEWAY = """
import os, sys
def main(prog_name):
    print(os.getcwd(), sys.argv[1:], os.environ.get("PYTHONPATH"))
"""
# Makes an environment as `venv --clear` does, installs as told by STATUS, and says how it was started.
PYTHON = """
case "$*" in
  *version_info*) exit 0 ;;
  *ensurepip*) exit 0 ;;
  *'-m venv --clear '*)
    for folder; do :; done
    [ -d "$folder" ] && rm -rf "$folder"/* "$folder"/.[a-z]*
    mkdir "$folder/bin" && cp "$0" "$folder/bin/python" ;;
  *'-m pip '*) exit ${STATUS:-0} ;;
  *) for word; do :; done; echo "started with $word" ;;
esac
"""
TOOLS = ("sh", "cksum", "cmp", "cp", "dirname", "flock", "mkdir", "readlink", "rm", "tr")
# Somebody without a home, as whom root runs what must not be run as root.
NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that other users may enter, as they may not pytest's own, and with a space in its name."""
    with tempfile.TemporaryDirectory(prefix="of tests ") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def checkout(folder: Path) -> Path:
    """With a gateway that only says how it was started."""
    root = folder / "a checkout"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    (root / "anongw").mkdir()
    (root / "anongw" / "__init__.py").touch()
    (root / "anongw" / "cli.py").write_text(GATEWAY)
    (root / "requirements.lock").write_text("# a lock\n")
    return root


@pytest.fixture
def path(folder: Path) -> Path:
    """A folder for PATH in which nothing is but the tools that the scripts call."""
    programs = folder / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(found(tool))
    return programs


@pytest.fixture
def python(path: Path) -> Path:
    return program(path / "python3.11", PYTHON)


def program(where: Path, text: str) -> Path:
    where.write_text(f"#!/bin/sh\n{text}\n")
    where.chmod(0o755)
    return where


def start(
    script: Path, *arguments: str, cwd: Path, user: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        user=user,
    )


def test_a_real_environment_is_made_once(checkout: Path, folder: Path) -> None:
    """Its user's folder and variables stay, for `--config FILE` and `run -- CMD`; neither adds code."""
    (folder / "anongw").mkdir()
    (folder / "anongw" / "__init__.py").write_text("raise SystemExit('planted')")
    (folder / "os.py").write_text("raise SystemExit('planted')")
    (folder / "link").symlink_to(checkout / "scripts" / "run")

    first = start(folder / "link", "--listen", "[::1]:1", "a b", cwd=folder, PYTHONPATH=str(folder))
    assert "this once" in first.stderr
    assert first.stdout == f"{folder} ['serve', '--listen', '[::1]:1', 'a b'] {folder}\n"
    second = start(folder / "link", cwd=folder)
    assert (second.stderr, second.stdout) == ("", f"{folder} ['serve'] None\n")
    commands = ("serve", "run", "check", "explain", "diff", "chain", "status", "reload", "identity", "passwd")
    for word in (*commands, "--help", "--version"):
        assert f"['{word}', 'x']" in start(folder / "link", word, "x", cwd=folder).stdout


@pytest.mark.parametrize("damage", ["no stamp", "half a stamp", "no interpreter", "another lock"])
def test_what_is_not_whole_is_made_anew(damage: str, checkout: Path, path: Path, python: Path) -> None:
    run, environment = checkout / "scripts" / "run", checkout / ".venv-run"
    assert start(run, cwd=checkout, PATH=str(path)).stdout == "started with serve\n"
    (environment / "left-over").touch()
    match damage:
        case "no stamp":
            (environment / ".stamp").unlink()
        case "half a stamp":
            (environment / ".stamp").write_text("# a")
        case "no interpreter":
            (environment / "bin" / "python").unlink()
        case _:
            (checkout / "requirements.lock").write_text("# another\n")
    again = start(run, cwd=checkout, PATH=str(path))
    assert "this once" in again.stderr
    assert again.stdout == "started with serve\n"
    assert not (environment / "left-over").exists()
    assert start(run, cwd=checkout, PATH=str(path)).stderr == ""


def test_a_failed_installation_is_said_and_tried_again(checkout: Path, path: Path, python: Path) -> None:
    run = checkout / "scripts" / "run"
    failed = start(run, cwd=checkout, PATH=str(path), STATUS="1")
    assert failed.returncode == 1
    assert "it needs the network. Run it again" in failed.stderr
    assert failed.stdout == ""
    assert start(run, cwd=checkout, PATH=str(path)).returncode == 0


def test_two_at_once(checkout: Path, path: Path, python: Path) -> None:
    environment = {"PATH": str(path)}
    both = [
        subprocess.Popen(
            [checkout / "scripts" / "run"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=PATIENCE) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum(b"this once" in errors for _, errors in said) == 1


def test_a_checkout_of_somebody_else(checkout: Path, folder: Path, path: Path, python: Path) -> None:
    """Its environment is made in the user's own cache."""
    run, home = checkout / "scripts" / "run", folder / "home"
    home.mkdir()
    user = None if os.getuid() else NOBODY
    if user is None:
        checkout.chmod(stat.S_IRUSR | stat.S_IXUSR)
    else:
        os.chown(home, user, user)
    first = start(run, cwd=checkout, user=user, HOME=str(home), PATH=str(path))
    assert first.stdout == "started with serve\n", first.stderr
    assert list((home / ".cache" / "anongw").iterdir())
    assert start(run, cwd=checkout, user=user, HOME=str(home), PATH=str(path)).stderr == ""
    nowhere = start(run, cwd=checkout, user=user, HOME="/proc", PATH=str(path))
    assert nowhere.returncode == 1
    assert "set XDG_CACHE_HOME" in nowhere.stderr
    elsewhere = {"HOME": "/proc", "XDG_CACHE_HOME": str(home / "other")}
    assert start(run, cwd=checkout, user=user, PATH=str(path), **elsewhere).returncode == 0
    checkout.chmod(stat.S_IRWXU)


def test_an_old_python_is_said(checkout: Path, path: Path) -> None:
    run = checkout / "scripts" / "run"
    assert "found: none" in start(run, cwd=checkout, PATH=str(path)).stderr
    program(path / "python3", '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
    old = start(run, cwd=checkout, PATH=str(path))
    assert old.returncode == 1
    assert "Python 3.11 or later is needed; found: Python 3.9.2" in old.stderr


def test_a_python_without_venv_is_said(checkout: Path, path: Path, python: Path) -> None:
    # As Debian's is without its package python3-venv.
    program(python, PYTHON.replace("*ensurepip*) exit 0", "*ensurepip*) exit 1"))
    run = checkout / "scripts" / "run"
    bare = start(run, cwd=checkout, PATH=str(path))
    assert bare.returncode == 1
    assert "python3.11 cannot make virtual environments" in bare.stderr
    assert "apt install python3-venv" in bare.stderr
    # Another one that can is taken instead.
    program(path / "python3", PYTHON)
    assert start(run, cwd=checkout, PATH=str(path)).returncode == 0


def test_the_mirror_misses_nothing(tmp_path: Path) -> None:
    for name in (
        "anongw/__init__.py",
        "anongw/wire/a.py",
        "anongw/b.py",
        "tests/wire/test_a.py",
        "tests/test_c.py",
        "tests/whole/test_d.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert faults(tmp_path) == ["anongw/b.py has no tests/test_b.py", "tests/test_c.py tests no module"]


def test_a_skip_needs_its_line() -> None:
    report = ET.fromstring(
        """<testsuites><testsuite>
        <testcase classname="tests.a" name="passed"/>
        <testcase classname="tests.a" name="listed"><skipped message="no fish today"/></testcase>
        <testcase classname="tests.a" name="not"><skipped message="no meat"/></testcase>
        </testsuite></testsuites>"""
    )
    assert unlisted(report, ["no fish *"]) == ["skipped: tests.a.not: no meat"]
    assert unlisted(report, ["no *"]) == []
