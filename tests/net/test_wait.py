"""Each rule of `net/wait.py`, on coroutines stepped by hand."""

import socket
from collections.abc import Iterator

import pytest

from anongw.net.wait import READ, WRITE, Driven, InTask, Park, Side, Source, beside, in_task, park, rest_of


class Quiet:
    """A source that nothing happens to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.armed = -1
        self.closed = False
        self.owner = None


@pytest.fixture
def sources() -> Iterator[tuple[Quiet, Quiet]]:
    one, other = socket.socketpair()
    with one, other:
        yield Quiet(one), Quiet(other)


def first(coroutine: Driven[object]) -> Park:
    request = coroutine.send(None)
    assert isinstance(request, Park)
    return request


def result_of(coroutine: Driven[object], woken: object) -> object:
    with pytest.raises(StopIteration) as done:
        coroutine.send(woken)
    return done.value.value


def test_park_yields_what_it_waits_for_and_returns_what_woke_it(sources: tuple[Quiet, Quiet]) -> None:
    one, other = sources

    async def flow() -> Source | None:
        return await park((one, READ), (other, WRITE), until=7.0)

    coroutine = flow()
    request = first(coroutine)
    assert (request.waits, request.until) == (((one, READ), (other, WRITE)), 7.0)
    assert result_of(coroutine, other) is other


def test_park_returns_none_when_its_time_has_passed(sources: tuple[Quiet, Quiet]) -> None:
    async def flow() -> Source | None:
        return await park((sources[0], READ), until=7.0)

    coroutine = flow()
    first(coroutine)
    assert result_of(coroutine, None) is None


def test_in_task_yields_the_call_and_returns_its_result() -> None:
    async def double(number: int) -> int:
        return 2 * number

    async def flow() -> int:
        return await in_task(double, 4, discard=print)

    coroutine = flow()
    request = coroutine.send(None)
    assert isinstance(request, InTask)
    assert (request.function, request.args, request.discard) == (double, (4,), print)
    assert result_of(coroutine, 8) == 8


class Steps:
    """Two coroutines that note each of their steps."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def wait(self, name: str, source: Source, times: int = 1, until: float | None = None) -> str:
        try:
            for count in range(times):
                await park((source, READ), until=until)
                self.log.append(f"{name}{count}")
        finally:
            self.log.append(f"{name} over")
        return name

    async def side(self, source: Source, times: int = 1, until: float | None = None) -> None:
        await self.wait("side", source, times, until)


def test_a_side_runs_to_its_first_wait_at_once(sources: tuple[Quiet, Quiet]) -> None:
    steps = Steps()

    async def short() -> None:
        steps.log.append("ran")

    assert Side(short()).done
    assert steps.log == ["ran"]
    assert not Side(steps.side(sources[0])).done


def test_beside_waits_for_both_until_the_earlier_time(sources: tuple[Quiet, Quiet]) -> None:
    one, other = sources
    steps = Steps()
    side = Side(steps.side(other, until=5.0))
    request = first(beside(steps.wait("main", one, until=9.0), side))
    assert (request.waits, request.until) == (((one, READ), (other, READ)), 5.0)


@pytest.mark.parametrize(("main", "side", "joined"), [(None, 3.0, 3.0), (3.0, None, 3.0), (None, None, None)])
def test_beside_joins_times_that_only_one_has(
    sources: tuple[Quiet, Quiet], main: float | None, side: float | None, joined: float | None
) -> None:
    steps = Steps()
    request = first(
        beside(steps.wait("main", sources[0], until=main), Side(steps.side(sources[1], until=side)))
    )
    assert request.until == joined


def test_beside_wakes_only_whom_it_concerns(sources: tuple[Quiet, Quiet]) -> None:
    one, other = sources
    steps = Steps()
    coroutine = beside(steps.wait("main", one, times=2), Side(steps.side(other, times=3)))
    first(coroutine)
    coroutine.send(other)
    coroutine.send(one)
    coroutine.send(other)
    assert steps.log == ["side0", "main0", "side1"]


def test_beside_wakes_both_when_both_wait_for_what_is_ready(sources: tuple[Quiet, Quiet]) -> None:
    steps = Steps()
    coroutine = beside(steps.wait("main", sources[0], times=2), Side(steps.side(sources[0], times=2)))
    first(coroutine)
    coroutine.send(sources[0])
    assert sorted(steps.log) == ["main0", "side0"]


def test_beside_returns_with_main_and_the_side_goes_on(sources: tuple[Quiet, Quiet]) -> None:
    one, other = sources
    steps = Steps()
    side = Side(steps.side(other, times=2))
    coroutine = beside(steps.wait("main", one), side)
    first(coroutine)
    assert result_of(coroutine, one) == "main"
    assert not side.done

    again = beside(steps.wait("next", one), side)
    assert first(again).waits == ((one, READ), (other, READ))
    again.send(other)
    assert result_of(again, one) == "next"

    rest = rest_of(side)
    assert first(rest).waits == ((other, READ),)
    assert result_of(rest, other) is None
    assert side.done


def test_beside_goes_on_when_the_side_is_done_first(sources: tuple[Quiet, Quiet]) -> None:
    one, other = sources
    steps = Steps()
    side = Side(steps.side(other))
    coroutine = beside(steps.wait("main", one), side)
    first(coroutine)
    request = coroutine.send(other)
    assert isinstance(request, Park)
    assert (side.done, request.waits) == (True, ((one, READ),))


def test_the_rest_of_a_side_that_is_done_waits_for_nothing() -> None:
    async def nothing() -> None: ...

    assert result_of(rest_of(Side(nothing())), None) is None


async def fails_when_woken(source: Source) -> None:
    await park((source, READ))
    raise LookupError


def test_what_the_side_raises_ends_the_call_and_main(sources: tuple[Quiet, Quiet]) -> None:
    one, other = sources
    steps = Steps()
    coroutine = beside(steps.wait("main", one), Side(fails_when_woken(other)))
    first(coroutine)
    with pytest.raises(LookupError):
        coroutine.send(other)
    assert steps.log == ["main over"]


def test_what_main_raises_ends_the_call_and_the_side_is_its_callers(sources: tuple[Quiet, Quiet]) -> None:
    one, other = sources
    steps = Steps()
    side = Side(steps.side(other))
    coroutine = beside(fails_when_woken(one), side)
    first(coroutine)
    with pytest.raises(LookupError):
        coroutine.send(one)
    assert steps.log == []
    side.close()
    assert steps.log == ["side over"]


def test_what_is_thrown_into_the_call_ends_main(sources: tuple[Quiet, Quiet]) -> None:
    steps = Steps()
    side = Side(steps.side(sources[1]))
    main = steps.wait("main", sources[0])  # held here, so that nobody but `beside` closes it
    coroutine = beside(main, side)
    first(coroutine)
    with pytest.raises(LookupError):
        coroutine.throw(LookupError())
    assert steps.log == ["main over"]
    side.close()


async def uses_a_task() -> None:
    async def work() -> None: ...

    await in_task(work)


def test_a_side_may_not_use_a_task() -> None:
    with pytest.raises(TypeError, match="InTask"):
        Side(uses_a_task())


def test_main_may_not_use_a_task_beside_a_side(sources: tuple[Quiet, Quiet]) -> None:
    with pytest.raises(TypeError, match="InTask"):
        first(beside(uses_a_task(), Side(Steps().side(sources[0]))))
