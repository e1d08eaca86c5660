"""What several answers to one name come to. Pure: no clock, no network, no cache."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.resolve.race import Outcomes
from anongw.wire.dns import Answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """Addresses, or why there are none; good for `ttl` seconds."""

    addresses: tuple[Address, ...] = ()
    reason: Reason = Reason.NAME_NOT_FOUND
    detail: str = ""
    ttl: float = 0


def conclude(outcomes: Outcomes, allowed: Callable[[Address], bool], first: int) -> Verdict:
    """Weigh the answers; IP version `first` comes first among the addresses.

    A public name that points into private space is an attack on whoever believes it (DNS rebinding): such
    addresses are dropped, and a name that has no others is refused. Where one kind failed and the other one
    says "none", nothing is known: the failed one might have had an address.
    """
    answers = [outcome for outcome in outcomes.values() if isinstance(outcome, Answer)]
    failures = [outcome for outcome in outcomes.values() if isinstance(outcome, Refused)]
    positive = [answer for answer in answers if answer.addresses]
    found = [address for answer in positive for address in answer.addresses]
    if found:
        ttl = min(answer.ttl for answer in positive)
        kept = [address for address in found if allowed(address)]
        return Verdict(interleave(kept, first), Reason.REBINDING, "private addresses only", ttl)
    if failures:
        return Verdict(reason=failures[0].reason, detail=failures[0].detail)
    return Verdict(reason=Reason.NAME_NOT_FOUND, ttl=min(answer.ttl for answer in answers))


def interleave(addresses: list[Address], first: int) -> tuple[Address, ...]:
    """RFC 8305 §4: the families take turns, so that one that is broken costs one attempt and not many."""
    leading = [address for address in addresses if address.version == first]
    trailing = [address for address in addresses if address.version != first]
    turns = itertools.zip_longest(leading, trailing)
    return tuple(address for turn in turns for address in turn if address is not None)
