"""Which identity has which members of a position, and since when: of one process, or of several workers.

Shared, an identity has the same exit whichever worker takes its connection. Members are told apart by what
they are and not by their place, so that workers whose files were read at different moments never mean two by
one word; a record whose members are no longer there is none.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from anongw.ledger import Table

Indexes = tuple[int, ...]  # of members, in the order in which they are dialled

_MEMBER_BYTES = 8
# Members that a record has room for.
PICK_MOST = 8
# Since when, how many connections, how many members, and these.
_RECORD = struct.Struct(f"=dII{PICK_MOST * _MEMBER_BYTES}s")
RECORD_BYTES = _RECORD.size


@dataclass(slots=True)
class Stay:
    """An identity with its members."""

    indexes: Indexes
    since: float
    used: int = 0  # connections that came about


class Stays(Protocol):
    """What is remembered of one position."""

    def changing(self) -> AbstractContextManager[None]:
        """Nobody else changes it meanwhile. All that follows is done within."""

    def find(self, identity: str) -> Stay | None: ...

    def put(self, identity: str, stay: Stay, now: float) -> None:
        """Remember it; it was here just now."""

    def forget(self, identity: str) -> None: ...

    def take_over(self, old: "Stays", moved: Mapping[int, int], pick: int) -> None:
        """Remember what `old`, before a reload, did of members that have these indexes now."""


class OwnStays:
    """Of one process; `most` identities, of which the one that was away longest is forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stays: OrderedDict[str, Stay] = OrderedDict()

    def changing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def find(self, identity: str) -> Stay | None:
        return self._stays.get(identity)

    def put(self, identity: str, stay: Stay, now: float) -> None:  # noqa: ARG002 - the order says it here
        self._stays[identity] = stay
        self._stays.move_to_end(identity)
        if len(self._stays) > self._most:
            self._stays.popitem(last=False)

    def forget(self, identity: str) -> None:
        self._stays.pop(identity, None)

    def take_over(self, old: Stays, moved: Mapping[int, int], pick: int) -> None:
        if not isinstance(old, OwnStays):
            return
        for identity, stay in old._stays.items():  # noqa: SLF001 - another of this class
            indexes = tuple(dict.fromkeys(moved[index] for index in stay.indexes if index in moved))
            if len(indexes) == pick:
                self.put(identity, Stay(indexes, stay.since, stay.used), 0.0)


class SharedStays:
    """Of several processes.

    Args:
        table: with records of RECORD_BYTES, in which other positions keep theirs too.
        name: makes an identity's key.
        members: what each is, as a digest of `_MEMBER_BYTES` at least.

    """

    def __init__(self, table: Table, name: Callable[[str], bytes], members: Sequence[bytes]) -> None:
        self._table = table
        self._name = name
        self._members = [member[:_MEMBER_BYTES] for member in members]
        self._indexes = {member: index for index, member in enumerate(self._members)}

    def changing(self) -> AbstractContextManager[None]:
        return self._table.lock

    def find(self, identity: str) -> Stay | None:
        record = self._table.get(self._name(identity))
        if record is None:
            return None
        since, used, count, digests = _RECORD.unpack(record)
        members = [digests[at * _MEMBER_BYTES :][:_MEMBER_BYTES] for at in range(count)]
        if any(member not in self._indexes for member in members):
            return None
        return Stay(tuple(self._indexes[member] for member in members), since, used)

    def put(self, identity: str, stay: Stay, now: float) -> None:
        digests = b"".join(self._members[index] for index in stay.indexes)
        record = _RECORD.pack(stay.since, stay.used, len(stay.indexes), digests)
        self._table.put(self._name(identity), record, now)

    def forget(self, identity: str) -> None:
        self._table.drop(self._name(identity))

    def take_over(self, old: Stays, moved: Mapping[int, int], pick: int) -> None:
        """There is nothing to do: the table outlives a reload, and knows members by what they are."""
