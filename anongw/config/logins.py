"""What user and password a hop of each kind can be told. Pure, and no message quotes either.

What a protocol cannot carry is refused here, because libraries and proxies disagree on what becomes of it:
half a login is dropped without a word by some, and the connection then made without any.
"""

from typing import Literal

from anongw.config.hops import TOKEN, TOKEN_LENGTH, Isolation, Scheme
from anongw.config.values import Secret

Key = Literal["user", "password", "isolation"]  # which of them is wrong

# RFC 1929 §2: ULEN and PLEN are one octet, 1 to 255. SOCKS4 sets no end; proxies read about as much.
_SOCKS_MOST = 255
_HALF = "is missing: it takes a user and a password, or neither"
_C0_END, _C1 = 0x20, range(0x7F, 0xA0)


def login_fault(
    scheme: Scheme, user: str | None, password: Secret | None, isolation: Isolation
) -> tuple[Key, str] | None:
    """What is wrong with a login, or None."""
    for key, text in (("user", user), ("password", password.reveal() if password else None)):
        if text is not None and any(ord(sign) < _C0_END or ord(sign) in _C1 for sign in text):
            return ("user" if key == "user" else "password"), "holds a control character"
    if isolation != "off" and (user is not None or password is not None):
        return "isolation", (
            f"its login is the token: leave out user and password, or leave isolation off and write {TOKEN} "
            "into the user"
        )
    match scheme:
        case "socks5":
            return _socks5(user, password)
        case "socks4":
            return _socks4(user, password)
        case _:
            return _basic(user, password)


def _socks5(user: str | None, password: Secret | None) -> tuple[Key, str] | None:
    if user is None and password is None:
        return None
    if user is None or password is None:
        return ("user" if user is None else "password"), _HALF
    if not 0 < _length(user) <= _SOCKS_MOST:
        return "user", f"SOCKS5 takes users of 1 to {_SOCKS_MOST} bytes"
    if not 0 < _length(password.reveal()) <= _SOCKS_MOST:
        return "password", f"SOCKS5 takes passwords of 1 to {_SOCKS_MOST} bytes"
    return None


def _socks4(user: str | None, password: Secret | None) -> tuple[Key, str] | None:
    if password is not None:
        return "password", "SOCKS4 has no passwords: use socks5, or leave it out"
    # The request ends its user with a NUL, which as a control character is refused above.
    if user is not None and not (user.isascii() and 0 < _length(user) <= _SOCKS_MOST):
        return "user", f"SOCKS4 takes users of 1 to {_SOCKS_MOST} ASCII signs"
    return None


def _basic(user: str | None, password: Secret | None) -> tuple[Key, str] | None:
    if (user is None) != (password is None):
        return ("user" if user is None else "password"), _HALF
    # RFC 7617 §2: a user-id with a colon cannot be told from its password.
    if user is not None and ":" in user:
        return "user", "HTTP takes no colon in a user"
    return None


def _length(text: str) -> int:
    return len(text.replace(TOKEN, "x" * TOKEN_LENGTH).encode())
