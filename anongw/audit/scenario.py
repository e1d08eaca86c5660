"""A scenario: a name, and what its clients do; the errand that most go by, and what is certain of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from anongw.audit.scene import Scene
from anongw.audit.ways import Errand
from anongw.config import Config, Spoken

Play = Callable[[Scene], None]

IDLE: Final = 0.3  # seconds of nobody's wanting anything
# RFC 6761, 6762, 7686, 8375 and 9476: whether such names are carried depends on more than a route.
_SPECIAL: Final = ("localhost", "local", "internal", "onion", "home.arpa", "invalid", "alt", "test", "i2p")


@dataclass(frozen=True)
class Scenario:
    """`play` says what is asked and what should come of it, where that is certain. The checks judge."""

    name: str
    play: Play


def main_errand(errands: list[Errand]) -> Errand:
    """The one that most scenarios go by: of those that arrive the last, which asks for the least."""
    arriving = [one for one in errands if one.arrives and not one.literal and not one.exact]
    return arriving[-1] if arriving else errands[-1]


def known(config: Config, errand: Errand, spoken: Spoken) -> bool | None:
    """Whether it should be carried, where that is certain."""
    if not errand.arrives or (config.users and spoken == "socks4"):
        return False
    special = any(f".{errand.suffix}".endswith(f".{one}") for one in _SPECIAL)
    return None if special or errand.literal or errand.suffix in config.resolve.hosts else True
