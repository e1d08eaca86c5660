"""Each peer in turn, round after round, for one workload."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.benchmark import machine
from scripts.benchmark.load import Options, Result, load
from scripts.benchmark.peers import NONE, OURS, ROOT, Peer, Setup, Way
from scripts.benchmark.running import NotMeasured, Running, running
from scripts.benchmark.workloads import Sample, Workload

# Seconds for a proxy to close what its clients have closed.
_CLOSE_MOST = 10.0
# Seconds in which what was still being closed when a run of visits was over is closed.
_SETTLE = 0.02
# Seconds of a warm-up at the least: a first log-in costs a hash that is meant to be slow.
_WARM_UP_LEAST = 0.2
# Files of a process that are no tunnel's.
_FILES_APART = 600
_IMPORT = "import anongw.cli, anongw.config, anongw.gateway"


@dataclass(frozen=True)
class Bench:
    """What all workloads share."""

    program: Path
    cores: machine.Cores
    peers: tuple[Peer, ...]
    rounds: int
    seconds: float
    held: int
    ports: Iterator[int] = field(default_factory=machine.free_ports)


@dataclass
class Outcome:
    """What a workload gave: for each peer its samples, one a round."""

    workload: Workload
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    # Sentences, among them why a peer has no figures.
    notes: list[str] = field(default_factory=list)
    skipped: str = ""


@dataclass(frozen=True)
class _Contestant:
    """A peer that takes part; `None` for `running`: no proxy at all."""

    name: str
    options: Options
    running: Running | None


def measure(bench: Bench, workload: Workload) -> Outcome:
    outcome = Outcome(workload)
    if workload.hops and not _has_chains():
        outcome.skipped = "skipped: `anongw serve` has no --chain"
    elif workload.kind == "import":
        outcome.samples[OURS] = [_imported() for _ in range(bench.rounds)]
    elif workload.kind == "run":
        _run(bench, workload, outcome)
    else:
        _anew(bench, workload, outcome)
    return outcome


def _run(bench: Bench, workload: Workload, outcome: Outcome) -> None:
    """All proxies live through the workload; each is warmed up, then measured once a round."""
    with ExitStack() as stack:
        contestants = []
        for peer in _participants(bench, workload):
            with _noted(outcome, peer.name):
                options, process = stack.enter_context(_started(bench, workload, peer))
                contestants.append(_Contestant(peer.name, options, process))
        if workload.hops is None:
            contestants.append(_Contestant(NONE, _bare(bench, workload), None))
        for contestant in contestants:
            with _noted(outcome, contestant.name):
                _warm_up(bench, contestant)
                outcome.samples[contestant.name] = []
        results: dict[str, list[Result]] = {contestant.name: [] for contestant in contestants}
        for _ in range(bench.rounds):
            for contestant in contestants:
                if contestant.name not in outcome.samples:
                    continue
                with _noted(outcome, contestant.name):
                    result, cpu = _timed(bench, contestant, bench.seconds)
                    outcome.samples[contestant.name].append(workload.figures(result, cpu))
                    results[contestant.name].append(result)
        for name in outcome.samples:
            outcome.notes += told(name, results[name])


def _anew(bench: Bench, workload: Workload, outcome: Outcome) -> None:
    """Every proxy is started anew in every round."""
    for _ in range(bench.rounds):
        for peer in _participants(bench, workload):
            if any(note.startswith(f"{peer.name}: ") for note in outcome.notes):
                continue
            with _noted(outcome, peer.name), _started(bench, workload, peer) as (options, process):
                is_start = workload.kind == "start"
                sample = {"ms": 1000 * process.started} if is_start else _idle(bench, options, process)
                outcome.samples.setdefault(peer.name, []).append(sample)


def _participants(bench: Bench, workload: Workload) -> list[Peer]:
    return [
        peer
        for peer in bench.peers
        if (workload.hops is None or peer.chains) and any(way in peer.ways for way in workload.ways)
    ]


@contextmanager
def _noted(outcome: Outcome, name: str) -> Iterator[None]:
    """What keeps a peer from being measured becomes a note, and takes its figures away."""
    try:
        yield
    except NotMeasured as error:
        outcome.samples.pop(name, None)
        outcome.notes.append(f"{name}: not measured: {error}")


@contextmanager
def _started(bench: Bench, workload: Workload, peer: Peer) -> Iterator[tuple[Options, Running]]:
    """A proxy for this workload, and what the load generator must be told to go through it."""
    way: Way = next(way for way in workload.ways if way in peer.ways)
    port, origin, *hops = (next(bench.ports) for _ in range(2 + (workload.hops or 0)))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # some proxies become another user
        command = peer.command(Setup(folder, port, origin, way, tuple(hops)))
        options = {**workload.options, "protocol": way, "proxy": port, "origin": origin}
        if hops:
            options["hops"] = ",".join(map(str, hops))
        if workload.kind == "idle":
            options["clients"] = bench.held
        with running(command, port, folder, bench.cores.proxy) as process:
            yield options, process


def _bare(bench: Bench, workload: Workload) -> Options:
    way: Way = "http" if workload.ways == ("http",) else "plain"
    return {**workload.options, "protocol": way, "origin": next(bench.ports)}


def _warm_up(bench: Bench, contestant: _Contestant) -> None:
    """With one client, so that 32 do not all wait for what is done but once, such as a first log-in."""
    alone = _Contestant(contestant.name, {**contestant.options, "clients": 1}, contestant.running)
    _timed(bench, alone, max(_WARM_UP_LEAST, bench.seconds / 5))


def _timed(bench: Bench, contestant: _Contestant, seconds: float) -> tuple[Result, float | None]:
    """One run, and the proxy's CPU seconds in it."""
    with load(bench.program, bench.cores.load, {**contestant.options, "seconds": seconds}) as tool:
        if contestant.running is None:
            return tool.go(), None
        before = machine.cpu_seconds(contestant.running.session)
        result = tool.go()
        if contestant.options["work"] == "visit":
            time.sleep(_SETTLE)
        return result, machine.cpu_seconds(contestant.running.session) - before


def told(name: str, results: Sequence[Result]) -> list[str]:
    """What must be known beside a peer's figures, a sentence each."""
    units = sum(result.units for result in results)
    failures = sum(result.failures for result in results)
    reopened = sum(result.reopened for result in results)
    notes = []
    if failures:
        notes.append(f"{name}: {failures} of {failures + units} connections failed")
    if reopened:
        notes.append(f"{name}: closed its connection {reopened} times in {units} requests")
    return notes


def _idle(bench: Bench, options: Options, process: Running) -> Sample:
    files, before = machine.descriptors(process.session), machine.memory_kib(process.session)
    with load(bench.program, bench.cores.load, options):
        held = machine.memory_kib(process.session)
    deadline = time.monotonic() + _CLOSE_MOST
    while machine.descriptors(process.session) > files and time.monotonic() < deadline:
        time.sleep(0.05)
    return {
        "KiB each": (held - before) / bench.held,
        "MiB at start": before / 1024,
        "MiB held": held / 1024,
        "MiB closed": machine.memory_kib(process.session) / 1024,
    }


def most_held(hard_limit: int) -> int:
    """How many tunnels a limit on open files allows, at two each in the proxy and in the load generator."""
    return (hard_limit - _FILES_APART) // 2


def _imported() -> Sample:
    took = {}
    for code in ("", _IMPORT):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        took[code] = time.perf_counter() - begun
    return {"ms": 1000 * (took[_IMPORT] - took[""])}


def _has_chains() -> bool:
    command = [sys.executable, "-m", "anongw", "serve", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "--chain" in done.stdout
