"""What really leaves the machine where the way out is a chain: every packet on every cable of the gateway's.

It may go to a chain's first hop, to the name server for a first hop's own name, and to nobody else, whatever
becomes of the hops. One gateway serves this file, watched from its start to its end; each test answers for
what has passed since the one before. See tests/support/chain_scene.py for the networks and the judgement.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from anongw.lab.capture import Watch
from anongw.lab.passed import Passed, in_dns, written
from tests.support import asks, namespace
from tests.support.asks import CONNECT, HTTP, SOCKS5, TUNNELS, WAYS
from tests.support.chain_scene import (
    DIRECT_NAME,
    HERE_NAME,
    HOP_NAME,
    LIE,
    NAME,
    NAME_6,
    ONION,
    OTHER_HOP_NAME,
    PLAIN_NAME,
    Kind,
    Laid,
    Scene,
    basic,
    logins,
    scene,
)
from tests.support.config_file import Table
from tests.support.namespace import HOPS_6, LOOPBACK, ORIGIN, ORIGIN_6, REFUSING

SHAPES: Mapping[str, tuple[Kind, ...]] = {
    "one-socks5": ("socks5",),
    "one-socks4": ("socks4",),
    "one-http": ("http",),
    "one-https": ("https",),
    "two-exit-in-tls": ("socks5", "https"),
    "two-plain": ("http", "socks4"),
    "two-alike": ("socks5", "socks5"),
    "three-entry-in-tls": ("https", "socks4", "socks5"),
    "three-exit-in-tls": ("socks4", "http", "https"),
    "three-middle-in-tls": ("socks5", "https", "http"),
}
# Their exits know .onion; nobody else's do.
MARKED = ("one-socks5", "two-exit-in-tls", "three-entry-in-tls")

NOT_SOCKS4 = (SOCKS5, CONNECT, HTTP)  # which has no word for an IPv6 address

pytestmark = pytest.mark.skipif(bool(namespace.why_not()), reason=namespace.why_not() or "namespaces work")


def _lay(world: Scene) -> None:
    """All the chains of this file."""
    for name, kinds in SHAPES.items():
        world.chain(name, *kinds, **({"overlays": ["onion"]} if name in MARKED else {}))
    world.chain("only-ipv4", "socks5", family="ipv4")
    world.chain("sites", "socks5")
    world.chain("here", "socks5", "http", names="here")
    world.chain("here-in-tls", "socks5", "https", names="here")
    six = world.hop("six", "socks5", host=HOPS_6[0])
    world.lay("six", (six,), [world.table(six)])
    named = world.hop("named", "socks5")
    world.lay("named", (named,), [world.table(named, HOP_NAME)])
    here = world.hop("here-named", "socks4")
    world.lay("here-named", (here,), [world.table(here, OTHER_HOP_NAME)], names="here")
    far = world.hop("named-second", "http", 1)
    near = world.hop("named-second", "socks5", names={"second.example": far.place})
    world.lay("named-second", (near, far), [world.table(near), world.table(far, "second.example")])
    entry, leaving = world.hop("apart", "socks5"), world.hop("apart", "http", 1)
    entry.users = leaving.users = {}
    tables = [{"url": hop.url, "isolation": how} for hop, how in ((entry, "auth"), (leaving, "tor"))]
    world.lay("apart", (entry, leaving), tables)


def _routes(world: Scene) -> list[Table]:
    sites = world.chains["sites"].client.decode()
    return [
        {"identity": [sites], "target": [DIRECT_NAME, f"{REFUSING}/32"], "to": "direct"},
        {"identity": ["client-of-refused"], "to": "refuse"},
        {"identity": ["client-of-nobody"], "to": "direct"},
        {"identity": ["client-of-another"], "to": "apart"},
        *({"identity": [one.client.decode()], "to": one.name} for one in world.chains.values()),
        {"to": "refuse"},
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with namespace.networks() as networks, scene(networks) as one:
        _lay(one)
        path = one.write(tmp_path_factory.mktemp("gateway"), _routes(one))
        # A test that takes a hop away means everybody.
        with one.gateway(path, "limits.upstream_kept=0"):
            yield one


def test_a_gateway_that_nobody_uses_says_nothing(world: Scene) -> None:
    passed = world.passed()
    assert (passed.outward, passed.onward) == ([], [])


# Chains that work


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_hop_is_all_that_is_talked_to(shape: str, world: Scene) -> None:
    """And each hop hears of the next one, and nobody of more."""
    chain = world.chains[shape]
    literals = chain.wishes(ORIGIN_6, ways=NOT_SOCKS4) if SHAPES[shape][-1] != "socks4" else []
    for wish in (*chain.wishes(NAME, ORIGIN), *chain.wishes(NAME_6, ways=TUNNELS), *literals):
        world.carries(*wish)
    passed = world.passed()
    assert passed.opened == {chain.first}
    assert passed.asked == set()
    assert passed.between == chain.between(world.to_origin, world.to_origin_6)
    judge_readers(chain, passed)
    assert passed.readers(NAME.encode()) == passed.readers(NAME_6.encode()) == chain.exits
    assert passed.readers(PLAIN_NAME.encode()) == chain.exits | {world.to_origin}


def judge_readers(chain: Laid, passed: Passed) -> None:
    """A hop's login and whom it is asked for can be read on the way to it, unless it is spoken to in TLS."""
    assert passed.readers(*written(chain.first)) == set()
    for number, hop in enumerate(chain.hops):
        for login in logins(hop):
            assert passed.readers(login) == chain.readers(number)
        for following in chain.hops[number + 1 : number + 2]:
            assert passed.readers(*written(following.place)) == chain.readers(number)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_onion_name_goes_to_an_exit_that_knows_it_or_nowhere(shape: str, world: Scene) -> None:
    chain = world.chains[shape]
    if shape not in MARKED:
        world.refuses(*chain.wishes(ONION))
        assert world.passed().opened == set()
        return
    for wish in chain.wishes(ONION, ways=TUNNELS):
        world.carries(*wish)
    passed = world.passed()
    assert passed.opened == {chain.first}
    assert passed.readers(ONION.encode()) == chain.exits


