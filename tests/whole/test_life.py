"""How a gateway starts and ends: signals in the middle of transfers, no network, no certificates."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import asks, namespace, process
from tests.support.process import PROGRAM, ROOT, Gateway, gateway
from tests.support.programs import PATIENCE, environment
from tests.support.raw_origin import Line, Origin
from tests.whole.conftest import SETTINGS

BODY = bytes(range(256)) * 4096
HALF = len(BODY) // 2
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


def connected(own: Gateway) -> Line:
    sock = socket.socket()
    sock.connect(own.where)
    return Line(sock)


def until_refused(own: Gateway) -> None:
    """The first thing that a stopping gateway does is to close its listeners."""
    while True:
        with socket.socket() as sock:
            sock.settimeout(PATIENCE)
            if sock.connect_ex(own.where):
                return


def ask_plain(raw: Origin, client: Line) -> Line:
    client.send(raw.request())
    line = raw.accept()
    line.head()
    return line


def ask_tunnel(raw: Origin, client: Line) -> Line:
    client.send(asks.socks5("127.0.0.1", raw.port) + b"GET / HTTP/1.1\r\n\r\n")
    line = raw.accept()
    line.head()
    client.exactly(12)
    return line


Ask = Callable[[Origin, Line], Line]
ASKS = pytest.mark.parametrize("ask", [ask_plain, ask_tunnel], ids=["plain", "tunnel"])


@ASKS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_transfer_ends_well(ask: Ask, number: signal.Signals, tmp_path: Path) -> None:
    with gateway(tmp_path, *SETTINGS) as own, Origin() as raw, connected(own) as client:
        with ask(raw, client) as line:
            line.send(HEAD, BODY[:HALF])
            client.head()
            assert client.exactly(HALF) == BODY[:HALF]
            own.process.send_signal(number)
            until_refused(own)
            line.send(BODY[HALF:])
            assert client.exactly(HALF) == BODY[HALF:]
        assert own.wait() == 0


@ASKS
def test_a_second_signal_waits_for_nobody(ask: Ask, tmp_path: Path) -> None:
    with (
        gateway(tmp_path, *SETTINGS, "limits.shutdown=10m") as own,
        Origin() as raw,
        connected(own) as client,
        ask(raw, client) as line,
    ):
        line.send(HEAD, BODY[:HALF])
        client.head()
        own.process.send_signal(signal.SIGTERM)
        until_refused(own)
        assert own.stop() == 0


def test_idle_connections_do_not_hold_it(tmp_path: Path) -> None:
    settings = (*SETTINGS, "limits.shutdown=10m")
    with (
        gateway(tmp_path, *settings) as own,
        Origin() as raw,
        connected(own) as silent,
        connected(own) as quiet,
        ask_tunnel(raw, quiet),
    ):
        assert own.stop() == 0
        assert silent.gone()


def test_it_starts_without_any_network(tmp_path: Path) -> None:
    """In a network namespace with nothing up; its listener is a Unix socket, which reaches out of it."""
    if reason := namespace.why_not():
        pytest.skip(reason)
    path = tmp_path / "s"
    alone = ["unshare", "--user", "--map-root-user", "--net", *PROGRAM]
    with gateway(tmp_path, listen=f"unix:{path}", program=alone) as own:
        assert own.addresses == (f"unix:{path}",)
        for host, reply in (("9.9.9.9", 3), ("origin.example", 4)):
            with closing(socket.socket(socket.AF_UNIX)) as sock:
                sock.settimeout(PATIENCE)
                sock.connect(str(path))
                sock.sendall(asks.socks5(host, 80))
                assert asks.rest(sock) == asks.SOCKS5_NONE_CHOSEN + asks.socks5_reply(reply)


def test_it_starts_without_certificates(tmp_path: Path) -> None:
    empty = tmp_path / "certificates"
    empty.mkdir()
    store = {"SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": str(empty)}
    with gateway(tmp_path, environment=environment(tmp_path, store)) as own:
        asks.exchange(own.where, asks.socks5("127.0.0.1", 80))  # it serves
    assert "certifi" in own.errors


def test_it_writes_no_tls_secrets(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    with gateway(tmp_path, environment=environment(tmp_path, {"SSLKEYLOGFILE": str(keys)})) as own:
        asks.exchange(own.where, asks.socks5("127.0.0.1", 80))
    assert not keys.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["serve", "--listen", "0.0.0.0:0"], 2, "passwd"),
        (["serve", "--listen", "192.0.2.1:1"], 2, "clients"),
        (["serve", "--set", "limits.idel=1h"], 2, "idle"),
        (["serve", "--config", "/nowhere.toml"], 2, "/nowhere.toml"),
        (["sreve"], 2, "serve"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], status: int, told: str) -> None:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, b"")
    assert told in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with process.gateway(tmp_path, *SETTINGS) as own:
        done = subprocess.run(
            [*PROGRAM, "serve", "--listen", own.addresses[0]],
            cwd=ROOT,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert f"cannot listen on {own.addresses[0]}" in done.stderr.decode()


def test_the_start_is_quick(tmp_path: Path) -> None:
    """Nothing is timed; what would make it slow is not loaded: the parts of a first look-up, and of users."""
    listed = "import sys; from anongw import gateway; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listed], cwd=ROOT, capture_output=True, check=True)
    loaded = set(done.stdout.decode().split())
    assert not loaded & {"h2", "certifi", "dns.resolver", "rich", "cryptography", "hypothesis", "trio"}
