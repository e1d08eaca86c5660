"""What the holder of the networks does by itself: make a socket where it stands, and say why it cannot."""

import socket

import pytest

from anongw.lab.holder import _ip, _made


def test_a_socket_is_bound_to_the_address_that_was_asked_for() -> None:
    with _made({"host": "127.0.0.7", "kind": socket.SOCK_STREAM, "port": 0, "reuse": True}) as sock:
        assert sock.getsockname()[0] == "127.0.0.7"
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_an_address_of_nobodys_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        _made({"host": "192.0.2.1", "kind": socket.SOCK_DGRAM, "port": 0})


def test_what_ip_complains_of_is_said() -> None:
    with pytest.raises(OSError, match="nowhere0"):
        _ip(["link show dev lo", "link show dev nowhere0"])