def test_a_literal_of_the_wrong_family_goes_nowhere(world: Scene) -> None:
    world.refuses(*world.chains["only-ipv4"].wishes(ORIGIN_6, ways=NOT_SOCKS4))
    assert world.passed().opened == set()


def test_socks4_cannot_name_an_ipv6_literal_and_nobody_else_is_asked(world: Scene) -> None:
    chain = world.chains["two-plain"]
    world.refuses(*chain.wishes(ORIGIN_6, ways=NOT_SOCKS4))
    passed = world.passed()
    assert passed.opened <= {chain.first}
    assert passed.readers(*written(world.to_origin_6)) == set()


def test_a_hop_on_ipv6(world: Scene) -> None:
    chain = world.chains["six"]
    for wish in chain.wishes(NAME, ORIGIN):
        world.carries(*wish)
    assert world.passed().opened == {chain.first}


# Names


def test_a_named_first_hop_is_the_only_name_that_is_asked_for(world: Scene) -> None:
    chain = world.chains["named"]
    for wish in chain.wishes(NAME):
        world.carries(*wish)
    passed = world.passed()
    assert passed.asked == {HOP_NAME}
    assert passed.opened == {chain.first}
    assert passed.between == chain.between(world.to_origin)


def test_a_named_later_hop_is_told_to_the_hop_before_it(world: Scene) -> None:
    chain = world.chains["named-second"]
    for wish in chain.wishes(NAME):
        world.carries(*wish)
    passed = world.passed()
    assert passed.asked == set()
    assert passed.opened == {chain.first}
    assert passed.readers(b"second.example") == chain.readers(0)


@pytest.mark.parametrize("name", ["here", "here-in-tls", "here-named"])
def test_names_that_are_looked_up_here_are_asked_for_at_the_far_end(name: str, world: Scene) -> None:
    """By the exit's address, over a stream; the exit is told an address then."""
    chain = world.chains[name]
    for wish in chain.wishes(HERE_NAME):
        world.carries(*wish)
    world.refuses(*chain.wishes(LIE))
    passed = world.passed()
    assert passed.opened == {chain.first}
    assert passed.asked == ({OTHER_HOP_NAME} if name == "here-named" else set())
    assert passed.between == chain.between(world.to_origin, world.to_names)
    for looked_up in (HERE_NAME, LIE):
        assert passed.readers(in_dns(looked_up)) == chain.exits | {world.to_names}
    assert passed.readers(*written(world.to_origin)) == chain.exits


def test_a_resolver_out_of_reach_is_replaced_by_nobody(world: Scene) -> None:
    chain = world.chains["here"]
    with chain.hops[-1].away():
        world.refuses(*chain.wishes("unheard-of.example"))
    passed = world.passed()
    assert (passed.opened, passed.asked) == ({chain.first}, set())
    # A question may have been on its way, on a connection through the chain whose end had not been heard yet.
    assert passed.readers(b"unheard-of") <= chain.exits


