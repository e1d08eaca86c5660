"""The epoll: which descriptors are watched for what, who is told, and when they are closed.

Rules that hold here, each with its test:

- A descriptor is closed after the batch: epoll returns numbers, and one that was freed and reused within a
  batch would receive another flow's event. So only this file closes, at the end of a turn.
- Level-triggered. Interest in a descriptor is added when somebody waits for it and taken back only when it
  fires with nobody waiting, so a kept connection costs no epoll_ctl per message.
- Where a crowd is served, its sends are gathered at the end: a peer is woken once and finds all of them,
  instead of going to sleep between any two. The kernel's work for a wake-up costs more than that of the send.
"""

import select
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from anongw.errors import Reason, Refused
from anongw.net.stream import CHUNK, Stream
from anongw.net.wait import GONE, Source

# Events served in one turn. Enough to amortise the wake-up, few enough to keep a turn to milliseconds, even
# where each of them moves the relay's whole budget.
EVENTS_A_TURN = 64

# Events of one batch from which on sends are gathered. Where few clients are busy, the first waits for the
# second's handshake and little is saved: at half load p99 of new connections was half as much again.
CROWD = 4
# Flows whose sends are put off before they are let go of. One wake-up for so many costs little for each of
# them, and the first of them waits no longer than the rest take.
GATHERED = 16

# Descriptors and their events, as epoll tells them.
Batch = list[tuple[int, int]]


class Poller(ABC):
    """Sources, their owners and their events; `now` is the clock of all deadlines, in seconds."""

    def __init__(self, epoll: select.epoll) -> None:
        self.now = time.monotonic()
        self.buffer = bytearray(CHUNK)  # every read goes through it: no allocation for each
        self.view = memoryview(self.buffer)
        self._epoll = epoll
        self._watched: dict[int, Source] = {}
        self._dead: list[socket.socket] = []
        self._in_turn = False
        self.gathers = False  # who is about to send waits for `BATCH_END` first
        self.put_off: list[Callable[[], None]] = []  # called then, once each

    def arm(self, source: Source, mask: int) -> None:
        """Ask to be told of `mask`, on top of what is asked already."""
        armed = source.armed
        if armed < 0:
            if source.closed:
                raise ValueError("a closed source is waited for")  # its number may be another's by now
            try:
                self._epoll.register(source.fd, mask)
            except OSError:  # epoll_ctl(2): no memory, or this user's share of watches is used up
                raise Refused(Reason.RESOURCES) from None
            source.armed = mask
            self._watched[source.fd] = source
        elif armed & mask != mask:
            source.armed = armed | mask
            self._epoll.modify(source.fd, source.armed)

    def watch(self, source: Source, mask: int, *, keep: int = 0) -> None:
        """Ask to be told of exactly `mask`, and of what of `keep` is asked already."""
        if source.armed < 0:
            self.arm(source, mask)
            return
        mask |= source.armed & keep
        if source.armed != mask:
            source.armed = mask
            self._epoll.modify(source.fd, mask)

    def unwatch(self, source: Source) -> None:
        """Be told of nothing, not even a hang-up."""
        if source.armed >= 0:
            self._epoll.unregister(source.fd)
            source.armed = -1
            del self._watched[source.fd]

    def disarm(self, source: Source, events: int, wanted: int = 0) -> None:
        """Stop being told of `events` that nobody but `wanted` waits for."""
        if source.closed or source.armed < 0:
            return
        if events & GONE and not wanted:
            # epoll reports these unasked, for ever. Whoever uses the socket next learns it from the call.
            self.unwatch(source)
            return
        armed = source.armed & ~events | wanted
        if armed != source.armed:
            source.armed = armed
            self._epoll.modify(source.fd, armed)

    def close(self, source: Source) -> None:
        """Close at the end of the turn. Until then the number stays taken."""
        if source.closed:
            return
        source.closed = True
        self.unwatch(source)
        source.owner = None  # who knows it: the two would keep each other alive until the collector comes by
        self._dead.append(source.sock)
        if isinstance(source, Stream) and source.on_close is not None:
            told, source.on_close = source.on_close, None
            told(source)

    def settle(self) -> None:
        """Close what was given up, unless a batch of events is still being served."""
        if not self._in_turn:
            for sock in self._dead:
                sock.close()
            self._dead.clear()

    @abstractmethod
    def blame(self, source: Source, bug: Exception) -> None:
        """The owner of `source` raised while it was served."""

    def turn(self) -> bool:
        """Serve one batch of events without waiting; False if there was none."""
        batch = self._epoll.poll(0, EVENTS_A_TURN)
        if batch:
            self.serve(batch)
        return bool(batch)

    def serve(self, batch: Batch) -> Batch:
        """Tell the owners of their events; those of descriptors that nobody here watches are returned."""
        self.now = time.monotonic()
        self._in_turn = True
        self.gathers = len(batch) >= CROWD
        others: Batch = []
        try:
            watched = self._watched
            for fd, events in batch:
                source = watched.get(fd)
                if source is None:
                    others.append((fd, events))
                    continue
                try:
                    source.owner.ready(source, events)
                except Exception as bug:  # noqa: BLE001 - whatever it is, the others are served
                    self.blame(source, bug)
                if self.put_off and len(self.put_off) >= GATHERED:
                    self._let_go()
            self.gathers = False
            self._let_go()
        finally:
            self._in_turn = False
            self.settle()
        return others

    def _let_go(self) -> None:
        """Let those go on that have put off what they send."""
        gathered, self.put_off = self.put_off, []
        for go_on in gathered:
            go_on()
