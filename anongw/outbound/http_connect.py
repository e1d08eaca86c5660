"""HTTP CONNECT toward a hop (RFC 9110 §9.3.6), in fixed bytes that name no program.

Not by python-socks: its connector sends its own name and version, reads a reply by one call whatever came,
and hands the rest of the head, or nothing, to the tunnel. Here a reply is read to its empty line and no
further.
"""

import base64

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.net.stream import Stream
from anongw.outbound.isolation import Login
from anongw.wire import http1
from anongw.wire.http1 import Headers, HeadLimits

# A proxy's answer to CONNECT: a status line and a few lines. Squid's error pages have fourteen.
HEAD = HeadLimits(size=16384, lines=64)
# RFC 9110 §15.2: interim answers may come before the final one; a hop has no reason for many.
_INTERIM_MOST = 4
_INTERIM = range(100, 200)
_SUCCESS = range(200, 300)
# What a hop says of the next one. Proxies do not agree on their errors: squid says 503 where others say 502.
_REASONS = {
    401: Reason.HOP_AUTH,
    407: Reason.HOP_AUTH,
    403: Reason.HOP_REFUSED,
    404: Reason.HOST_UNREACHABLE,
    405: Reason.HOP_REFUSED,
    500: Reason.HOST_UNREACHABLE,
    501: Reason.HOP_REFUSED,
    502: Reason.HOST_UNREACHABLE,
    503: Reason.HOST_UNREACHABLE,
    504: Reason.CONNECT_TIMEOUT,
}


class HttpConnect:
    """One CONNECT on a stream. `header` is one more line of the request, if the hop takes one."""

    def __init__(
        self, stream: Stream, login: Login | None, header: tuple[bytes, bytes] | None = None
    ) -> None:
        self._stream = stream
        self._headers: Headers = []
        if login is not None:
            pair = f"{login.user}:{login.password.reveal()}".encode()
            self._headers.append((b"Proxy-Authorization", b"Basic " + base64.b64encode(pair)))
        if header is not None:
            self._headers.append(header)

    async def enter(self) -> None:
        """A proxy says nothing before it is asked."""

    async def ask(self, target: Endpoint) -> None:
        """Have the hop connect to `target`; what it sends after its answer's head is the tunnel's.

        Raises:
            Refused: what the hop says of the target; HOP_AUTH; UPSTREAM_MALFORMED.
        """
        where = str(target).encode("ascii")
        await self._stream.send(http1.build_request(b"CONNECT", where, [(b"Host", where), *self._headers]))
        for _ in range(_INTERIM_MOST):
            head = await self._stream.read(http1.response_head(self._stream.reader, HEAD, b"CONNECT"))
            if head.status in _SUCCESS:
                return
            if head.status == http1.SWITCHING_PROTOCOLS:
                raise Refused(Reason.UPSTREAM_MALFORMED, "101 to a request that asked for no other protocol")
            if head.status not in _INTERIM:
                raise Refused(_REASONS.get(head.status, Reason.HOP_REFUSED), f"status {head.status}")
        raise Refused(Reason.UPSTREAM_MALFORMED, "interim answers without end")
