"""An authority whose certificates are taken for the names that they bear, and for no others."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from anongw.lab.certificates import Authority
from anongw.lab.wrong import Wrong
from anongw.net.tls import hop_context


def shaken(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bytes:
    """What a client says to a server once it knows who that is."""
    near, far = socket.socketpair()
    heard: list[bytes] = []

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as sock:
                heard.append(sock.recv(10))
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname=name) as sock:
            sock.sendall(b"word")
    finally:
        thread.join()
    return heard[0]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "ours"), Authority(folder, "stranger")


@pytest.mark.parametrize("name", ["hop.example", "192.0.2.10", "2001:db8::1"])
def test_its_word_is_taken(name: str, authorities: tuple[Authority, Authority]) -> None:
    ours, stranger = authorities
    client = hop_context(str(ours.file), pinned=False)
    assert shaken(ours.context(name), client, name) == b"word"
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(stranger.context(name), client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(ours.context("other.example"), client, name)


def test_a_certificate_is_made_once(authorities: tuple[Authority, Authority]) -> None:
    ours, _ = authorities
    assert ours.certificate("a.example") == ours.certificate("a.example")
    assert ours.der("a.example") != ours.der("b.example")


def test_what_openssl_complains_of_is_said(tmp_path: Path) -> None:
    with pytest.raises(Wrong, match="openssl"):
        Authority(tmp_path / "nowhere", "ours")
