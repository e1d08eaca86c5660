"""One end of a stand-in's connection."""

import socket
from contextlib import closing

import pytest

from anongw.lab.hop_script import Manner
from anongw.lab.hop_wire import Wire
from tests.support.outside import listening


def pair() -> tuple[Wire, socket.socket]:
    far = socket.socket()
    with listening("127.0.0.1") as listener:
        far.connect(listener.getsockname())
        return Wire(listener.accept()[0], bytearray()), far


def test_what_comes_early_is_kept_for_whoever_asks_for_it() -> None:
    wire, far = pair()
    with closing(wire.sock), far:
        far.sendall(b"\x05\x01\x00GET / HTTP/1.1\r\n\r\nrest")
        assert wire.exactly(3) == b"\x05\x01\x00"
        assert wire.until(b"\r\n\r\n") == b"GET / HTTP/1.1\r\n\r\n"
        assert (wire.unread, wire.ready) == (4, True)
        assert wire.receive() == b"rest"
        far.close()
        with pytest.raises(EOFError):
            wire.exactly(1)


@pytest.mark.parametrize("manner", [Manner.CLOSE, Manner.RESET])
def test_it_ends_as_it_is_told(manner: Manner) -> None:
    wire, far = pair()
    with far:
        wire.say(b"last words")
        assert far.recv(100) == b"last words"
        far.shutdown(socket.SHUT_WR)
        wire.end(manner)
        if manner is Manner.CLOSE:
            assert far.recv(1) == b""
        else:
            with pytest.raises(ConnectionResetError):
                far.recv(1)
