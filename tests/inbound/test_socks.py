"""SOCKS5, SOCKS4 and SOCKS4a clients against a running gateway, byte by byte as the RFCs write them."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address

import pytest

from anongw.errors import Reason
from anongw.wire import socks4, socks5
from tests.support.gateway import running, user
from tests.support.raw_origin import Line, Origin

GREETING = b"\x05\x01\x00"
NOTHING_WILL_DO = b"\x05\xff"
CONNECT, BIND, UDP = 1, 2, 3
ZERO_V4 = b"\x00\x01" + bytes(6)
ZERO_V6 = b"\x00\x04" + bytes(18)


def login(name: bytes, password: bytes) -> bytes:
    return b"\x01" + bytes((len(name),)) + name + bytes((len(password),)) + password


def socks5_request(host: str, port: int, command: int = CONNECT, *, as_name: bool = False) -> bytes:
    address = b"\x03" + bytes((len(host),)) + host.encode()
    if (not as_name and host[0].isdigit()) or ":" in host:
        packed = ip_address(host).packed
        address = bytes((1 if len(packed) == 4 else 4,)) + packed
    return bytes((5, command, 0)) + address + port.to_bytes(2)


def socks4_request(host: str, port: int, user_id: bytes = b"", command: int = CONNECT) -> bytes:
    head = bytes((4, command)) + port.to_bytes(2)
    try:
        return head + IPv4Address(host).packed + user_id + b"\0"
    except ValueError:
        return head + bytes((0, 0, 0, 1)) + user_id + b"\0" + host.encode() + b"\0"


def reply4(code: int) -> bytes:
    return bytes((0, code)) + bytes(6)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


# Tables: the ones that tests further down reach end to end, and all others


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_code(reason: Reason) -> None:
    assert socks5.REPLY[reason] is not socks5.Reply.SUCCEEDED
    assert socks4.REPLY[reason] is not socks4.Reply.GRANTED


# SOCKS5


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "name.example"])
def test_connect(anyio_backend: str, host: str) -> None:
    settings = 'resolve.hosts."name.example"=["127.0.0.1"]'
    listening = "::1" if ":" in host else "127.0.0.1"
    with (
        running(anyio_backend, settings) as gateway,
        Origin(listening) as origin,
        gateway.connect() as client,
    ):
        client.send(GREETING)
        assert client.exactly(2) == b"\x05\x00"
        client.send(socks5_request(host, origin.port))
        zero = ZERO_V6 if ":" in host else ZERO_V4
        assert client.exactly(2 + len(zero)) == b"\x05\x00" + zero
        with origin.accept() as far:
            far.send(b"first word")
            assert client.exactly(10) == b"first word"
            client.send(b"up")
            client.last()
            assert far.rest() == b"up"
            far.send(b"down")
            far.last()
            assert client.rest() == b"down"


def test_an_address_written_as_a_name(anyio_backend: str) -> None:
    """Clients do that. It is judged as an address, and the answer is of IPv4."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(GREETING + socks5_request("127.0.0.1", origin.port, as_name=True))
        assert client.exactly(12) == b"\x05\x00\x05\x00" + ZERO_V4
        origin.accept().close()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (GREETING + socks5_request("1.2.3.4", 443), b"\x05\x00\x05\x02" + ZERO_V4),
        (GREETING + socks5_request("2606:4700::1", 443), b"\x05\x00\x05\x02" + ZERO_V6),
        (socks4_request("1.2.3.4", 443), reply4(0x5B)),
    ],
)
def test_an_address_is_refused_where_only_names_are_taken(
    anyio_backend: str, said: bytes, heard: bytes
) -> None:
    with running(anyio_backend, "policy.safe_socks=reject") as gateway, gateway.connect() as client:
        client.send(said)
        client.last()
        assert client.rest() == heard


def test_where_only_names_are_taken_a_private_address_that_may_be_reached_is_reached(
    anyio_backend: str,
) -> None:
    """Nobody had to be asked for it."""
    with running(anyio_backend, "policy.safe_socks=reject") as gateway, Origin() as origin:
        for said, heard in (
            (GREETING + socks5_request("127.0.0.1", origin.port), b"\x05\x00\x05\x00" + ZERO_V4),
            (socks4_request("127.0.0.1", origin.port), reply4(0x5A)),
        ):
            with gateway.connect() as client:
                client.send(said)
                assert client.exactly(len(heard)) == heard
                origin.accept().close()


def test_everything_in_one_segment(anyio_backend: str) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(
            b"\x05\x01\x02" + login(b"alice", b"secret") + socks5_request("127.0.0.1", origin.port) + b"early"
        )
        assert client.exactly(14) == b"\x05\x02\x01\x00\x05\x00" + ZERO_V4
        with origin.accept() as far:
            assert far.exactly(5) == b"early"


