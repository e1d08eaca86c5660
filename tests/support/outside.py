"""The two that a gateway may talk to, an origin and a name server, each in a thread.

Both remember everything that they heard, so that a test can look for what should not be there. The sockets
come from outside because they may live in another network namespace.
"""

import ipaddress
import re
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

# What the origin answers to each HTTP request. All else is echoed.
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
BODY = b"hello\n"

_METHODS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ")
_PIECE_MOST = 1 << 18
_FLOOD = re.compile(rb"(?:GET /)?flood/([0-9]+)[ \n]")


def flood(size: int) -> bytes:
    """What a client says in a tunnel to be sent so many bytes; `/flood/SIZE` is the same for HTTP."""
    return b"flood/%d\n" % size


def flooded(size: int) -> bytes:
    """A piece that the flood of this size repeats: nobody else's has the same bytes."""
    line = b"%d\n" % size
    return line * (_PIECE_MOST // len(line))


def listening(host: str, port: int = 0, backlog: int = 4096) -> socket.socket:
    """A listener on an address of this machine."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(backlog)
    return sock


def datagrams(host: str, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


class Heard:
    """One connection at the origin."""

    def __init__(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.sock = sock
        self.peer = peer
        self.data = bytearray()
        self.unsent = bytearray()
        self.piece = b""
        self.flood = 0  # bytes still to offer
        self.offered = 0


class _Loop:
    """A thread around a selector, ended by leaving the `with` block."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, events in self._selector.select():
                if key.fileobj is self._woken:
                    return
                self._ready(key, events)

    def _ready(self, key: selectors.SelectorKey, events: int) -> None:
        raise NotImplementedError


class Origin(_Loop):
    """A server that answers HTTP requests and echoes everything else."""

    def __init__(self, *listeners: socket.socket) -> None:
        super().__init__()
        self.heard: list[Heard] = []
        for listener in listeners:
            listener.settimeout(0)
            self._selector.register(listener, selectors.EVENT_READ)
        self.port = listeners[0].getsockname()[1]
        self.host = listeners[0].getsockname()[0]

    @property
    def everything(self) -> bytes:
        """All that all clients ever said."""
        return b"\n".join(bytes(one.data) for one in self.heard)

    def came(self) -> int:
        """How many connections had come: they are accepted in turn, so that one more shows the rest."""
        with socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET) as last:
            last.connect((self.host, self.port))
            last.sendall(b"?")
            last.recv(1)
        return len(self.heard) - 1

    def _ready(self, key: selectors.SelectorKey, events: int) -> None:
        sock = key.fileobj
        assert isinstance(sock, socket.socket)
        if key.data is None:
            self._accept(sock)
        elif events & selectors.EVENT_READ:
            self._hear(key.data)
        if key.data is not None and events & selectors.EVENT_WRITE and key.data.sock.fileno() >= 0:
            self._say(key.data)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, peer = listener.accept()
        except BlockingIOError:
            return
        sock.settimeout(0)
        one = Heard(sock, peer[:2])
        self.heard.append(one)
        self._selector.register(sock, selectors.EVENT_READ, one)

    def _hear(self, one: Heard) -> None:
        try:
            data = one.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(one.sock)
            one.sock.close()
            return
        if wanted := _FLOOD.match(data):
            one.flood = int(wanted[1])
            one.piece = flooded(one.flood)
            if data.startswith(_METHODS):
                one.unsent += b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n" % wanted[1]
        elif one.data.startswith(_METHODS) or (not one.data and data.startswith(_METHODS)):
            # Each head's end may lie across two reads.
            before = one.data[-3:].count(b"\r\n\r\n")
            one.unsent += ANSWER * ((bytes(one.data[-3:]) + data).count(b"\r\n\r\n") - before)
        else:
            one.unsent += data
        if len(one.data) < 1 << 20:
            one.data += data
        self._say(one)

    def _say(self, one: Heard) -> None:
        try:
            while one.unsent:
                del one.unsent[: one.sock.send(one.unsent)]
            while one.flood:
                start = one.offered % len(one.piece)
                count = one.sock.send(memoryview(one.piece)[start : start + one.flood])
                one.flood -= count
                one.offered += count
        except BlockingIOError:
            self._selector.modify(one.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, one)
        except OSError:
            self._selector.unregister(one.sock)
            one.sock.close()
        else:
            self._selector.modify(one.sock, selectors.EVENT_READ, one)


class Names(_Loop):
    """A name server over UDP. `records`: a name to its addresses; a name that is missing does not exist.

    `listener`: over TCP too, each message behind its length (RFC 1035 section 4.2.2).
    """

    def __init__(
        self,
        sock: socket.socket,
        records: Mapping[str, tuple[str, ...]],
        listener: socket.socket | None = None,
    ) -> None:
        super().__init__()
        self.records = records
        self.silent = False  # hears, and says nothing
        self.asked: list[str] = []
        self.raw: list[bytes] = []
        self.port = sock.getsockname()[1]
        self._selector.register(sock, selectors.EVENT_READ, self._datagram)
        if listener is not None:
            self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def _ready(self, key: selectors.SelectorKey, events: int) -> None:
        serve: Callable[[socket.socket], None] = key.data
        assert isinstance(key.fileobj, socket.socket)
        serve(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        self._selector.register(sock, selectors.EVENT_READ, partial(self._framed, bytearray()))

    def _datagram(self, sock: socket.socket) -> None:
        wire, peer = sock.recvfrom(65535)
        if (reply := self._answer(wire)) is not None:
            sock.sendto(reply, peer)

    def _framed(self, early: bytearray, sock: socket.socket) -> None:
        try:
            data = sock.recv(65535)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(sock)
            sock.close()
            return
        early += data
        while len(early) >= 2 and len(early) >= (end := 2 + int.from_bytes(early[:2], "big")):
            reply = self._answer(bytes(early[2:end]))
            del early[:end]
            if reply is not None:
                with suppress(OSError):  # it has left
                    sock.sendall(len(reply).to_bytes(2, "big") + reply)

    def _answer(self, wire: bytes) -> bytes | None:
        query = dns.message.from_wire(wire)
        self.raw.append(wire)
        self.asked.append(query.question[0].name.to_text(omit_final_dot=True))
        return None if self.silent else self._reply(query).to_wire()

    def _reply(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        question = query.question[0]
        known = self.records.get(question.name.to_text(omit_final_dot=True).lower())
        if known is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        version = 4 if question.rdtype.name == "A" else 6
        found = [text for text in known or () if ipaddress.ip_address(text).version == version]
        if found:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype.name, *found))
        return reply


@contextmanager
def on_loopback(records: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[Origin, Names]]:
    """Both, on addresses of 127.0.0.0/8 that nothing else uses: the origin on .9, the names on .8."""
    with Origin(listening("127.0.0.9")) as origin, Names(datagrams("127.0.0.8"), records) as names:
        yield origin, names
