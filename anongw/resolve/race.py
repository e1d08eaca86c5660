"""Both kinds of address asked for at once, and a little patience for the later one (RFC 8305 §3)."""

from collections.abc import Awaitable, Callable, Mapping

import anyio

from anongw.errors import Refused
from anongw.wire.dns import Answer, Kind

# Seconds. RFC 8305 §3: "the client SHOULD wait a short time for the AAAA response"; 50 ms is recommended.
RESOLUTION_DELAY = 0.05

Outcomes = Mapping[Kind, Answer | Refused]


async def race(
    ask: Callable[[Kind], Awaitable[Answer]],
    kinds: tuple[Kind, ...],
    offer: Callable[[Outcomes], None],
    delay: float = RESOLUTION_DELAY,
) -> Outcomes:
    """Ask for each kind at once and wait for all of them.

    Where A has come with addresses and AAAA is `delay` seconds late, `offer` gets what is there; the race
    goes on, so that the late answer is learnt all the same. The other way round nothing is offered: on a
    machine without IPv6 an AAAA alone is as good as none.
    """
    outcomes: dict[Kind, Answer | Refused] = {}
    complete = anyio.Event()

    async def run(kind: Kind) -> None:
        try:
            outcomes[kind] = await ask(kind)
        except Refused as refused:
            outcomes[kind] = refused
        if len(outcomes) == len(kinds):
            complete.set()
        elif kind is Kind.A and isinstance(answer := outcomes[kind], Answer) and answer.addresses:
            with anyio.move_on_after(delay):
                await complete.wait()
            if not complete.is_set():
                offer(dict(outcomes))

    async with anyio.create_task_group() as tasks:
        for kind in kinds:
            tasks.start_soon(run, kind)
    return outcomes
