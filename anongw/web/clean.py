"""Clean: the handler that scrubs what goes out and what comes back, around the one that forwards it."""

from collections.abc import Mapping

from anongw.log import Counters
from anongw.net.fiber import Fiber
from anongw.web import scrub
from anongw.web.deliver import reframe
from anongw.web.exchange import Handler, Ready, Request, Response
from anongw.web.persona import Persona
from anongw.web.rules import Rules
from anongw.wire.http1 import build_lines, build_response


class Clean:
    """Wraps `following`. What it dropped because no list names it is counted, and never named.

    `personas`: of users who have one of their own.
    """

    def __init__(
        self,
        rules: Rules,
        following: Handler,
        counters: Counters,
        personas: Mapping[str, Persona] | None = None,
    ) -> None:
        self._rules = rules
        self._personas = personas or {}
        self._following = following
        self._counters = counters

    async def __call__(self, request: Request, fiber: Fiber) -> Response:
        # What leaves is a function of the request's lines (its method and its user among them), its origin,
        # the rules and the personas; inbound/http.py sees to it that what is remembered is by these.
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
        who = self._personas.get(request.flow.user or "") if self._personas else None
        about = scrub.Outgoing(request.method, request.target, request.framing, request.websocket, who)
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
