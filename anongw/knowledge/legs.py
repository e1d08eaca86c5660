"""Which way a connection goes, or where it is refused: the gateway's own decisions, in their order.

    log-in -> client -> route -> policy -> (names looked up here) -> policy again -> hops

A way may have several legs: a pool with a member that is `direct` goes through its hops, or without any.
"""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from anongw import exposure
from anongw.address import Address, Endpoint
from anongw.config import DIRECT, REFUSE, Chain, Config, parse_listen
from anongw.config.words import goes_direct, route_words
from anongw.errors import Reason, Refused
from anongw.knowledge.question import Asked
from anongw.knowledge.stages import Stage, stages, without_login
from anongw.knowledge.table import Refusal, Taken, Where
from anongw.policy import OVERLAYS, Policy
from anongw.resolve.whom import Servers, Whom, afar
from anongw.route import Table


class Told(enum.Enum):
    """What whoever connects to the target is told of it."""

    NAME = "name"
    ADDRESS = "address"
    NOTHING = "nothing"  # it is refused before it is told


@dataclass(frozen=True, slots=True)
class Leg:
    """A way from the gateway to the target: through the hops of `row`, or directly where there are none."""

    row: tuple[Stage, ...]
    told: Told
    asked: Servers | None = None  # for the target's name, through the row; None: nobody
    named: tuple[tuple[str, Servers], ...] = ()  # names of first hops, and who is asked for each, from here
    crosses: bool = True  # its first connection leaves this machine
    overlay: bool = False  # only the exit's own network knows the target

    @property
    def exit(self) -> str:
        return self.row[-1].label if self.row else DIRECT


@dataclass(frozen=True, slots=True)
class Way:
    """All that is decided of a connection."""

    taken: Taken | None = None  # None: refused before
    chain: Chain | None = None
    legs: tuple[Leg, ...] = ()
    refused: Refusal | None = None


class _Stopped(Exception):
    """It is refused; `leg`: how far it gets all the same."""

    def __init__(self, where: Where, reason: Reason, why: str = "", leg: Leg | None = None) -> None:
        super().__init__(reason)
        self.refusal = Refusal(where=where, reason=reason, why=why or _WHY[reason])
        self.leg = leg


_WHY = {
    Reason.FORBIDDEN: "a rule of policy.deny is about it, or none of policy.allow is",
    Reason.PRIVATE_TARGET: "such an address means this network or none, and policy.allow_private lacks it",
    Reason.PRIVATE_NAME: "such a name means something in this network only, and is asked of nobody",
    Reason.REBINDING: "resolve.hosts leads it to an address that policy.allow_private lacks",
    Reason.RESOLVED_BY_CLIENT: (
        "policy.safe_socks: SOCKS clients are to send names, and not what they looked up themselves"
    ),
    Reason.OWN_LISTENER: "it is a listener of this gateway",
    Reason.NAME_NOT_FOUND: "resolve.hosts has no address for it of a family that is in use",
}
_OVERLAY = 'such a name is told to nobody but the exit of a chain with it in overlays, and names = "exit"'


def way(asked: Asked) -> Way:
    """Decide."""
    taken, chain = None, None
    try:
        _log_in(asked)
        _judge_client(asked)
        taken = _route(asked)
        chain = None if taken.to in (DIRECT, REFUSE) else asked.config.chains[taken.to]
        return Way(taken, chain, _legs(asked, taken, chain))
    except _Stopped as stopped:
        return Way(taken, chain, (stopped.leg,) if stopped.leg else (), stopped.refusal)


def _log_in(asked: Asked) -> None:
    users, user = asked.config.users, asked.question.user
    if not users:
        return
    if asked.question.protocol == "socks4":
        raise _Stopped("login", Reason.AUTH_REQUIRED, "[users] exist, and SOCKS4 has no passwords")
    if user is None:
        raise _Stopped("login", Reason.AUTH_REQUIRED, "[users] exist, and no identity is named")
    if user not in users:
        raise _Stopped("login", Reason.AUTH_FAILED, "[users] has nobody of that name")


def _judge_client(asked: Asked) -> None:
    """As `inbound.socks` does. A client that knows an address is taken to send it as one."""
    if asked.question.protocol not in ("socks5", "socks4"):
        return
    try:
        exposure.judge(asked.flow, asked.config.safe_socks)
    except Refused as refused:
        raise _Stopped("client", refused.reason) from None


def _route(asked: Asked) -> Taken:
    table = Table(asked.config.route)
    place = table.place(asked.flow)
    if place is None:
        raise _Stopped("route", Reason.ROUTE_REFUSED, "no route matches")
    return Taken(place=place, to=table.choose(asked.flow), why=list(route_words(asked.config))[place])


def _legs(asked: Asked, taken: Taken, chain: Chain | None) -> tuple[Leg, ...]:
    """Every leg that the connection may take; what stops the first of them where there is none."""
    if taken.to == REFUSE:
        raise _Stopped("route", Reason.ROUTE_REFUSED, f"route[{taken.place}] says so")
    config = asked.config
    policy = Policy(config.policy, _own(config), zones=config.resolve.zones, hosts=config.resolve.hosts)
    if chain is None:
        return (_directly(_aim_here(asked, policy)),)
    aim = _aim_afar(asked, policy, chain)
    found: list[Leg] = []
    stopped: list[_Stopped] = []
    for legs in (_by_hops, _by_direct):
        try:
            found += legs(asked, policy, chain, aim)
        except _Stopped as one:
            stopped.append(one)
    if not found:
        raise stopped[0]
    return (*found, *(one.leg for one in stopped if one.leg is not None))


