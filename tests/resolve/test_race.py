"""A and AAAA at once, and how long the later one is waited for (RFC 8305 §3)."""

import ipaddress
import math
from collections.abc import Callable

import anyio

from anongw.errors import Reason, Refused
from anongw.resolve.race import RESOLUTION_DELAY, Outcomes, race
from anongw.wire.dns import Answer, Kind

V4 = Answer((ipaddress.ip_address("192.0.2.1"),), 60)
V6 = Answer((ipaddress.ip_address("2001:db8::1"),), 60)
NONE = Answer((), 60)
BOTH = (Kind.AAAA, Kind.A)


class Resolver:
    """Gives each kind its outcome, once the test lets it."""

    def __init__(self, **outcomes: Answer | Refused) -> None:
        self.outcomes = outcomes
        self.asked: list[Kind] = []
        self.go = {kind: anyio.Event() for kind in Kind}

    async def ask(self, kind: Kind) -> Answer:
        self.asked.append(kind)
        await self.go[kind].wait()
        outcome = self.outcomes[kind.name]
        if isinstance(outcome, Refused):
            raise outcome
        return outcome


async def run(
    resolver: Resolver, order: list[Kind], kinds: tuple[Kind, ...] = BOTH, delay: float = math.inf
) -> tuple[Outcomes, list[Outcomes]]:
    """The race's end, and what was offered before it, where the answers come in this order."""
    offered: list[Outcomes] = []
    ended: list[Outcomes] = []

    async def racing() -> None:
        ended.append(await race(resolver.ask, kinds, offered.append, delay))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(racing)
        await anyio.wait_all_tasks_blocked()
        assert sorted(resolver.asked, key=lambda kind: kind.value) == sorted(
            kinds, key=lambda kind: kind.value
        )
        for kind in order:
            resolver.go[kind].set()
            await anyio.wait_all_tasks_blocked()
    return ended[0], offered


async def test_both_are_asked_at_once_and_both_are_waited_for() -> None:
    for order in ([Kind.A, Kind.AAAA], [Kind.AAAA, Kind.A]):
        ended, offered = await run(Resolver(A=V4, AAAA=V6), order)
        assert ended == {Kind.A: V4, Kind.AAAA: V6}
        assert offered == []


async def test_one_kind_alone() -> None:
    assert await run(Resolver(A=V4), [Kind.A], (Kind.A,)) == ({Kind.A: V4}, [])


async def late(resolver: Resolver, kind: Kind, until: Callable[[list[Outcomes]], bool]) -> list[Outcomes]:
    """What is offered where `kind` comes last, with no patience at all."""
    offered: list[Outcomes] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(race, resolver.ask, BOTH, offered.append, 0)
        first = Kind.A if kind is Kind.AAAA else Kind.AAAA
        resolver.go[first].set()
        await anyio.wait_all_tasks_blocked()
        assert until(offered)
        resolver.go[kind].set()
    return offered


async def test_a_late_aaaa_is_not_waited_for() -> None:
    assert await late(Resolver(A=V4, AAAA=V6), Kind.AAAA, lambda offered: len(offered) == 1) == [{Kind.A: V4}]


async def test_a_late_a_is_waited_for() -> None:
    assert await late(Resolver(A=V4, AAAA=V6), Kind.A, lambda offered: not offered) == []


async def test_a_negative_or_failed_a_offers_nothing() -> None:
    for outcome in (NONE, Refused(Reason.RESOLVER_FAILED)):
        assert await late(Resolver(A=outcome, AAAA=V6), Kind.AAAA, lambda offered: not offered) == []


async def test_a_refusal_is_an_outcome() -> None:
    failed = Refused(Reason.RESOLVER_FAILED)
    ended, _ = await run(Resolver(A=V4, AAAA=failed), [Kind.A, Kind.AAAA])
    assert ended == {Kind.A: V4, Kind.AAAA: failed}


def test_the_delay_is_the_recommended_one() -> None:
    assert RESOLUTION_DELAY == 0.05
