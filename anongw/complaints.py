"""What a gateway complains of in its log, of its own accord: each thing now and then, and of nobody.

A page of a browser would bring the same complaint twenty times; the log says it once, and is no diary of who
was careless when.
"""

from collections.abc import Callable
from typing import LiteralString

from anongw.errors import Reason
from anongw.exposure import ADVICE, exposures
from anongw.flow import Flow

# Seconds between two complaints about resolvers: somebody may be mending them.
RESOLVERS_EVERY = 60.0
# Seconds between two about what clients give away: `anongw status` has the count.
CLIENTS_EVERY = 3600.0
_NO_RESOLVER = "no resolver gave an answer to trust; look at the network and resolve.servers"


class Complaints:
    """Says each thing once, and not again until its time is over. `now` is in seconds of any clock.

    `warn` is `log.warning`, except in a test.
    """

    def __init__(self, warn: Callable[[LiteralString], None]) -> None:
        self._warn = warn
        self._after: dict[str, float] = {}

    def finished(self, flow: Flow, now: float) -> None:
        """A flow is over; complain of what it shows, if it is time."""
        if flow.reason is Reason.RESOLVER_FAILED:
            # The most likely thing to be wrong on a new machine; no name is needed to say it.
            self._say(_NO_RESOLVER, now, RESOLVERS_EVERY)
        for exposure in exposures(flow):
            self._say(ADVICE[exposure], now, CLIENTS_EVERY)

    def _say(self, text: LiteralString, now: float, every: float) -> None:
        if now >= self._after.get(text, now):
            self._after[text] = now + every
            self._warn(text)
