"""One dial along one path: from hop to hop to the target, each step bounded in time.

Whatever goes wrong is told apart: a hop's fault (`HopFailed`, with those that it may have been), the
target's, or nobody's (`Refused`). Streams of a dial that failed are closed here.
"""

import time
from collections.abc import Sequence

from anongw.address import Address, Endpoint
from anongw.config import Member
from anongw.errors import Reason, Refused
from anongw.net.connect import connect
from anongw.net.egress import Egress
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.net.wait import in_task
from anongw.outbound.dialer import Lookup
from anongw.outbound.direct import Direct
from anongw.outbound.hop import Handshake, enter
from anongw.outbound.isolation import Isolation
from anongw.outbound.relays import Step

# In whose name a first hop is looked up: the gateway's own, whoever the dial is for.
BOOTSTRAP = "gateway"

# Why a connection could not be had. Said by a hop, it is about the one that it was asked for.
UNREACHED = frozenset(
    {
        Reason.CONNECTION_REFUSED,
        Reason.HOST_UNREACHABLE,
        Reason.NETWORK_UNREACHABLE,
        Reason.CONNECT_TIMEOUT,
    }
)
# Why a name has no address: only ever said of a first hop.
_NAMELESS = frozenset({Reason.NAME_NOT_FOUND, Reason.RESOLVER_FAILED, Reason.PRIVATE_NAME})
# What makes a hop's connection useless, and what that is called where the flow is not the client's own.
_SPOILT = {
    Reason.UPSTREAM_CLOSED: Reason.HOP_CLOSED,
    Reason.UPSTREAM_MALFORMED: Reason.HOP_MALFORMED,
    Reason.HOP_CLOSED: Reason.HOP_CLOSED,
    Reason.HOP_MALFORMED: Reason.HOP_MALFORMED,
    Reason.HOP_TIMEOUT: Reason.HOP_TIMEOUT,
    Reason.HOP_AUTH: Reason.HOP_AUTH,
    Reason.HOP_TLS: Reason.HOP_TLS,
}


class HopFailed(Exception):
    """A dial failed because of a hop. `suspects` are those that it may have been, seldom more than one.

    `refused` is what was seen of it.
    """

    def __init__(self, reason: Reason, *suspects: Step, refused: Refused) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suspects = suspects
        self.refused = refused

    @property
    def detail(self) -> str:
        return ", ".join(str(step.member.url) for step in self.suspects)


class Reach:
    """How first hops are reached: by the bootstrap resolver if they are named, from one way out of here.

    `direct` goes to targets without a hop, for a chain whose file has a member that says so.
    """

    def __init__(self, bootstrap: Lookup, egress: Egress, direct: Direct | None = None) -> None:
        self.direct = direct
        self._bootstrap = bootstrap
        self._egress = egress

    async def __call__(self, member: Member, fiber: Fiber) -> Stream:
        """Connect to it; the caller bounds it with `fiber.within`.

        Raises:
            Refused: as `net.connect.connect` and the resolver.
        """
        host, port = member.url.endpoint.host, member.url.endpoint.port
        addresses: Sequence[Address] | None
        if isinstance(host, str):
            addresses = self._bootstrap.cached(host, BOOTSTRAP)
            if addresses is None:
                addresses = await in_task(self._bootstrap.addresses, host, BOOTSTRAP)
        else:
            addresses = (host,)
        return await connect(fiber, addresses, port, self._egress)


