"""A hop of a chain that does what it is told, and remembers all that was said to it.

It relays for real, so it can be any hop of a chain: what is asked for is looked up in `names` (a name, or an
address, to where it is), and an address that is missing there is connected to as it is. A name stays a name:
nobody is asked for it.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Literal

from anongw.lab.hop_protocols import GRANTED, PROTOCOLS, REFUSED, UNREACHABLE, Over, Protocol, Talk
from anongw.lab.hop_relay import relay
from anongw.lab.hop_script import Cut, Fault, Manner, Phase, Seen
from anongw.lab.hop_wire import Wire
from anongw.lab.server import Place, Server

Scheme = Literal["socks5", "socks4", "http"]


def _from_here(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)


class Hop(Server):
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
        super().__init__(listener)
        self.protocol = protocol
        self.fault = fault
        self.cut = cut
        self.early = early
        self.users = users or {}
        self.names = dict(names or {})
        self.tls = tls
        self._outgoing = outgoing

    @property
    def asked(self) -> list[Place]:
        """The targets that it was asked for, in the order of their connections."""
        return [one.target for one in self.seen if one.port]

    def where(self, seen: Seen) -> Place | None:
        """To whom a client is carried; None: to nobody."""
        return self.names.get(seen.host) or (None if seen.kind == "name" else seen.target)

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
