"""What a flow's coroutine may return, for tests."""

from anongw.errors import Refused
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream


class Faulty:
    """A delegate with a bug in one of its calls."""

    active = 0.0

    def __init__(self, where: str) -> None:
        self._where = where

    def _maybe(self, where: str) -> None:
        if where == self._where:
            raise LookupError("secret")

    def start(self, fiber: Fiber) -> None:
        self._fiber = fiber
        fiber.wake_at = 0.0
        self._maybe("start")

    def ready(self, stream: Stream, events: int) -> None:
        self._maybe("ready")
        self._fiber.end(None)

    def tick(self, now: float) -> None:
        self._maybe("tick")

    def abort(self, refused: Refused) -> None:
        self._maybe("abort")
        self._fiber.end(refused.reason)
