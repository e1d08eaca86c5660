"""The rooms of one config: everything that a reload replaces, and the tasks that belong to it.

A flow keeps the generation that it began with. What would let a new flow take an old way is closed at once
(kept connections); what an old flow may still need (its resolver) goes on for a while.

`outbound` and `resolve` never import each other: a resolver that is reached through a chain, and a chain that
asks a resolver, are tied together here.
"""

import ipaddress
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.abc

from anongw import config, log
from anongw.address import Address, Endpoint, parse_host, parse_port
from anongw.config import DIRECT, Config
from anongw.flow import Flow
from anongw.identities import Identities
from anongw.inbound.session import Rooms
from anongw.ledger import Ledger
from anongw.net.egress import Egress
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.inner import connect_inside
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.net.task_stream import TaskStream
from anongw.outbound.chain import Chain
from anongw.outbound.direct import Direct
from anongw.outbound.health import Score
from anongw.outbound.isolation import Isolation
from anongw.outbound.path import Reach
from anongw.outbound.position import Position
from anongw.outbound.probe import Prober
from anongw.outbound.stays import SharedStays
from anongw.outbound.ways import Ways
from anongw.policy import Policy
from anongw.resolve.resolver import Resolver
from anongw.resolve.whom import afar
from anongw.route import Table
from anongw.users import Users
from anongw.web.clean import Clean
from anongw.web.deliver import Delivery
from anongw.web.forward import Forward
from anongw.web.pool import Pool
from anongw.web.records import compile_personas
from anongw.web.rules import compile_rules


@dataclass(frozen=True, slots=True)
class Lasting:
    """What outlives a reload."""

    engine: Engine
    pipes: Pipes
    own: Sequence[Endpoint]  # the listeners, once they are bound
    counters: log.Counters
    ledger: Ledger  # with the key of this start, and what workers share
    identities: Identities
    finished: Callable[[Flow], None]
    left: Callable[[Address | None], None]


