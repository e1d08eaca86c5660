"""The ways out of one config by their names: its chains, and `direct` where somebody wrote it.

A way that no route names does not exist here, so that no fault of ours can take it.
"""

from collections.abc import Mapping

from anongw.address import Endpoint
from anongw.config import REFUSE
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.dialer import Dialer


class Ways:
    """A Dialer that takes the way which a flow's route names."""

    def __init__(self, ways: Mapping[str, Dialer]) -> None:
        self._ways = ways

    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        """Connect a flow to its target.

        Raises:
            Refused: ROUTE_REFUSED where its route says so; else as the way itself.
        """
        if flow.route == REFUSE:
            raise Refused(Reason.ROUTE_REFUSED)
        return await self._ways[flow.route].dial(target, flow, fiber)
