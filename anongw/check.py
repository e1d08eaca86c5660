"""What a config would do, in plain words, and what is wrong with it that only other rooms can see.

Everything here is told before the gateway runs: by `anongw check`, and in a few lines by `anongw serve`.
"""

import os
import resource
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import msgspec

from anongw.address import Endpoint, parse_host
from anongw.admission import capacity
from anongw.config import (
    DIRECT,
    Config,
    ConfigError,
    Egress,
    Found,
    NamedIdentity,
    duration_text,
    is_loopback,
    parse_listen,
    size_text,
    undotted,
)
from anongw.config.consequences import consequences
from anongw.config.values import AtLeastOne
from anongw.config.words import (
    egress_words,
    first_hops,
    goes_direct,
    hops_words,
    route_words,
    seen_words,
    used_chains,
    ways_words,
)
from anongw.net import egress
from anongw.outbound.stays import PICK_MOST
from anongw.policy import Policy, is_public
from anongw.resolve.server import Scheme, Server, System, parse_server, parse_servers
from anongw.web.records import compile_personas
from anongw.web.rules import compile_rules
from anongw.workers.shares import DIVIDED, share

# RFC 5382 §5: a tunnel that is cut earlier breaks programs that rightly wait.
_IDLE_LEAST = 7200.0


def faults(config: Config) -> Iterator[Found]:
    """What the resolver's and the scrubber's rooms refuse, and files that cannot be read."""
    yield from _server_faults(config)
    for compiled in (lambda: compile_rules(config.scrub), lambda: compile_personas(config)):
        try:
            compiled()
        except ConfigError as error:
            for fault in error.faults:
                yield undotted(fault.path), fault.message
    try:
        capacity(share(config, 0).limits, _open_files(), config.listen.workers)
    except ValueError as error:
        yield ("limits", "connections"), str(error)
    yield from _far_server_faults(config)
    yield from _worker_faults(config)
    ca_file = config.resolve.ca_file
    if ca_file and not (Path(ca_file).is_file() and os.access(ca_file, os.R_OK)):
        yield ("resolve", "ca_file"), f"{ca_file!r} is no file that can be read"


def _open_files() -> int:
    """What RLIMIT_NOFILE may be raised to, which the gateway does at its start."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _server_faults(config: Config) -> Iterator[Found]:
    written: list[tuple[tuple[str | int, ...], str]] = [
        (("resolve", "servers", place), text) for place, text in enumerate(config.resolve.servers)
    ]
    written += [(("resolve", "zones", zone), text) for zone, text in config.resolve.zones.items()]
    wrong = False
    for path, text in written:
        try:
            parse_server(text)
        except ValueError as error:
            wrong = True
            yield path, str(error)
    if not wrong:
        try:
            parse_servers(config.resolve.servers)
        except ValueError as error:
            yield ("resolve", "servers"), str(error)


def _far_server_faults(config: Config) -> Iterator[Found]:
    """Chains that ask resolvers through themselves, of which none can be reached from the far end."""
    try:
        servers = [parse_server(text) for text in config.resolve.servers]
    except ValueError:
        return  # is told already
    if any(isinstance(one, Server) and not _is_near(one) for one in servers):
        return
    for name, chain in config.chains.items():
        if chain.names == "here":
            message = (
                "resolve.servers has none that means anything at the far end: name a public one, such as "
                '"https://9.9.9.9/dns-query#dns.quad9.net", or use names = "exit"'
            )
            yield ("chains", name, "names"), message


def _worker_faults(config: Config) -> Iterator[Found]:
    """What so many workers cannot share."""
    workers = config.listen.workers
    for section, name in DIVIDED if workers > 1 else ():
        fields = {field.name: field for field in msgspec.structs.fields(getattr(config, section))}
        if fields[name].type == AtLeastOne and getattr(getattr(config, section), name) < workers:
            yield (
                (section, name),
                f"is divided among listen.workers, which are {workers}: write at least that",
            )
    for name, chain in config.chains.items() if workers > 1 else ():
        for place, hop in enumerate(chain.hop):
            if hop.pick > PICK_MOST:
                yield ("chains", name, "hop", place, "pick"), f"with several workers, at most {PICK_MOST}"


def _is_near(server: Server) -> bool:
    """Whether a server is one of this machine's network: a private address that only UDP was meant for."""
    return server.scheme is Scheme.UDP and not is_public(server.address)


