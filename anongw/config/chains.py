"""The values of chains and routes: which proxies a connection goes through, and which way which one goes.

A chain stands in a file of its own or in a config; both are written with the keys here (hops in
hop_tables.py). Each field has its unit, default and reason in the text below it, which `anongw check
--example` prints.
"""

from typing import Literal

from msgspec import Struct

from anongw.config.hops import Hop
from anongw.config.values import AtLeastOne, Count, Rule, Seconds

ChainFamily = Literal["any", "ipv4", "ipv6"]
Names = Literal["exit", "here"]
Overlay = Literal["onion", "i2p", "alt"]
Spoken = Literal["http", "connect", "socks5", "socks4"]

# Where a route may lead that is no chain.
DIRECT = "direct"
REFUSE = "refuse"


class Egress(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where connections leave this machine: to a chain's first hop, to resolvers, and to targets without one.

    Nothing leaves another way when an interface or address is gone: it is refused.
    """

    interface: str = ""
    """The interface, such as "wg0"; empty: whichever the routing table says."""

    source: tuple[str, ...] = ()
    """The addresses to leave from, one of a kind or both, such as ["10.0.0.2"]; a kind that is not here is
    not used then. Empty: whichever the kernel takes."""

    mark: Count = 0
    """The firewall mark (SO_MARK) for rules of your own; 0: none. Needs CAP_NET_ADMIN."""


class Health(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a member counts as down, and when it is tried again.

    Learnt from what clients' connections come to, and from probes where there are any.
    """

    failures: AtLeastOne = 3
    """So many in a row until it is down: one may be the network's fault."""

    hold: Seconds = 10.0
    """How long it is left alone the first time; doubled each time after that, up to `hold_most`."""

    hold_most: Seconds = 300.0
    """The longest that it is left alone, so that it comes back within minutes of being mended."""

    successes: AtLeastOne = 2
    """So many in a row, after a hold, until it counts as up again; until then it is tried with care."""

    early: Seconds = 5.0
    """A connection through it that it ends sooner, without a byte, counts as a failure; 0: never."""


class Probe(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Connections through the chain with no client behind them, to find dead hops early.

    Whoever watches a hop sees a pattern in them, so there are none unless you name a target.
    """

    target: str = ""
    """Where to connect to through the chain, as "example.org:443"; empty: never."""

    every: Seconds = 300.0
    """How often, give or take a half at random, so that it is no clock to be known by."""


class Chain(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The proxies that a connection goes through, one behind the other; only the last sees its target.

    In a file of its own its tables are called [[hop]], [egress], [health] and [probe]; one [[hop]] with a url
    is enough.
    """

    family: ChainFamily = "any"
    """"ipv4" or "ipv6": targets that are addresses of the other kind are refused."""

    names: Names = "exit"
    """Who resolves names: "exit", the last hop, which is told the name; or "here", where the gateway asks
    resolve.servers through this very chain (by TCP, TLS or HTTPS) and tells the exit an address."""

    overlays: tuple[Overlay, ...] = ()
    """Which of "onion", "i2p" and "alt" this chain's exit knows. Such names are refused elsewhere."""

    tries: AtLeastOne = 3
    """Dials for one connection, each with another member where a hop failed."""

    timeout: Seconds = 30.0
    """One dial through the whole chain, until the exit has connected."""

    hop_timeout: Seconds = 5.0
    """Reaching one hop, its TLS and its login included. A dead one must not hold up the rest."""

    egress: Egress = Egress()
    """A table with the keys of [egress]: where this chain's first connection leaves from. Without one, and
    only then, as [egress] says."""

    health: Health = Health()
    probe: Probe = Probe()
    hop: tuple[Hop, ...] = ()


class Route(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which way which connections go. The first route whose every condition is met decides.

    The last one has no conditions, so that nothing goes a way that nobody wrote. Without any: through the one
    chain that there is, or directly where there is none.
    """

    target: tuple[Rule, ...] = ()
    """What they go to, written as in [policy], such as ["onion", "192.0.2.0/24", "*:25"]; empty: anything. A
    name is judged as a name: its addresses are not looked up to find its route."""

    protocol: tuple[Spoken, ...] = ()
    """What the client speaks: "http" (plain requests), "connect", "socks5", "socks4"; empty: anything."""

    listener: tuple[str, ...] = ()
    """The listeners it came to, as they stand in listen.addresses; empty: all."""

    identity: tuple[str, ...] = ()
    """The users it is for, by name; empty: all."""

    to: str = ""
    """A chain's name, "direct" (every destination sees this machine's address) or "refuse":

        to = "direct"
    """


class Control(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a running gateway is asked for its state, by `anongw status`."""

    socket: str = "auto"
    """A Unix socket that only its owner can use: "auto", in the user's own run-time folder; "off"; or an
    absolute path."""
