"""A client that stops reading costs its own connection only, and a chunk of memory each way at most."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from anongw.net.stream import CHUNK
from tests.support import asks, outside
from tests.support.process import Gateway, gateway

EXEMPT = 'policy.allow_private=["127.0.0.9/32"]'
MIB = 1 << 20
STOPPED = 40
WAYS = (asks.SOCKS5, asks.SOCKS4, asks.CONNECT, asks.HTTP)
# Exchanges on another tunnel during which nothing more was taken from the origin: then all stand still.
QUIET = 100
# KiB that a process may take for anything else meanwhile: a tenth of what one stopped client asks for.
SLACK = 3 * 1024


@pytest.mark.parametrize("pipe_bytes", [0, 8 * MIB], ids=["copied", "spliced"])
def test_clients_that_stop_reading_cost_a_chunk_each_and_nobody_else(tmp_path: Path, pipe_bytes: int) -> None:
    with (
        outside.Origin(outside.listening("127.0.0.9")) as origin,
        gateway(tmp_path, EXEMPT, f"limits.pipe_bytes={pipe_bytes}") as running,
        ExitStack() as stack,
        asks.tunnel(running.where, asks.SOCKS5, "127.0.0.9", origin.port) as other,
    ):
        _stop_one_after_another(stack, running, origin, WAYS)
        _until_nothing_moves(other, origin)
        before = running.status("RssAnon")
        _stop_one_after_another(stack, running, origin, [WAYS[number % 4] for number in range(STOPPED)])
        _until_nothing_moves(other, origin)
        grown = running.status("RssAnon") - before
        # Twice: an allocator keeps the room of what was there before the last chunk.
        assert grown <= 2 * STOPPED * CHUNK // 1024 + SLACK
        for way in WAYS[:3]:
            asks.served(running.where, "127.0.0.9", origin.port, way)


def _stop_one_after_another(
    stack: ExitStack, running: Gateway, origin: outside.Origin, ways: Sequence[asks.Way]
) -> None:
    """Ask for much more than kernels hold, read the beginning, and no more."""
    for way in ways:
        size = 32 * MIB
        if way is asks.HTTP:
            client = stack.enter_context(asks.dial(running.where))
            client.sendall(asks.get("127.0.0.9", origin.port, path=f"/flood/{size}"))
        else:
            client = stack.enter_context(asks.tunnel(running.where, way, "127.0.0.9", origin.port))
            client.sendall(outside.flood(size))
        asks.exactly(client, MIB)


def _until_nothing_moves(other: socket.socket, origin: outside.Origin) -> None:
    """Talk in a tunnel that is read, until the origin has got rid of all that anybody takes."""
    offered, quiet = -1, 0
    while quiet < QUIET:
        other.sendall(b"ping")
        assert asks.exactly(other, 4) == b"ping"
        before, offered = offered, sum(one.offered for one in origin.heard)
        quiet = quiet + 1 if offered == before else 0
