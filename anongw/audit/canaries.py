"""What is planted, so that it can be looked for: nothing of the user's own is ever sent anywhere.

Every text here is one that nobody writes by chance. Of a name that a client asks for, who may read it depends
on its way (ways.py); of everything else, nobody outside may.
"""

import base64
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from anongw import __version__
from anongw.lab.server import Place

ZONE: Final = "canary-zone.example"
USER: Final = "canary-user-q7x"
PASSWORD: Final = "canary-password-w3k"  # noqa: S105 - it is to be found
MACHINE: Final = "canary-machine-z9"  # the host name of the gateway's machine

# Lines of a plain request that no profile passes on. Values are looked for, so none is another's part.
HEADERS: Final[Mapping[str, str]] = {
    "X-Forwarded-For": "198.18.7.1",
    "Forwarded": "for=198.18.7.2",
    "Via": "1.1 canary-via-k2",
    "X-Real-IP": "198.18.7.3",
    "Client-IP": "198.18.7.4",
    "True-Client-IP": "198.18.7.5",
    "CF-Connecting-IP": "198.18.7.6",
    "From": "canary-from@example.org",
    "Referer": "http://canary-referer.example/page",
    "User-Agent": "CanaryBrowser/7.1 (canary)",
    "Accept-Language": "xx-CANARY",
    "If-None-Match": '"canary-tag-m4"',
    "X-UIDH": "canary-subscriber-t5",
    "Sec-CH-UA": '"CanaryHint";v="7"',
    "DNT": "canary-dnt",
    "Traceparent": "00-ca9a12ca9a12ca9a12ca9a12ca9a12ca-ca9a12ca9a12ca9a-01",
    "X-Client-Data": "canary-client-data",
    "Proxy-Connection": "canary-proxy-connection",
    "Keep-Alive": "canary-keep-alive",
    "X-Canary-Named": "canary-named-by-connection",
}
# What Connection names beside its own word, so that the last one is hop-by-hop.
NAMING: Final = "X-Canary-Named"


@dataclass(frozen=True)
class Secret:
    """Something planted, and on the way to whom it may be read (`wire`) or who may be told it (`heard`)."""

    kind: str  # which check looks for it
    says: str  # what it is, for the reader of a verdict
    forms: tuple[bytes, ...]  # in lower case, as they are looked for
    wire: frozenset[Place] = field(default_factory=frozenset)
    heard: frozenset[Place] = field(default_factory=frozenset)

    def found(self, data: bytes) -> bool:
        """Whether `data`, in lower case, holds it."""
        return any(form in data for form in self.forms)


def secret(kind: str, says: str, *texts: str | bytes) -> Secret:
    """One that nobody may read."""
    forms = tuple(one.encode().lower() if isinstance(one, str) else one.lower() for one in texts)
    return Secret(kind, says, forms)


def login(kind: str, says: str, user: str, password: str) -> list[Secret]:
    """User and password, and the two as HTTP's Basic writes them."""
    basic = base64.b64encode(f"{user}:{password}".encode())
    found = [secret(kind, f"the user of {says}", user)] if user else []
    if password:
        found.append(secret(kind, f"the password of {says}", password))
    return [*found, secret(kind, f"the login of {says}", basic)]


def address(kind: str, says: str, text: str) -> Secret:
    """As text; as SOCKS5 writes it behind a kind, and DNS behind a length; IPv6 as it is."""
    parsed = ipaddress.ip_address(text)
    if parsed.version == 6:  # noqa: PLR2004 - IPv6
        return secret(kind, says, text, parsed.packed)
    return secret(kind, says, text, b"\x01" + parsed.packed, b"\x00\x04" + parsed.packed)


def always(kept: Iterable[str]) -> list[Secret]:
    """What no party outside may ever read. `kept`: headers that the user's own rules let pass."""
    passes = {name.lower() for name in kept}
    lines = [
        secret("headers", f"the client's {name}", value)
        for name, value in HEADERS.items()
        if name.lower() not in passes
    ]
    own = [
        secret("gateway", "the machine's host name", MACHINE),
        secret("gateway", "the gateway's own name or version", "anongw", f"/{__version__}"),
    ]
    return [*login("login", "the client", USER, PASSWORD), *lines, *own]
