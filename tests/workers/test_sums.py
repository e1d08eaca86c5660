"""One status out of several."""

import dataclasses
from collections import Counter

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
from anongw.errors import Reason
from anongw.log import Counters, RouteCount
from anongw.workers.sums import listed, merged, summed, together


def member(live: int, dials: int, failures: int, latency: float | None) -> MemberStatus:
    return MemberStatus(
        label="socks5://192.0.2.1:1080",
        state="up",
        live=live,
        dials=dials,
        failures=failures,
        latency=latency,
    )


def chain(*members: MemberStatus) -> ChainStatus:
    return ChainStatus(name="one", hops=(HopStatus(strategy="random", members=members),))


def route(name: str, flows: int, sent: int, received: int) -> RouteStatus:
    return RouteStatus(name=name, flows=flows, sent=sent, received=received)


FIRST = Status(
    version="0",
    generation=3,
    uptime=50.0,
    listeners=("127.0.0.1:1080",),
    flows=5,
    live=1,
    routes=(route("direct", 2, 10, 90), route("one", 3, 1, 2)),
    refused={Reason.FORBIDDEN: 2, Reason.STOPPING: 1},
    chains=(chain(member(1, 4, 1, 20.0)),),
    kept=2,
    cached=3,
    headers_dropped=4,
    scrubbed=0.5,
    bugs=0,
)
SECOND = msgspec.structs.replace(
    FIRST,
    uptime=7.0,
    flows=8,
    live=2,
    routes=(route("refuse", 1, 0, 0), route("one", 7, 100, 197)),
    refused={Reason.FORBIDDEN: 5},
    chains=(chain(member(2, 7, 0, 35.5)),),
    kept=1,
    cached=10,
    headers_dropped=1,
    scrubbed=0.0,
    bugs=1,
)


def test_a_sum_of_all_and_each_for_itself() -> None:
    assert merged({1: FIRST, 3: SECOND}, uptime=60.04, replaced=2) == Status(
        version="0",
        generation=3,
        uptime=60.0,
        listeners=("127.0.0.1:1080",),
        flows=13,
        live=3,
        routes=(route("direct", 2, 10, 90), route("one", 10, 101, 199), route("refuse", 1, 0, 0)),
        refused={Reason.FORBIDDEN: 7, Reason.STOPPING: 1},
        chains=(chain(member(3, 11, 1, 35.5)),),
        kept=3,
        cached=13,
        headers_dropped=5,
        scrubbed=round(0.5 * 103 / 400, 4),
        bugs=1,
        workers=(
            WorkerStatus(number=1, uptime=50.0, flows=5, live=1),
            WorkerStatus(number=3, uptime=7.0, flows=8, live=2),
        ),
        replaced=2,
    )


def test_of_one_and_of_nothing_that_moved() -> None:
    still = msgspec.structs.replace(FIRST, routes=(), chains=())
    found = merged({1: still}, uptime=1, replaced=0)
    assert (found.scrubbed, found.flows, len(found.workers)) == (0.0, 5, 1)


def test_a_latency_that_nobody_knows() -> None:
    quiet = msgspec.structs.replace(FIRST, chains=(chain(member(0, 0, 0, None)),))
    for pair, latency in (((quiet, quiet), None), ((quiet, FIRST), 20.0)):
        found = merged(dict(enumerate(pair, 1)), uptime=1, replaced=0)
        assert found.chains[0].hops[0].members[0].latency == latency


def test_no_number_is_forgotten() -> None:
    """Also none that will be added one day."""
    numbers = {
        field.name
        for field in msgspec.structs.fields(Status)
        if isinstance(getattr(FIRST, field.name), int) and field.name not in ("generation", "replaced")
    }
    known = msgspec.structs.replace(FIRST, **dict.fromkeys(numbers, 5))
    found = merged({1: known, 2: known}, uptime=1, replaced=0)
    assert numbers >= {"flows", "live", "kept", "cached", "headers_dropped", "bugs"}
    assert {getattr(found, name) for name in numbers} == {10}


def counted(number: int) -> Counters:
    """Counters of which every one stands at `number`."""
    made = Counters(
        refused=Counter({Reason.STOPPING: number}), routes={"direct": RouteCount(number, number, number)}
    )
    for field in dataclasses.fields(Counters):
        if isinstance(getattr(made, field.name), int):
            setattr(made, field.name, number)
    return made


def test_counters_are_summed() -> None:
    one = counted(3)
    assert summed([one, counted(4)]) == counted(7)
    assert summed([]) == Counters()
    assert one == counted(3), "what was summed stays as it was"


def identity(name: str, number: int, *ways: str) -> IdentityStatus:
    return IdentityStatus(
        name=name,
        epoch=number,
        age=number,
        live=number,
        flows=number,
        sent=number,
        received=number,
        ways=ways,
    )


def test_identities_are_one_list() -> None:
    one = (identity("a", 1, "tor"), identity("b", 2, "tor"))
    two = (identity("c", 4), identity("a", 8, "direct", "tor"))
    both = IdentityStatus(
        name="a", epoch=8, age=8, live=9, flows=9, sent=9, received=9, ways=("direct", "tor")
    )
    assert listed((one, two)) == (both, identity("b", 2, "tor"), identity("c", 4))


def test_what_came_of_an_epoch_is_summed() -> None:
    renewed = [{"renewed": Renewed(identities=1, running=running)} for running in (1, 2)]
    assert together(renewed, 5) == {"renewed": Renewed(identities=5, running=3)}
    wiped = [
        {"forgotten": Forgotten(identities=1, closed=n, kept=2 * n, answers=3 * n, remains=("all",))}
        for n in (1, 10)
    ]
    everything = Forgotten(identities=5, closed=11, kept=22, answers=33, remains=("all",))
    assert together(wiped, 5) == {"forgotten": everything}
