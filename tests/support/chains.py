"""A chain in a running engine, and dials through it.

The hops are fakes in threads (`FakeHop`). Whoever looks a name up here fails its test unless the test says
what the name is.
"""

import ipaddress
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from anongw import config
from anongw.address import Address, Endpoint, parse_host
from anongw.config import HopUrl, Member
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.net.egress import ANYWHERE
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.chain import Chain
from anongw.outbound.direct import Direct
from anongw.outbound.isolation import Isolation
from anongw.outbound.path import Reach
from anongw.outbound.position import Position
from anongw.policy import Policy
from tests.support.driven import DrivenEngine, Played, driven
from tests.support.fake_hop import FakeHop

LAB = config.Policy(allow_private=(config.Cidr("127.0.0.0/8"), config.Cidr("::1/128")))
KEY = bytes(32)


class Names:
    """A resolver that knows these names, and remembers who asked for which."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self.known = known or {}
        self.asked: list[tuple[str, str]] = []

    def cached(self, name: str, identity: str) -> Sequence[Address] | None:
        return None

    async def addresses(self, name: str, identity: str) -> Sequence[Address]:
        self.asked.append((name, identity))
        if name not in self.known:
            raise Refused(Reason.NAME_NOT_FOUND)
        return [ipaddress.ip_address(text) for text in self.known[name].split()]


@asynccontextmanager
async def chained(*made: FakeHop, **options: float) -> AsyncIterator[DrivenEngine]:
    """An engine that leaves no connection to any of these hops behind."""
    async with driven(alone=False, **options) as engine:
        yield engine
    for one in made:
        one.until(lambda one=one: one.live == 0)  # type: ignore[misc]


def member(where: FakeHop | str, **options: str) -> Member:
    """A fake, or a URL, as a member of a position."""
    url = HopUrl(where if isinstance(where, str) else where.url)
    return Member(url=url, user=url.user, password=url.password, **options)  # type: ignore[arg-type]


def hop(*where: FakeHop | str | Member, **options: object) -> config.Hop:
    """A position of these members."""
    members = tuple(one if isinstance(one, Member) else member(one) for one in where)
    return config.Hop(members=members, **options)  # type: ignore[arg-type]


@dataclass
class Outcome:
    """What a dial came to."""

    reason: Reason | None = None
    played: Played | None = None
    stream: Stream | None = None
    settled: anyio.Event = field(default_factory=anyio.Event)
    seconds: float = 0.0


class Scene:
    """A chain of these positions, in an engine."""

    def __init__(
        self,
        engine: DrivenEngine,
        *hops: config.Hop,
        names: Names | None = None,
        targets: Names | None = None,
        policy: config.Policy = LAB,
        **options: object,
    ) -> None:
        self.engine = engine
        self.names = names or Names()
        settings = config.Chain(hop=hops, **options)  # type: ignore[arg-type]
        self.draw = random.Random(0)
        positions = [Position(one, settings.health, draw=self.draw, sticky_most=100) for one in hops]
        judge = Policy(policy)
        direct = Direct(judge, self.names, timeout=5, egress=ANYWHERE)
        self.chain = Chain(
            settings,
            positions,
            judge,
            isolation=Isolation(KEY),
            reach=Reach(self.names, ANYWHERE, direct),
        )
        self.chain.targets = targets
        engine.on_sweep.append(self.chain.sweep)

    async def dial(self, target: str, identity: str = "user alice", *, wait: bool = True) -> Outcome:
        """Dial in a flow of its own, and wait for what comes of it unless not to `wait`."""
        host, _, port = target.rpartition(":")
        endpoint = Endpoint(parse_host(host), int(port))
        outcome = Outcome()

        async def carry(fiber: Fiber, client: Stream) -> None:
            flow = Flow("127.0.0.1:1080", identity=identity, target=endpoint)
            began = fiber.engine.now
            try:
                outcome.stream = await self.chain.dial(endpoint, flow, fiber)
            except Refused as refused:
                outcome.reason = refused.reason
            finally:
                outcome.seconds = fiber.engine.now - began
                outcome.settled.set()
            if outcome.stream is not None:
                fiber.within(30, Reason.IDLE_TIMEOUT)
                await _echo(client, outcome.stream)

        outcome.played = self.engine.flow(carry)
        if wait:
            await outcome.settled.wait()
        return outcome

    async def works(self, target: str, identity: str = "user alice") -> Outcome:
        """Dial, and send something through to an echo there and back."""
        outcome = await self.dial(target, identity)
        assert outcome.reason is None, outcome.reason
        assert outcome.played is not None
        await outcome.played.peer.send(b"there and back")
        assert await outcome.played.peer.exactly(14) == b"there and back"
        outcome.played.peer.last()
        await outcome.played.over()
        return outcome


async def _echo(client: Stream, upstream: Stream) -> None:
    """What the client says goes up, and comes back: enough of a relay to see that the way is open."""
    early = upstream.reader.take()
    if early:
        await client.send(early)
    while await client.fill():
        await upstream.send(client.reader.take())
        if not await upstream.fill():
            return
        await client.send(upstream.reader.take())
