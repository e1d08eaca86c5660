"""Passwords of hops: from an environment variable, or from a file that only its owner can read.

Every ValueError here says what is wrong with the place and never what stands in it.
"""

import os
import re
import stat
from pathlib import Path

from anongw.config.values import Secret

# A password is a line. Whatever is longer is another file.
_FILE_MOST = 4096
# How variables are called. What looks otherwise may be the password itself, by mistake: it is not quoted.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def from_environment(name: str) -> Secret:
    """What the variable holds."""
    value = os.environ.get(name, "") if "\0" not in name else ""
    if not value:
        which = f"no variable {name}" if _VARIABLE.fullmatch(name) else "no variable of this name"
        raise ValueError(f"there is {which} in the environment, or it is empty: export it first")
    return Secret(value)


def from_file(path: Path) -> Secret:
    """What stands in the file, without the end of its line."""
    try:
        data = _read(path)
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if len(data) > _FILE_MOST:
        raise ValueError(f"{str(path)!r} is longer than {_FILE_MOST} bytes: no password is")
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{str(path)!r} is not UTF-8") from None
    if not text:
        raise ValueError(f"{str(path)!r} is empty")
    return Secret(text)


def _read(path: Path) -> bytes:
    # A pipe would wait for its writer, and a password in one could be read once only.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        # Of what was opened, not of what the name means a moment later.
        _guarded(path, os.fstat(descriptor))
        return os.read(descriptor, _FILE_MOST + 1)
    finally:
        os.close(descriptor)


def _guarded(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{str(path)!r} is no regular file")
    if status.st_uid not in (os.geteuid(), 0):
        raise ValueError(f"{str(path)!r} belongs to somebody else, who can read and change it: chown it")
    if read_by_others(status):
        raise ValueError(f"{str(path)!r} can be used by others than its owner: chmod 600 it")


def read_by_others(status: os.stat_result) -> bool:
    """Whether its group or everybody has any right to a file."""
    return bool(status.st_mode & (stat.S_IRWXG | stat.S_IRWXO))
