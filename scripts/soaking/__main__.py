"""Soak a gateway: many connections of every kind through it, and then what is left of them.

    scripts/soak                200,000 connections
    scripts/soak 5000           fewer
    scripts/soak --json FILE    all counts as well

SOCKS5, log-ins, SOCKS4, CONNECT and plain HTTP, directly and through a chain; among them clients that are
refused, break off, half-close, reset, stall or send garbage, and origins that leave or reset. Each checks
what it hears. In the end the gateway must have no descriptor more than before, no more memory than after the
first tenth, and no bug in its status. Exit status 1 if it has.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from scripts.benchmark.running import NotMeasured
from scripts.soaking.crowd import Crowd
from scripts.soaking.gateway import Count, Soaked, soaked
from scripts.soaking.judge import faults, slope

_CONNECTIONS = 200_000
# In so many parts; memory counts from the end of the first, when all that is loaded or kept once is there.
_PARTS = 10


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("connections", type=int, nargs="?", default=_CONNECTIONS, metavar="CONNECTIONS")
    parser.add_argument("--seed", type=int, default=1, help="another order of clients")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.connections < _PARTS:
        parser.error(f"at least {_PARTS} connections")
    return options


def _told(count: Count, seconds: float) -> str:
    files = ", ".join(f"{kind} {number}" for kind, number in sorted(count.files.items()))
    return (
        f"{count.connections:>9,} connections  {count.memory_kib / 1024:6.1f} MiB  {seconds:6.0f} s  {files}"
    )


def _soak(gateway: Soaked, crowd: Crowd, connections: int) -> tuple[Count, list[Count]]:
    """Before anybody came, and after each part."""
    begun = time.monotonic()
    before = gateway.counted(0)
    counts = []
    for part in range(1, _PARTS + 1):
        done = sum(crowd.done.values())
        crowd.come(connections * part // _PARTS - done)
        counts.append(gateway.settled(before.files["socket"], sum(crowd.done.values())))
        print(_told(counts[-1], time.monotonic() - begun), flush=True)
    return before, counts


def main() -> int:
    options = _options()
    try:
        with soaked() as gateway:
            crowd = Crowd(gateway.place, options.seed)
            before, counts = _soak(gateway, crowd, options.connections)
            status = gateway.status()
    except NotMeasured as error:
        print(f"scripts/soak: {error}", file=sys.stderr)
        return 1
    wrong = faults(before, counts, status)
    if crowd.wrong:
        wrong.append(f"{crowd.wrong} clients heard what they must not")
    each = 1024 * slope(counts)
    print(f"memory: {each:.1f} bytes for each connection; bugs: {status['bugs']}; live: {status['live']}")
    print(*wrong or ["nothing is left of them"], *crowd.faults, sep="\n")
    if options.json is not None:
        report = {
            "before": asdict(before),
            "counts": [asdict(one) for one in counts],
            "bytes each": each,
            "clients": dict(crowd.done),
            "status": status,
            "wrong": [*wrong, *crowd.faults],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
