"""What a chain is made of: where a hop is (`HopUrl`), one upstream (`Member`), one position (`Hop`).

A URL is read once, strictly, and no message, `str` or `repr` of anything here shows a user or a password: a
URL that is wrong may hold its password in any of its parts, so no part of it is ever quoted.
"""

import binascii
import re
from typing import Literal

from msgspec import Struct

from anongw.address import Endpoint, parse_host, parse_port
from anongw.config.values import AtLeastOne, Count, Seconds, Secret, Written
from anongw.errors import Refused

Scheme = Literal["socks5", "socks4", "http", "https", "direct"]
Strategy = Literal["fail-over", "round-robin", "random", "least-used"]
Isolation = Literal["off", "auth", "tor"]

# A name always travels to the hop, so that the spellings which say so (curl's) mean nothing more here.
_SCHEMES: dict[str, Scheme] = {
    "socks5": "socks5",
    "socks5h": "socks5",
    "socks4": "socks4",
    "socks4a": "socks4",
    "http": "http",
    "https": "https",
}
# RFC 1928 §3 gives SOCKS its port. HTTP proxies stand at 80, 3128, 8080 or 8443: there is none to assume.
_SOCKS_PORT = 1080
_URL = re.compile(
    r"(?P<scheme>[A-Za-z0-9+.-]+)://(?:(?P<login>[^/?#]*)@)?(?P<place>[^/?#@]*)(?P<rest>.*)", re.DOTALL
)
_PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
# RFC 3986 §3.2.1: unreserved, percent-encoded, sub-delims and colons, the first of which ends the user.
_LOGIN_PART = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_PIN = re.compile(r"sha256/([A-Za-z0-9+/]{43}=)")
# What `user` may hold in the place of an isolation token, and how long tokens are.
TOKEN = "{token}"  # noqa: S105 (where one goes, no secret)
TOKEN_LENGTH = 32


class HopUrl(Written):
    """Where a hop is and how it is spoken to: `socks5://USER:PASSWORD@HOST:PORT`, or `direct`.

    Shown without user and password; compared with them.
    """

    __slots__ = ("endpoint", "password", "scheme", "user")

    scheme: Scheme
    endpoint: Endpoint  # means nothing where the scheme is "direct"
    user: str | None
    password: Secret | None

    def __init__(self, text: str) -> None:
        self.user = self.password = None
        if text == "direct":
            self.scheme, self.endpoint = "direct", Endpoint("direct", 0)
            super().__init__(text)
            return
        parts = _URL.fullmatch(text)
        scheme = _SCHEMES.get(parts["scheme"].lower()) if parts else None
        if not parts or not scheme:
            raise ValueError('write "socks5://HOST:PORT"; or socks4a, http or https; or "direct" alone')
        if parts["rest"] not in ("", "/"):
            raise ValueError(
                "a hop has no path, query or fragment; in a login write / as %2F, ? as %3F and # as %23"
            )
        self.scheme, self.endpoint = scheme, _endpoint(scheme, parts["place"])
        if parts["login"] is not None:
            user, colon, password = parts["login"].partition(":")
            self.user = _decoded(user)
            self.password = Secret(_decoded(password)) if colon else None
        super().__init__(f"{scheme}://{self.endpoint}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HopUrl) and other._key() == self._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.text, self.user, self.password


def _endpoint(scheme: Scheme, place: str) -> Endpoint:
    parts = _PLACE.fullmatch(place)
    if parts is None:
        raise ValueError(
            f'its host and port cannot be told apart: write "{scheme}://HOST:PORT", IPv6 in [...]'
        )
    if parts["port"] is None and scheme in ("http", "https"):
        raise ValueError(f'its port is missing: HTTP proxies have no usual one; write "{scheme}://HOST:PORT"')
    try:
        port = _SOCKS_PORT if parts["port"] is None else parse_port(parts["port"])
    except Refused:
        raise ValueError("its port is not a number from 1 to 65535") from None
    try:
        return Endpoint(parse_host(parts["host"]), port)
    except Refused:
        raise ValueError("its host is neither a name nor an address") from None


def _decoded(text: str) -> str:
    """RFC 3986 §2.4: decoded once and not again, so that `%2540` is `%40` and stays it."""
    if not _LOGIN_PART.fullmatch(text):
        raise ValueError("in a user or password write every other sign percent-encoded: @ as %40, % as %25")
    raw = re.sub(rb"%(..)", lambda found: binascii.unhexlify(found[1]), text.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError("its user or password is not UTF-8 once decoded") from None


class Member(Struct, frozen=True, kw_only=True):
    """One upstream proxy of a position; `user` and `password` are its login, from wherever it was read."""

    url: HopUrl
    user: str | None = None
    password: Secret | None = None
    ca_file: str = ""
    pin: str = ""
    server_name: str = ""
    isolation: Isolation = "off"

    def __repr__(self) -> str:
        return f"Member({self.url})"

    @property
    def pinned(self) -> bytes:
        """The SHA-256 of the key that the hop has to show; b"" where its certificate is judged instead."""
        return parse_pin(self.pin) if self.pin else b""


class Hop(Struct, frozen=True, kw_only=True):
    """One position of a chain: one upstream, or a pool of them and how one is chosen."""

    members: tuple[Member, ...]
    strategy: Strategy = "fail-over"
    pick: AtLeastOne = 1
    sticky: Seconds = 600.0
    sticky_count: Count = 0


def parse_pin(text: str) -> bytes:
    """RFC 7469 §2.4: a key is named by the SHA-256 of its SubjectPublicKeyInfo."""
    found = _PIN.fullmatch(text)
    if not found:
        raise ValueError('a pin is "sha256/" and 44 signs of base64')
    return binascii.a2b_base64(found[1])
