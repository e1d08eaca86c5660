"""Which of several resolvers is asked, and which one after it.

A name is asked of one server; of another only when that one fails. Which one comes first is drawn for each
identity by a keyed hash with a key of this process: no server sees all identities, and no server sees a name
only because another was asked for it too. Over a chain each identity has connections of its own: one for all
would show the server that they are one gateway's.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from anyio.abc import TaskGroup

from anongw.errors import Reason, Refused
from anongw.resolve.server import Server
from anongw.resolve.upstream import Upstream, Way
from anongw.wire import dns

# Identities that have connections of their own at a time. Each closes its own when it is idle; the one that
# was used longest ago gives way.
APART_MOST = 1000
_EVERYBODY = ""


class Choice:
    """Resolvers that may answer the same question. `servers` is called for each, and may change its mind.

    `key` draws the order for each identity; None keeps the order of `servers`.
    """

    def __init__(
        self, servers: Callable[[], tuple[Server, ...]], key: bytes | None, way: Way, tasks: TaskGroup
    ) -> None:
        self._servers = servers
        self._key = key
        self._way = way
        self._tasks = tasks
        # By identity, the oldest use first; everybody's are one set where they need not be apart.
        self._shelves: OrderedDict[str, dict[Server, Upstream]] = OrderedDict()

    async def ask(self, question: dns.Question, identity: str) -> dns.Answer:
        """The answer of the first server that has one.

        Raises:
            Refused: RESOLVER_FAILED, with what the last of them said; EGRESS_GONE where none could be asked.
        """
        failure, gone = "", True
        for upstream in self._order(identity):
            try:
                return await upstream.ask(question)
            except Refused as refused:
                failure = f"{refused.reason.value}: {refused.detail}"
                gone = gone and refused.reason is Reason.EGRESS_GONE
        raise Refused(Reason.EGRESS_GONE if gone and failure else Reason.RESOLVER_FAILED, failure)

    def forget(self, identity: str) -> None:
        """Close the connections that are an identity's own."""
        for upstream in self._shelves.pop(identity, {}).values() if self._way.apart else ():
            upstream.close()

    def _order(self, identity: str) -> list[Upstream]:
        upstreams = list(self._shelf(identity if self._way.apart else _EVERYBODY).values())
        if self._key is not None:
            upstreams.sort(key=lambda upstream: self._rank(upstream.server, identity))
        # Those that failed a moment ago come last, and are asked all the same when there is no other.
        upstreams.sort(key=lambda upstream: upstream.resting)
        return upstreams

    def _shelf(self, owner: str) -> dict[Server, Upstream]:
        known = self._shelves.get(owner, {})
        servers = self._servers()
        if servers != tuple(known):
            self._shelves[owner] = {
                server: known.get(server) or Upstream(server, self._way, self._tasks, owner)
                for server in servers
            }
            for server in known.keys() - set(servers):
                known[server].close()
        self._shelves.move_to_end(owner)
        if len(self._shelves) > APART_MOST:
            _, oldest = self._shelves.popitem(last=False)
            for upstream in oldest.values():
                upstream.close()
        return self._shelves[owner]

    def _rank(self, server: Server, identity: str) -> bytes:
        text = f"{server.scheme.value} {server.address} {server.port} {identity}"
        return hashlib.blake2b(text.encode(), key=self._key or b"").digest()
