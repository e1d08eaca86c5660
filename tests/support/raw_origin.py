"""An origin that does what a test says, byte for byte, and the blocking connection that tests talk on.

The test itself plays it: it accepts, reads what the gateway sent and answers, so that a test reads as a
conversation. Every wait ends after `PATIENCE` seconds; no test waits for it.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

# Seconds after which a test that would hang fails.
PATIENCE = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Message(NamedTuple):
    """An HTTP message as its receiver understands it."""

    first: str  # the request line or the status line
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def status(self) -> int:
        return int(self.first.split()[1])


class Line:
    """One end of a connection, blocking, with a timeout. Closed at the end of a `with`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self._early = b""  # received and not asked for yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *pieces: bytes) -> None:
        """Each piece by a call of its own."""
        for piece in pieces:
            self.sock.sendall(piece)

    def bytewise(self, data: bytes) -> None:
        """Every byte in a packet of its own."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(*(data[place : place + 1] for place in range(len(data))))

    def exactly(self, count: int) -> bytes:
        while len(self._early) < count:
            self._more()
        data, self._early = self._early[:count], self._early[count:]
        return data

    def until(self, end: bytes) -> bytes:
        while end not in self._early:
            self._more()
        place = self._early.index(end) + len(end)
        return self.exactly(place)

    def rest(self) -> bytes:
        """Everything until the other side's last."""
        data, self._early = self._early, b""
        while piece := self.sock.recv(1 << 20):
            data += piece
        return data

    def rest_until_reset(self) -> bytes:
        """Everything until the reset that must come."""
        data, self._early = self._early, b""
        try:
            while piece := self.sock.recv(1 << 20):
                data += piece
        except ConnectionResetError:
            return data
        raise AssertionError(f"said its last instead of a reset, after {data[-200:]!r}")

    def gone(self) -> bool:
        """Wait for the other side's end, whichever; whether it came without a word."""
        try:
            return not self._early + self.sock.recv(1)
        except ConnectionResetError:
            return True

    def head(self) -> Message:
        """An HTTP head; its body, if any, is left."""
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"two lines of {name}"
            headers[name.lower()] = value
        return Message(first, headers, b"")

    def message(self, *, bodiless: bool = False) -> Message:
        """A whole HTTP message. `bodiless`: it is the answer to a HEAD."""
        head = self.head()
        return head._replace(body=b"" if bodiless else self.body(head))

    def body(self, head: Message) -> bytes:
        if "chunked" in head.headers.get("transfer-encoding", ""):
            return b"".join(self.chunks())
        if "content-length" in head.headers:
            return self.exactly(int(head.headers["content-length"]))
        is_answer = head.first.startswith("HTTP/")
        return self.rest() if is_answer and head.status not in (101, 204, 304) else b""

    def chunks(self) -> Iterator[bytes]:
        while size := int(self.until(b"\r\n"), 16):
            yield self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        assert self.exactly(2) == b"\r\n", "trailers"

    def last(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hears(self, seconds: float) -> bool:
        """Wait so long for something to arrive, or for the other side to end."""
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return bool(self._early)
        except ConnectionError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)
        return True

    def silent(self) -> bool:
        """Nothing has arrived, and the other side has not ended."""
        self.sock.settimeout(0)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return not self._early
        finally:
            self.sock.settimeout(PATIENCE)
        return False

    def _more(self) -> None:
        piece = self.sock.recv(1 << 16)
        if not piece:
            raise AssertionError(f"ended after {self._early[-200:]!r}")
        self._early += piece


class Origin:
    """A listening socket whose connections the test plays."""

    def __init__(self, host: str = "127.0.0.1", *, buffer: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        if buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind((host, 0))
        self._listener.listen(64)
        self._listener.settimeout(PATIENCE)
        self._host = f"[{host}]" if ":" in host else host
        self.port: int = self._listener.getsockname()[1]
        self.seen = 0  # connections accepted so far

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def authority(self) -> str:
        return f"{self._host}:{self.port}"

    def accept(self) -> Line:
        sock, _ = self._listener.accept()
        self.seen += 1
        return Line(sock)

    def is_left_alone(self) -> bool:
        """Nobody has connected who was not accepted."""
        self._listener.settimeout(0)
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return True
        finally:
            self._listener.settimeout(PATIENCE)
        return False

    def request(self, path: str = "/", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
        """The head of a request for this origin, as a client writes it to a proxy."""
        first = f"{method} http://{self.authority}{path} HTTP/{version}"
        return "\r\n".join((first, f"Host: {self.authority}", *lines, "", "")).encode("latin-1")

    def connect(self, *lines: str) -> bytes:
        first = f"CONNECT {self.authority} HTTP/1.1"
        return "\r\n".join((first, f"Host: {self.authority}", *lines, "", "")).encode("latin-1")


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Run `work` in a thread beside the block; what it raises is raised at the end."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is the test's, and is raised there
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(3 * PATIENCE)
        if raised:
            raise raised[0]
    assert not thread.is_alive()
