"""HTTP clients: requests in absolute form, one after the other, and CONNECT.

Rules: every request proves its user, not the connection (a kept one may carry several). An answer of our own
is one fixed body and a coarse code: no name, no version, no address, no errno. A request that is meant for us
and not for an origin gets silence, so that no web page learns by poking the port that a gateway is here; only
a client that names this machine in `Host` is told that it is wrong.
"""

import base64
import binascii
import re

from anongw.errors import Reason, Refused
from anongw.inbound.session import Session
from anongw.net.fiber import Delegate
from anongw.net.linger import linger
from anongw.web.exchange import Inflow, Memory, Request, Response
from anongw.wire import body, http1
from anongw.wire.http1 import HeadLimits, Heads, Kind, RequestHead
from anongw.wire.target import Origins, authority, origin_and_path

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_BODY = b"The request could not be served.\n"
_CHALLENGE = (b"Proxy-Authenticate", b'Basic realm="proxy", charset="UTF-8"')
# How a request begins that names no origin (RFC 9112 §3.2.1, §3.2.4), CONNECT apart.
_PROBE = re.compile(rb"(?:\r\n)?(?!CONNECT )[A-Z]+ [^A-Za-z]")
_PROBE_MOST = 32

# A coarse code for every reason: what the client could do about it, not what we know.
STATUS: dict[Reason, int] = {
    Reason.MALFORMED: 400,
    Reason.TOO_LARGE: 431,
    Reason.UNSUPPORTED_PROTOCOL: 501,
    Reason.UNSUPPORTED_COMMAND: 501,
    Reason.UNSUPPORTED_ADDRESS: 400,
    Reason.UNSUPPORTED_ENCODING: 501,
    Reason.EXPECTATION_FAILED: 417,
    Reason.AUTH_REQUIRED: 407,
    Reason.AUTH_FAILED: 407,
    Reason.CLIENT_GONE: 400,
    Reason.CLIENT_REFUSED: 403,
    Reason.PROBE: 400,
    Reason.RESOLVED_BY_CLIENT: 403,
    Reason.FORBIDDEN: 403,
    Reason.PRIVATE_TARGET: 403,
    Reason.PRIVATE_NAME: 403,
    Reason.REBINDING: 403,
    Reason.OWN_LISTENER: 403,
    Reason.NAME_NOT_FOUND: 502,
    Reason.RESOLVER_FAILED: 502,
    Reason.CONNECTION_REFUSED: 502,
    Reason.HOST_UNREACHABLE: 502,
    Reason.NETWORK_UNREACHABLE: 502,
    Reason.CONNECT_TIMEOUT: 504,
    Reason.TLS_FAILED: 502,
    Reason.UPSTREAM_CLOSED: 502,
    Reason.UPSTREAM_MALFORMED: 502,
    Reason.UPSTREAM_TIMEOUT: 504,
    Reason.EGRESS_GONE: 502,
    Reason.ROUTE_REFUSED: 403,
    Reason.HOP_UNREACHABLE: 502,
    Reason.HOP_TIMEOUT: 504,
    Reason.HOP_CLOSED: 502,
    Reason.HOP_MALFORMED: 502,
    Reason.HOP_AUTH: 502,
    Reason.HOP_TLS: 502,
    Reason.HOP_REFUSED: 403,
    Reason.BUDGET_SPENT: 403,
    Reason.FORGOTTEN: 503,
    Reason.TOO_MANY: 503,
    Reason.RESOURCES: 503,
    Reason.HANDSHAKE_TIMEOUT: 408,
    Reason.IDLE_TIMEOUT: 408,
    Reason.LIFETIME: 503,
    Reason.STOPPING: 503,
    Reason.INTERNAL: 503,
}
_PHRASES = {
    400: b"Bad Request",
    403: b"Forbidden",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}
_CHALLENGED = 407
# Entries of each memo of a connection: a browser sends a page's requests with four or five sets of lines, to
# few origins on one connection. That is 20 KiB for them, and with memo.REMEMBERED_MOST some 130 KiB for a
# client and an origin that make lines up.
_REMEMBERED = 6


