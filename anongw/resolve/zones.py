"""Which names are nobody's business but this network's. Pure functions over canonical names."""

from collections.abc import Mapping
from typing import TypeVar

from anongw.address import suffixes
from anongw.errors import Reason, Refused

V = TypeVar("V")

# These mean something on this machine or network only, or nothing at all: RFC 6761 (localhost, invalid,
# test), RFC 6762 (local), RFC 7686 (onion), RFC 8375 (home.arpa), RFC 9476 (alt), ICANN 2024 (internal).
# I2P's i2p is reserved nowhere, and just as nameless to a public resolver. To ask a resolver would tell it
# what this network is like, and answer nothing.
PRIVATE_SUFFIXES = frozenset(
    {"localhost", "local", "internal", "onion", "home.arpa", "invalid", "alt", "test", "i2p"}
)


def is_private(name: str) -> bool:
    """Never to be asked of a public resolver. A name without a dot is local by its nature too."""
    return "." not in name or any(suffix in PRIVATE_SUFFIXES for suffix in suffixes(name))


def longest(name: str, zones: Mapping[str, V]) -> V | None:
    """What the longest suffix of `name` in `zones` leads to."""
    return next((zones[suffix] for suffix in suffixes(name) if suffix in zones), None)


def chosen(name: str, zones: Mapping[str, V], otherwise: V) -> V:
    """What is asked for `name`: what its zone leads to, `otherwise` where it lies in none.

    Raises:
        Refused: PRIVATE_NAME where only a zone of its own could be asked.
    """
    zone = longest(name, zones)
    if zone is not None:
        return zone
    if is_private(name):
        raise Refused(Reason.PRIVATE_NAME, name)
    return otherwise
