"""One run of the benchmark: what all its workloads share, who takes part in one, and what came of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.benchmark import machine
from scripts.benchmark.load import Options
from scripts.benchmark.peers import OURS, Peer, Setup, Way
from scripts.benchmark.running import NotMeasured, Running, running
from scripts.benchmark.workloads import Sample, Workload


@dataclass(frozen=True)
class Bench:
    """What all workloads share."""

    program: Path
    cores: machine.Cores
    peers: tuple[Peer, ...]
    rounds: int
    seconds: float
    # Tunnels of `idle`: after the first step, and after the second.
    held: tuple[int, int]
    ports: Iterator[int] = field(default_factory=machine.free_ports)


@dataclass
class Outcome:
    """What a workload gave: for each peer its samples, one a round."""

    workload: Workload
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    # Sentences, among them why a peer has no figures.
    notes: list[str] = field(default_factory=list)
    skipped: str = ""


def participants(bench: Bench, workload: Workload) -> list[Peer]:
    return [
        peer
        for peer in bench.peers
        if (workload.hops is None or peer.chains)
        and _is_meant(workload, peer)
        and any(way in peer.ways for way in workload.ways)
    ]


def _is_meant(workload: Workload, peer: Peer) -> bool:
    """Whether it has as many processes as this is about."""
    if workload.kind == "spread":
        return peer.workers > 1
    return peer.name == OURS or peer.workers > 1 if workload.of_workers else peer.workers == 1


@contextmanager
def noted(outcome: Outcome, name: str) -> Iterator[None]:
    """What keeps a peer from being measured becomes a note, and takes its figures away."""
    try:
        yield
    except NotMeasured as error:
        outcome.samples.pop(name, None)
        outcome.notes.append(f"{name}: not measured: {error}")


@contextmanager
def started(bench: Bench, workload: Workload, peer: Peer) -> Iterator[tuple[Options, Running]]:
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
        core = None if workload.kind == "spread" else bench.cores.proxy
        with running(command, port, folder, core) as process:
            yield options, process