def _own(config: Config) -> list[Endpoint]:
    listeners = map(parse_listen, config.listen.addresses)
    return [one for one in listeners if isinstance(one, Endpoint) and one.port]


# The target


@dataclass(frozen=True, slots=True)
class _Aim:
    """The target as it is dialled: who is asked for its name first, and the addresses known beforehand."""

    told: Told
    asked: Servers | None = None
    addresses: tuple[Address, ...] = ()


def _aim_here(asked: Asked, policy: Policy) -> _Aim:
    """As `outbound.direct.Direct` goes to it."""
    with _at("policy", asked):
        policy.judge(asked.target, resolved_here=True)
    return _looked_up(asked, policy, Whom(asked.config.resolve))


def _aim_afar(asked: Asked, policy: Policy, chain: Chain) -> _Aim:
    """As `outbound.chain.Chain` goes to it."""
    host = asked.target.host
    here = chain.names == "here"
    with _at("policy", asked):
        policy.judge_afar(asked.target, overlays=chain.overlays, resolved_here=here)
    if isinstance(host, str):
        settings = afar(asked.config.resolve, chain.family)
        return _looked_up(asked, policy, Whom(settings)) if here else _Aim(Told.NAME)
    if chain.family != "any" and isinstance(host, IPv4Address) != (chain.family == "ipv4"):
        raise _Stopped("family", Reason.UNSUPPORTED_ADDRESS, f"the chain is {chain.family} only")
    return _Aim(Told.ADDRESS, addresses=(host,))


def _looked_up(asked: Asked, policy: Policy, whom: Whom) -> _Aim:
    """What a name leads to, as far as the config tells, each address judged."""
    host, port = asked.target.host, asked.target.port
    if not isinstance(host, str):
        return _Aim(Told.ADDRESS, addresses=(host,))
    with _at("resolver", asked):
        fixed = whom.fixed(host)
        if fixed is None:
            return _Aim(Told.ADDRESS, asked=whom.asked(host))
    fit = [address for address in fixed if _fault(policy, address, port, host) is None]
    if not fit:
        raise _Stopped("policy", _fault(policy, fixed[-1], port, host) or Reason.REBINDING)
    return _Aim(Told.ADDRESS, addresses=tuple(fit))


def _fault(policy: Policy, address: Address, port: int, name: str) -> Reason | None:
    try:
        policy.judge_address(address, port, name)
    except Refused as refused:
        return refused.reason
    return None


@contextmanager
def _at(where: Where, asked: Asked) -> Iterator[None]:
    """A refusal in here is one at this place, but for a name that is known in an overlay only."""
    try:
        yield
    except Refused as refused:
        if refused.reason is Reason.PRIVATE_NAME and _is_overlay(asked.target.host):
            raise _Stopped("overlay", refused.reason, _OVERLAY) from None
        raise _Stopped(where, refused.reason) from None


def _is_overlay(host: str | Address) -> bool:
    return isinstance(host, str) and host.rpartition(".")[2] in OVERLAYS


# The way to it


def _directly(aim: _Aim) -> Leg:
    known = aim.addresses
    return Leg((), Told.ADDRESS, aim.asked, crosses=not known or not all(one.is_loopback for one in known))


def _by_direct(asked: Asked, policy: Policy, chain: Chain, aim: _Aim) -> Iterator[Leg]:
    """By a member of the chain that is no proxy."""
    if goes_direct(chain):
        looked_up = chain.names == "here" and isinstance(asked.target.host, str)
        yield _directly(aim if looked_up else _aim_here(asked, policy))


def _by_hops(asked: Asked, _policy: Policy, chain: Chain, aim: _Aim) -> Iterator[Leg]:
    row = stages(chain)
    if not row:
        return
    leg = Leg(
        row,
        aim.told,
        aim.asked,
        named=tuple(_first_hops(row[0], Whom(asked.config.resolve), aim)),
        crosses=not row[0].here,
        overlay=_is_overlay(asked.target.host),
    )
    # As `outbound.socks.Socks4` does: it would take the address for a name.
    if aim.addresses and not isinstance(aim.addresses[0], IPv4Address) and _all_socks4(row[-1]):
        why = f"{leg.exit} is SOCKS4, which carries no IPv6 address"
        silent = replace(leg, row=(*row[:-1], without_login(row[-1])), told=Told.NOTHING)
        raise _Stopped("exit", Reason.UNSUPPORTED_ADDRESS, why, silent)
    yield leg


def _first_hops(first: Stage, whom: Whom, aim: _Aim) -> Iterator[tuple[str, Servers]]:
    """The names of first hops, and who is asked for each: from here, whoever looks up targets."""
    lost = 0
    for member in first.members:
        host = member.url.endpoint.host
        try:
            if isinstance(host, str) and whom.fixed(host) is None:
                yield host, whom.asked(host)
        except Refused:
            lost += 1
    if lost == len(first.members):
        why = f"nobody may be asked for the name of {first.label}: give it an address, or a zone"
        # What would look the target up through it cannot reach it either, and is the first to try.
        raise _Stopped("hop", Reason.RESOLVER_FAILED if aim.asked else Reason.HOP_UNREACHABLE, why)


def _all_socks4(stage: Stage) -> bool:
    return all(member.url.scheme == "socks4" for member in stage.members)
