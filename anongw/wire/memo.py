"""What was worked out before on one connection, so that it need not be worked out again.

A client sends the same header lines with nearly every request of a kept connection, and asks the same
origins.

Rules: a memo belongs to one client's connection and ends with it; no other connection ever reads it, so that
nobody can tell by time what another one has done. It is bounded in number; whoever fills it bounds the size
of each entry. What must not outlive its request (a password for the gateway) is never put in.
"""

from typing import TypeVar

# Header lines and origins longer than this, in bytes, are understood anew each time: a memo holds what is
# usual.
REMEMBERED_MOST = 2048

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """The latest results by what they are of; once `most` are there it begins anew."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def remember(self, key: K, value: V) -> None:
        if len(self) >= self._most and key not in self:
            self.clear()
        self[key] = value
