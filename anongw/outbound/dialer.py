"""The way out, as the rooms that use it see it."""

from typing import Protocol

from anongw.address import Endpoint
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream


class Dialer(Protocol):
    """Connects a flow to its target: directly, or later through a chain."""

    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        """Connect; the caller bounds it with `fiber.within`.

        Raises:
            Refused: by policy, by the resolver, or because nobody answered.
        """
