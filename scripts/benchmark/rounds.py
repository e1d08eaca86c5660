"""Each peer in turn, round after round, for one workload."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from scripts.benchmark import machine
from scripts.benchmark.anew import anew, imported
from scripts.benchmark.bench import Bench, Outcome, noted, participants, started
from scripts.benchmark.load import Options, Result, load
from scripts.benchmark.peers import NONE, OURS, Way, serve_knows
from scripts.benchmark.running import Running
from scripts.benchmark.workloads import AT_ONCE, HALF, Cost, Workload

# Seconds in which what was still being closed when a run of visits was over is closed.
_SETTLE = 0.02
# Seconds of a warm-up at the least: a first log-in costs a hash that is meant to be slow.
_WARM_UP_LEAST = 0.15


@dataclass(frozen=True)
class _Contestant:
    """A peer that takes part; `None` for `running`: no proxy at all."""

    name: str
    options: Options
    running: Running | None


def measure(bench: Bench, workload: Workload) -> Outcome:
    outcome = Outcome(workload)
    if workload.hops and not serve_knows("--chain"):
        outcome.skipped = "skipped: `anongw serve` has no --chain"
    elif workload.of_workers and not any(peer.workers > 1 for peer in bench.peers):
        outcome.skipped = "skipped: no gateway of several processes among the peers"
    elif workload.kind == "import":
        outcome.samples[OURS] = [imported() for _ in range(bench.rounds)]
    elif workload.kind in ("run", "half"):
        _run(bench, workload, outcome)
    else:
        anew(bench, workload, outcome)
    return outcome


def _run(bench: Bench, workload: Workload, outcome: Outcome) -> None:
    """All proxies live through the workload; each is warmed up, then measured once a round."""
    with ExitStack() as stack:
        contestants = []
        for peer in participants(bench, workload):
            with noted(outcome, peer.name):
                options, process = stack.enter_context(started(bench, workload, peer))
                contestants.append(_Contestant(peer.name, options, process))
        if workload.hops is None and not workload.of_workers:
            contestants.append(_Contestant(NONE, _bare(bench, workload), None))
        for contestant in contestants:
            with noted(outcome, contestant.name):
                _warm_up(bench, contestant)
                outcome.samples[contestant.name] = []
        results: dict[str, list[Result]] = {contestant.name: [] for contestant in contestants}
        for _ in range(bench.rounds):
            for contestant in contestants:
                if contestant.name not in outcome.samples:
                    continue
                with noted(outcome, contestant.name):
                    result, cost = _once(bench, workload, contestant)
                    outcome.samples[contestant.name].append(workload.figures(result, cost))
                    results[contestant.name].append(result)
        for name in outcome.samples:
            outcome.notes += told(name, results[name])


def _bare(bench: Bench, workload: Workload) -> Options:
    way: Way = "http" if workload.ways == ("http",) else "plain"
    return {**workload.options, "protocol": way, "origin": next(bench.ports)}


def _warm_up(bench: Bench, contestant: _Contestant) -> None:
    """With one client, so that 32 do not all wait for what is done but once, such as a first log-in."""
    seconds = max(_WARM_UP_LEAST, bench.seconds / 5)
    work = "visit" if contestant.options["work"] == "arrive" else contestant.options["work"]
    _timed(bench, contestant, {"work": work, "clients": 1, "seconds": seconds})


def _once(bench: Bench, workload: Workload, contestant: _Contestant) -> tuple[Result, Cost | None]:
    more: Options = {"seconds": bench.seconds}
    if workload.kind == "half":
        most, _ = _timed(bench, contestant, {**more, "work": "visit", "clients": AT_ONCE})
        more = {**more, "rate": HALF * most.units / most.seconds}
    return _timed(bench, contestant, more)


def _timed(bench: Bench, contestant: _Contestant, more: Options) -> tuple[Result, Cost | None]:
    """One run with these options as well, and what it cost the proxy."""
    options = {**contestant.options, **more}
    with load(bench.program, bench.cores.load, options) as tool:
        if contestant.running is None:
            return tool.go(), None
        session = contestant.running.session
        memory = machine.memory_kib(session)
        before = machine.cpu_seconds(session)
        result = tool.go()
        if options["work"] in ("visit", "arrive"):
            time.sleep(_SETTLE)
        cpu = machine.cpu_seconds(session) - before
        return result, Cost(cpu, machine.memory_kib(session) - memory)


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