def test_each_identity_and_hop_has_a_token_of_its_own(world: Scene) -> None:
    chain = world.chains["apart"]
    tokens: list[str] = []
    for client in (chain.client, b"client-of-another"):
        world.carries(client, CONNECT, NAME)
    passed = world.passed()
    assert passed.opened == {chain.first}
    for number, hop in enumerate(chain.hops):
        for seen in hop.seen:
            user, password = seen.user or "", seen.password or ""
            tokens += [word for word in (user, password) if word != "tor-iso"]
            assert passed.readers(password.encode(), basic(user, password)) == chain.readers(number)
    assert len(set(tokens)) == len(tokens) == 2 * 2 + 2 * 1


# Routes


def test_a_route_that_refuses_lets_nothing_out(world: Scene) -> None:
    # Somebody whom a route refuses, and somebody whom only the last one knows.
    for client in (b"client-of-refused", b"client-of-whoever"):
        world.refuses(*((client, way, host) for way in WAYS for host in (NAME, ORIGIN)))
        world.refuses(*((client, way, ORIGIN_6) for way in NOT_SOCKS4))
    assert world.passed().opened == set()


def test_each_site_goes_its_own_way_only(world: Scene) -> None:
    chain = world.chains["sites"]
    for way in WAYS:
        world.carries(chain.client, way, DIRECT_NAME)
        world.refuses((chain.client, way, REFUSING))
        passed = world.passed()
        assert passed.opened == {world.to_origin, (REFUSING, world.origin.port)}
        assert passed.asked <= {DIRECT_NAME}
        # The direct one's address is not the direct one.
        for wish in chain.wishes(NAME, ORIGIN, ways=(way,)):
            world.carries(*wish)
        world.refuses((chain.client, way, f"not-{DIRECT_NAME}"))
        passed = world.passed()
        assert passed.opened == {chain.first}
        assert passed.asked == set()


def test_requests_on_one_connection_go_their_own_ways(world: Scene) -> None:
    chain = world.chains["sites"]
    places = {DIRECT_NAME: world.to_origin, PLAIN_NAME: chain.first}
    with world.connected() as sock:
        for host in (DIRECT_NAME, PLAIN_NAME) * 3:
            world.get(sock, chain.client, host)
            passed = world.passed()
            assert passed.opened == {places[host]}
            assert passed.asked <= {DIRECT_NAME}


# That the judgement is one


@pytest.mark.parametrize(
    ("sin", "complaint"),
    [
        ("(b'', ('8.8.8.8', 53))", "8.8.8.8"),
        (f"(b'', ('{ORIGIN}', 5))", ORIGIN),
        (f"(b'', ('{ORIGIN_6}', 5))", ORIGIN_6),
        ("(b'', ('127.0.0.53', 53))", "this machine"),
    ],
)
def test_a_datagram_would_be_seen(sin: str, complaint: str, world: Scene) -> None:
    family = 10 if "::" in sin else 2
    program = f"import socket; socket.socket({family}, 2).sendto(*{sin})"
    subprocess.run([*world.networks.prefix, sys.executable, "-c", program], check=True)
    with pytest.raises(AssertionError, match=complaint):
        world.passed()


def test_a_connection_past_the_chain_would_be_seen(world: Scene) -> None:
    world.carries(b"client-of-nobody", CONNECT, ORIGIN)
    assert world.passed().opened == {world.to_origin}


def test_a_question_for_a_targets_name_would_be_seen(world: Scene) -> None:
    world.refuses((b"client-of-nobody", CONNECT, NAME))
    assert world.passed().asked == {NAME}


def test_it_would_be_known_that_a_packet_was_not_seen(world: Scene) -> None:
    frames = world.networks.frames(LOOPBACK, "outside")
    with frames, world.networks.datagrams(ORIGIN) as sock:
        frames.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(100):
            sock.sendto(bytes(1000), (ORIGIN, 9))
        with pytest.raises(AssertionError, match="unseen"):
            Watch({"lo": frames}).take()
    world.passed()


def test_a_secret_would_be_seen_across_packets(world: Scene) -> None:
    with world.tunnel(world.chains["one-socks5"].client, CONNECT, ORIGIN) as sock:
        for byte in b"client-of-":
            sock.sendall(bytes((byte,)))
            assert asks.exactly(sock, 1) == bytes((byte,))
    with pytest.raises(AssertionError):
        world.passed()
