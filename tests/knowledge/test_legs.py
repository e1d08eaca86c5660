"""Where a connection is refused, case by case; then against the very dialers that would carry it.

For the latter every way out of this machine is by an interface that does not exist, so that the first socket
is refused before it connects.
"""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.address import Endpoint
from anongw.config import Config, Egress, Member, parse_listen
from anongw.errors import Reason, Refused
from anongw.generation import Generation, Lasting
from anongw.identities import Identities
from anongw.inbound.session import Session
from anongw.knowledge import Question
from anongw.knowledge.legs import Told, way
from anongw.knowledge.question import put, question
from anongw.ledger import alone
from anongw.log import Counters
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.wait import InTask
from tests.support.knowledge import chained, config
from tests.support.knowledge_cases import HASH, RARE, configs, each, questions

LOGGED = "socks5://u:p@192.0.2.1"
A, S4 = "socks5://192.0.2.1", "socks4://192.0.2.4"
ALICE = f'users={{alice="{HASH.reveal()}"}}'
SAFE = "policy.safe_socks=reject"
ROUTES = 'route=[{target=["*:25"], to="refuse"}, {to="direct"}]'
HOSTS = (
    'resolve.hosts={"in.example"=["10.0.0.1"], "six.example"=["2606:4700::1"], '
    '"two.example"=["10.0.0.1", "1.2.3.4"]}'
)


@pytest.mark.parametrize(
    ("settings_", "target", "options", "refused"),
    [
        (config(), "example.org:443", {}, None),
        (config(ALICE), "example.org:443", {"user": "alice"}, None),
        (config(ALICE), "example.org:443", {}, ("login", Reason.AUTH_REQUIRED)),
        (config(ALICE), "example.org:443", {"user": "bob"}, ("login", Reason.AUTH_FAILED)),
        (
            config(ALICE),
            "example.org:443",
            {"user": "alice", "protocol": "socks4"},
            ("login", Reason.AUTH_REQUIRED),
        ),
        (config(SAFE), "1.2.3.4:443", {}, ("client", Reason.RESOLVED_BY_CLIENT)),
        (config("scrub.profile=strict"), "1.2.3.4:443", {}, ("client", Reason.RESOLVED_BY_CLIENT)),
        (config(SAFE), "1.2.3.4:443", {"protocol": "socks4"}, ("client", Reason.RESOLVED_BY_CLIENT)),
        (config(SAFE), "1.2.3.4:443", {"protocol": "connect"}, None),
        (config(SAFE), "example.org:443", {}, None),
        (config(SAFE, 'policy.allow_private=["10.0.0.0/8"]'), "10.0.0.1:80", {}, None),
        (config(), "1.2.3.4:443", {}, None),
        (config(ROUTES), "example.org:25", {}, ("route", Reason.ROUTE_REFUSED)),
        (config(), "127.0.0.1:1080", {}, ("policy", Reason.OWN_LISTENER)),
        (config(), "10.0.0.1:80", {}, ("policy", Reason.PRIVATE_TARGET)),
        (config('policy.allow_private=["10.0.0.0/8"]'), "10.0.0.1:80", {}, None),
        (config(), "printer.local:80", {}, ("policy", Reason.PRIVATE_NAME)),
        (config('policy.deny=["example.org"]'), "www.example.org:80", {}, ("policy", Reason.FORBIDDEN)),
        (config('policy.allow=["example.org:443"]'), "example.org:80", {}, ("policy", Reason.FORBIDDEN)),
        (config(), "a.invalid:80", {}, ("policy", Reason.PRIVATE_NAME)),
        (config(), "a.onion:80", {}, ("overlay", Reason.PRIVATE_NAME)),
        (config('resolve.zones={onion="udp://192.168.1.1"}'), "a.onion:80", {}, None),
        (config(HOSTS), "in.example:80", {}, ("policy", Reason.REBINDING)),
        (config(HOSTS), "two.example:80", {}, None),
        (config(HOSTS), "six.example:80", {}, None),
        (config(HOSTS, "resolve.family=ipv4"), "six.example:80", {}, ("resolver", Reason.NAME_NOT_FOUND)),
        (chained(A), "a.onion:80", {}, ("overlay", Reason.PRIVATE_NAME)),
        (chained(A, overlays=("onion",)), "a.onion:80", {}, None),
        (chained(A, overlays=("onion",), names="here"), "a.onion:80", {}, ("overlay", Reason.PRIVATE_NAME)),
        (chained(A), "a.invalid:80", {}, ("policy", Reason.PRIVATE_NAME)),
        (
            chained(A, names="here", family="ipv4", sets=(HOSTS,)),
            "six.example:80",
            {},
            ("resolver", Reason.NAME_NOT_FOUND),
        ),
        (chained(A, sets=(HOSTS, "resolve.family=ipv4")), "six.example:80", {}, None),  # the exit's to know
        (chained(A, sets=(HOSTS,)), "in.example:80", {}, None),
        (chained(A, names="here", sets=(HOSTS,)), "in.example:80", {}, ("policy", Reason.REBINDING)),
        (chained(A, family="ipv4"), "[2606:4700::1]:80", {}, ("family", Reason.UNSUPPORTED_ADDRESS)),
        (chained(A, family="ipv6"), "[2606:4700::1]:80", {}, None),
        (chained(A, S4), "[2606:4700::1]:80", {}, ("exit", Reason.UNSUPPORTED_ADDRESS)),
        (chained(A, [S4, A]), "[2606:4700::1]:80", {}, None),
        (chained(S4, A), "[2606:4700::1]:80", {}, None),
        (chained("socks5://a.invalid"), "example.org:80", {}, ("hop", Reason.HOP_UNREACHABLE)),
        (chained(["socks5://a.invalid", A]), "example.org:80", {}, None),
        (chained("socks5://a.invalid", names="here"), "1.2.3.4:80", {}, ("hop", Reason.HOP_UNREACHABLE)),
        (
            chained("socks5://a.invalid", names="here"),
            "example.org:80",
            {},
            ("hop", Reason.RESOLVER_FAILED),
        ),
        (
            chained("direct", sets=(HOSTS, "resolve.family=ipv4")),
            "six.example:80",
            {},
            ("resolver", Reason.NAME_NOT_FOUND),
        ),
        (chained(["direct", A], sets=(HOSTS, "resolve.family=ipv4")), "six.example:80", {}, None),
    ],
)
def test_where_it_is_refused(
    settings_: Config, target: str, options: dict[str, Any], refused: tuple[str, Reason] | None
) -> None:
    found = way(put(settings_, question(target, **options))).refused
    assert (found and (found.where, found.reason)) == refused
    assert not found or found.why


