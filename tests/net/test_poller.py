"""Each rule of `net/poller.py`, on a poller without an event loop."""

import os
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from anongw.errors import Reason, Refused
from anongw.net.poller import EVENTS_A_TURN, Poller
from anongw.net.wait import GONE, LAST, READ, WRITE, Source
from tests.support.sockets import pair, reset


class Bench(Poller):
    """A poller with its sources; closes all at the end."""

    def __init__(self) -> None:
        super().__init__(select.epoll())
        self.blamed: list[Exception] = []
        self.made: list[socket.socket] = []

    def blame(self, source: Source, bug: Exception) -> None:
        self.blamed.append(bug)

    def source(self, on_ready: Callable[["Told", int], None] | None = None) -> tuple["Told", socket.socket]:
        near, far = pair()
        self.made += [near, far]
        return Told(near, on_ready), far

    def interest(self, source: "Told") -> int | None:
        """What the kernel itself says it was asked for (proc(5), fdinfo of an epoll), or None."""
        with open(f"/proc/self/fdinfo/{self._epoll.fileno()}") as info:  # noqa: PTH123 - not a real file
            for line in info:
                words = line.split()
                if words[0] == "tfd:" and int(words[1]) == source.fd:
                    return int(words[3], 16) & ~GONE
        return None


class Told:
    """A source that is its own owner and remembers what it was told."""

    def __init__(self, sock: socket.socket, on_ready: Callable[["Told", int], None] | None = None) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.armed = -1
        self.closed = False
        self.owner = self
        self.events: list[int] = []
        self._on_ready = on_ready

    def ready(self, _source: object, events: int) -> None:
        self.events.append(events)
        if self._on_ready is not None:
            self._on_ready(self, events)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for sock in bench.made:
        sock.close()
    bench._epoll.close()


def test_a_turn_without_events_serves_nobody(bench: Bench) -> None:
    source, _ = bench.source()
    bench.arm(source, READ)
    assert not bench.turn()
    assert source.events == []


def test_arming_adds_to_what_is_asked(bench: Bench) -> None:
    source, _ = bench.source()
    bench.arm(source, READ)
    bench.arm(source, WRITE)
    bench.arm(source, READ)
    assert source.armed == bench.interest(source) == READ | WRITE


def test_watching_asks_for_exactly_that_and_what_is_to_be_kept(bench: Bench) -> None:
    source, _ = bench.source()
    bench.watch(source, READ | LAST)
    bench.watch(source, READ, keep=WRITE)
    assert source.armed == bench.interest(source) == READ
    bench.arm(source, WRITE)
    bench.watch(source, 0, keep=WRITE)
    assert source.armed == bench.interest(source) == WRITE


def test_disarming_takes_back_what_nobody_wants(bench: Bench) -> None:
    source, _ = bench.source()
    bench.arm(source, READ | WRITE)
    bench.disarm(source, READ | WRITE, WRITE)
    assert source.armed == bench.interest(source) == WRITE


def test_a_hang_up_that_nobody_waits_for_is_reported_once(bench: Bench) -> None:
    def disarm(source: Told, events: int) -> None:
        bench.disarm(source, events)

    source, far = bench.source(disarm)
    bench.arm(source, READ)
    reset(far)
    assert bench.turn()
    assert source.events[0] & GONE
    assert (source.armed, bench.interest(source)) == (-1, None)
    assert not bench.turn(), "it would be reported for ever"
    bench.arm(source, READ)
    assert bench.turn(), "and is reported again to who asks again"


def test_what_is_not_watched_can_be_unwatched_and_disarmed(bench: Bench) -> None:
    source, _ = bench.source()
    bench.unwatch(source)
    bench.disarm(source, READ)
    assert source.armed == -1


