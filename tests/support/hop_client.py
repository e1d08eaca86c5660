"""What tests of fake hops share: the client of one, in plain or over TLS, and what it needs."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme

from tests.support import asks
from tests.support.fake_hop import FakeHop, certified
from tests.support.outside import Origin, listening
from tests.support.raw_origin import Line
from tests.support.sockets import descriptors

NAME = "origin.example"
HOP_NAME = "hop.example"
CA = trustme.CA()
SMALL = 16384  # bytes of a buffer that is soon full


@contextmanager
def nothing_is_left() -> Iterator[None]:
    """No thread and no descriptor."""
    threads, before = threading.active_count(), descriptors()
    yield
    assert threading.active_count() == threads
    assert descriptors() == before


def reached(origin: Origin) -> dict[str, tuple[str, int]]:
    return {NAME: (origin.host, origin.port)}


def secured(sock: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # By default a bare FIN is an end of TLS for some patch versions of Python.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    CA.configure_trust(context)
    return context.wrap_socket(sock, server_hostname=HOP_NAME, suppress_ragged_eofs=False)


@contextmanager
def client(hop: FakeHop, *, secure: bool = False, buffer: int = 0) -> Iterator[Line]:
    """A connection to the hop, as its client sees it."""
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(asks.PATIENCE)
    sock.connect(hop.place)
    with Line(secured(sock) if secure else sock) as line:
        yield line


def narrow() -> socket.socket:
    """A listener whose connections have small buffers to send from."""
    listener = listening("127.0.0.1")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    return listener


def last(line: Line) -> None:
    """Say that no more will come, and go on to hear."""
    if isinstance(line.sock, ssl.SSLSocket):
        line.sock.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            line.sock.unwrap()
        line.sock.settimeout(asks.PATIENCE)
    else:
        line.last()


def heard_to_the_last(line: Line) -> bytes:
    data = bytearray()
    # What OpenSSL makes of the other's last after its own.
    with suppress(ssl.SSLZeroReturnError):
        while piece := line.sock.recv(65536):
            data += piece
    return bytes(data)


def tls(*, secure: bool) -> ssl.SSLContext | None:
    return certified(CA, HOP_NAME) if secure else None


def login(user: str, password: str) -> bytes:
    return asks.socks5_login(user.encode(), password.encode()) + asks.socks5_request(NAME, 80)
