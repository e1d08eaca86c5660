"""Names to addresses: who is asked, who is never asked, what is believed, and for how long.

What holds here:
- The system's resolver is never used. A fixed host is answered at once; a name that is local by its nature
  is asked of nobody, unless the user named a resolver for its suffix; all else goes to one of the servers.
- Nothing crosses identities: neither the cache nor a question in flight.
- One question in flight for each name and identity; whoever asks meanwhile waits for the same answer.
- Only `Refused` comes out.
"""

import ipaddress
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import anyio
from anyio.abc import TaskGroup, TaskStatus

from anongw.address import Address, parse_host
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
from anongw.resolve.server import Server, System, parse_server, parse_servers
from anongw.resolve.system import ResolvConf
from anongw.resolve.upstream import Dial, Way, preload
from anongw.resolve.verdict import Verdict, conclude, interleave
from anongw.resolve.zones import is_private, longest
from anongw.wire.dns import Answer, Kind, Question

NO_CERTIFICATES = (
    "This machine has no CA certificates: resolvers are verified by those of the certifi package. "
    "Install ca-certificates, or set resolve.ca_file."
)

_KINDS = {"ipv4": (Kind.A,), "ipv6": (Kind.AAAA,)}
_BOTH = (Kind.AAAA, Kind.A)
_VERSIONS = {Kind.A: 4, Kind.AAAA: 6}
_FIRST = {"ipv4": 4, "prefer-ipv4": 4}  # IP versions; RFC 8305 §4 puts 6 first


def _draw_id() -> int:
    """A message id nobody can guess (RFC 5452 §9.2)."""
    return secrets.randbelow(1 << 16)


class Resolver:
    """Looks names up, in somebody's name.

    `allow_private` says of an address whether an answer may hold it. `dial` connects to resolvers through a
    chain, for each identity apart; without one they are reached from this machine, by way of `egress`, and
    only then is UDP used: a chain carries streams. The rest is for tests: the clock, the draw of message ids,
    what `system` reads, and two waits in seconds.
    """

    def __init__(  # noqa: PLR0913 - one fact each, named at every call
        self,
        settings: Resolve,
        *,
        allow_private: Callable[[Address], bool],
        dial: Dial | None = None,
        egress: Egress = ANYWHERE,
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
        self._servers = parse_servers(settings.servers)
        self._zones = {_name(suffix): _zone(text) for suffix, text in settings.zones.items()}
        self._hosts = {_name(name): _fixed(name, texts) for name, texts in settings.hosts.items()}
        self._kinds = _KINDS.get(settings.family, _BOTH)
        self._first = _FIRST.get(settings.family, 6)
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
        # Drawn anew at every start: whoever watches two runs cannot tell that an identity is the same.
        self._key = secrets.token_bytes(32)
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
        if name in self._hosts:
            return self._usable(name, self._hosts[name])
        known = self._cache.get(identity, name)
        if isinstance(known, Reason):
            raise Refused(known, name)
        if known is None and is_private(name) and longest(name, self._zones) is None:
            raise Refused(Reason.PRIVATE_NAME, name)
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

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled: every question and every connection to a resolver belongs to this call."""
        try:
            async with anyio.create_task_group() as tasks:
                self._life = _Life(
                    Flights(tasks, self._settings.queries_most),
                    self._choice(self._servers, tasks),
                    {suffix: self._choice(zone, tasks) for suffix, zone in self._zones.items()},
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
            *_listed(self._servers),
            *(server for zone in self._zones.values() for server in _listed(zone)),
        ]
        borrowed = preload(tuple(server.scheme for server in chosen), self._settings.ca_file)
        return (NO_CERTIFICATES,) if borrowed else ()

    async def _look_up(self, name: str, identity: str, flight: Flight[tuple[Address, ...]]) -> None:
        if self._life is None:
            raise Refused(Reason.STOPPING)
        choice = longest(name, self._life.zones) or self._life.servers

        async def ask(kind: Kind) -> Answer:
            return await choice.ask(Question(name, kind), identity)

        def early(outcomes: Outcomes) -> None:
            verdict = self._learn(name, identity, outcomes)
            if verdict.addresses:
                flight.land(verdict.addresses)

        verdict = self._learn(name, identity, await race(ask, self._kinds, early))
        if not verdict.addresses:
            raise Refused(verdict.reason, f"{name}: {verdict.detail}")
        flight.land(verdict.addresses)

    def _learn(self, name: str, identity: str, outcomes: Outcomes) -> Verdict:
        verdict = conclude(outcomes, self._allow_private, self._first)
        # A lie is believed no longer than a "no": the name may be mended.
        most = self._settings.ttl_most if verdict.addresses else self._settings.negative_most
        self._cache.put(identity, name, verdict.addresses or verdict.reason, min(verdict.ttl, most))
        return verdict

    def _usable(self, name: str, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        """A fixed host's addresses of the families in use."""
        versions = {_VERSIONS[kind] for kind in self._kinds}
        usable = interleave([address for address in addresses if address.version in versions], self._first)
        if not usable:
            raise Refused(Reason.NAME_NOT_FOUND, name)
        return usable

    def _choice(self, servers: tuple[Server, ...] | System, tasks: TaskGroup) -> Choice:
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


def _name(text: str) -> str:
    try:
        name = parse_host(text.removeprefix("."))
    except Refused:
        name = ""
    if isinstance(name, str) and name:
        return name
    raise ValueError(f'"{text}" is no name: write it like "printer.home.arpa"')


def _zone(text: str) -> tuple[Server, ...] | System:
    server = parse_server(text)
    return server if isinstance(server, System) else (server,)


def _fixed(name: str, texts: Sequence[str]) -> tuple[Address, ...]:
    try:
        return tuple(ipaddress.ip_address(text) for text in texts)
    except ValueError:
        raise ValueError(f'"{name}" stands for addresses: write {name} = ["192.0.2.1"]') from None


def _listed(servers: tuple[Server, ...] | System) -> tuple[Server, ...]:
    return () if isinstance(servers, System) else servers
