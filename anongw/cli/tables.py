"""What `anongw status` shows, and how all our tables look.

Only this file, findings.py, learnt.py and lines.py import rich, and they are imported when they are needed.

A config's own words are escaped: a terminal obeys the control characters in them.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, Literal

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from anongw.control import ChainStatus, IdentityStatus, MemberStatus, RouteStatus, Status
from anongw.exposure import Exposure
from anongw.log import escape

# Columns where no terminal says how many it has: enough that nothing is folded which a program may look for.
_COLUMNS: Final = 200
_STYLES: Final = {"up": "green", "trying": "yellow", "down": "red"}
_EXPOSED: Final = {
    Exposure.BY_ADDRESS: "asked by address (client looks names up itself?)",
    Exposure.PLAINTEXT: "to ports of plain-text passwords",
    Exposure.UNSCRUBBED: "to port 80 in a tunnel",
}

Column = tuple[str, Literal["left", "right"]]


def standard_output() -> Console:
    """A console that takes words for what they are, and folds nothing where a program reads."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _COLUMNS
    return console


def show(state: Status, *, clear: bool = False) -> None:
    """Print it; `clear` the terminal before, if it is one."""
    console = standard_output()
    if clear and console.is_terminal:
        console.clear()
    console.print(_summary(state))
    if state.routes:
        console.print("", _routes(state.routes), sep="\n")
    if state.chains:
        console.print("", _hops(state.chains), sep="\n")


def _summary(state: Status) -> Table:
    sent, received = (sum(one.sent for one in state.routes), sum(one.received for one in state.routes))
    ended = sorted(state.refused.items(), key=lambda one: (-one[1], one[0].value))
    dropped = f"{state.headers_dropped} header lines"
    up = timedelta(seconds=int(state.uptime))
    lines = Table.grid(padding=(0, 2))
    for name, text in (
        ("gateway", f"anongw {state.version}, up {up}, config {state.generation}, {state.bugs} bugs"),
        ("listens", ", ".join(state.listeners)),
        ("flows", f"{state.flows}, {decimal(sent)} sent, {decimal(received)} received"),
        (
            "now",
            f"{state.live} connections, {state.kept} kept ones to origins, {state.cached} cached answers",
        ),
        ("refused", ", ".join(f"{count} {reason.value}" for reason, count in ended) or "none"),
        (
            "scrubbed",
            f"{state.scrubbed:.0%} of all bytes, of {state.scrubbable:.0%} that could be; {dropped} dropped",
        ),
        ("exposed", _exposed(state.exposed)),
        *([("workers", _workers(state))] if state.workers else []),
    ):
        lines.add_row(name, escape(text))
    return lines


def _exposed(counts: dict[Exposure, int]) -> str:
    """What clients gave away themselves, in flows."""
    words = [f"{counts[one]} {text}" for one, text in _EXPOSED.items() if counts.get(one)]
    return ", ".join(words) or "nothing that is known of"


def _workers(state: Status) -> str:
    each = ", ".join(f"{one.number}: {one.flows} flows, {one.live} now" for one in state.workers)
    replaced = f"; {state.replaced} died and were replaced, with their counts" if state.replaced else ""
    return f"{len(state.workers)} ({each}){replaced}"


def _routes(routes: Sequence[RouteStatus]) -> Table:
    rows = table(("route", "left"), ("flows", "right"), ("sent", "right"), ("received", "right"))
    for one in routes:
        rows.add_row(escape(one.name), str(one.flows), decimal(one.sent), decimal(one.received))
    return rows


def _hops(chains: Sequence[ChainStatus]) -> Table:
    rows = table(
        *(("chain", "left"), ("hop", "left"), ("upstream", "left"), ("state", "left")),
        *(("now", "right"), ("dials", "right"), ("failed", "right"), ("took", "right")),
    )
    for chain, place, strategy, member in _members(chains):
        rows.add_row(
            escape(chain),
            f"{place} {strategy}",
            escape(member.label),
            Text(member.state, _STYLES[member.state]),
            *(str(member.live), str(member.dials), str(member.failures)),
            "-" if member.latency is None else f"{member.latency:.0f} ms",
        )
    return rows


def _members(chains: Sequence[ChainStatus]) -> Iterator[tuple[str, int, str, MemberStatus]]:
    for chain in chains:
        for place, hop in enumerate(chain.hops, 1):
            for member in hop.members:
                yield chain.name, place, hop.strategy if len(hop.members) > 1 else "", member


def show_identities(found: Sequence[IdentityStatus]) -> None:
    """Print them, those with connections first."""
    rows = table(
        *(("identity", "left"), ("epoch", "right"), ("since", "right"), ("now", "right"), ("flows", "right")),
        *(("sent", "right"), ("received", "right"), ("ways", "left")),
    )
    for one in sorted(found, key=lambda one: (-one.live, one.age)):
        rows.add_row(
            *(escape(one.name), str(one.epoch), str(timedelta(seconds=int(one.age))), str(one.live)),
            *(str(one.flows), decimal(one.sent), decimal(one.received), escape(", ".join(one.ways) or "-")),
        )
    standard_output().print(rows)


def table(*columns: Column) -> Table:
    """One without rows."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, justify in columns:
        made.add_column(name, justify=justify, overflow="fold")
    return made
