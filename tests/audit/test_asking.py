"""Clients say what the RFCs say, and take nothing but yes for yes."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from anongw.audit import asking
from anongw.audit.asking import PATIENCE, Line, Login
from anongw.config import Spoken

GRANTS: dict[Spoken, list[tuple[bytes, bytes]]] = {
    "socks5": [
        (b"\x05\x01\x02", b"\x05\x02"),
        (b"\x01\x01u\x01p", b"\x01\x00"),
        (b"\x05\x01\x00\x03\x09a.example\x00\x50", b"\x05\x00\x00\x01" + bytes(6)),
    ],
    "socks4": [(b"\x04\x01\x00\x50\x00\x00\x00\x01u\x00a.example\x00", b"\x00\x5a" + bytes(6))],
    "connect": [
        (
            b"CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\nproxy-authorization: Basic dTpw\r\n\r\n",
            b"HTTP/1.1 200 Connection established\r\n\r\n",
        )
    ],
}


def conversed(steps: list[tuple[bytes, bytes]], play: Callable[[Line], bool]) -> bool:
    """What a client makes of a gateway that hears and says exactly this, and then echoes a word."""
    near, far = socket.socketpair()
    wrong: list[tuple[bytes, bytes]] = []

    def gateway() -> None:
        with far, suppress(OSError):  # a client that was refused is gone
            for expected, answer in steps:
                heard = far.recv(len(expected), socket.MSG_WAITALL)
                if heard != expected:
                    wrong.append((heard, expected))
                    return
                far.sendall(answer)
            far.sendall(far.recv(100))

    thread = threading.Thread(target=gateway)
    thread.start()
    near.settimeout(PATIENCE)
    with near:
        found = play(Line(near))
    thread.join()
    assert wrong == []
    return found


@pytest.mark.parametrize("spoken", GRANTS)
def test_a_tunnel_that_is_granted(spoken: Spoken) -> None:
    login = Login("u", "p")
    assert conversed(
        GRANTS[spoken],
        lambda line: asking.tunnel(line, spoken, "a.example", 80, login, {}) and line.pings(),
    )


@pytest.mark.parametrize("spoken", GRANTS)
def test_one_that_is_not(spoken: Spoken) -> None:
    no = {"socks5": b"\x05\x02\x00\x01" + bytes(6), "socks4": b"\x00\x5b" + bytes(6)}
    answer = no.get(spoken, b"HTTP/1.1 403 Forbidden\r\n\r\n")
    steps = [*GRANTS[spoken][:-1], (GRANTS[spoken][-1][0], answer)]
    login = Login("u", "p")
    assert not conversed(steps, lambda line: asking.tunnel(line, spoken, "a.example", 80, login, {}))


def test_an_end_in_the_middle_is_no_yes() -> None:
    login = Login("u", "p")
    steps = GRANTS["socks5"][:1]
    assert not conversed(steps, lambda line: asking.tunnel(line, "socks5", "a.example", 80, login, {}))


def test_addresses_go_as_addresses() -> None:
    assert asking._socks5_host("192.0.2.1") == b"\x01\xc0\x00\x02\x01"
    assert asking._socks5_host("2001:db8::1")[:1] == b"\x04"
    assert asking._socks4("192.0.2.1", 80, "u") == b"\x04\x01\x00\x50\xc0\x00\x02\x01u\x00"
    assert asking.get("2001:db8::1", 81, Login(), {}).startswith(b"GET http://[2001:db8::1]:81/ HTTP/1.1\r\n")


def test_what_is_heard_is_kept() -> None:
    near, far = socket.socketpair()
    with near, far:
        line = Line(near)
        far.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\nno")
        far.close()
        assert line.head().endswith(b"\r\n\r\n")
        assert line.rest() == b"no"
        assert line.heard == b"HTTP/1.1 403 Forbidden\r\n\r\nno"
