"""Leaks 15 and 16: what the whole process writes, with secrets planted in everything that reaches it.

Every protocol is driven through success, every kind of refusal, and bugs (tests/support/faulty.py), at both
levels that users turn on; then both streams are searched, and every line must be of a known form.
"""

import base64
import itertools
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from anongw.users import hash_password
from tests.support import asks, outside
from tests.support.asks import CONNECT, HTTP, SOCKS4, SOCKS5, TUNNELS
from tests.support.faulty import IN_A_STEP, IN_A_TASK
from tests.support.process import PROGRAM, ROOT, gateway

CLIENT = "127.0.0.66"
USER, PASSWORD = "canary-user", "canary-password"
URL = "/canary-path?canary=query"
HEADERS = (
    b"X-Forwarded-For: canary-header",
    b"Cookie: canary=cookie",
    b"Referer: http://canary-referer.example/",
    b"User-Agent: canary-agent",
)
HOSTS = (
    "canary-good.example",
    "canary-absent.example",
    "canary-refusing.example",
    "canary-lie.example",
    "canary-private.local",
    "canary-hidden.onion",
    "canaryprinter",
    "canary-malformed..example",
    IN_A_STEP,
    IN_A_TASK,
)
ADDRESSES = ("127.0.0.9", "127.0.0.10", "10.99.88.77")
RECORDS = {
    "canary-good.example": ("127.0.0.9",),
    "canary-refusing.example": ("127.0.0.10",),
    "canary-lie.example": ("10.99.88.77",),
}
# What may stand in the log of a gateway that names nobody.
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (DEBUG  |INFO   |ERROR  ) "
    r"(flow \d+ (socks5|socks4|connect|http) (done|[a-z-]+), \d+ B sent, \d+ B received"
    r", (identity~[0-9a-f]{10}|nobody yet)"
    r"|a bug ended a flow: (KeyError|ValueError) at __main__:\d+"
    r"|stopped: [a-zB0-9 ,;:-]+)"
)
# A name that would forge a line, ring a bell, turn the text around and end the terminal's line.
FORGED = "evil\n2026-01-01 ERROR    forged\x1b[31m\x07\u202e\u2028\r"
PROOF = b"Proxy-Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())
WRONG = b"Proxy-Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}-wrong".encode())


def drive(where: tuple[str, int], port: int) -> None:
    """Everything that the list above names, in every protocol."""
    for host in (*HOSTS, *ADDRESSES):
        asks_for = asks.socks5_request(host, port)
        _say(where, asks.socks5_login(USER.encode(), PASSWORD.encode()) + asks_for)
        _say(where, asks.socks5_login(USER.encode(), f"{PASSWORD}-wrong".encode()) + asks_for)
        _say(where, SOCKS5.ask(host, port))
        _say(where, asks.socks4(host, port, USER.encode()))
        for proof, ask in itertools.product((PROOF, WRONG), (asks.connect, asks.get)):
            _say(where, ask(host, port, proof, *HEADERS, b"Connection: close"))
        _say(where, asks.get(host, port, PROOF, *HEADERS, b"Connection: close", path=URL))
    for broken in (b"GET http://canary-good.example/ HTTP/1.1\r\n" + HEADERS[0] + b"\n\n", b"canary\xff\0"):
        _say(where, broken)


def _say(where: tuple[str, int], raw: bytes) -> None:
    """Say it; of a tunnel that opens, use a little."""
    with asks.dial(where, CLIENT) as sock:
        with suppress(OSError):  # a refusal may close it at any moment
            sock.sendall(raw)
            sock.sendall(b"canary-payload")
            sock.shutdown(socket.SHUT_WR)
        asks.rest(sock)


def played(directory: Path, *arguments: str, users: bool = False) -> tuple[str, str]:
    """The two streams of a gateway that had all of it."""
    settings = ['policy.allow_private=["127.0.0.9/32", "127.0.0.10/32"]', "limits.linger=100ms"]
    if users:
        settings.append(f"users.{USER}={hash_password(PASSWORD)}")
    with outside.on_loopback(RECORDS) as (origin, names):
        settings.append(f'resolve.servers=["udp://127.0.0.8:{names.port}"]')
        program = (sys.executable, "-m", "tests.support.faulty")
        with gateway(directory, *settings, program=program, arguments=arguments) as running:
            drive(running.where, origin.port)
        assert b"canary-payload" in origin.everything
        return running.output, running.errors


@pytest.mark.parametrize("users", [False, True])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_by_default_nobody_is_named(level: str, users: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    output, errors = played(tmp_path, "--set", f"log.level={level}", users=users)
    for secret in ("canary", CLIENT, "bug.example", "task.example", *ADDRESSES):
        assert secret not in output + errors
    lines = errors.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), errors
    assert any("a bug ended a flow: KeyError" in line for line in lines)
    assert any("a bug ended a flow: ValueError" in line for line in lines)
    done = [line for line in lines if " done, " in line]
    assert bool(done) == (level == "debug"), "at info the log is no diary"


def test_names_are_logged_on_request_and_passwords_never(tmp_path: Path) -> None:
    output, errors = played(tmp_path, "--log-names", "--set", "log.level=debug", users=True)
    assert "names are on" in errors
    for named in (CLIENT, USER, "canary-good.example", "canary-private.local", IN_A_STEP, *ADDRESSES):
        assert named in errors, named
    for secret in (PASSWORD, "canary-path", "canary=", "canary-header", "canary-referer", "canary-agent"):
        assert secret not in output + errors
    for coded in (PROOF, WRONG):
        assert coded.rpartition(b" ")[2].decode() not in errors
    assert "canary-payload" not in errors


@pytest.mark.parametrize("way", TUNNELS, ids=lambda way: way.name)
def test_a_name_cannot_forge_a_line(way: asks.Way, tmp_path: Path) -> None:
    """Whatever bytes a client calls itself, one flow is one line, of visible characters."""
    name = FORGED.encode() + b"\xff\x9b"
    code = base64.b64encode(name + b":")
    said = {
        SOCKS5: asks.socks5_login(name, b"") + asks.socks5_request("127.0.0.1", 9),
        SOCKS4: asks.socks4("127.0.0.1", 9, name),
        CONNECT: asks.connect("127.0.0.1", 9, b"Proxy-Authorization: Basic " + code),
    }
    with gateway(tmp_path, arguments=("--log-names",)) as running:
        asks.exchange(running.where, said[way])
        errors = running.errors
    warning, line = errors.splitlines()
    assert "names are on" in warning
    assert "evil" in line
    assert "forged" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    "setting",
    [
        f"users.alice={PASSWORD}",
        f"users.alice = ['{PASSWORD}']",
        f"users={PASSWORD}",
        f"users.alice.password={PASSWORD}",
        f"users {PASSWORD}",
        f'users."{USER}"=$scrypt$ln=99,r=8,p=1${PASSWORD}${PASSWORD}',
    ],
)
@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_wrong_setting_does_not_quote_a_password(command: str, setting: str) -> None:
    done = subprocess.run([*PROGRAM, command, "--set", setting], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 2
    assert PASSWORD.encode() not in done.stdout + done.stderr


def test_what_was_planted_was_planted() -> None:
    """The search above is no empty one: URL and headers are in the requests."""
    assert URL.encode() in asks.get(HOSTS[0], 80, *HEADERS, path=URL)
    assert HTTP.ask(HOSTS[0], 80).startswith(b"GET http://canary-good.example:80/ ")
