"""Deliver: an origin's answer to the client, re-framed by us, piece by piece.

Rules: what was promised in the head is kept or the connection is reset, so that a body which broke off never
looks whole. A connection to an origin is kept only if both messages on it are complete.
"""

from anongw.config import Limits
from anongw.errors import Reason
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.net.wait import beside, rest_of
from anongw.web.exchange import Request, Response, Stall
from anongw.web.forward import pool_key
from anongw.web.pool import Pool
from anongw.wire import body, http1
from anongw.wire.http1 import Framing, Kind

_ERROR = 400


def reframe(framing: Framing, minor: int) -> Framing:
    """How a body is framed toward a client that speaks HTTP/1.`minor`.

    RFC 9112 §6.1: no chunked coding for a client that may not know it. For any other, a body without a known
    length is chunked, so that its end is certain and the connection can be kept.
    """
    if framing.kind in (Kind.CHUNKED, Kind.CLOSE):
        return Framing(Kind.CHUNKED if minor else Kind.CLOSE)
    return framing


class Delivery:
    """Writes answers to clients."""

    def __init__(self, pool: Pool, limits: Limits, pipes: Pipes) -> None:
        self._pool = pool
        self._pipes = pipes
        self._limits = limits

    async def __call__(
        self, request: Request, response: Response, client: Stream, fiber: Fiber, *, keep_alive: bool
    ) -> bool:
        """Write the whole answer; whether the client's connection may be kept for another request."""
        upload = response.upload
        # An answer that comes before its request is whole is most often a refusal, and ends the connection:
        # the rest of the body would be read as the next request.
        early = request.body is not None and not request.body.complete
        keep_alive = keep_alive and not early and response.framing.kind is not Kind.CLOSE
        head = _head(request, response, keep_alive=keep_alive)
        if upload is None:
            await self._write(head, response, client, fiber)
        else:
            await beside(self._write(head, response, client, fiber), upload)
            if response.keep_alive and response.status < _ERROR:
                # If it answered early and goes on listening, the request is still to be delivered whole.
                await rest_of(upload)
            upload.close()
        self._settle(request, response, fiber)
        return keep_alive

    async def _write(self, head: bytes, response: Response, client: Stream, fiber: Fiber) -> None:
        inflow = response.body
        if inflow is None:
            await client.send(head)
            return
        chunked = response.framing.kind is Kind.CHUNKED
        # The first piece has most often come with the head: one packet for both.
        piece = inflow.take()
        out = head + body.chunk(piece) if chunked and piece else head + piece
        while True:
            if chunked and inflow.complete:
                out += body.LAST_CHUNK
            fiber.within(self._limits.stall, Reason.IDLE_TIMEOUT)
            await client.send(out)
            if inflow.complete:
                return
            if not chunked:
                await inflow.pour(client, self._pipes, Stall(fiber, self._limits.stall, client))
            fiber.within(self._limits.stall, Reason.UPSTREAM_TIMEOUT)
            piece = await inflow.read()
            out = body.chunk(piece) if chunked and piece else piece

    def _settle(self, request: Request, response: Response, fiber: Fiber) -> None:
        """Keep the origin's connection if nothing is left on it, else close it."""
        whole = response.body is None or response.body.complete
        upload = response.upload
        # Read from the client is not yet sent to the origin, and sending may have been given up.
        sent = upload is None or (upload.done and request.body is not None and request.body.complete)
        if response.keep_alive and whole and sent:
            self._pool.keep(pool_key(request), response.upstream, fiber)
        else:
            fiber.give_up(response.upstream)
            response.upstream.close()


def _head(request: Request, response: Response, *, keep_alive: bool) -> bytes:
    head = response.ready
    if head is None:
        head = http1.build_response(response.status, response.reason, response.headers)
    if not keep_alive:
        return head.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
    return head if request.minor else head.removesuffix(b"\r\n") + b"Connection: keep-alive\r\n\r\n"
