"""How durations, sizes, ranges, rules and secrets are written, and what is said when they are not."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anongw.address import Endpoint
from anongw.config.values import (
    Cidr,
    PasswordHash,
    Rule,
    Secret,
    duration_text,
    parse_duration,
    parse_listen,
    parse_size,
    size_text,
)

SALT, KEY = "A" * 22, "B" * 43
HASH = f"$scrypt$ln=14,r=8,p=1${SALT}${KEY}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("10s", 10), ("1.5s", 1.5), ("5m", 300), ("2h", 7200), ("1d", 86400), (0, 0)],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", 5, 5.0, True, False, "5 m", "-5s", "5M", "m", "1h30m", None, ["5s"]]
)
def test_a_duration_without_a_unit_says_how_to_write_it(text: object) -> None:
    with pytest.raises(ValueError, match='write "10s", "5m" or "2h"'):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(duration_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "count"), [(0, 0), (512, 512), ("512B", 512), ("32KiB", 32768), ("4 MiB", 4 << 20)]
)
def test_sizes(text: object, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "32", "32kb", -1, True, 1.0, "-1KiB"])
def test_a_size_says_how_to_write_it(text: object) -> None:
    with pytest.raises(ValueError, match='write 32768 or "32KiB"'):
        parse_size(text)


@given(st.integers(0, 1 << 40))
def test_a_size_reads_back(count: int) -> None:
    assert parse_size(size_text(count)) == count


@pytest.mark.parametrize(
    ("text", "written"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("FD00::/8", "fd00::/8"), ("::1", "::1/128")],
)
def test_ranges(text: str, written: str) -> None:
    assert str(Cidr(text)) == written
    assert Cidr(text) == Cidr(written)
    assert Cidr(text).network.network_address in Cidr(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10.0.0.1/8", 'write "10.0.0.0/8"'),
        ("10.0.0.0/33", "is not an address range"),
        ("example.org", "is not an address range"),
        ("fe80::%eth0/10", "is not an address range|does not begin"),
    ],
)
def test_a_bad_range_says_how_to_write_it(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        Cidr(text)


def test_a_range_of_one_family_holds_no_address_of_the_other() -> None:
    assert ipaddress.ip_address("::a00:1") not in Cidr("0.0.0.0/0")


ANY_PORT = range(1, 65536)


@pytest.mark.parametrize(
    ("text", "name", "exact", "network", "ports"),
    [
        ("*", "", False, None, ANY_PORT),
        ("*:25", "", False, None, range(25, 26)),
        ("example.org", "example.org", False, None, ANY_PORT),
        ("EXAMPLE.org.:80-81", "example.org", False, None, range(80, 82)),
        ("=example.org:443", "example.org", True, None, range(443, 444)),
        ("bücher.example", "xn--bcher-kva.example", False, None, ANY_PORT),
        ("192.0.2.7:22", "", False, "192.0.2.7/32", range(22, 23)),
        ("127.1", "", False, "127.0.0.1/32", ANY_PORT),
        ("192.0.2.0/24:1-1024", "", False, "192.0.2.0/24", range(1, 1025)),
        ("2001:db8::/32", "", False, "2001:db8::/32", ANY_PORT),
        ("2001:db8::1", "", False, "2001:db8::1/128", ANY_PORT),
        ("[2001:db8::/32]:443", "", False, "2001:db8::/32", range(443, 444)),
        ("[2001:db8::]/32", "", False, "2001:db8::/32", ANY_PORT),
    ],
)
def test_rules(text: str, name: str, exact: bool, network: str | None, ports: range) -> None:  # noqa: FBT001
    rule = Rule(text)
    assert (rule.name, rule.exact, rule.ports) == (name, exact, ports)
    assert rule.network == (ipaddress.ip_network(network) if network else None)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("*.example.org", 'write "example.org"'),
        (".example.org", 'write "example.org"'),
        ("example.org:", "is not a port"),
        ("example.org:0", "is not a port"),
        ("example.org:443-", "is not a port"),
        ("example.org:90-80", "is not a port"),
        ("example.org:65536", "is not a port"),
        ("exam ple.org", "neither a host name nor an address"),
        ("10.0.0.1/8", 'write "10.0.0.0/8"'),
        ("", "neither a host name nor an address"),
    ],
)
def test_a_bad_rule_says_how_to_write_it(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        Rule(text)


@pytest.mark.parametrize(
    ("rule", "name", "matches"),
    [
        ("example.org", "example.org", True),
        ("example.org", "www.example.org", True),
        ("example.org", "badexample.org", False),
        ("example.org", "example.org.evil.test", False),
        ("=example.org", "example.org", True),
        ("=example.org", "www.example.org", False),
        ("192.0.2.0/24", "example.org", False),
        ("192.0.2.0/24", "", False),
    ],
)
def test_a_suffix_ends_at_a_label(rule: str, name: str, matches: bool) -> None:  # noqa: FBT001
    assert Rule(rule).matches_name(name) is matches


def test_a_secret_shows_itself_to_nobody() -> None:
    for secret in (Secret("hunter2"), PasswordHash(HASH)):
        assert {str(secret), repr(secret), f"{secret}", f"{secret!r:>3}", f"{[secret]}"[1:-1]} == {"***"}
    assert Secret("hunter2").reveal() == "hunter2"
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret(HASH) != PasswordHash(HASH)


def test_a_hash_has_its_parameters() -> None:
    found = PasswordHash(HASH)
    assert (found.n, found.r, found.p, len(found.salt), len(found.key)) == (16384, 8, 1, 16, 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        f"$scrypt$ln=13,r=8,p=1${SALT}${KEY}",  # too cheap
        f"$scrypt$ln=17,r=8,p=1${SALT}${KEY}",  # 128 MiB a check
        f"$scrypt$ln=30,r=8,p=1${SALT}${KEY}",  # 1 TiB a check
        f"$scrypt$ln=14,r=99,p=1${SALT}${KEY}",
        f"$scrypt$ln=14,r=8,p=6${SALT}${KEY}",
        f"$scrypt$ln=14,r=8,p=0${SALT}${KEY}",
        f"$scrypt$ln=14,r=8,p=1$AAAA${KEY}",
        f"$scrypt$ln=14,r=8,p=1${SALT}$BBBB",
        f"$scrypt$ln=14,r=8,p=1${SALT}${KEY}B",
        f"$scrypt$ln=14,r=8,p=1${SALT}${KEY}BB",
        f"$scrypt$ln=14,p=1,r=8${SALT}${KEY}",
        f"$argon2id$ln=14,r=8,p=1${SALT}${KEY}",
        f"{HASH}\n",
    ],
)
def test_a_bad_hash_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="anongw passwd") as caught:
        PasswordHash(text)
    assert not text or text not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1:1080", Endpoint(ipaddress.ip_address("127.0.0.1"), 1080)),
        ("0.0.0.0:0", Endpoint(ipaddress.ip_address("0.0.0.0"), 0)),
        ("[::1]:1080", Endpoint(ipaddress.ip_address("::1"), 1080)),
        ("unix:/run/a.sock", Path("/run/a.sock")),
    ],
)
def test_listeners(text: str, where: Endpoint | Path) -> None:
    assert parse_listen(text) == where


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1080",
        ":1080",
        "localhost:1080",
        "::1:1080",
        "[127.0.0.1]:80",
        "[fe80::1%lo]:1",
        "unix:a.sock",
        "127.1:80",
    ],
)
def test_a_bad_listener_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match='write "'):
        parse_listen(text)


@pytest.mark.parametrize("port", ["", "-1", "65536", "http", "00"])
def test_a_listeners_port(port: str) -> None:
    with pytest.raises(ValueError, match="is not a port"):
        parse_listen(f"127.0.0.1:{port}")
