"""From TOML and `--set` to one frozen Config, or to every fault at once.

The sections are walked by hand and only single values are handed to msgspec, because msgspec alone stops at
its first error and knows no durations. Nothing here looks outside the file: names are not looked up, other
files are not opened (`anongw check` does that).
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeGuard, TypeVar, get_args, get_origin

import msgspec

from anongw.config import faults
from anongw.config.cross import crossed
from anongw.config.faults import ConfigError, Fault, Found
from anongw.config.sections import Config
from anongw.config.values import Bytes, Seconds, Written, parse_duration, parse_size

S = TypeVar("S", bound=msgspec.Struct)

# A megabyte of config is a mistake, such as a log or a disk image.
_FILE_MOST = 1 << 20
_SYNTAX = re.compile(r"(.*) \(at line ([0-9]+), column [0-9]+\)")
# What msgspec says of a value inside a list or table: "... - at `$[1]`", "... - at `$[...]`".
_WITHIN = re.compile(r"(.*) - at `(?:key in )?\$(?:\[([0-9]+|\.\.\.)\])?.*`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(\w+)`(?:, got `\w+`| >= ([0-9]+))")
_TYPES = {
    "array": 'a list, such as ["..."]',
    "bool": "true or false",
    "int": "a whole number",
    "object": "a table",
    "str": "text in quotes",
}


def load(
    path: Path | None, sets: Sequence[str] = (), *, also: Callable[[Config], Iterable[Found]] = lambda _: ()
) -> Config:
    """The config of a file (None: the defaults), then of `section.key=value` settings in their order.

    `also` finds faults that only other rooms can see, so that they too get their line.

    Raises:
        ConfigError: with every fault that was found.
    """
    text = "" if path is None else _read(path)
    data = _parse(text, str(path))
    overrides = [_setting(one) for one in sets]
    for override in overrides:
        _merge(data, override)
    found: list[Found] = []
    config = _section(Config, data, (), found)
    if not found:
        found.extend(crossed(config))
    if not found:
        found.extend(also(config))
    if found:
        raise ConfigError([_located(one, text, path, overrides) for one in found])
    return config


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_MOST + 1)
        if len(data) > _FILE_MOST:
            raise ConfigError([Fault("", f"is longer than {_FILE_MOST} bytes: no config is", file=str(path))])
        return data.decode()
    except OSError as error:
        raise ConfigError([Fault("", f"cannot be read: {error.strerror}", file=str(path))]) from None
    except UnicodeDecodeError:
        raise ConfigError([Fault("", "is not UTF-8, which TOML has to be", file=str(path))]) from None


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX.fullmatch(str(error))
        message, line = (found[1], int(found[2])) if found else (str(error), None)
        raise ConfigError([Fault("", f"not TOML: {message}", line, file)]) from None


def _setting(setting: str) -> dict[str, Any]:
    """`limits.idle=2h` as {"limits": {"idle": "2h"}}; a value that is no TOML is taken as text."""
    key, equals, value = setting.partition("=")
    for text in (value, json.dumps(value, ensure_ascii=False)):
        try:
            found = tomllib.loads(f"{key} = {text}")
        except tomllib.TOMLDecodeError:
            continue
        if equals and "\n" not in setting:
            return found
    # The key only, and not even that where no `=` tells it from the value: the value may be a secret.
    said = f", not {key[:80]!r}" if equals else ""
    raise ConfigError([Fault("", f"write --set section.key=value{said}", file="command line")])


def _merge(data: dict[str, Any], override: dict[str, Any]) -> None:
    for key, value in override.items():
        old = data.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        else:
            data[key] = value


def _section(kind: type[S], table: dict[str, Any], path: faults.Path, found: list[Found]) -> S:
    """One table as its struct; what is wrong with it goes to `found`, and that field keeps its default."""
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for key, value in table.items():
        here = (*path, key)
        if key not in types:
            found.append((here, _unknown(key, types)))
            continue
        try:
            values[key] = _value(types[key], value, here, found)
        except ValueError as error:  # msgspec's ValidationError is one
            found.append(_explained(types[key], value, here, str(error)))
    return kind(**values)


def _value(kind: object, value: object, here: faults.Path, found: list[Found]) -> object:
    if kind == Seconds:
        return parse_duration(value)
    if kind == Bytes:
        return parse_size(value)
    if _is_struct(kind) and isinstance(value, dict):
        return _section(kind, value, here, found)
    each = get_args(kind)[0] if get_origin(kind) is tuple else None
    if _is_struct(each) and isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return tuple(_section(each, one, (*here, place), found) for place, one in enumerate(value))
    return msgspec.convert(value, kind, dec_hook=_written)


def _is_struct(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _written(kind: type[Written], value: object) -> Written:
    """How msgspec makes our own values, all of which are written as text."""
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004 (msgspec passes on ValueErrors only)
    return kind(value)


def _unknown(key: str, known: dict[str, object]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
    return f"there is no such key; {hint}"


def _explained(kind: object, value: object, here: faults.Path, message: str) -> Found:
    """What msgspec says in the words of a config; the place inside a list or table goes to the path."""
    if inside := _WITHIN.fullmatch(message):
        message, place = inside[1], inside[2]
        if place == "..." and isinstance(value, dict):
            here = (*here, *_culprit(kind, value))
        elif place and place.isdigit():
            here = (*here, int(place))
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        near = difflib.get_close_matches(str(value), choices, 1)
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


def _located(found: Found, text: str, file: Path | None, overrides: Sequence[dict[str, Any]]) -> Fault:
    path, message = found
    written = path[:-1] if isinstance(path[-1], int) else path
    if any(faults.has(override, written) for override in overrides):
        return Fault(faults.dotted(path), message, file="command line")
    return Fault(faults.dotted(path), message, faults.line_of(text, path), "" if file is None else str(file))
