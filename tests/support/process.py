"""A gateway in a process of its own, as its user starts it: `python -m anongw serve`.

It must start, live and end well: whoever leaves the `with` block without having stopped it gets an assertion
unless SIGTERM ends it with status 0 and without a traceback. And it must have kept silent: unless its names
were asked for, nothing that a flow of it knew may stand in anything that it has said (silence.py).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.silence import Silence, answers

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "anongw")
# Seconds after which a process that does not end fails its test.
PATIENCE = 30.0
_CONTROL = "control.socket=/"


class Gateway:
    """One that runs. `addresses`: where it listens, with the real ports."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.process = process
        self._errors = errors
        self._said = b""
        self.addresses = self._listening()

    @property
    def where(self) -> tuple[str, int]:
        """The first listener, for `connect`."""
        host, _, port = self.addresses[0].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """All of standard output; complete only after `stop`."""
        return self._said.decode("utf-8", "backslashreplace")

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return self._errors.read_bytes().decode("utf-8", "backslashreplace")

    def status(self, field: str) -> int:
        """A number of /proc/PID/status, such as VmRSS in KiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field}")

    def cpu_seconds(self) -> float:
        """What it has used so far: utime and stime of /proc/PID/stat."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> dict[int, str]:
        """The open descriptors and what each is: `socket:[1234]`, `pipe:[1234]`."""
        found = {}
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found[int(link.name)] = str(link.readlink())
            except FileNotFoundError:
                continue
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        assert self.process.stdout is not None
        status = self.process.wait(PATIENCE)
        if not self.process.stdout.closed:
            self._said += self.process.stdout.read()
            self.process.stdout.close()
        return status

    def _listening(self) -> tuple[str, ...]:
        assert self.process.stdout is not None
        self._said = self.process.stdout.readline()
        _, found, addresses = self.output.strip().partition(" listens on ")
        assert found, f"did not start: {self._said!r} {self.errors}"
        return tuple(addresses.split(", "))


@contextmanager
def gateway(
    directory: Path,
    *settings: str,
    listen: str = "127.0.0.1:0",
    program: Sequence[str] = PROGRAM,
    arguments: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> Iterator[Gateway]:
    """Run one with these `--set` settings; `program` may put other programs in front of it."""
    # First, so that a test may say otherwise.
    sets = [word for setting in ("control.socket=off", *settings) for word in ("--set", setting)]
    errors = directory / "gateway.err"
    silence = Silence(PROGRAM)
    command = [*silence.listening(program), "serve", "--listen", listen, *sets, *arguments]
    with errors.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**(os.environ if environment is None else environment), **silence.environment},
            pass_fds=silence.descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stream,
        )
    try:
        running = Gateway(process, errors)
        yield running
        answered = "".join(answers(one.partition("=")[2]) for one in settings if one.startswith(_CONTROL))
        if process.poll() is None:
            assert running.stop() == 0, running.errors
        assert "Traceback" not in running.errors, running.errors
        if not _names_are_on(command):
            told = silence.told(running.output + running.errors + answered, _own_words(command, running))
            assert not told, f"the gateway told {told}: {running.errors} {answered}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        silence.close()


def _names_are_on(command: Sequence[str]) -> bool:
    return any(word.partition("=")[0] in ("--log-names", "log.names") for word in command)


def _own_words(command: Sequence[str], running: Gateway) -> Iterator[str]:
    """What a gateway may always say, because its user wrote it: settings, files of them, its listeners."""
    yield from command
    yield from running.addresses
    for place, word in enumerate(command):
        if command[place - 1] in ("--config", "--chain"):
            for file in Path(word).parent.glob("*.toml"):
                yield file.read_text()
