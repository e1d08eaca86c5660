"""What a config is written in: its file, the chain files that it names, and settings of the command line.

All of it becomes one table, in which each chain stands in the place of its file's name; `located` finds the
way back, so that a fault names the file and line where somebody wrote what is wrong.
"""

import json
import pathlib
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from anongw.config import faults
from anongw.config.faults import ConfigError, Fault, Found, Path

# A megabyte of config is a mistake, such as a log or a disk image.
_FILE_MOST = 1 << 20
_SYNTAX = re.compile(r"(.*) \(at line ([0-9]+), column [0-9]+\)")
# What only a config has, and what only a chain's file.
_CONFIG_ONLY = frozenset({"chains", "route", "listen"})
_CHAIN_ONLY = "hop"


class _File:
    """One TOML file."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.text = _read(path)
        self.data = _parse(self.text, str(path))

    def fault(self, path: Path, message: str) -> Fault:
        return Fault(faults.dotted(path), message, faults.line_of(self.text, path), str(self.path))


class Sources:
    """Everything that one config is made of, read and merged.

    Args:
        path: the config's file; None: the defaults.
        sets: `section.key=value`, each of which wins over what came before.
        chain: a chain's file that everything is to go through, instead of the config's own chains and routes.

    Raises:
        ConfigError: where the file or a setting makes no sense at all.

    """

    def __init__(
        self, path: pathlib.Path | None, sets: Sequence[str] = (), chain: pathlib.Path | None = None
    ) -> None:
        self.found: list[Fault] = []  # in chain files that make no sense at all
        self._file = _File(path) if path else None
        self._chains: dict[str, _File] = {}
        self._typed: list[dict[str, Any]] = []  # what came from the command line
        self.data: dict[str, Any] = dict(self._file.data) if self._file else {}
        if self._file and _CHAIN_ONLY in self.data:
            raise ConfigError([self._file.fault((_CHAIN_ONLY,), "this is a chain: use --chain")])
        if chain is not None:
            self.data = {key: value for key, value in self.data.items() if key not in ("chains", "route")}
        self._put_chains(path.parent if path else pathlib.Path())
        if chain is not None:
            self._type({"chains": {chain.stem: str(chain)}, "route": [{"to": chain.stem}]})
        for one in sets:
            self._type(_setting(one))

    def folder(self, where: Path) -> pathlib.Path:
        """What file names in the table at a path are relative to."""
        file = self.file(where)
        return file.parent if file and not self.is_typed(where) else pathlib.Path()

    def file(self, where: Path) -> pathlib.Path | None:
        """The file that the table at a path stands in; None: there is none."""
        chain = self._chain(where)
        if chain:
            return chain.path
        return self._file.path if self._file else None

    def is_typed(self, where: Path) -> bool:
        """Whether what is at a path stands on the command line."""
        return any(faults.has(typed, where) for typed in self._typed)

    def located(self, found: Found) -> Fault:
        """A fault with its file and line."""
        path, message = found
        written = path[:-1] if isinstance(path[-1], int) else path
        if self.is_typed(written):
            return Fault(faults.dotted(path), message, file="command line")
        if chain := self._chain(path):
            return chain.fault(path[2:], message)
        return self._file.fault(path, message) if self._file else Fault(faults.dotted(path), message)

    def _chain(self, where: Path) -> _File | None:
        """The chain's file that holds what is at a path, if one does."""
        if len(where) > 2 and where[0] == "chains":  # noqa: PLR2004 (chains.NAME is the file as a whole)
            return self._chains.get(str(where[1]))
        return None

    def _type(self, typed: dict[str, Any]) -> None:
        self._typed.append(typed)
        _merge(self.data, typed)
        self._put_chains(pathlib.Path())

    def _put_chains(self, folder: pathlib.Path) -> None:
        """Put each chain in the place of its file's name, which is relative to `folder`."""
        chains = self.data.get("chains")
        if not isinstance(chains, dict):
            return
        self.data["chains"] = chains = dict(chains)
        for name, value in tuple(chains.items()):
            if isinstance(value, dict):
                continue
            del chains[name]
            if not isinstance(value, str):
                self._refuse(name, "must be the name of a file in quotes, or a table with [[hop]] in it")
            elif file := self._open(name, folder / value):
                self._chains[name] = file
                chains[name] = file.data

    def _open(self, name: str, path: pathlib.Path) -> _File | None:
        try:
            file = _File(path)
        except ConfigError as error:
            if error.line is None:
                self._refuse(name, f"{path} {error.message}")
            else:
                self.found.extend(error.faults)
            return None
        if _CHAIN_ONLY not in file.data and not _CONFIG_ONLY.isdisjoint(file.data):
            key = next(key for key in file.data if key in _CONFIG_ONLY)
            self.found.append(file.fault((key,), "this is a config: use --config"))
            return None
        return file

    def _refuse(self, name: str, message: str) -> None:
        self.found.append(self.located((("chains", name), message)))


def _read(path: pathlib.Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_MOST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file has a NUL in its name"
        raise ConfigError([Fault("", f"cannot be read: {why}", file=str(path))]) from None
    if len(data) > _FILE_MOST:
        raise ConfigError([Fault("", f"is longer than {_FILE_MOST} bytes: no config is", file=str(path))])
    try:
        return data.decode()
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
