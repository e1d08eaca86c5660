"""Probes for peers that vanished without a word (tcp(7), SO_KEEPALIVE): from when, and how often.

A peer that is gone is noticed in about two minutes, long before the idle limit. Four system calls, which few
connections live long enough to need: what is accepted inherits them of its listener, and what we connect has
them from the first look on that it is still there for. The first probe is no later for it, because the kernel
counts from the last byte that came.
"""

import socket
from collections.abc import Iterable
from contextlib import suppress

from anongw.net.stream import Stream
from anongw.net.wait import Source

# Seconds of silence before the kernel probes a peer, between probes, and probes before it gives up.
KEEPALIVE_IDLE = 60
KEEPALIVE_INTERVAL = 15
KEEPALIVE_PROBES = 4
# Seconds between two looks at connections without: well before their first probe is due.
KEEPALIVE_LOOK = 15.0


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel probe the peer of a TCP socket."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def look(sources: Iterable[Source]) -> None:
    """Do so for every connection of ours that has none yet."""
    for source in sources:
        if isinstance(source, Stream) and not source.probed:
            source.probed = True
            with suppress(OSError):  # it broke a moment ago, and whoever owns it will see that
                keep_alive(source.sock)