def test_the_route_that_decides_is_told() -> None:
    taken = way(put(config(ROUTES), question("example.org:25"))).taken
    assert taken
    assert (taken.place, taken.to, taken.why) == (0, "refuse", "*:25: refused")
    taken = way(put(config(ROUTES), question("example.org:26"))).taken
    assert taken
    assert (taken.place, taken.to) == (1, "direct")


def test_an_exit_that_cannot_be_asked_is_reached_and_told_nothing() -> None:
    (leg,) = way(put(chained(LOGGED, "socks4://user@192.0.2.4"), question("[2606:4700::1]:80"))).legs
    assert leg.told is Told.NOTHING
    # SOCKS4 says who asks and what for in one request.
    assert [stage.logs_in for stage in leg.row] == [True, False]
    # By the pool it may go, or as far as this.
    legs = way(put(chained([S4, "direct"]), question("[2606:4700::1]:80"))).legs
    assert [(leg.told, leg.exit) for leg in legs] == [(Told.ADDRESS, "direct"), (Told.NOTHING, "hop 1")]


# Against the dialers themselves

# The first socket is refused, or a name is to be looked up first.
ON_ITS_WAY = {Reason.EGRESS_GONE, Reason.NETWORK_UNREACHABLE, None}


def carried(made: Config, asked: Question) -> Reason | None:
    """What the gateway's own rooms say of the flow, up to its first packet; None: they look a name up."""
    engine = Engine()
    lasting = Lasting(
        engine=engine,
        pipes=Pipes(0),
        own=[one for one in map(parse_listen, made.listen.addresses) if isinstance(one, Endpoint)],
        counters=Counters(),
        ledger=alone(),
        identities=Identities(lambda: engine.now, bytes(32), 10),
        finished=lambda _flow: None,
        left=lambda _client: None,
    )
    generation = Generation(made, lasting)
    flow = put(made, asked).flow
    flow.route = generation.rooms.routes.choose(flow)
    assert flow.target
    dial = generation.rooms.dialer.dial(flow.target, flow, Fiber(engine, lambda _fiber, _reason: None))
    try:
        if asked.protocol in ("socks5", "socks4"):
            Session(flow, lambda: generation.rooms, local=True).by_address(flow.target)
        assert isinstance(dial.send(None), InTask)
    except Refused as refused:
        return refused.reason
    else:
        return None
    finally:
        dial.close()
        generation.retire()
        engine.shut()


@st.composite
def nowhere(draw: st.DrawFn) -> Config:
    """A config by which no socket leaves; no pool goes directly too, so that each has one way."""
    return without_a_way(draw(configs()))


def without_a_way(made: Config) -> Config:
    gone = Egress(interface="gone0")
    chain = made.chains["one"]
    hops = tuple(msgspec.structs.replace(hop, members=alike(hop.members)) for hop in chain.hop)
    chain = msgspec.structs.replace(chain, hop=hops, egress=gone)
    return msgspec.structs.replace(made, egress=gone, chains={"one": chain}, users={})


def alike(members: tuple[Member, ...]) -> tuple[Member, ...]:
    return tuple(one for one in members if one.url.scheme == "direct") or members


async def test_what_is_refused_is_refused_by_the_gateway_too() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, deadline=None)
    @each([(without_a_way(made), asked) for made, asked in RARE])
    @given(nowhere(), questions())
    def holds(made: Config, asked: Question) -> None:
        found = way(put(made, asked))
        reason = carried(made, asked)
        if found.refused and found.refused.where != "exit":  # which is not come to here
            seen[found.refused.where] += 1
            asking = found.refused.reason is Reason.RESOLVER_FAILED  # and would not come back
            assert reason is (None if asking else found.refused.reason)
            return
        seen["goes"] += 1
        # A member that is on this machine, or whose name may not be asked for, cannot be reached.
        lost = reason is Reason.HOP_UNREACHABLE and any(
            is_lost(one, made) for one in made.chains["one"].hop[0].members
        )
        assert lost or reason in ON_ITS_WAY

    holds()
    assert seen.keys() == {"client", "goes", "route", "policy", "overlay", "family", "resolver", "hop"}


def is_lost(member: Member, made: Config) -> bool:
    host = str(member.url.endpoint.host)
    # The fixed addresses of hops are of IPv4.
    elsewhere = host in made.resolve.hosts and made.resolve.family == "ipv6"
    return elsewhere or host.startswith("127.") or host.endswith(".invalid")
