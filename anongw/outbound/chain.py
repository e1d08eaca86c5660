"""The way out through a chain of upstream proxies.

A dial picks a member for every position, connects to the first, has each connect to the next, and the last to
the target. Rules, each with its test:

- Fail closed. Every address that is connected to is a member's, listed in the chain's file; a dial that fails
  is tried again only through other members, and then refused.
- Names travel. The target's name goes to the exit, a later hop's to the hop before it; only a first hop that
  is named, and targets of a chain with `names = "here"`, are looked up, by the resolver that is theirs.
- A target that cannot be reached is the target's fault: it costs no hop its good name, and is shown to no
  other exit. A client that leaves, or a stop, is nobody's.
- Whatever a failed dial opened is closed before the next one begins.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address

from anongw import config
from anongw.address import Address, Endpoint
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.net import tls
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.net.wait import in_task
from anongw.outbound.dialer import Lookup
from anongw.outbound.isolation import Isolation
from anongw.outbound.path import UNREACHED, HopFailed, Path, Reach
from anongw.outbound.position import Position
from anongw.outbound.relays import Relays, Step
from anongw.policy import Policy

LeftOut = list[frozenset[int]]  # for each position, the members that are not to be used


class Chain:
    """A Dialer through the positions of one chain.

    Args:
        settings: the chain as its file has it.
        positions: its `[[hop]]` tables, in order.
        policy: judges targets, never hops.
        isolation: makes what hops are told of an identity.
        reach: connects to first hops.

    """

    def __init__(
        self,
        settings: config.Chain,
        positions: Sequence[Position],
        policy: Policy,
        *,
        isolation: Isolation,
        reach: Reach,
    ) -> None:
        self.settings = settings
        self.positions = tuple(positions)
        self.relays = Relays(settings.health.early)
        # Looks targets up through this very chain; None: their names go to the exit. Set once both exist.
        self.targets: Lookup | None = None
        self._policy = policy
        self._isolation = isolation
        self._reach = reach

    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        """Connect a flow to its target.

        Raises:
            Refused: by policy, by the resolver, by a hop or by the target.
        """
        lookup = self.targets
        self._policy.judge_afar(target, overlays=self.settings.overlays, resolved_here=lookup is not None)
        until = fiber.engine.now + self.settings.timeout
        if lookup is None or not isinstance(target.host, str):
            self._judge_family(target.host)
            return await self.connect(target, flow.identity, fiber, until=until)
        fiber.within(self.settings.timeout, Reason.CONNECT_TIMEOUT)
        refusal = Refused(Reason.NAME_NOT_FOUND)
        for address in await self._addresses(lookup, target.host, flow.identity):
            try:
                self._policy.judge_address(address, target.port, target.host)
                return await self.connect(Endpoint(address, target.port), flow.identity, fiber, until=until)
            except Refused as refused:
                if refused.reason not in _NEXT_ADDRESS or fiber.engine.now >= until:
                    raise
                refusal = refused
        raise refusal

    async def connect(
        self,
        target: Endpoint,
        identity: str,
        fiber: Fiber,
        *,
        until: float,
        left_out: LeftOut | None = None,
    ) -> Stream:
        """Connect to what policy has been asked about, or need not be: a resolver, a probe's target.

        `until` is when to give up, on the engine's clock; `left_out` are members not to be used.

        Raises:
            Refused: by a hop or by the target.
        """
        left_out = left_out or [frozenset[int]() for _ in self.positions]
        refusal = Refused(Reason.HOP_UNREACHABLE, "no member is left")
        for attempt in range(self.settings.tries):
            now = fiber.engine.now
            steps = self._choose(identity, left_out, now)
            if not steps or now >= until:
                break
            dials_left = min(self.settings.tries - attempt, self._others(left_out) + 1)
            path = Path(steps, self._reach, self._isolation, identity, fiber)
            path.bound(until, hop=self.settings.hop_timeout, answer=(until - now) / dials_left)
            try:
                stream = await path.to(target)
            except HopFailed as failed:
                self._blame(failed, left_out, now, fiber.engine.now)
                refusal = Refused(failed.reason, failed.detail)
            except Refused:
                if path.answered:
                    for step in steps:
                        step.score.succeeded(now, fiber.engine.now)
                raise
            else:
                self._settle(steps, identity, now, fiber.engine.now)
                self.relays.begin(steps, stream, now, fiber.engine.now)
                return stream
        raise refusal

    def sweep(self, now: float) -> None:
        self.relays.sweep(now)

    def preload(self) -> None:
        """Load the certificates of hops over TLS now, which takes 20 ms, and not while a flow waits.

        Raises:
            Refused: TLS_FAILED where a file of them cannot be read.
        """
        for position in self.positions:
            for member in position.members:
                if member.url.scheme == "https":
                    tls.hop_context(member.ca_file, pinned=bool(member.pin))

    def forget(self, identity: str) -> None:
        """The identity's exits are drawn anew."""
        for position in self.positions:
            position.forget(identity)

    def renew(self, old: str, new: str, now: float) -> None:
        """An identity goes on as another: its exits are drawn anew, and others where there are any."""
        for position in self.positions:
            position.renew(old, new, now)

    def _choose(self, identity: str, left_out: LeftOut, now: float) -> tuple[Step, ...]:
        """A member for every position; none at all if one of them has none left."""
        steps: list[Step] = []
        for position, tried in zip(self.positions, left_out, strict=True):
            indexes = position.choose(identity, now, tried)
            if not indexes:
                return ()
            steps += [Step(position, index) for index in indexes]
        return tuple(steps)

    def _others(self, left_out: LeftOut) -> int:
        """How many more dials could go another way."""
        return max(map(_spare, self.positions, left_out))

    def _blame(self, failed: HopFailed, left_out: LeftOut, began: float, now: float) -> None:
        """Count it against whoever it may have been, and go round those that can be gone round."""
        places = {step: self.positions.index(step.position) for step in failed.suspects}
        spared = [step for step, place in places.items() if not _spare(step.position, left_out[place])]
        for step, place in places.items():
            step.score.failed(began, now)
            # Where it was one of two, and one of them is all that its position has, the other one goes.
            if step not in spared or len(spared) == len(places):
                left_out[place] |= {step.index}

    def _settle(self, steps: tuple[Step, ...], identity: str, began: float, now: float) -> None:
        for step in steps:
            step.score.latency = now - began
        for position in self.positions:
            position.used(identity, tuple(step.index for step in steps if step.position is position), now)

    def _judge_family(self, host: str | Address) -> None:
        """A literal of the family that this chain has not is refused here, and not tried at the exit."""
        family = self.settings.family
        if isinstance(host, str) or family == "any":
            return
        if isinstance(host, IPv4Address) != (family == "ipv4"):
            raise Refused(Reason.UNSUPPORTED_ADDRESS, f"the chain is {family} only")

    @staticmethod
    async def _addresses(lookup: Lookup, name: str, identity: str) -> Sequence[Address]:
        found = lookup.cached(name, identity)
        return found if found is not None else await in_task(lookup.addresses, name, identity)


def _spare(position: Position, tried: frozenset[int]) -> int:
    """How many members are left beside those that a dial needs."""
    return len(position.members) - len(tried) - position.settings.pick


# With several addresses, what is worth trying the next one for: this one is refused or out of reach, or of a
# family that the chain or its exit (SOCKS4) cannot carry.
_NEXT_ADDRESS = UNREACHED | {Reason.REBINDING, Reason.FORBIDDEN, Reason.UNSUPPORTED_ADDRESS}
