"""What a name means, whatever its spelling: a table that works a name out once and remembers it.

- A name is judged in lower case, whole; one that is no token (RFC 9110 §5.6.2) is refused.
- A name that a server could read as another one is that other one: CGI (RFC 3875 §4.1.18) and Apache turn
  every sign that is no letter or digit into "_", so `X_Forwarded_For` is treated like `X-Forwarded-For`.
- Nothing here knows a value or a profile: `scrub.py` does. The names themselves stand in `headers.py`, each
  with the reason for what becomes of it, which is carried along and read by nobody but `difference.py`.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from anongw.errors import Reason, Refused

# RFC 9110 §5.6.2: token = 1*tchar
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Fate(enum.Enum):
    """What becomes of a line, before its value is looked at."""

    STRICT = "s"  # passes in every profile
    BALANCED = "b"  # passes in `balanced` and `open`, not in `strict`
    UNKNOWN = "unknown"  # on no list: `open` lets a request's pass, the others drop and count it
    DROP = "drop"  # on a drop row, or written by the gateway itself
    JUDGE = "judge"  # an answer's line that passes by its value; see values.py


@dataclass(frozen=True, slots=True)
class Known:
    """A name, understood: lower case for comparing, one spelling for sending.

    No tuple: one is read for every line, and Python 3.11 takes a tuple with names apart much more slowly than
    it reads two slots.
    """

    key: bytes
    fate: Fate
    name: bytes
    why: str


Row = tuple[Fate, str]  # what becomes of a name, and why
_UNLISTED: Row = (Fate.UNKNOWN, "no list names it")
_DISGUISED = "a server may take it for {}, which is never written so"
_HINTED = "its name speaks of an address"


_SIGNS = bytes(sign for sign in range(128) if not chr(sign).isalnum())
_AS_HYPHEN = bytes.maketrans(_SIGNS, b"-" * len(_SIGNS))


def folded(key: bytes) -> bytes:
    """The name that a server may take this one for (see the second rule above)."""
    return key.translate(_AS_HYPHEN)


def canonical(name: bytes) -> bytes:
    """`x-my-header` and `X-MY-HEADER` as `X-My-Header`."""
    return b"-".join(part.capitalize() for part in name.split(b"-"))


class Names(dict[bytes, Known]):
    """A table of names by every spelling met so far; an unseen one is worked out on first sight.

    Bounded on both sides, so that nobody can fill memory with invented names: beyond the bounds a name is
    worked out each time. The spellings of the lists are there from the start and are never crowded out.
    """

    SPELLINGS_MOST = 2048  # entries; real clients between them use a few hundred
    NAME_MOST = 64  # bytes; the longest on our lists has 35

    def __init__(
        self,
        rows: Mapping[bytes, Row],
        prefixes: Mapping[bytes, Row],
        hints: tuple[bytes, ...],
        fault: Reason,
    ) -> None:
        super().__init__()
        self._rows = {
            name.lower(): Known(name.lower(), fate, name, why) for name, (fate, why) in rows.items()
        }
        self._prefixes = prefixes
        self._hints = hints
        self._fault = fault
        for known in self._rows.values():
            self[known.key] = self[known.name] = self[canonical(known.key)] = known

    def __missing__(self, name: bytes) -> Known:
        """Work a spelling out.

        Raises:
        Refused: the table's fault where the name is no token.
        """
        if not TOKEN.fullmatch(name):
            raise Refused(self._fault, "a header name that is no token")
        known = self._work_out(name.lower())
        if len(self) < self.SPELLINGS_MOST and len(name) <= self.NAME_MOST:
            self[name] = known
        return known

    def _work_out(self, key: bytes) -> Known:
        plain = folded(key)
        known = self._rows.get(plain) or self._by_part(plain)
        if plain != key and known.fate is not Fate.UNKNOWN:
            # A disguise, or a program that will not miss it: no name on our lists has such a sign.
            return Known(key, Fate.DROP, canonical(key), _DISGUISED.format(known.name.decode()))
        return replace(known, key=key, name=canonical(key)) if plain != key else known

    def _by_part(self, key: bytes) -> Known:
        for prefix, row in self._prefixes.items():
            if key.startswith(prefix):
                return _known(key, row)
        hinted = any(hint in key for hint in self._hints)
        return _known(key, (Fate.DROP, _HINTED) if hinted else _UNLISTED)


def _known(key: bytes, row: Row) -> Known:
    fate, why = row
    return Known(key, fate, canonical(key), why)
