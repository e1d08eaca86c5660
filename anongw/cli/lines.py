"""What `anongw diff` shows: what was said, what is sent of it, and why. Rich is imported here.

A message's words are escaped: a terminal obeys the control characters in them.
"""

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from anongw.cli.tables import standard_output, table
from anongw.log import escape
from anongw.web.difference import Line, Mark

_STYLES: Final = {Mark.KEPT: "dim", Mark.SET: "yellow", Mark.DROPPED: "red"}


def show(lines: Sequence[Line]) -> None:
    """Print a row for each line."""
    rows = table(("received", "left"), ("", "left"), ("sent", "left"), ("why", "left"))
    for line in lines:
        rows.add_row(
            "\n".join(map(escape, line.received)),
            Text(line.mark.value, _STYLES[line.mark]),
            escape(line.sent or ""),
            escape(line.why),
        )
    standard_output().print(rows)
