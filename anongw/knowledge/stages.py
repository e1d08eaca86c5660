"""Hops in a row, and what TLS to one of them hides from whom.

What is said to a hop is carried by all the hops before it, each of which reads its bytes. TLS to a hop hides
what is said to that one and to whatever comes after it: its login, what it is asked for, and the stream. So
somebody reads as far as the first hop behind them that is https, and that hop itself reads on.

Of a pool any member may serve, so the worst one counts: it is TLS only where every member is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from anongw.config import Chain, Member, is_loopback
from anongw.outbound.isolation import Isolation

# Whether there is a login depends on no key.
_ISOLATION = Isolation(bytes(32))


@dataclass(frozen=True, slots=True)
class Stage:
    """A hop on the way: one of `members`."""

    label: str
    members: tuple[Member, ...]

    @property
    def secure(self) -> bool:
        return all(_is_secure(member) for member in self.members)

    @property
    def here(self) -> bool:
        """Whether it is a program on the machine that connects to it, whichever it is."""
        return all(is_loopback(member.url.endpoint) for member in self.members)

    @property
    def logs_in(self) -> bool:
        return any(map(_takes_login, self.members))

    @property
    def shows_login(self) -> bool:
        """Whether its login goes there without TLS of its own."""
        return any(_takes_login(member) and not _is_secure(member) for member in self.members)

    @property
    def tokens_only(self) -> bool:
        """Whether what it is told as a login is made by us, and says of nobody who it is."""
        return all(member.isolation != "off" for member in self.members if _takes_login(member))


def stages(chain: Chain) -> tuple[Stage, ...]:
    """The hops of a chain in their order; none where it goes directly and no other way."""
    found = []
    for number, hop in enumerate(chain.hop, 1):
        members = tuple(member for member in hop.members if member.url.scheme != "direct")
        if members:
            labels = (
                [f"hop {number}"] if hop.pick == 1 else [f"hop {number}.{n + 1}" for n in range(hop.pick)]
            )
            found += [Stage(label, members) for label in labels]
    return tuple(found)


def without_login(stage: Stage) -> Stage:
    """A hop that is connected to, and then told nothing."""
    bare = (msgspec.structs.replace(one, user=None, password=None, isolation="off") for one in stage.members)
    return Stage(stage.label, tuple(bare))


def veil(row: Sequence[Stage], place: int) -> Stage | None:
    """The hop whose TLS hides the stream from who stands at a place: 0 before all hops, 1 at the first."""
    return next((stage for stage in row[place:] if stage.secure), None)


def logins(row: Sequence[Stage], place: int) -> Iterator[Stage]:
    """The hops whose logins can be read at a place, a hop's own not among them."""
    for stage in row[place:]:
        if stage.secure:
            return
        if stage.shows_login:
            yield stage


def _is_secure(member: Member) -> bool:
    return member.url.scheme == "https"


def _takes_login(member: Member) -> bool:
    return _ISOLATION.login(member, "") is not None
