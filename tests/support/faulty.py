"""anongw with a bug: `python -m tests.support.faulty serve ...`.

Going out to `bug.example` raises what no flow should, with secrets in the text of the exception and in the
local variables around it; to `task.example` the same in the task that looks the name up; and to
`chain-bug.example` in a chain, with the password of its first hop.
"""

from collections.abc import Sequence

from anongw import generation
from anongw.address import Address, Endpoint
from anongw.cli import main
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.chain import Chain
from anongw.outbound.direct import Direct
from anongw.resolve.resolver import Resolver

IN_A_STEP, IN_A_TASK, IN_A_CHAIN = "bug.example", "task.example", "chain-bug.example"


class FaultyDirect(Direct):
    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        if target.host == IN_A_STEP:
            raise KeyError(f"{flow.user} of {flow.client} went to {target}")
        return await super().dial(target, flow, fiber)


class FaultyChain(Chain):
    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        password = self.positions[0].members[0].password
        if target.host == IN_A_CHAIN and password is not None:
            raise ValueError(f"{flow.user} went to {target} with {password.reveal()}")
        return await super().dial(target, flow, fiber)


class FaultyResolver(Resolver):
    async def addresses(self, name: str, identity: str) -> Sequence[Address]:  # type: ignore[override]  # on purpose
        if name == IN_A_TASK:
            raise ValueError(f"{identity} asked for {name}")
        return await super().addresses(name, identity)


if __name__ == "__main__":
    # Before the gateway builds its rooms.
    vars(generation).update(Chain=FaultyChain, Direct=FaultyDirect, Resolver=FaultyResolver)
    main(prog_name="anongw")
