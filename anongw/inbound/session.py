"""What every inbound protocol needs: the client, the facts of its flow, and the rooms behind it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from anongw import exposure
from anongw.address import Address, Endpoint
from anongw.config import Identity, Limits, Taken
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.identities import Identities
from anongw.identities import Identity as Known
from anongw.net.fiber import Fiber
from anongw.net.linger import linger
from anongw.net.pipes import Pipes
from anongw.net.relay import Relay
from anongw.net.stream import Stream
from anongw.net.wait import in_task
from anongw.outbound.dialer import Dialer
from anongw.route import Table
from anongw.users import Users
from anongw.web.deliver import Delivery
from anongw.web.exchange import Handler


@dataclass(frozen=True, slots=True)
class Rooms:
    """What all connections share, as one config has it.

    A reload makes new ones; flows keep those they began with.
    """

    limits: Limits
    users: Users | None  # None: everybody may
    routes: Table
    dialer: Dialer
    handler: Handler  # of plain HTTP requests
    delivery: Delivery
    pipes: Pipes
    rules: Identity  # what makes an identity
    identities: Identities
    safe_socks: Taken  # how SOCKS by address is taken
    key: bytes  # of this process: what clients want to be told apart by is kept as digests under it
    finished: Callable[[Flow], None]  # called once with each closed flow
    left: Callable[[Address | None], None]  # and once with the client of each closed connection


@dataclass(slots=True, eq=False)
class Session:
    """One client connection."""

    flow: Flow
    current: Callable[[], Rooms]
    local: bool  # only this machine's programs reach the listener
    rooms: Rooms = field(init=False)  # those that the flow began with
    fiber: Fiber = field(init=False)  # both from the moment that it is carried
    client: Stream = field(init=False)
    _identity: Known | None = None  # whose the flow is, from `aim` to its end
    _sent: int = 0  # what the client's counters said when the flow before this one ended
    _received: int = 0

    def __post_init__(self) -> None:
        self.rooms = self.current()

    def ended(self, _fiber: Fiber, reason: Reason | None) -> None:
        """The connection is over."""
        self.finish(reason)
        self.rooms.left(self.flow.client)

    def end(self, refused: Refused) -> None:
        """End the connection, wherever it is; for those who are not part of it."""
        self.fiber.kill(refused)

    def begin(self, protocol: str) -> None:
        """The client asks for something: a flow begins, a new one if it asked before."""
        flow = self.flow
        if flow.over:
            self.flow = Flow(listener=flow.listener, client=flow.client, shared=flow.shared)
        self.rooms = self.current()
        self.flow.protocol = protocol

    def finish(self, reason: Reason | None) -> None:
        """The flow is over. The first word on why counts; a connection that never asked is no flow."""
        flow = self.flow
        if flow.over or not flow.protocol:
            return
        flow.over = True
        flow.reason = reason
        flow.sent = self.client.received - self._received
        flow.received = self.client.sent - self._sent
        self._sent, self._received = self.client.sent, self.client.received
        if self._identity is not None:
            self._identity.leave(flow, self)
            self._identity = None
        self.rooms.finished(flow)

    async def login(self, name: bytes, password: bytes) -> None:
        """Check who the client is; where nobody needs to be known, name and password are mere labels.

        Tor's clients are told apart by both (torspec, socks-extensions: isolation by SOCKS authentication).

        Raises:
            Refused: AUTH_FAILED, or TOO_MANY logins at once.
        """
        users = self.rooms.users
        if users is None:
            self.isolate(password, kind=b"password")
        elif not users.remembered(name, password) and not await in_task(users.check, name, password):
            raise Refused(Reason.AUTH_FAILED)
        self.label(name)

    def label(self, name: bytes) -> None:
        """Note in whose name the client asks."""
        # Any bytes (RFC 1929 §2 sets no coding); with backslashes doubled, distinct bytes stay distinct.
        self.flow.user = name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")

    def isolate(self, token: bytes, *, kind: bytes) -> None:
        """Note what the client wants to be told apart by besides its name: a digest, for it may be secret.

        A password and a header with the same text are two `kind`s of token, and two identities.
        """
        if token:
            data = b"%b %b %b" % (self.flow.token.encode(), kind, token)
            self.flow.token = hashlib.blake2b(data, key=self.rooms.key, digest_size=16).hexdigest()

    def anonymous(self, *, allowed: bool = True) -> None:
        """The client names nobody, and may not even want to be nobody.

        Raises:
            Refused: AUTH_REQUIRED where users exist, or the client does not allow it.
        """
        if self.rooms.users is not None or not allowed:
            raise Refused(Reason.AUTH_REQUIRED)

    def by_address(self, target: Endpoint) -> None:
        """The client asks by SOCKS, and not by a name.

        Raises:
            Refused: RESOLVED_BY_CLIENT, where only names are taken.
        """
        self.flow.target = target
        exposure.judge(self.flow, self.rooms.safe_socks)

    async def dial(self, target: Endpoint) -> Stream:
        """Go out to the target, in the flow's name."""
        self.aim(target)
        self.fiber.resting = False
        return await self.rooms.dialer.dial(target, self.flow, self.fiber)

    @property
    def moved(self) -> int:
        """Bytes that the flow has carried so far, both ways."""
        return self.client.received - self._received + self.client.sent - self._sent

    def aim(self, target: Endpoint) -> None:
        """Note where the flow wants to go, which settles its identity and its route.

        Raises:
            Refused: BUDGET_SPENT, where its identity has one.
        """
        self.flow.target = target
        self._identity = self.rooms.identities.enter(self.flow, self, self.rooms.rules)
        self.flow.route = self.rooms.routes.choose(self.flow)

    def tunnel(self, upstream: Stream) -> Relay:
        return Relay(self.client, upstream, idle=self.rooms.limits.idle, pipes=self.rooms.pipes)

    async def refuse(self, refused: Refused, answer: bytes) -> None:
        """Answer a client that we refuse, so that it sees the answer and no reset, and end the flow."""
        self.finish(refused.reason)
        if refused.reason is Reason.CLIENT_GONE:
            return
        self.client.send_now(answer)
        self.fiber.close_all_but(self.client)
        limits = self.rooms.limits
        await linger(self.fiber, self.client, seconds=limits.linger, most=limits.linger_bytes)
