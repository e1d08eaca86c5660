"""The machine's nameservers, as resolv.conf(5) names them, and the file's changes."""

import os
from pathlib import Path

import pytest

from anongw.errors import Reason, Refused
from anongw.resolve.system import ResolvConf, nameservers


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("nameserver 127.0.0.53\n", ["127.0.0.53"]),
        ("# made by NetworkManager\nsearch corp.example\nnameserver\t192.0.2.1  # home\n", ["192.0.2.1"]),
        ("nameserver 192.0.2.2\nnameserver 192.0.2.1\n", ["192.0.2.2", "192.0.2.1"]),
        ("nameserver fe80::1%lo\nnameserver 2620:fe::fe\n", ["fe80::1%lo", "2620:fe::fe"]),
        (
            "nameserver 1.1.1.1\n" * 2 + "nameserver 8.8.8.8\nnameserver 9.9.9.9\n",
            ["1.1.1.1", "8.8.8.8", "9.9.9.9"],
        ),
        ("nameserver not.an.address\nnameserver\n;nameserver 192.0.2.1\n", []),
        ("options edns0 trust-ad\n", []),
        ("", []),
    ],
)
def test_what_the_file_names(text: str, addresses: list[str]) -> None:
    assert [str(server.address) for server in nameservers(text)] == addresses


def test_they_are_asked_on_port_53() -> None:
    assert {server.port for server in nameservers("nameserver 192.0.2.1")} == {53}


def test_the_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    conf = ResolvConf(path)
    assert [str(server.address) for server in conf.servers()] == ["192.0.2.1"]
    # Replaced, as NetworkManager does it, and with an old time stamp.
    (tmp_path / "new").write_text("nameserver 192.0.2.2\n")
    os.utime(tmp_path / "new", (1, 1))
    (tmp_path / "new").rename(path)
    assert [str(server.address) for server in conf.servers()] == ["192.0.2.2"]


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    conf = ResolvConf(path)
    assert conf.servers() is conf.servers()


@pytest.mark.parametrize("content", [None, "search corp.example\n"])
def test_a_machine_without_nameservers(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "resolv.conf"
    if content is not None:
        path.write_text(content)
    conf = ResolvConf(path)
    with pytest.raises(Refused) as refused:
        conf.servers()
    assert refused.value.reason is Reason.RESOLVER_FAILED
    assert str(path) in refused.value.detail
    path.write_text("nameserver 192.0.2.1\n")
    assert conf.servers()
