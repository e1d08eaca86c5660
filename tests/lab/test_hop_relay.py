"""The relay of a stand-in dies when and how it is told to; test_hop.py sees it carry."""

import socket

import pytest

from anongw.lab.hop_relay import relay
from anongw.lab.hop_script import Cut, Manner
from anongw.lab.hop_wire import Wire
from tests.support.outside import listening


def wire() -> tuple[Wire, socket.socket]:
    far = socket.socket()
    with listening("127.0.0.1") as listener:
        far.connect(listener.getsockname())
        return Wire(listener.accept()[0]), far


@pytest.mark.parametrize("upwards", [True, False])
def test_it_dies_after_so_many_bytes(*, upwards: bool) -> None:
    (client, user), (target, origin) = wire(), wire()
    said, heard = (user, origin) if upwards else (origin, user)
    with user, origin, client.sock, target.sock:
        said.sendall(b"0123456789")
        assert relay(client, target, Cut(4, Manner.RESET, upwards=upwards)) is Manner.RESET
        assert heard.recv(100) == b"0123"