class Generation:
    """What one config comes to. Nothing is opened and nobody is asked until `run`."""

    def __init__(self, settings: Config, lasting: Lasting, before: "Generation | None" = None) -> None:
        self.settings = settings
        self.number: int = before.number + 1 if before is not None else 1
        self.resolvers: list[Resolver] = []
        self.chains: dict[str, Chain] = {}
        self._lasting = lasting
        self._probers: list[Prober] = []
        self._bootstraps: dict[config.Egress, Resolver] = {}
        self._scope = anyio.CancelScope()
        self._policy = Policy(
            settings.policy, lasting.own, zones=settings.resolve.zones, hosts=settings.resolve.hosts
        )
        ways = self._ways(before)
        limits = settings.limits
        self.pool = Pool(lasting.engine, limits)
        forward = Forward(ways, self.pool, limits, lasting.pipes)
        self.rooms = Rooms(
            limits=limits,
            users=Users(settings.users, limits.password_queue) if settings.users else None,
            routes=Table(settings.route),
            dialer=ways,
            handler=Clean(
                compile_rules(settings.scrub), forward, lasting.counters, compile_personas(settings)
            ),
            delivery=Delivery(self.pool, limits, lasting.pipes),
            pipes=lasting.pipes,
            rules=settings.identity,
            identities=lasting.identities,
            safe_socks=settings.safe_socks,
            key=lasting.ledger.key,
            finished=lasting.finished,
            left=lasting.left,
        )
        lasting.engine.on_sweep.append(self._sweep)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Have the resolvers live, until `close` or cancelled."""
        with self._scope:
            async with anyio.create_task_group() as tasks:
                for resolver in self.resolvers:
                    await tasks.start(resolver.run)
                task_status.started()
                await anyio.sleep_forever()

    def preload(self) -> tuple[str, ...]:
        """Pay now, in a thread, for what first look-ups and dials need; sentences for the user.

        Raises:
            Refused: TLS_FAILED where a file of certificates cannot be read.
        """
        sentences = dict.fromkeys(text for resolver in self.resolvers for text in resolver.preload())
        for chain in self.chains.values():
            chain.preload()
        return tuple(sentences)

    def retire(self) -> None:
        """No new flow comes here: keep no connection, and send no probe, for anybody."""
        self.pool.close()
        self._lasting.engine.on_sweep.remove(self._sweep)

    def close(self) -> None:
        """Nobody needs the resolvers any more."""
        self._scope.cancel()

    def forget(self, identity: str) -> tuple[int, int]:
        """Wipe what is kept for an identity: kept connections and cached answers, and how many there were."""
        for chain in self.chains.values():
            chain.forget(identity)
        return self.pool.forget(identity), sum(resolver.forget(identity) for resolver in self.resolvers)

    def renew(self, old: str, new: str) -> None:
        """An identity goes on under another key: nothing that is kept under the old one remains."""
        for chain in self.chains.values():
            chain.renew(old, new, self._lasting.engine.now)
        self.forget(old)

    def _ways(self, before: "Generation | None") -> Ways:
        """The ways that routes name, and no others."""
        named = {route.to for route in self.settings.route}
        ways: dict[str, Chain | Direct] = {}
        for name, chain in self.settings.chains.items():
            if name in named:
                old = before.chains.get(name) if before is not None else None
                ways[name] = self.chains[name] = self._chain(name, chain, old)
        if DIRECT in named:
            ways[DIRECT] = self._direct(self.settings.egress)
        return Ways(ways)

    def _direct(self, egress: config.Egress) -> Direct:
        resolver = Resolver(
            self.settings.resolve,
            allow_private=self._policy.may_use,
            egress=bound(egress),
            key=self._lasting.ledger.key,
        )
        self.resolvers.append(resolver)
        return Direct(self._policy, resolver, timeout=self.settings.limits.connect, egress=bound(egress))

    def _chain(self, name: str, settings: config.Chain, old: Chain | None) -> Chain:
        egress = settings.egress
        draw = random.SystemRandom()
        positions = [
            self._position(f"{name} {place}", hop, settings.health, draw)
            for place, hop in enumerate(settings.hop)
        ]
        for position, earlier in zip(positions, old.positions if old is not None else (), strict=False):
            position.inherit(earlier)
        schemes = {member.url.scheme for position in positions for member in position.members}
        direct = self._direct(egress) if "direct" in schemes else None
        named = any(isinstance(member.url.endpoint.host, str) for member in settings.hop[0].members)
        reach = Reach(self._bootstrap(egress, used=named), bound(egress), direct)
        chain = Chain(
            settings, positions, self._policy, isolation=Isolation(self._lasting.ledger.key), reach=reach
        )
        if settings.names == "here":
            chain.targets = self._resolver_through(chain)
        # One worker probes: what it finds is everybody's.
        if settings.probe.target and not self._lasting.ledger.index:
            host, _, port = settings.probe.target.rpartition(":")
            target = Endpoint(parse_host(host), parse_port(port))
            self._probers.append(Prober(chain, target, self._lasting.engine, draw))
        return chain

    def _position(
        self, name: str, hop: config.Hop, health: config.Health, draw: random.SystemRandom
    ) -> Position:
        """A position; `name` is its own in this config, and the same in the next one."""
        most = self.settings.limits.sticky_identities
        ledger = self._lasting.ledger
        if ledger.stays is None or ledger.standings is None:
            return Position(hop, health, draw=draw, sticky_most=most)
        # One that is listed twice is two members.
        twins = Counter[config.Member]()
        members = []
        for member in hop.members:
            members.append(ledger.name("member", name, *_identifying(member), str(twins[member])))
            twins[member] += 1
        rows = ledger.standings
        scores = [Score(health, rows.row(member), rows.lock) for member in members]
        stays = SharedStays(ledger.stays, partial(ledger.name, "stay", name), members)
        return Position(hop, health, draw=draw, sticky_most=most, scores=scores, stays=stays)

    def _bootstrap(self, egress: config.Egress, *, used: bool) -> Resolver:
        """Who looks up first hops: from this machine, by the same way out.

        A hop may be anywhere, also at home.
        """
        found = self._bootstraps.get(egress)
        if found is None:
            found = Resolver(
                self.settings.resolve,
                allow_private=lambda _address: True,
                egress=bound(egress),
                key=self._lasting.ledger.key,
            )
            self._bootstraps[egress] = found
        if used and found not in self.resolvers:
            # Where no first hop has a name it never lives, and could not ask anybody if it wanted to.
            self.resolvers.append(found)
        return found

    def _resolver_through(self, chain: Chain) -> Resolver:
        """Who looks up targets of a chain that does not leave it to its exit: through it, everybody apart."""
        resolver = Resolver(
            afar(self.settings.resolve, chain.settings.family),
            allow_private=self._policy.may_use,
            dial=self._dial_through(chain),
            key=self._lasting.ledger.key,
        )
        self.resolvers.append(resolver)
        return resolver

    def _dial_through(self, chain: Chain) -> Callable[[Address, int, str], Awaitable[TaskStream]]:
        engine, pipes = self._lasting.engine, self._lasting.pipes
        idle = self.settings.limits.idle

        async def dial(address: Address, port: int, identity: str) -> TaskStream:
            async def connect(fiber: Fiber) -> Stream:
                until = engine.now + chain.settings.timeout
                return await chain.connect(Endpoint(address, port), identity, fiber, until=until)

            return await connect_inside(engine, connect, pipes, idle=idle)

        return dial

    def _sweep(self, now: float) -> None:
        for chain in self.chains.values():
            chain.sweep(now)
        for prober in self._probers:
            prober.sweep(now)


def bound(settings: config.Egress) -> Egress:
    """The config's section as what sockets are bound to."""
    addresses = [ipaddress.ip_address(text) for text in settings.source]
    return Egress(settings.interface, addresses, settings.mark)


def _identifying(member: config.Member) -> tuple[str, ...]:
    """What makes it this member and no other: two accounts at one proxy are two."""
    password = member.password.reveal() if member.password is not None else ""
    return str(member.url), member.user or "", password
