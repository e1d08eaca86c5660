"""One status out of several workers', and one summary. Pure.

Sums say what all of them did, by the kind of each field, so that a count which is added one day is summed
without a word here. Workers agree on which members of a chain are down (`ledger/`), so that the state is any
one's; the slowest latency is shown, being the worst that a client has met. What a worker that died had
counted is gone with it.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from anongw.control import (
    ChainStatus,
    Forgotten,
    HopStatus,
    IdentityStatus,
    MemberStatus,
    Renewed,
    RouteStatus,
    Status,
    WorkerStatus,
)
from anongw.log import Counters, RouteCount
from anongw.wire.control import Fields

# Fields of a status that are the same for all of them, and those that are shares of all bytes.
_COMMON = frozenset({"version", "generation", "uptime", "listeners", "workers", "replaced"})
_SHARES = frozenset({"scrubbed", "scrubbable"})


def listed(lists: Iterable[object]) -> tuple[IdentityStatus, ...]:
    """One list of identities, which all workers call by the same pseudonyms."""
    found: dict[str, IdentityStatus] = {}
    for one in (one for many in lists for one in msgspec.convert(many, tuple[IdentityStatus, ...])):
        old = found.get(one.name)
        found[one.name] = one if old is None else _added(old, one)
    return tuple(found.values())


def _added(one: IdentityStatus, two: IdentityStatus) -> IdentityStatus:
    return IdentityStatus(
        name=one.name,
        epoch=max(one.epoch, two.epoch),
        age=max(one.age, two.age),
        live=one.live + two.live,
        flows=one.flows + two.flows,
        sent=one.sent + two.sent,
        received=one.received + two.received,
        ways=tuple(sorted({*one.ways, *two.ways})),
    )


def together(answers: Sequence[Fields], identities: int) -> Fields:
    """What came of a new epoch, or of forgetting, in all workers; `identities`: how many these were."""
    renewed = [one["renewed"] for one in answers if "renewed" in one]
    if renewed:
        every = [one for one in renewed if isinstance(one, Renewed)]
        return {"renewed": Renewed(identities=identities, running=sum(one.running for one in every))}
    forgotten = [one["forgotten"] for one in answers]
    wiped = [one for one in forgotten if isinstance(one, Forgotten)]
    return {
        "forgotten": Forgotten(
            identities=identities,
            closed=sum(one.closed for one in wiped),
            kept=sum(one.kept for one in wiped),
            answers=sum(one.answers for one in wiped),
            remains=wiped[0].remains,
        )
    }


def merged(statuses: Mapping[int, Status], *, uptime: float, replaced: int) -> Status:
    """One of at least one, by the workers' numbers; `uptime`: seconds of the whole, `replaced`: workers."""
    every = list(statuses.values())
    names = {field.name for field in msgspec.structs.fields(Status)} - _COMMON
    workers = tuple(
        WorkerStatus(number=number, uptime=one.uptime, flows=one.flows, live=one.live)
        for number, one in sorted(statuses.items())
    )
    return msgspec.structs.replace(
        every[0],
        **{name: _merged(name, every) for name in names},
        uptime=round(uptime, 1),
        workers=workers,
        replaced=replaced,
    )


def summed(every: Iterable[Counters]) -> Counters:
    """What all of them counted."""
    total = Counters()
    for one in every:
        for field in dataclasses.fields(Counters):
            if field.name != "routes":
                setattr(total, field.name, getattr(total, field.name) + getattr(one, field.name))
        for name, route in one.routes.items():
            known = total.routes.setdefault(name, RouteCount())
            known.flows += route.flows
            known.sent += route.sent
            known.received += route.received
    return total


def _merged(name: str, every: Sequence[Status]) -> object:
    values = [getattr(one, name) for one in every]
    if name == "routes":
        return _routes(every)
    if name == "chains":
        return tuple(map(_chain, zip(*values, strict=True)))
    if name in _SHARES:
        return _share(values, every)
    if isinstance(values[0], dict):
        return dict(sum(map(Counter, values), Counter()))
    return sum(values)


def _share(values: Sequence[float], every: Sequence[Status]) -> float:
    weights = [sum(route.sent + route.received for route in one.routes) for one in every]
    moved = sum(weights)
    part = sum(value * weight for value, weight in zip(values, weights, strict=True))
    return round(part / moved, 4) if moved else 0.0


def _routes(every: Sequence[Status]) -> tuple[RouteStatus, ...]:
    found: dict[str, RouteStatus] = {}
    for one in every:
        for route in one.routes:
            known = found.get(route.name, RouteStatus(name=route.name, flows=0, sent=0, received=0))
            found[route.name] = RouteStatus(
                name=route.name,
                flows=known.flows + route.flows,
                sent=known.sent + route.sent,
                received=known.received + route.received,
            )
    return tuple(found[name] for name in sorted(found))


def _chain(every: tuple[ChainStatus, ...]) -> ChainStatus:
    hops = tuple(map(_hop, zip(*(one.hops for one in every), strict=True)))
    return ChainStatus(name=every[0].name, hops=hops)


def _hop(every: tuple[HopStatus, ...]) -> HopStatus:
    members = tuple(map(_member, zip(*(one.members for one in every), strict=True)))
    return HopStatus(strategy=every[0].strategy, members=members)


def _member(every: tuple[MemberStatus, ...]) -> MemberStatus:
    latencies = [one.latency for one in every if one.latency is not None]
    return msgspec.structs.replace(
        every[0],
        live=sum(one.live for one in every),
        dials=sum(one.dials for one in every),
        failures=sum(one.failures for one in every),
        latency=max(latencies, default=None),
    )
