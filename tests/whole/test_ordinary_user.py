"""The gateway as an ordinary user runs it: what root hides is the kernel's budget for pipes, and a HOME.

Root becomes `nobody` for it; anybody else runs it as is.
"""

import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import asks, outside
from tests.support.asks import CONNECT, SOCKS4, SOCKS5
from tests.support.process import PROGRAM, ROOT, Gateway, gateway

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--") if os.geteuid() == 0 else ()
EXEMPT = 'policy.allow_private=["127.0.0.9/32"]'
MIB = 1 << 20
# pipe(7): the pages of pipe buffers that an ordinary user gets without a question.
BUDGET = int(Path("/proc/sys/fs/pipe-user-pages-soft").read_text()) * os.sysconf("SC_PAGESIZE")


def why_not() -> str:
    """Why nobody cannot run this checkout with this Python; "" if they can."""
    imports = "import anongw.cli, anongw.gateway, encodings.idna, h2, httptools"
    try:
        done = subprocess.run(
            [*NOBODY, sys.executable, "-c", imports], cwd=ROOT, capture_output=True, check=False
        )
    except FileNotFoundError:
        return "setpriv is not installed"
    return f"an ordinary user cannot run {sys.executable}" if done.returncode else ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "they can")


def pipes(running: Gateway) -> dict[str, int]:
    """The pipes that it has made, and the size of each. Its standard output is ours."""
    found = {}
    ours = str(Path(f"/proc/{running.pid}/fd/1").readlink())
    for number, name in running.descriptors().items():
        if name.startswith("pipe:") and name != ours:
            end = os.open(f"/proc/{running.pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
            found[name] = fcntl.fcntl(end, fcntl.F_GETPIPE_SZ)
            os.close(end)
    return found


def open_files(running: Gateway) -> tuple[str, str]:
    """The soft and the hard limit."""
    for line in Path(f"/proc/{running.pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            soft, hard = line.split()[3:5]
            return soft, hard
    raise AssertionError("no such limit")


def test_a_hundred_bulk_transfers_stay_within_the_pipe_budget(tmp_path: Path) -> None:
    """All hundred stand still in the middle, where each would like a pipe; then each gets exactly its own."""
    with (
        outside.Origin(outside.listening("127.0.0.9")) as origin,
        gateway(tmp_path, EXEMPT, program=(*NOBODY, *PROGRAM)) as running,
        ExitStack() as stack,
    ):
        sizes = [32 * MIB + number for number in range(100)]
        ways = (SOCKS5, SOCKS4, CONNECT)
        clients = [
            stack.enter_context(asks.tunnel(running.where, ways[size % 3], "127.0.0.9", origin.port))
            for size in sizes
        ]
        for client, size in zip(clients, sizes, strict=True):
            client.sendall(outside.flood(size))
        early = [asks.exactly(client, 4 * MIB) for client in clients]
        taken = pipes(running)
        assert 32 < len(taken) <= BUDGET // MIB, "the pool is used, and ends where the budget does"
        assert sum(taken.values()) <= BUDGET
        assert min(taken.values()) >= 256 * 1024, "a pipe that the kernel has shrunk is worth nothing"
        assert _all_arrive(clients, sizes, early) == []
        assert sum(pipes(running).values()) <= BUDGET


def _all_arrive(clients: Sequence[socket.socket], sizes: list[int], early: list[bytes]) -> list[int]:
    """Read all of them to their end, side by side; the sizes of those with a byte that is not theirs."""
    wrong: list[int] = []

    def read(number: int) -> None:
        size = sizes[number]
        piece = outside.flooded(size)
        twice = piece * 2
        place = 0
        data: bytes | memoryview = early[number]
        while data:
            start = place % len(piece)
            for at in range(0, len(data), len(piece)):
                part = data[at : at + len(piece)]
                if bytes(part) != twice[start : start + len(part)]:
                    wrong.append(size)
                    return
            place += len(data)
            data = clients[number].recv(min(MIB, size - place)) if place < size else b""
        if place != size:
            wrong.append(size)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(len(clients))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return wrong


def test_the_limit_on_open_files_is_raised(tmp_path: Path) -> None:
    with gateway(tmp_path, program=("prlimit", "--nofile=256:2048", *NOBODY, *PROGRAM)) as running:
        assert open_files(running) == ("2048", "2048")


def test_it_needs_no_home(tmp_path: Path) -> None:
    homely = ("HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
    bare = {name: value for name, value in os.environ.items() if name not in homely}
    program = (*NOBODY, *PROGRAM)
    with (
        outside.Origin(outside.listening("127.0.0.9")) as origin,
        gateway(tmp_path, EXEMPT, program=program, environment=bare) as running,
    ):
        asks.served(running.where, "127.0.0.9", origin.port)


def test_it_is_not_root(tmp_path: Path) -> None:
    with gateway(tmp_path, program=(*NOBODY, *PROGRAM)) as running:
        assert running.status("Uid") != 0
