"""What chains and routes bring with them that their author may not have thought of. Pure; none is a fault."""

from collections.abc import Iterator

from anongw.config.chains import DIRECT, Chain
from anongw.config.cross import is_loopback
from anongw.config.hops import TOKEN, Member
from anongw.config.sections import Config
from anongw.config.words import (
    first_hops,
    goes_direct,
    is_first_blind,
    is_way_blind,
    route_words,
    used_chains,
)


def consequences(config: Config) -> Iterator[str]:
    """A sentence for each."""
    yield from _routes(config)
    chains = used_chains(config)
    for name in config.chains:
        if name not in chains:
            yield f"chains.{name}: no route leads there"
    for name, chain in chains.items():
        for sentence in _chain(chain, several=_several(config)):
            yield f"chains.{name}: {sentence}"
    yield from _identities(config)
    if chains and config.resolve.zones:
        yield "resolve.zones: not asked for what goes through a chain"
    exits = [name for name, chain in chains.items() if chain.names == "exit"]
    if exits and config.resolve.hosts:
        yield f"resolve.hosts: means nothing to {', '.join(exits)}, whose exit resolves names"
    for key in ("allow", "deny"):
        ranges = [str(rule) for rule in getattr(config.policy, key) if rule.network is not None]
        if exits and ranges:
            yield (
                f"policy.{key}: {', '.join(ranges)} can only speak of targets that are addresses; "
                f"{', '.join(exits)} takes names to the exit, and a name is judged as a name"
            )


def _routes(config: Config) -> Iterator[str]:
    if all(route.to == DIRECT for route in config.route):
        yield "with no chain every destination sees this machine's address"
        return
    for number, (route, words) in enumerate(zip(config.route, route_words(config), strict=True)):
        if route.to == DIRECT:
            yield f"route[{number}]: {words}; every destination sees it"
        if any(rule.network is not None for rule in route.target):
            yield f"route[{number}]: its ranges match targets that are addresses; a name is judged as a name"
        if route.identity and not config.users:
            yield f"route[{number}]: without [users], a client is who it says it is"


def _identities(config: Config) -> Iterator[str]:
    for name, identity in config.identities.items():
        if (identity.connections or identity.bytes_a_day) and not config.users:
            yield f"identities.{name}: without [users] its budget binds only those who call themselves so"


def _several(config: Config) -> bool:
    """Whether there are several identities, as far as a config tells."""
    identity = config.identity
    return (
        len(config.users) > 1
        or len(config.listen.addresses) > 1
        or bool(config.listen.clients)
        or bool(config.identities)
        or identity.by_client
        or identity.by_destination
    )


def _chain(chain: Chain, *, several: bool) -> Iterator[str]:
    if goes_direct(chain):
        yield "MAY GO DIRECTLY: where its proxies fail, every destination sees this machine's address"
    named = [str(one.url) for one in first_hops(chain) if isinstance(one.url.endpoint.host, str)]
    if named:
        yield f"{', '.join(named)} is looked up from here, by resolve.servers, which see that you use it"
    far = [str(one.url) for one in first_hops(chain) if not is_loopback(one.url.endpoint)]
    if far and not is_way_blind(chain):
        yield f"whoever is on the way to {', '.join(far)} can read where connections go: no hop is https"
    if far and len(chain.hop) > 1 and not is_first_blind(chain):
        yield "the first hop can read where connections go as well: it would take a later hop that is https"
    for place, hop in enumerate(chain.hop):
        for member in hop.members:
            if _in_the_clear(member, first=place == 0):
                yield f"{member.url}: its user and password go there in the clear; https would hide them"
    linkable = [str(one.url) for hop in chain.hop for one in hop.members if _takes_all_alike(one)]
    if several and linkable:
        yield f"isolation is off at {', '.join(linkable)}: all identities look alike there, and can be linked"
    if chain.probe.target:
        yield f"probes to {chain.probe.target} can be seen, and recognised, by the exit and its network"


def _in_the_clear(member: Member, *, first: bool) -> bool:
    if member.url.scheme == "https" or member.user is None:
        return False
    return not (first and is_loopback(member.url.endpoint))


def _takes_all_alike(member: Member) -> bool:
    texts = (member.user or "", member.password.reveal() if member.password else "")
    return (
        member.url.scheme != "direct" and member.isolation == "off" and not any(TOKEN in one for one in texts)
    )
