"""The facts of one connection: who asked, for what, in whose name, and how it ended.

A Flow is written by the rooms that a connection passes through and read by policy, route, counters and log.
It holds facts, never sockets or secrets.
"""

import itertools
from dataclasses import dataclass, field

from anongw.address import Address, Endpoint
from anongw.errors import Reason

_numbers = itertools.count(1)


@dataclass(slots=True)
class Flow:
    """One client connection, or one request of a kept HTTP connection. Sizes are in bytes."""

    listener: str  # the listener's own spelling, as configured
    client: Address | None = None  # None on a Unix socket
    shared: bool = False  # others than this machine's user can reach the listener
    number: int = field(default_factory=_numbers.__next__)
    protocol: str = ""  # socks5, socks4, connect, http
    user: str | None = None  # proven where [users] exist, else a mere label
    token: str = ""  # what else the client wants to be told apart by, as a digest; see `Session.login`
    identity: str = ""  # in whose name it goes; see route.py
    target: Endpoint | None = None
    by_address: bool = False  # SOCKS with a public address, which the client may have looked up by itself
    route: str = ""  # a chain's name, "direct" or "refuse"; "" until it is chosen
    over: bool = False
    reason: Reason | None = None  # None: it ended as both sides wished
    sent: int = 0  # client to upstream
    received: int = 0  # upstream to client
