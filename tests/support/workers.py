"""A gateway of several workers, as its user starts it: who they are, and which has which connection."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import process
from tests.support.process import PROGRAM, ROOT, Gateway
from tests.support.programs import PATIENCE

# Nobody answers at the resolver: a look-up that a test did not expect is an error, not a leak.
SETTINGS = ('policy.allow_private=["127.0.0.0/8"]', 'resolve.servers=["tcp://127.0.0.1:1"]')


class Workers:
    """One that runs."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.gateway = gateway
        self._control = folder / "control"

    @property
    def where(self) -> tuple[str, int]:
        return self.gateway.where

    @property
    def pids(self) -> list[int]:
        """The workers that live."""
        return children(self.gateway.pid)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`anongw status` and the like."""
        return subprocess.run(
            [*PROGRAM, *words, "--control", str(self._control)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        done = self.ask("status", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def flows(self) -> list[int]:
        """What each worker has carried to its end."""
        return [worker["flows"] for worker in self.status()["workers"]]

    def owner(self, client: socket.socket) -> int:
        """The process that has accepted this connection."""
        link = f"socket:[{_inode(self.where[1], client.getsockname()[1])}]"
        found = [pid for pid in self.pids if link in descriptors(pid)]
        assert len(found) == 1, f"{link} is had by {found}"
        return found[0]


@contextmanager
def workers(folder: Path, *settings: str, count: int = 2, **options: Any) -> Iterator[Workers]:  # noqa: ANN401
    """Run a gateway of so many, with these settings on top of SETTINGS."""
    sets = (*SETTINGS, f"control.socket={folder}/control", f"listen.workers={count}", *settings)
    with process.gateway(folder, *sets, **options) as gateway:
        yield Workers(gateway, folder)


def children(pid: int) -> list[int]:
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def descriptors(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:
            continue
    return found


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _inode(port: int, client: int) -> int:
    """The gateway's end of a connection over IPv4 (proc_net_tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *rest = line.split()
        if int(local.partition(":")[2], 16) == port and int(remote.partition(":")[2], 16) == client:
            return int(rest[6])
    raise AssertionError(f"nobody has the connection from port {client}")
