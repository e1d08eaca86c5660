"""Who listens in the laboratory keeps what it hears, and can be away."""

import socket

import pytest

from anongw.lab.hop_script import Seen
from anongw.lab.hop_wire import Wire
from anongw.lab.server import Server
from tests.support.outside import listening


class Echo(Server):
    def _converse(self, wire: Wire, seen: Seen) -> str:
        while data := wire.receive():
            if data == b"misspoken":
                raise AssertionError(f"{seen.peer[0]} misspoke")
            wire.say(data)
        return "whole"


def dial(server: Server) -> socket.socket:
    sock = socket.socket()
    try:
        sock.connect(server.place)
    except OSError:
        sock.close()
        raise
    return sock


def test_it_remembers_who_came_and_what_was_said() -> None:
    with Echo(listening("127.0.0.1")) as server:
        with dial(server) as sock:
            sock.sendall(b"word")
            assert sock.recv(10) == b"word"
            server.until(lambda: server.live == 1)
        server.until(lambda: server.live == 0)
    assert server.everything == b"word"
    assert server.seen[0].ended == "whole"


def test_while_it_is_away_it_refuses_and_its_connections_end() -> None:
    with Echo(listening("127.0.0.1")) as server, dial(server) as before:
        server.until(lambda: server.live == 1)
        with server.away():
            assert before.recv(1) == b""
            with pytest.raises(ConnectionRefusedError):
                dial(server)
        with dial(server) as after:
            after.sendall(b"word")
            assert after.recv(10) == b"word"


def test_what_went_wrong_is_raised_at_the_end() -> None:
    def misspeak() -> None:
        with Echo(listening("127.0.0.1")) as server, dial(server) as sock:
            sock.sendall(b"misspoken")
            server.until(lambda: bool(server.seen) and server.live == 0)

    with pytest.raises(AssertionError, match="misspoke"):
        misspeak()


def test_what_is_taken_before_the_end_is_not_raised_there() -> None:
    with Echo(listening("127.0.0.1")) as server:
        with dial(server) as sock:
            sock.sendall(b"misspoken")
            server.until(lambda: bool(server.seen) and server.live == 0)
        with server.away():  # its threads have ended
            found = server.faults()
    assert [str(one) for one in found] == ["127.0.0.1 misspoke"]
