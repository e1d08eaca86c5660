"""What a gateway says of itself: true numbers, and nobody's names."""

import time

import anyio
import msgspec

from anongw import config, reporting
from anongw.address import Endpoint
from anongw.config import Config, HopUrl, Member, Secret, load
from anongw.errors import Reason
from anongw.exposure import Exposure
from anongw.flow import Flow
from anongw.generation import Generation, Lasting
from anongw.identities import Identities
from anongw.ledger import alone
from anongw.log import Counters
from anongw.net.engine import Engine
from anongw.net.pipes import Pipes

SECRETS = ("hop-user", "hop-password", "alice", "target.example", "192.0.2.7", "client-token")


def generation(settings: Config, counters: Counters, engine: Engine) -> Generation:
    lasting = Lasting(
        engine=engine,
        pipes=Pipes(0),
        own=(),
        counters=counters,
        ledger=alone(),
        identities=Identities(lambda: engine.now, bytes(32), 10),
        finished=counters.finished,
        left=lambda _client: None,
    )
    return Generation(settings, lasting)


def settings() -> Config:
    member = Member(
        url=HopUrl("socks5://hop-user:hop-password@127.0.0.1:9"),
        user="hop-user",
        password=Secret("hop-password"),
    )
    chain = config.Chain(hop=(config.Hop(members=(member, member), strategy="random"),))
    return msgspec.structs.replace(load(None), chains={"one": chain}, route=(config.Route(to="one"),))


async def test_the_numbers_are_those_of_the_flows_and_nobody_is_named() -> None:
    counters, engine = Counters(), Engine()
    flows = [
        Flow("127.0.0.1:1080", protocol="http", route="one", sent=30, received=70, user="alice"),
        Flow("127.0.0.1:1080", protocol="socks5", route="one", sent=100, received=200),
        Flow("127.0.0.1:1080", protocol="socks5", route="refuse", reason=Reason.ROUTE_REFUSED),
        Flow("127.0.0.1:1080", protocol="socks5", reason=Reason.MALFORMED),
    ]
    for flow in flows:
        flow.target = Endpoint("target.example", 80)
        flow.token = "client-token"
        counters.finished(flow)
    rooms = generation(settings(), counters, engine)
    rooms.chains["one"].positions[0].scores[1].latency = 0.0123
    said = reporting.status(
        rooms, counters, listeners=("127.0.0.1:1080",), live=3, started=time.monotonic() - 60
    )
    rooms.retire()
    engine.shut()
    assert {route.name: (route.flows, route.sent, route.received) for route in said.routes} == {
        "one": (2, 130, 270),
        "refuse": (1, 0, 0),
    }
    assert said.refused == {Reason.ROUTE_REFUSED: 1, Reason.MALFORMED: 1}
    assert (said.flows, said.live, said.generation, said.scrubbed) == (4, 3, 1, 0.25)
    assert said.scrubbable == 1.0, "all of it went to port 80"
    assert said.exposed == {Exposure.UNSCRUBBED: 3}
    assert 60 <= said.uptime < 70
    hop = said.chains[0].hops[0]
    assert hop.strategy == "random"
    assert [(one.label, one.state, one.latency) for one in hop.members] == [
        ("socks5://127.0.0.1:9", "up", None),
        ("socks5://127.0.0.1:9", "up", 12.3),
    ]
    text = msgspec.json.encode(said).decode()
    assert not [secret for secret in SECRETS if secret in text]


async def test_a_gateway_that_has_done_nothing_has_scrubbed_nothing() -> None:
    engine = Engine()
    rooms = generation(load(None), Counters(), engine)
    assert reporting.status(rooms, Counters(), listeners=(), live=0, started=time.monotonic()).scrubbed == 0
    rooms.retire()
    engine.shut()
    await anyio.lowlevel.checkpoint()


def test_changes_name_settings_and_tell_no_values() -> None:
    old = load(None)
    new = load(
        None, ("limits.idle=1h", "listen.backlog=7", "policy.deny=['secret.example']", "limits.pipe_bytes=0")
    )
    found = reporting.changes(old, new, 2)
    assert set(found.changed) == {"limits.idle", "policy.deny"}
    assert set(found.restart) == {"listen.backlog", "limits.pipe_bytes"}
    assert found.generation == 2
    assert reporting.changes(old, old, 2).changed == ()


def test_chains_and_routes_are_named_as_a_whole() -> None:
    assert set(reporting.changes(load(None), settings(), 2).changed) == {"chains", "route"}
