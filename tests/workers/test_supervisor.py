"""The parent of workers, in a process of its own, with work that does what a test wants.

The rest, with real gateways, is in `tests/whole/test_workers.py`.
"""

import os
import select
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn

from anongw import log
from anongw.config import Config, load
from anongw.errors import StartError
from anongw.openings import open_all
from anongw.workers.channel import Answer, Ask, Channel, Ended, Ready, Stop
from anongw.workers.pace import Pace
from anongw.workers.supervisor import Supervisor
from tests.support.process import PATIENCE

# A worker's work, in the place of a gateway's.
Work = Callable[[Channel], None]


def config(*sets: str) -> Config:
    return load(None, ('listen.addresses=["127.0.0.1:0"]', "control.socket=off", "listen.workers=2", *sets))


def supervised(work: Work, go: int = -1) -> tuple[int, str]:
    """Run one with two workers that do this: its status, and what it said.

    In a child, so that it may have the signals, and so that no worker outlives a test that fails. Once all
    are ready, bytes are written to `go`.
    """
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        _live(work, theirs, go)
    os.close(theirs)
    said = b""
    while piece := _read(ours):
        said += piece
    os.close(ours)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def _read(descriptor: int) -> bytes:
    assert select.select([descriptor], [], [], PATIENCE)[0]
    return os.read(descriptor, 4096)


def _live(work: Work, said: int, go: int) -> NoReturn:
    status = 9
    try:
        settings = config()
        with os.fdopen(said, "w") as stream:
            log.setup(settings.log, stream)
            openings = open_all(settings)

            def ready(names: tuple[str, ...]) -> None:
                print("ready", *names, file=stream, flush=True)
                if go >= 0:
                    os.write(go, bytes(64))

            def in_loop(run: Callable[[], Awaitable[None]]) -> None:
                assert isinstance(run, partial)
                work(run.args[-1])

            def pace() -> Pace:
                return Pace(young=1000.0, first=0.0, tries=3)

            try:
                Supervisor(settings, openings, ready=ready, in_loop=in_loop, pace=pace).run()
                status = 0
            except StartError as error:
                print("cannot:", error, file=stream, flush=True)
                status = 1
    finally:
        os._exit(status)


def test_one_that_cannot_start_ends_the_gateway_with_its_reason() -> None:
    def fail(_channel: Channel) -> None:
        raise StartError("limits.connections needs more files")

    status, said = supervised(fail)
    assert status == 1
    assert "cannot: limits.connections needs more files\n" in said
    assert "ready" not in said


def test_one_that_dies_without_a_word_before_it_accepts_does_too() -> None:
    def die(_channel: Channel) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    status, said = supervised(die)
    assert status == 1
    assert "ended with signal 9 before it could accept" in said


def test_where_all_die_one_after_the_other_it_gives_up() -> None:
    waiting, go = os.pipe()

    def die(channel: Channel) -> None:
        channel.send(Ready())
        os.read(waiting, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    status, said = supervised(die, go)
    assert status == 1
    assert said.startswith("ready 127.0.0.1:")
    assert said.count("and is replaced") >= 4, "each has had its tries"
    last = said.splitlines()[-1]
    assert last.startswith("cannot: worker ")
    assert last.endswith("ended with signal 9, as all before it did, one right after the other")
    os.close(waiting)
    os.close(go)


def test_what_each_has_counted_is_summed_at_the_end() -> None:
    waiting, go = os.pipe()

    def end_well(channel: Channel) -> None:
        channel.send(Ready())
        os.read(waiting, 1)
        # Whoever is first tells the parent of both to end; both get its word.
        os.kill(os.getppid(), signal.SIGTERM)
        select.select([channel.sock], [], [])
        assert Stop() in channel.receive()
        channel.send(Ended(log.Counters(flows=3, sent=10)))

    status, said = supervised(end_well, go)
    assert status == 0
    assert "stopped: 6 flows, 20 B sent" in said
    os.close(waiting)
    os.close(go)


def test_a_bug_in_a_command_kills_nobody() -> None:
    """An answer that means nothing: whoever asked is told so, and all go on."""

    def babble(channel: Channel) -> None:
        channel.send(Ready())
        channel.send(Ask(8, "status", {}))
        while True:
            select.select([channel.sock], [], [])
            for message in channel.receive():
                match message:
                    case Ask(number):
                        channel.send(Answer(number, {"status": "nonsense"}))
                    case Answer():
                        assert message == Answer(8, error="internal")
                        os.kill(os.getppid(), signal.SIGTERM)
                    case Stop():
                        channel.send(Ended(log.Counters(flows=1)))
                        return

    status, said = supervised(babble)
    assert status == 0
    assert "a bug ended a command: AssertionError" in said
    assert "is replaced" not in said
    assert "stopped: 2 flows" in said