def explain(config: Config) -> list[str]:
    """What a gateway with this config does on this machine, a line for each room."""
    policy, scrub = config.policy, config.scrub
    rules = f", {len(scrub.rules)} rules of your own" if scrub.rules else ""
    return [
        f"listens   {', '.join(config.listen.addresses)}: SOCKS5, SOCKS4, SOCKS4a and HTTP{_workers(config)}",
        f"serves    {_clients(config)}",
        *_headed("routes", list(route_words(config))),
        *_chains(config),
        *_headed("identity", [_identity(*one) for one in config.identities.items()]),
        *([f"egress    {egress_words(config.egress)}"] if config.egress != Egress() else []),
        f"names     {_names(config)}",
        f"goes to   {_listed(policy.allow) or 'every public address'}"
        + (f", never to {_listed(policy.deny)}" if policy.deny else "")
        + (f", and to private {_listed(policy.allow_private)}" if policy.allow_private else ""),
        f"clients   SOCKS by a public address is {_TAKEN[config.safe_socks]}",
        f"scrubs    plain HTTP asked of it as an HTTP proxy, profile {scrub.profile}{rules}; no tunnel",
        f"limits    {_limits(config)}",
        f"logs      level {config.log.level}, {'WITH' if config.log.names else 'without'} names",
    ]


_TAKEN = {
    "reject": "refused: only names are taken",
    "warn": "counted and warned of: the client may look names up itself",
    "off": "taken without a word",
}


def _headed(head: str, lines: list[str]) -> Iterator[str]:
    """Lines of which the first bears a head."""
    for number, line in enumerate(lines):
        yield f"{head if not number else '':10}{line}"


def _identity(name: str, own: NamedIdentity) -> str:
    said = {
        f"goes by {own.to}": own.to,
        f"a new epoch every {duration_text(own.renew)}": own.renew,
        f"{own.connections} connections at once": own.connections,
        f"{size_text(own.bytes_a_day)} a day": own.bytes_a_day,
        f"looks like {own.persona} in plain HTTP": own.persona != "auto",
    }
    return f"{name}: {'; '.join(text for text, there in said.items() if there) or 'as all others'}"


def _chains(config: Config) -> Iterator[str]:
    for name, chain in config.chains.items():
        yield from _headed("chain", [f"{name}: {hops_words(chain)}", ways_words(chain)])


def _names(config: Config) -> str:
    """Who is asked for names."""
    asked = ", ".join(_server(text) for text in config.resolve.servers)
    own = _own_names(config)
    chains = used_chains(config)
    parts = []
    if _goes_direct(config):
        parts.append(f"asked of {asked}{own}, by the gateway itself" if chains else f"asked of {asked}{own}")
    if through := [name for name, chain in chains.items() if chain.names == "here" and first_hops(chain)]:
        parts.append(f"asked of {asked} through {', '.join(through)}")
    if exits := [name for name, chain in chains.items() if chain.names == "exit" and first_hops(chain)]:
        parts.append(f"told to the exit of {', '.join(exits)}")
    if any(isinstance(one.url.endpoint.host, str) for chain in chains.values() for one in first_hops(chain)):
        parts.append(f"names of first hops are asked of {asked} from here")
    return "; ".join(parts) or "nobody is asked"


def _goes_direct(config: Config) -> bool:
    return any(route.to == DIRECT for route in config.route) or any(
        goes_direct(chain) for chain in used_chains(config).values()
    )


def _limits(config: Config) -> str:
    limits = config.limits
    most, _ = capacity(share(config, 0).limits, _open_files(), config.listen.workers)
    counts = f"{most} connections, {limits.per_client or max(1, most * 3 // 4)} for one client"
    return f"{counts}; idle tunnels {duration_text(limits.idle)}; HTTP heads {size_text(limits.header_bytes)}"


def hidden(config: Config) -> list[str]:
    """What is hidden by this gateway, and what is not, for whoever starts it."""
    scrubbed = (
        f"Hidden: what plain HTTP asked of an HTTP proxy tells about you (profile {config.scrub.profile})."
    )
    chains = used_chains(config)
    if not chains and _goes_direct(config):
        asked = ", ".join(_server(text) for text in config.resolve.servers)
        shown = "with no chain every destination sees this machine's address; SOCKS and TLS pass as is"
        return [scrubbed, f"Not hidden: {shown}.", f"Names are asked of {asked}, by the gateway itself."]
    lines = [scrubbed, "Not hidden: what is inside SOCKS and TLS, which pass as is."]
    lines += [seen_words(name, chain) for name, chain in chains.items()]
    if any(route.to == DIRECT for route in config.route):
        lines.append("Not hidden: what a route sends DIRECTLY sees this machine's address (`anongw check`).")
    return [*lines, f"Names: {_names(config)}."]


