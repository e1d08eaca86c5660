"""One end of a hop's connection, plain or TLS: blocking in a handshake, and non-blocking in a relay."""

import socket
import ssl
import struct
from contextlib import suppress

from anongw.lab.hop_script import KEPT_MOST, Manner
from anongw.lab.wrong import PATIENCE

CHUNK = 1 << 16
_RESETS = struct.pack("ii", 1, 0)  # struct linger: a close says RST


class _Named(ssl.SSLObject):
    server_name: str | None = None


def _remember(tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    if isinstance(tls, _Named):
        tls.server_name = name


class Wire:
    """A socket, and what was received on it but not asked for yet. `kept` remembers all that is heard."""

    def __init__(self, sock: socket.socket, kept: bytearray | None = None) -> None:
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._kept = kept
        self._early = bytearray()
        self._unsent = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._from_sock, self._to_sock = ssl.MemoryBIO(), ssl.MemoryBIO()

    def secure(self, context: ssl.SSLContext) -> None:
        """The handshake, as a server."""
        context.sslobject_class = _Named
        context.sni_callback = _remember
        tls = self._tls = context.wrap_bio(self._from_sock, self._to_sock, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            else:
                return
            finally:
                self.flush()  # an alert, too
            self._feed()

    @property
    def server_name(self) -> str | None:
        """What a TLS client asked for (SNI)."""
        return self._tls.server_name if isinstance(self._tls, _Named) else None

    def exactly(self, count: int) -> bytes:
        while len(self._early) < count:
            self._more()
        data = bytes(self._early[:count])
        del self._early[:count]
        return data

    def until(self, end: bytes) -> bytes:
        while end not in self._early:
            self._more()
        return self.exactly(self._early.index(end) + len(end))

    def rest(self) -> None:
        """Hear everything until the other side's end."""
        while self.receive():
            pass

    def say(self, data: bytes) -> None:
        """All of it, in one segment if it fits."""
        while data:
            data = data[self.send(data) :]
        self.flush()

    def receive(self) -> bytes:
        """What comes next; b"" is the other side's last. BlockingIOError: nothing yet."""
        if self._early:
            return self.exactly(len(self._early))
        data = self.sock.recv(CHUNK) if self._tls is None else self._decrypted(self._tls)
        if self._kept is not None and len(self._kept) < KEPT_MOST:
            self._kept += data
        return data

    def send(self, data: bytes) -> int:
        """How much was taken. BlockingIOError: nothing, for now."""
        self.flush()
        if self._tls is None:
            return self.sock.send(data)
        count = self._tls.write(data[:CHUNK])
        with suppress(BlockingIOError):
            self.flush()
        return count

    def flush(self) -> None:
        """Send what TLS has written. BlockingIOError: not all of it was taken."""
        self._unsent += self._to_sock.read()
        while self._unsent:
            del self._unsent[: self.sock.send(self._unsent)]

    def last(self) -> None:
        """Say that no more will come; the other side may go on."""
        if self._tls is None:
            self.sock.shutdown(socket.SHUT_WR)
            return
        # OpenSSL takes what lies before it for a fault once it has said its last, and not what comes later.
        with suppress(ssl.SSLWantReadError):
            while data := self._tls.read(CHUNK):
                self._early += data
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        with suppress(BlockingIOError):
            self.flush()

    @property
    def unread(self) -> int:
        return len(self._early)

    @property
    def unsent(self) -> bool:
        return bool(self._unsent)

    @property
    def ready(self) -> bool:
        """Whether there is something to receive that no selector knows of."""
        return bool(self._early or self._from_sock.pending or (self._tls and self._tls.pending()))

    def wake(self) -> None:
        """From another thread: whoever waits on it hears its end."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def end(self, manner: Manner) -> None:
        """A FIN, and a reset for whatever comes after it, or a reset at once. TLS hears of neither."""
        with suppress(OSError):
            if manner is Manner.RESET:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
                # Unread bytes would make a reset of it.
                while self.sock.recv(CHUNK):
                    pass
        self.sock.close()

    def _more(self) -> None:
        data = self.receive()
        if not data:
            raise EOFError
        self._early += data

    def _decrypted(self, tls: ssl.SSLObject) -> bytes:
        while True:
            try:
                return tls.read(CHUNK)
            except ssl.SSLZeroReturnError:  # the alert that announces a whole end
                return b""
            except ssl.SSLWantReadError:
                self._feed()

    def _feed(self) -> None:
        data = self.sock.recv(CHUNK)
        if not data:
            raise ConnectionResetError("a FIN without TLS's own end")
        self._from_sock.write(data)
