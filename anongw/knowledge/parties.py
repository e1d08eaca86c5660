"""The parties to one leg of a connection, as rows: those on the way, and those who are asked for names.

`explain` joins rows of one name, and fills in whose address the client's is.
"""

from collections.abc import Iterator

from anongw.knowledge.glimpse import Glimpse, no, nothing, yes
from anongw.knowledge.legs import Leg, Told
from anongw.knowledge.lookups import lookups
from anongw.knowledge.table import Cell, Fact, Party, Row

LINE = "local network"


def on_leg(see: Glimpse, leg: Leg) -> Iterator[Row]:
    """Every party to a leg; one may have several rows."""
    yield _line(see, leg)
    for one in lookups(leg):
        if one.from_here:
            yield _row(Party.LOCAL_NETWORK, LINE, one.on_line())
        for server in one.labels:
            yield _row(Party.RESOLVER, f"resolver {server}", one.at_server())
    yield from _hops(see, leg)
    if leg.told is not Told.NOTHING:
        if not leg.overlay:
            yield from _behind(see, leg)
        yield _destination(see, leg)


def _line(see: Glimpse, leg: Leg) -> Row:
    """What leaves this machine."""
    by = leg.row[0].label if leg.row else see.route
    if not leg.crosses:
        why = f"{leg.row[0].label if leg.row else 'the target'} is on this machine; what it sends is its own"
        return Row(party=Party.LOCAL_NETWORK, name=LINE, cells=nothing(by, why))
    cells = see.stream(leg, 0) | {
        Fact.GATEWAY_ADDRESS: yes(by, "the gateway connects by this line"),
        Fact.HOP_LOGIN: see.logins(leg, 0),
        Fact.TIMING: yes(by, "carries the stream"),
    }
    return _row(Party.LOCAL_NETWORK, LINE, cells)


def _hops(see: Glimpse, leg: Leg) -> Iterator[Row]:
    for place, stage in enumerate(leg.row, 1):
        cells = see.stream(leg, place) | {
            Fact.GATEWAY_ADDRESS: _whence(leg, place),
            Fact.HOP_LOGIN: _own_login(see, leg, place),
            Fact.TIMING: yes(stage.label, "carries the stream"),
        }
        yield _row(Party.HOP, stage.label, cells, tuple(str(member.url) for member in stage.members))


def _whence(leg: Leg, place: int) -> Cell:
    """Whom a hop is connected to by."""
    if place > 1:
        before = leg.row[place - 2].label
        return no(before, f"is connected to by {before}")
    first = leg.row[0]
    return yes(first.label, "is on this machine" if first.here else "is connected to by the gateway")


def _own_login(see: Glimpse, leg: Leg, place: int) -> Cell:
    stage = leg.row[place - 1]
    others = see.logins(leg, place)
    if not stage.logs_in:
        return others
    what = (
        "a token of its own for the identity, which does not say who it is"
        if stage.tokens_only
        else "its own"
    )
    why = f"{what}; {others.why}" if others.of else what
    return yes(stage.label, why, (stage.label, *others.of))


def _behind(see: Glimpse, leg: Leg) -> Iterator[Row]:
    """Between the exit and the destination."""
    if not leg.row:
        return
    place, unseen = len(leg.row), no(leg.exit, f"sees {leg.exit}")
    if leg.told is Told.NAME:
        why = f"{leg.exit} asks it for the name"
        cells = nothing(leg.exit, "is asked for a name, and no more") | {
            Fact.GATEWAY_ADDRESS: unseen,
            Fact.NAME: yes(see.names, why),
            Fact.ADDRESS: yes(see.names, why),
            Fact.TIMING: yes(see.names, why),
        }
        yield Row(party=Party.EXIT_RESOLVER, name="resolver of the exit", cells=cells)
    cells = see.stream(leg, place, behind=True) | {
        Fact.GATEWAY_ADDRESS: unseen,
        Fact.TIMING: yes(leg.exit, "carries the stream"),
    }
    yield _row(Party.EXIT_LINE, "line behind the exit", cells)


def _destination(see: Glimpse, leg: Leg) -> Row:
    content = _delivered(see)
    cells = {
        Fact.GATEWAY_ADDRESS: no(leg.exit, f"is connected to by {leg.exit}")
        if leg.row
        else yes(see.route, "is connected to by the gateway"),
        Fact.NAME: see.inside(),
        Fact.ADDRESS: no("target", "a name of an overlay stands for no address")
        if leg.overlay
        else yes("target", "its own"),
        Fact.CONTENT: content,
        Fact.LOGIN: see.login(content),
        Fact.TIMING: yes("target", "is the other end"),
    }
    return _row(Party.DESTINATION, "destination", cells)


def _delivered(see: Glimpse) -> Cell:
    """What comes to the other end of the stream."""
    asked = see.asked
    if asked.question.protocol == "http":
        return yes("scrub.profile", f"scrubbed: profile {asked.config.scrub.profile}")
    return yes(
        "protocol", f"as the client wrote it: {asked.question.protocol} makes a tunnel, which is not scrubbed"
    )


def _row(party: Party, name: str, cells: dict[Fact, Cell], members: tuple[str, ...] = ()) -> Row:
    """With a "no" for every fact that is nowhere on its way."""
    return Row(
        party=party, name=name, members=members, cells=nothing(name, "nothing of it comes here") | cells
    )