def warnings(config: Config) -> list[str]:
    """Settings that are allowed and have a consequence that their author may not have thought of."""
    return list(_warnings(config))


def _warnings(config: Config) -> Iterator[str]:
    yield from consequences(config)
    yield from _egress_missing(config)
    yield from _workers_note(config)
    servers = [parse_server(text) for text in (*config.resolve.servers, *config.resolve.zones.values())]
    if any(isinstance(one, System) for one in servers):
        yield "resolve: this machine's name servers see every name that is asked for"
    if any(
        isinstance(one, Server) and not one.scheme.encrypted and is_public(one.address) for one in servers
    ):
        yield "resolve: udp and tcp go in the clear: whoever is on the way reads names and can forge answers"
    if config.users and any(_is_remote(text) for text in config.listen.addresses):
        yield "users: passwords come to a listener in the clear: keep it to a network that you trust"
    if config.users:
        yield "users: SOCKS4 has no passwords and is refused"
    if any(not one.network.prefixlen for one in config.policy.allow_private):
        yield "policy.allow_private: clients reach this machine and every network around it"
    yield from _safe_socks(config)
    if config.limits.idle < _IDLE_LEAST:
        yield f"limits.idle: below {duration_text(_IDLE_LEAST)} quiet ssh and push connections are cut"
    if config.log.names:
        yield "log.names: the log is a browsing history"
    if config.scrub.profile == "open":
        yield "scrub.profile: open passes what tells one browser from another"
    for name in _unreachable(config):
        yield f"resolve.hosts: {name} leads to a private address, which policy.allow_private does not allow"


def _safe_socks(config: Config) -> Iterator[str]:
    if config.safe_socks == "off":
        yield "policy.safe_socks: off says nothing of clients that look names up themselves, past the gateway"
    elif config.safe_socks == "reject":
        why = "" if config.policy.safe_socks == "reject" else " (the profile strict has it so)"
        yield (
            f"policy.safe_socks: SOCKS clients that send addresses are refused{why}, also where a person "
            "typed one; have programs leave look-ups to the proxy (socks5h)"
        )


def _workers_note(config: Config) -> Iterator[str]:
    workers, cores = config.listen.workers, len(os.sched_getaffinity(0))
    if workers == 1:
        return
    divided = ", ".join(name for _, name in DIVIDED)
    yield f"listen.workers: divided among {workers} are {divided}; connections are counted over all"
    if workers > cores:
        yield f"listen.workers: more than the {cores} cores that they may use, so that some wait for others"


def _egress_missing(config: Config) -> Iterator[str]:
    """No fault: an interface may come up later, and until then everything that needs it is refused."""
    ways = {"egress": config.egress}
    ways |= {f"chains.{name}.egress": chain.egress for name, chain in used_chains(config).items()}
    for where, way in ways.items():
        source = [ip_address(text) for text in way.source]
        if way != Egress() and (missing := egress.check(way.interface, source, way.mark)):
            yield f"{where}: {missing}; until then what leaves by it is refused"


def _unreachable(config: Config) -> Iterator[str]:
    policy = Policy(config.policy)
    for name, addresses in config.resolve.hosts.items():
        hosts = [parse_host(text) for text in addresses]
        if not any(policy.may_use(host) for host in hosts if not isinstance(host, str)):
            yield name


def _workers(config: Config) -> str:
    return f", by {config.listen.workers} workers" if config.listen.workers > 1 else ""


def _clients(config: Config) -> str:
    if config.users:
        who = f"{len(config.users)} users, by password"
    elif any(_is_remote(text) for text in config.listen.addresses):
        who = "everybody"
    else:
        return "this machine's programs"
    return f"{who} from {_listed(config.listen.clients)}" if config.listen.clients else who


def _is_remote(text: str) -> bool:
    address = parse_listen(text)
    return isinstance(address, Endpoint) and not is_loopback(address)


def _server(text: str) -> str:
    server = parse_server(text)
    if isinstance(server, System):
        return "this machine's name servers (in the clear)"
    way = "HTTPS" if server.scheme is Scheme.HTTPS else server.scheme.value.upper()
    clear = "" if server.scheme.encrypted else " (in the clear)"
    return f"{server.name or server.address} by {way}{clear}"


def _own_names(config: Config) -> str:
    zones, hosts = len(config.resolve.zones), len(config.resolve.hosts)
    return (f", {zones} zones elsewhere" if zones else "") + (f", {hosts} hosts fixed" if hosts else "")


def _listed(written: tuple[object, ...], most: int = 5) -> str:
    more = f" and {len(written) - most} more" if len(written) > most else ""
    return ", ".join(str(one) for one in written[:most]) + more
