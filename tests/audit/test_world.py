"""Everybody whom a mapped config needs is there, and what passes is told apart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from anongw.audit.mapping import ORIGIN
from anongw.audit.world import World
from anongw.lab.networks import why_not
from tests.support import laboratory
from tests.support.laboratory import two_hops

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with laboratory.world(folder, chain=two_hops(folder)) as (world, _):
        yield world


def test_every_party_is_where_the_config_says(here: World) -> None:
    assert ("192.0.2.10", 1080) in here.hops
    assert {server.place for server in here.resolvers.values()} == {("9.9.9.9", 443), ("1.1.1.1", 443)}
    assert (ORIGIN, 80) in {origin.place for origin in here.origins}


def test_hops_find_each_other_and_known_names_only(here: World) -> None:
    second = next(place for place in here.hops if place[1] == 443)
    assert here.whereabouts("second.example", 443) == second
    assert here.whereabouts("192.0.2.10", 1080) == ("192.0.2.10", 1080)
    assert here.whereabouts("somebody.example", 80) is None
    here.records["inside.example"] = ("10.1.2.3",)
    assert here.whereabouts("inside.example", 80) is None


def test_a_client_comes_from_a_port_of_its_own(here: World) -> None:
    with here.client(here.mapped.listeners[0]) as one, here.client(here.mapped.listeners[0]) as other:
        ports = {one.getsockname()[1], other.getsockname()[1]}
        assert len(ports) == 2
        assert all(20000 <= port < 30000 for port in ports)


def test_it_says_how_it_fares(here: World) -> None:
    assert b'"ok":true' in here.status().replace(b" ", b"")


def test_what_passes_is_taken_once_even_if_it_was_looked_at(here: World) -> None:
    here.take()
    with here.client(here.mapped.listeners[0]):
        pass
    here.passing()
    assert here.take()["own"], "a client on this machine comes over its loopback"
    assert here.take()["own"] == [] or all(packet.closes for packet in here.take()["own"])


def test_the_gateways_config_is_for_its_owner_alone(here: World, tmp_path: Path) -> None:
    assert here.config_file.stat().st_mode & 0o777 == 0o600
    assert "password-of-the-user" not in here.config_file.read_text()
    assert not list(tmp_path.iterdir())
