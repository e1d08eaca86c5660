"""The one layer between what the gateway knows and what it says of it: log lines, status, identity lists.

Rules that hold here:
- Text that is said is `Shown`, and only this file makes one (a test reads all the others): a word of the
  config, the kind of a failure, a count by reason, or a name. mypy lets a log line take nothing else.
- A name (a user, a client, an identity) is said as a pseudonym: a keyed hash, cut short. The key is random,
  in memory only, and another one every hour, which the one before cannot be computed from. So a log that is
  stolen links no two hours, and not even its gateway can say any more whom an old line meant.
- `log.names` has names said as they are, and is the only way to.
"""

import enum
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NewType

from anongw.errors import Reason

# Seconds that a pseudonym lasts: long enough to follow a fault, too short for a diary.
ROTATE_EVERY = 3600.0
_KEY_BYTES = 32
# Of 40 bits: two of a thousand identities meet once in two million hours.
_SHOWN_BYTES = 5
_MARK = "~"

Shown = NewType("Shown", str)


class Kind(enum.Enum):
    """What a name is of. The value stands in front of its pseudonyms."""

    IDENTITY = "identity"
    USER = "user"
    CLIENT = "client"
    TARGET = "target"


def setting(text: str) -> Shown:
    """What the user's own config calls something, or says: a chain, a listener, a hop without its login."""
    return Shown(text)


def kind_of(failure: BaseException | type[BaseException]) -> Shown:
    """The type of an exception; never its text, which may quote what it failed on."""
    return Shown(failure.__name__ if isinstance(failure, type) else type(failure).__name__)


def place(module: object, line: int) -> Shown:
    """Where in our code, by the module's name and not its path, which holds a home directory."""
    return Shown(f"{module}:{line}")


def settings(names: Iterable[str]) -> Shown:
    """The names of settings; "nothing" where there are none."""
    return Shown(", ".join(names) or "nothing")


def counts(found: Mapping[Reason, int]) -> Shown:
    """How often what was refused, the most frequent first."""
    ordered = sorted(found.items(), key=lambda one: -one[1])
    return Shown(", ".join(f"{count} {reason.value}" for reason, count in ordered) or "none")


class Privacy:
    """Says names, by the rules above. `now` is in seconds; workers that share `root` say the same pseudonyms.

    `names`: `log.names`, which a reload may change.
    """

    def __init__(
        self, *, names: bool = False, root: bytes | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.names = names
        self._now = now
        self._period = 0
        self._key = root or secrets.token_bytes(_KEY_BYTES)
        self._before = self._key
        self.turn()

    def say(self, kind: Kind, name: str) -> Shown:
        """A name as it may be said now."""
        if self.names:
            return Shown(name)
        self.turn()
        return _pseudonym(self._key, kind, name)

    def forget(self, nonce: str) -> None:
        """Have other pseudonyms from now on, and understand none of those before."""
        self.turn()
        self._key = hashlib.blake2b(nonce.encode(), key=self._key, digest_size=_KEY_BYTES).digest()
        self._before = self._key

    def means(self, kind: Kind, said: str, name: str) -> bool:
        """Whether somebody who says this means the name: by itself, or by its pseudonym.

        That of the last hour counts too, because whoever was shown it needs a moment to say it back.
        """
        self.turn()
        return said in (name, _pseudonym(self._key, kind, name), _pseudonym(self._before, kind, name))

    def turn(self) -> None:
        """Go on to the key of this hour; those before the last are gone for good."""
        period = int(self._now() // ROTATE_EVERY)
        while self._period < period:
            self._before = self._key
            # One way only: whoever finds this key in memory cannot read what was said under the last.
            self._key = hashlib.blake2b(b"next", key=self._key, digest_size=_KEY_BYTES).digest()
            self._period += 1


def _pseudonym(key: bytes, kind: Kind, name: str) -> Shown:
    data = f"{kind.value} {name}".encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(data, key=key, digest_size=_SHOWN_BYTES).hexdigest()
    return Shown(f"{kind.value}{_MARK}{digest}")
