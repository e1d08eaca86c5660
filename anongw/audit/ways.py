"""Which way a connection should go, and whom the gateway may talk to for it: the config, read a second time.

An errand is something that a client may want, one or more for each route. This reading is as plain as it can
be and shares nothing with the gateway's own (`route.py`, `policy.py`), so that one mistake is not made twice.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from anongw.audit.canaries import ZONE
from anongw.config import REFUSE, Config, Route, Rule, Spoken

SPOKEN: Final[tuple[Spoken, ...]] = ("socks5", "socks4", "connect", "http")
_NEAR_START: Final = 7  # which address of a range is asked for: not the network's own
_WEB: Final = 80


@dataclass(frozen=True)
class Errand:
    """What a client asks for so that the config's route `number` decides.

    `suffix` is what a canary's name ends with, or the whole `exact` host. `allowed`: by the policy's lists.
    """

    number: int
    to: str
    suffix: str
    port: int
    protocols: tuple[Spoken, ...]
    listener: str
    user: str = ""  # one that a route names, or ""
    exact: bool = False
    allowed: bool = True

    @property
    def arrives(self) -> bool:
        """Whether it should be carried at all."""
        return self.allowed and self.to != REFUSE

    def host(self, label: str) -> str:
        return self.suffix if self.exact else f"{label}.{self.suffix}"

    @property
    def literal(self) -> bool:
        """Whether the host is an address."""
        return is_address(self.suffix)


def errands(config: Config) -> tuple[list[Errand], list[tuple[int, str]]]:
    """At most one for each route, and a sentence for each route that none could be found for."""
    found: list[Errand] = []
    missing: list[tuple[int, str]] = []
    for number, route in enumerate(config.route):
        errand = next((one for one in _candidates(config, number, route) if reaches(config, one)), None)
        if errand is None:
            missing.append((number, f"it leads to {route.to}, and nothing could be found that it decides"))
        else:
            found.append(errand)
    return found, missing


def by_listener(config: Config, errand: Errand, listener: str) -> Errand:
    """The same at another listener, where another route may decide."""
    host = errand.host("canary")
    number = decided(config, host, errand.port, errand.protocols[0], listener, errand.user)
    alike = tuple(
        spoken
        for spoken in errand.protocols
        if decided(config, host, errand.port, spoken, listener, errand.user) == number
    )
    return replace(errand, number=number, to=config.route[number].to, listener=listener, protocols=alike)


def reaches(config: Config, errand: Errand) -> bool:
    """Whether the errand's own route is the one that decides, whatever is spoken."""
    host = errand.host("canary")
    return all(
        decided(config, host, errand.port, spoken, errand.listener, errand.user) == errand.number
        for spoken in errand.protocols
    )


def decided(  # noqa: PLR0913, PLR0917 - each is a condition of a route
    config: Config, host: str, port: int, spoken: Spoken, listener: str, user: str
) -> int:
    """The number of the first route whose every condition is met; -1: none."""
    for number, route in enumerate(config.route):
        if (
            (not route.target or any(_matches(rule, host, port) for rule in route.target))
            and (not route.protocol or spoken in route.protocol)
            and (not route.listener or listener in route.listener)
            and (not route.identity or user in route.identity)
        ):
            return number
    return -1


def permitted(config: Config, host: str, port: int) -> bool:
    """Whether the policy's two lists let a target pass."""
    policy = config.policy
    if any(_matches(rule, host, port) for rule in policy.deny):
        return False
    return not policy.allow or any(_matches(rule, host, port) for rule in policy.allow)


def server_texts(config: Config, name: str) -> tuple[str, ...]:
    """Who may be asked for a name: its longest zone's server, else the usual ones, else nobody."""
    if name in config.resolve.hosts:
        return ()
    zones = [
        (len(zone), text)
        for zone, text in config.resolve.zones.items()
        if f".{name}".endswith(f".{zone.strip('.').lower()}")
    ]
    return (max(zones)[1],) if zones else config.resolve.servers


def _candidates(config: Config, number: int, route: Route) -> Iterator[Errand]:
    listeners = route.listener or config.listen.addresses
    # A name that nobody has, where the route does not ask for one.
    users = route.identity or (next(iter(config.users), ""),)
    targets = [*_targets(route.target), *_targets(config.policy.allow)] if route.target else []
    if not route.target:
        targets = [(ZONE, _WEB, False), *_targets(config.policy.allow)]
    ordered = sorted(targets, key=lambda one: not permitted(config, _sample(one), one[1]))
    for suffix, port, exact in ordered:
        yield Errand(
            number,
            route.to,
            suffix,
            port,
            route.protocol or SPOKEN,
            listeners[0],
            users[0],
            exact,
            permitted(config, _sample((suffix, port, exact)), port),
        )


def _sample(target: tuple[str, int, bool]) -> str:
    suffix, _, exact = target
    return suffix if exact else f"canary.{suffix}"


def _targets(rules: Sequence[Rule]) -> Iterator[tuple[str, int, bool]]:
    """Something that each rule is about: the end of a name (or a whole host), a port, whether it is whole."""
    for rule in rules:
        port = _WEB if _WEB in rule.ports else rule.ports[0]
        if rule.network is not None:
            place = min(_NEAR_START, rule.network.num_addresses - 1)
            yield str(rule.network[place]), port, True
        else:
            yield rule.name or ZONE, port, rule.exact


def _matches(rule: Rule, host: str, port: int) -> bool:
    if port not in rule.ports:
        return False
    address = _address(host)
    if rule.network is not None:
        return address is not None and address in rule.network
    if not rule.name:
        return True
    return host == rule.name or (not rule.exact and host.endswith(f".{rule.name}"))


def is_address(text: str) -> bool:
    return _address(text) is not None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
