"""What a gateway says of itself when it is asked: how it fares, and what a reload changed.

Rules: sums and states only. No destination, client, user or identity is named, and no value of a setting,
which may be a secret; a hop is named without its login.
"""

import time
from collections.abc import Iterator, Sequence

import msgspec

from anongw import __version__
from anongw.config import Config
from anongw.control import ChainStatus, HopStatus, MemberStatus, Reloaded, RouteStatus, Status
from anongw.generation import Generation
from anongw.log import Counters
from anongw.outbound.chain import Chain
from anongw.outbound.position import Position
from anongw.privacy import setting

# What was bound, allotted or handed out at the start and stays so until the next one.
_FIXED = frozenset(
    {"listen.addresses", "listen.backlog", "listen.workers", "limits.pipe_bytes", "control.socket"}
)


def status(
    generation: Generation, counters: Counters, *, listeners: Sequence[str], live: int, started: float
) -> Status:
    """How the gateway fares; `live`: client connections now, `started`: when it began, by time.monotonic."""
    now = time.monotonic()
    moved = counters.sent + counters.received
    scrubbable = counters.scrubbed + counters.unscrubbed
    return Status(
        version=__version__,
        generation=generation.number,
        uptime=round(now - started, 1),
        listeners=tuple(map(setting, listeners)),
        flows=counters.flows,
        live=live,
        routes=tuple(
            RouteStatus(name=setting(name), flows=route.flows, sent=route.sent, received=route.received)
            for name, route in sorted(counters.routes.items())
        ),
        refused=dict(counters.refused),
        chains=tuple(_chain(name, chain, now) for name, chain in sorted(generation.chains.items())),
        kept=len(generation.pool),
        cached=sum(resolver.cached_names for resolver in generation.resolvers),
        headers_dropped=counters.headers_dropped,
        scrubbed=round(counters.scrubbed / moved, 4) if moved else 0.0,
        scrubbable=round(scrubbable / moved, 4) if moved else 0.0,
        exposed=dict(counters.exposed),
        bugs=counters.bugs,
    )


def changes(old: Config, new: Config, generation: int) -> Reloaded:
    """Which settings differ, by name; those that this process cannot change any more apart."""
    differing = list(_differing(old, new))
    return Reloaded(
        generation=generation,
        changed=tuple(name for name in differing if name not in _FIXED),
        restart=tuple(name for name in differing if name in _FIXED),
    )


def _differing(old: Config, new: Config) -> Iterator[str]:
    for section in msgspec.structs.fields(Config):
        before, after = getattr(old, section.name), getattr(new, section.name)
        if before == after:
            continue
        if isinstance(before, msgspec.Struct):
            for field in msgspec.structs.fields(before):
                if getattr(before, field.name) != getattr(after, field.name):
                    yield f"{section.name}.{field.name}"
        else:
            yield section.name


def _chain(name: str, chain: Chain, now: float) -> ChainStatus:
    return ChainStatus(name=setting(name), hops=tuple(_hop(position, now) for position in chain.positions))


def _hop(position: Position, now: float) -> HopStatus:
    found = position.snapshot(now)
    members = tuple(
        MemberStatus(
            label=setting(member.url),
            state=member.state.value,
            live=member.live,
            dials=member.dials,
            failures=member.failures,
            latency=None if member.latency is None else round(member.latency * 1000, 1),
        )
        for member in found.members
    )
    return HopStatus(strategy=found.strategy, members=members)
