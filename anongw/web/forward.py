"""Forward: the last handler. It asks the origin, on a kept connection or a new one, and returns its answer.

Both directions live at once: while a body goes up, the answer is read, so that an early refusal (413) is
seen; the rest of the upload then goes on beside the delivery, or ends with it.

Rules: a kept connection that proves dead is replaced once, only for a request that may be repeated and that
nothing came back for (RFC 9112 §9.3.1). Interim answers end here. `Expect` is ours to answer, once the origin
is there. A far 407 would phish for the gateway's own password and is an error.
"""

from contextlib import suppress

from anongw.config import Limits
from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.net.wait import Side, beside
from anongw.outbound.dialer import Dialer
from anongw.web.exchange import Inflow, Request, Response, Stall
from anongw.web.pool import Key, Pool
from anongw.wire import body, http1
from anongw.wire.http1 import HeadLimits, Kind, ResponseHead

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Interim answers to one request: a few are sent for long work; more is somebody wasting our time.
INTERIM_MOST = 32
# RFC 9110 §9.2.2. PUT and DELETE are idempotent too, but their bodies are gone once sent.
_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PROPFIND", b"REPORT", b"SEARCH", b"QUERY"})
_PROXY_AUTHENTICATION_REQUIRED = 407
_FINAL = 200


class Forward:
    """Asks origins, through `dialer`."""

    def __init__(self, dialer: Dialer, pool: Pool, limits: Limits, pipes: Pipes) -> None:
        self._dialer = dialer
        self._pool = pool
        self._limits = limits
        self._pipes = pipes
        self._head_limits = HeadLimits(limits.header_bytes, limits.header_lines)

    async def __call__(self, request: Request, fiber: Fiber) -> Response:
        """Send the request and read the head of its answer.

        Raises:
            Refused: no origin, or none that answers as HTTP demands.
        """
        kept = None if request.websocket else self._pool.take(pool_key(request), fiber)
        if kept is None:
            return await self._ask(
                request, await self._dialer.dial(request.target, request.flow, fiber), fiber
            )
        heard = kept.received
        try:
            return await self._ask(request, kept, fiber)
        except Refused as refused:
            silent_end = refused.reason is kept.lost and kept.received == heard
            if not silent_end or request.body is not None or request.method not in _REPEATABLE:
                raise
        fiber.give_up(kept)
        kept.close()
        return await self._ask(request, await self._dialer.dial(request.target, request.flow, fiber), fiber)

    async def _ask(self, request: Request, upstream: Stream, fiber: Fiber) -> Response:
        lines = http1.build_lines(request.headers) if request.ready is None else request.ready
        head = http1.request_line(request.method, request.path) + lines
        fiber.within(self._limits.stall, Reason.UPSTREAM_TIMEOUT)
        await upstream.send(head)
        upload = None
        if request.body is None:
            fiber.within(self._limits.response, Reason.UPSTREAM_TIMEOUT)
            answer = await self._final_head(request, upstream)
        else:
            if request.expects_continue:
                await request.body.stream.send(CONTINUE)
            upload = Side(self._upload(request, request.body, upstream, fiber))
            answer = await beside(self._final_head(request, upstream), upload)
        return self._response(answer, upstream, upload)

    async def _upload(self, request: Request, inflow: Inflow, upstream: Stream, fiber: Fiber) -> None:
        """The request's body, re-framed by us. An origin that stops taking it may still have an answer."""
        chunked = request.framing.kind is Kind.CHUNKED
        stall = Stall(fiber, self._limits.stall, inflow.stream)
        stall(inflow.stream)
        while piece := await inflow.read():
            stall(upstream)
            try:
                await upstream.send(body.chunk(piece) if chunked else piece)
                if not chunked:
                    await inflow.pour(upstream, self._pipes, stall)
            except Refused as refused:
                if refused.reason is inflow.stream.lost:
                    raise
                return
            stall(inflow.stream)
        if chunked:
            with suppress(Refused):
                await upstream.send(body.LAST_CHUNK)
        fiber.within(self._limits.response, Reason.UPSTREAM_TIMEOUT)

    async def _final_head(self, request: Request, upstream: Stream) -> ResponseHead:
        known = request.memory.answers if request.mark else None
        if not len(upstream.reader):
            await upstream.arrive()
        for _ in range(INTERIM_MOST):
            head = await upstream.read(
                http1.response_head(upstream.reader, self._head_limits, request.method, known)
            )
            if head.status == http1.SWITCHING_PROTOCOLS and not request.websocket:
                raise Refused(Reason.UPSTREAM_MALFORMED, "101 to a request that asked for no other protocol")
            if head.status == _PROXY_AUTHENTICATION_REQUIRED:
                raise Refused(Reason.UPSTREAM_MALFORMED, "407 from an origin")
            # 100 has been said by us; 103 carries links that a browser would look up early; 102 says nothing.
            if head.status >= _FINAL or head.status == http1.SWITCHING_PROTOCOLS:
                return head
        raise Refused(Reason.UPSTREAM_MALFORMED, "interim answers without end")

    def _response(self, head: ResponseHead, upstream: Stream, upload: Side | None) -> Response:
        inflow = None
        if head.framing.kind is not Kind.NONE:
            inflow = Inflow(upstream, body.decoder(head.framing, Reason.UPSTREAM_MALFORMED))
        return Response(
            status=head.status,
            reason=head.reason,
            headers=head.headers,
            framing=head.framing,
            body=inflow,
            upstream=upstream,
            keep_alive=head.keep_alive,
            upload=upload,
            mark=head.mark,
        )


def pool_key(request: Request) -> Key:
    return request.flow.route, request.flow.identity, request.authority