def test_byte_by_byte(anyio_backend: str) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.bytewise(b"\x05\x02\x00\x02" + login(b"alice", b"secret"))
        client.bytewise(socks5_request("127.0.0.1", origin.port) + b"early")
        assert client.exactly(14) == b"\x05\x02\x01\x00\x05\x00" + ZERO_V4
        with origin.accept() as far:
            assert far.exactly(5) == b"early"


@pytest.mark.parametrize(
    ("greeting", "credentials", "answer"),
    [
        (b"\x05\x01\x00", b"", NOTHING_WILL_DO),
        (b"\x05\x02\x00\x01", b"", NOTHING_WILL_DO),
        (b"\x05\x00", b"", NOTHING_WILL_DO),
        (b"\x05\x01\x02", login(b"alice", b"wrong"), b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02", login(b"bob", b"secret"), b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02", login(b"alice", b"secre"), b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02", login(b"ALICE", b"secret"), b"\x05\x02\x01\x01"),
        (b"\x05\x02\x00\x02", login(b"alice", b"wrong"), b"\x05\x02\x01\x01"),
    ],
    ids=["none", "none or GSSAPI", "no method", "wrong", "unknown", "short", "case", "wrong of two"],
)
def test_users_refuse(anyio_backend: str, greeting: bytes, credentials: bytes, answer: bytes) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(greeting + credentials + socks5_request("127.0.0.1", origin.port))
        client.last()
        assert client.rest() == answer
        assert origin.is_left_alone()


@pytest.mark.parametrize("greeting", [b"\x05\x01\x02", b"\x05\x02\x00\x02", b"\x05\x03\x01\x02\x00"])
def test_users_let_in(anyio_backend: str, greeting: bytes) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(greeting)
        assert client.exactly(2) == b"\x05\x02"
        client.send(login(b"alice", b"secret"))
        assert client.exactly(2) == b"\x01\x00"
        client.send(socks5_request("127.0.0.1", origin.port))
        assert client.exactly(10) == b"\x05\x00" + ZERO_V4
        origin.accept().close()


@pytest.mark.parametrize(
    ("greeting", "choice"),
    [
        (b"\x05\x01\x00", b"\x05\x00"),
        (b"\x05\x01\x02", b"\x05\x02"),
        (b"\x05\x02\x00\x02", b"\x05\x02"),
        (b"\x05\x01\x01", NOTHING_WILL_DO),
    ],
)
def test_where_nobody_is_known_a_name_is_a_label(anyio_backend: str, greeting: bytes, choice: bytes) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(greeting)
        assert client.exactly(2) == choice
        if choice == NOTHING_WILL_DO:
            client.last()
            assert client.rest() == b""
            return
        if choice == b"\x05\x02":
            client.send(login(b"anybody\xff", b"anything"))
            assert client.exactly(2) == b"\x01\x00"
        client.send(socks5_request("127.0.0.1", origin.port))
        assert client.exactly(10) == b"\x05\x00" + ZERO_V4
        origin.accept().close()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (socks5_request("127.0.0.1", 1, BIND), 7),
        (socks5_request("127.0.0.1", 1, UDP), 7),
        (socks5_request("0.0.0.0", 0, UDP), 7),
        (socks5_request("127.0.0.1", 1, 0xF0), 7),
        (b"\x05\x01\x00\x02\x7f\x00\x00\x01\x00\x50", 8),
        (b"\x05\x01\x00\x00", 8),
        (b"\x05\x01\x01\x01\x7f\x00\x00\x01\x00\x50", 1),
        (b"\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50", 1),
        (socks5_request("127.0.0.1", 0), 1),
        (socks5_request("a\0b", 80), 1),
        (socks5_request("10.0.0.1", 80), 2),
        (socks5_request("localhost", 80), 2),
        (socks5_request("127.1", 80, as_name=True), 2),
        (socks5_request("rebound.example", 80), 2),
        (socks5_request("denied.example", 80), 2),
        (socks5_request("x.onion", 80), 2),
        (socks5_request("a.example", 80), 4),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else str(value),
)
def test_refusals(anyio_backend: str, request_: bytes, code: int) -> None:
    """The codes that a client can bring about, with BND zero."""
    settings = (
        'resolve.hosts."rebound.example"=["10.0.0.1"]',
        'policy.deny=["denied.example", "127.0.0.1:80"]',
    )
    with running(anyio_backend, *settings) as gateway, gateway.connect() as client:
        client.send(GREETING + request_)
        client.last()
        assert client.rest() == b"\x05\x00\x05" + bytes((code,)) + ZERO_V4


