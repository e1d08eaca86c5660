"""The gateway under audit, a process in its own network: ours, or another that a test puts in its place.

It has a host name of its own there, so that it can be seen whether anybody is told it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from anongw.audit.canaries import MACHINE
from anongw.lab.wrong import Wrong, must

OURS: Final = (sys.executable, "-m", "anongw")
# Run by the gateway's own Python: a host name that only it sees, and then its program.
_NAMED: Final = (
    "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"
)
_HERE: Final = str(Path(__file__).parents[2])  # where this very package is, whatever the folder
_PATIENCE: Final = 20.0  # seconds until it listens, or has ended
_BETWEEN: Final = 0.02  # seconds between two knocks


class Program:
    """Started, signalled and waited for; `log` is all that it ever wrote."""

    def __init__(self, prefix: Sequence[str], words: Sequence[str], folder: Path) -> None:
        name = [sys.executable, "-c", _NAMED, MACHINE]
        self._words = [*prefix, "unshare", "--uts", "--", *name, *words, "serve"]
        self._file = folder / "gateway.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> bytes:
        return self._file.read_bytes() if self._file.exists() else b""

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, config: Path, knock: Callable[[], socket.socket]) -> None:
        """Until a `knock` is let in.

        Raises:
            Wrong: it does not listen; with the last of what it wrote.
        """
        with self._file.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 - what the user wants to have audited
                [*self._words, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, "PYTHONPATH": os.pathsep.join((_HERE, os.environ.get("PYTHONPATH", "")))},
            )
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if not self.runs:
                break
            with suppress(OSError), knock():
                return
            time.sleep(_BETWEEN)
        said = self.log.decode(errors="replace").strip().splitlines()[-5:]
        raise Wrong("the gateway does not listen: " + (" / ".join(said) or "it says nothing"))

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.runs:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Until it has ended; its status."""
        must(self._process is not None, "it was not started")
        assert self._process is not None  # noqa: S101 - for the type checker; `must` has said so
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise Wrong("the gateway does not end") from None

    def end(self) -> None:
        """Whatever it takes."""
        if self._process is not None and self.runs:
            self._process.kill()
            self._process.wait()