class Path:
    """The steps of one dial, in somebody's name. `bound` it before it is used."""

    def __init__(
        self, steps: tuple[Step, ...], reach: Reach, isolation: Isolation, identity: str, fiber: Fiber
    ) -> None:
        self._steps = steps
        self._reach = reach
        self._isolation = isolation
        self._identity = identity
        self._fiber = fiber
        self.answered = False  # the last hop has spoken for the target, so every hop works
        # When each stage was over, by time.monotonic: each hop reached, then entered; last, the target.
        self.passed: list[float] = []

    def bound(self, until: float, *, hop: float, answer: float) -> None:
        """Give up at `until` (engine's clock), on a hop after `hop` seconds, on a target after `answer`."""
        self._until = until
        self._hop_seconds = hop
        self._answer_seconds = answer

    async def to(self, target: Endpoint | None) -> Stream:
        """Connect to the target; None: only as far as the last hop has taken our log-in.

        Raises:
            HopFailed: a hop did not do its part.
            Refused: what the last hop says of the target; or what ends the flow.
        """
        before = list(self._fiber.streams)
        reached: Stream | None = None
        try:
            reached = await self._walk(target)
        finally:
            for stream in list(self._fiber.streams):
                if stream is not reached and stream not in before:
                    self._fiber.give_up(stream)
                    stream.close()
        return reached

    async def _walk(self, target: Endpoint | None) -> Stream:
        if self._steps[0].member.url.scheme == "direct":
            return await self._directly(target)
        stream = await self._first()
        self._passed()
        followers: list[Step | None] = [*self._steps[1:], None]
        for step, following in zip(self._steps, followers, strict=True):
            stream, handshake = await self._enter(step, stream)
            self._passed()
            if following is not None:
                await self._ask_hop(step, handshake, following)
                self._passed()
            elif target is not None:
                await self._ask_target(step, handshake, target)
                self._passed()
        return stream

    async def _directly(self, target: Endpoint | None) -> Stream:
        """Without a hop, because the chain's file says so in so many words."""
        if target is None or self._reach.direct is None:
            raise Refused(Reason.INTERNAL, "a direct member without a way")
        self._within(self._answer_seconds, Reason.CONNECT_TIMEOUT)
        return await self._reach.direct.connect(target, self._identity, self._fiber)

    async def _first(self) -> Stream:
        step = self._steps[0]
        self._within(self._hop_seconds, Reason.HOP_TIMEOUT)
        try:
            return await self._reach(step.member, self._fiber)
        except Refused as refused:
            if refused.reason in UNREACHED or refused.reason in _NAMELESS:
                raise HopFailed(Reason.HOP_UNREACHABLE, step, refused=refused) from None
            if refused.reason is Reason.HOP_TIMEOUT:
                raise HopFailed(Reason.HOP_TIMEOUT, step, refused=refused) from None
            raise

    async def _enter(self, step: Step, stream: Stream) -> tuple[Stream, Handshake]:
        self._within(self._hop_seconds, Reason.HOP_TIMEOUT)
        try:
            return await enter(self._fiber, stream, step.member, self._isolation, self._identity)
        except Refused as refused:
            raise _spoilt(refused, step) from None

    async def _ask_hop(self, step: Step, handshake: Handshake, following: Step) -> None:
        """Whatever a working hop says of the next one is the next one's fault."""
        self._within(self._hop_seconds, Reason.HOP_TIMEOUT)
        try:
            await handshake.ask(following.member.url.endpoint)
        except Refused as refused:
            if refused.reason in UNREACHED or refused.reason is Reason.HOP_REFUSED:
                raise HopFailed(Reason.HOP_UNREACHABLE, following, refused=refused) from None
            # Silence, or an end without a reply: it may be this one or the next.
            suspects = (step,) if refused.reason in _ITS_OWN else (step, following)
            raise _spoilt(refused, *suspects) from None

    async def _ask_target(self, step: Step, handshake: Handshake, target: Endpoint) -> None:
        self._within(self._answer_seconds, Reason.HOP_TIMEOUT)
        try:
            await handshake.ask(target)
        except Refused as refused:
            self.answered = refused.reason in UNREACHED or refused.reason is Reason.HOP_REFUSED
            raise _spoilt(refused, step) from None

    def _passed(self) -> None:
        self.passed.append(time.monotonic())

    def _within(self, seconds: float, reason: Reason) -> None:
        self._fiber.within(max(0.0, min(seconds, self._until - self._fiber.engine.now)), reason)


# A hop that says such things is there, and wrong by itself.
_ITS_OWN = frozenset({Reason.HOP_AUTH, Reason.HOP_MALFORMED, Reason.UPSTREAM_MALFORMED})


def _spoilt(refused: Refused, *suspects: Step) -> Exception:
    """The hop's fault where it is one; else the refusal itself: the target's, the client's or ours."""
    reason = _SPOILT.get(refused.reason)
    return refused if reason is None else HopFailed(reason, *suspects, refused=refused)
