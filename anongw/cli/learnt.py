"""What `anongw explain` shows: a table of who learns what, then the reasons. Rich is imported here.

A config's own words are escaped: a terminal obeys the control characters in them.
"""

from collections.abc import Iterator
from typing import Final

from rich.table import Table
from rich.text import Text

from anongw.cli.tables import Column, standard_output, table
from anongw.knowledge import Cell, Explanation, Fact, Learns, Row
from anongw.log import escape

_HEADS: Final = {
    Fact.CLIENT_ADDRESS: "client\naddress",
    Fact.GATEWAY_ADDRESS: "gateway\naddress",
    Fact.NAME: "target's\nname",
    Fact.ADDRESS: "target's\naddress",
    Fact.CONTENT: "path,\nheaders",
    Fact.LOGIN: "target's\nlogin",
    Fact.HOP_LOGIN: "hops'\nlogins",
    Fact.TIMING: "timing",
}
_WORDS: Final = {
    Fact.CLIENT_ADDRESS: "client",
    Fact.GATEWAY_ADDRESS: "gateway",
    Fact.NAME: "name",
    Fact.ADDRESS: "address",
    Fact.CONTENT: "path and headers",
    Fact.LOGIN: "login",
    Fact.HOP_LOGIN: "hops' logins",
    Fact.TIMING: "timing",
}
_STYLES: Final = {Learns.YES: "bold", Learns.PLAIN: "yellow", Learns.NO: "dim"}


def show(found: Explanation) -> None:
    """Print it."""
    console = standard_output()
    console.print(_summary(found))
    console.print("", _table(found), sep="\n")
    console.print(
        "yes: it learns it; plain: only if what the client sends is plain HTTP, or else without TLS"
    )
    console.print("", _reasons(found), sep="\n")
    for note in found.notes:
        console.print(f"note: {escape(note)}")


def _summary(found: Explanation) -> Table:
    lines = Table.grid(padding=(0, 2))
    for name, text in _lines(found):
        lines.add_row(name, escape(text))
    return lines


def _lines(found: Explanation) -> Iterator[tuple[str, str]]:
    yield "target", f"{found.target} by {found.protocol}"
    yield "from", f"{found.identity}, at {found.listener}"
    if found.route is not None:
        yield "route", f"route[{found.route.place}], {found.route.why}"
    refused = found.refused
    if refused is not None:
        yield "refused", f"at {refused.where}, {refused.reason.value}: {refused.why}"
    if found.claim is not None:
        holds = "holds" if found.claim.holds else "DOES NOT HOLD"
        yield "promise", f"no single party has both the client and the target: {holds}; {found.claim.why}"


def _table(found: Explanation) -> Table:
    facts: list[Column] = [(head, "left") for head in _HEADS.values()]
    rows = table(("", "left"), *facts)
    for row in found.rows:
        cells = (row.cells[fact].learns for fact in _HEADS)
        rows.add_row(escape(row.name), *(Text(one.value, _STYLES[one]) for one in cells))
    return rows


def _reasons(found: Explanation) -> Table:
    """Facts with one reason stand together."""
    rows = table(("why", "left"), ("", "left"), ("", "left"))
    for row in found.rows:
        name = ", ".join((row.name, *_served(row)))
        for cell, facts in _grouped(row):
            words = "all" if len(facts) == len(Fact) else ", ".join(_WORDS[fact] for fact in facts)
            by = "" if cell.by in cell.why else f" ({cell.by})"
            why = Text.assemble(f"{words}: ", escape(f"{cell.why}{by}"))
            rows.add_row(escape(name), Text(cell.learns.value, _STYLES[cell.learns]), why)
            name = ""
    return rows


def _served(row: Row) -> tuple[str, ...]:
    """Who stands there."""
    if len(row.members) > 1:
        return (f"one of {len(row.members)}",)
    return row.members


def _grouped(row: Row) -> list[tuple[Cell, list[Fact]]]:
    groups: dict[tuple[Learns, str, str], tuple[Cell, list[Fact]]] = {}
    for fact in _HEADS:
        cell = row.cells[fact]
        groups.setdefault((cell.learns, cell.by, cell.why), (cell, []))[1].append(fact)
    return sorted(groups.values(), key=lambda group: -group[0].learns.rank)
