"""Names to addresses: who is asked, who is never asked, what is believed, and for how long.

What holds here:
- The system's resolver is never used. A fixed host is answered at once; a name that is local by its nature
  is asked of nobody, unless the user named a resolver for its suffix; all else goes to one of the servers.
- Nothing crosses identities: neither the cache nor a question in flight.
- One question in flight for each name and identity; whoever asks meanwhile waits for the same answer.
- Only `Refused` comes out.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import anyio
from anyio.abc import TaskGroup, TaskStatus

from anongw.address import Address
from anongw.config import Resolve
from anongw.errors import Reason, Refused
from anongw.net import task_stream
from anongw.net.egress import ANYWHERE, Egress
from anongw.net.task_stream import TaskStream
from anongw.resolve import udp
from anongw.resolve.cache import Cache
from anongw.resolve.choice import Choice
from anongw.resolve.flight import Flight, Flights
from anongw.resolve.link import IDLE_MOST
from anongw.resolve.race import Outcomes, race
from anongw.resolve.server import Server, System
from anongw.resolve.system import ResolvConf
from anongw.resolve.upstream import Dial, Way, preload
from anongw.resolve.verdict import Verdict, conclude
from anongw.resolve.whom import Servers, Whom
from anongw.resolve.zones import chosen
from anongw.wire.dns import Answer, Kind, Question

NO_CERTIFICATES = (
    "This machine has no CA certificates: resolvers are verified by those of the certifi package. "
    "Install ca-certificates, or set resolve.ca_file."
)


def _draw_id() -> int:
    """A message id nobody can guess (RFC 5452 §9.2)."""
    return secrets.randbelow(1 << 16)


class Resolver:
    """Looks names up, in somebody's name.

    `allow_private` says of an address whether an answer may hold it. `dial` connects to resolvers through a
    chain, for each identity apart; without one they are reached from this machine, by way of `egress`, and
    only then is UDP used: a chain carries streams. `key` decides who is asked for which identity; it is drawn
    at a start, so that whoever watches two runs cannot tell that one is the same. The rest is for tests: the
    clock, the draw of message ids, what `system` reads, and two waits in seconds.
    """

    def __init__(  # noqa: PLR0913 - one fact each, named at every call
        self,
        settings: Resolve,
        *,
        allow_private: Callable[[Address], bool],
        dial: Dial | None = None,
        egress: Egress = ANYWHERE,
        key: bytes = b"",
        now: Callable[[], float] = time.monotonic,
        draw_id: Callable[[], int] = _draw_id,
        resolv_conf: ResolvConf | None = None,
        udp_wait: float = udp.WAIT,
        idle: float = IDLE_MOST,
    ) -> None:
        """Read the settings; nothing is opened.

        Raises:
            ValueError: a server, a zone or a host that means nothing, with how to write it.
        """
        self._settings = settings
        self._allow_private = allow_private
        self._whom = Whom(settings)
        self._system = resolv_conf or ResolvConf()
        self._way = Way(
            dial=dial or partial(_dial_from_here, timeout=settings.timeout, egress=egress),
            datagrams=dial is None,
            apart=dial is not None,
            ca_file=settings.ca_file,
            timeout=settings.timeout,
            draw_id=draw_id,
            now=now,
            udp_wait=udp_wait,
            idle=idle,
            egress=egress,
        )
        self._cache: Cache[tuple[Address, ...] | Reason] = Cache(settings.cache_entries, now)
        self._key = key or secrets.token_bytes(32)
        self._life: _Life | None = None

    @property
    def cached_names(self) -> int:
        """How many answers are known, of all identities together."""
        return len(self._cache)

    def cached(self, name: str, identity: str) -> tuple[Address, ...] | None:
        """What `addresses` would say without asking anybody; None: it would have to ask.

        Raises:
            Refused: as `addresses`, where that is known already.
        """
        fixed = self._whom.fixed(name)
        if fixed is not None:
            return fixed
        known = self._cache.get(identity, name)
        if isinstance(known, Reason):
            raise Refused(known, name)
        if known is None:
            self._whom.asked(name)  # refuses what may be asked of nobody
        return known

    async def addresses(self, name: str, identity: str) -> tuple[Address, ...]:
        """The addresses of a canonical name (`address.parse_host`), at least one, in the order to try them.

        Raises:
            Refused: NAME_NOT_FOUND, PRIVATE_NAME, REBINDING, RESOLVER_FAILED; STOPPING where `run` is over.
        """
        known = self.cached(name, identity)
        if known is not None:
            return known
        if self._life is None:
            raise Refused(Reason.STOPPING)
        return await self._life.flights.join((identity, name), partial(self._look_up, name, identity))

    def forget(self, identity: str) -> int:
        """Drop what an identity has learnt, and close its own connections; how many answers there were."""
        if self._life is not None:
            for choice in (self._life.servers, *self._life.zones.values()):
                choice.forget(identity)
        return self._cache.forget(identity)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled: every question and every connection to a resolver belongs to this call."""
        try:
            async with anyio.create_task_group() as tasks:
                self._life = _Life(
                    Flights(tasks, self._settings.queries_most),
                    self._choice(self._whom.servers, tasks),
                    {suffix: self._choice(zone, tasks) for suffix, zone in self._whom.zones.items()},
                )
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._life = None

    def preload(self) -> tuple[str, ...]:
        """Pay now, in a thread, what the first question would pay: imports and certificates, about 100 ms.

        Returns sentences that the user should read, if there are any.

        Raises:
            Refused: TLS_FAILED where `ca_file` cannot be read.
        """
        chosen = [
            *_listed(self._whom.servers),
            *(server for zone in self._whom.zones.values() for server in _listed(zone)),
        ]
        borrowed = preload(tuple(server.scheme for server in chosen), self._settings.ca_file)
        return (NO_CERTIFICATES,) if borrowed else ()

    async def _look_up(self, name: str, identity: str, flight: Flight[tuple[Address, ...]]) -> None:
        if self._life is None:
            raise Refused(Reason.STOPPING)
        choice = chosen(name, self._life.zones, self._life.servers)

        async def ask(kind: Kind) -> Answer:
            return await choice.ask(Question(name, kind), identity)

        def early(outcomes: Outcomes) -> None:
            verdict = self._learn(name, identity, outcomes)
            if verdict.addresses:
                flight.land(verdict.addresses)

        verdict = self._learn(name, identity, await race(ask, self._whom.kinds, early))
        if not verdict.addresses:
            raise Refused(verdict.reason, f"{name}: {verdict.detail}")
        flight.land(verdict.addresses)

    def _learn(self, name: str, identity: str, outcomes: Outcomes) -> Verdict:
        verdict = conclude(outcomes, self._allow_private, self._whom.first)
        # A lie is believed no longer than a "no": the name may be mended.
        most = self._settings.ttl_most if verdict.addresses else self._settings.negative_most
        self._cache.put(identity, name, verdict.addresses or verdict.reason, min(verdict.ttl, most))
        return verdict

    def _choice(self, servers: Servers, tasks: TaskGroup) -> Choice:
        if isinstance(servers, System):
            # The machine's own belong together and stand in the order of their owner's wish.
            return Choice(self._system.servers, None, self._way, tasks)
        return Choice(lambda: servers, self._key, self._way, tasks)


@dataclass(frozen=True, slots=True)
class _Life:
    """What exists while `run` does."""

    flights: Flights[tuple[str, str], tuple[Address, ...]]
    servers: Choice
    zones: dict[str, Choice]


async def _dial_from_here(
    address: Address,
    port: int,
    _identity: str,
    *,
    timeout: float,  # noqa: ASYNC109 - handed on
    egress: Egress,
) -> TaskStream:
    return await task_stream.connect(address, port, timeout, egress)


def _listed(servers: Servers) -> tuple[Server, ...]:
    return () if isinstance(servers, System) else servers
