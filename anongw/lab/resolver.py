"""A resolver that answers from a function, over UDP, TCP, TLS and HTTPS, and remembers who asked for what.

It never asks anybody else. `lookup` says what a name is: addresses, or None where there is no such name. A
`Mood` makes it fail in one of the ways of resolvers.
"""

import enum
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from anongw.lab.hop_script import Seen
from anongw.lab.hop_wire import Wire
from anongw.lab.server import Place, Server
from anongw.lab.wrong import PATIENCE, must

Lookup = Callable[[str], Sequence[str] | None]

HTTP_1: Final = "http/1.1"  # what it agrees on by ALPN: HTTP/2 is for browsers' resolvers
_TTL: Final = 60  # seconds
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ?([0-9]{1,5})\r\n", re.IGNORECASE)
_DATAGRAM_MOST: Final = 65535  # bytes


class Mood(enum.Enum):
    WELL = "it answers"
    SILENT = "it hears and says nothing"
    GARBAGE = "it says what is no DNS"
    SERVFAIL = "it says that it failed"


@dataclass(frozen=True)
class Question:
    """`server`: where it came to. `peer`: from whose address."""

    server: Place
    peer: str
    name: str


class Book:
    """What several resolvers have in common: the answers, the mood, and every question that was asked."""

    def __init__(self, lookup: Lookup) -> None:
        self.mood = Mood.WELL
        self.asked: list[Question] = []
        self.not_understood: list[bytes] = []
        self._lookup = lookup

    def answer(self, wire: bytes, server: Place, peer: str) -> bytes | None:
        """What to say to a question; None: nothing."""
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            self.not_understood.append(wire)
            return None
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(Question(server, peer, name))
        if self.mood is Mood.SILENT:
            return None
        if self.mood is Mood.GARBAGE:
            return wire[:2] + b"no DNS message"
        reply = dns.message.make_response(query)
        if self.mood is Mood.SERVFAIL:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        known = self._lookup(name)
        if known is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        kind = question.rdtype.name
        version = {"A": 4, "AAAA": 6}.get(kind)
        found = [text for text in known or () if ipaddress.ip_address(text).version == version]
        if found:
            reply.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", kind, *found))
        return reply.to_wire()


class Framed(Server):
    """Over TCP, or TLS with a `tls`: each message behind its length (RFC 1035 section 4.2.2, RFC 7858)."""

    def __init__(self, listener: socket.socket, book: Book, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(listener)
        self.tls = tls
        self._book = book

    def _converse(self, wire: Wire, seen: Seen) -> str:
        if self.tls is not None:
            wire.secure(self.tls)
        while True:
            question = self._question(wire)
            answer = self._book.answer(question, self.place, seen.peer[0])
            if answer is not None:
                wire.say(self._framed(answer))

    def _question(self, wire: Wire) -> bytes:
        return wire.exactly(int.from_bytes(wire.exactly(2), "big"))

    def _framed(self, answer: bytes) -> bytes:
        return len(answer).to_bytes(2, "big") + answer


class Https(Framed):
    """RFC 8484, a POST for each question, on HTTP/1.1."""

    def _question(self, wire: Wire) -> bytes:
        head = wire.until(b"\r\n\r\n")
        length = _LENGTH.search(head)
        must(length, "a question without its length")
        return wire.exactly(int(length[1])) if length else b""

    def _framed(self, answer: bytes) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: %d\r\n\r\n"
        return head % len(answer) + answer


class Datagrams:
    """Over UDP, in a thread of its own until the block ends."""

    def __init__(self, sock: socket.socket, book: Book) -> None:
        self.place: Place = sock.getsockname()[:2]
        self._sock = sock
        self._book = book
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # it is not connected; whoever receives on it is woken all the same
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._sock.close()

    def _serve(self) -> None:
        with suppress(OSError):
            self._sock.settimeout(None)
            while True:
                wire, peer = self._sock.recvfrom(_DATAGRAM_MOST)
                if not peer or not wire:
                    return
                if (answer := self._book.answer(wire, self.place, peer[0])) is not None:
                    self._sock.sendto(answer, peer)
