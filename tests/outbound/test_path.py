"""One dial along one path: how far it goes, what it calls a failure, and what it leaves behind.

What each fault of a hop comes to is in test_chain.py.
"""

from collections.abc import Callable

import pytest

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.lab.hop_script import Fault, Manner, Phase
from anongw.net.egress import ANYWHERE
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.isolation import Isolation
from anongw.outbound.path import HopFailed, Path, Reach
from anongw.outbound.relays import Step
from tests.support.asks import socks5_reply
from tests.support.chains import Names, Scene, chained, hop
from tests.support.fake_hop import FakeHop

TARGET = Endpoint("target.example", 80)


async def walked(
    made: tuple[FakeHop | str, ...], target: Endpoint | None, look: Callable[[Path, Fiber], object]
) -> BaseException | None:
    """Go along a path of these; what was raised. `look` sees the path and the flow afterwards."""
    raised: list[BaseException | None] = []

    async def carry(fiber: Fiber, _client: Stream) -> None:
        path = Path(steps, Reach(Names(), ANYWHERE), Isolation(bytes(32)), "user alice", fiber)
        path.bound(fiber.engine.now + 5, hop=0.3, answer=0.6)
        try:
            await path.to(target)
        except (HopFailed, Refused) as error:
            raised.append(error)
        else:
            raised.append(None)
        look(path, fiber)

    async with chained(*(one for one in made if isinstance(one, FakeHop))) as engine:
        positions = Scene(engine, *(hop(one) for one in made)).chain.positions
        steps = tuple(Step(position, 0) for position in positions)
        await engine.flow(carry).over()
    return raised[0]


def nothing(_path: Path, _fiber: Fiber) -> None: ...


async def test_without_a_target_it_ends_at_the_last_hops_door() -> None:
    with FakeHop("socks5") as first, FakeHop("socks5") as second:
        assert await walked((first, second), None, nothing) is None
        assert first.asked == [second.place]
        assert second.asked == []


async def test_a_dial_that_failed_leaves_only_the_client() -> None:
    left: list[int] = []
    with FakeHop("socks5") as first, FakeHop("socks5", fault=Fault(Phase.METHOD, Manner.CLOSE)) as second:
        failed = await walked((first, second), TARGET, lambda _, fiber: left.append(len(fiber.streams)))
    assert isinstance(failed, HopFailed)
    assert (failed.reason, [str(step.member.url) for step in failed.suspects]) == (
        Reason.HOP_CLOSED,
        [second.upstream.bare],
    )
    assert failed.detail == second.upstream.bare
    assert left == [1]


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        (Fault(Phase.REPLY, says=socks5_reply(5)), True),
        (Fault(Phase.REPLY, says=socks5_reply(2)), True),
        (Fault(Phase.REPLY, Manner.CLOSE), False),
        (Fault(Phase.METHOD, Manner.CLOSE), False),
    ],
)
async def test_a_word_about_the_target_shows_that_every_hop_works(fault: Fault, *, answered: bool) -> None:
    seen: list[bool] = []
    with FakeHop("socks5", fault=fault) as one:
        failed = await walked((one,), TARGET, lambda path, _: seen.append(path.answered))
    assert isinstance(failed, Refused if answered else HopFailed)
    assert seen == [answered]


async def test_silence_between_two_hops_may_be_either_ones() -> None:
    with FakeHop("socks5", fault=Fault(Phase.REPLY, Manner.HANG)) as first, FakeHop("socks5") as second:
        failed = await walked((first, second), TARGET, nothing)
    assert isinstance(failed, HopFailed)
    assert failed.reason is Reason.HOP_TIMEOUT
    assert [str(step.member.url) for step in failed.suspects] == [first.upstream.bare, second.upstream.bare]


async def test_without_a_hop_there_is_no_way_unless_one_was_built() -> None:
    """`direct` in a path whose `Reach` has no direct way is a bug, and goes nowhere."""
    failed = await walked(("direct",), TARGET, nothing)
    assert isinstance(failed, Refused)
    assert failed.reason is Reason.INTERNAL
