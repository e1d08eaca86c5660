"""Whether a gateway kept silent: all that it has said is searched for all that its flows knew.

noted.py writes down what they knew; `Silence` has it do so, reads it, and says which of it was told. A test
that plants something by hand calls it a canary: that word is looked for as well.
"""

import json
import os
import socket
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import IO

from tests.support.noted import NOTES

CANARY = "canary"
# What is shorter is found in any text.
_SHORTEST = 4
_PATIENCE = 10.0


class Silence:
    """Of one gateway that is started as `program` says, where its end is the plain `python -m anongw`."""

    def __init__(self, plain: Sequence[str]) -> None:
        self._plain = tuple(plain)
        self._notes: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`

    def close(self) -> None:
        self._notes.close()

    def listening(self, program: Sequence[str]) -> tuple[str, ...]:
        """The program with its flows noted; as it is where it is another."""
        front = tuple(program)[: -len(self._plain)]
        if tuple(program)[len(front) :] != self._plain:
            return tuple(program)
        return (*front, self._plain[0], "-m", "tests.support.noted")

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (self._notes.fileno(),)

    @property
    def environment(self) -> dict[str, str]:
        return {NOTES: str(self._notes.fileno())}

    def told(self, said: str, own: Iterable[str]) -> list[str]:
        """What stands in `said` of what flows knew; `own`: the gateway's own words, of its config."""
        words = "\n".join(own)
        found = [name for name in sorted(self._known()) if name in said and name not in words]
        return found + ([CANARY] if CANARY in said and CANARY not in words else [])

    def _known(self) -> set[str]:
        size = os.fstat(self._notes.fileno()).st_size
        lines = os.pread(self._notes.fileno(), size, 0).splitlines()
        return {name for line in lines for name in json.loads(line) if len(name) >= _SHORTEST}


def answers(path: str) -> str:
    """All that a control socket says that changes nothing; "" where none listens."""
    said = b""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_PATIENCE)
        sock.connect(path)
        sock.sendall(b'{"command": "status"}\n')
        sock.shutdown(socket.SHUT_WR)
        while piece := sock.recv(1 << 16):
            said += piece
    return said.decode()
