"""What the kernel says about the machine and about processes: cores, CPU, memory, descriptors, free ports.

A proxy may be many processes: it is told by its session, which all of them share.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Below the kernel's own range, so that no client's connection has taken it.
_PORTS = range(20000, 32000)
_APART = 7919  # has no factor in common with their count


@dataclass(frozen=True)
class Cores:
    """Which core is whose; None on a machine that has only one."""

    load: int | None
    proxy: int | None


def cores() -> Cores:
    ours = sorted(os.sched_getaffinity(0))
    return Cores(ours[0], ours[-1]) if len(ours) > 1 else Cores(None, None)


def pinned(core: int | None) -> list[str]:
    """What to put in front of a command."""
    return [] if core is None else ["taskset", "-c", str(core)]


def free_ports() -> Iterator[int]:
    """Ports on which nobody listens, each once."""
    # Two benchmarks at once begin at different ones, far apart even where their numbers are neighbours.
    start = os.getpid() * _APART % len(_PORTS)
    for port in (*_PORTS[start:], *_PORTS[:start]):
        with socket.socket() as sock, suppress(OSError):
            # As servers do: what is left in TIME-WAIT is no hindrance.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", port))
            sock.close()
            yield port


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc_pid_stat(5)); the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def members(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, theirs = _stat(int(folder.name))[:4]
            if int(theirs) == session and state != "Z":
                found.append(int(folder.name))
    return found


def cpu_seconds(session: int) -> float:
    """CPU time of all its processes so far, those that have ended included."""
    total = 0.0
    for pid in members(session):
        with suppress(OSError):
            # The clock of another process, to the nanosecond (clock_getcpuclockid(3)); stat counts in 10 ms.
            total += time.clock_gettime((~pid << 3) | 2)
            # cutime and cstime: children that have been waited for.
            total += sum(map(int, _stat(pid)[13:15])) / _TICKS
    return total


def memory_kib(session: int) -> int:
    """Memory of all its processes, in KiB: what is shared among n of them counts a n-th in each (PSS)."""
    total = 0
    for pid in members(session):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def descriptors(session: int) -> int:
    """How many files all its processes have open."""
    total = 0
    for pid in members(session):
        with suppress(OSError):
            total += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return total


def sockets(session: int) -> dict[int, int]:
    """How many sockets each of its processes has open, by its number."""
    found = {}
    for pid in members(session):
        found[pid] = 0
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    found[pid] += str(link.readlink()).startswith("socket:")
    return found


class OtherPrograms:
    """How much CPU time other programs have had since this was made: they take it from the rates."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._before = self._used()

    def share(self) -> float:
        """In % of the whole machine."""
        whole = (time.monotonic() - self._begun) * (os.cpu_count() or 1)
        return max(0.0, 100 * (self._used() - self._before) / whole) if whole else 0.0

    @staticmethod
    def _used() -> float:
        """CPU seconds of the machine but ours and our children's; proc_stat(5)."""
        first = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        user, nice, system, _, _, irq, soft_irq, steal = map(int, first)
        ours = sum(os.times()[:4])
        return (user + nice + system + irq + soft_irq + steal) / _TICKS - ours


def described() -> dict[str, str]:
    """The machine in a few words, for the record."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    uname = os.uname()
    return {
        "cpu": models[0] if models else uname.machine,
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{uname.sysname} {uname.release}",
        "load average": " ".join(f"{one:.1f}" for one in os.getloadavg()),
    }
