"""The whole answer: the route, the rows, whether the chain does what it is for, and notes."""

from collections.abc import Iterable

from anongw.config import Config
from anongw.knowledge.claim import claim
from anongw.knowledge.gateway import at_home, in_front
from anongw.knowledge.glimpse import Glimpse, joined, no, nothing, yes
from anongw.knowledge.legs import way
from anongw.knowledge.notes import notes
from anongw.knowledge.parties import LINE, on_leg
from anongw.knowledge.question import Asked, Question, put
from anongw.knowledge.table import Cell, Explanation, Fact, Learns, Party, Row

_ORDER = list(Party)
# Where a client's address is what the row itself says.
_AT_HOME = frozenset((Party.CLIENT_LINE, Party.LOG, Party.CONTROL))


def explain(config: Config, question: Question) -> Explanation:
    """Who learns what of a connection.

    Raises:
        Unanswerable: the config has no such listener.
    """
    asked = put(config, question)
    see = Glimpse(asked, way(asked))
    rows = _rows(see)
    return Explanation(
        target=str(asked.target),
        protocol=question.protocol,
        listener=asked.listener,
        identity=asked.identity,
        route=see.way.taken,
        refused=see.way.refused,
        rows=rows,
        claim=claim(see, rows),
        notes=tuple(notes(see)),
    )


def _rows(see: Glimpse) -> tuple[Row, ...]:
    """One for each party, in their order along the way."""
    way = see.way
    found = [*in_front(see), *(row for leg in way.legs for row in on_leg(see, leg)), *at_home(see)]
    if not way.legs and way.refused is not None:
        cells = nothing(way.refused.where, "refused: nothing of it leaves")
        found.append(Row(party=Party.LOCAL_NETWORK, name=LINE, cells=cells))
    rows = [_with_client(row, see.asked) for row in _joined(found)]
    return tuple(sorted(rows, key=lambda row: _ORDER.index(row.party)))


def _joined(rows: Iterable[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for row in rows:
        old = found.get(row.name)
        cells = joined(old.cells, row.cells) if old else row.cells
        found[row.name] = Row(party=row.party, name=row.name, members=row.members, cells=cells)
    return list(found.values())


def _with_client(row: Row, asked: Asked) -> Row:
    if row.party in _AT_HOME:
        return row
    return Row(
        party=row.party,
        name=row.name,
        members=row.members,
        cells=row.cells | {Fact.CLIENT_ADDRESS: _client(row.cells[Fact.GATEWAY_ADDRESS], asked)},
    )


def _client(gateway: Cell, asked: Asked) -> Cell:
    if asked.shared:
        return no(asked.listener, "stays at the gateway, which connects in its own name")
    if gateway.learns is Learns.NO:
        return gateway
    return yes(asked.listener, "clients of this listener are on the gateway's machine: its address is theirs")
