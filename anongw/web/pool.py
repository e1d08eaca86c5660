"""Kept connections to origins, apart for each identity.

Rules: the key holds the route and the identity, so that no connection crosses either. A connection that
says or ends anything while nobody waits for it is dropped: unread bytes would be taken for the answer to the
next request. Bounded in number, per origin and in all, and in time.
"""

from collections import OrderedDict

from anongw.config import Limits
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.net.wait import READ

Key = tuple[str, str, bytes]  # the route's way out, the identity, the origin as `Host` says it


class Pool:
    """Idle upstream connections; the owner of each while it is kept."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        self._kept: dict[Key, list[Stream]] = {}
        # Oldest first: which key each stream is kept under, and until when (seconds, engine's clock).
        self._order: OrderedDict[Stream, tuple[Key, float]] = OrderedDict()
        self._closed = False
        engine.on_sweep.append(self._expire)

    def __len__(self) -> int:
        return len(self._order)

    def take(self, key: Key, fiber: Fiber) -> Stream | None:
        """The most lately used connection of this identity to this origin, if any; it is the flow's now."""
        streams = self._kept.get(key)
        while streams:
            stream = streams.pop()
            del self._order[stream]
            if not streams:
                del self._kept[key]
            # The engine has told us of nothing; but what came since would be read as the next answer.
            if stream.is_silent():
                fiber.take(stream)
                return stream
            stream.close()
        return None

    def keep(self, key: Key, stream: Stream, fiber: Fiber) -> None:
        """Keep a connection on which one exchange is over and nothing else was said."""
        fiber.give_up(stream)
        if self._closed:
            stream.close()
            return
        streams = self._kept.setdefault(key, [])
        # What has been read and not used was not asked for.
        if len(streams) >= self._limits.upstream_kept_per_origin or not stream.reader.is_spent:
            if not streams:
                del self._kept[key]
            stream.close()
            return
        streams.append(stream)
        self._order[stream] = (key, self._engine.now + self._limits.upstream_idle)
        stream.owner = self
        self._engine.watch(stream, READ)
        if len(self._order) > self._limits.upstream_kept:
            self._drop(next(iter(self._order)))

    def ready(self, stream: Stream, _events: int) -> None:
        """Whatever happens to a kept connection ends its being kept."""
        self._drop(stream)

    def forget(self, identity: str) -> int:
        """Close what is kept for an identity; how many there were."""
        theirs = [stream for stream, ((_, whose, _), _) in self._order.items() if whose == identity]
        for stream in theirs:
            self._drop(stream)
        return len(theirs)

    def close(self) -> None:
        """Keep nothing any more, now and of the exchanges that are still under way."""
        if not self._closed:
            self._closed = True
            self._engine.on_sweep.remove(self._expire)
        for stream in list(self._order):
            self._drop(stream)

    def _expire(self, now: float) -> None:
        while self._order:
            stream, (_, until) = next(iter(self._order.items()))
            if until > now:
                return
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self._remove(stream)
        stream.close()

    def _remove(self, stream: Stream) -> None:
        key, _ = self._order.pop(stream)
        streams = self._kept[key]
        streams.remove(stream)
        if not streams:
            del self._kept[key]
