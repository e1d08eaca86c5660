"""The workers as their parent has them: forked, heard, told, and buried. What follows is the supervisor's.

A fork is safe here because the parent has one thread and no event loop. Whatever it has open that is not for
workers is closed in the child, so that no worker holds another's channel: its end must be the parent's alone.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from anongw.workers.channel import Channel, Failed, ToWorker, pair
from anongw.workers.leash import leash

# What a worker does, from its fork to its end. What it fails with it raises, with a text for a person.
Work = Callable[[int, Channel], None]
FAILED = 1


@dataclass(slots=True, eq=False)
class Worker:
    """One that lives, or has just died. Times are time.monotonic's."""

    index: int
    pid: int
    channel: Channel
    since: float
    ready: bool = False
    error: str = ""  # what it says it ended of


@dataclass(slots=True)
class Crew:
    """All of them. `shed`: closes what the parent has open for itself, in a child."""

    work: Work
    shed: Callable[[], None]
    alive: dict[int, Worker] = field(default_factory=dict)

    def fork(self, index: int) -> Worker:
        """Start the worker of this number."""
        ours, theirs = pair()
        # What is still in a buffer would be written by both.
        for stream in (sys.stdout, sys.stderr):
            # Nobody may read it any more, or it may be None.
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            ours.close()
            self._live(index, parent, theirs)
        theirs.close()
        worker = Worker(index, pid, ours, time.monotonic())
        self.alive[index] = worker
        return worker

    def tell(self, worker: Worker, message: ToWorker) -> None:
        """Say something to one. One that does not listen is stuck, and is ended."""
        try:
            worker.channel.send(message)
        except OSError:
            self.kill(worker)

    def kill(self, worker: Worker) -> None:
        os.kill(worker.pid, signal.SIGKILL)  # it is our child until it was waited for: the number is its own

    def buried(self) -> Iterator[tuple[Worker, int]]:
        """Those that have died since, with what waitpid(2) says of it."""
        for worker in list(self.alive.values()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                del self.alive[worker.index]
                yield worker, status

    def _live(self, index: int, parent: int, channel: Channel) -> NoReturn:
        """The child's whole life. It never returns into what its parent was doing."""
        status = FAILED
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            leash(parent)
            self.shed()
            for other in self.alive.values():
                other.channel.close()
            self.work(index, channel)
            status = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told, and nobody else is here
            channel.send(Failed(str(error)))
        finally:
            os._exit(status)


def how_it_ended(status: int) -> str:
    """What waitpid(2) says, in words."""
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"status {code}"
