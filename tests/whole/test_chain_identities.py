"""Nothing crosses identities, whatever they do and in whatever order: as hops, origins and resolvers see it.

Crowds of clients ask for the same few sites, at once, through chains that keep them apart in every way. Each
writes a mark into what it sends, so that whoever hears it knows for whom it should be; then what everybody
has heard is searched for two that met, for tokens that are not one's own alone, and for names.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from anongw.lab.hop_script import Seen
from tests.support import asks, outside
from tests.support.config_file import Table, configured
from tests.support.crowd import CLIENTS, LISTENERS, PROTOCOLS, Client, Identity
from tests.support.fake_hop import FakeHop, Scheme
from tests.support.raw_origin import Line

# What is told to each hop that belongs to one identity alone, by the hop's name.
Told = Callable[[Seen], tuple[str | None, ...]]


def login(seen: Seen) -> tuple[str | None, ...]:
    return seen.user, seen.password


def user(seen: Seen) -> tuple[str | None, ...]:
    return (seen.user,)


def account(seen: Seen) -> tuple[str | None, ...]:
    assert seen.password == "secret"
    assert seen.user is not None
    assert seen.user.startswith("account-")
    return (seen.user.removeprefix("account-"),)


def tor_password(seen: Seen) -> tuple[str | None, ...]:
    assert seen.user == "<torS0X>0"
    return (seen.password,)


def tor_header(seen: Seen) -> tuple[str | None, ...]:
    (token,) = re.findall(rb"\r\nTor-Stream-Isolation: ([0-9a-f]+)\r\n", seen.head)
    assert (seen.user, seen.password) == ("tor-iso", token.decode())
    return (token.decode(),)


POOL = ("pool-0", "pool-1", "pool-2")
HOPS: Mapping[str, tuple[Scheme, Told]] = {
    "entry": ("socks5", login),
    "exit": ("http", login),
    "tor": ("socks5", tor_password),
    "tor-socks4": ("socks4", user),
    "tor-http": ("http", tor_header),
    "account": ("socks5", account),
    "here": ("socks5", login),
    **dict.fromkeys(POOL, ("socks5", login)),
}


def chains(hops: Mapping[str, FakeHop]) -> dict[str, Table]:
    def hop(name: str, isolation: str) -> Table:
        return {"url": hops[name].url, "isolation": isolation}

    where = hops["account"].upstream.where
    pool = {"urls": [hops[name].url for name in POOL], "strategy": "random", "sticky": "1h"}
    return {
        "two": {"hop": [hop("entry", "auth"), hop("exit", "auth")]},
        "tor": {"hop": [hop("tor", "tor")]},
        "tor-socks4": {"hop": [hop("tor-socks4", "tor")]},
        "tor-http": {"hop": [hop("tor-http", "tor")]},
        "account": {"hop": [{"url": f"socks5://account-%7Btoken%7D:secret@{where}"}]},
        "here": {"hop": [hop("here", "auth")], "names": "here"},
        "pool": {"hop": [{**pool, "isolation": "auth"}]},
    }


CHAINS = ("two", "tor", "tor-socks4", "tor-http", "account", "here", "pool")
# The last is each one's own: a resolver that hears of it knows who asks.
SITES = ("a", "b", "own")


class Ask(NamedTuple):
    client: Client
    chain: str
    site: str


class World:
    """The hops, the origin and the resolver behind a gateway, and who has asked so far."""

    def __init__(
        self,
        hops: Mapping[str, FakeHop],
        origin: outside.Origin,
        names: outside.Names,
        records: dict[str, tuple[str, ...]],
    ) -> None:
        self.hops = hops
        self.origin = origin
        self.names = names
        self._records = records
        self.identify: Callable[[Client, str], Identity]
        self.numbers: dict[Identity, int] = {}
        self.askers: defaultdict[str, set[int]] = defaultdict(set)  # of each name that is resolved here
        self.secrets: set[bytes] = set()
        self.listeners: tuple[str, ...]

    def play(self, crowd: Sequence[Ask]) -> None:
        """All of it at once; plain requests from one place share a connection to the gateway."""
        with ExitStack() as stack:
            lines: dict[tuple[int, str], Line] = {}
            hear: list[Callable[[], None]] = []
            for client, chain, site in crowd:
                host = self._host(client, chain, site)
                number = self._number(client, host)
                self.secrets |= client.secrets
                if chain == "here":
                    self.askers[host].add(number)
                mark = b"<id%d>" % number
                place = client.listener, client.source
                if client.protocol == "http":
                    if place not in lines:
                        lines[place] = stack.enter_context(self._line(*place))
                    path = "/" + mark.decode()
                    lines[place].send(asks.get(host, self.origin.port, *client.headers, path=path))
                    hear.append(partial(_hears_the_answer, lines[place]))
                else:
                    line = stack.enter_context(self._line(*place))
                    said, granted = client.asks(host, self.origin.port)
                    line.send(said + mark)
                    hear.append(partial(_hears, line, granted + mark))
            for one in hear:
                one()

    def _host(self, client: Client, chain: str, site: str) -> str:
        if site == "own":
            site = f"own{self._number(client, 'own')}"
        host = f"{site}.{chain}.example"
        self._records[host] = (self.origin.host,)
        for hop in self.hops.values():
            hop.names[host] = self.origin.host, self.origin.port
        return host

    def _number(self, client: Client, host: str) -> int:
        return self.numbers.setdefault(self.identify(client, host), len(self.numbers))

    def _line(self, listener: int, source: str) -> Line:
        host, _, port = self.listeners[listener].rpartition(":")
        return Line(asks.dial((host, int(port)), source))

    def judge(self) -> None:
        """Look at everything that was ever heard."""
        owners: dict[str, tuple[str, int]] = {}  # each token's hop and identity
        tokens: dict[tuple[str, int], tuple[str | None, ...]] = {}
        for name, number, seen in self.connections():
            token = HOPS[name][1](seen)
            assert tokens.setdefault((name, number), token) == token, "an identity has two tokens"
            for part in token:
                assert part
                assert owners.setdefault(part, (name, number)) == (name, number), "a token is shared"
        for one in self.origin.heard:
            assert len(_marks(bytes(one.data))) <= 1, "two met on a connection to the origin"
        for name, askers in self.askers.items():
            assert self.names.asked.count(name) >= len(askers), "one was spared a question by another's"
        exits: defaultdict[int, set[str]] = defaultdict(set)
        for name, number, _ in self.connections():
            exits[number] |= {name} & set(POOL)
        assert all(len(found) <= 1 for found in exits.values()), "an identity has left its exit"
        heard = [hop.everything for hop in self.hops.values()]
        heard += [b"".join(_basic(hop.everything)) for hop in self.hops.values()]
        for secret in self.secrets:
            assert not any(secret in data for data in (*heard, self.origin.everything, *self.names.raw))

    def _called(self, numbers: set[int]) -> list[Identity]:
        return [identity for identity, number in self.numbers.items() if number in numbers]

    def connections(self) -> Iterator[tuple[str, int, Seen]]:
        """What hops have carried: the hop, whose it was, and how it came about."""
        own = {
            b"".join(bytes((len(part),)) + part for part in name.encode().split(b".")): whose
            for name, whose in self.askers.items()
            if name.startswith("own")
        }
        for name, hop in self.hops.items():
            for seen in list(hop.seen):
                whose = _marks(seen.carried)
                if seen.port == self.names.port:
                    whose = {
                        number for wire, numbers in own.items() if wire in seen.carried for number in numbers
                    }
                assert len(whose) <= 1, f"met on a connection of {name}: {self._called(whose)}"
                yield from ((name, number, seen) for number in whose)


def _marks(data: bytes) -> set[int]:
    return {int(found) for found in re.findall(rb"<id([0-9]+)>", data)}


def _basic(head: bytes) -> Iterator[bytes]:
    for coded in re.findall(rb"Basic ([A-Za-z0-9+/=]+)", head):
        yield base64.b64decode(coded)


def _hears(line: Line, right: bytes) -> None:
    assert line.exactly(len(right)) == right


def _hears_the_answer(line: Line) -> None:
    answer = line.message()
    assert (answer.status, answer.body) == (200, outside.BODY), answer


@contextmanager
def outsiders() -> Iterator[World]:
    """Everybody but a gateway."""
    listener = outside.listening("127.0.0.8")
    port = listener.getsockname()[1]
    records: dict[str, tuple[str, ...]] = {}
    with (
        outside.Origin(outside.listening("127.0.0.9")) as origin,
        outside.Names(outside.datagrams("127.0.0.8", port), records, listener) as names,
        ExitStack() as stack,
    ):
        hops = {name: stack.enter_context(FakeHop(protocol)) for name, (protocol, _) in HOPS.items()}
        yield World(hops, origin, names, records)


@contextmanager
def gateway(world: World, folder: Path, *, by_client: bool, by_destination: bool) -> Iterator[World]:
    """One in front of them, that tells clients and destinations apart or not."""
    world.identify = partial(Client.identity, by_client=by_client, by_destination=by_destination)
    world.numbers.clear()
    with configured(
        folder,
        # After the one that every test has.
        'listen.addresses=["127.0.0.1:0", "127.0.0.2:0"]',
        policy={"allow_private": ["127.0.0.9/32"]},
        resolve={"servers": [f"tcp://127.0.0.8:{world.names.port}"], "family": "ipv4"},
        identity={"by_client": by_client, "by_destination": by_destination},
        chains=chains(world.hops),
        route=[*({"target": [f"{name}.example"], "to": name} for name in CHAINS), {"to": "refuse"}],
    ) as running:
        world.listeners = running.addresses
        assert len(world.listeners) == LISTENERS
        yield world


@pytest.fixture(scope="module", params=[False, True], ids=["together", "apart"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    apart: bool = request.param
    folder = tmp_path_factory.mktemp("identities")
    with outsiders() as found, gateway(found, folder, by_client=apart, by_destination=apart):
        yield found


CROWDS = st.lists(
    st.builds(Ask, CLIENTS, st.sampled_from(CHAINS), st.sampled_from(SITES)), min_size=4, max_size=24
)


# What was heard before is judged again: an example cannot be made smaller.
@settings(max_examples=50, deadline=None, database=None, phases=[Phase.generate])
@given(CROWDS)
def test_nothing_crosses_identities(world: World, crowd: list[Ask]) -> None:
    world.play(crowd)
    world.judge()


def everything() -> Iterator[list[Ask]]:
    """Two clients of each protocol, who ask for everything; in crowds that an ordinary user has files for."""
    for chain, site in product(CHAINS, SITES):
        yield [
            Ask(Client(protocol, user, "", "", 0, "127.0.0.21"), chain, site)
            for protocol, user in product(PROTOCOLS, ("", "canary-user-1"))
        ]


def test_what_is_looked_for_is_there(world: World) -> None:
    """Connections are kept and answers remembered, all hops are used, and tokens are met again."""
    for _ in range(3):
        for crowd in everything():
            world.play(crowd)
    world.judge()
    used = list(world.connections())
    assert {name for name, _, _ in used} >= set(HOPS) - set(POOL)
    assert len(used) > len({(name, number) for name, number, _ in used})
    assert any(bytes(one.data).count(b"GET ") > 1 for one in world.origin.heard), "none was kept"
    askers = sum(map(len, world.askers.values()))
    assert askers <= len(world.names.asked) < askers * 3, "nothing was remembered"
    assert any(seen.port == world.names.port for hop in world.hops.values() for seen in hop.seen)


def test_tokens_do_not_outlive_a_gateway(tmp_path: Path) -> None:
    with outsiders() as found:
        runs: list[set[str]] = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            before = {hop: len(hop.seen) for hop in found.hops.values()}
            with gateway(found, tmp_path / name, by_client=False, by_destination=False):
                for crowd in everything():
                    found.play(crowd)
            told = [
                HOPS[name][1](seen) for name, hop in found.hops.items() for seen in hop.seen[before[hop] :]
            ]
            runs.append({part for token in told for part in token if part})
        one, other = runs
        assert len(one) == len(other) > len(HOPS)
        assert one.isdisjoint(other)
