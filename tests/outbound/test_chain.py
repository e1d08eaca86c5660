"""A chain: every hop is asked for the next and the last for the target, and no fault opens another way."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import anyio
import pytest

from anongw import config
from anongw.config import Cidr, Health
from anongw.errors import Reason
from anongw.lab.hop_script import Cut, Fault, Manner, Phase
from anongw.outbound.health import State
from anongw.outbound.path import BOOTSTRAP
from tests.support import outside
from tests.support.asks import socks5_reply
from tests.support.chains import Names, Scene, chained, hop, member
from tests.support.fake_hop import FakeHop, Scheme

PROTOCOLS: tuple[Scheme, ...] = ("socks5", "socks4", "http")
FOUR: tuple[Scheme, ...] = ("socks5",) * 4
# Seconds, of a hop that is not going to answer. The engine looks at its deadlines every quarter of one.
SOON = 0.3


@pytest.fixture
def origin() -> Iterator[outside.Origin]:
    with outside.Origin(outside.listening("127.0.0.1")) as origin:
        yield origin


@contextmanager
def hops(origin: outside.Origin, *protocols: Scheme, **options: object) -> Iterator[list[FakeHop]]:
    """Fakes to whom the target's name is known, and each other's."""
    with ExitStack() as stack:
        made = [stack.enter_context(FakeHop(one, **options)) for one in protocols]  # type: ignore[arg-type]
        for one in made:
            one.names["target.example"] = ("127.0.0.1", origin.port)
        yield made


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_name_travels_to_the_exit(origin: outside.Origin, protocol: Scheme) -> None:
    with hops(origin, protocol) as (one,):
        async with chained(one) as engine:
            scene = Scene(engine, hop(one))
            await scene.works("target.example:443")
        assert one.asked == [("target.example", 443)]
        assert scene.names.asked == []


@pytest.mark.parametrize(
    "protocols", [("socks5", "http", "socks4"), ("socks4", "http", "socks5"), ("http", "socks5", "http")]
)
async def test_each_hop_is_asked_for_the_next(origin: outside.Origin, protocols: tuple[Scheme, ...]) -> None:
    with hops(origin, *protocols) as made:
        async with chained(*made) as engine:
            scene = Scene(engine, *(hop(one) for one in made))
            await scene.works("target.example:443")
        first, second, third = made
        assert first.asked == [second.place]
        assert second.asked == [third.place]
        assert third.asked == [("target.example", 443)]
        assert all(b"target" not in one.seen[0].heard[: one.seen[0].payload] for one in (first, second))


async def test_a_named_hop_is_looked_up_by_the_one_before_it(origin: outside.Origin) -> None:
    with hops(origin, "socks5", "socks5") as (first, second):
        first.names["second.example"] = second.place
        async with chained(first, second) as engine:
            names = Names({"first.example": "127.0.0.1"})
            scene = Scene(
                engine,
                hop(f"socks5://first.example:{first.port}"),
                hop(f"socks5://second.example:{second.port}"),
                names=names,
            )
            await scene.works("target.example:80", "user bob")
        assert first.asked == [("second.example", second.port)]
        assert second.asked == [("target.example", 80)]
        # The first one is found from here, in the gateway's own name and in nobody else's.
        assert names.asked == [("first.example", BOOTSTRAP)]


async def test_a_first_hop_that_nobody_knows_is_no_hop(origin: outside.Origin) -> None:
    with hops(origin, "socks5") as (second,):
        async with chained(second) as engine:
            pool = hop("socks5://nowhere.example:1080", second)
            await Scene(engine, pool).works("target.example:80")
            alone = Scene(engine, hop("socks5://nowhere.example:1080"))
            assert (await alone.dial("target.example:80")).reason is Reason.HOP_UNREACHABLE


async def test_nothing_that_comes_early_is_lost(origin: outside.Origin) -> None:
    for protocol in PROTOCOLS:
        with hops(origin, protocol, early=b"SSH-2.0-early\r\n") as (one,):
            async with chained(one) as engine:
                outcome = await Scene(engine, hop(one)).dial("target.example:22")
                assert outcome.played is not None
                assert await outcome.played.peer.exactly(15) == b"SSH-2.0-early\r\n"


# Faults

FAULTS: dict[str, tuple[Fault, Reason]] = {
    "hangs at once": (Fault(Phase.ACCEPT, Manner.HANG), Reason.HOP_TIMEOUT),
    "hangs after the greeting": (Fault(Phase.METHOD, Manner.HANG), Reason.HOP_TIMEOUT),
    "hangs after the request": (Fault(Phase.REPLY, Manner.HANG), Reason.HOP_TIMEOUT),
    "says garbage": (Fault(Phase.METHOD, says=b"SSH-2.0-x\r\n\r\n"), Reason.HOP_MALFORMED),
    "answers garbage": (Fault(Phase.REPLY, says=b"SSH-2.0-x\r\n\r\n"), Reason.HOP_MALFORMED),
    "wants another method": (Fault(Phase.METHOD, says=b"\x05\x01"), Reason.HOP_AUTH),
    "takes no method": (Fault(Phase.METHOD, says=b"\x05\xff"), Reason.HOP_AUTH),
    "closes at once": (Fault(Phase.ACCEPT, Manner.CLOSE), Reason.HOP_CLOSED),
    "closes after the greeting": (Fault(Phase.METHOD, Manner.CLOSE), Reason.HOP_CLOSED),
    "closes within its reply": (Fault(Phase.REPLY, Manner.HALF), Reason.HOP_CLOSED),
    "closes instead of a reply": (Fault(Phase.REPLY, Manner.CLOSE), Reason.HOP_CLOSED),
    "resets": (Fault(Phase.REPLY, Manner.RESET), Reason.HOP_CLOSED),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("place", ["only", "second"])
async def test_a_hop_that_fails_ends_the_dial(origin: outside.Origin, name: str, place: str) -> None:
    fault, reason = FAULTS[name]
    with hops(origin, "socks5", "socks5") as (good, bad):
        bad.fault = fault
        async with chained(good, bad) as engine:
            positions = [hop(bad)] if place == "only" else [hop(good), hop(bad)]
            scene = Scene(engine, *positions, hop_timeout=SOON, timeout=3 * SOON)
            outcome = await scene.dial("target.example:80")
            assert outcome.reason is reason
            assert outcome.seconds < 3 * SOON + 0.5
            assert [position.scores[0].failures for position in scene.chain.positions] == [0, 1][
                -len(positions) :
            ]
        assert origin.heard == []
        assert scene.names.asked == []


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("place", ["first", "second"])
async def test_a_pool_goes_on_with_another_member(origin: outside.Origin, name: str, place: str) -> None:
    """The client notices nothing but the time."""
    with hops(origin, "socks5", "socks5", "socks5") as (other, bad, good):
        bad.fault = FAULTS[name][0]
        async with chained(other, bad, good) as engine:
            pool = hop(bad, good)
            positions = [pool, hop(other)] if place == "first" else [hop(other), pool]
            scene = Scene(engine, *positions, hop_timeout=SOON, timeout=6 * SOON)
            await scene.works("target.example:80")
            scores = scene.chain.positions[positions.index(pool)].scores
            assert (scores[0].failures, scores[1].failures) == (1, 0)
        assert len(origin.heard) == 1


@pytest.mark.parametrize("protocol", ["socks4", "http"])
async def test_a_hop_without_a_log_in_that_hangs_is_gone_on_from_too(
    origin: outside.Origin, protocol: Scheme
) -> None:
    with hops(origin, protocol, protocol) as (bad, good):
        bad.fault = Fault(Phase.REPLY, Manner.HANG)
        async with chained(bad, good) as engine:
            await Scene(engine, hop(bad, good), hop_timeout=SOON, timeout=4 * SOON).works("target.example:80")


async def test_the_number_of_tries_is_a_limit(origin: outside.Origin) -> None:
    with hops(origin, *FOUR) as made:
        for one in made[:3]:
            one.fault = Fault(Phase.METHOD, Manner.CLOSE)
        async with chained(*made) as engine:
            scene = Scene(engine, hop(*made), tries=3)
            assert (await scene.dial("target.example:80")).reason is Reason.HOP_CLOSED
            assert [len(one.seen) for one in made] == [1, 1, 1, 0]


async def test_the_time_for_a_dial_is_a_limit_of_all_tries_together(origin: outside.Origin) -> None:
    with hops(origin, *FOUR[:3]) as made:
        for one in made:
            one.fault = Fault(Phase.METHOD, Manner.HANG)
        async with chained(*made) as engine:
            scene = Scene(engine, hop(*made), hop_timeout=0.6, timeout=0.7, tries=3)
            outcome = await scene.dial("target.example:80")
            assert outcome.reason is Reason.HOP_TIMEOUT
            assert outcome.seconds < 1.6
        assert len(made[2].seen) == 0


async def test_a_port_where_nobody_listens(origin: outside.Origin) -> None:
    with hops(origin, "socks5", "socks5") as (gone, good):
        async with chained(gone, good) as engine:
            scene = Scene(engine, hop(gone, good))
            with gone.away():
                await scene.works("target.example:80")
                assert (
                    await Scene(engine, hop(gone)).dial("target.example:80")
                ).reason is Reason.HOP_UNREACHABLE
                # The hop before it says so of the second.
                second = Scene(engine, hop(good), hop(gone))
                assert (await second.dial("target.example:80")).reason is Reason.HOP_UNREACHABLE
                assert [one.scores[0].failures for one in second.chain.positions] == [0, 1]
            await Scene(engine, hop(gone)).works("target.example:80")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, Reason.HOST_UNREACHABLE),
        (2, Reason.HOP_REFUSED),
        (3, Reason.NETWORK_UNREACHABLE),
        (4, Reason.HOST_UNREACHABLE),
        (5, Reason.CONNECTION_REFUSED),
        (6, Reason.CONNECT_TIMEOUT),
    ],
)
async def test_what_is_wrong_with_the_target_is_shown_to_no_other_exit(
    origin: outside.Origin, code: int, reason: Reason
) -> None:
    with hops(origin, "socks5", "socks5") as (exit_, other):
        exit_.fault = Fault(Phase.REPLY, says=socks5_reply(code))
        async with chained(exit_, other) as engine:
            scene = Scene(engine, hop(exit_, other))
            assert (await scene.dial("target.example:80")).reason is reason
            score = scene.chain.positions[0].scores[0]
            assert (score.dials, score.failures) == (1, 0)
        assert other.seen == []


async def test_a_client_that_leaves_is_nobodys_fault(origin: outside.Origin) -> None:
    with hops(origin, "socks5", "socks5") as (slow, other):
        slow.fault = Fault(Phase.METHOD, Manner.HANG)
        async with chained(slow, other, half_closed=0.1) as engine:
            scene = Scene(engine, hop(slow, other), hop_timeout=20)
            outcome = await scene.dial("target.example:80", wait=False)
            await anyio.to_thread.run_sync(slow.until, lambda: bool(slow.seen))
            assert outcome.played is not None
            outcome.played.peer.reset()
            await outcome.played.over()
            assert outcome.reason is Reason.CLIENT_GONE
            assert all(score.dials == 0 for score in scene.chain.positions[0].scores)
        assert other.seen == []


async def test_members_that_fail_are_left_alone_and_come_back(origin: outside.Origin) -> None:
    with hops(origin, "socks5", "socks5") as (first, second):
        first.fault = Fault(Phase.METHOD, Manner.CLOSE)
        async with chained(first, second) as engine:
            scene = Scene(
                engine, hop(first, second), health=Health(failures=2, hold=60, successes=1, early=0)
            )
            for _ in range(4):
                await scene.works("target.example:80")
            assert len(first.seen) == 2
            score = scene.chain.positions[0].scores[0]
            assert score.state(engine.now) is State.DOWN
            first.fault = None
            score.held_until = engine.now  # as if the time were over
            await scene.works("target.example:80")
            assert len(first.seen) == 3
            assert score.state(engine.now) is State.UP


async def test_where_all_are_down_one_is_tried_all_the_same(origin: outside.Origin) -> None:
    with hops(origin, "socks5", "socks5") as made:
        for one in made:
            one.fault = Fault(Phase.METHOD, Manner.CLOSE)
        async with chained(*made) as engine:
            scene = Scene(engine, hop(*made), health=Health(failures=1, hold=60))
            assert (await scene.dial("target.example:80")).reason is Reason.HOP_CLOSED
            for one in made:
                one.fault = None
            await scene.works("target.example:80")


@pytest.mark.parametrize("manner", [Manner.CLOSE, Manner.RESET])
async def test_a_relay_that_dies_early_counts_as_a_failure(origin: outside.Origin, manner: Manner) -> None:
    with hops(origin, "socks5") as (one,):
        one.cut = Cut(0, manner)
        async with chained(one) as engine:
            scene = Scene(engine, hop(one))
            outcome = await scene.dial("target.example:80")
            assert outcome.played is not None
            await outcome.played.peer.send(b"x")
            await outcome.played.over()
            score = scene.chain.positions[0].scores[0]
            assert (score.dials, score.failures, score.live) == (1, 1, 0)


# What goes where

PRIVATE = ("x.onion:80", "x.i2p:80", "x.alt:80", "printer:80", "localhost:80", "x.local:80", "x.internal:80")


@pytest.mark.parametrize("target", PRIVATE)
async def test_names_of_this_house_and_of_overlays_do_not_leave(origin: outside.Origin, target: str) -> None:
    with hops(origin, "socks5") as (one,):
        async with chained(one) as engine:
            assert (await Scene(engine, hop(one)).dial(target)).reason is Reason.PRIVATE_NAME
        assert one.seen == []


async def test_a_marked_chain_carries_its_overlay_and_no_other(origin: outside.Origin) -> None:
    with hops(origin, "socks5") as (one,):
        one.names["x.onion"] = ("127.0.0.1", origin.port)
        async with chained(one) as engine:
            scene = Scene(engine, hop(one), overlays=("onion",))
            await scene.works("x.onion:80")
            assert (await scene.dial("x.i2p:80")).reason is Reason.PRIVATE_NAME
        assert one.asked == [("x.onion", 80)]


@pytest.mark.parametrize(
    ("policy", "target", "reason"),
    [
        (config.Policy(), "127.0.0.1:80", Reason.PRIVATE_TARGET),
        (config.Policy(), "[::1]:80", Reason.PRIVATE_TARGET),
        (config.Policy(deny=(config.Rule("target.example"),)), "target.example:80", Reason.FORBIDDEN),
        (config.Policy(allow=(config.Rule("192.0.2.0/24"),)), "target.example:80", Reason.FORBIDDEN),
    ],
)
async def test_policy_is_for_targets(
    origin: outside.Origin, policy: config.Policy, target: str, reason: Reason
) -> None:
    """And not for hops: this one is on loopback."""
    with hops(origin, "socks5") as (one,):
        async with chained(one) as engine:
            scene = Scene(engine, hop(one), policy=policy)
            assert (await scene.dial(target)).reason is reason
            if policy.deny:
                one.names["other.example"] = ("127.0.0.1", origin.port)
                await scene.works("other.example:80")


@pytest.mark.parametrize(
    ("family", "target", "reason"),
    [
        ("ipv4", "[2001:db8::1]:80", Reason.UNSUPPORTED_ADDRESS),
        ("ipv6", "192.0.2.1:80", Reason.UNSUPPORTED_ADDRESS),
        ("ipv4", "192.0.2.1:80", None),
        ("ipv6", "[2001:db8::1]:80", None),
        ("ipv6", "target.example:80", None),
        # A mapped address is IPv4, however it is spelt.
        ("ipv6", "[::ffff:192.0.2.1]:80", Reason.UNSUPPORTED_ADDRESS),
    ],
)
async def test_the_family_is_the_chains(
    origin: outside.Origin, family: str, target: str, reason: Reason | None
) -> None:
    policy = config.Policy(allow_private=(Cidr("0.0.0.0/0"), Cidr("::/0")))
    with hops(origin, "socks5") as (one,):
        one.names |= dict.fromkeys(("192.0.2.1", "2001:db8::1"), ("127.0.0.1", origin.port))
        async with chained(one) as engine:
            scene = Scene(engine, hop(one), policy=policy, family=family)
            if reason is None:
                await scene.works(target)
            else:
                assert (await scene.dial(target)).reason is reason
                assert one.seen == []


async def test_names_that_are_resolved_here_go_as_addresses(origin: outside.Origin) -> None:
    with hops(origin, "socks5") as (one,):
        async with chained(one) as engine:
            targets = Names({"target.example": "127.0.0.1"})
            scene = Scene(engine, hop(one), targets=targets)
            await scene.works(f"target.example:{origin.port}")
            assert targets.asked == [("target.example", "user alice")]
        assert one.asked == [("127.0.0.1", origin.port)]


async def test_of_several_addresses_the_next_is_tried_and_each_is_judged(origin: outside.Origin) -> None:
    with hops(origin, "socks5") as (one,):
        async with chained(one) as engine:
            # Not allowed; refused; there.
            targets = Names({"target.example": "10.0.0.1 127.0.0.99 127.0.0.1", "bad.example": "10.0.0.1"})
            scene = Scene(engine, hop(one), targets=targets)
            await scene.works(f"target.example:{origin.port}")
            assert one.asked == [("127.0.0.99", origin.port), ("127.0.0.1", origin.port)]
            assert (await scene.dial("bad.example:80")).reason is Reason.REBINDING
            assert (await scene.dial("unknown.example:80")).reason is Reason.NAME_NOT_FOUND


async def test_an_address_that_the_exit_cannot_carry_is_not_the_last_one(origin: outside.Origin) -> None:
    with hops(origin, "socks4") as (one,):
        async with chained(one) as engine:
            targets = Names({"dual.example": "2606:4700::1 127.0.0.1", "six.example": "2606:4700::1"})
            scene = Scene(engine, hop(one), targets=targets)
            await scene.works(f"dual.example:{origin.port}")
            assert (await scene.dial("six.example:80")).reason is Reason.UNSUPPORTED_ADDRESS


async def test_direct_is_a_member_that_somebody_wrote(origin: outside.Origin) -> None:
    with hops(origin, "socks5") as (bad,):
        bad.fault = Fault(Phase.METHOD, Manner.CLOSE)
        async with chained(bad) as engine:
            names = Names({"target.example": "127.0.0.1"})
            scene = Scene(engine, hop(bad, "direct"), names=names)
            await scene.works(f"target.example:{origin.port}")
            assert names.asked == [("target.example", "user alice")]


# In whose name


async def test_hops_are_told_apart_by_tokens_and_never_of_names(origin: outside.Origin) -> None:
    with hops(origin, "socks5", "http", users=None) as (first, second):
        async with chained(first, second) as engine:
            scene = Scene(
                engine,
                hop(member(first, isolation="auth")),
                hop(member(second, isolation="tor")),
            )
            for identity in ("user alice", "user bob", "user alice"):
                await scene.works("target.example:80", identity)
        tokens = [seen.user for seen in first.seen]
        assert tokens[0] == tokens[2] != tokens[1]
        heads = [seen.head for seen in second.seen]
        assert heads[0] == heads[2] != heads[1]
        assert all(b"Tor-Stream-Isolation: " in head for head in heads)
        everything = first.everything + second.everything
        assert b"alice" not in everything
        assert b"bob" not in everything
        assert str(tokens[0]).encode() not in heads[0]


async def test_an_identity_keeps_its_exit(origin: outside.Origin) -> None:
    with hops(origin, *FOUR) as made:
        async with chained(*made) as engine:
            scene = Scene(engine, hop(*made, strategy="random"))
            for _ in range(3):
                for name in range(8):
                    await scene.works("target.example:80", f"user {name}")
        used = [len(one.seen) for one in made]
        assert sum(used) == 24
        assert all(count % 3 == 0 for count in used)
        assert sum(count > 0 for count in used) > 1


async def test_an_identity_that_goes_on_as_another_leaves_its_exit(origin: outside.Origin) -> None:
    with hops(origin, *FOUR[:2]) as made:
        async with chained(*made) as engine:
            scene = Scene(engine, hop(*made, strategy="random"))
            await scene.works("target.example:80", "user alice")
            scene.chain.renew("user alice", "user alice epoch 2", 0)
            for _ in range(2):
                await scene.works("target.example:80", "user alice epoch 2")
        assert sorted(len(one.seen) for one in made) == [1, 2]


async def test_a_forgotten_identity_draws_anew(origin: outside.Origin) -> None:
    with hops(origin, *FOUR[:2]) as made:
        async with chained(*made) as engine:
            scene = Scene(engine, hop(*made, strategy="round-robin"))
            for _ in range(2):
                await scene.works("target.example:80")
                scene.chain.forget("user alice")
        assert [len(one.seen) for one in made] == [1, 1]
