"""Where a hop is: strict, read once, and shown without its login."""

import ipaddress
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anongw.address import Endpoint
from anongw.config import Hop, HopUrl, Member, Secret
from anongw.config.hops import parse_pin

SCHEMES = {
    "socks5": "socks5",
    "socks5h": "socks5",
    "socks4": "socks4",
    "socks4a": "socks4",
    "http": "http",
    "https": "https",
    "SOCKS5H": "socks5",
}
HOSTS = st.one_of(
    st.from_regex(r"[a-z]([a-z0-9]{0,5})(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4),
    st.ip_addresses(v=6).filter(lambda address: not getattr(address, "ipv4_mapped", None)),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def bracketed(host: object) -> str:
    return f"[{host}]" if isinstance(host, ipaddress.IPv6Address) else str(host)


@given(
    st.sampled_from(sorted(SCHEMES)),
    st.one_of(st.none(), st.tuples(TEXTS, st.one_of(st.none(), TEXTS))),
    HOSTS,
    st.integers(1, 65535),
    st.sampled_from(["", "/"]),
)
def test_what_is_put_into_a_url_comes_out(
    scheme: str, login: tuple[str, str | None] | None, host: object, port: int, end: str
) -> None:
    user, password = login or (None, None)
    written = ""
    if user is not None:
        written = quote(user, safe="")
        written += f":{quote(password, safe='')}@" if password is not None else "@"
    url = HopUrl(f"{scheme}://{written}{bracketed(host)}:{port}{end}")
    assert url.scheme == SCHEMES[scheme]
    assert url.endpoint == Endpoint(host, port)  # type: ignore[arg-type] # an address or a name
    assert url.user == user
    assert (url.password.reveal() if url.password is not None else None) == password
    again = HopUrl(str(url))
    assert (again.scheme, again.endpoint, again.user) == (url.scheme, url.endpoint, None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("socks5h://EXAMPLE.org.", "socks5://example.org:1080"),
        ("socks4a://127.1:9050/", "socks4://127.0.0.1:9050"),
        ("socks5://[::1]", "socks5://[::1]:1080"),
        ("socks5://[::ffff:192.0.2.1]:1", "socks5://192.0.2.1:1"),
        ("http://proxy:3128", "http://proxy:3128"),
        ("https://bücher.example:443", "https://xn--bcher-kva.example:443"),
        ("socks5://alice:hunter2@h:1", "socks5://h:1"),
        ("direct", "direct"),
    ],
)
def test_each_has_one_spelling_without_its_login(text: str, shown: str) -> None:
    assert str(HopUrl(text)) == shown
    assert repr(HopUrl(text)) == f"HopUrl({shown!r})"


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [
        ("a:b@", "a", "b"),
        ("a:@", "a", ""),
        (":b@", "", "b"),
        ("@", "", None),
        ("a@", "a", None),
        ("a:b:c@", "a", "b:c"),
        ("u%40x:p%3Aw%2F@", "u@x", "p:w/"),
        ("%2540:%C3%BC@", "%40", "ü"),  # once, and not again
        ("a+b:c&d@", "a+b", "c&d"),  # a plus is a plus
        ("%7Btoken%7D:x@", "{token}", "x"),
    ],
)
def test_logins(login: str, user: str, password: str | None) -> None:
    url = HopUrl(f"socks5://{login}host")
    assert (url.user, url.password) == (user, None if password is None else Secret(password))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", 'write "socks5://HOST:PORT"'),
        ("127.0.0.1:9050", 'write "socks5://HOST:PORT"'),
        ("sock5://h:1", 'write "socks5://HOST:PORT"'),
        ("ftp://h:1", 'write "socks5://HOST:PORT"'),
        ("DIRECT", 'write "socks5://HOST:PORT"'),
        ("direct://", 'write "socks5://HOST:PORT"'),
        (" socks5://h:1", 'write "socks5://HOST:PORT"'),
        ("http://h", "HTTP proxies have no usual one"),
        ("https://h/", "HTTP proxies have no usual one"),
        ("socks5://h:", "from 1 to 65535"),
        ("socks5://h:0", "from 1 to 65535"),
        ("socks5://h:65536", "from 1 to 65535"),
        ("socks5://h:1080x", "from 1 to 65535"),
        ("socks5://h:1\n", "from 1 to 65535"),
        ("socks5://", "neither a name nor an address"),
        ("socks5://:1080", "neither a name nor an address"),
        ("socks5://1.2.3.4.5:1", "neither a name nor an address"),
        ("socks5://[fe80::1%25eth0]:1", "neither a name nor an address"),
        ("socks5://a b:1", "neither a name nor an address"),
        ("socks5://h%2e:1", "neither a name nor an address"),
        ("socks5://::1:1080", "cannot be told apart|from 1 to 65535"),
        ("socks5://[::1]1080", "cannot be told apart"),
        ("socks5://h:1/x", "no path"),
        ("socks5://h:1//", "no path"),
        ("socks5://h:1?x", "no path"),
        ("socks5://h:1#x", "no path"),
        ("socks5://a:b/c@h:1", "write / as %2F"),
        ("socks5://a:b@c@h:1", "@ as %40"),
        ("socks5://a:b%@h:1", "% as %25"),
        ("socks5://a:b%4@h:1", "% as %25"),
        ("socks5://a:b%zz@h:1", "% as %25"),
        ("socks5://a:b c@h:1", "percent-encoded"),
        ("socks5://a:ü@h:1", "percent-encoded"),
        ("socks5://a:%ff@h:1", "not UTF-8"),
        ("socks5://{token}:x@h:1", "percent-encoded"),
    ],
)
def test_what_is_no_hop_says_how_to_write_it(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        HopUrl(text)


@given(st.text(max_size=40).map(lambda text: text.replace("hunter2", "")), st.text(max_size=10))
def test_no_url_that_is_wrong_is_quoted(before: str, after: str) -> None:
    for text in (
        f"{before}hunter2{after}",
        f"socks5://{before}hunter2{after}",
        f"http://a:{before}hunter2@{after}",
    ):
        try:
            url = HopUrl(text)
        except ValueError as error:
            assert "hunter2" not in str(error)  # noqa: PT017 (either outcome is right)
        else:
            # What can be shown is a host, never a login.
            assert "hunter2" not in str(url) or "hunter2" in str(url.endpoint)


def test_hops_are_compared_with_their_logins() -> None:
    plain, alice, bob = (HopUrl(f"socks5://{login}h") for login in ("", "alice:a@", "alice:b@"))
    assert plain == HopUrl("socks5h://h:1080/")
    assert alice == HopUrl("socks5://alice:a@h:1080")
    assert len({plain, alice, bob, HopUrl("socks5://h")}) == 3
    assert plain != "socks5://h:1080"


def test_a_member_shows_neither_user_nor_password() -> None:
    url = HopUrl("socks5://alice:hunter2@h")
    member = Member(url=url, user="alice", password=Secret("hunter2"))
    for text in (repr(member), str(member), repr(Hop(members=(member,))), f"{[url]}"):
        assert not re.search("alice|hunter2", text)
        assert "socks5://h:1080" in text


def test_a_pin() -> None:
    assert parse_pin("sha256/" + "A" * 43 + "=") == bytes(32)
    assert Member(url=HopUrl("https://h:1"), pin="sha256/" + "/" * 42 + "8=").pinned == b"\xff" * 32
    assert Member(url=HopUrl("https://h:1")).pinned == b""


@pytest.mark.parametrize(
    "text",
    ["", "sha256/", "A" * 43 + "=", "sha256/" + "A" * 43, "sha1/" + "A" * 43 + "=", "sha256/" + "A" * 44],
)
def test_what_is_no_pin(text: str) -> None:
    with pytest.raises(ValueError, match="44 signs"):
        parse_pin(text)
