"""`anongw chain test` at work: which member of a chain is looked at when, and by way of whom.

Position after position, for a later one is reached through those before it only; the members of one side by
side. Then, where there is a target, each exit once more, all the way to it. Rules, each with its test:

- Nobody is connected to but the chain's members and, by way of all its positions, the target. No member is
  shown both this machine's address and the target where the chain keeps the two apart.
- Nobody is asked for a name but the config's resolvers, and they only for a first hop's.
- A member that fails on the way to another is not gone through again, and its finding says so.
"""

import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address

import anyio
import anyio.to_thread

from anongw import config
from anongw.address import Endpoint
from anongw.config import Config
from anongw.errors import Reason, Refused
from anongw.generation import bound
from anongw.net import tls
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.outbound.examine import Examiner, Finding, State
from anongw.outbound.isolation import Isolation
from anongw.outbound.path import Reach
from anongw.outbound.position import Position
from anongw.outbound.relays import Step
from anongw.policy import Policy
from anongw.resolve.resolver import Resolver

# Dials at a time, all by way of the same hops: as many as a browser makes for one page, so that every hop
# has room for them.
SIDE_BY_SIDE = 8
_KEY_BYTES = 32

Findings = Sequence[Sequence[Finding]]  # of each member of each position


def objection(target: Endpoint, settings: Config, chain: config.Chain) -> str:
    """Why no client could go to a target, or why a test cannot: a sentence; "" if it may be gone to."""
    try:
        Policy(settings.policy).judge_afar(target, overlays=chain.overlays)
    except Refused as refused:
        return f"is refused to clients too ({refused}), by [policy] or for want of the chain's overlays"
    if isinstance(target.host, str):
        # A client's is looked up through the chain; what is not looked up would be told to the exit.
        return "this chain tells its exit no names: write an address" if chain.names == "here" else ""
    if chain.family != "any" and isinstance(target.host, IPv4Address) != (chain.family == "ipv4"):
        return f"the chain is {chain.family} only"
    return ""


async def examine(
    settings: Config,
    chain: config.Chain,
    *,
    target: Endpoint | None,
    seconds: float | None,
    told: Callable[[int], None],
) -> Findings:
    """Look at every member of a chain.

    `seconds` bounds each dial and each of its stages, instead of the chain's own timeouts; `told` hears the
    place of a position each time that a member of it has been looked at.

    Raises:
        BaseException: a bug of ours, whatever it is.
    """
    bugs: list[BaseException] = []
    engine = Engine(on_bug=bugs.append)
    egress = bound(chain.egress)
    # A hop may be anywhere, also at home.
    resolver = Resolver(settings.resolve, allow_private=lambda _address: True, egress=egress)
    examiner = Examiner(
        Reach(resolver, egress),
        Isolation(secrets.token_bytes(_KEY_BYTES)),
        hop=seconds or chain.hop_timeout,
        whole=seconds or chain.timeout,
    )
    named = any(isinstance(member.url.endpoint.host, str) for member in chain.hop[0].members)
    findings: Findings = ()
    async with anyio.create_task_group() as tasks:
        await tasks.start(engine.run)
        if named:
            await tasks.start(resolver.run)
        # Before anything is timed.
        await anyio.to_thread.run_sync(_preload, chain, resolver if named else None)
        findings = await Examination(chain, examiner, engine, target=target, told=told).run()
        tasks.cancel_scope.cancel()
    if bugs:
        raise bugs[0]
    return findings


def _preload(chain: config.Chain, resolver: Resolver | None) -> None:
    """What cannot be loaded is told of whoever needs it."""
    with suppress(Refused):
        if resolver is not None:
            resolver.preload()
    for member in (member for hop in chain.hop for member in hop.members):
        if member.url.scheme == "https":
            with suppress(Refused):
                tls.hop_context(member.ca_file, pinned=bool(member.pin))


