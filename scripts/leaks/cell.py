"""One cell of the matrix: what was seen, and whether it is a leak."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    text: str
    leaks: bool


# It does not speak what the row is about.
NOTHING = Cell("", leaks=False)


def yes_or_no(leaks: object) -> Cell:
    return Cell("yes" if leaks else "no", leaks=bool(leaks))


def of(count: int, whole: int) -> Cell:
    """How many of them."""
    return Cell(f"{count} of {whole}" if count else "no", leaks=count > 0)


def these(words: Iterable[str]) -> Cell:
    """Which ones."""
    found = ", ".join(words)
    return Cell(found or "no", leaks=bool(found))
