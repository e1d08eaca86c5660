"""One piece of work for all who wait; every way of leaving."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup

from anongw.errors import Reason, Refused
from anongw.resolve.flight import Flight, Flights


class Work:
    """Work that waits until it is let go, and remembers how it went."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.go = anyio.Event()

    async def __call__(self, flight: Flight[str]) -> None:
        self.started += 1
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        flight.land(f"result {self.started}")


@asynccontextmanager
async def flights(most: int = 10) -> AsyncIterator[tuple[Flights[str, str], TaskGroup]]:
    async with anyio.create_task_group() as tasks:
        yield Flights(tasks, most), tasks
        tasks.cancel_scope.cancel()


async def test_all_who_ask_get_the_one_result() -> None:
    got: list[str] = []
    work = Work()
    async with flights() as (in_hand, _):

        async def ask() -> None:
            got.append(await in_hand.join("key", work))

        async with anyio.create_task_group() as askers:
            for _ in range(5):
                askers.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            work.go.set()
    assert got == ["result 1"] * 5
    assert work.started == 1


async def test_keys_are_apart_and_work_that_has_ended_is_begun_anew() -> None:
    work = Work()
    work.go.set()
    async with flights() as (in_hand, _):
        assert await in_hand.join("a", work) == "result 1"
        assert await in_hand.join("b", work) == "result 2"
        await anyio.wait_all_tasks_blocked()
        assert await in_hand.join("a", work) == "result 3"


async def test_a_waiter_that_leaves_takes_nothing_from_the_others() -> None:
    got: list[str] = []
    work = Work()
    async with flights() as (in_hand, _):

        async def ask() -> None:
            got.append(await in_hand.join("key", work))

        async with anyio.create_task_group() as stayer, anyio.create_task_group() as leaver:
            # The one who leaves is the one who started the work.
            leaver.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            stayer.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            leaver.cancel_scope.cancel()
            await anyio.lowlevel.cancel_shielded_checkpoint()
            work.go.set()
    assert got == ["result 1"]
    assert work.cancelled == 0


async def test_when_the_last_waiter_has_left_the_work_ends_and_nobody_joins_it() -> None:
    work = Work()
    async with flights() as (in_hand, _):
        async with anyio.create_task_group() as askers:
            askers.start_soon(in_hand.join, "key", work)
            await anyio.wait_all_tasks_blocked()
            askers.cancel_scope.cancel()
        again = Work()
        again.go.set()
        assert await in_hand.join("key", again) == "result 1"
        assert work.cancelled == 1


async def test_work_that_is_slow_to_end_is_not_joined_either() -> None:
    ending = anyio.Event()

    async def slow(flight: Flight[str]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await ending.wait()

    async with flights() as (in_hand, _):
        async with anyio.create_task_group() as askers:
            askers.start_soon(in_hand.join, "key", slow)
            await anyio.wait_all_tasks_blocked()
            askers.cancel_scope.cancel()
        again = Work()
        again.go.set()
        assert await in_hand.join("key", again) == "result 1"
        ending.set()


async def test_a_result_may_land_early_and_the_work_go_on() -> None:
    done = anyio.Event()
    go_on = anyio.Event()

    async def work(flight: Flight[str]) -> None:
        flight.land("early")
        await go_on.wait()
        flight.land("too late")
        done.set()

    async with flights() as (in_hand, _):
        assert await in_hand.join("key", work) == "early"
        go_on.set()
        await done.wait()


async def test_at_most_so_many_at_once_and_the_rest_waits() -> None:
    works = {key: Work() for key in "abc"}
    async with flights(most=2) as (in_hand, _), anyio.create_task_group() as askers:
        for key, work in works.items():
            askers.start_soon(in_hand.join, key, work)
        await anyio.wait_all_tasks_blocked()
        assert sorted(work.started for work in works.values()) == [0, 1, 1]
        for work in works.values():
            work.go.set()
    assert [work.started for work in works.values()] == [1, 1, 1]


async def fail(_: Flight[str]) -> None:
    raise Refused(Reason.NAME_NOT_FOUND, "why")


async def bug(_: Flight[str]) -> None:
    raise ZeroDivisionError("a secret")


async def forget(_: Flight[str]) -> None:
    """Ends without a result."""


async def test_a_refusal_reaches_every_waiter_and_nothing_else() -> None:
    async with flights() as (in_hand, _):
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await in_hand.join("key", fail)
            assert (refused.value.reason, refused.value.detail) == (Reason.NAME_NOT_FOUND, "why")


async def test_a_bug_ends_its_waiters_and_nothing_else() -> None:
    async with flights() as (in_hand, _):
        with pytest.raises(Refused) as refused:
            await in_hand.join("key", bug)
        assert (refused.value.reason, refused.value.detail) == (Reason.INTERNAL, "ZeroDivisionError")
        assert isinstance(refused.value.__cause__, ZeroDivisionError)
        work = Work()
        work.go.set()
        assert await in_hand.join("key", work) == "result 1"


async def test_work_without_a_result_leaves_nobody_waiting() -> None:
    async with flights() as (in_hand, _):
        with pytest.raises(Refused) as refused:
            await in_hand.join("key", forget)
    assert refused.value.reason is Reason.STOPPING


async def test_the_end_of_everything_reaches_those_who_wait() -> None:
    reasons = []
    async with anyio.create_task_group() as askers, flights() as (in_hand, tasks):

        async def ask() -> None:
            with pytest.raises(Refused) as refused:
                await in_hand.join("key", Work())
            reasons.append(refused.value.reason)

        askers.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert reasons == [Reason.STOPPING]
