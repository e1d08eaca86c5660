"""The rooms of one config: only ways that routes name exist, and only resolvers that somebody needs."""

import ipaddress
import socket

import anyio
import msgspec
import pytest

from anongw import config
from anongw.address import Endpoint
from anongw.config import Config, load
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.generation import Generation, Lasting, bound
from anongw.identities import Identities
from anongw.ledger import alone
from anongw.log import Counters
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from tests.support.chains import hop
from tests.support.driven import DrivenEngine, driven
from tests.support.fake_hop import FakeHop
from tests.support.outside import Origin, listening


def lasting(engine: Engine) -> Lasting:
    return Lasting(
        engine=engine,
        pipes=Pipes(0),
        own=(),
        counters=Counters(),
        ledger=alone(),
        identities=Identities(lambda: engine.now, bytes(32), 10),
        finished=lambda _flow: None,
        left=lambda _client: None,
    )


def settings(*routes: str, **chains: config.Chain) -> Config:
    return msgspec.structs.replace(
        load(None, ('policy.allow_private=["127.0.0.0/8"]',)),
        chains=chains,
        route=tuple(config.Route(to=name) for name in routes),
    )


def chain(*urls: str, **options: object) -> config.Chain:
    return config.Chain(hop=tuple(hop(url) for url in urls), **options)  # type: ignore[arg-type]


BY_ADDRESS = "socks5://127.0.0.1:9"
BY_NAME = "socks5://hop.example:9"


@pytest.mark.parametrize(
    ("config_", "resolvers"),
    [
        # Where everything goes through hops that are addresses, nobody is there who could ask.
        (settings("one", one=chain(BY_ADDRESS)), 0),
        (settings("one", one=chain(BY_ADDRESS, BY_NAME)), 0),
        (settings("refuse"), 0),
        (settings("one", one=chain(BY_NAME)), 1),
        (settings("one", "two", one=chain(BY_NAME), two=chain(BY_NAME)), 1),
        (settings("one", one=chain(BY_ADDRESS, names="here")), 1),
        (settings("direct"), 1),
        (settings("direct", one=chain(BY_NAME)), 1),
    ],
)
async def test_only_resolvers_that_somebody_needs_exist(config_: Config, resolvers: int) -> None:
    engine = Engine()
    rooms = Generation(config_, lasting(engine))
    assert len(rooms.resolvers) == resolvers
    rooms.retire()
    engine.shut()


async def went(rooms: Generation, engine: DrivenEngine, route: str) -> Reason | type[Exception] | None:
    """Dial by this route, wherever it leads."""
    outcome: list[Reason | type[Exception] | None] = []

    async def carry(fiber: Fiber, _client: Stream) -> None:
        try:
            await rooms.rooms.dialer.dial(
                Endpoint("target.example", 80), Flow("127.0.0.1:1080", route=route, identity="x"), fiber
            )
        except Refused as refused:
            outcome.append(refused.reason)
        except KeyError as error:
            outcome.append(type(error))
        else:
            outcome.append(None)

    await engine.flow(carry).over()
    return outcome[0]


async def test_only_ways_that_routes_name_exist() -> None:
    async with driven() as engine:
        rooms = Generation(settings("one", one=chain(BY_ADDRESS), two=chain(BY_ADDRESS)), lasting(engine))
        assert set(rooms.chains) == {"one"}
        assert await went(rooms, engine, "one") is Reason.HOP_UNREACHABLE
        assert await went(rooms, engine, "two") is KeyError
        assert await went(rooms, engine, "direct") is KeyError
        assert await went(rooms, engine, "refuse") is Reason.ROUTE_REFUSED
        rooms.retire()


async def test_a_reload_keeps_what_is_known_of_members() -> None:
    async with driven() as engine:
        shared = lasting(engine)
        first = Generation(settings("one", one=chain(BY_ADDRESS)), shared)
        await went(first, engine, "one")
        second = Generation(settings("one", one=chain(BY_ADDRESS, tries=7)), shared, first)
        assert second.number == 2
        assert second.chains["one"].positions[0].scores[0].failures == 1
        other = Generation(settings("one", one=chain("socks5://127.0.0.1:10")), shared, second)
        assert other.chains["one"].positions[0].scores[0].failures == 0
        for rooms in (first, second, other):
            rooms.retire()
        assert engine.on_sweep == []


async def test_names_that_are_resolved_here_are_asked_through_the_chain() -> None:
    """By DNS over TCP, of a server that only the hop can reach."""
    with Origin(listening("127.0.0.1")) as nowhere, FakeHop() as one:
        one.names["9.9.9.9"] = ("127.0.0.1", nowhere.port)
        wanted = settings("one", one=chain(one.url, names="here", timeout=2.0))
        wanted = msgspec.structs.replace(
            wanted, resolve=config.Resolve(servers=("tcp://9.9.9.9",), timeout=0.5)
        )
        async with driven(alone=False) as engine:
            rooms = Generation(wanted, lasting(engine))
            async with anyio.create_task_group() as tasks:
                await tasks.start(rooms.run)
                # The origin echoes the question, which is no answer.
                assert await went(rooms, engine, "one") is Reason.RESOLVER_FAILED
                rooms.close()
            rooms.retire()
        assert one.asked
        assert set(one.asked) == {("9.9.9.9", 53)}
        assert any(b"target" in bytes(heard.data) for heard in nowhere.heard)


def test_the_egress_of_a_config_is_what_sockets_are_bound_to() -> None:
    with socket.socket() as sock, pytest.raises(Refused) as refused:
        bound(config.Egress(interface="none-such0")).apply(sock, ipaddress.ip_address("192.0.2.1"))
    assert refused.value.reason is Reason.EGRESS_GONE
    with socket.socket() as sock:
        bound(config.Egress(source=("127.0.0.3",))).apply(sock, ipaddress.ip_address("127.0.0.1"))
        assert sock.getsockname()[0] == "127.0.0.3"
