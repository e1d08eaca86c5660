"""What is wrong with a config: where (file, line, key) and how to mend it.

Lines are found only once something is wrong, by parsing ever longer beginnings of the file until the key is
there: exact for multi-line strings, quoted and dotted keys and inline tables, with the standard parser only.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
Found = tuple[Path, str]  # where, and what


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `path` is dotted, "" where the file as a whole is; `line` counts from 1."""

    path: str
    message: str
    line: int | None = None
    file: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(ValueError):
    """A config that cannot be used. Its text has a line for each fault; its attributes are the first's."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
        self.path = faults[0].path
        self.message = faults[0].message
        self.line = faults[0].line
        self.file = faults[0].file


def dotted(path: Path) -> str:
    """`("listen", "addresses", 1)` as `listen.addresses[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if part.replace("-", "").replace("_", "").isalnum() else json.dumps(part)
            text += f".{key}" if text else key
    return text


def undotted(text: str) -> Path:
    """What `dotted` wrote, read back."""
    return tuple(
        int(place) if place else json.loads(quoted) if quoted else key
        for key, quoted, place in re.findall(r'([\w-]+)|("(?:[^"\\]|\\.)*")|\[(\d+)\]', text)
    )


def line_of(text: str, path: Path) -> int | None:
    """The line, from 1, of `path` or of the nearest thing around it that is written; None if nothing is."""
    lines = text.splitlines(keepends=True)
    while path:
        found = _line_of(lines, path)
        if found is not None:
            return found
        path = path[:-1]
    return None


def _line_of(lines: list[str], path: Path) -> int | None:
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            data = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value that spans lines
        if has(data, path):
            while not lines[start].strip() or lines[start].lstrip().startswith("#"):
                start += 1
            return start + 1
        start = end
    return None


def has(data: Any, path: Path) -> bool:  # noqa: ANN401 (whatever tomllib made)
    """Whether parsed TOML holds something at `path`."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
