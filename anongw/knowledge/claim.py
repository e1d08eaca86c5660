"""That no single party has both the client and the destination: what a chain of two hops or more is for.

A party is whoever stands at one place, and an upstream at every place that it may take: a member of a pool
that serves twice in a row is first today and last tomorrow, and a later hop at 127.0.0.1 is the machine of
the hop before it.
"""

from collections.abc import Collection, Iterator, Sequence

from anongw.config import is_loopback
from anongw.knowledge.glimpse import Glimpse
from anongw.knowledge.stages import Stage, veil
from anongw.knowledge.table import Claim, Fact, Learns, Party, Row


def claim(see: Glimpse, rows: Sequence[Row]) -> Claim | None:
    """Whether it holds; None where no chain of two hops is gone through to its end."""
    row = max((leg.row for leg in see.way.legs), key=len, default=())
    if len(row) < 2 or see.way.refused is not None:  # noqa: PLR2004 - a single hop has both by its nature
        return None
    both: dict[str, None] = {}
    for party in (*_places(rows), *_machines(row, rows)):
        if any(map(_has_client, party)) and any(map(_has_destination, party)):
            both |= dict.fromkeys(one.name for one in party)
    return Claim(holds=not both, both=tuple(both), why=_why(tuple(both), row))


def _places(rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    yield from ((one,) for one in rows)


def _machines(row: Sequence[Stage], rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    """The places of every upstream that may take more than one."""
    places: dict[str, set[str]] = {}
    before: set[str] = set()
    for stage in row:
        here = set()
        for member in stage.members:
            near = is_loopback(member.url.endpoint) and before
            here |= before if near else {str(member.url.endpoint.host)}
        for machine in here:
            places.setdefault(machine, set()).add(stage.label)
        before = here
    for labels in places.values():
        if len(labels) > 1:
            yield tuple(one for one in rows if one.party is Party.HOP and one.name in labels)


def _has_client(row: Row) -> bool:
    return row.cells[Fact.CLIENT_ADDRESS].learns is Learns.YES


def _has_destination(row: Row) -> bool:
    return any(row.cells[fact].learns is not Learns.NO for fact in (Fact.NAME, Fact.ADDRESS))


def _why(both: Sequence[str], row: Sequence[Stage]) -> str:
    cover = veil(row, 1)
    if both:
        cure = (
            "; a later hop that is https would hide the destination from the first" if cover is None else ""
        )
        return f"{_listed(both)} {'have' if len(both) > 1 else 'has'} both{cure}"
    if cover is None:
        return "whoever learns the destination does not see the client"
    return f"TLS to {cover.label} hides the destination from whoever sees the client"


def _listed(names: Collection[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
