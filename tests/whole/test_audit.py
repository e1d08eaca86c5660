"""Leaks 2, 3 and 9, seen by the interpreter: every `socket.*` event of the whole process is on a list here.

The gateway runs under `sys.addaudithook` (tests/support/audit.py) and serves every protocol, by every way of
asking for names; afterwards each event must be one that is listed, and each peer the resolver, the origin or
the one port that refuses.
"""

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from anyio.from_thread import start_blocking_portal

from anongw.users import hash_password
from tests.support import asks, outside
from tests.support.asks import CONNECT, SOCKS4, SOCKS5, WAYS
from tests.support.audit import Event, read
from tests.support.dns_server import FakeDns, running
from tests.support.process import Gateway, gateway

# Every audit event of a socket that a gateway needs, and no other. `getaddrinfo`, `gethostbyname`,
# `getnameinfo`, `gethostname` and `sendmsg` are not among them.
LISTED = {
    "socket.__new__",
    "socket.bind",  # its listeners
    "socket.connect",  # judged by address below
}
# What libc's resolver reads; Python itself would show it only if Python opened it.
RESOLVER_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf")
RECORDS = {
    "origin.example": ("127.0.0.9",),
    "nobody.example": ("127.0.0.10",),
    "lie.example": ("127.0.0.1", "10.0.0.1", "::1"),
    "six.example": ("2001:db8::9",),
}
NEVER_ASKED = ("localhost", "printer", "a.local", "b.onion", "c.internal", "d.home.arpa", "e.test", "f.alt")
EXEMPT = 'policy.allow_private=["127.0.0.9/32", "127.0.0.10/32"]'


def violations(events: list[Event], peers: set[tuple[str, int]]) -> list[str]:
    """What a process did that it may not; `peers`: the only addresses to connect to."""
    found = []
    for name, args in events:
        if name == "open":
            if args[0] in RESOLVER_FILES:
                found.append(f"opened {args[0]}")
        elif name not in LISTED:
            found.append(f"{name}{args}")
        elif name == "socket.connect" and (where := _address(args[0])) not in peers:
            found.append(f"connected to {where}")
        elif name == "socket.bind" and (where := _address(args[0])) != ("127.0.0.1", 0):
            found.append(f"bound {where}")
    return found


def _address(value: object) -> tuple[str, int]:
    assert isinstance(value, list)
    return value[0], value[1]


@contextmanager
def audited(directory: Path, *settings: str, plant: str = "") -> Iterator[tuple[Gateway, Path]]:
    report = directory / "audit.jsonl"
    program = [
        sys.executable,
        "-m",
        "tests.support.audit",
        str(report),
        *(["--plant", plant] if plant else []),
    ]
    with gateway(directory, *settings, program=program) as running_gateway:
        yield running_gateway, report


def drive(where: tuple[str, int], port: int) -> None:
    """Every protocol, by name and by address, good targets and all kinds of bad ones."""
    for way in (SOCKS5, SOCKS4, CONNECT):
        asks.served(where, "origin.example", port, way)
        asks.served(where, "127.0.0.9", port, way)
    for host in ("origin.example", "127.0.0.9"):
        answer = asks.exchange(where, asks.get(host, port, b"Connection: close"))
        assert answer.endswith(b"\r\n\r\n" + outside.BODY)
    for way in WAYS:
        for host in NEVER_ASKED:
            assert asks.exchange(where, way.ask(host, port)) == way.refused("private-name")
        for host, reason in (
            ("127.0.0.1", "private-target"),
            ("169.254.169.254", "private-target"),
            ("lie.example", "rebinding"),
            ("absent.example", "name-not-found"),
            ("nobody.example", "connection-refused"),
        ):
            assert asks.exchange(where, way.ask(host, port)) == way.refused(reason), (way.name, host)
    labelled = asks.socks5_login(b"a label", b"") + asks.socks5_request("origin.example", port)
    with asks.dial(where) as sock:
        sock.sendall(labelled)
        assert asks.exactly(sock, 14) == b"\x05\x02\x01\x00" + asks.socks5_reply(0)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("scheme", ["udp", "tcp", "tls", "https"])
def test_every_socket_event_is_listed(scheme: str, ca: trustme.CA, tmp_path: Path) -> None:
    names = FakeDns(RECORDS, ca=ca, host="127.0.0.8")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(names)),
        outside.Origin(outside.listening("127.0.0.9")) as origin,
    ):
        server = names.url(scheme)
        settings = (EXEMPT, f'resolve.servers=["{server}"]', f"resolve.ca_file={tmp_path / 'ca.pem'}")
        with audited(tmp_path, *settings) as (one, report):
            drive(one.where, origin.port)
        asked = {seen.name for seen in names.seen}
        port = int(server.partition("#")[0].removesuffix("/dns-query").rpartition(":")[2])
        peers = {("127.0.0.8", port), ("127.0.0.9", origin.port), ("127.0.0.10", origin.port)}
    events = read(report)
    assert violations(events, peers) == []
    reached = {_address(event.args[0]) for event in events if event.name == "socket.connect"}
    assert reached == peers, "the run was to reach all three"
    assert asked == {"origin.example", "absent.example", "lie.example", "nobody.example"}


def test_users_cause_no_other_event(tmp_path: Path) -> None:
    with outside.on_loopback(RECORDS) as (origin, names):
        settings = (
            EXEMPT,
            f'resolve.servers=["udp://127.0.0.8:{names.port}"]',
            f"users.alice={hash_password('right')}",
        )
        with audited(tmp_path, *settings) as (one, report):
            ask = asks.socks5_request("origin.example", origin.port)
            for password, answer in ((b"wrong", b"\x05\x02\x01\x01"), (b"right", b"\x05\x02\x01\x00")):
                with asks.dial(one.where) as sock:
                    sock.sendall(asks.socks5_login(b"alice", password) + ask)
                    assert asks.exactly(sock, 4) == answer
            for ask_http in (asks.connect, asks.get):
                nobody = ask_http("origin.example", origin.port, b"Connection: close")
                assert asks.exchange(one.where, nobody).startswith(b"HTTP/1.1 407 ")
            assert asks.exchange(one.where, SOCKS4.ask("origin.example", origin.port)) == asks.socks4_reply(
                0x5D
            )
            right = b"Proxy-Authorization: Basic " + base64.b64encode(b"alice:right")
            answer = asks.exchange(
                one.where, asks.get("origin.example", origin.port, right, b"Connection: close")
            )
            assert answer.endswith(outside.BODY)
        peers = {("127.0.0.8", names.port), ("127.0.0.9", origin.port)}
    assert violations(read(report), peers) == []


@pytest.mark.parametrize(
    ("sin", "told"),
    [
        ("getaddrinfo", "socket.getaddrinfo"),
        ("connect", "connected to ('127.0.0.7', 9)"),
        ("sendto", "socket.sendto"),
        ("program", "os.system"),
    ],
)
def test_a_sin_would_be_noticed(sin: str, told: str, tmp_path: Path) -> None:
    with audited(tmp_path, plant=sin) as (_, report):
        pass
    (found,) = violations(read(report), set())
    assert found.startswith(told)
