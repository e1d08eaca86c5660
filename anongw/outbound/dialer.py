"""The way out, as the rooms that use it see it, and what it needs of `resolve/`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from anongw.address import Address, Endpoint
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream


class Dialer(Protocol):
    """Connects a flow to its target: directly, or through a chain. It bounds itself in time."""

    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        """Connect a flow to its target.

        Raises:
            Refused: by policy, by the resolver, by a hop, or because nobody answered.
        """


class Lookup(Protocol):
    """Names to addresses, in somebody's name."""

    def cached(self, name: str, identity: str) -> Sequence[Address] | None: ...

    @property
    def addresses(self) -> Callable[[str, str], Awaitable[Sequence[Address]]]: ...
