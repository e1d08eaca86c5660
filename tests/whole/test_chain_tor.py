"""Tor as a hop: what it hears of an identity in each of its protocols, and what its refusals become.

This Tor reaches no network. It refuses an address of its own machine at once, and a name within two seconds;
it tells of every stream, and what it would isolate that by.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.support import asks, upstreams
from tests.support.asks import WAYS
from tests.support.config_file import configured
from tests.support.process import Gateway
from tests.support.raw_origin import Line
from tests.support.upstreams import Tor

PROTOCOLS = ("socks5", "socks4", "http")
ADDRESS, NAME, ONION = "127.0.0.9", "a.example", f"{'a' * 55}d.onion"
# Whether its time for a name is over, or it has no hope before that, depends on how busy the machine is.
REASONS = {
    ADDRESS: ("host-unreachable",),
    NAME: ("connect-timeout", "host-unreachable"),
    ONION: ("host-unreachable",),
}


class World(NamedTuple):
    """The port that is asked for says by which of Tor's protocols."""

    gateway: Gateway
    tor: Tor

    def stream(self, user: str, port: int) -> dict[str, str]:
        """What Tor has of a request in somebody's name."""
        said = asks.socks5_login(user.encode(), b"") + asks.socks5_request(ADDRESS, port)
        assert asks.exchange(self.gateway.where, said) == b"\x05\x02\x01\x00" + asks.socks5_reply(4)
        stream = self.tor.stream()
        assert stream["target"] == f"{ADDRESS}:{port}"
        assert user not in repr(stream)
        return stream


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with upstreams.tor() as tor:
        urls = (tor.socks.url, tor.socks.url.replace("socks5:", "socks4:"), tor.http.url)
        chains = {
            protocol: {"hop": [{"url": url, "isolation": "tor"}], "overlays": ["onion"]}
            for protocol, url in zip(PROTOCOLS, urls, strict=True)
        }
        unmarked = {"hop": chains["socks5"]["hop"]}
        with configured(
            tmp_path_factory.mktemp("gateway"),
            policy={"allow_private": ["127.0.0.0/8"]},
            chains=chains | {"unmarked": unmarked},
            route=[
                *({"target": [f"*:{port(name)}"], "to": name} for name in chains),
                {"to": "unmarked"},
            ],
        ) as gateway:
            yield World(gateway, tor)


def port(protocol: str) -> int:
    return PROTOCOLS.index(protocol) + 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_identities_have_streams_of_their_own_and_are_named_to_nobody(protocol: str, world: World) -> None:
    told: dict[str, tuple[str, str]] = {}
    for user in ("alice", "bob", "alice", "carol", "bob"):
        stream = world.stream(user, port(protocol))
        assert {"SOCKS_USERNAME", "SOCKS_PASSWORD"} <= set(stream["ISO_FIELDS"].split(","))
        said = stream["SOCKS_USERNAME"], stream.get("SOCKS_PASSWORD", "")
        assert told.setdefault(user, said) == said
        if protocol == "socks5":
            assert said[0] == "<torS0X>0"
    assert len(set(told.values())) == 3


def test_no_two_of_its_ports_hear_the_same_of_an_identity(world: World) -> None:
    tokens = set()
    for protocol in PROTOCOLS:
        stream = world.stream("alice", port(protocol))
        tokens.add(stream["SOCKS_USERNAME" if protocol == "socks4" else "SOCKS_PASSWORD"][:32])
    assert len(tokens) == 3


@pytest.mark.parametrize("host", [ADDRESS, NAME, ONION])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_is_told_as_what_it_is(protocol: str, host: str, world: World) -> None:
    with ExitStack() as stack:
        clients = [(way, stack.enter_context(Line(asks.dial(world.gateway.where)))) for way in WAYS]
        for way, client in clients:
            client.send(way.ask(host, port(protocol)))
        heard = {way: client.rest() for way, client in clients}
    assert {world.tor.stream()["target"] for _ in WAYS} == {f"{host}:{port(protocol)}"}
    for way, answer in heard.items():
        assert answer in [way.refused(reason) for reason in REASONS[host]]


def test_an_overlay_that_its_chain_is_not_marked_for_is_not_heard_of(world: World) -> None:
    for way in WAYS:
        assert asks.exchange(world.gateway.where, way.ask(ONION, 4)) == way.refused("private-name")
    world.stream("alice", 4)
