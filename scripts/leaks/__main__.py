"""What proxies let through, the gateway among them: each runs in a laboratory that records what it sends.

    scripts/leakbench                           every proxy that is installed
    scripts/leakbench --peers anongw,squid,tinyproxy
    scripts/leakbench --json FILE               the matrix as JSON as well
    scripts/leakbench --markdown                a table for a page

Each runs as its package brings it; a * behind a name: made anonymous as its documentation says. A client, the
proxy's machine, a resolver and an origin are network namespaces of their own; nothing leaves them. It takes
root, or a machine on which users may make namespaces. Exit status 1: the gateway let something through.
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from anongw import __version__
from anongw.lab.networks import why_not
from scripts.benchmark.peers import OURS
from scripts.benchmark.running import NotMeasured
from scripts.leaks import matrix
from scripts.leaks.peers import LEFT_OUT, PEERS, Peer, chosen

_WIDE = 200  # columns of a terminal that is none


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/leakbench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers", metavar="NAMES", default="", help=f"of: {', '.join(p.name for p in PEERS)}"
    )
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        options.wanted = chosen([word.strip() for word in options.peers.split(",") if word.strip()])
    except ValueError as error:
        parser.error(str(error))
    return options


def _columns(peers: list[Peer], missing: dict[str, str]) -> dict[str, matrix.Column]:
    """Of those that can be run; why the others cannot goes into `missing`."""
    columns = {}
    for peer in peers:
        why = peer.missing()
        if not why:
            print(f"{peer.name} ...", file=sys.stderr, flush=True)
            try:
                columns[peer.name] = matrix.column(peer)
            except NotMeasured as error:
                why = str(error)
        if why:
            missing[peer.name] = why
    return columns


def main() -> int:
    options = _options()
    if why := why_not():
        print(f"scripts/leakbench: {why}", file=sys.stderr)
        return 1
    missing = {} if options.peers else dict(LEFT_OUT)
    columns = _columns(options.wanted, missing)
    if options.markdown:
        print(matrix.markdown(columns))
    else:
        console = Console(width=None if sys.stdout.isatty() else _WIDE)
        console.print(matrix.table(columns))
    for name, why in missing.items():
        print(f"left out: {name}: {why}")
    if options.json is not None:
        report = {"anongw": __version__, "missing": missing, "peers": matrix.record(columns)}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(any(cell.leaks for cell in columns.get(OURS, {}).values()))


if __name__ == "__main__":
    sys.exit(main())
