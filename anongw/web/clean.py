"""Clean: the handler that scrubs what goes out and what comes back, around the one that forwards it."""

from anongw.log import Counters
from anongw.net.fiber import Fiber
from anongw.web import scrub
from anongw.web.deliver import reframe
from anongw.web.exchange import Handler, Request, Response
from anongw.web.rules import Rules


class Clean:
    """Wraps `following`. What it dropped because no list names it is counted, and never named."""

    def __init__(self, rules: Rules, following: Handler, counters: Counters) -> None:
        self._rules = rules
        self._following = following
        self._counters = counters

    async def __call__(self, request: Request, fiber: Fiber) -> Response:
        about = scrub.Outgoing(request.method, request.target, request.framing, request.websocket)
        request.headers, unknown = scrub.request(request.headers, about, self._rules)
        self._counters.headers_dropped += unknown
        response = await self._following(request, fiber)
        response.framing = reframe(response.framing, request.minor)
        response.headers = scrub.response(
            response.headers,
            response.status,
            response.framing,
            request.websocket,
            self._rules,
            request.target.host,
        )
        return response
