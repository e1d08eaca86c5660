"""What `anongw chain test` shows: how far it is, then a table, or the same as JSON. Rich is imported here.

Words that a hop or a file may have chosen are escaped: a terminal obeys the control characters in them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from anongw.cli.examination import Findings
from anongw.cli.tables import standard_output, table
from anongw.log import escape
from anongw.outbound.examine import Finding, State

_STYLES: Final = {State.UP: "green", State.ACCEPTS: "green", State.DIRECT: "yellow", State.UNTRIED: "yellow"}
_OTHER_STYLE: Final = "red"
# Times below so many milliseconds are told with a decimal.
_SHORT: Final = 10


@contextmanager
def progress(hops: int, looks: int) -> Iterator[Callable[[int], None]]:
    """Show on standard error, if that is a terminal, how many of so many looks are over.

    Gives what is to be told of each: the place of its hop.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bar = Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(f"hop 1 of {hops}", total=looks)
        yield lambda place: bar.update(task, advance=1, description=f"hop {place + 1} of {hops}")


def show(findings: Findings) -> None:
    """Print a line for each member."""
    rows = table(
        *(("hop", "left"), ("upstream", "left"), ("state", "left")),
        *(("reached", "right"), ("logged in", "right"), ("target", "right")),
    )
    for number, one in _numbered(findings):
        rows.add_row(
            str(number),
            escape(_label(one)),
            Text(escape(one.words), _STYLES.get(one.state, _OTHER_STYLE)),
            *(_time(seconds) for seconds in (one.reach, one.login, one.target)),
        )
    standard_output().print(rows)


def encoded(findings: Findings) -> bytes:
    """The same for a program; times in milliseconds."""
    return msgspec.json.encode(
        [
            {
                "position": number,
                "member": _label(one),
                "state": one.state.value,
                "reason": one.reason,
                "reach_ms": _milliseconds(one.reach),
                "login_ms": _milliseconds(one.login),
                "target_ms": _milliseconds(one.target),
            }
            for number, one in _numbered(findings)
        ]
    )


def amiss(findings: Findings) -> list[str]:
    """A line for each member that is not as it should be."""
    return [
        f"hop {number}: {escape(f'{_label(one)}: {one.words}')}"
        for number, one in _numbered(findings)
        if not one.works and one.state is not State.DIRECT
    ]


def _numbered(findings: Findings) -> Iterator[tuple[int, Finding]]:
    for number, members in enumerate(findings, 1):
        for one in members:
            yield number, one


def _label(one: Finding) -> str:
    return str(one.step.member.url)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _time(seconds: float | None) -> str:
    told = _milliseconds(seconds)
    if told is None:
        return "-"
    return f"{told:.1f} ms" if told < _SHORT else f"{told:.0f} ms"
