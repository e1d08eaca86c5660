"""anongw, with what its flows know written down beside it: `python -m tests.support.noted serve ...`.

Each name that a flow holds when it ends (its target, user, client, token and identity) and each path and
header value of a plain request goes, as a line of JSON, to the descriptor that NOTES names. process.py then
searches all that the gateway has said for them: the searching knows nothing of how the gateway keeps silent.

`--tell` as the first word commits the sin once for each flow, so that a test can see that it is noticed.
"""

import json
import os
import sys

from anongw import log
from anongw.cli import main
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.web import clean
from anongw.web.exchange import Request, Response

NOTES = "ANONGW_TEST_NOTES"
TELL = "--tell"


class NotedCounters(log.Counters):
    """Counts, and notes whose flow it was."""

    tells = False

    def finished(self, flow: Flow) -> None:
        super().finished(flow)
        host = flow.target.host if flow.target is not None else None
        note(host, flow.user, flow.client, flow.token, flow.identity)
        if self.tells:
            log.logger.info("a flow to {}", flow.target)


class NotedClean(clean.Clean):
    """Scrubs, and notes what it was to scrub."""

    async def __call__(self, request: Request, fiber: Fiber) -> Response:
        values = [value for name, value in request.headers if name.lower() not in _DULL]
        note(*(one.decode("latin-1") for one in (request.path, *values)))
        return await super().__call__(request, fiber)


# What they say is no secret of anybody's: sizes, codings and the words of the protocol itself.
_DULL = {
    b"host",
    b"content-length",
    b"content-type",
    b"connection",
    b"accept",
    b"accept-encoding",
    b"upgrade",
}


def note(*names: object) -> None:
    known = [str(one) for one in names if one]
    if known:
        os.write(int(os.environ[NOTES]), json.dumps(known).encode() + b"\n")


if __name__ == "__main__":
    from anongw import generation

    if sys.argv[1] == TELL:
        del sys.argv[1]
        NotedCounters.tells = True
    # Before the gateway builds its rooms.
    vars(log).update(Counters=NotedCounters)
    vars(generation).update(Clean=NotedClean)
    main(prog_name="anongw")