def refusal(reason: Reason, *, told: bool, keep_alive: bool = False, bodiless: bool = False) -> bytes:
    """Our own answer, whole.

    Args:
        reason: why.
        told: name the reason too, in a header: only to a local CONNECT client, where no page can read it.
        keep_alive: the client may ask again on this connection.
        bodiless: the answer to a HEAD; behind it a body would be read as the next answer (RFC 9110 §9.3.2).

    """
    status = STATUS[reason]
    headers = [(b"Content-Type", b"text/plain"), (b"Content-Length", b"%d" % len(_BODY))]
    if status == _CHALLENGED:
        headers.append(_CHALLENGE)
    if told:
        headers.append((b"Anongw-Request-Failed", reason.value.encode("ascii")))
    headers.append((b"Connection", b"keep-alive" if keep_alive else b"close"))
    return http1.build_response(status, _PHRASES[status], headers) + (b"" if bodiless else _BODY)


def credentials(head: RequestHead) -> tuple[bytes, bytes] | None:
    """The name and password for us (RFC 7617), or None.

    Raises:
        Refused: AUTH_FAILED for another scheme or broken coding, MALFORMED for more than one.
    """
    values = [value for name, value in head.headers if name.lower() == b"proxy-authorization"]
    if not values:
        return None
    if len(values) > 1:
        raise Refused(Reason.MALFORMED, "more than one Proxy-Authorization")
    scheme, _, coded = values[0].partition(b" ")
    if scheme.lower() != b"basic":
        raise Refused(Reason.AUTH_FAILED, "not Basic")
    try:
        decoded = base64.b64decode(coded.strip(), validate=True)
    except binascii.Error:
        raise Refused(Reason.AUTH_FAILED, "not base64") from None
    name, _, password = decoded.partition(b":")
    return name, password


def judge_form(head: RequestHead) -> None:
    """Whether a request is for an origin, and not for us.

    Raises:
        Refused: PROBE where it names none; MALFORMED where it says that it means this machine.
    """
    if head.method != b"CONNECT" and not head.target[:1].isalpha():
        raise Refused(Reason.MALFORMED if _names_this_machine(head) else Reason.PROBE)


def isolation(head: RequestHead) -> bytes:
    """What a client that knows Tor wants to be told apart by (torspec, proposal 365)."""
    return b"\n".join(value for name, value in head.headers if name.lower() == b"tor-stream-isolation")


