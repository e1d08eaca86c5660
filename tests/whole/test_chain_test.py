"""`anongw chain test` as a process: real proxies and faulty ones, and nobody but whom the file names."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from anongw.lab.hop_script import Fault, Manner, Phase
from tests.support import outside
from tests.support.audit import read
from tests.support.fake_hop import FakeHop
from tests.support.nobody import nobody
from tests.support.process import PATIENCE, PROGRAM, ROOT
from tests.support.upstreams import PASSWORD, dante, microsocks, tinyproxy
from tests.whole.test_audit import violations

# A target on this machine is refused to clients, unless somebody says otherwise.
LAB = '[policy]\nallow_private = ["127.0.0.0/8"]\n'


def written(folder: Path, *positions: Sequence[str], more: str = "") -> Path:
    """A chain's file."""
    path = folder / "chain.toml"
    path.write_text(more + "".join(f"[[hop]]\nurls = {json.dumps(list(urls))}\n" for urls in positions))
    return path


@pytest.fixture
def dead() -> Iterator[str]:
    """A hop where nobody answers."""
    with nobody() as port:
        yield f"socks5://127.0.0.1:{port}"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "anongw.toml"
    path.write_text(LAB)
    return path


def examine(*arguments: str | Path, program: Sequence[str] = PROGRAM) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*program, "chain", "test", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    for text in (done.stdout, done.stderr):
        assert PASSWORD not in text
        assert "\x1b" not in text
        assert "Traceback" not in text
    return done


def states(done: subprocess.CompletedProcess[str]) -> list[tuple[int, str]]:
    return [(one["position"], one["state"]) for one in json.loads(done.stdout)]


def test_real_proxies_that_work(tmp_path: Path, lab: Path) -> None:
    with (
        microsocks(login=True) as first,
        dante(login=True) as second,
        tinyproxy(login=True) as exit_,
        outside.Origin(outside.listening("127.0.0.9")) as origin,
    ):
        file = written(tmp_path, [first.url, second.url], [exit_.url])
        done = examine(file)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count(" up ") == 2
        assert "accepts connections" in done.stdout
        assert done.stdout.endswith("hops only; --target HOST:PORT goes through to a host of yours\n")
        assert origin.heard == []

        done = examine(file, "--json", "--config", lab, "--target", f"{origin.host}:{origin.port}")
        assert (done.returncode, done.stderr) == (0, "")
        found = json.loads(done.stdout)
        assert [(one["position"], one["member"], one["state"]) for one in found] == [
            (1, first.bare, "up"),
            (1, second.bare, "up"),
            (2, exit_.bare, "up"),
        ]
        assert [one["target_ms"] is not None for one in found] == [False, False, True]
        assert all(one["reach_ms"] is not None for one in found)
        assert len(origin.heard) == 1


def test_what_is_wrong_is_told_and_ends_with_1(tmp_path: Path, dead: str) -> None:
    hang = Fault(Phase.METHOD, Manner.HANG)
    with (
        microsocks(login=True) as locked,
        microsocks() as one,
        FakeHop(fault=hang) as silent,
        FakeHop(fault=Fault(Phase.METHOD, Manner.CLOSE)) as closing,
    ):
        wrong = locked.url.replace("alice", "bob")
        urls = [wrong, silent.url, closing.url, dead, one.url]
        # By itself the chain would wait longer than this test does.
        file = written(tmp_path, urls, [silent.url, one.url], more='timeout = "1h"\nhop_timeout = "1h"\n')
        done = examine(file, "--timeout", "0.5")
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            f"anongw: hop 1: {locked.bare}: refuses our credentials",
            f"anongw: hop 1: {silent.url}: silent",
            f"anongw: hop 1: {closing.url}: closes",
            f"anongw: hop 1: {dead}: unreachable: connection refused",
            f"anongw: hop 2: {silent.url}: silent",
        ]
        assert done.stdout.count(" up ") == 2


def test_where_no_first_hop_works_nobody_is_tried_after_it(tmp_path: Path, dead: str) -> None:
    with FakeHop() as second:
        done = examine(written(tmp_path, [dead], [second.url]), "--json")
        assert second.seen == []
    assert done.returncode == 1
    assert states(done) == [(1, "unreachable"), (2, "not tried")]


def test_a_file_that_is_none_ends_with_2(tmp_path: Path) -> None:
    done = examine(written(tmp_path, ["socks5://"]))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"anongw: {tmp_path}/chain.toml:2: ")


@pytest.mark.parametrize("program", [PROGRAM, (sys.executable, "-c", "from anongw.cli import main; main()")])
def test_ctrl_c_ends_it_at_once_and_without_a_word(tmp_path: Path, program: Sequence[str]) -> None:
    with FakeHop(fault=Fault(Phase.METHOD, Manner.HANG)) as silent:
        file = written(tmp_path, [silent.url])
        with subprocess.Popen(
            [*program, "chain", "test", str(file), "--timeout", str(2 * PATIENCE)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            silent.until(lambda: bool(silent.seen))
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=PATIENCE)
    assert said == (b"", b"")
    assert process.returncode == 130


def test_nobody_is_asked_or_connected_to_but_who_is_written(tmp_path: Path) -> None:
    """Every socket event of the process is listed; the one name is asked of the config's resolver."""
    records = {"first.example": ("127.0.0.1",)}
    with outside.on_loopback(records) as (origin, names), FakeHop() as first, FakeHop("http") as second:
        first.names["second.example"] = second.place
        second.names["target.example"] = (origin.host, origin.port)
        config = tmp_path / "anongw.toml"
        config.write_text(f'[resolve]\nservers = ["udp://127.0.0.8:{names.port}"]\n')
        file = written(
            tmp_path,
            [f"socks5://first.example:{first.port}"],
            [f"http://second.example:{second.port}"],
        )
        report = tmp_path / "audit.jsonl"
        program = (sys.executable, "-m", "tests.support.audit", str(report))
        done = examine(file, "--config", config, "--target", "target.example:443", "--json", program=program)
        assert (done.returncode, done.stderr) == (0, "")
        assert states(done) == [(1, "up"), (2, "up")]
        assert set(names.asked) == {"first.example"}
        assert first.asked == [("second.example", second.port)] * 2
        assert second.asked == [("target.example", 443)]
        peers = {("127.0.0.8", names.port), first.place}
    events = read(report)
    assert violations(events, peers) == []
    assert {tuple(event.args[0]) for event in events if event.name == "socket.connect"} == peers  # type: ignore[arg-type]


def test_a_passwords_file_is_not_repeated(tmp_path: Path, dead: str) -> None:
    """Neither the user nor the password of a hop is told, whatever becomes of it."""
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    file = tmp_path / "chain.toml"
    with FakeHop("http", users={"carol": "right"}) as one:
        file.write_text(
            f'[[hop]]\nurl = "{one.upstream.bare}"\nuser = "carol"\npassword_file = "password"\n'
            f'[[hop]]\nurl = "{dead}"\n'
        )
        done = examine(file)
        assert one.seen[-1].user == "carol"
    assert done.returncode == 1
    assert "hop 1: http://127.0.0.1:" in done.stderr
    assert "refuses our credentials: when it is asked for socks5://" in done.stderr
    for word in ("carol", "hunter2"):
        assert word not in done.stdout + done.stderr


def test_standard_output_may_be_closed(tmp_path: Path) -> None:
    file = written(tmp_path, ["direct"])
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        done = subprocess.run(
            [*PROGRAM, "chain", "test", str(file)],
            cwd=ROOT,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    assert b"Traceback" not in done.stderr
