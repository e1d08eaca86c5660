"""One resolver: the connection to it, kept for all who ask, and what to do when that fails.

Nothing is connected before the first question. A connection that has ended, because the server closes idle
ones or was told to go away, costs the question nothing but a new one; a second end in a row is a failure.
"""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.abc import ByteStream, TaskGroup
from anyio.streams.tls import TLSAttribute

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.net import tls
from anongw.net.egress import ANYWHERE, Egress
from anongw.resolve import udp
from anongw.resolve.flight import Flight, Flights
from anongw.resolve.framed import Framed
from anongw.resolve.http1 import Http1
from anongw.resolve.link import IDLE_MOST, Link
from anongw.resolve.server import Scheme, Server
from anongw.wire import dns

# To a server's address and port, in the name of an identity ("": everybody's).
Dial = Callable[[Address, int, str], Awaitable[ByteStream]]

# RFC 9113 §3.2: "h2". In the order of preference; the second is for servers that have no HTTP/2.
ALPN = ("h2", "http/1.1")
# Seconds for which a server that failed is asked only after the others: a dead one must not cost its timeout
# for every name, and one that comes back must not wait long.
HOLD_DOWN = 10.0
# It could not find out, the name cannot even be asked, whoever owns the name published too much under it, or
# we had nowhere to leave from.
_NOT_ITS_FAULT = (Reason.RESOLVER_FAILED, Reason.MALFORMED, Reason.TOO_LARGE, Reason.EGRESS_GONE)


@dataclass(frozen=True, slots=True)
class Way:
    """How resolvers are reached, and what that may cost. Times are in seconds."""

    dial: Dial
    datagrams: bool  # UDP may go out from this machine; over a chain it may not
    apart: bool  # each identity has connections of its own: over a chain, whose exits keep them apart
    ca_file: str
    timeout: float  # one question to one server, connecting and second tries included
    draw_id: Callable[[], int]
    now: Callable[[], float]
    udp_wait: float = udp.WAIT
    idle: float = IDLE_MOST
    egress: Egress = ANYWHERE  # where datagrams leave from; `dial` has its own


class Upstream:
    """A server and at most one connection to it, everybody's or one identity's. Its tasks live in `tasks`."""

    def __init__(self, server: Server, way: Way, tasks: TaskGroup, identity: str = "") -> None:
        self.server = server
        self._identity = identity
        self._way = way
        self._tasks = tasks
        self._link: Link | None = None
        self._opening: Flights[Server, Link] = Flights(tasks, most=1)
        self._held_down_until = float("-inf")

    @property
    def resting(self) -> bool:
        """It failed a moment ago: ask another one first."""
        return self._way.now() < self._held_down_until

    async def ask(self, question: dns.Question) -> dns.Answer:
        """Put a question.

        Raises:
            Refused: RESOLVER_FAILED where the server could not find out; any other reason where it failed.
        """
        try:
            answer = await self._in_time(question)
        except Refused as refused:
            if refused.reason not in _NOT_ITS_FAULT:
                self._held_down_until = self._way.now() + HOLD_DOWN
            raise
        self._held_down_until = float("-inf")
        return answer

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    async def _in_time(self, question: dns.Question) -> dns.Answer:
        link = self._link
        heard = link.heard if link is not None else 0
        try:
            with anyio.fail_after(self._way.timeout):
                return await self._ask(question)
        except TimeoutError:
            # Not a byte since the question: a connection that died without a word (a network that changed,
            # a router that forgot). It would cost every question its timeout.
            if link is not None and link.heard == heard:
                link.close()
            raise Refused(Reason.UPSTREAM_TIMEOUT, "the resolver did not answer in time") from None

    async def _ask(self, question: dns.Question) -> dns.Answer:
        if self.server.scheme is Scheme.UDP and self._way.datagrams:
            answer = await self._ask_udp(question)
            if answer is not None:
                return answer
        try:
            answer = await (await self._connected()).ask(question)
        except Refused as refused:
            if refused.reason is not Reason.UPSTREAM_CLOSED:
                raise
            answer = await (await self._connected()).ask(question)
        if answer.truncated:
            raise Refused(Reason.UPSTREAM_MALFORMED, "truncated where there is no need")
        return answer

    async def _ask_udp(self, question: dns.Question) -> dns.Answer | None:
        """The answer by UDP; None where TCP must be asked: truncated, silent, or no UDP there at all."""
        try:
            answer = await udp.ask(
                self.server, question, self._way.draw_id, self._way.udp_wait, self._way.egress
            )
        except Refused as refused:
            if refused.reason is Reason.RESOLVER_FAILED:
                raise
            return None
        return None if answer is None or answer.truncated else answer

    async def _connected(self) -> Link:
        if self._link is not None and self._link.alive:
            return self._link
        return await self._opening.join(self.server, self._open)

    async def _open(self, flight: Flight[Link]) -> None:
        self._link = await open_link(self.server, self._way, self._identity)
        self._tasks.start_soon(self._link.run)
        flight.land(self._link)


async def open_link(server: Server, way: Way, identity: str = "") -> Link:
    """Connect to the server in somebody's name, with TLS where its scheme says so.

    Raises:
        Refused: as the dial and the handshake.
    """
    stream = await way.dial(server.address, server.port, identity)
    if not server.scheme.encrypted:
        return Framed(stream, way.draw_id, padded=False, idle=way.idle)
    try:
        trust = tls.trust(way.ca_file, ALPN) if server.scheme is Scheme.HTTPS else tls.trust(way.ca_file)
    except Refused:
        await anyio.aclose_forcefully(stream)
        raise
    secured = await tls.handshake(stream, trust.context, server.name, way.timeout)
    if server.scheme is Scheme.TLS:
        return Framed(secured, way.draw_id, padded=True, idle=way.idle)
    # A server that did not agree to h2 would read its preface as a bad request.
    if secured.extra(TLSAttribute.alpn_protocol) == "h2":  # noqa: S610 - anyio's `extra`, not Django's
        from anongw.resolve.http2 import Http2  # noqa: PLC0415 - h2 costs 38 ms; not before it is needed

        return Http2(secured, server, way.idle)
    return Http1(secured, server, way.idle)


def preload(schemes: tuple[Scheme, ...], ca_file: str) -> bool:
    """Import and build what questions by these schemes need. True: the system has no CAs, certifi's serve.

    Raises:
        Refused: TLS_FAILED where `ca_file` cannot be read.
    """
    dns.query(dns.Question("example.com", dns.Kind.A), 0, padded=True)
    trusts = []
    if Scheme.HTTPS in schemes:
        importlib.import_module("anongw.resolve.http2")
        trusts.append(tls.trust(ca_file, ALPN))
    if Scheme.TLS in schemes:
        trusts.append(tls.trust(ca_file))
    return any(trust.borrowed for trust in trusts)
