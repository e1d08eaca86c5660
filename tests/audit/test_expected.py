"""Who may read what is said to a hop, and whom the gateway may talk to."""

from collections.abc import Iterator

import pytest

from anongw.audit.expected import Expected, label, readers
from anongw.audit.mapping import ORIGIN, ORIGIN_6, StandIn
from anongw.audit.ways import errands
from anongw.audit.world import World
from anongw.lab.capture import TCP, UDP
from anongw.lab.networks import why_not
from tests.support import laboratory

A, B, C = (StandIn("socks5", (f"192.0.2.{number}", 1080), f"192.0.2.{number}") for number in (1, 2, 3))
TLS = StandIn("https", ("192.0.2.4", 443), "192.0.2.4")


@pytest.mark.parametrize(
    ("positions", "wire", "heard"),
    [
        ([[A]], [A], [A]),
        ([[A], [B]], [A, B], [A, B]),
        ([[A], [TLS]], [], [TLS]),
        ([[TLS], [A]], [A], [A, TLS]),
        ([[A], [TLS], [B]], [B], [B, TLS]),
        ([[A], [TLS, B]], [A, B], [A, B, TLS]),
        ([[A], [TLS, None]], [A], [A, TLS]),
    ],
)
def test_who_can_read_what_is_said_to_the_last(
    positions: list[list[StandIn | None]], wire: list[StandIn], heard: list[StandIn]
) -> None:
    found = readers(positions)
    assert found == ({one.place for one in wire}, {one.place for one in heard})


def test_what_is_looked_for_of_a_name() -> None:
    assert label("canary-n7-name.example.org") == b"canary-n7-name"
    assert label("Example.org") == b"example.org"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if why_not():
        pytest.skip(why_not())
    sets = (
        'resolve.servers=["udp://9.9.9.9"]',
        'chains.named={hop=[{url="socks5://first.example"}, {url="http://192.0.2.9:80"}]}',
        'chains.perhaps={hop=[{urls=["socks5://192.0.2.1", "direct"]}]}',
        (
            'route=[{target=["a.example"], to="named"}, {target=["b.example"], to="perhaps"}, '
            '{target=["c.example"], to="refuse"}, {to="direct"}]'
        ),
    )
    with laboratory.world(tmp_path_factory.mktemp("expected"), *sets) as (world, _):
        yield world


def test_whom_the_gateway_may_talk_to(here: World) -> None:
    named, perhaps, refused, direct = errands(here.mapped.config)[0]
    expected = Expected(here)
    names = {(UDP, "9.9.9.9", 53), (TCP, "9.9.9.9", 53)}
    origin = {(TCP, ORIGIN, 80), (TCP, ORIGIN_6, 80)}
    assert (
        expected.edges(named, "x.a.example", 80)
        == {(TCP, here.mapped.records["first.example"], 1080)} | names
    )
    assert expected.edges(perhaps, "x.b.example", 80) == {(TCP, "192.0.2.1", 1080)} | names | origin
    assert expected.edges(refused, "x.c.example", 80) == set()
    assert expected.edges(direct, "x.example", 80) == names | origin
    assert expected.edges(direct, "192.0.2.77", 80) == {(TCP, "192.0.2.77", 80)}


def test_who_may_be_asked_for_a_name(here: World) -> None:
    named, _, refused, direct = errands(here.mapped.config)[0]
    expected = Expected(here)
    assert expected.askable(direct, "x.example") == {("9.9.9.9", 53)}
    assert expected.askable(named, "x.a.example") == expected.askable(refused, "x.c.example") == frozenset()
