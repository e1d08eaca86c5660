"""SOCKS5: the client's messages, our answers, and that no bytes at all bring anything else."""

from collections import Counter
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.address import Address, Endpoint
from anongw.errors import Reason
from anongw.wire import socks5
from anongw.wire.socks5 import AddressType, Command, Method, Reply, Request
from tests.support.feed import Outcome, feed

V6 = "2001:db8::1"
CUTS = st.lists(st.integers(1, 300), max_size=4)


def packed(kind: int, host: str) -> bytes:
    if kind == AddressType.IPV4:
        return IPv4Address(host).packed
    if kind == AddressType.IPV6:
        return IPv6Address(host).packed
    return bytes((len(host),)) + host.encode("latin-1")


def wire(host: str, port: int = 80, kind: int = AddressType.NAME, command: int = Command.CONNECT) -> bytes:
    return bytes((5, command, 0, kind)) + packed(kind, host) + port.to_bytes(2)


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"\x05\x01\x00rest", Outcome(value=b"\x00", rest=b"rest")),
        (b"\x05\x03\x00\x01\x02", Outcome(value=b"\x00\x01\x02")),
        (b"\x05\x00rest", Outcome(value=b"", rest=b"rest")),
        (b"\x05\xff" + b"\x02" * 255, Outcome(value=b"\x02" * 255)),
        (b"\x04\x01", Outcome(reason=Reason.MALFORMED)),
        (b"\x05", Outcome(short=True)),
        (b"\x05\x02\x00", Outcome(short=True)),
    ],
)
def test_greeting(raw: bytes, outcome: Outcome[bytes]) -> None:
    assert feed(socks5.greeting, raw) == feed(socks5.greeting, raw, range(999)) == outcome


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"\x01\x02me\x06secretrest", Outcome(value=(b"me", b"secret"), rest=b"rest")),
        (b"\x01\x00\x00", Outcome(value=(b"", b""))),
        (b"\x01\x02\xff\0\x00", Outcome(value=(b"\xff\0", b""))),
        (b"\x01\xff" + b"n" * 255 + b"\xff" + b"p" * 255, Outcome(value=(b"n" * 255, b"p" * 255))),
        (b"\x05\x02me\x06secret", Outcome(reason=Reason.MALFORMED)),
        (b"\x01\x02me\x06secre", Outcome(short=True)),
        (b"\x01\x02me", Outcome(short=True)),
    ],
)
def test_login(raw: bytes, outcome: Outcome[tuple[bytes, bytes]]) -> None:
    assert feed(socks5.user_password, raw) == feed(socks5.user_password, raw, range(999)) == outcome


@pytest.mark.parametrize(
    ("raw", "kind", "host"),
    [
        (wire("A.Test."), AddressType.NAME, "a.test"),
        (wire("127.1"), AddressType.NAME, IPv4Address("127.0.0.1")),
        (wire("0x7f000001"), AddressType.NAME, IPv4Address("127.0.0.1")),
        (wire("::1"), AddressType.NAME, IPv6Address("::1")),
        (wire(".".join(["a" * 49] * 5)), AddressType.NAME, ".".join(["a" * 49] * 5)),
        (wire("10.0.0.1", kind=AddressType.IPV4), AddressType.IPV4, IPv4Address("10.0.0.1")),
        (wire(V6, kind=AddressType.IPV6), AddressType.IPV6, IPv6Address(V6)),
    ],
)
def test_a_request_to_connect(raw: bytes, kind: AddressType, host: str | Address) -> None:
    expected = Outcome(value=Request(Command.CONNECT, kind, Endpoint(host, 80)), rest=b"early")
    assert feed(socks5.request, raw + b"early") == expected
    assert feed(socks5.request, raw + b"early", range(999)) == expected


@pytest.mark.parametrize("command", [0, Command.BIND, Command.UDP_ASSOCIATE, 0xF0, 0xFF])
def test_another_command_is_read_for_the_caller_to_refuse(command: int) -> None:
    raw = wire("0.0.0.0", 0, AddressType.IPV4, command)
    endpoint = Endpoint(IPv4Address("0.0.0.0"), 0)
    assert feed(socks5.request, raw).value == Request(command, AddressType.IPV4, endpoint)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x04" + wire("a.test")[1:], Reason.MALFORMED),
        (b"\x05\x01\x01" + wire("a.test")[3:], Reason.MALFORMED),
        (wire("a.test", 0), Reason.MALFORMED),
        (wire("10.0.0.1", 0, AddressType.IPV4), Reason.MALFORMED),
        (wire(""), Reason.MALFORMED),
        (wire("."), Reason.MALFORMED),
        (wire("a..test"), Reason.MALFORMED),
        (wire("a test"), Reason.MALFORMED),
        (wire("a.test\0"), Reason.MALFORMED),
        (wire("a.test\r\n"), Reason.MALFORMED),
        (wire("a.test:80"), Reason.MALFORMED),
        (wire("\xe4.test"), Reason.MALFORMED),
        (wire("a" * 64), Reason.MALFORMED),
        (wire(".".join(["a" * 63] * 4)), Reason.MALFORMED),
        (wire("1.2.3.4.5"), Reason.MALFORMED),
        (b"\x05\x01\x00\x00", Reason.UNSUPPORTED_ADDRESS),
        (b"\x05\x01\x00\x02\x7f\x00\x00\x01\x00\x50", Reason.UNSUPPORTED_ADDRESS),
        (b"\x05\x02\x00\x05", Reason.UNSUPPORTED_ADDRESS),
    ],
)
def test_a_request_that_is_refused(raw: bytes, reason: Reason) -> None:
    assert feed(socks5.request, raw).reason is feed(socks5.request, raw, range(999)).reason is reason


