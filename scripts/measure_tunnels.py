#!/usr/bin/env python3
"""How much memory tunnels cost: many held at once in one gateway, before, during and after.

    python scripts/measure_tunnels.py                    5,000 tunnels by SOCKS5
    python scripts/measure_tunnels.py --count 1000 --way connect --moved 300000

It starts a gateway and an echoing origin of its own on loopback, opens the tunnels, moves some bytes through
each, lets all idle, reads the gateway's /proc/PID/smaps_rollup, and closes them. Kernel memory (sockets) is
not in these figures: it is the same for every proxy. The hard limit on open files must be twice the count and
600 more (`ulimit -Hn`); where it is lower, fewer tunnels are opened.
"""

import argparse
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import asks, outside
from tests.support.process import Gateway, gateway

# A gateway without a connection has fewer descriptors open.
AT_REST = 16
WAYS = {way.name: way for way in asks.TUNNELS}


def memory(running: Gateway) -> dict[str, int]:
    """RSS and PSS of the gateway, in KiB."""
    found = {}
    for line in Path(f"/proc/{running.pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name] = int(rest.split()[0])
    return found


def show(what: str, running: Gateway, before: dict[str, int] | None = None, count: int = 1) -> dict[str, int]:
    now = memory(running)
    each = ""
    if before is not None:
        each = f"   {(now['Pss'] - before['Pss']) / count:6.2f} KiB of PSS for each tunnel"
    files = len(running.descriptors())
    print(f"{what:24} RSS {now['Rss']:7} KiB   PSS {now['Pss']:7} KiB   {files:6} files{each}")
    return now


def hold(
    running: Gateway, origin: outside.Origin, count: int, way: asks.Way, moved: int
) -> list[socket.socket]:
    """Open tunnels, and move so many bytes through each, there and back."""
    tunnels = []
    data = bytes(min(moved, 65536))
    for _ in range(count):
        sock = asks.tunnel(running.where, way, "127.0.0.9", origin.port)
        for _ in range(max(1, moved // 65536)):
            sock.sendall(data)
            asks.exactly(sock, len(data))
        tunnels.append(sock)
    return tunnels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000, help="tunnels to hold")
    parser.add_argument("--way", choices=WAYS, default="socks5")
    parser.add_argument("--moved", type=int, default=64, help="bytes to move through each, both ways")
    parser.add_argument("--rounds", type=int, default=1, help="how often to open and close them all")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Two files for each tunnel, in the gateway and in this process, which is both ends.
    options.count = min(options.count, (hard - 600) // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with (
        tempfile.TemporaryDirectory() as directory,
        outside.Origin(outside.listening("127.0.0.9")) as origin,
        gateway(
            Path(directory), 'policy.allow_private=["127.0.0.9/32"]', f"limits.per_client={options.count + 1}"
        ) as running,
    ):
        asks.served(running.where, "127.0.0.9", origin.port)
        before = show("before", running)
        for _ in range(options.rounds):
            start = time.monotonic()
            tunnels = hold(running, origin, options.count, WAYS[options.way], options.moved)
            took = time.monotonic() - start
            show(f"{len(tunnels)} held ({took:.1f} s)", running, before, len(tunnels))
            for sock in tunnels:
                sock.close()
            deadline = time.monotonic() + 30
            while len(running.descriptors()) > AT_REST and time.monotonic() < deadline:
                time.sleep(0.05)
            show("all closed", running)


if __name__ == "__main__":
    main()
