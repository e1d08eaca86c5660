"""The user's config as the laboratory's gateway gets it.

Every address stays what it is: in the laboratory's networks it is a stand-in's, and what is sent there cannot
leave. So policy, routes, families and listeners mean what they mean at home. What does change:

- logins of hops, users and their passwords: canaries stand in their place, and are demanded and checked;
- certificates: the laboratory's authority vouches, for the very names and keys that the config says; what is
  verified stays verified, and scenarios try a stranger's certificate;
- `system` resolvers and Unix sockets, which are this machine's own: others stand in for them;
- waits, which are cut so that a hop that hangs does not take a minute.

What cannot be mapped is an `Unmappable`, or a note that stands in the verdict.
"""

import base64
import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from anongw.address import Endpoint
from anongw.config import TOKEN, Chain, Config, Hop, HopUrl, Member, Route, Secret, parse_listen
from anongw.config.values import PasswordHash
from anongw.lab.certificates import Authority
from anongw.lab.networks import CABLE_INSIDE, CLIENT_END, LOOPBACK, OUTSIDE_END, Plan, Where
from anongw.lab.server import Place
from anongw.resolve.server import Server, System, parse_server
from anongw.users import hash_password
from anongw.wire.spki import fingerprint

# The laboratory's own addresses. Those of the outside look public, as a destination's should.
CLIENT, CLIENT_6 = "10.77.0.2", "fd77::2"
INSIDE, INSIDE_6 = "10.77.0.1", "fd77::1"
NEAR = "127.77.0.2"  # a client on the gateway's own machine
OWN, OWN_6 = "20.77.0.1", "2a00:77::1"
ROUTER, ROUTER_6 = "20.77.0.254", "2a00:77::fe"
ORIGIN, ORIGIN_6 = "20.77.0.80", "2a00:77::80"
SYSTEM_RESOLVER: Final = "20.77.0.53"
_NAMED: Final = "20.77.1."  # hops that are named, from .1 on
_ONWARD, _ONWARD_6 = "20.77.0.99", "2a00:77::99"  # from where a hop on the gateway's machine goes on
_TAKEN = tuple(map(ipaddress.ip_network, ("10.77.0.0/24", "20.77.0.0/16", "fd77::/64", "2a00:77::/64")))
_PORT_WANTED: Final = 18080  # for listeners that take any
_FAILURES: Final = 1_000_000  # a hop is never out of service for long: each scenario stands by itself
# Waits are cut to these, in seconds: a hop or resolver that hangs costs its scenario no more.
_CUTS: Final = {"connect": 4.0, "shutdown": 1.0, "linger": 0.2}
_HOP_MOST, _DIAL_MOST, _RESOLVE_MOST = 2.0, 4.0, 1.0
USERS_PASSWORD: Final = "canary-user-password-e6"  # noqa: S105 - of everybody whom the config lets in


S = TypeVar("S", bound=msgspec.Struct)


class Unmappable(Exception):
    """A config that cannot be replayed: why, and what to do."""


@dataclass(frozen=True)
class StandIn:
    """One proxy: what it speaks and where, with which logins it lets somebody in (none: with any)."""

    scheme: str
    place: Place
    host: str  # as the config writes it
    certificate: str = ""  # the name that it has to show
    users: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> Where:
        return "gateway" if ipaddress.ip_address(self.place[0]).is_loopback else "outside"

    @property
    def onward(self) -> tuple[str, str]:
        """From which addresses it goes on."""
        host, six = self.place[0], ":" in self.place[0]
        if self.where == "gateway":
            return _ONWARD, _ONWARD_6
        return (_ONWARD if six else host), (host if six else _ONWARD_6)


@dataclass(frozen=True)
class Listener:
    """Where clients come in, and from where. `text`: as the config writes it."""

    text: str
    target: Place | Path
    where: Where = "gateway"
    client: str = ""


