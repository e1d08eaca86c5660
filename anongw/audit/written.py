"""A Config as TOML, which `config.load` reads back: each section on one line.

The file is a machine's, for a machine: no comments, every value that differs from its default or not.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from anongw.config import Config, Hop, Member, Secret, duration_text
from anongw.config.values import Seconds, Written

_NOTHING: Final = (None, "", "off")
_CONTROL = re.compile(r"\x7f")


def toml(config: Config, folder: Path) -> str:
    """The whole file. Passwords of hops go to files of their own in `folder`, which only we can read."""
    writer = _Writer(folder)
    table = writer.table(config)
    if config.goes_direct_unasked:
        del table["route"]
    return "".join(f"{json.dumps(key)} = {_value(one)}\n" for key, one in table.items())


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._passwords = 0

    def table(self, struct: msgspec.Struct) -> dict[str, Any]:
        kinds = {field.name: field.type for field in msgspec.structs.fields(type(struct))}
        values = {name: getattr(struct, name) for name in kinds}
        return {
            name: duration_text(value) if kinds[name] == Seconds else self._plain(value)
            for name, value in values.items()
            if value is not None
        }

    def _plain(self, value: object) -> object:  # noqa: PLR0911 - one for each kind
        match value:
            case Hop():
                return self._hop(value)
            case msgspec.Struct():
                return self.table(value)
            case Secret():
                return value.reveal()
            case Written():
                return str(value)
            case Mapping():
                return {key: self._plain(one) for key, one in value.items()}
            case tuple() | list():
                return [self._plain(one) for one in value]
            case _:
                return value

    def _hop(self, hop: Hop) -> dict[str, Any]:
        return self.table(hop) | {"member": [self._member(one) for one in hop.members], "members": None}

    def _member(self, member: Member) -> dict[str, Any]:
        keys = {"ca_file": member.ca_file, "pin": member.pin, "server_name": member.server_name}
        login = {"user": member.user, "isolation": member.isolation}
        if member.password is not None:
            self._passwords += 1
            place = self._folder / f"password-{self._passwords}"
            place.touch(0o600)
            place.write_text(member.password.reveal() + "\n")
            login["password_file"] = str(place)
        return {"url": str(member.url)} | {
            key: value for key, value in (keys | login).items() if value not in _NOTHING
        }


def _value(value: object) -> str:
    """On one line."""
    match value:
        case Mapping():
            pairs = (f"{json.dumps(key)} = {_value(one)}" for key, one in value.items() if one is not None)
            return "{" + ", ".join(pairs) + "}"
        case str():
            # TOML wants DEL escaped, and JSON does not.
            return _CONTROL.sub(r"\\u007f", json.dumps(value, ensure_ascii=False))
        case Sequence():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return json.dumps(value)
