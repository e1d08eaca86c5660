"""What has been learnt, for as long as its TTL says, kept apart by identity.

Nothing crosses identities: a name that one has looked up must not answer faster for another, or a page could
tell that both use this gateway. Bounded in all, and for each identity, so that none can empty the others'.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

# No identity may hold more than this part of the cache.
IDENTITY_SHARE = 4


class Cache(Generic[V]):
    """At most `most` values. Times are seconds of the clock `now`."""

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._share = max(1, most // IDENTITY_SHARE)
        self._now = now
        self._count = 0
        # Both levels in the order of their last use, the oldest first.
        self._shelves: OrderedDict[str, OrderedDict[str, tuple[float, V]]] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def get(self, identity: str, name: str) -> V | None:
        shelf = self._shelves.get(identity)
        if shelf is None or name not in shelf:
            return None
        expires, value = shelf[name]
        if self._now() >= expires:
            self._remove(identity, name)
            return None
        shelf.move_to_end(name)
        self._shelves.move_to_end(identity)
        return value

    def put(self, identity: str, name: str, value: V, ttl: float) -> None:
        """Keep `value` for `ttl` seconds; not at all where that is no time."""
        if ttl <= 0 or self._most < 1:
            return
        shelf = self._shelves.setdefault(identity, OrderedDict())
        if name not in shelf:
            self._count += 1
        shelf[name] = self._now() + ttl, value
        shelf.move_to_end(name)
        self._shelves.move_to_end(identity)
        if len(shelf) > self._share:
            self._remove(identity, next(iter(shelf)))
        elif self._count > self._most:
            oldest = next(iter(self._shelves))
            self._remove(oldest, next(iter(self._shelves[oldest])))

    def forget(self, identity: str) -> int:
        """Drop all that an identity has learnt; how much there was."""
        found = len(self._shelves.pop(identity, ()))
        self._count -= found
        return found

    def _remove(self, identity: str, name: str) -> None:
        shelf = self._shelves[identity]
        del shelf[name]
        self._count -= 1
        if not shelf:
            del self._shelves[identity]
