"""A scene does what it says, and its record tells what came of it."""

from collections.abc import Iterator

import pytest

from anongw.audit.scene import Scene
from anongw.audit.ways import Errand
from anongw.audit.world import World
from anongw.lab.capture import TCP
from anongw.lab.networks import why_not
from tests.support import laboratory
from tests.support.laboratory import two_hops

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")

FIRST = ("192.0.2.10", 1080)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Errand]]:
    folder = tmp_path_factory.mktemp("scene")
    with laboratory.world(folder, chain=two_hops(folder)) as (world, errands):
        yield world, errands[0]


def test_what_is_asked_for_is_recorded(stage: tuple[World, Errand]) -> None:
    world, errand = stage
    scene = Scene("one", world)
    for spoken in errand.protocols:
        assert scene.ask(errand, spoken, expect=True)
    record = scene.done()
    assert record.edges == {(TCP, *FIRST)}
    assert record.edges <= record.allowed
    assert all(claim.holds for claim in record.claims)
    names = [one for one in record.secrets if one.kind == "names"]
    assert len(names) == 4
    told = {one.party for one in record.readings if one.told and any(name.found(one.data) for name in names)}
    second = next(place for place in world.hops if place != FIRST)
    assert second in told
    assert FIRST not in told, "TLS hides it"
    assert len(record.answers) == 4
    assert b"flow" in record.log


def test_nothing_of_one_scene_is_in_the_next(stage: tuple[World, Errand]) -> None:
    world, errand = stage
    first = Scene("one", world)
    first.ask(errand, "socks5")
    before = first.done()
    second = Scene("two", world, first)
    after = second.done()
    assert after.answers == []
    assert after.questions == []
    assert not any(one.told and b"canary-n" in one.data for one in after.readings)
    assert before.allowed <= after.allowed, "what the one before set going may still come"
    assert Scene("three", world, second).record.allowed == set()


def test_an_expectation_that_fails_is_a_claim(stage: tuple[World, Errand]) -> None:
    world, errand = stage
    scene = Scene("one", world)
    scene.ask(errand, "socks5", expect=False)
    (claim,) = scene.done().claims
    assert (claim.check, claim.holds) == ("served", False)
    assert "must not be" in claim.says


def test_a_tunnel_stays_open_for_as_long_as_the_block(stage: tuple[World, Errand]) -> None:
    world, errand = stage
    scene = Scene("one", world)
    with scene.tunnel(errand, "connect") as line:
        assert line.granted
        assert line.pings()
    assert scene.heard()
    scene.done()
