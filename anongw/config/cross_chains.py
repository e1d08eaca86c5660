"""What no single value of chains and routes shows: dead routes, hops that cannot be reached, loops.

Pure; each fault says how to mend it. Where a connection goes must never be a surprise, so whatever could be
read in two ways is a fault.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from itertools import pairwise
from pathlib import Path

from anongw.address import PORT_MOST, Address, Endpoint, parse_host, parse_port
from anongw.config import faults
from anongw.config.chains import DIRECT, REFUSE, Chain, Egress, Health, Probe, Route
from anongw.config.faults import Found
from anongw.config.hops import Hop, Member
from anongw.config.sections import Config
from anongw.config.tables import nearest
from anongw.config.values import Rule, duration_text, parse_listen
from anongw.errors import Refused

_NAME_MOST = 64
# The kernel's dev_valid_name(): IFNAMSIZ is 16 with a NUL, and no slash, colon or blank. ASCII is ours.
_INTERFACE_MOST = 15
_INTERFACE = re.compile(rf"(?:(?![/:])[!-~]){{0,{_INTERFACE_MOST}}}")
_MARK_MOST = (1 << 32) - 1
_MUST_LAST = "must be longer than nothing"


def crossed_chains(config: Config) -> Iterator[Found]:
    """Every fault in chains, routes and the ways out."""
    listeners = _listeners(config)
    yield from egress_faults(("egress",), config.egress)
    for name, chain in config.chains.items():
        path: faults.Path = ("chains", name)
        if name in (DIRECT, REFUSE):
            yield path, f'"{name}" is a word of routes: give the chain another name'
        elif not 0 < len(name) <= _NAME_MOST or not name.isprintable():
            yield path, f"a chain's name has 1 to {_NAME_MOST} signs that can be printed"
        yield from _chain(path, chain)
        yield from _first_hop(path, chain, listeners)
    yield from _routes(config, listeners)


def egress_faults(path: faults.Path, egress: Egress) -> Iterator[Found]:
    """What is wrong with a way out by itself; whether it is there is asked when it is used."""
    if not _INTERFACE.fullmatch(egress.interface) or egress.interface in (".", ".."):
        yield (*path, "interface"), f'is no interface: write up to {_INTERFACE_MOST} signs such as "wg0"'
    versions: set[int] = set()
    for place, text in enumerate(egress.source):
        address = _source(text)
        if address is None:
            yield (*path, "source", place), 'is no address to leave from: write one such as "10.0.0.2"'
        elif address.version in versions:
            yield (
                (*path, "source", place),
                f"is a second one for IPv{address.version}: keep one of each version",
            )
        else:
            versions.add(address.version)
    if egress.mark > _MARK_MOST:
        yield (*path, "mark"), f"must be a whole number from 0 to {_MARK_MOST}"


def _source(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id)
    return None if mapped or address.is_unspecified or address.is_multicast else address


def _chain(path: faults.Path, chain: Chain) -> Iterator[Found]:
    yield from egress_faults((*path, "egress"), chain.egress)
    if not chain.hop:
        yield (*path, "hop"), 'name at least one: [[hop]] with url = "socks5://HOST:PORT", or url = "direct"'
    for place, hop in enumerate(chain.hop):
        yield from _hop((*path, "hop", place), hop, chain)
    for place, (before, after) in _in_a_row(chain):
        if any(map(_is_socks4, before.members)) and any(map(_is_ipv6, after.members)):
            yield (*path, "hop", place), "SOCKS4 carries no IPv6 address, and the next hop is named by one"
    if chain.names == "here" and chain.family == "ipv6" and any(map(_is_socks4, _exits(chain))):
        yield (*path, "family"), "the exit is SOCKS4, which carries no IPv6 address"
    for key in ("timeout", "hop_timeout"):
        if not getattr(chain, key):
            yield (*path, key), _MUST_LAST
    yield from _health((*path, "health"), chain.health)
    yield from _probe((*path, "probe"), chain.probe)


def _hop(path: faults.Path, hop: Hop, chain: Chain) -> Iterator[Found]:
    if hop.pick > len(hop.members):
        yield (*path, "pick"), f"picks {hop.pick} of {len(hop.members)} members"
    if not any(map(_is_direct, hop.members)):
        return
    if len(chain.hop) > 1 or hop.pick > 1:
        yield path, "direct cannot stand in a row with hops: it is a chain by itself, or in its one pool"
    if chain.overlays:
        yield (*path[:-2], "overlays"), "such names mean something to exits only, and direct is none"


def _in_a_row(chain: Chain) -> Iterator[tuple[int, tuple[Hop, Hop]]]:
    """Positions whose members connect to another's, with the other; the former's number."""
    for place, hop in enumerate(chain.hop):
        if hop.pick > 1:
            yield place, (hop, hop)
    yield from enumerate(pairwise(chain.hop))


def _first_hop(path: faults.Path, chain: Chain, listeners: Sequence[Endpoint | Path]) -> Iterator[Found]:
    """What only this machine connects to: later hops are seen from the hop before."""
    here: faults.Path = (*path, "hop", 0)
    interface = chain.egress.interface
    for member in chain.hop[0].members if chain.hop else ():
        url, host = member.url, member.url.endpoint.host
        if url.scheme == "direct":
            continue
        if host == "localhost":
            yield here, f"{url}: write 127.0.0.1 or [::1], because nobody is asked what localhost is"
        elif any(_is_reached(listener, url.endpoint) for listener in listeners):
            yield here, f"{url} is this gateway's own listener: connections would go round and round"
        elif not isinstance(host, str) and host.is_loopback and interface not in ("", "lo"):
            message = f"{url} is on this machine, and no way leads there by {interface}: "
            yield (*path, "egress"), f"{message}write an [egress] of its own into the chain, empty will do"


def _health(path: faults.Path, health: Health) -> Iterator[Found]:
    if not health.hold:
        yield (*path, "hold"), _MUST_LAST
    if health.hold_most < health.hold:
        yield (*path, "hold_most"), f"is shorter than hold, which is {duration_text(health.hold)}"


def _probe(path: faults.Path, probe: Probe) -> Iterator[Found]:
    if not probe.every:
        yield (*path, "every"), _MUST_LAST
    if not probe.target:
        return
    host, _, port = probe.target.rpartition(":")
    try:
        parse_port(port)
        right = isinstance(parse_host(host), IPv6Address) == host.startswith("[")
    except Refused:
        right = False
    if not right:
        yield (*path, "target"), 'is no target: write "example.org:443", IPv6 in brackets'


def _routes(config: Config, listeners: Sequence[Endpoint | Path]) -> Iterator[Found]:
    last = len(config.route) - 1
    if last < 0:
        yield ("route",), 'the last [[route]] has no conditions: add one with to = "..." alone'
    for place, route in enumerate(config.route):
        path: faults.Path = ("route", place)
        if _is_everything(route) and place != last:
            yield path, "has no conditions, so that none of the routes after it is ever used: put it last"
        if not _is_everything(route) and place == last:
            yield path, 'the last [[route]] has no conditions: add one with to = "refuse", or another way'
        yield from _way((*path, "to"), route.to, config)
        yield from _conditions(path, route, config, listeners)
    for name, identity in config.identities.items():
        if identity.to:
            yield from _way(("identities", name, "to"), identity.to, config)


def _way(path: faults.Path, to: str, config: Config) -> Iterator[Found]:
    known = (*config.chains, DIRECT, REFUSE)
    if to not in known:
        yield path, f"there is no such chain; {nearest(to, known)}"


def _conditions(
    path: faults.Path, route: Route, config: Config, listeners: Sequence[Endpoint | Path]
) -> Iterator[Found]:
    """Conditions that can never be met: what the route is for would silently go another way."""
    # As flows name them: listeners are compared as text.
    known = [str(one) if isinstance(one, Endpoint) else f"unix:{one}" for one in listeners]
    for number, text in enumerate(route.listener):
        if text not in known:
            yield (*path, "listener", number), f"there is no such listener; {nearest(text, known)}"
        elif text.endswith(":0") and not text.startswith("unix:"):
            message = "port 0 is another one at each start: give the listener a port"
            yield (*path, "listener", number), message
    for number, name in enumerate(route.identity):
        if config.users and name not in config.users:
            yield (*path, "identity", number), "there is no such user in [users]"


def _is_everything(route: Route) -> bool:
    if route.protocol or route.listener or route.identity:
        return False
    return not route.target or any(map(_is_any_target, route.target))


def _is_any_target(rule: Rule) -> bool:
    return not rule.name and rule.network is None and len(rule.ports) == PORT_MOST


def _listeners(config: Config) -> tuple[Endpoint | Path, ...]:
    """The listeners that are written rightly; `cross` complains of the others."""
    found: list[Endpoint | Path] = []
    for text in config.listen.addresses:
        with suppress(ValueError):
            found.append(parse_listen(text))
    return tuple(found)


def _is_reached(listener: Endpoint | Path, hop: Endpoint) -> bool:
    """Whether a connection to `hop` comes out at a listener of ours."""
    if isinstance(listener, Path) or isinstance(listener.host, str) or listener.port != hop.port:
        return False
    if isinstance(hop.host, str):
        return False
    return hop.host == listener.host or (listener.host.is_unspecified and hop.host.is_loopback)


def _exits(chain: Chain) -> tuple[Member, ...]:
    return chain.hop[-1].members if chain.hop else ()


def _is_socks4(member: Member) -> bool:
    return member.url.scheme == "socks4"


def _is_direct(member: Member) -> bool:
    return member.url.scheme == "direct"


def _is_ipv6(member: Member) -> bool:
    return isinstance(member.url.endpoint.host, IPv6Address)
