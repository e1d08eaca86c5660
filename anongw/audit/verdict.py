"""What an audit came to: for each scenario what each check found, and what could not be tried."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from anongw.audit.checks import CHECKS


@dataclass
class Row:
    """One scenario. `wrong`: by the check's name. `not_tried`: why it broke off, which is a failure.

    `left_out`: what the config itself does not let be tried, which is none.
    """

    scenario: str
    wrong: dict[str, list[str]] = field(default_factory=dict)
    not_tried: str = ""
    left_out: str = ""
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        return not self.wrong and not self.not_tried


@dataclass
class Verdict:
    """`notes`: what is otherwise here than at home. `kept`: the folder with captures, if there is one."""

    rows: list[Row] = field(default_factory=list)
    notes: Sequence[str] = ()
    kept: str = ""
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether everything was tried and nothing found."""
        return all(row.is_clean for row in self.rows)

    @property
    def leaks(self) -> int:
        return sum(bool(row.wrong) for row in self.rows)

    @property
    def not_tried(self) -> int:
        return sum(bool(row.not_tried) for row in self.rows)

    def table(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "clean": self.is_clean,
            "seconds": round(self.seconds, 1),
            "checks": {check.name: check.proves for check in CHECKS},
            "scenarios": [
                {
                    "name": row.scenario,
                    "wrong": row.wrong,
                    "not_tried": row.not_tried,
                    "left_out": row.left_out,
                    "seconds": round(row.seconds, 2),
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
            "kept": self.kept,
        }
