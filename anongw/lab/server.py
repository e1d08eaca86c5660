"""Who listens in the laboratory: a thread for each connection, and every byte that was heard is kept.

None of the threads outlives the block, and what went wrong in one is raised at the block's end. A listener
can be `away` for a while, as if its program had been killed.
"""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Self

from anongw.lab.hop_script import Seen
from anongw.lab.hop_wire import Wire
from anongw.lab.wrong import PATIENCE, must

Place = tuple[str, int]


class Server(ABC):
    """One listener. Who inherits from it says what `_converse` does with a connection."""

    def __init__(self, listener: socket.socket) -> None:
        self.seen: list[Seen] = []
        self._listener = listener
        self.place: Place = self._listener.getsockname()[:2]
        self._changed = threading.Condition()
        self._wires: set[Wire] = set()
        self._threads: list[threading.Thread] = []
        self._leaving = False
        self._wrong: list[BaseException] = []

    @property
    def port(self) -> int:
        return self.place[1]

    @property
    def everything(self) -> bytes:
        """All that all clients ever said, inside TLS."""
        return b"\n".join(bytes(one.heard) for one in self.seen)

    @property
    def live(self) -> int:
        """Connections that have not ended."""
        return sum(not one.ended for one in self.seen)

    def faults(self) -> list[BaseException]:
        """What went wrong so far, which is then not raised at the block's end."""
        found, self._wrong = self._wrong, []
        return found

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something that the server knows has come true."""
        with self._changed:
            must(self._changed.wait_for(reached, PATIENCE), self.seen)

    @contextmanager
    def away(self) -> Iterator[None]:
        """As if it had been killed: its connections end, and its port refuses. Then it is back there."""
        self._leave()
        try:
            yield
        finally:
            self._listen()

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        self._listener.close()
        if self._wrong:
            raise self._wrong[0]

    def _listen(self) -> None:
        self._listener.settimeout(None)
        self._listener.listen(64)
        must(self._listener.getsockname()[:2] == self.place, "the place is taken")
        self._leaving = False
        self._start(self._accept)

    def _leave(self) -> None:
        with suppress(OSError):
            # On Linux a listening socket that is shut down refuses, and wakes whoever accepts.
            self._listener.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            # A port that the kernel had chosen is free by now: this keeps it. Any other is bound still.
            self._listener.bind(self.place)
        with self._changed:
            self._leaving = True
            for wire in self._wires:
                wire.wake()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(PATIENCE)
            must(not thread.is_alive(), self.seen)

    def _start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised at the block's end
                self._wrong.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            with self._changed:
                if self._leaving:
                    sock.close()
                    return
                seen = Seen(peer[:2])
                self.seen.append(seen)
                self._changed.notify_all()
                self._start(partial(self._serve, Wire(sock, seen.heard), seen))

    @contextmanager
    def _open(self, wire: Wire) -> Iterator[None]:
        """A wire that ends with the block, and that `_leave` can wake."""
        with self._changed:
            self._wires.add(wire)
        try:
            self._go_on()
            yield
        finally:
            with self._changed:
                self._wires.remove(wire)
            wire.sock.close()

    def _go_on(self) -> None:
        """Not after `_leave`, which may have come too early to wake somebody."""
        if self._leaving:
            raise ConnectionAbortedError("the server is ended")

    def _serve(self, wire: Wire, seen: Seen) -> None:
        how = "left"
        try:
            with suppress(EOFError, OSError), self._open(wire):
                how = self._converse(wire, seen)
        finally:
            with self._changed:
                seen.ended = how
                self._changed.notify_all()

    @abstractmethod
    def _converse(self, wire: Wire, seen: Seen) -> str:
        """Serve one client to its end; how that came."""
