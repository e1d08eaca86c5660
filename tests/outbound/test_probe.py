"""Probes: only with a target, only through the chain, never at the same time and never in the same name."""

import random
from itertools import pairwise

import anyio

from anongw.address import Endpoint
from anongw.config import Health, Probe
from anongw.lab.hop_script import Fault, Manner, Phase
from anongw.outbound.health import State
from anongw.outbound.probe import JITTER, Prober
from tests.support.chains import Scene, chained, hop, member
from tests.support.driven import DrivenEngine
from tests.support.fake_hop import FakeHop
from tests.support.outside import Origin, listening

EVERY = 100.0
TARGET = Endpoint("probe.example", 443)


def prober(scene: Scene, engine: DrivenEngine) -> Prober:
    return Prober(scene.chain, TARGET, engine, random.Random(1))


async def probed(engine: DrivenEngine) -> None:
    """Until no probe is under way."""
    with anyio.fail_after(20):
        await engine.drained()


async def test_every_member_is_probed_at_its_own_time() -> None:
    with (
        Origin(listening("127.0.0.1")) as origin,
        FakeHop() as first,
        FakeHop() as second,
        FakeHop() as exit_,
    ):
        exit_.names["probe.example"] = ("127.0.0.1", origin.port)
        async with chained(first, second, exit_) as engine:
            positions = hop(first, second), hop(member(exit_, isolation="auth"))
            scene = Scene(engine, *positions, probe=Probe(every=EVERY))
            probes = prober(scene, engine)
            begun = engine.now
            probes.sweep(begun + JITTER[0] * EVERY - 1)
            assert not engine.fibers
            seen = []
            for second_of_time in range(int(2 * JITTER[1] * EVERY)):
                before = len(exit_.seen)
                probes.sweep(begun + second_of_time)
                await probed(engine)
                if len(exit_.seen) > before:
                    seen.append(second_of_time)
            # Two members of the first position and one of the second, at no fixed distance.
            assert len(first.seen) >= 1
            assert len(second.seen) >= 1
            gaps = {later - earlier for earlier, later in pairwise(seen)}
            assert len(gaps) > 1
            assert {one.target for one in exit_.seen} == {("probe.example", 443)}
            # Nobody can tell that they are one gateway's.
            assert len({one.user for one in exit_.seen}) == len(exit_.seen)


async def test_what_a_probe_finds_is_the_members_score() -> None:
    with FakeHop(fault=Fault(Phase.METHOD, Manner.CLOSE)) as bad, FakeHop() as good:
        good.names["probe.example"] = ("127.0.0.1", bad.port)
        async with chained(bad, good) as engine:
            settings = Health(failures=1, hold=1000, early=0)
            scene = Scene(engine, hop(bad, good), health=settings, probe=Probe(every=EVERY))
            prober(scene, engine).sweep(engine.now + 2 * EVERY)
            await probed(engine)
            scores = scene.chain.positions[0].scores
            assert [score.state(engine.now) for score in scores] == [State.DOWN, State.UP]
            # The other one was not gone to in its place.
            assert (len(bad.seen), scores[1].dials) == (2, 1)


async def test_one_that_is_under_way_is_not_begun_again() -> None:
    with FakeHop(fault=Fault(Phase.METHOD, Manner.HANG)) as slow:
        async with chained(slow) as engine:
            scene = Scene(engine, hop(slow), probe=Probe(every=EVERY), hop_timeout=20)
            probes = prober(scene, engine)
            for times in range(2, 8, 2):
                probes.sweep(engine.now + times * EVERY)
            assert len(engine.fibers) == 1


async def test_a_gateway_that_stops_probes_no_more() -> None:
    with FakeHop() as one:
        async with chained(one) as engine:
            probes = prober(Scene(engine, hop(one), probe=Probe(every=EVERY)), engine)
            engine.stopping = True
            probes.sweep(engine.now + 2 * EVERY)
            assert not engine.fibers
        assert one.seen == []
