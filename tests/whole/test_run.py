"""`anongw run -- CMD`: the real command around real programs."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.nginx import HELLO, Nginx
from tests.support.process import PROGRAM, ROOT
from tests.support.programs import PATIENCE, environment
from tests.support.raw_origin import Origin
from tests.whole.conftest import SETTINGS

SETS = [word for setting in SETTINGS for word in ("--set", setting)]
# A user whose proxy and exceptions are set already: both must be overruled.
STRAY = {
    "http_proxy": "http://127.0.0.1:1",
    "ALL_PROXY": "http://127.0.0.1:1",
    "NO_PROXY": "*",
    "no_proxy": "*",
}


def words(command: Sequence[str], *options: str) -> list[str]:
    return [*PROGRAM, "run", *SETS, *options, "--", *command]


def run(home: Path, command: Sequence[str], *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        words(command, *options),
        cwd=ROOT,
        env=environment(home, STRAY),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("options", [(), ("--socks",)], ids=["http", "socks"])
def test_curl_goes_by_the_gateway(options: tuple[str, ...], origin: Nginx, tmp_path: Path) -> None:
    # Nobody but the gateway knows the name.
    done = run(tmp_path, ["curl", "-qsSf", f"{origin.url}/hello.txt"], *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, HELLO, b"")
    secure = ["curl", "-qsSf", "--cacert", str(origin.ca_file), f"{origin.tls_url}/hello.txt"]
    assert run(tmp_path, secure, *options).stdout == HELLO


def test_git_and_wget_find_the_variables(origin: Nginx, tmp_path: Path) -> None:
    assert run(tmp_path, ["wget", "-q", "-O", "-", f"{origin.url}/hello.txt"]).stdout == HELLO
    refused = run(tmp_path, ["git", "ls-remote", f"{origin.url}/no.git"])
    assert refused.returncode == 128
    assert "/no.git/info/refs" in origin.log()


def test_the_status_is_the_programs(origin: Nginx, tmp_path: Path) -> None:
    assert run(tmp_path, ["curl", "-qsSf", f"{origin.url}/absent"]).returncode == 22
    assert run(tmp_path, ["sh", "-c", "exit 7"]).returncode == 7
    assert run(tmp_path, ["sh", "-c", "kill -9 $$"]).returncode == 128 + 9
    assert run(tmp_path, ["no-such-program"]).returncode == 127


def test_every_variable(tmp_path: Path) -> None:
    said = dict(line.split("=", 1) for line in run(tmp_path, ["env"]).stdout.decode().splitlines())
    proxies = {said[name] for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY")}
    assert len(proxies) == 1
    assert proxies.pop().startswith("http://127.0.0.1:")
    assert said["no_proxy"] == said["NO_PROXY"] == ""
    socks = dict(
        line.split("=", 1) for line in run(tmp_path, ["env"], "--socks").stdout.decode().splitlines()
    )
    assert socks["all_proxy"].startswith("socks5h://127.0.0.1:")


def test_the_programs_own_options_are_left_to_it(tmp_path: Path) -> None:
    said = run(tmp_path, ["echo", "--set", "x", "--", "--help"])
    assert said.stdout == b"--set x -- --help\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_program_and_ends_both(number: signal.Signals, tmp_path: Path) -> None:
    with (
        Origin() as raw,
        subprocess.Popen(
            words(["curl", "-qsS", f"http://{raw.authority}/"]),
            cwd=ROOT,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process,
        raw.accept() as line,
    ):
        line.head()  # curl runs, and waits for an answer that does not come
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert b"Traceback" not in errors


def test_it_runs_without_a_terminal_or_standard_input(tmp_path: Path) -> None:
    done = subprocess.run(
        words([sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"]),
        cwd=ROOT,
        input=b"12345",
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == b"5\n"