class Examination:
    """One run over a chain, by an examiner whose dials `engine` drives."""

    def __init__(
        self,
        chain: config.Chain,
        examiner: Examiner,
        engine: Engine,
        *,
        target: Endpoint | None,
        told: Callable[[int], None],
    ) -> None:
        # They lend a path its members; nobody chooses among them, or remembers anybody.
        positions = [
            Position(hop, chain.health, draw=random.SystemRandom(), sticky_most=1) for hop in chain.hop
        ]
        self._steps = [
            [Step(position, index) for index in range(len(position.members))] for position in positions
        ]
        self._found: dict[Step, Finding] = {}
        self._examiner = examiner
        self._engine = engine
        self._target = target
        self._told = told

    async def run(self) -> Findings:
        for place in range(len(self._steps)):
            await self._side_by_side(place, None)
        if self._target is not None:
            await self._side_by_side(len(self._steps) - 1, self._target)
        return [[self._found[step] for step in steps] for steps in self._steps]

    async def _side_by_side(self, place: int, target: Endpoint | None) -> None:
        limiter = anyio.CapacityLimiter(SIDE_BY_SIDE)

        async def look(step: Step) -> None:
            async with limiter:
                await self._look(place, step, target)
            self._told(place)

        async with anyio.create_task_group() as tasks:
            for step in self._steps[place]:
                tasks.start_soon(look, step)

    async def _look(self, place: int, step: Step, target: Endpoint | None) -> None:
        """Dial, by another way each time that a member on the way fails."""
        if step.member.url.scheme == "direct":
            self._note(Finding(step, State.DIRECT, "nothing to test"))
            return
        while target is None or self._found[step].works:
            way: list[Step] = []
            for number, count, working in self._needed(place, step, target):
                if len(working) < count:
                    self._note(Finding(step, State.UNTRIED, self._too_few(number)))
                    return
                way += working[:count]
            finding = await self._dial((*way, step), target)
            self._note(finding)
            if finding.step is step:
                self._vouch(way, finding)
                return

    def _needed(
        self, place: int, step: Step, target: Endpoint | None
    ) -> Iterator[tuple[int, int, list[Step]]]:
        """For each position on the way: its number, how many of its members stand there, and who could."""
        for number, steps in enumerate(self._steps[: place + 1], 1):
            count = steps[0].position.settings.pick
            if number == place + 1:
                # A target is gone to as by a client: the step stands last of as many as there always are.
                count = count - 1 if target is not None else 0
            yield number, count, [one for one in steps if one is not step and self._works(one)]

    def _works(self, step: Step) -> bool:
        return step in self._found and self._found[step].works

    def _too_few(self, number: int) -> str:
        pick = self._steps[number - 1][0].position.settings.pick
        if pick == 1:
            return f"no member of hop {number} works"
        return f"hop {number} is {pick} members in a row, and too few work"

    def _note(self, finding: Finding) -> None:
        """Whatever did not work once stays so, and what was timed first stays too."""
        old = self._found.get(finding.step)
        if old is None:
            self._found[finding.step] = finding
        elif old.works:
            self._found[finding.step] = replace(
                old, state=finding.state, reason=finding.reason, target=finding.target
            )

    def _vouch(self, way: Sequence[Step], finding: Finding) -> None:
        """Who has connected us to a later hop does more than accept connections."""
        if finding.reach is None:
            return
        for step in way:
            if self._found[step].state is State.ACCEPTS:
                self._found[step] = replace(self._found[step], state=State.UP)

    async def _dial(self, steps: tuple[Step, ...], target: Endpoint | None) -> Finding:
        """One dial as a flow of the engine's."""
        found: list[Finding] = []
        over = anyio.Event()

        async def carry(fiber: Fiber) -> None:
            found.append(await self._examiner.examine(steps, target, fiber))

        def ended(_fiber: Fiber, reason: Reason | None) -> None:
            if not found:
                found.append(Finding(steps[-1], State.UNTRIED, reason.value if reason else ""))
            over.set()

        self._engine.launch(carry, ended)
        self._engine.settle()
        await over.wait()
        return found[0]
