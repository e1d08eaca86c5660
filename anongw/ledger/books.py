"""All that workers know together, as the process that they are forked from opens it."""

import mmap
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Self

from anongw.ledger.purse import Purse, bury, purse_numbers
from anongw.ledger.rows import Rows, rows_bytes
from anongw.ledger.table import KEY_BYTES, Lock, Table, table_bytes
from anongw.ledger.tally import OwnTally, SharedTally, Tally, tally_bytes


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one worker has of it; or a gateway that is alone, which shares nothing.

    `key`: 32 random bytes, the same for all workers of one start and kept nowhere. Tokens and digests are
    made under it, so that an identity has the same ones whichever worker it comes to.
    """

    key: bytes = field(repr=False)
    index: int  # of this worker, from 0
    workers: int
    tally: Tally
    stays: Table | None = None
    standings: Rows | None = None
    accounts: Rows | None = None

    def name(self, *parts: str) -> bytes:
        """A key for a table: a digest from which nobody can tell what it is of."""
        digest = blake2b(key=self.key, digest_size=KEY_BYTES)
        for part in parts:
            data = part.encode()
            # The length first, so that no other parts make the same bytes.
            digest.update(len(data).to_bytes(4) + data)
        return digest.digest()

    def purse(self, user: str, until: float) -> Purse:
        """What a user holds and has spent, until the day ends at this moment if it is the first."""
        if self.accounts is None:
            return Purse(until)
        row = self.accounts.row(self.name("account", user))
        return Purse(until, row, self.index, self.workers, self.accounts.lock)


def alone() -> Ledger:
    return Ledger(secrets.token_bytes(32), 0, 1, OwnTally())


class Books:
    """The memory. Made before the first fork; every process has it by its own copy of this object.

    Args:
        workers: how many processes will use it.
        stays: identities that it has to remember, at all positions together, and
        stay_bytes: in how many bytes each.
        standings: members of chains that it has to know, those of later configs among them, and
        numbers: by how many numbers each.
        accounts: users with a budget, those of later configs among them.

    """

    def __init__(  # noqa: PLR0913 - one fact each, named at every call
        self,
        workers: int,
        *,
        stays: int,
        stay_bytes: int,
        standings: int,
        numbers: int,
        accounts: int = 0,
    ) -> None:
        self.workers = workers
        self._stay_bytes, self._numbers = stay_bytes, numbers
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        # Pages that nobody writes to cost nothing.
        self._tally = mmap.mmap(-1, tally_bytes(workers))
        self._stays = mmap.mmap(-1, table_bytes(stays, stay_bytes))
        self._standings = mmap.mmap(-1, rows_bytes(standings, numbers))
        self._accounts = mmap.mmap(-1, rows_bytes(accounts, purse_numbers(workers)) or 1)

    def worker(self, index: int) -> Ledger:
        """What the worker of this number has."""
        return Ledger(
            self._key,
            index,
            self.workers,
            SharedTally(self._tally, index, self.workers),
            Table(self._stays, self._stay_bytes, self._lock),
            Rows(self._standings, self._numbers, self._lock),
            self._purses(),
        )

    def clear(self, index: int) -> None:
        """The worker of this number is dead: its connections count no more."""
        SharedTally(self._tally, index, self.workers).clear()
        for numbers in self._purses().taken():
            bury(numbers, index)

    def _purses(self) -> Rows:
        return Rows(self._accounts, purse_numbers(self.workers), self._lock)

    def close(self) -> None:
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
