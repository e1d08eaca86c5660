"""Clean: the handler that scrubs what goes out and what comes back, around the one that forwards it."""

from anongw.net.fiber import Fiber
from anongw.web import scrub
from anongw.web.deliver import reframe
from anongw.web.exchange import Handler, Request, Response
from anongw.web.rules import Rules

_SWITCHING = 101


class Clean:
    """Wraps `following`. `unknown` counts the header lines that were dropped because no list names them."""

    def __init__(self, rules: Rules, following: Handler) -> None:
        self._rules = rules
        self._following = following
        self.unknown = 0

    async def __call__(self, request: Request, fiber: Fiber) -> Response:
        about = scrub.Outgoing(request.method, request.target, request.framing, request.websocket)
        request.headers, unknown = scrub.request(request.headers, about, self._rules)
        self.unknown += unknown
        response = await self._following(request, fiber)
        response.framing = reframe(response.framing, request.minor)
        response.headers = scrub.response(
            response.headers,
            response.status,
            response.framing,
            response.status == _SWITCHING,
            self._rules,
            request.target.host,
        )
        return response
