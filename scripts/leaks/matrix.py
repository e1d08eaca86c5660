"""All rows and peers: run, shown, recorded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from scripts.leaks import plain, ways
from scripts.leaks.cell import NOTHING, Cell
from scripts.leaks.peers import Peer
from scripts.leaks.scene import Scene, scene

Column = dict[str, Cell]

_OF_HTTP: Sequence[Callable[[Scene], Column]] = (
    plain.requests,
    plain.shared,
    plain.answers,
    plain.errors,
)
_OF_ALL: Sequence[Callable[[Scene], Column]] = (
    ways.names,
    ways.targets,
    ways.early,
    ways.socks,
    ways.ambiguous,
)


def column(peer: Peer) -> Column:
    """What one proxy lets through.

    Raises:
        NotMeasured: it does not start.

    """
    found: Column = {}
    with scene(peer) as one:
        for rows in (*(_OF_HTTP if peer.http else ()), *_OF_ALL):
            found |= rows(one)
    return found


def rows(columns: Mapping[str, Column]) -> list[str]:
    """All names of rows, in the order of whoever has most of them."""
    names: dict[str, None] = {}
    for one in sorted(columns.values(), key=len, reverse=True):
        names |= dict.fromkeys(one)
    return list(names)


def table(columns: Mapping[str, Column]) -> Table:
    """For people: leaks in red, what holds in green."""
    made = Table("", *columns, title="what gets through", show_lines=True)
    for row in rows(columns):
        cells = [one.get(row, NOTHING) for one in columns.values()]
        made.add_row(row, *(f"[{'red' if cell.leaks else 'green'}]{cell.text}[/]" for cell in cells))
    return made


def markdown(columns: Mapping[str, Column]) -> str:
    """For a page: what leaks stands in bold."""
    lines = ["| " + " | ".join(["what gets through", *columns]) + " |", "| --- " * (1 + len(columns)) + "|"]
    for row in rows(columns):
        cells = [one.get(row, NOTHING) for one in columns.values()]
        lines.append(
            "| " + " | ".join([row, *(f"**{c.text}**" if c.leaks else c.text for c in cells)]) + " |"
        )
    return "\n".join(lines)


def record(columns: Mapping[str, Column]) -> dict[str, Any]:
    """For machines."""
    return {
        peer: {row: {"seen": cell.text, "leaks": cell.leaks} for row, cell in one.items()}
        for peer, one in columns.items()
    }