class Http:
    """Serves one HTTP client connection."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._client = session.client
        limits = session.rooms.limits
        self._head_limits = HeadLimits(limits.header_bytes, limits.header_lines)
        self._rooms = session.rooms
        self._identity = ""  # whose messages are remembered
        self._forget()

    def _forget(self) -> None:
        self._heads = Heads(_REMEMBERED)
        self._plain: tuple[Origins, Memory] | None = None  # from the first plain request on: CONNECT has none

    def _memos(self) -> tuple[Origins, Memory]:
        self._plain = self._plain or (Origins(_REMEMBERED), Memory(_REMEMBERED))
        return self._plain

    async def serve(self) -> Delegate | None:
        """Serve requests until one ends the connection or turns it into a tunnel."""
        while await self._asked():
            bodiless = False
            try:
                head = await self._head()
                if head is None:
                    return None
                bodiless = head.method == b"HEAD"
                self._session.fiber.resting = False
                if not await self._admit(head):
                    continue
                if head.method == b"CONNECT":
                    return await self._connect(head)
                request, response = await self._ask(head)
            except Refused as refused:
                await self._refuse(refused, bodiless=bodiless)
                return None
            if response.status == http1.SWITCHING_PROTOCOLS:
                return await self._switch(response)
            if not await self._deliver(head, request, response):
                return None
        return None

    async def _asked(self) -> bool:
        """Wait for a request to begin; False if none comes. Nothing is lost if the connection ends here."""
        session, reader = self._session, self._client.reader
        fiber = session.fiber
        fiber.resting = True
        if not len(reader):
            if fiber.engine.stopping or reader.eof:
                return False
            fiber.within(session.rooms.limits.request, Reason.IDLE_TIMEOUT)
            try:
                if not await self._client.arrive():
                    return False
            except Refused:
                return False
        else:
            await self._client.give_way()  # a long row of pipelined requests is many flows' time
        fiber.within(session.rooms.limits.handshake, Reason.HANDSHAKE_TIMEOUT)
        session.begin("http")
        if session.rooms is not self._rooms:
            # A reload: what was cleaned by the rules before it counts no more.
            self._rooms = session.rooms
            self._forget()
        return True

    async def _head(self) -> RequestHead | None:
        """Read a request's head. What is wrong with one that is meant for us is not said either."""
        reader = self._client.reader
        try:
            head = await self._client.read(http1.request_head(reader, self._head_limits, self._heads))
        except Refused as refused:
            # One that is too long is still here, and a page may make its URL as long as it likes.
            if refused.reason is Reason.TOO_LARGE and _PROBE.match(reader.peek_now(_PROBE_MOST)):
                raise Refused(Reason.PROBE) from None
            raise
        # Before anybody is asked for a password: a challenge would tell a page that a proxy is here.
        if head is not None:
            judge_form(head)
        return head

    async def _admit(self, head: RequestHead) -> bool:
        """Check who asks. False: it was told to say so, and may ask again on this connection."""
        session = self._session
        connect = head.method == b"CONNECT"
        if connect:
            session.flow.protocol = "connect"
        try:
            named = credentials(head) if head.to_us else None
            if named is not None:
                await session.login(*named)
            else:
                session.anonymous()
            if head.to_us:
                session.isolate(isolation(head), kind=b"header")
        except Refused as refused:
            if (
                STATUS[refused.reason] != _CHALLENGED
                or head.framing.kind is not Kind.NONE
                or not head.keep_alive
            ):
                raise
            session.finish(refused.reason)
            told = connect and session.local
            bodiless = head.method == b"HEAD"
            await self._client.send(refusal(refused.reason, told=told, keep_alive=True, bodiless=bodiless))
            return False
        return True

    async def _connect(self, head: RequestHead) -> Delegate:
        """RFC 9110 §9.3.6: success is said only once the connection is there."""
        upstream = await self._session.dial(authority(head.target))
        await self._client.send(ESTABLISHED)
        return self._session.tunnel(upstream)

    async def _ask(self, head: RequestHead) -> tuple[Request, Response]:
        origin, path = origin_and_path(head.target, self._memos()[0])
        self._session.aim(origin.endpoint)
        if self._session.flow.identity != self._identity:
            # Another identity, or another epoch of one: it finds nothing of those before it.
            self._identity = self._session.flow.identity
            self._forget()
        inflow = None
        if head.framing.kind is not Kind.NONE:
            inflow = Inflow(self._client, body.decoder(head.framing, Reason.MALFORMED))
        request = Request(
            head.method,
            origin.endpoint,
            origin.authority,
            path,
            head.headers,
            ready=None,
            framing=head.framing,
            body=inflow,
            minor=head.minor,
            websocket=bool(head.upgrade),
            expects_continue=head.expects_continue,
            flow=self._session.flow,
            mark=head.mark,
            memory=self._memos()[1],
        )
        return request, await self._session.rooms.handler(request, self._session.fiber)

    async def _switch(self, response: Response) -> Delegate:
        """The origin speaks the websocket protocol from here on: a tunnel."""
        await self._client.send(http1.build_response(response.status, response.reason, response.headers))
        return self._session.tunnel(response.upstream)

    async def _deliver(self, head: RequestHead, request: Request, response: Response) -> bool:
        """Pass the answer on; whether another request may follow."""
        session, client = self._session, self._client
        keep_alive = head.keep_alive and not session.fiber.engine.stopping
        kept = whole = False
        try:
            deliver = session.rooms.delivery
            kept = await deliver(request, response, client, session.fiber, keep_alive=keep_alive)
            whole = True
        finally:
            # The client has a part of the answer. A reset tells it so; an end would make it look whole.
            # Not only a refusal comes here: a stop closes the coroutine where it stands.
            if not whole:
                client.reset()
        session.finish(None)
        if not kept:
            limits = session.rooms.limits
            await linger(session.fiber, client, seconds=limits.linger, most=limits.linger_bytes)
        return kept

    async def _refuse(self, refused: Refused, *, bodiless: bool) -> None:
        session = self._session
        if refused.reason is Reason.PROBE:
            session.finish(refused.reason)
            return
        told = session.local and session.flow.protocol == "connect"
        await session.refuse(refused, refusal(refused.reason, told=told, bodiless=bodiless))


def _names_this_machine(head: RequestHead) -> bool:
    host = next((value for name, value in head.headers if name.lower() == b"host"), b"")
    return host.lower().partition(b":")[0] == b"localhost"
