"""Every spelling of a host becomes one, and nothing is looked up."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anongw.address import Endpoint, parse_host, parse_port, suffixes, unwrap
from anongw.errors import Reason, Refused

LOOPBACK = ipaddress.ip_address("127.0.0.1")
TEN = ipaddress.ip_address("10.0.0.1")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f000001",
        "0X7F.0.0.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "0177.0.0.01",
        "127.0.0.1.",
        "127.0.0.0x1",
        "\uff11\uff12\uff17.0.0.1",  # full-width digits
        "127\u30020\u30020\u30021",  # ideographic full stops
        "::ffff:127.0.0.1",
        "[::FFFF:7f00:1]",
    ],
)
def test_every_spelling_of_loopback(text: str) -> None:
    assert parse_host(text) == LOOPBACK


@pytest.mark.parametrize("text", ["10.1", "0xa.1", "012.0.0.1", "10.0.1", "167772161", "::ffff:10.0.0.1"])
def test_every_spelling_of_a_private_address(text: str) -> None:
    assert parse_host(text) == TEN


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("example.org", "example.org"),
        ("EXAMPLE.Org.", "example.org"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("\uff45xample.org", "example.org"),
        ("\uff2c\uff2f\uff23\uff21\uff2c\uff28\uff2f\uff33\uff34", "localhost"),
        ("example\u3002org", "example.org"),
        ("1.example", "1.example"),
        ("a" * 63 + ".org", "a" * 63 + ".org"),
        ("0x7f000001.example", "0x7f000001.example"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert parse_host(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        ".example.org",
        "example..org",
        "example.org..",
        "-a.org",
        "a-.org",
        "a b.org",
        "a\x00.org",
        "a/b",
        "a@b",
        "a%2eb",
        "*.org",
        "a" * 64 + ".org",
        ".".join(["a" * 50] * 6),
        "ü" * 64,
        "\u2024",
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3.08",
        "0x1g.1",
        "4294967296",
        "1.16777216",
        "example.1",
        "example.0x1",
        "[::1",
        "::1]",
        "[127.0.0.1]",
        "[]",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        ":::",
        "12345::",
        "example.org:80",
    ],
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_host(text)
    assert caught.value.reason is Reason.MALFORMED


@given(st.ip_addresses())
def test_an_address_reads_back_however_it_is_written(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert parse_host(str(address)) == (mapped or address)
    assert parse_host(address.exploded) == (mapped or address)
    if isinstance(address, ipaddress.IPv4Address):
        number = int(address)
        assert parse_host(str(number)) == parse_host(hex(number)) == parse_host(f"0{number:o}") == address


@given(st.text(max_size=20) | st.from_regex(r"[0-9a-fx:.\[\]]{1,20}", fullmatch=True))
def test_a_host_is_canonical_or_refused(text: str) -> None:
    try:
        host = parse_host(text)
    except Refused:
        return
    assert parse_host(str(host)) == host


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("64:ff9b::10.0.0.1", "10.0.0.1"),
        ("::10.0.0.1", "::a00:1"),
        ("64:ff9b:1::a00:1", "64:ff9b:1::a00:1"),
        ("2001:db8::a00:1", "2001:db8::a00:1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_unwrap(text: str, plain: str) -> None:
    assert unwrap(ipaddress.ip_address(text)) == ipaddress.ip_address(plain)


@pytest.mark.parametrize(("text", "port"), [("1", 1), ("443", 443), ("00080", 80), ("65535", 65535)])
def test_ports(text: str, port: int) -> None:
    assert parse_port(text) == port


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "+1", " 1", "1 ", "0x50", "000080", "٣", "1_0"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_port(text)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("host", "text"), [("example.org", "example.org:1"), ("10.0.0.1", "10.0.0.1:1"), ("::1", "[::1]:1")]
)
def test_an_endpoint_in_writing(host: str, text: str) -> None:
    assert str(Endpoint(parse_host(host), 1)) == text


def test_suffixes() -> None:
    assert list(suffixes("a.b.c")) == ["a.b.c", "b.c", "c"]