@pytest.mark.parametrize("kind", AddressType)
def test_a_request_that_ends_early(kind: AddressType) -> None:
    raw = wire(V6 if kind is AddressType.IPV6 else "10.0.0.1", kind=kind)
    for end in range(len(raw)):
        assert feed(socks5.request, raw[:end]).short


def test_answers() -> None:
    assert socks5.method_choice(Method.NONE) == b"\x05\x00"
    assert socks5.method_choice(Method.USER_PASSWORD) == b"\x05\x02"
    assert socks5.method_choice(Method.UNACCEPTABLE) == b"\x05\xff"
    assert socks5.login_reply(granted=True) == b"\x01\x00"
    assert socks5.login_reply(granted=False)[:1] == b"\x01"
    assert socks5.login_reply(granted=False)[1] != 0


@pytest.mark.parametrize("code", Reply)
def test_a_reply_says_nothing_but_its_code(code: Reply) -> None:
    ipv4 = bytes((5, code, 0, 1, 0, 0, 0, 0, 0, 0))
    assert socks5.reply(code) == ipv4
    assert socks5.reply(code, AddressType.IPV4) == ipv4
    assert socks5.reply(code, AddressType.NAME) == ipv4
    assert socks5.reply(code, AddressType.IPV6) == bytes((5, code, 0, 4)) + bytes(18)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_reply_and_none_is_success(reason: Reason) -> None:
    assert socks5.REPLY[reason] is not Reply.SUCCEEDED


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.FORBIDDEN, 0x02),
        (Reason.PRIVATE_TARGET, 0x02),
        (Reason.NETWORK_UNREACHABLE, 0x03),
        (Reason.NAME_NOT_FOUND, 0x04),
        (Reason.HOST_UNREACHABLE, 0x04),
        (Reason.CONNECTION_REFUSED, 0x05),
        (Reason.CONNECT_TIMEOUT, 0x06),
        (Reason.UNSUPPORTED_COMMAND, 0x07),
        (Reason.UNSUPPORTED_ADDRESS, 0x08),
        (Reason.INTERNAL, 0x01),
    ],
)
def test_the_replies_that_clients_act_upon(reason: Reason, code: int) -> None:
    assert socks5.REPLY[reason] == code


NAME = st.text("abz09-_", min_size=1, max_size=20).map(lambda text: f"x{text}x.test")
TARGET = st.one_of(
    st.tuples(st.just(AddressType.NAME), NAME),
    st.tuples(st.just(AddressType.IPV4), st.ip_addresses(v=4)),
    st.tuples(st.just(AddressType.IPV6), st.ip_addresses(v=6)),
)


@given(TARGET, st.integers(1, 65535), CUTS)
def test_every_target_is_read_back(
    target: tuple[AddressType, str | Address], port: int, cuts: list[int]
) -> None:
    kind, host = target
    outcome = feed(socks5.request, wire(str(host), port, kind) + b"early", cuts)
    assert outcome == Outcome(value=Request(Command.CONNECT, kind, Endpoint(host, port)), rest=b"early")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, each field mostly right; sometimes cut."""

    def mostly(right: int) -> int:
        return draw(st.integers(0, 20).flatmap(lambda n: st.integers(0, 255) if n == 7 else st.just(right)))

    kind = draw(st.sampled_from(AddressType))
    size = {AddressType.IPV4: 4, AddressType.IPV6: 16, AddressType.NAME: 0}[kind]
    host = draw(st.binary(min_size=size, max_size=size))
    if kind is AddressType.NAME:
        name = draw(st.one_of(NAME.map(str.encode), st.binary(max_size=9)))
        host = bytes((mostly(len(name)),)) + name
    head = bytes((mostly(5), mostly(1), mostly(0), mostly(kind)))
    raw = head + host + draw(st.sampled_from((b"\0\x50", b"\xff\xff", b"\0\0"))) + b"early"
    return raw[: draw(st.sampled_from((len(raw),) * 8 + tuple(range(12))))]


def test_any_bytes_are_read_refused_or_short_however_they_are_cut() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, deadline=None, database=None)
    @given(requests(), CUTS)
    def run(raw: bytes, cuts: list[int]) -> None:
        whole = feed(socks5.request, raw)
        seen[whole.name] += 1
        assert feed(socks5.request, raw, cuts) == whole

    run()
    assert {"accepted", "short", "MALFORMED", "UNSUPPORTED_ADDRESS"} == set(seen), seen
    assert seen["accepted"] > 30, seen