def test_a_turn_serves_so_many_events_and_leaves_the_rest_to_the_next(bench: Bench) -> None:
    sources = [bench.source()[0] for _ in range(EVENTS_A_TURN + 1)]
    for source in sources:
        bench.arm(source, WRITE)
    bench.turn()
    assert sum(bool(source.events) for source in sources) == EVENTS_A_TURN
    bench.turn()
    assert all(source.events for source in sources), "epoll(7) goes round"


def test_a_closed_source_hears_no_more_of_its_batch(bench: Bench) -> None:
    sources: list[Told] = []

    def close_the_others(told: Told, _events: int) -> None:
        for source in sources:
            if source is not told:
                bench.close(source)

    sources += [bench.source(close_the_others)[0] for _ in range(3)]
    for source in sources:
        bench.arm(source, WRITE)
    bench.turn()
    assert sorted(len(source.events) for source in sources) == [0, 0, 1]


def test_a_number_is_not_reused_within_a_batch(bench: Bench) -> None:
    # Two ready sources; the first to be served closes the other and opens a new one, which is not ready for
    # anything. Had the number been freed at once, the new one would be told of the old one's event.
    sources: list[Told] = []
    newcomers: list[Told] = []

    def close_and_open(told: Told, _events: int) -> None:
        other = next(source for source in sources if source is not told)
        bench.close(other)
        bench.disarm(told, WRITE)
        newcomer, _ = bench.source()
        bench.arm(newcomer, READ)
        newcomers.append(newcomer)
        assert newcomer.fd not in {source.fd for source in sources}
        assert other.sock.fileno() >= 0

    sources += [bench.source(close_and_open)[0] for _ in range(2)]
    for source in sources:
        bench.arm(source, WRITE)
    bench.turn()
    (newcomer,) = newcomers
    assert newcomer.events == []
    closed = next(source for source in sources if source.closed)
    assert closed.sock.fileno() == -1, "closed at the end of the turn"


def test_closing_twice_is_harmless_and_waits_for_the_end_of_the_turn(bench: Bench) -> None:
    source, _ = bench.source()
    bench.arm(source, READ)
    bench.close(source)
    bench.close(source)
    assert (source.closed, source.armed, bench.interest(source)) == (True, -1, None)
    bench.settle()
    assert source.sock.fileno() == -1


def test_a_closed_source_cannot_be_waited_for(bench: Bench) -> None:
    source, _ = bench.source()
    bench.close(source)
    with pytest.raises(ValueError, match="closed"):
        bench.arm(source, READ)


def test_an_epoll_that_takes_no_more_is_a_want_of_resources_and_can_be_closed(bench: Bench) -> None:
    # A regular file stands for a full epoll: epoll_ctl(2) fails for both.
    source, _ = bench.source()
    file = os.open(__file__, os.O_RDONLY)
    source.fd = file
    with pytest.raises(Refused) as refused:
        bench.arm(source, READ)
    os.close(file)
    assert refused.value.reason is Reason.RESOURCES
    bench.close(source)
    bench.settle()


def test_an_owner_that_raises_is_blamed_and_the_others_are_served(bench: Bench) -> None:
    def fail(_told: Told, _events: int) -> None:
        raise LookupError

    sources = [bench.source(fail)[0] for _ in range(3)]
    for source in sources:
        bench.arm(source, WRITE)
    assert bench.turn()
    assert [type(bug) for bug in bench.blamed] == [LookupError] * 3


def test_settling_waits_while_a_batch_is_served(bench: Bench) -> None:
    def close_self(told: Told, _events: int) -> None:
        bench.close(told)
        bench.settle()
        assert told.sock.fileno() >= 0

    source, _ = bench.source(close_self)
    bench.arm(source, WRITE)
    bench.turn()
    assert bench.blamed == []
    assert source.sock.fileno() == -1


def test_the_clock_moves_with_the_turns(bench: Bench) -> None:
    source, _ = bench.source()
    bench.arm(source, WRITE)
    before = bench.now
    bench.turn()
    assert bench.now > before
