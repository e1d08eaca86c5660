"""What is said of a connection: a row for each party, a cell for each fact, each with who decides it and why.

As JSON these are the names and words that programs go by: the values of the enums and the fields of the
structs do not change.
"""

import enum
from collections.abc import Mapping
from typing import Literal

import msgspec

from anongw.errors import Reason


class Learns(enum.Enum):
    """Whether a party learns a fact. The words stand in their order, from the least to the most."""

    NO = "no"
    PLAIN = "plain"  # only if the client speaks plain HTTP, or anything else without TLS
    YES = "yes"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {one: place for place, one in enumerate(Learns)}


class Fact(enum.Enum):
    """What may be learnt."""

    CLIENT_ADDRESS = "client_address"
    GATEWAY_ADDRESS = "gateway_address"
    NAME = "destination_name"
    ADDRESS = "destination_address"
    CONTENT = "path_and_headers"  # and bodies, and whatever else a tunnel carries
    LOGIN = "destination_login"  # Cookie and Authorization, and their like in a tunnel
    HOP_LOGIN = "hop_login"  # users, passwords and tokens for hops; whose, stands in the cell
    TIMING = "timing"  # when, and how much


class Party(enum.Enum):
    """Who may learn it. All but the first, and the last two, are behind the gateway."""

    CLIENT_LINE = "client_line"  # whoever watches between a client and a listener that others reach
    LOCAL_NETWORK = "local_network"  # whoever watches the gateway's own line
    RESOLVER = "resolver"  # one that the gateway asks, by whatever way
    HOP = "hop"
    EXIT_RESOLVER = "exit_resolver"  # whoever the exit asks for a name
    EXIT_LINE = "exit_line"  # whoever watches behind the last hop
    DESTINATION = "destination"
    LOG = "log"
    CONTROL = "control_socket"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one party learns one fact."""

    learns: Learns
    by: str  # what decides it: a hop, a route, a setting
    why: str
    of: tuple[str, ...] = ()  # of HOP_LOGIN: the hops whose logins they are


Cells = Mapping[Fact, Cell]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One party. A position of a pool is one, whichever member serves."""

    party: Party
    name: str
    members: tuple[str, ...] = ()  # of a hop: its upstreams, without logins
    cells: dict[Fact, Cell]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The route that matched."""

    place: int  # of the [[route]], counted from 0; the ways of [identities] come first
    to: str  # a chain's name, "direct" or "refuse"
    why: str


Where = Literal["login", "client", "route", "policy", "overlay", "family", "resolver", "hop", "exit"]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """That it is refused, and where."""

    where: Where
    reason: Reason
    why: str


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Whether no single party has both the client and the destination, which a chain of two hops is for."""

    holds: bool
    both: tuple[str, ...]  # the rows that have both
    why: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Who learns what of one connection."""

    target: str
    protocol: str
    listener: str
    identity: str
    route: Taken | None  # None: it was refused before one was looked for
    refused: Refusal | None
    rows: tuple[Row, ...]
    claim: Claim | None  # None: no chain of two hops or more is gone through
    notes: tuple[str, ...]
