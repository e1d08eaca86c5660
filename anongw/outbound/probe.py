"""Probes: dials through a chain to a target that its user set, to find dead members before a client does.

Never a beacon: none without a target, each in a name that was never used before, at a time that is drawn anew
for every member, and closed as soon as it has connected. What it finds goes to the members' scores.
"""

import math
import random
import secrets
from dataclasses import dataclass

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.outbound.chain import Chain, LeftOut

# A probe comes after half to one and a half of the time that is set between two.
JITTER = (0.5, 1.5)


@dataclass(slots=True, eq=False)
class _Watched:
    """One member and when it is probed next; engine's clock."""

    place: int  # of its position in the chain
    index: int
    due: float = math.inf
    under_way: bool = False


class Prober:
    """Probes the members of one chain. `draw` is where chance comes from."""

    def __init__(self, chain: Chain, target: Endpoint, engine: Engine, draw: random.Random) -> None:
        self._chain = chain
        self._target = target
        self._engine = engine
        self._draw = draw
        self._watched = [
            _Watched(place, index)
            for place, position in enumerate(chain.positions)
            for index in range(len(position.members))
        ]
        for watched in self._watched:
            self._plan(watched, engine.now)

    def sweep(self, now: float) -> None:
        """Begin what is due."""
        if self._engine.stopping:
            return
        for watched in self._watched:
            if watched.due <= now and not watched.under_way:
                watched.under_way = True
                self._engine.launch(_Probe(self, watched).carry, _ignore)
                self._plan(watched, now)

    async def run(self, watched: _Watched, fiber: Fiber) -> None:
        """One dial through one member. What it comes to is in the scores, so nothing is returned."""
        chain = self._chain
        until = fiber.engine.now + chain.settings.timeout
        try:
            await chain.connect(
                self._target,
                f"probe {secrets.token_hex(16)}",
                fiber,
                until=until,
                left_out=self._others(watched),
            )
        except Refused:
            return  # the scores know
        finally:
            watched.under_way = False

    def _others(self, watched: _Watched) -> LeftOut:
        """Everybody at this member's position but as many as must go with it."""
        left_out: LeftOut = [frozenset() for _ in self._chain.positions]
        position = self._chain.positions[watched.place]
        others = [index for index in range(len(position.members)) if index != watched.index]
        company = self._draw.sample(others, position.settings.pick - 1)
        left_out[watched.place] = frozenset(others) - frozenset(company)
        return left_out

    def _plan(self, watched: _Watched, now: float) -> None:
        watched.due = now + self._chain.settings.probe.every * self._draw.uniform(*JITTER)


class _Probe:
    def __init__(self, prober: Prober, watched: _Watched) -> None:
        self._prober = prober
        self._watched = watched

    async def carry(self, fiber: Fiber) -> None:
        await self._prober.run(self._watched, fiber)


def _ignore(_fiber: Fiber, _reason: Reason | None) -> None:
    """A probe is no client's flow and is counted nowhere but in the scores."""
