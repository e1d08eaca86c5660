"""An audit's progress and verdict, for people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from anongw.audit.checks import CHECKS
from anongw.audit.verdict import Row, Verdict

LEAK: Final = "XX"


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """What is told of each scenario; on standard error, so that a verdict can be piped."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("the laboratory is made", total=None)

        def played(done: int, total: int, name: str) -> None:
            shown.update(task, completed=done, total=total, description=name)

        yield played


def show(verdict: Verdict, console: Console | None = None) -> None:
    """The table of scenarios and checks, then every finding in words."""
    out = console or Console()
    out.print(_table(verdict))
    for number, check in enumerate(CHECKS):
        out.print(
            Text.assemble((f"{number + 1:>2} {check.name:<9}", "bold"), f" {check.proves}"), soft_wrap=True
        )
    for row in verdict.rows:
        _findings(out, row)
    for note in verdict.notes:
        out.print(Text(f"note: {note}", "dim"))
    if verdict.kept:
        out.print(Text(f"packets, log and config: {verdict.kept}"))
    out.print(_summary(verdict))


def _table(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("scenario")
    for number in range(len(CHECKS)):
        table.add_column(str(number + 1), justify="right", min_width=2)
    for row in verdict.rows:
        name = Text(row.scenario, "" if row.is_clean else "bold red")
        table.add_row(name, *(_cell(row, check.name) for check in CHECKS))
    return table


def _cell(row: Row, check: str) -> Text:
    if check in row.wrong:
        return Text(LEAK, "bold red")
    return Text("?", "yellow") if row.not_tried or row.left_out else Text("+", "green")


def _findings(out: Console, row: Row) -> None:
    if row.left_out:
        out.print(Text(f"{row.scenario}: left out: {row.left_out}", "yellow"))
    if row.is_clean:
        return
    out.print(Text(f"\n{row.scenario}", "bold red"))
    if row.not_tried:
        out.print(Text(f"  not tried to its end: {row.not_tried}"))
    for check, sentences in row.wrong.items():
        for sentence in sentences:
            out.print(Text(f"  {check}: {sentence}"))


def _summary(verdict: Verdict) -> Text:
    count = f"{len(verdict.rows)} scenarios, {len(CHECKS)} checks each, {verdict.seconds:.0f} s: "
    if verdict.is_clean:
        return Text(f"{count}nothing leaks", "bold green")
    wrong = [f"{verdict.leaks} leak"] if verdict.leaks else []
    wrong += [f"{verdict.not_tried} could not be tried"] if verdict.not_tried else []
    return Text(count + ", ".join(wrong), "bold red")
