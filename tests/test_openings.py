"""What a gateway comes in by: all of it or nothing, and no file is left behind."""

import socket
from pathlib import Path

import pytest

from anongw.config import Config, load
from anongw.errors import StartError
from anongw.openings import open_all


def config(*addresses: str, control: str = "off") -> Config:
    listed = ", ".join(f'"{address}"' for address in addresses)
    return load(None, (f"listen.addresses=[{listed}]", f"control.socket={control}"))


def accepts(sock: socket.socket) -> bool:
    with socket.socket(sock.family) as client:
        return client.connect_ex(sock.getsockname()) == 0


def test_all_are_bound_and_named(tmp_path: Path) -> None:
    unix, control = tmp_path / "s", tmp_path / "c"
    openings = open_all(config("127.0.0.1:0", f"unix:{unix}", control=str(control)))
    host, _, port = openings.names[0].rpartition(":")
    assert (host, int(port) > 0, openings.names[1]) == ("127.0.0.1", True, f"unix:{unix}")
    assert openings.control is not None
    assert all(accepts(sock) for sock in (*openings.listeners, openings.control))
    openings.close()
    openings.close()  # once more does no harm
    assert not unix.exists()
    assert not control.exists()


def test_one_that_cannot_be_had_leaves_none(tmp_path: Path) -> None:
    unix = tmp_path / "s"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=f"cannot listen on {where}: Address already in use"):
            open_all(config(f"unix:{unix}", where))
    assert not unix.exists()


def test_a_control_socket_that_somebody_asked_for_is_needed(tmp_path: Path) -> None:
    unix = tmp_path / "s"
    with pytest.raises(StartError, match=r"control\.socket: cannot listen on"):
        open_all(config(f"unix:{unix}", control=str(tmp_path / "missing" / "c")))
    assert not unix.exists()


def test_one_that_nobody_asked_for_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anongw.control.own_folder", lambda: tmp_path / "missing" / "folder")
    openings = open_all(config("127.0.0.1:0", control="auto"))
    assert openings.control is None
    assert accepts(openings.listeners[0])
    openings.close()
