"""The load generator: compiled when it is first used, then a process that says "ready", works, and reports.

It is built into a cache folder by its source's hash: a new one is built when the source changes, and several
checkouts do not disturb each other.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import msgspec

from scripts.benchmark import machine
from scripts.benchmark.running import NotMeasured

SOURCE = Path(__file__).parent / "generator"
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion")

Options = Mapping[str, str | int | float]


class Result(msgspec.Struct, frozen=True):
    """What one run did."""

    units: int
    bytes: int
    seconds: float
    # CPU seconds of the load generator itself.
    cpu: float
    # Visits that failed, and connections that were not kept although they were asked to be.
    failures: int
    reopened: int
    # Microseconds.
    p50: float
    p99: float


def cache() -> Path:
    """Where what is built or installed for the benchmark stays."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "anongw" / "bench"


def build(folder: Path) -> Path:
    """The program, compiled if need be.

    Raises:
        NotMeasured: there is no compiler, or it finds fault.
    """
    sources = sorted(SOURCE.glob("*.[ch]"))
    digest = hashlib.sha256("\0".join(FLAGS).encode())
    for source in sources:
        digest.update(source.read_bytes())
    program = folder / f"load-{digest.hexdigest()[:16]}"
    if program.exists():
        return program
    compiler = shutil.which("gcc")
    if compiler is None:
        raise NotMeasured("gcc is not installed: it compiles the load generator (apt install gcc libc6-dev)")
    folder.mkdir(parents=True, exist_ok=True)
    # Two at once build it twice; the last name wins, and both are whole.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "load"
        codes = [str(source) for source in sources if source.suffix == ".c"]
        done = subprocess.run(
            [compiler, *FLAGS, "-o", str(made), *codes, "-lm"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise NotMeasured(f"gcc: {done.stderr}")
        made.rename(program)
    return program


class Load:
    """One run of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        # They are there: pipes were asked for.
        self._stdin, self._stdout, self._stderr = (
            cast("IO[str]", one) for one in (process.stdin, process.stdout, process.stderr)
        )

    def go(self) -> Result:
        """Let it work, and hear what it did. It keeps its connections until the block ends."""
        self.begin()
        return msgspec.json.decode(self.line(), type=Result)

    def begin(self) -> None:
        """Let it work, and do not wait for it."""
        self._stdin.write("go\n")
        self._stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def still(self) -> None:
        """Nothing, while it works.

        Raises:
            NotMeasured: it has ended, for the reason that it gave.

        """
        if self._process.poll() is not None:
            self.line()

    def line(self) -> str:
        """What it says next.

        Raises:
            NotMeasured: it ended instead, for the reason that it gave.
        """
        said = self._stdout.readline()
        if not said:
            why = self._stderr.read().strip()
            raise NotMeasured(why or f"the load generator ended with {self._process.wait()}")
        return said


@contextmanager
def load(program: Path, core: int | None, options: Options) -> Iterator[Load]:
    """It, once all its tunnels are open.

    Raises:
        NotMeasured: they cannot be opened.
    """
    process = subprocess.Popen(
        [*machine.pinned(core), str(program), *(f"{key}={value}" for key, value in options.items())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        started = Load(process)
        try:
            started.line()
            yield started
        finally:
            started.kill()
