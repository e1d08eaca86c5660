"""Chains and routes in words: which way what goes, and who sees what on it. Without users and passwords.

Pure. What is said here is what a person decides by, so it claims nothing that a hop could change.
"""

from collections.abc import Iterator, Sequence

from anongw.config.chains import DIRECT, REFUSE, Chain, Egress, Route
from anongw.config.cross import is_loopback
from anongw.config.hops import Hop, Member
from anongw.config.sections import Config
from anongw.config.values import duration_text

_LISTED_MOST = 3


def used_chains(config: Config) -> dict[str, Chain]:
    """The chains that a route leads through."""
    named = {route.to for route in config.route}
    return {name: chain for name, chain in config.chains.items() if name in named}


def goes_direct(chain: Chain) -> bool:
    """Whether what goes through it may go out from this machine all the same."""
    return any(member.url.scheme == "direct" for hop in chain.hop for member in hop.members)


def first_hops(chain: Chain) -> list[Member]:
    """Those that see this machine's address."""
    return [member for member in chain.hop[0].members if member.url.scheme != "direct"]


def route_words(config: Config) -> Iterator[str]:
    """A line for each route."""
    for route in config.route:
        what = ", ".join(_conditions(route)) or ("everything else" if len(config.route) > 1 else "everything")
        yield f"{what}: {_to(route.to)}"


def _conditions(route: Route) -> Iterator[str]:
    if route.target:
        yield _either([str(rule) for rule in route.target])
    for word, texts in (("by", route.protocol), ("at", route.listener), ("for", route.identity)):
        if texts:
            yield f"{word} {_either(texts)}"


def _to(to: str) -> str:
    if to == DIRECT:
        return "directly, from this machine's address"
    return "refused" if to == REFUSE else f"through {to}"


def hops_words(chain: Chain) -> str:
    """The hops in their order: `1 socks5 127.0.0.1:9050 > 2 one of 3, round-robin`."""
    return " > ".join(f"{number} {_hop(hop)}" for number, hop in enumerate(chain.hop, 1))


def _hop(hop: Hop) -> str:
    if len(hop.members) == 1:
        url = hop.members[0].url
        return DIRECT if url.scheme == "direct" else f"{url.scheme} {url.endpoint}"
    count = "one" if hop.pick == 1 else str(hop.pick)
    direct = ", one of which is direct" if any(one.url.scheme == "direct" for one in hop.members) else ""
    return f"{count} of {len(hop.members)}, {hop.strategy}{direct}"


def ways_words(chain: Chain) -> str:
    """What else there is to a chain: names, family, overlays, the way out, probes."""
    parts = [
        "names are told to the exit" if chain.names == "exit" else "names are resolved here, through it",
        "both families" if chain.family == "any" else f"{chain.family} only",
    ]
    if chain.overlays:
        parts.append(f"{_all(chain.overlays)} too")
    parts.append(egress_words(chain.egress))
    probe = chain.probe
    if probe.target:
        parts.append(f"a probe to {probe.target} about every {duration_text(probe.every)}")
    else:
        parts.append("no probes")
    return "; ".join(parts)


def egress_words(egress: Egress) -> str:
    """Where connections leave this machine."""
    parts = []
    if egress.interface:
        parts.append(f"by {egress.interface}")
    if egress.source:
        parts.append(f"from {_either(egress.source)}")
    if egress.mark:
        parts.append(f"with mark {egress.mark}")
    return f"leaves {' '.join(parts)} or not at all" if parts else "leaves as the routing table says"


def seen_words(name: str, chain: Chain) -> str:
    """Who sees what of what goes through a chain."""
    firsts = first_hops(chain)
    if not firsts:
        return f"{name}: goes directly, and every destination sees this machine's address."
    first = _hops(firsts)
    if all(is_loopback(member.url.endpoint) for member in firsts):
        first = f"the program at {first}"
    where = "where you go (names too)" if chain.names == "exit" else "the addresses that you go to"
    if len(chain.hop) == 1 and chain.hop[0].pick == 1:
        text = f"{first} sees this machine's address and {where}"
    elif is_first_blind(chain):
        text = f"{first} sees this machine's address, and {_hops(chain.hop[-1].members)} {where}"
    else:
        text = f"{first} sees this machine's address and, as no later hop is https, can read {where}"
    shown = "the exit, or THIS MACHINE where it goes directly" if goes_direct(chain) else "the exit"
    return f"{name}: {text}; destinations see {shown}."


def is_first_blind(chain: Chain) -> bool:
    """Whether the first hop cannot read where connections go.

    It carries what is said to the hops after it: only TLS to one of them hides the rest.
    """
    first, *later = chain.hop
    later = [first, *later] if first.pick > 1 else later
    return any(_all_https(hop) for hop in later)


def is_way_blind(chain: Chain) -> bool:
    """Whether nobody between this machine and the first hop can read where connections go."""
    return any(_all_https(hop) for hop in chain.hop)


def _all_https(hop: Hop) -> bool:
    return all(member.url.scheme == "https" for member in hop.members)


def _hops(members: Sequence[Member]) -> str:
    return _either([str(member.url) for member in members])


def _either(texts: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`, `a, b, c or one of 5 more`."""
    shown = list(texts[:_LISTED_MOST])
    if len(texts) > _LISTED_MOST:
        shown.append(f"one of {len(texts) - _LISTED_MOST} more")
    return " or ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)


def _all(texts: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(texts[:-1]), texts[-1]) if part)
