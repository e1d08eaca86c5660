"""anongw under `sys.addaudithook`: `python -m tests.support.audit REPORT [--plant WHAT] serve ...`.

The hook is there before the first import of anongw and cannot be removed. It writes one JSON line for each
event that a test may want to judge; the judging is the test's. `--plant` commits one deliberate sin, so that
a test can see that it would be noticed.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple

# Sockets; programs that could ask in our place; and files, because libc's resolver reads some.
_WATCHED = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "open")


class Event(NamedTuple):
    name: str
    args: list[object]


def read(report: Path) -> list[Event]:
    """What a process has done; `args` as JSON has them, without the socket object."""
    return [Event(*json.loads(line)) for line in report.read_text().splitlines()]


class Follower:
    """The report of a process that still runs under the hook."""

    def __init__(self, report: Path) -> None:
        self.report = report
        self._place = 0

    @property
    def program(self) -> tuple[str, ...]:
        return sys.executable, "-m", "tests.support.audit", str(self.report)

    def new(self) -> list[Event]:
        """What it has done since the last look."""
        with self.report.open("rb") as file:
            file.seek(self._place)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._place += len(whole)
        return [Event(*json.loads(line)) for line in whole.splitlines()]


def _hook(report: int, name: str, args: tuple[object, ...]) -> None:
    if not name.startswith(_WATCHED):
        return
    plain = [_plain(one) for one in args if not isinstance(one, socket.socket)]
    os.write(report, json.dumps((name, plain)).encode() + b"\n")


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value if isinstance(value, int | str | None) else str(value)


def _commit(sin: str) -> None:
    try:
        if sin == "getaddrinfo":
            # The very thing that the linter forbids: the hook must see it.
            socket.getaddrinfo("localhost", 0)  # noqa: TID251
        elif sin == "connect":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.7", 9))
        elif sin == "sendto":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"", ("127.0.0.7", 9))
        elif sin == "program":
            os.system("true")
        else:
            raise SystemExit(f"unknown sin: {sin}")
    except OSError:
        return


def main(arguments: list[str]) -> None:
    report = os.open(arguments.pop(0), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    sys.addaudithook(lambda name, args: _hook(report, name, args))
    if arguments[0] == "--plant":
        _commit(arguments[1])
        del arguments[:2]
    from anongw.cli import main as anongw

    anongw(arguments, prog_name="anongw")


if __name__ == "__main__":
    main(sys.argv[1:])
