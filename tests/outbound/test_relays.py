"""What a connection through a chain proves of its hops, and who is counted while it lives."""

import random

import pytest

from anongw import config
from anongw.config import HopUrl, Member
from anongw.errors import Reason
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.position import Position
from anongw.outbound.relays import Relays, Step
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Peer

EARLY = 5.0


def position() -> Position:
    hop = config.Hop(members=tuple(Member(url=HopUrl(f"socks5://127.0.0.1:{port}")) for port in (1, 2)))
    return Position(hop, config.Health(), draw=random.Random(0), sticky_most=10)


class Scene:
    """One connection through member 1 of two positions."""

    def __init__(self, fiber: Fiber, near: Stream, far: Peer) -> None:
        self.positions = (position(), position())
        self.path = tuple(Step(one, 1) for one in self.positions)
        self.relays = Relays(EARLY)
        self.stream, self.far = near, far
        self.now = fiber.engine.now
        self.relays.begin(self.path, near, self.now, self.now)

    @property
    def totals(self) -> set[tuple[int, int, int]]:
        """Of both hops, which fare alike: live, dials, failures."""
        return {(step.score.live, step.score.dials, step.score.failures) for step in self.path}


async def play(act: str, after: float = 0.0, *, said: bytes = b"", early: bytes = b"") -> Scene:
    scenes: list[Scene] = []

    async def carry(fiber: Fiber, _client: Stream) -> None:
        engine = fiber.engine
        assert isinstance(engine, DrivenEngine)
        near, far = engine.pair()
        stream = fiber.adopt(near, Reason.UPSTREAM_CLOSED)
        if early:
            stream.reader.feed(early)
            stream.received += len(early)
        scene = Scene(fiber, stream, far)
        scenes.append(scene)
        assert scene.totals == {(1, 0, 0)}
        if said:
            await far.send(said)
            await stream.fill()
        if act == "upstream ends":
            far.last()
            await stream.fill()
        engine.now += after
        assert scene.relays.unproved == 1
        if act == "sweep":
            scene.relays.sweep(engine.now)
            scene.relays.sweep(engine.now)
        else:
            stream.close()
            # Nothing of it is kept until it would have been old.
            assert scene.relays.unproved == 0

    async with driven() as engine:
        await engine.flow(carry).over()
    return scenes[0]


@pytest.mark.parametrize(
    ("act", "after", "said", "early", "totals"),
    [
        ("upstream ends", 0, b"", b"", (0, 1, 1)),
        ("upstream ends", 4.9, b"", b"", (0, 1, 1)),
        ("upstream ends", EARLY, b"", b"", (0, 1, 0)),
        ("upstream ends", 0, b"x", b"", (0, 1, 0)),
        # What the target said in the same packet as the hop's reply is the target's.
        ("upstream ends", 0, b"", b"banner", (0, 1, 0)),
        # A client that looks and leaves proves nothing.
        ("we close", 0, b"", b"", (0, 0, 0)),
        ("we close", 0, b"x", b"", (0, 1, 0)),
        ("we close", EARLY, b"", b"", (0, 1, 0)),
    ],
)
async def test_what_a_closed_connection_proves(
    act: str, after: float, said: bytes, early: bytes, totals: tuple[int, int, int]
) -> None:
    scene = await play(act, after, said=said, early=early)
    assert scene.totals == {totals}


async def test_one_that_lives_is_a_success_once() -> None:
    scene = await play("sweep", EARLY)
    assert scene.totals == {(0, 1, 0)}


async def test_a_young_one_is_not_judged_by_the_sweep() -> None:
    scene = await play("sweep", EARLY - 0.1)
    assert scene.totals == {(0, 0, 0)}


async def test_the_other_members_have_no_part_in_it() -> None:
    scene = await play("upstream ends")
    assert all(one.scores[0].dials == one.scores[0].live == 0 for one in scene.positions)
