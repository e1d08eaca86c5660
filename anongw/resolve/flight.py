"""One piece of work for all who want its result at the same time.

What holds here:
- Whoever asks for a key that is being worked on waits for that result; nothing is started twice.
- A waiter that is cancelled takes nothing from the others; when the last one has gone, so does the work.
- The work may give its result early and go on, for instance to wait for a late second answer.
- Nothing that the work raises reaches the task group: the waiters get it.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from anongw.errors import Reason, Refused

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Flight(Generic[V]):
    """The work for one key, and those who wait for it."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.landed = anyio.Event()
        self.waiters = 0
        self._result: V | None = None
        self._refused = Refused(Reason.STOPPING)

    def land(self, result: V) -> None:
        """Give the waiters their result. The first one counts."""
        if not self.landed.is_set():
            self._result = result
            self.landed.set()

    def fail(self, refused: Refused) -> None:
        if not self.landed.is_set():
            self._refused = refused
            self.landed.set()

    def result(self) -> V:
        if self._result is not None:
            return self._result
        # A new one for each waiter: a traceback grows with every raise.
        raise Refused(self._refused.reason, self._refused.detail) from self._refused.__cause__


class Flights(Generic[K, V]):
    """The work in hand, by key. At most `most` of it goes on at once, the rest waits for its turn."""

    def __init__(self, tasks: TaskGroup, most: int) -> None:
        self._tasks = tasks
        self._room = anyio.CapacityLimiter(most)
        self._flights: dict[K, Flight[V]] = {}

    async def join(self, key: K, work: Callable[[Flight[V]], Awaitable[None]]) -> V:
        """The result for `key`, from the work in hand or from `work`, which must `land` it.

        Raises:
            Refused: what the work raised; STOPPING where it ends without a result; INTERNAL for a bug, which
                is the cause.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
            self._tasks.start_soon(self._fly, key, flight, work)
        flight.waiters += 1
        try:
            await flight.landed.wait()
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.landed.is_set():
                # Out of the table at once: nobody may join what is being cancelled.
                self._drop(key, flight)
                flight.scope.cancel()
        return flight.result()

    async def _fly(self, key: K, flight: Flight[V], work: Callable[[Flight[V]], Awaitable[None]]) -> None:
        try:
            with flight.scope:
                async with self._room:
                    await work(flight)
        except Refused as refused:
            flight.fail(refused)
        except Exception as error:  # noqa: BLE001 - a bug ends the flows that wait here, and no others
            internal = Refused(Reason.INTERNAL, type(error).__name__)
            internal.__cause__ = error
            flight.fail(internal)
        finally:
            flight.fail(Refused(Reason.STOPPING))
            self._drop(key, flight)

    def _drop(self, key: K, flight: Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
