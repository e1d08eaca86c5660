"""A run over a chain: who is looked at, by way of whom, how many at once, and where nobody goes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address

import anyio
import pytest

from anongw import config
from anongw.address import Endpoint, parse_host
from anongw.cli.examination import SIDE_BY_SIDE, Examination, Findings, examine, objection
from anongw.config import Config
from anongw.lab.hop_script import Fault, Manner, Phase
from anongw.net.fiber import Fiber
from anongw.net.wait import in_task
from anongw.outbound.examine import Examiner, Finding, State
from anongw.outbound.relays import Step
from tests.support import outside
from tests.support.chains import hop, member
from tests.support.driven import driven
from tests.support.fake_hop import FakeHop, Scheme
from tests.support.nobody import nobody

# Seconds, of a hop that is not going to answer. The engine looks at its deadlines every quarter of one.
SOON = 0.3
LONG = 10.0


@pytest.fixture
def origin() -> Iterator[outside.Origin]:
    with outside.Origin(outside.listening("127.0.0.1")) as origin:
        yield origin


@contextmanager
def hops(*protocols: Scheme, **options: object) -> Iterator[list[FakeHop]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeHop(one, **options)) for one in protocols]  # type: ignore[arg-type]


@pytest.fixture
def dead() -> Iterator[str]:
    """A hop where nobody answers."""
    with nobody() as port:
        yield f"socks5://127.0.0.1:{port}"


async def run(
    *positions: config.Hop,
    target: outside.Origin | None = None,
    seconds: float | None = LONG,
    told: Callable[[int], None] = lambda _place: None,
    **options: object,
) -> Findings:
    chain = config.Chain(hop=positions, **options)  # type: ignore[arg-type]
    where = Endpoint(IPv4Address(target.host), target.port) if target else None
    return await examine(Config(), chain, target=where, seconds=seconds, told=told)


def words(findings: Findings) -> list[list[str]]:
    return [[one.words for one in members] for members in findings]


# By way of whom


async def test_every_member_is_looked_at_in_its_place() -> None:
    with hops("socks5", "socks5", "socks5", "socks5") as made:
        one, two, three, four = made
        findings = await run(hop(one, two), hop(three), hop(four))
        assert words(findings) == [["up", "up"], ["up"], ["up"]]
        assert [str(found.step.member.url) for members in findings for found in members] == [
            str(member(each).url) for each in made
        ]
        # By way of the first that works; nothing is asked of the last one.
        assert one.asked == [three.place, three.place]
        assert three.asked == [four.place]
        assert (two.asked, four.asked) == ([], [])


async def test_a_member_that_is_down_is_not_gone_through(dead: str) -> None:
    with hops("socks5", "socks5") as (one, two):
        findings = await run(hop(dead, one), hop(two))
        assert one.asked == [two.place]
    assert words(findings) == [["unreachable: connection refused", "up"], ["up"]]


async def test_where_none_is_up_nobody_is_tried(dead: str) -> None:
    with hops("socks5") as (two,):
        findings = await run(hop(dead, dead), hop(two), hop(two))
        assert two.seen == []
    assert words(findings)[1:] == [["not tried: no member of hop 1 works"]] * 2


async def test_one_that_fails_on_the_way_is_left_and_its_finding_says_so() -> None:
    with hops("http", "socks5", "socks5") as (one, other, last):
        one.users = {"alice": "right"}
        findings = await run(hop(one.upstream.bare, other), hop(last))
        assert other.asked == [last.place]
    assert words(findings) == [
        ["refuses our credentials: it asks for some, and none are set", "up"],
        ["up"],
    ]
    assert findings[0][0].reach is not None


async def test_if_it_was_the_only_way_there_is_none() -> None:
    with hops("http", "socks5") as (one, last):
        one.fault = Fault(Phase.REPLY, says=b"SSH-2.0-x\r\n\r\n")
        findings = await run(hop(one), hop(last, last))
        assert last.seen == []
    assert words(findings) == [
        [f"garbage: when it is asked for {last.url}"],
        ["not tried: no member of hop 1 works"] * 2,
    ]


async def test_who_led_to_a_later_hop_does_more_than_accept_connections() -> None:
    with hops("http", "http", "socks4") as (one, other, last):
        findings = await run(hop(one, other), hop(last))
    assert words(findings) == [["up", "accepts connections"], ["accepts connections"]]


# To the target


async def test_each_exit_goes_to_the_target(origin: outside.Origin, dead: str) -> None:
    with hops("socks5", "http", "socks4") as (one, two, three):
        findings = await run(hop(one), hop(two, three, dead), target=origin)
        where = (origin.host, origin.port)
        assert (two.asked, three.asked) == ([where], [where])
        assert where not in one.asked
    assert words(findings)[0] == ["up"]
    assert words(findings)[1][:2] == ["up", "up"]
    assert [found.target is not None for found in findings[1]] == [True, True, False]
    assert findings[0][0].target is None
    assert all(found.reach is not None for found in findings[1][:2])


async def test_a_target_that_is_not_there(origin: outside.Origin) -> None:
    with hops("socks5") as (one,), nobody() as port:
        origin.port = port
        findings = await run(hop(one), target=origin)
    assert words(findings) == [["target unreachable: connection refused"]]
    assert findings[0][0].login is not None
    assert findings[0][0].target is None


async def test_what_does_not_work_is_not_dialled_again(origin: outside.Origin) -> None:
    with hops("socks5", fault=Fault(Phase.METHOD, Manner.CLOSE)) as (one,):
        findings = await run(hop(one), target=origin)
        assert len(one.seen) == 1
    assert words(findings) == [["closes"]]


async def test_members_in_a_row_never_see_both_ends(origin: outside.Origin) -> None:
    """A position that is two in a row hides the target from the one that sees this machine."""
    where = (origin.host, origin.port)
    with hops("socks5", "socks5", "socks5") as made:
        findings = await run(hop(*made, pick=2), target=origin)
        asked = [target for one in made for target in one.asked]
        assert asked.count(where) == 3
        # Each of the others' connections to it was asked for by one of them, and not by us.
        places = {one.place for one in made}
        assert sum(target in places for target in asked) == 3
        for one in made:
            assert sum(bool(seen.port) and seen.target == where for seen in one.seen) == 1
            led = [each for other in made if other is not one for each in other.asked]
            assert led.count(one.place) == 1
    assert words(findings) == [["up"] * 3]


async def test_too_few_in_a_row_are_none(origin: outside.Origin, dead: str) -> None:
    with hops("socks5", "socks5") as (one, last):
        findings = await run(hop(one, dead, pick=2), hop(last))
        assert words(findings)[1] == ["not tried: hop 1 is 2 members in a row, and too few work"]
        assert last.seen == []
        findings = await run(hop(one, dead, pick=2), target=origin)
        assert words(findings)[0][0] == "not tried: hop 1 is 2 members in a row, and too few work"
        assert one.asked == []


async def test_later_hops_are_reached_by_way_of_all_in_a_row() -> None:
    with hops("socks5", "socks5", "socks5") as (one, two, last):
        findings = await run(hop(one, two, pick=2), hop(last))
        assert (one.asked, two.asked) == ([two.place], [last.place])
    assert words(findings) == [["up", "up"], ["up"]]


async def test_direct_is_nothing_to_test(origin: outside.Origin) -> None:
    with hops("socks5") as (one,):
        findings = await run(hop(one, "direct"), target=origin)
        assert one.asked == [(origin.host, origin.port)]
    assert words(findings) == [["up", "direct: nothing to test"]]
    assert origin.came() == 1


async def test_where_the_target_is_not_reached_nothing_is_forgotten(origin: outside.Origin) -> None:
    """What was timed on the first look is not replaced by what was seen through others."""
    with hops("socks5") as (one,):
        one.fault = Fault(Phase.REPLY, Manner.CLOSE)
        (found,) = (await run(hop(one), target=origin))[0]
    assert found.words == "closes: when it is asked for the target"
    assert None not in (found.reach, found.login)


class Scripted(Examiner):
    """Of two in a row, the second fails as the way to the first, and is well by itself later."""

    def __init__(self) -> None:
        self.seen = anyio.Event()  # the first look at the target is over

    async def examine(self, steps: tuple[Step, ...], target: Endpoint | None, fiber: Fiber) -> Finding:
        *_, last = steps
        if target is None:
            return Finding(last, State.UP, "", 0.1)
        if last.index == 0:
            return Finding(steps[0], State.SILENT)
        await in_task(self.seen.wait)
        return Finding(last, State.UP, "", 0.1, 0.1, 0.1)


async def test_whatever_failed_once_stays_so() -> None:
    told: list[int] = []

    def hear(place: int) -> None:
        told.append(place)
        if len(told) == 3:  # both without the target, and one with it
            examiner.seen.set()

    chain = config.Chain(hop=(hop("socks5://192.0.2.1", "socks5://192.0.2.2", pick=2),))
    async with driven() as engine:
        examiner = Scripted()
        target = Endpoint("a.example", 1)
        one = Examination(chain, examiner, engine, target=target, told=hear)
        findings = await one.run()
    assert words(findings) == [["not tried: hop 1 is 2 members in a row, and too few work", "silent"]]


# How many at once, and for how long


async def test_so_many_at_a_time_and_no_more() -> None:
    with hops("socks5", fault=Fault(Phase.METHOD, Manner.HANG)) as (one,):
        begun: list[int] = []

        def told(place: int) -> None:
            assert place == 0
            # All that are under way have come to the hop.
            one.until(lambda: len(one.seen) >= min(SIDE_BY_SIDE, total))
            begun.append(len(one.seen))

        total = SIDE_BY_SIDE + 3
        findings = await run(hop(*[one] * total), seconds=SOON, told=told)
    assert begun[0] == SIDE_BY_SIDE
    assert all(seen <= SIDE_BY_SIDE + over for over, seen in enumerate(begun))
    assert words(findings) == [["silent"] * total]
    assert len(one.seen) == len(begun) == total


async def test_every_look_is_told_of(origin: outside.Origin, dead: str) -> None:
    told: list[int] = []
    with hops("socks5", "socks5") as (one, two):
        await run(hop(one, dead), hop(two, two), target=origin, told=told.append)
    assert told == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(("each", "whole"), [(SOON, LONG), (LONG, SOON)])
async def test_the_chains_own_times_bound_a_dial(each: float, whole: float) -> None:
    with hops("socks5", fault=Fault(Phase.METHOD, Manner.HANG)) as (one,):
        findings = await run(hop(one), seconds=None, hop_timeout=each, timeout=whole)
    assert words(findings) == [["silent"]]


# Names


async def test_a_first_hops_name_is_asked_of_the_configs_resolver_and_no_other() -> None:
    records = {"first.example": ("127.0.0.1",), "second.example": ("127.0.0.1",)}
    with hops("socks5", "socks5") as (one, two), outside.on_loopback(records) as (_, names):
        one.names["second.example"] = two.place
        settings = Config(resolve=config.Resolve(servers=(f"udp://127.0.0.8:{names.port}",)))
        chain = config.Chain(
            hop=(
                hop(f"socks5://first.example:{one.port}"),
                hop(f"socks5://second.example:{two.port}"),
            )
        )
        findings = await examine(settings, chain, target=None, seconds=LONG, told=lambda _: None)
        assert one.asked == [("second.example", two.port)]
        assert set(names.asked) == {"first.example"}
    assert words(findings) == [["up"], ["up"]]


# What goes wrong with us


async def test_a_bug_is_not_taken_for_a_hops_fault() -> None:
    with hops("socks5") as (one,):
        chain = config.Chain(hop=(hop(one),))
        target = Endpoint("a.example", 1 << 16)  # no parser lets such a port pass
        with pytest.raises(OverflowError):
            await examine(Config(), chain, target=target, seconds=LONG, told=lambda _: None)


# Which targets there are

HERE: dict[str, object] = {"names": "here"}


@pytest.mark.parametrize(
    ("target", "settings", "options", "why"),
    [
        ("example.org", {}, {}, ""),
        ("192.0.2.1", {}, {}, "is refused to clients too (private-target)"),
        ("192.0.2.1", {"allow_private": (config.Cidr("192.0.2.0/24"),)}, {}, ""),
        ("example.org", {"deny": (config.Rule("example.org"),)}, {}, "is refused to clients too (forbidden)"),
        ("printer", {}, {}, "is refused to clients too (private-name)"),
        ("a.onion", {}, {}, "is refused to clients too (private-name)"),
        ("a.onion", {}, {"overlays": ("onion",)}, ""),
        ("example.org", {}, HERE, "this chain tells its exit no names: write an address"),
        ("9.9.9.9", {}, HERE, ""),
        ("9.9.9.9", {}, {"family": "ipv6"}, "the chain is ipv6 only"),
        ("9.9.9.9", {}, {"family": "ipv4"}, ""),
        ("2620:fe::fe", {}, {"family": "ipv4"}, "the chain is ipv4 only"),
        ("2620:fe::fe", {}, {"family": "ipv6"}, ""),
        ("example.org", {}, {"family": "ipv6"}, ""),
    ],
)
def test_a_target_is_one_that_a_client_could_go_to(
    target: str, settings: dict[str, object], options: dict[str, object], why: str
) -> None:
    policy = config.Policy(**settings)  # type: ignore[arg-type]
    chain = config.Chain(hop=(hop("socks5://192.0.2.1"),), **options)  # type: ignore[arg-type]
    found = objection(Endpoint(parse_host(target), 443), Config(policy=policy), chain)
    assert found.startswith(why)
    assert bool(found) == bool(why)
