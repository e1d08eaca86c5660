"""A proxy that runs in a session of its own, until the block ends: then no process of it is left."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark import machine

# Seconds for a proxy to start, and to end before it is killed.
_START_MOST = 15.0
_END_MOST = 3.0
_LOG = "proxy.log"


class NotMeasured(Exception):
    """Why there is no figure."""


@dataclass(frozen=True)
class Running:
    session: int
    port: int
    # Seconds from its start until it accepted.
    started: float


@contextmanager
def running(command: Sequence[str], port: int, folder: Path, core: int | None) -> Iterator[Running]:
    """Start it, and wait until it accepts on this port.

    Raises:
        NotMeasured: it does not, for the reason that it wrote.
    """
    if _accepts(port):
        raise NotMeasured(f"somebody else listens on port {port}")
    log = folder / _LOG
    begun = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*machine.pinned(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        while not _accepts(port):
            ended = process.poll() is not None
            if ended or time.perf_counter() - begun > _START_MOST:
                last = log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise NotMeasured(f"{'it ended' if ended else 'it does not listen'}: {last}")
            time.sleep(0.001)
        yield Running(process.pid, port, time.perf_counter() - begun)
    finally:
        end(process)


def _accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[bytes]) -> None:
    """Its whole session: some proxies give their children groups of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in machine.members(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_MOST)
    # Its children are no children of ours: nobody tells us when they are gone.
    deadline = time.monotonic() + _END_MOST
    while machine.members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.001)
