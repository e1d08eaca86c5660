"""Clean: the handler that scrubs what goes out and what comes back, around the one that forwards it."""

from anongw.log import Counters
from anongw.net.fiber import Fiber
from anongw.web import scrub
from anongw.web.deliver import reframe
from anongw.web.exchange import Handler, Ready, Request, Response
from anongw.web.rules import Rules
from anongw.wire.http1 import build_lines, build_response


class Clean:
    """Wraps `following`. What it dropped because no list names it is counted, and never named."""

    def __init__(self, rules: Rules, following: Handler, counters: Counters) -> None:
        self._rules = rules
        self._following = following
        self._counters = counters

    async def __call__(self, request: Request, fiber: Fiber) -> Response:
        # What leaves is a function of the request's lines (its method among them), its origin and the rules;
        # inbound/http.py sees to it that what is remembered is by these very rules.
        known = request.memory.asked
        key = request.mark and (request.mark, request.authority)
        ready = known.get(key) if key else None
        if ready is None:
            ready = self._asked(request)
            if key:
                known.remember(key, ready)
        request.headers, request.ready = ready.headers, ready.sent
        self._counters.headers_dropped += ready.unknown
        response = await self._following(request, fiber)
        response.framing = reframe(response.framing, request.minor)
        response.headers, response.ready, _ = self._answered(request, response)
        return response

    def _asked(self, request: Request) -> Ready:
        about = scrub.Outgoing(request.method, request.target, request.framing, request.websocket)
        headers, unknown = scrub.request(request.headers, about, self._rules)
        return Ready(headers, build_lines(headers), unknown)

    def _answered(self, request: Request, response: Response) -> Ready:
        # A function of the answer's lines and its request's.
        known = request.memory.answered
        key = request.mark and response.mark and (response.mark, request.mark, request.authority)
        ready = known.get(key) if key else None
        if ready is None:
            headers = scrub.response(
                response.headers,
                response.status,
                response.framing,
                request.websocket,
                self._rules,
                request.target.host,
            )
            ready = Ready(headers, build_response(response.status, response.reason, headers), 0)
            if key:
                known.remember(key, ready)
        return ready
