"""SOCKS4 and SOCKS4A: the one request, the one answer, and that no bytes at all bring anything else."""

from collections import Counter
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.address import Address, Endpoint
from anongw.errors import Reason
from anongw.wire import socks4
from anongw.wire.socks4 import Command, Reply, Request
from tests.support.feed import Outcome, feed

CUTS = st.lists(st.integers(1, 300), max_size=4)


def wire(
    address: str,
    user: bytes = b"me",
    name: bytes | None = None,
    port: int = 80,
    command: int = Command.CONNECT,
) -> bytes:
    raw = bytes((4, command)) + port.to_bytes(2) + IPv4Address(address).packed + user + b"\0"
    return raw if name is None else raw + name + b"\0"


@pytest.mark.parametrize(
    ("raw", "host", "user"),
    [
        (wire("10.0.0.1"), IPv4Address("10.0.0.1"), b"me"),
        (wire("10.0.0.1", b""), IPv4Address("10.0.0.1"), b""),
        (wire("10.0.0.1", b"\xff:"), IPv4Address("10.0.0.1"), b"\xff:"),
        (wire("0.0.0.0"), IPv4Address("0.0.0.0"), b"me"),
        (wire("0.0.1.0"), IPv4Address("0.0.1.0"), b"me"),
        (wire("0.0.0.1", name=b"A.Test."), "a.test", b"me"),
        (wire("0.0.0.255", b"", name=b"a.test"), "a.test", b""),
        (wire("0.0.0.1", name=b"127.1"), IPv4Address("127.0.0.1"), b"me"),
        (wire("10.0.0.1", b"u" * socks4.USER_MOST), IPv4Address("10.0.0.1"), b"u" * socks4.USER_MOST),
        (wire("0.0.0.1", name=b".".join([b"a" * 62] * 4) + b".a."), ".".join(["a" * 62] * 4) + ".a", b"me"),
    ],
)
def test_a_request_to_connect(raw: bytes, host: str | Address, user: bytes) -> None:
    named = raw[4:7] == bytes(3) and raw[7] != 0
    expected = Outcome(value=Request(Command.CONNECT, Endpoint(host, 80), user, named), rest=b"early")
    assert feed(socks4.request, raw + b"early") == expected
    assert feed(socks4.request, raw + b"early", range(999)) == expected


def test_another_command_is_read_for_the_caller_to_refuse() -> None:
    outcome = feed(socks4.request, wire("0.0.0.0", port=0, command=Command.BIND))
    assert outcome.value == Request(Command.BIND, Endpoint(IPv4Address("0.0.0.0"), 0), b"me", named=False)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x05" + wire("10.0.0.1")[1:], Reason.MALFORMED),
        (wire("10.0.0.1", port=0), Reason.MALFORMED),
        (wire("0.0.0.1", name=b""), Reason.MALFORMED),
        (wire("0.0.0.1", name=b"a test"), Reason.MALFORMED),
        (wire("0.0.0.1", name=b"a.test\r\n"), Reason.MALFORMED),
        (wire("0.0.0.1", name=b"\xe4.test"), Reason.MALFORMED),
        (wire("10.0.0.1", b"u" * (socks4.USER_MOST + 1)), Reason.TOO_LARGE),
        (wire("10.0.0.1", b"u" * (socks4.USER_MOST + 1))[:-1], Reason.TOO_LARGE),
        (wire("0.0.0.1", name=b"a" * (socks4.NAME_MOST + 1)), Reason.TOO_LARGE),
        (wire("0.0.0.1", name=b"a" * socks4.NAME_MOST), Reason.MALFORMED),
    ],
)
def test_a_request_that_is_refused(raw: bytes, reason: Reason) -> None:
    assert feed(socks4.request, raw).reason is feed(socks4.request, raw, range(999)).reason is reason


def test_a_request_that_ends_early() -> None:
    raw = wire("0.0.0.1", name=b"a.test")
    for end in range(len(raw)):
        assert feed(socks4.request, raw[:end]).short


@pytest.mark.parametrize("code", Reply)
def test_a_reply_says_nothing_but_its_code(code: Reply) -> None:
    assert socks4.reply(code) == bytes((0, code, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_reply_and_none_is_success(reason: Reason) -> None:
    assert socks4.REPLY[reason] is not Reply.GRANTED


@given(
    st.ip_addresses(v=4).filter(lambda address: int(address) not in range(1, 256)),
    st.integers(1, 65535),
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\0", b"")),
    CUTS,
)
def test_every_target_is_read_back(address: Address, port: int, user: bytes, cuts: list[int]) -> None:
    outcome = feed(socks4.request, wire(str(address), user, port=port) + b"early", cuts)
    request = Request(Command.CONNECT, Endpoint(address, port), user, named=False)
    assert outcome == Outcome(value=request, rest=b"early")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, each field mostly right; sometimes cut."""
    version, command = draw(st.sampled_from(((4, 1),) * 8 + ((5, 1), (4, 2), (4, 0))))
    head = bytes((version, command)) + draw(st.sampled_from((b"\0\x50", b"\xff\xff", b"\0\0")))
    address = draw(st.sampled_from((b"\x0a\0\0\x01", b"\0\0\0\0", b"\0\0\0\x01", b"\0\0\0\xff")))
    user = draw(st.sampled_from((b"", b"me", b"u" * 255, b"u" * 256)))
    name = draw(st.sampled_from((b"a.test", b"127.1", b"a b", b"\xff", b"", b"a" * 255)))
    raw = head + address + user + b"\0" + name + b"\0" + b"early"
    return raw[: draw(st.sampled_from((len(raw),) * 8 + tuple(range(14))))]


def test_any_bytes_are_read_refused_or_short_however_they_are_cut() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, deadline=None, database=None)
    @given(requests(), CUTS)
    def run(raw: bytes, cuts: list[int]) -> None:
        whole = feed(socks4.request, raw)
        seen[whole.name] += 1
        assert feed(socks4.request, raw, cuts) == whole

    run()
    assert {"accepted", "short", "MALFORMED", "TOO_LARGE"} == set(seen), seen
    assert min(seen.values()) > 5, seen
