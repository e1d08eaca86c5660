"""A hop of a chain that does what it is told, and remembers all that was said to it.

It relays for real, so it can be any hop of a chain: what is asked for is looked up in `names` (a name, or an
address, to where it is), and an address that is missing there is connected to as it is. A name stays a name:
nobody is asked for it. A thread serves each connection; none outlives the block, and what a client said wrong
is raised at the block's end.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Literal, Self

from anongw.lab.hop_protocols import GRANTED, PROTOCOLS, REFUSED, UNREACHABLE, Over, Protocol, Talk
from anongw.lab.hop_relay import relay
from anongw.lab.hop_script import Cut, Fault, Manner, Phase, Seen
from anongw.lab.hop_wire import Wire
from anongw.lab.wrong import PATIENCE, must

Scheme = Literal["socks5", "socks4", "http"]
Place = tuple[str, int]


def _from_here(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)


class Hop:
    """`fault`, `cut`, `early`, `names` and `tls` may be changed; connections that come later heed it."""

    def __init__(  # noqa: PLR0913 - one for each thing that it may do
        self,
        protocol: Scheme,
        listener: socket.socket,
        *,
        fault: Fault | None = None,
        cut: Cut | None = None,
        early: bytes = b"",
        users: Mapping[str, str] | None = None,
        names: Mapping[str, Place] | None = None,
        tls: ssl.SSLContext | None = None,
        outgoing: Callable[[str], socket.socket] = _from_here,
    ) -> None:
        """`early`: what comes in one segment with the reply.

        `listener`, and what makes the socket by which it goes on, `outgoing`: from another network, perhaps.
        """
        self.protocol = protocol
        self.fault = fault
        self.cut = cut
        self.early = early
        self.users = users or {}
        self.names = dict(names or {})
        self.seen: list[Seen] = []
        self.tls = tls
        self._listener = listener
        self._outgoing = outgoing
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
    def asked(self) -> list[Place]:
        """The targets that it was asked for, in the order of their connections."""
        return [one.target for one in self.seen if one.port]

    @property
    def everything(self) -> bytes:
        """All that all clients ever said, inside TLS."""
        return b"\n".join(bytes(one.heard) for one in self.seen)

    @property
    def live(self) -> int:
        """Connections that have not ended."""
        return sum(not one.ended for one in self.seen)

    def where(self, seen: Seen) -> Place | None:
        """To whom a client is carried; None: to nobody."""
        return self.names.get(seen.host) or (None if seen.kind == "name" else seen.target)

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something that the hop knows has come true."""
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
            raise ConnectionAbortedError("the hop is ended")

    def _serve(self, wire: Wire, seen: Seen) -> None:
        how = "left"
        try:
            with suppress(EOFError, OSError), self._open(wire):
                how = self._converse(wire, seen)
        finally:
            with self._changed:
                seen.ended = how
                self._changed.notify_all()

    def _converse(self, wire: Wire, seen: Seen) -> str:
        """Serve one client to its end; how that came."""
        talk = Talk(wire, seen, self.users, self.fault)
        try:
            talk.answer(Phase.ACCEPT, b"")
            if self.tls is not None:
                wire.secure(self.tls)
                seen.server_name = wire.server_name
            protocol = PROTOCOLS[self.protocol]
            protocol.request(talk)
            with self._changed:
                self._changed.notify_all()
            return self._carry(talk, protocol)
        except Over as over:
            wire.end(over.manner)
            return "fault"

    def _carry(self, talk: Talk, protocol: Protocol) -> str:
        if not talk.carries(protocol.grants):
            # Nobody is asked for in vain.
            talk.refuse(protocol.reply(GRANTED))
        seen, cut = talk.seen, self.cut
        where = self.where(seen)
        if where is None:
            talk.refuse(protocol.reply(UNREACHABLE))
        target = Wire(self._outgoing(where[0]))
        with self._open(target):
            try:
                target.sock.connect(where)
            except OSError:
                talk.refuse(protocol.reply(REFUSED))
            self._go_on()
            talk.answer(Phase.REPLY, protocol.reply(GRANTED) + self.early)
            seen.payload = len(seen.heard) - talk.wire.unread
            broken = relay(talk.wire, target, cut)
            for wire in (target, talk.wire):
                wire.end(broken or Manner.CLOSE)
        return "broken" if broken else "whole"
