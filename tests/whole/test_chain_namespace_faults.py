"""What leaves the machine while hops fail: packets to first hops, as before, and to nobody else.

Killed, hanging, talking nonsense or dying in the middle: in every phase, and once the hop is back, everything
goes through the chain or nowhere. One gateway serves this file. See tests/support/chain_scene.py for the
networks and the judgement on every packet; what clients are told is the matter of test_chain_faults.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from anongw.lab.hop_script import Cut, Fault, Manner, Phase
from tests.support import asks, namespace
from tests.support.asks import HTTP, SOCKS5, TUNNELS, WAYS, Way
from tests.support.chain_scene import NAME, Kind, Laid, Scene, Wish, logins, scene
from tests.support.fake_hop import FakeHop
from tests.support.hop_faults import FAULTS
from tests.support.namespace import HOPS, ORIGIN

# Each with the place of the hop that fails.
CHAINS: Mapping[str, tuple[int, tuple[Kind, ...]]] = {
    "only-socks5": (0, ("socks5",)),
    "only-socks4": (0, ("socks4",)),
    "only-http": (0, ("http",)),
    "only-https": (0, ("https",)),
    "entry": (0, ("https", "socks5")),
    "middle": (1, ("socks5", "http", "socks4")),
    "exit": (2, ("socks4", "https", "socks5")),
}
# What it does, by the names in hop_faults.py.
DOES = (
    "hangs before anything",
    "closes before anything",
    "resets before anything",
    "hangs at the reply",
    "closes in the middle of the reply",
    "resets at the reply",
    "greets like SSH",
    "refuses",
)
REFUSES = {"socks5": "replies 0x02", "socks4": "replies 0x5b", "http": "answers 403", "https": "answers 403"}
# So long does a hop that hangs cost its clients.
HASTY = {"hop_timeout": "1500ms", "timeout": "1500ms"}
# A network that nobody lives in: packets for it get as far as the router outside.
SILENT = ("20.9.9.9", 1080)

pytestmark = pytest.mark.skipif(bool(namespace.why_not()), reason=namespace.why_not() or "namespaces work")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with namespace.networks() as networks, scene(networks) as one:
        for name, (_, kinds) in CHAINS.items():
            one.chain(name, *kinds, **HASTY)
        one.lay("silent", (), [{"url": f"socks5://{SILENT[0]}:{SILENT[1]}"}], **HASTY)
        pool = tuple(one.hop(f"pool-{word}", "socks5") for word in ("first", "second", "third"))
        one.lay("pool", pool, [{"member": [one.table(hop) for hop in pool]}])
        route = [{"identity": [chain.client.decode()], "to": chain.name} for chain in one.chains.values()]
        # The last one is there so that there is a way to leak by; no client's name leads to it.
        path = one.write(tmp_path_factory.mktemp("gateway"), [*route, {"to": "direct"}])
        # Kept connections would do without the hop that a test has taken away.
        with one.gateway(path, "limits.upstream_kept=0"):
            yield one


def victims(world: Scene) -> dict[str, FakeHop]:
    return {name: world.chains[name].hops[place] for name, (place, _) in CHAINS.items()}


def everybody(
    world: Scene, *hosts: str, ways: Iterable[Way] = WAYS, chains: Iterable[str] = CHAINS
) -> list[Wish]:
    return [wish for name in chains for wish in world.chains[name].wishes(*hosts, ways=ways)]


def judge(world: Scene, chains: Iterable[str] = CHAINS) -> None:
    """Everything went to the first hops, from those to the next, and from exits to the origin."""
    passed = world.passed()
    laid = [world.chains[name] for name in chains]
    assert passed.opened == {chain.first for chain in laid}
    assert passed.asked == set()
    assert passed.between <= {edge for chain in laid for edge in chain.between(world.to_origin)}
    for chain in laid:
        for number, hop in enumerate(chain.hops):
            for login in logins(hop):
                assert passed.readers(login) <= chain.readers(number)


def judge_recovery(world: Scene) -> None:
    """What is mended is used again."""
    for wish in everybody(world, NAME, ways=(SOCKS5, HTTP)):
        world.carries(*wish)
    judge(world)


@pytest.mark.parametrize("what", DOES)
def test_nothing_goes_past_a_hop_that_fails(what: str, world: Scene) -> None:
    for name, victim in victims(world).items():
        place, kinds = CHAINS[name]
        kind = kinds[place]
        victim.fault = FAULTS[kind][REFUSES[kind] if what == "refuses" else what][0]
    world.refuses(*everybody(world, NAME, ORIGIN))
    judge(world)
    for victim in victims(world).values():
        victim.fault = None
    judge_recovery(world)


def test_nothing_goes_past_a_hop_that_is_killed(world: Scene) -> None:
    """In the middle of its tunnels, too."""
    with ExitStack() as stack:
        wishes = everybody(world, NAME, ORIGIN, ways=TUNNELS)
        socks = [stack.enter_context(world.tunnel(*wish)) for wish in wishes]
        for sock in socks:
            sock.sendall(b"ping")
            assert asks.exactly(sock, 4) == b"ping"
        with ExitStack() as killed:
            for victim in victims(world).values():
                killed.enter_context(victim.away())
            assert [asks.rest(sock) for sock in socks] == [b""] * len(socks)
            world.refuses(*everybody(world, NAME, ORIGIN))
            judge(world)
    judge_recovery(world)


@pytest.mark.parametrize("manner", [Manner.CLOSE, Manner.RESET])
def test_nothing_goes_past_a_hop_that_dies_in_the_relay(manner: Manner, world: Scene) -> None:
    # What a hop before the exit relays first is the next one's handshake.
    last = {name: hop for name, hop in victims(world).items() if hop is world.chains[name].hops[-1]}
    for victim in last.values():
        victim.cut = Cut(2, manner)
    with ExitStack() as stack:
        wishes = everybody(world, NAME, ORIGIN, ways=TUNNELS, chains=last)
        socks = [stack.enter_context(world.tunnel(*wish)) for wish in wishes]
        for sock in socks:
            sock.sendall(b"ping")
        assert [asks.rest(sock) for sock in socks] == [b"pi"] * len(socks)
    world.refuses(*everybody(world, NAME, ways=(HTTP,), chains=last))
    judge(world, last)
    for victim in last.values():
        victim.cut = None
    judge_recovery(world)


def test_a_hop_that_never_answers_is_waited_for_in_vain(world: Scene) -> None:
    world.refuses(*world.chains["silent"].wishes(NAME, ORIGIN))
    passed = world.passed()
    assert (passed.opened, passed.asked) == ({SILENT}, set())


def test_a_pool_is_its_members_and_nobody_else(world: Scene) -> None:
    pool = world.chains["pool"]
    first, second, third = pool.hops
    members = {hop.place for hop in pool.hops}
    second.fault = Fault(Phase.METHOD, says=b"\x05\xff")
    with first.away():
        for wish in pool.wishes(NAME):
            world.carries(*wish)
        judge_pool(world, pool)
        with third.away():
            # Those that are down are tried as well, because there is no other.
            world.refuses(*pool.wishes(NAME, ORIGIN))
            judge_pool(world, pool)
    second.fault = None
    for wish in pool.wishes(NAME):
        world.carries(*wish)
    assert world.passed().opened <= members


def judge_pool(world: Scene, pool: Laid) -> None:
    passed = world.passed()
    assert passed.opened == {hop.place for hop in pool.hops}
    assert passed.asked == set()
    assert passed.between <= {(HOPS[0], world.to_origin)}
    for hop in pool.hops:
        for login in logins(hop):
            assert passed.readers(login) <= {hop.place}