@dataclass(frozen=True)
class Mapped:
    """`hops`: the positions of each chain, in each its members."""

    config: Config
    hops: dict[str, list[list[StandIn | None]]]  # None: the member that is "direct"
    resolvers: dict[str, Server]  # by their texts
    listeners: list[Listener]
    plan: Plan
    records: dict[str, str]  # named hops
    notes: list[str]

    def stand_ins(self) -> Iterator[StandIn]:
        """Each once."""
        found = {one.place: one for chain in self.hops.values() for hop in chain for one in hop if one}
        yield from found.values()


def mapped(config: Config, folder: Path, authority: Authority) -> Mapped:
    """The config for the laboratory, with files in `folder`.

    Raises:
        Unmappable: with a sentence.
    """
    return _Mapping(config, folder, authority).done()


class _Mapping:
    def __init__(self, config: Config, folder: Path, authority: Authority) -> None:
        self._config = config
        self._folder = folder
        self._authority = authority
        self._places: dict[Place, StandIn] = {}
        self._records: dict[str, str] = {}
        self._notes: list[str] = []
        self._logins = 0

    def done(self) -> Mapped:
        config = self._config
        chains: dict[str, Chain] = {}
        hops: dict[str, list[list[StandIn | None]]] = {}
        for name, chain in config.chains.items():
            pairs = [self._hop(one) for one in chain.hop]
            hops[name] = [stand_ins for _, stand_ins in pairs]
            chains[name] = self._chain(chain, tuple(hop for hop, _ in pairs))
        hops = {
            name: [[one and self._places[one.place] for one in hop] for hop in chain]
            for name, chain in hops.items()
        }
        resolve, resolvers = self._resolve()
        listeners = [self._listener(text, at) for at, text in enumerate(config.listen.addresses)]
        users = {name: f"canary-member-{at}-x" for at, name in enumerate(config.users)}
        addresses = [listener.text for listener in listeners]
        renamed = dict(zip(config.listen.addresses, addresses, strict=True))
        limits = {name: min(most, getattr(config.limits, name)) for name, most in _CUTS.items()}
        changed: dict[str, Any] = {
            "listen": _replace(config.listen, addresses=tuple(addresses)),
            "resolve": resolve,
            "limits": _replace(config.limits, **limits),
            "log": _replace(config.log, level="debug"),
            "control": _replace(config.control, socket=self._control()),
            "chains": chains,
            "users": dict.fromkeys(users.values(), _hash()) if users else {},
        }
        routes = tuple(self._route(one, renamed, users) for one in config.route)
        # A route that nobody wrote is known by being the very one that the config came with.
        unasked = config.goes_direct_unasked
        changed["route"] = (*routes[:-1], config.route[-1]) if unasked else routes
        changed["identities"] = {
            users.get(name, name): _replace(one, connections=0, bytes_a_day=0, to=one.to if unasked else "")
            for name, one in config.identities.items()
        }
        if config.identities:
            self._notes.append("[identities]: their budgets are lifted, and their ways are routes here")
        self._notes.append("waits are cut, and a failing hop stays in service: each scenario is its own")
        new = _replace(config, **changed)
        return Mapped(
            new,
            hops,
            resolvers,
            listeners,
            self._plan(listeners, resolvers.values()),
            self._records,
            self._notes,
        )

    # Hops

    def _chain(self, chain: Chain, hops: tuple[Hop, ...]) -> Chain:
        return _replace(
            chain,
            hop=hops,
            timeout=min(chain.timeout, _DIAL_MOST),
            hop_timeout=min(chain.hop_timeout, _HOP_MOST),
            health=_replace(chain.health, failures=_FAILURES),
        )

    def _hop(self, hop: Hop) -> tuple[Hop, list[StandIn | None]]:
        pairs = [self._member(one) for one in hop.members]
        # A position that picks several is walked so many times.
        return _replace(hop, members=tuple(member for member, _ in pairs)), [one for _, one in pairs]

    def _member(self, member: Member) -> tuple[Member, StandIn | None]:
        if member.url.scheme == "direct":
            return member, None
        endpoint = member.url.endpoint
        host = str(endpoint.host)
        place = self._address(endpoint.host), endpoint.port
        user, password = self._login(member)
        certificate = ""
        changed: dict[str, Any] = {}
        if member.url.scheme == "https":
            certificate = member.server_name or host
            if member.pin:
                key = fingerprint(self._authority.der(certificate))
                changed["pin"] = "sha256/" + base64.b64encode(key).decode()
            else:
                changed["ca_file"] = str(self._authority.file)
        checked = {user: password} if user and TOKEN not in user else {}
        stand_in = StandIn(member.url.scheme, place, host, certificate, checked)
        before = self._places.setdefault(place, stand_in)
        if (before.scheme, before.certificate) != (stand_in.scheme, stand_in.certificate):
            raise Unmappable(f"{member.url} is another kind of proxy elsewhere in the config: make it one")
        # Somebody who lets one in without a login asks nobody for one.
        both = {**before.users, **checked} if before.users and checked else {}
        self._places[place] = stand_in = StandIn(member.url.scheme, place, host, certificate, both)
        secret = Secret(password) if member.password is not None else None
        url = HopUrl(str(member.url))  # without whatever login stood in it
        return _replace(member, url=url, user=user or None, password=secret, **changed), stand_in

    def _login(self, member: Member) -> tuple[str, str]:
        if member.user is None:
            return "", ""
        self._logins += 1
        user = f"canary-hop-user-{self._logins}-n"
        token = f"-{TOKEN}" if TOKEN in member.user else ""
        password = "" if member.password is None else f"canary-hop-password-{self._logins}-n"
        return user + token, password

    def _address(self, host: object) -> str:
        """Where a hop is in the laboratory: where it is, or for a name somewhere."""
        if isinstance(host, str):
            fixed = self._config.resolve.hosts.get(host)
            if host not in self._records:
                self._records[host] = fixed[0] if fixed else f"{_NAMED}{len(self._records) + 1}"
            return self._records[host]
        return self._free(str(host), "a hop")

    def _free(self, text: str, what: str) -> str:
        address = ipaddress.ip_address(text)
        if address.is_multicast or address.is_unspecified or address.is_link_local:
            raise Unmappable(f"{what} at {text}: no laboratory can give somebody that address")
        if any(address in network for network in _TAKEN):
            raise Unmappable(f"{what} at {text}: the laboratory's own addresses are there; use another")
        return text

    # Resolvers, listeners, routes

    def _resolve(self) -> tuple[Any, dict[str, Server]]:
        settings = self._config.resolve
        found: dict[str, Server] = {}

        def stand_in(text: str) -> str:
            server = parse_server(text)
            if isinstance(server, System):
                self._notes.append(f'resolve.servers "system": asked at {SYSTEM_RESOLVER} here, by UDP')
                text = f"udp://{SYSTEM_RESOLVER}"
                server = parse_server(text)
            elif str(server.address) not in ("127.0.0.1", "::1"):
                self._free(str(server.address), "a resolver")
            if isinstance(server, Server):
                found[text] = server
            return text

        servers = tuple(dict.fromkeys(map(stand_in, settings.servers)))
        zones = {zone: stand_in(text) for zone, text in settings.zones.items()}
        encrypted = any(server.scheme.encrypted for server in found.values())
        return _replace(
            settings,
            servers=servers,
            zones=zones,
            ca_file=str(self._authority.file) if encrypted else settings.ca_file,
            timeout=min(settings.timeout, _RESOLVE_MOST),
        ), found

    def _listener(self, text: str, number: int) -> Listener:
        where = parse_listen(text)
        if isinstance(where, Path):
            path = self._folder / f"listener-{number}.sock"
            return Listener(f"unix:{path}", path)
        if isinstance(where.host, str):
            raise Unmappable(f"the listener {text} is no address")
        port = where.port or _PORT_WANTED + number
        six = where.host.version == 6  # noqa: PLR2004 - IPv6
        shown = str(Endpoint(where.host, port))
        if where.host.is_loopback:
            near = str(where.host) if six else self._allowed(NEAR, loopback=True)
            return Listener(shown, (str(where.host), port), "gateway", near)
        inside = (INSIDE_6 if six else INSIDE) if where.host.is_unspecified else str(where.host)
        client = self._allowed(CLIENT_6 if six else CLIENT, loopback=False)
        return Listener(shown, (inside, port), "client", client)

    def _allowed(self, usual: str, *, loopback: bool) -> str:
        """A client's address that `listen.clients` lets in: the usual one, if it does."""
        clients = self._config.listen.clients
        if not clients or any(ipaddress.ip_address(usual) in one.network for one in clients):
            return usual
        for one in clients:
            network = one.network
            if network.version == ipaddress.ip_address(usual).version and network.is_loopback == loopback:
                return str(network[min(9, network.num_addresses - 1)])
        raise Unmappable("listen.clients lets nobody in who could come to one of the listeners")

    def _route(self, route: Route, listeners: dict[str, str], users: dict[str, str]) -> Route:
        return _replace(
            route,
            listener=tuple(listeners.get(one, one) for one in route.listener),
            identity=tuple(users.get(one, one) for one in route.identity),
        )

    def _control(self) -> str:
        if self._config.control.socket == "off":
            return "off"
        return str(self._folder / "control.sock")

    # Networks

    def _plan(self, listeners: Sequence[Listener], resolvers: Iterable[Server]) -> Plan:
        devices = {
            self._config.egress.interface,
            *(one.egress.interface for one in self._config.chains.values()),
        }
        devices -= {""}
        if len(devices) > 1:
            raise Unmappable(
                f"[egress]: one interface can be played here, and not {', '.join(sorted(devices))}"
            )
        if devices & {CABLE_INSIDE, CLIENT_END, OUTSIDE_END, LOOPBACK}:
            raise Unmappable("[egress] interface: the laboratory has one of that name for something else")
        sources = {*self._config.egress.source}
        for chain in self._config.chains.values():
            sources |= {*chain.egress.source}
        parties = {place[0] for place in self._places} | {str(server.address) for server in resolvers}
        outside = sorted(one for one in parties if not ipaddress.ip_address(one).is_loopback)
        return Plan(
            client=(f"{CLIENT}/24", f"{CLIENT_6}/64", *_clients(listeners)),
            inside=(f"{INSIDE}/24", f"{INSIDE_6}/64", *_inside(listeners)),
            own=(f"{OWN}/16", f"{OWN_6}/64", *map(_single, sorted(sources))),
            outside=(
                *(f"{one}/16" for one in (ROUTER, ORIGIN, SYSTEM_RESOLVER, _ONWARD)),
                *(f"{one}/64" for one in (ROUTER_6, ORIGIN_6, _ONWARD_6)),
                *(_single(one) for one in outside if one != SYSTEM_RESOLVER),
            ),
            routers=(ROUTER, ROUTER_6),
            outward=next(iter(devices), "out0"),
            client_routes=[f"{one} dev {CLIENT_END}" for one in _inside(listeners)],
            gateway_routes=[f"{one} dev {CABLE_INSIDE}" for one in _clients(listeners)],
            outside_routes=[f"{_single(one)} dev {OUTSIDE_END}" for one in sorted(sources)],
        )


def _clients(listeners: Iterable[Listener]) -> list[str]:
    """Clients' addresses that are not the usual ones."""
    used = {one.client for one in listeners if one.where == "client"}
    return [_single(one) for one in sorted(used - {CLIENT, CLIENT_6})]


def _inside(listeners: Iterable[Listener]) -> list[str]:
    used = {one.target[0] for one in listeners if one.where == "client" and isinstance(one.target, tuple)}
    return [_single(one) for one in sorted(used - {INSIDE, INSIDE_6})]


def _single(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _hash() -> PasswordHash:
    return PasswordHash(hash_password(USERS_PASSWORD))


def _replace(struct: S, **changed: Any) -> S:  # noqa: ANN401 - fields of any kind
    return msgspec.structs.replace(struct, **changed)
