"""The direct way out: policy, then the name if it is one, then policy again on what it came to, then connect.

Every connection for a client is made here, so no way around policy exists. A name is looked up once, and the
connection goes to an address that was judged (DNS rebinding, anonymity rule: resolve once, check, connect).
"""

from collections.abc import Sequence

from anongw.address import Address, Endpoint
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.net.connect import connect, is_this_machine
from anongw.net.egress import Egress
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.net.wait import in_task
from anongw.outbound.dialer import Lookup
from anongw.policy import Policy


class Direct:
    """A Dialer that goes out from this machine: every destination sees its address."""

    def __init__(self, policy: Policy, lookup: Lookup, *, timeout: float, egress: Egress) -> None:
        """`timeout`: seconds for a dial, the look-up included; `egress`: where connections leave from."""
        self._policy = policy
        self._lookup = lookup
        self._timeout = timeout
        self._egress = egress

    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        """Connect a flow to its target.

        Raises:
            Refused: by policy, by the resolver, or because nobody answered.
        """
        fiber.within(self._timeout, Reason.CONNECT_TIMEOUT)
        return await self.connect(target, flow.identity, fiber)

    async def connect(self, target: Endpoint, identity: str, fiber: Fiber) -> Stream:
        """The same in the name of an identity; the caller bounds it with `fiber.within`."""
        self._policy.judge(target, resolved_here=True)
        if isinstance(target.host, str):
            addresses = await self._resolve(target.host, target.port, identity)
        else:
            self._refuse_this_machine(target.host, target.port)
            addresses = [target.host]
        return await connect(fiber, addresses, target.port, self._egress)

    async def _resolve(self, name: str, port: int, identity: str) -> Sequence[Address]:
        found = self._lookup.cached(name, identity)
        if found is None:
            found = await in_task(self._lookup.addresses, name, identity)
        allowed = []
        refusal = Refused(Reason.NAME_NOT_FOUND)
        for address in found:
            try:
                self._policy.judge_address(address, port, name)
                self._refuse_this_machine(address, port)
            except Refused as refused:
                refusal = refused
            else:
                allowed.append(address)
        if not allowed:
            raise refusal
        return allowed

    def _refuse_this_machine(self, address: Address, port: int) -> None:
        # A public address of this very machine is as private as its loopback: the firewall thinks so too.
        # Asked before connecting, so that no port of ours can be told open from closed.
        suspect = not self._policy.is_exempt(address) or self._policy.listens_everywhere(port)
        if suspect and is_this_machine(address, port):
            raise Refused(Reason.OWN_LISTENER)
