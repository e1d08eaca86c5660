"""The relay of a fake hop. One thread for both directions, and neither waits for the other.

An end and a reset are passed on as what they are.
"""

import selectors
from contextlib import suppress

from anongw.lab.hop_script import Cut, Manner
from anongw.lab.hop_wire import Wire


class _Way:
    """One direction. It holds one piece at most."""

    def __init__(self, source: Wire, sink: Wire, left: int | None) -> None:
        self.source = source
        self.sink = sink
        self.left = left  # bytes until the hop dies
        self._held = b""
        self._heard_last = False
        self._told_last = False

    @property
    def is_over(self) -> bool:
        return self._told_last and not self.sink.unsent

    @property
    def wants(self) -> tuple[Wire, int]:
        if self._held or self.sink.unsent:
            return self.sink, selectors.EVENT_WRITE
        return self.source, selectors.EVENT_READ

    def move(self) -> None:
        """Carry what can be carried without waiting."""
        with suppress(BlockingIOError):
            self.sink.flush()
            if not self._held and not self._heard_last:
                self._held = self.source.receive()
                self._heard_last = not self._held
            while self._held and self.left != 0:
                count = self.sink.send(self._held[: self.left])
                self._held = self._held[count:]
                self.left = None if self.left is None else self.left - count
            self.sink.flush()
        if self._heard_last and not self._held and not self._told_last:
            self._told_last = True
            self.sink.last()

    @property
    def is_cut(self) -> bool:
        return self.left == 0 and not self.sink.unsent


def relay(client: Wire, target: Wire, cut: Cut | None = None) -> Manner | None:
    """Carry bytes until both have said their last; else, after a break or the cut, say how it must end."""
    for wire in (client, target):
        wire.sock.settimeout(0)
    up = _Way(client, target, cut.after if cut and cut.upwards else None)
    down = _Way(target, client, cut.after if cut and not cut.upwards else None)
    try:
        while not (up.is_over and down.is_over):
            if cut and (up.is_cut or down.is_cut):
                return cut.manner
            _wait([way for way in (up, down) if not way.is_over])
            up.move()
            down.move()
    except OSError:  # a reset, or TLS that was cut off
        return Manner.RESET
    return None


def _wait(ways: list[_Way]) -> None:
    wanted: dict[Wire, int] = {}
    for way in ways:
        wire, events = way.wants
        wanted[wire] = wanted.get(wire, 0) | events
        if events == selectors.EVENT_READ and wire.ready:
            return
    with selectors.DefaultSelector() as selector:
        for wire, events in wanted.items():
            selector.register(wire.sock, events)
        selector.select()
