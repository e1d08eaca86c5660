"""Measure anongw beside other proxies, on loopback.

    scripts/bench                   everything, with every proxy that is installed
    scripts/bench --quick           the same in short, with the strongest peers, in under two minutes
    scripts/bench --only pingpong,connect --rounds 5 --peers anongw,haproxy
    scripts/bench --targets         what the gateway is meant to reach, and whether it did
    scripts/bench --json FILE       all samples, medians, ratios and targets as well

Whether the load generator was the limit is checked in every run: its own CPU is a column (`load %`), and the
same work without a proxy is a line. A `*` behind a name: it was busier than the proxy, or the rate is near to
the one without a proxy. Then the rate says little about the proxy, and its CPU time is what counts.
"""

import argparse
import json
import resource
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from anongw import __version__
from scripts.benchmark import machine, table, targets
from scripts.benchmark.anew import most_held, steps
from scripts.benchmark.bench import Bench, Outcome
from scripts.benchmark.load import build, cache
from scripts.benchmark.peers import OURS, OURS_SHARED, PEERS, Peer
from scripts.benchmark.rounds import measure
from scripts.benchmark.running import NotMeasured
from scripts.benchmark.workloads import HELD, HELD_QUICK, chosen, names

_ROUNDS = 3
_SECONDS, _SECONDS_QUICK = 1.0, 0.1
# Ours, and the C programs that come out best, each in a class of its own.
_QUICK = (OURS, OURS_SHARED, "microsocks", "haproxy", "squid")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter rounds, fewer peers")
    parser.add_argument("--only", metavar="NAMES", default="", help=f"of: {', '.join(names())}; or a group")
    parser.add_argument(
        "--peers", metavar="NAMES", default="", help=f"of: {', '.join(p.name for p in PEERS)}"
    )
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"default: {_ROUNDS}")
    parser.add_argument("--seconds", type=float, help=f"of each run; default: {_SECONDS}")
    parser.add_argument("--targets", action="store_true", help="judge the figures at the end")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.seconds is None:
        options.seconds = _SECONDS_QUICK if options.quick else _SECONDS
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be more than nothing")
    try:
        options.workloads = chosen(_words(options.only))
        options.wanted = _peers(_words(options.peers) or list(_QUICK if options.quick else ()))
    except ValueError as error:
        parser.error(str(error))
    return options


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _peers(words: list[str]) -> tuple[Peer, ...]:
    known = {peer.name: peer for peer in PEERS}
    for word in words:
        if word not in known:
            raise ValueError(f"there is no peer {word}; there are: {', '.join(known)}")
    return tuple(peer for peer in PEERS if not words or peer.name in words)


def _ended(number: int, _frame: FrameType | None) -> None:
    """Unwind, and with that end every process; a second signal must not break into it."""
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def _pinning(cores: machine.Cores) -> str:
    if cores.load is None:
        return "one core for all: rates say little, CPU time holds"
    return f"proxy on core {cores.proxy}, clients, origin and hops (one thread) on core {cores.load}"


def main() -> int:
    options = _options()
    for number in _SIGNALS:
        signal.signal(number, _ended)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cores = machine.cores()
    missing = {peer.name: why for peer in options.wanted if (why := peer.missing())}
    try:
        program = build(cache())
    except NotMeasured as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    bench = Bench(
        program,
        cores,
        tuple(peer for peer in options.wanted if peer.name not in missing),
        options.rounds,
        options.seconds,
        held=steps(HELD_QUICK if options.quick else HELD, most_held(hard)),
    )
    about: dict[str, Any] = {
        "anongw": __version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine.described(),
        "pinning": _pinning(cores),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "held": bench.held,
        "missing": missing,
        "versions": {peer.name: peer.version() for peer in bench.peers if peer.package},
    }
    _print_head(about)
    others = machine.OtherPrograms()
    outcomes: list[Outcome] = []
    for workload in options.workloads:
        outcomes.append(measure(bench, workload))
        print(f"\n{table.section(outcomes[-1])}", flush=True)
    about["others %"] = others.share()
    print("", *table.chains(outcomes), f"other programs had {others.share():.0f} % of the machine", sep="\n")
    results = targets.judged(outcomes)
    if options.targets:
        print("", *targets.lines(results), sep="\n")
    if options.json is not None:
        report = {**table.record(outcomes, about), "targets": targets.record(results)}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def _print_head(about: dict[str, Any]) -> None:
    print(
        f"anongw {about['anongw']}; {', '.join(f'{key} {value}' for key, value in about['machine'].items())}"
    )
    print(
        f"{about['rounds']} rounds of {about['seconds']} s; medians ± half of the range; {about['pinning']}"
    )
    print(f"* the load generator may be the limit; {'{:,} and {:,}'.format(*about['held'])} tunnels for idle")
    for name, why in about["missing"].items():
        print(f"left out: {name}: {why}")


if __name__ == "__main__":
    sys.exit(main())
