"""What is measured of a proxy that is started anew in every round: start, memory, shares of its processes."""

import subprocess
import sys
import time
from collections.abc import Callable

from scripts.benchmark import machine
from scripts.benchmark.bench import Bench, Outcome, noted, participants, started
from scripts.benchmark.load import Options, load
from scripts.benchmark.peers import ROOT, WORKERS
from scripts.benchmark.running import NotMeasured, Running
from scripts.benchmark.workloads import Sample, Workload

# Tunnels that are held before memory is first read: what is loaded or allotted once is no tunnel's.
_WARM = 64
# KiB that a proxy may take with the first step of idle tunnels, or there is no second.
_MEMORY_MOST = 1 << 20
# Seconds for a proxy to close what its clients have closed.
_CLOSE_MOST = 10.0
# Files of a process that are no tunnel's.
_FILES_APART = 600
_IMPORT = "import anongw.cli, anongw.config, anongw.gateway"


def anew(bench: Bench, workload: Workload, outcome: Outcome) -> None:
    """Every proxy is started anew in every round."""
    for _ in range(bench.rounds):
        for peer in participants(bench, workload):
            if any(note.startswith(f"{peer.name}: ") for note in outcome.notes):
                continue
            with noted(outcome, peer.name), started(bench, workload, peer) as (options, process):
                sample = _figures[workload.kind](bench, options, process)
                outcome.samples.setdefault(peer.name, []).append(sample)


def imported() -> Sample:
    took = {}
    for code in ("", _IMPORT):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        took[code] = time.perf_counter() - begun
    return {"ms": 1000 * (took[_IMPORT] - took[""])}


def most_held(hard_limit: int) -> int:
    """How many tunnels a limit on open files allows, at two each in the proxy and in the load generator."""
    return (hard_limit - _FILES_APART) // 2


def steps(wanted: tuple[int, int], most: int) -> tuple[int, int]:
    """As many, or in the same proportion as many as there may be."""
    first, last = wanted
    return wanted if last <= most else (most * first // last, most)


def _started_in(_bench: Bench, _options: Options, process: Running) -> Sample:
    return {"ms": 1000 * process.started}


def _idle(bench: Bench, options: Options, process: Running) -> Sample:
    files = machine.descriptors(process.session)
    with load(bench.program, bench.cores.load, {**options, "clients": _WARM}):
        pass
    before = _closed(process, files)
    held = _held(bench, options, process)
    closed = _closed(process, files)
    # At the same height: how much of what was freed goes back to the kernel is the allocator's luck, while
    # what a leak leaves behind comes on top of the next crowd.
    grown = _held(bench, options, process)[1] - held[1]
    first, last = bench.held
    return {
        "KiB each": (held[0] - before) / first,
        "KiB each more": (held[1] - held[0]) / (last - first),
        "MiB at start": before / 1024,
        "MiB held": held[1] / 1024,
        "MiB closed": closed / 1024,
        "MiB grown": grown / 1024,
    }


def _held(bench: Bench, options: Options, process: Running) -> tuple[float, float]:
    """Memory in KiB with as many tunnels as each of the two steps has."""
    first, last = bench.held
    steps = {"clients": first, "more": last - first}
    with load(bench.program, bench.cores.load, {**options, **steps}) as tool:
        held = machine.memory_kib(process.session)
        if held > _MEMORY_MOST:
            raise NotMeasured(f"{first:,} tunnels take {held / (1 << 20):.1f} GiB: no more are opened")
        tool.go()
        return held, machine.memory_kib(process.session)


def _closed(process: Running, files: int) -> float:
    """Memory in KiB once no more files are open than these."""
    deadline = time.monotonic() + _CLOSE_MOST
    while machine.descriptors(process.session) > files and time.monotonic() < deadline:
        time.sleep(0.05)
    return machine.memory_kib(process.session)


def _spread(bench: Bench, options: Options, process: Running) -> Sample:
    before = machine.sockets(process.session)
    with load(bench.program, bench.cores.load, options):
        counts = machine.sockets(process.session)
    # Two for each tunnel; whoever has none is no worker.
    tunnels = [count - before.get(pid, 0) for pid, count in counts.items()]
    shares = sorted(100 * one / sum(tunnels) for one in tunnels)[-WORKERS:]
    return {"least share %": shares[0], "largest share %": shares[-1]}


_figures: dict[str, Callable[[Bench, Options, Running], Sample]] = {
    "start": _started_in,
    "idle": _idle,
    "spread": _spread,
}
