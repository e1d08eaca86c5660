"""From parsed TOML to frozen structs, or to every fault at once.

The tables are walked by hand and only single values are handed to msgspec, because msgspec alone stops at
its first error and knows no durations.
"""

import difflib
import pathlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, TypeGuard, TypeVar, get_args, get_origin

import msgspec

from anongw.config.faults import Found, Path
from anongw.config.hop_tables import HopTable, settled
from anongw.config.hops import Hop
from anongw.config.values import Bytes, Seconds, Written, parse_duration, parse_size

S = TypeVar("S", bound=msgspec.Struct)

# What msgspec says of a value inside a list or table: "... - at `$[1]`", "... - at `$[...]`".
_WITHIN = re.compile(r"(.*) - at `(?:key in )?\$(?:\[([0-9]+|\.\.\.)\])?.*`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(\w+)(?: \| null)?`(?:, got `\w+`| >= ([0-9]+))")
_TYPES = {
    "array": 'a list, such as ["..."]',
    "bool": "true or false",
    "int": "a whole number",
    "object": "a table",
    "str": "text in quotes",
}


class Tables:
    """Reads tables as structs. What is wrong goes to `found`, and that field keeps its default.

    Args:
        found: faults, in the order of the tables.
        folder: what file names in the table at a path are relative to.

    """

    def __init__(self, found: list[Found], folder: Callable[[Path], pathlib.Path]) -> None:
        self._found = found
        self._folder = folder

    def read(self, kind: type[S], table: dict[str, Any], path: Path) -> S:
        """One table as its struct."""
        types = {field.name: field.type for field in msgspec.structs.fields(kind)}
        values: dict[str, object] = {}
        for key, value in table.items():
            here = (*path, key)
            if key not in types:
                self._found.append((here, f"there is no such key; {nearest(key, types)}"))
                continue
            try:
                values[key] = self._value(types[key], value, here)
            except ValueError as error:  # msgspec's ValidationError is one
                self._found.append(_explained(types[key], value, here, str(error)))
        return kind(**values)

    def _value(self, kind: object, value: object, here: Path) -> object:
        if kind == Seconds:
            return parse_duration(value)
        if kind == Bytes:
            return parse_size(value)
        if _is_struct(kind) and isinstance(value, dict):
            return self._hop(value, here) if kind is Hop else self.read(kind, value, here)
        inner = get_args(kind)
        if get_origin(kind) is dict and _is_struct(inner[1]) and isinstance(value, dict):
            return {key: self._entry(inner[1], one, (*here, key)) for key, one in value.items()}
        if get_origin(kind) is tuple and _is_struct(inner[0]) and isinstance(value, list):
            return tuple(self._entry(inner[0], one, (*here, place)) for place, one in enumerate(value))
        return msgspec.convert(value, kind, dec_hook=_written)

    def _entry(self, kind: type[msgspec.Struct], value: object, here: Path) -> object:
        """One of many tables, of which each has its own faults."""
        if isinstance(value, dict):
            return self._value(kind, value, here)
        self._found.append((here, "must be a table"))
        return None

    def _hop(self, table: dict[str, Any], here: Path) -> Hop:
        before = len(self._found)
        written = self.read(HopTable, table, here)
        if len(self._found) > before:
            return Hop(members=())  # what is missing then may only be misspelt
        return settled(written, here, self._folder(here), self._found)


def nearest(word: str, known: Collection[str]) -> str:
    """What somebody who wrote `word` may have meant."""
    near = difflib.get_close_matches(word, known, 1)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"


def _is_struct(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _written(kind: type[Written], value: object) -> Written:
    """How msgspec makes our own values, all of which are written as text."""
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004 (msgspec passes on ValueErrors only)
    return kind(value)


def _explained(kind: object, value: object, here: Path, message: str) -> Found:
    """What msgspec says in the words of a config; the place inside a list or table goes to the path."""
    if inside := _WITHIN.fullmatch(message):
        message, place = inside[1], inside[2]
        if place == "..." and isinstance(value, dict):
            here = (*here, *_culprit(kind, value))
        elif place and place.isdigit() and isinstance(value, list):
            here = (*here, int(place))
            kind, value = get_args(kind)[0], value[int(place)]
    if get_origin(kind) is Literal and isinstance(value, str):
        choices = get_args(kind)
        near = difflib.get_close_matches(value, choices, 1)
        message = f"must be one of {', '.join(choices)}" + (f'; did you mean "{near[0]}"?' if near else "")
    elif expected := _EXPECTED.fullmatch(message):
        message = f"must be {_TYPES[expected[1]]}" + (f" from {expected[2]} up" if expected[2] else "")
    return here, message


def _culprit(kind: object, table: dict[str, object]) -> Iterator[str]:
    """The first key of a table whose value is wrong: msgspec calls each of them `[...]`."""
    for key, value in table.items():
        try:
            msgspec.convert(value, get_args(kind)[1], dec_hook=_written)
        except msgspec.ValidationError:
            yield key
            return
