"""Real programs on free ports: servers that run while a test does, and clients that run to their end.

A server is ready when it accepts a connection. Every program is ended with its whole process group, and
nothing waits longer than `PATIENCE`.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# Seconds after which a program that does not start, or does not end, fails its test.
PATIENCE = 60.0
# Debian keeps servers where an ordinary user's PATH does not look.
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
# What would send a client elsewhere, or make it speak another language, is not passed on.
_PLAIN = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


def found(name: str) -> str:
    """A program's path; without the program the test is skipped, which CI does not allow."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A bare one, with a home that no other test has written to."""
    return {**_PLAIN, "HOME": str(home), **(more or {})}


def run(
    command: Sequence[str | Path],
    home: Path,
    *,
    data: bytes | None = None,
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a client to its end in an empty environment; what it wrote is captured."""
    return subprocess.run(
        [found(str(command[0])), *map(str, command[1:])],
        input=data if data is not None else b"",
        env=environment(home, more),
        cwd=home,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


def output(command: Sequence[str | Path], home: Path, *, data: bytes | None = None) -> bytes:
    """What a client wrote, that must have ended well."""
    done = run(command, home, data=data)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr.decode()}"
    return done.stdout


@contextmanager
def serving(command: Sequence[str | Path], port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server in the foreground, once it accepts on `port` of 127.0.0.1."""
    log = folder / "program.log"
    with started(command, folder, log) as process:
        deadline = time.monotonic() + PATIENCE
        while not _accepts(port):
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"{command[0]} does not listen: {log.read_text()}"
            time.sleep(0.01)
        yield process


@contextmanager
def started(
    command: Sequence[str | Path], folder: Path, log: Path, more: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the block ends, and its children with it."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [found(str(command[0])), *map(str, command[1:])],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env=environment(folder, more),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE / 10)


def _accepts(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        return sock.connect_ex(("127.0.0.1", port)) == 0
