"""What each protocol can carry as a login."""

import pytest

from anongw.config import TOKEN, Isolation, Scheme, Secret
from anongw.config.logins import login_fault


def fault(scheme: Scheme, user: str | None, password: str | None, isolation: Isolation = "off") -> str:
    found = login_fault(scheme, user, None if password is None else Secret(password), isolation)
    return f"{found[0]}: {found[1]}" if found else ""


@pytest.mark.parametrize(
    ("scheme", "user", "password"),
    [
        ("socks5", None, None),
        ("socks5", "a", "b"),
        ("socks5", "a" * 255, "b" * 255),
        ("socks5", "a:b", "ü"),
        ("socks5", "x" * 223 + TOKEN, "b"),
        ("socks4", None, None),
        ("socks4", "a" * 255, None),
        ("http", None, None),
        ("http", "a", ""),
        ("http", "", "b:c"),
        ("https", "ü", "x" * 4096),
        ("direct", None, None),
    ],
)
def test_what_can_be_carried(scheme: Scheme, user: str | None, password: str | None) -> None:
    assert fault(scheme, user, password) == ""


@pytest.mark.parametrize(
    ("scheme", "user", "password", "says"),
    [
        ("socks5", "a", None, "password: is missing"),
        ("socks5", None, "b", "user: is missing"),
        ("socks5", "", "b", "user: SOCKS5 takes users of 1 to 255 bytes"),
        ("socks5", "a", "", "password: SOCKS5 takes passwords of 1 to 255 bytes"),
        ("socks5", "a" * 256, "b", "user: SOCKS5"),
        ("socks5", "a", "ü" * 128, "password: SOCKS5"),
        ("socks5", "x" * 224 + TOKEN, "b", "user: SOCKS5"),  # what the token becomes is longer
        ("socks4", "a", "b", "password: SOCKS4 has no passwords"),
        ("socks4", None, "b", "password: SOCKS4 has no passwords"),
        ("socks4", "", None, "user: SOCKS4 takes"),
        ("socks4", "ü", None, "user: SOCKS4 takes"),
        ("socks4", "a" * 256, None, "user: SOCKS4 takes"),
        ("socks4", "a\0b", None, "user: holds a control character"),
        ("http", "a", None, "password: is missing"),
        ("https", None, "b", "user: is missing"),
        ("http", "a:b", "c", "user: HTTP takes no colon"),
        ("http", "a\r\nX: y", "b", "user: holds a control character"),
        ("http", "a", "b\n", "password: holds a control character"),
        ("socks5", "a", "\x7f", "password: holds a control character"),
        ("socks5", "a", "\x85", "password: holds a control character"),
    ],
)
def test_what_cannot(scheme: Scheme, user: str | None, password: str | None, says: str) -> None:
    assert fault(scheme, user, password).startswith(says)


@pytest.mark.parametrize("isolation", ["auth", "tor"])
@pytest.mark.parametrize("scheme", ["socks5", "socks4", "http", "https"])
def test_a_token_is_a_login_by_itself(scheme: Scheme, isolation: Isolation) -> None:
    assert fault(scheme, None, None, isolation) == ""
    for user, password in (("a", None), ("a", "b"), (None, "b")):
        assert fault(scheme, user, password, isolation).startswith("isolation: its login is the token")


def test_nothing_is_quoted() -> None:
    for scheme in ("socks5", "socks4", "http"):
        for user, password in (
            ("hunter2:\n", "x"),
            ("hunter2", None),
            (None, "hunter2"),
            ("hunter2:" * 50, "hunter2" * 50),
        ):
            assert "hunter2" not in fault(scheme, user, password)
