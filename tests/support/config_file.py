"""A config as a file, for a gateway with more chains and routes than a command line should hold.

Passwords stand in it: it is its owner's alone, and nothing of it is on the command line.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.process import PROGRAM, Gateway, gateway

Table = Mapping[str, object]


def toml(value: object) -> str:
    """A value on one line."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
        case str() | bool() | int():
            return json.dumps(value)
        case _:
            assert isinstance(value, Sequence), value
            return "[" + ", ".join(map(toml, value)) + "]"


def write(path: Path, **keys: object) -> Path:
    """A TOML file of these keys, a line each."""
    path.touch(0o600)
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in keys.items()))
    return path


@contextmanager
def configured(
    directory: Path,
    *settings: str,
    program: Sequence[str] = PROGRAM,
    environment: dict[str, str] | None = None,
    **keys: object,
) -> Iterator[Gateway]:
    """A gateway that goes by a file with these keys, and by these `--set` settings."""
    path = write(directory / "anongw.toml", **keys)
    with gateway(
        directory, *settings, program=program, arguments=("--config", str(path)), environment=environment
    ) as one:
        yield one
