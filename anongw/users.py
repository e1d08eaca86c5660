"""Is this password right? Memory-hard hashes, checked off the loop, one at a time.

Rules: a check costs 16 MiB and 50 ms whoever asks, so a flood of log-ins may neither run side by side
(memory) nor wait without end (time). An unknown name costs what a known one does. A password that was right
is remembered as a digest under a key that dies with the process; wrong ones are not remembered at all.
Authentication is per connection, never per client address.
"""

import hashlib
import hmac
import os
import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping

import anyio
import anyio.to_thread

from anongw.config import PasswordHash
from anongw.errors import Reason, Refused

# RFC 1929 §2: PLEN is one octet.
PASSWORD_MOST = 255
# scrypt's own allowance for a check; the hash's parameters, bounded by PasswordHash, need 64 MiB at the most.
_MEMORY_MOST = 96 << 20
_OURS = (1 << 14, 8, 1)  # n, r, p
_SALT_BYTES = 16
_KEY_BYTES = 32


def hash_password(password: str | bytes) -> str:
    """A password as the text that stands in a config: scrypt, n = 2**14, r = 8, p = 1, a salt of its own.

    Raises:
        ValueError: it is empty, longer than SOCKS can carry, or holds a NUL.
    """
    data = password.encode() if isinstance(password, str) else password
    if not 0 < len(data) <= PASSWORD_MOST or b"\0" in data:
        raise ValueError(f"a password has 1 to {PASSWORD_MOST} bytes and no NUL")
    salt = secrets.token_bytes(_SALT_BYTES)
    n, r, p = _OURS
    key = hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_MOST, dklen=_KEY_BYTES)
    return f"$scrypt$ln={n.bit_length() - 1},r={r},p={p}${_unpadded(salt)}${_unpadded(key)}"


def parse_hash(text: str) -> PasswordHash:
    """Read what `hash_password` made.

    Raises:
        ValueError: it is something else, or would cost too much to check, or too little.
    """
    return PasswordHash(text)


def verify(password: bytes, right: PasswordHash) -> bool:
    """Whether a password is the one. Takes 50 ms without the GIL, however wrong the password is."""
    key = hashlib.scrypt(
        password, salt=right.salt, n=right.n, r=right.r, p=right.p, maxmem=_MEMORY_MOST, dklen=_KEY_BYTES
    )
    # RFC 2104 §2: HMAC, below scrypt, fills a short key up with NULs, so that more of them change nothing.
    return hmac.compare_digest(key, right.key) and b"\0" not in password


class Users:
    """Names and their hashes; which passwords were right since the start."""

    def __init__(self, hashes: Mapping[str, PasswordHash], queue_most: int) -> None:
        self._hashes = {name.encode(): right for name, right in hashes.items()}
        self._dummy = _unmatched(self._hashes.values())
        self._queue_most = queue_most
        self._waiting = 0
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._process_key = os.urandom(_KEY_BYTES)
        # One digest for each user at the most: a user has one right password.
        self._right: dict[bytes, bytes] = {}

    def remembered(self, name: bytes, password: bytes) -> bool:
        """Whether this very pair was found right before. Takes microseconds."""
        right = self._right.get(name)
        return right is not None and hmac.compare_digest(right, self._digest(name, password))

    async def check(self, name: bytes, password: bytes) -> bool:
        """Whether this name has this password.

        Raises:
            Refused: TOO_MANY, if as many others wait for theirs as may.
        """
        if self.remembered(name, password):
            return True
        if self._waiting >= self._queue_most:
            raise Refused(Reason.TOO_MANY, "passwords to check")
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                # A browser's first six connections come at once: the first check answers for all.
                if self.remembered(name, password):
                    return True
                right = await anyio.to_thread.run_sync(self._verify, name, password)
                if right:
                    self._right[name] = self._digest(name, password)
                return right
        finally:
            self._waiting -= 1

    def forget(self, name: bytes | None = None) -> None:
        """Check a user's password anew the next time; everybody's, where no name is said."""
        if name is None:
            self._right.clear()
        else:
            self._right.pop(name, None)

    def _verify(self, name: bytes, password: bytes) -> bool:
        known = self._hashes.get(name)
        matches = verify(password, known or self._dummy)
        return matches and known is not None

    def _digest(self, name: bytes, password: bytes) -> bytes:
        # The length first, so that no other pair makes the same bytes.
        return hashlib.blake2b(
            len(name).to_bytes(4) + name + password, key=self._process_key, digest_size=_KEY_BYTES
        ).digest()


def _unmatched(hashes: Iterable[PasswordHash]) -> PasswordHash:
    """A hash that no password has, as dear to check as the dearest: what an unknown name is held against."""
    n, r, p = max(((one.n, one.r, one.p) for one in hashes), default=_OURS)
    salt, key = (_unpadded(secrets.token_bytes(count)) for count in (_SALT_BYTES, _KEY_BYTES))
    return PasswordHash(f"$scrypt$ln={n.bit_length() - 1},r={r},p={p}${salt}${key}")


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
