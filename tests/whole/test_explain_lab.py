"""What `anongw explain` says of a connection is what the laboratory sees of it, for chains made by chance.

Each of the 200 is a route of its own in one config, and of each one connection is explained and made. The two
have nothing in common: one decides by the config, the other by packets and by what stand-ins heard.
"""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from anongw.audit import asking
from anongw.audit.expected import label
from anongw.audit.mapping import ORIGIN
from anongw.audit.record import Record
from anongw.audit.scene import Scene
from anongw.audit.ways import Errand
from anongw.audit.world import World
from anongw.config import Spoken
from anongw.knowledge import Explanation, Fact, Learns, Party, Row, explain
from anongw.knowledge.question import question
from anongw.lab.networks import why_not
from anongw.lab.server import Place
from tests.support import config_file, laboratory

CHAINS = 200
SCHEMES = ("socks5", "socks4", "http", "https")
OF_EACH = 3  # proxies, which several chains may have in common
PATH = b"/canary-path"
SPOKEN: tuple[Spoken, ...] = ("socks5", "connect", "http")

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")


def _url(scheme: str, number: int) -> str:
    return f"{scheme}://192.0.2.{10 * (SCHEMES.index(scheme) + 1) + number}:1080"


def _chains() -> dict[str, dict[str, object]]:
    draw = random.Random(6)
    proxies = [_url(scheme, number) for scheme in SCHEMES for number in range(OF_EACH)]
    found: dict[str, dict[str, object]] = {}
    for number in range(CHAINS):
        urls = draw.sample(proxies, draw.randint(1, 3))
        names = draw.choice(("exit", "exit", "exit", "here"))
        found[f"chain-{number}"] = {"hop": [{"url": url} for url in urls], "names": names}
    return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, list[Errand]]]:
    folder = tmp_path_factory.mktemp("explain")
    chains = _chains()
    routes = [{"identity": [f"user-of-{name}"], "to": name} for name in chains]
    path = config_file.write(
        folder / "explained.toml",
        resolve={"servers": ["tcp://9.9.9.9"]},
        chains=chains,
        route=[*routes, {"to": "refuse"}],
    )
    with laboratory.world(folder, path=path) as made:
        yield made


def test_what_is_explained_is_what_is_seen(stage: tuple[World, list[Errand]]) -> None:
    world, errands = stage
    reached: Counter[str] = Counter()
    before: Scene | None = None
    for number, errand in enumerate(errands[:-1]):
        spoken = SPOKEN[number % len(SPOKEN)]
        scene = Scene(errand.to, world, before)
        host = scene.name(errand, (ORIGIN,))  # SOCKS4 has no word for the other kind
        _carry(scene, errand, spoken, host)
        record = scene.done()
        target = f"http://{host}{PATH.decode()}" if spoken == "http" else f"{host}:80"
        asked = question(target, protocol=spoken, user=errand.user, listener=errand.listener)
        _hold_together(explain(world.mapped.config, asked), world, errand, record, host, reached)
        before = scene
    # Every outcome was there, or nothing was shown.
    both = {f"{who} {learns}" for who in ("hop", "line", "resolver", "claim") for learns in (True, False)}
    assert both | {"destination True"} == set(reached), reached
    assert reached["claim True"] + reached["claim False"] > CHAINS / 3


def _carry(scene: Scene, errand: Errand, spoken: Spoken, host: str) -> None:
    """A request without TLS: what explain says is learnt of such a one only is to be seen, too."""
    if spoken == "http":
        assert scene.ask(errand, spoken, host=host, path=PATH.decode()), errand.to
        return
    scene.expects(errand, host, errand.port)
    with scene.connected(errand) as line:
        assert asking.tunnel(line, spoken, host, errand.port, scene.login(errand)), (errand.to, spoken)
        line.say(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (PATH, host.encode()))
        assert b" 200 " in line.head()


def _learns(row: Row, fact: Fact) -> bool:
    return row.cells[fact].learns is not Learns.NO


def _hold_together(  # noqa: PLR0913, PLR0917 - both sides, and what they are about
    said: Explanation,
    world: World,
    errand: Errand,
    record: Record,
    host: str,
    reached: Counter[str],
) -> None:
    places = [members[0].place for members in world.mapped.hops[errand.to] if members[0]]
    hops = [row for row in said.rows if row.party is Party.HOP]
    assert len(hops) == len(places)
    told = [_told(record, place, label(host)) for place in places]
    for row, heard, place in zip(hops, told, places, strict=True):
        reached[f"hop {heard}"] += 1
        assert _learns(row, Fact.NAME) is heard, (errand.to, row)
        assert _learns(row, Fact.CONTENT) is _told(record, place, PATH), (errand.to, row)
    (line,) = (row for row in said.rows if row.party is Party.LOCAL_NETWORK)
    read = any(one.party == places[0] and not one.told and label(host) in one.data for one in record.readings)
    reached[f"line {read}"] += 1
    assert _learns(line, Fact.NAME) is read, (errand.to, line)
    asked = any(one.name == host for one in record.questions)
    reached[f"resolver {asked}"] += 1
    resolvers = [row for row in said.rows if row.party is Party.RESOLVER]
    assert any(_learns(row, Fact.NAME) for row in resolvers) is asked, errand.to
    (destination,) = (row for row in said.rows if row.party is Party.DESTINATION)
    arrived = any(_told(record, origin.place, label(host)) for origin in world.origins)
    reached[f"destination {arrived}"] += 1
    assert _learns(destination, Fact.NAME) is arrived, (errand.to, destination)
    if said.claim is not None:
        reached[f"claim {said.claim.holds}"] += 1
        # The first hop is connected to by the gateway, which on a loopback listener is the client.
        assert not (said.claim.holds and told[0]), (errand.to, said.claim)
        assert said.claim.holds or told[0] or read, (errand.to, said.claim)


def _told(record: Record, place: Place, word: bytes) -> bool:
    return any(one.told and one.party == place and word in one.data for one in record.readings)