def test_a_refused_ipv6_request_is_answered_in_its_family(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, gateway.connect() as client:
        client.send(GREETING + socks5_request("fe80::1", 80))
        client.last()
        assert client.rest() == b"\x05\x00\x05\x02" + ZERO_V6


def test_success_is_said_after_the_connect(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, closed_port() as port, gateway.connect() as client:
        client.send(GREETING + socks5_request("127.0.0.1", port))
        assert client.exactly(12) == b"\x05\x00\x05\x05" + ZERO_V4
        client.last()
        assert client.rest() == b""


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_the_gateway_itself_is_no_target(anyio_backend: str, address: str) -> None:
    settings = 'policy.allow_private=["127.0.0.0/8", "0.0.0.0/8"]'
    with running(anyio_backend, settings) as gateway, gateway.connect() as client:
        port = int(gateway.addresses[0].rpartition(":")[2])
        client.send(GREETING + socks5_request(address, port))
        assert client.exactly(12) == b"\x05\x00\x05\x02" + ZERO_V4


PHASES = {
    "before a word": b"",
    "in the greeting": b"\x05\x02\x00",
    "behind the greeting": b"\x05\x01\x02",
    "in the login": b"\x05\x01\x02" + login(b"alice", b"secret")[:4],
    "behind the login": b"\x05\x01\x02" + login(b"alice", b"secret"),
    "in the request": b"\x05\x01\x02" + login(b"alice", b"secret") + b"\x05\x01\x00\x01\x7f",
}


@pytest.mark.parametrize("sent", PHASES.values(), ids=PHASES.keys())
@pytest.mark.parametrize("how", [Line.last, Line.reset], ids=["last", "reset"])
def test_a_client_that_hangs_up(anyio_backend: str, sent: bytes, how: Callable[[Line], None]) -> None:
    """In each phase, either way: the gateway says nothing further, and lives."""
    with running(anyio_backend, user()) as gateway:
        client = gateway.connect()
        client.send(sent)
        how(client)
        if how is Line.last:
            assert client.rest() in (b"", b"\x05\x02", b"\x05\x02\x01\x00")
            client.close()
        with Origin() as origin, gateway.connect() as other:
            other.send(
                b"\x05\x01\x02" + login(b"alice", b"secret") + socks5_request("127.0.0.1", origin.port)
            )
            assert other.exactly(14) == b"\x05\x02\x01\x00\x05\x00" + ZERO_V4
            origin.accept().close()


def test_a_refused_client_that_goes_on_sending_reads_its_answer(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, gateway.connect() as client:
        client.send(GREETING + socks5_request("10.0.0.1", 80))
        client.send(*[bytes(10_000)] * 100)
        assert client.exactly(12) == b"\x05\x00\x05\x02" + ZERO_V4
        assert client.rest() == b""


# SOCKS4 and 4a


@pytest.mark.parametrize("host", ["127.0.0.1", "name.example"])
@pytest.mark.parametrize("user_id", [b"", b"label"])
def test_socks4(anyio_backend: str, host: str, user_id: bytes) -> None:
    settings = 'resolve.hosts."name.example"=["127.0.0.1"]'
    with running(anyio_backend, settings) as gateway, Origin() as origin, gateway.connect() as client:
        client.bytewise(socks4_request(host, origin.port, user_id))
        assert client.exactly(8) == reply4(90)
        with origin.accept() as far:
            client.send(b"up")
            assert far.exactly(2) == b"up"


def test_socks4_early_payload(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(socks4_request("127.0.0.1", origin.port) + b"early")
        with origin.accept() as far:
            assert far.exactly(5) == b"early"
            assert client.exactly(8) == reply4(90)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (socks4_request("127.0.0.1", 80, command=BIND), 91),
        (socks4_request("127.0.0.1", 0), 91),
        (socks4_request("10.0.0.1", 80), 91),
        (socks4_request("localhost", 80), 91),
        (socks4_request("a.example", 80), 91),
    ],
    ids=["bind", "port 0", "private", "private name", "no resolver"],
)
def test_socks4_refusals(anyio_backend: str, request_: bytes, code: int) -> None:
    with running(anyio_backend) as gateway, gateway.connect() as client:
        client.send(request_)
        client.last()
        assert client.rest() == reply4(code)


@pytest.mark.parametrize("user_id", [b"", b"alice", b"alice:secret"])
def test_socks4_cannot_prove_a_user(anyio_backend: str, user_id: bytes) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(socks4_request("127.0.0.1", origin.port, user_id))
        client.last()
        assert client.rest() == reply4(93)
        assert origin.is_left_alone()


def test_socks4_after_the_connect(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, closed_port() as port, gateway.connect() as client:
        client.send(socks4_request("127.0.0.1", port))
        assert client.exactly(8) == reply4(91)


# Neither


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"\x00", b"\x06", b"g", b"\xff"])
def test_other_protocols_get_silence(anyio_backend: str, first: bytes) -> None:
    with running(anyio_backend) as gateway, gateway.connect() as client:
        client.send(first + bytes(100))
        assert client.gone()
