"""Workers as their parent has them: real forks of this process, each with something simple to do."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from anongw.workers.channel import Channel, Failed, Ready, Stop
from anongw.workers.crew import Crew, Worker, how_it_ended
from tests.support.process import PATIENCE


def until_told(_index: int, channel: Channel) -> None:
    """Say that it lives, and wait for a word."""
    channel.send(Ready())
    select.select([channel.sock], [], [])


def nothing() -> None:
    """Of a parent that has nothing open for itself."""


@pytest.fixture
def made() -> Iterator[Callable[..., Crew]]:
    crews: list[Crew] = []

    def make(work: Callable[[int, Channel], None], shed: Callable[[], None] = nothing) -> Crew:
        crews.append(Crew(work, shed))
        return crews[-1]

    yield make
    for crew in crews:
        for worker in list(crew.alive.values()):
            with suppress(ProcessLookupError):
                crew.kill(worker)
            os.waitpid(worker.pid, 0)
            worker.channel.close()


def heard(worker: Worker) -> list[object]:
    assert select.select([worker.channel.sock], [], [], PATIENCE)[0]
    try:
        return list(worker.channel.receive())
    except EOFError:
        return []


def ended(crew: Crew, worker: Worker) -> str:
    """Wait for its end and bury it; how it ended."""
    # Waited for without being taken away.
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    ((buried, status),) = crew.buried()
    assert buried is worker
    worker.channel.close()
    return how_it_ended(status)


def test_it_does_its_work_and_hears(made: Callable[..., Crew]) -> None:
    crew = made(until_told)
    worker = crew.fork(3)
    assert worker.pid != os.getpid()
    assert crew.alive == {3: worker}
    assert heard(worker) == [Ready()]
    assert list(crew.buried()) == []
    crew.tell(worker, Stop())
    assert ended(crew, worker) == "status 0"
    assert crew.alive == {}


def test_what_it_fails_with_is_told(made: Callable[..., Crew]) -> None:
    def fail(index: int, _channel: Channel) -> None:
        raise ValueError(f"number {index} has no port")

    crew = made(fail)
    worker = crew.fork(5)
    assert heard(worker) == [Failed("number 5 has no port")]
    assert ended(crew, worker) == "status 1"


def test_one_that_is_killed(made: Callable[..., Crew]) -> None:
    crew = made(until_told)
    first, second = crew.fork(0), crew.fork(1)
    assert heard(first) == heard(second) == [Ready()]
    crew.kill(first)
    assert ended(crew, first) == "signal 9"
    assert crew.alive == {1: second}


def test_nothing_of_the_parents_or_of_others_is_held(made: Callable[..., Crew]) -> None:
    """A pipe's end that the parent sheds, and the first worker's channel, are closed in the second."""
    ours, theirs = os.pipe()

    def shed() -> None:
        os.close(theirs)

    crew = made(until_told, shed)
    first = crew.fork(0)
    second = crew.fork(1)
    assert heard(first) == heard(second) == [Ready()]
    os.close(theirs)
    assert os.read(ours, 1) == b"", "neither child has it"
    os.close(ours)
    first.channel.close()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)  # nobody else kept it open


def test_one_that_hears_nothing_any_more_is_ended(made: Callable[..., Crew]) -> None:
    def deaf(_index: int, channel: Channel) -> None:
        channel.close()
        signal.pause()

    crew = made(deaf)
    worker = crew.fork(0)
    assert heard(worker) == []
    crew.tell(worker, Stop())
    assert ended(crew, worker) == "signal 9"


def test_a_signal_that_the_parent_catches_is_not_caught_in_the_child(made: Callable[..., Crew]) -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    try:
        crew = made(until_told)
        worker = crew.fork(0)
        assert heard(worker) == [Ready()]
        os.kill(worker.pid, signal.SIGTERM)
        assert ended(crew, worker) == "signal 15"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught == []
