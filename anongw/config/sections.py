"""The sections of a config, frozen. Each field has its unit, default and reason in the text below it.

`anongw check --example` prints these texts and defaults as a config file (example.py), so they are written
for the person who edits one; lines set in by four spaces become lines of that file. Tables come last in their
section, because a TOML table ends the one before it.
"""

from typing import Literal

from msgspec import Struct

from anongw.config.chains import DIRECT, Chain, Control, Egress, Route
from anongw.config.values import AtLeastOne, Bytes, Cidr, Count, PasswordHash, Rule, Seconds

Family = Literal["any", "ipv4", "ipv6", "prefer-ipv4"]
Profile = Literal["balanced", "strict", "open"]
SafeSocks = Literal["auto", "reject", "warn", "off"]
Taken = Literal["reject", "warn", "off"]
Level = Literal["debug", "info", "warning", "error"]


class Listen(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where clients come in. Every listener speaks SOCKS5, SOCKS4, SOCKS4a and HTTP."""

    addresses: tuple[str, ...] = ("127.0.0.1:1080",)
    """"127.0.0.1:1080", "[::1]:1080", "unix:/run/anongw.sock"; port 0 takes a free one. An address that other
    machines reach needs [users] or `clients`: an open proxy is found and abused within hours."""

    clients: tuple[Cidr, ...] = ()
    """The only client addresses to serve, such as ["192.168.1.0/24"]; empty: all that reach a listener."""

    backlog: AtLeastOne = 4096
    """Connections that the kernel holds while we are busy; it cuts this to net.core.somaxconn."""

    workers: AtLeastOne = 1
    """Processes that share the listeners, for more connections than one core carries; as many as there are
    cores to spare. Limits hold for all of them together, and an identity keeps its exit in every one."""


class Resolve(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How names become addresses. The system's own resolver is never asked."""

    servers: tuple[str, ...] = (
        "https://9.9.9.9/dns-query#dns.quad9.net",
        "https://1.1.1.1/dns-query#cloudflare-dns.com",
    )
    """Each name is asked of one of them, chosen by identity, and of another only when that fails. They are
    written "https://ADDRESS/dns-query#NAME", "tls://ADDRESS#NAME", "tcp://ADDRESS" or "udp://ADDRESS", where
    NAME is the one on the certificate; "system" asks the name servers that this machine is set to."""

    family: Family = "any"
    """"any" races both kinds of address, "ipv4" and "ipv6" know only one, "prefer-ipv4" tries that first."""

    ca_file: str = ""
    """Certificates that may vouch for a resolver, as a PEM file; empty: the system's, or else certifi's."""

    timeout: Seconds = 5.0
    """One question to one server, until the next is asked: a dead server must not hold up a page."""

    queries_most: AtLeastOne = 1000
    """Questions on their way at once; more wait. Bounds what a flood of names costs in memory."""

    cache_entries: Count = 4096
    """Answers remembered, apart for each identity; 0: none."""

    ttl_most: Seconds = 3600.0
    """The longest that an answer is believed, whatever its TTL: a wrong one must not stay for a week."""

    negative_most: Seconds = 300.0
    """The longest that "no such name" is believed. RFC 2308 §5 allows hours; whoever mends a name waits."""

    zones: dict[str, str] = {}
    """Servers for a suffix, which may be one that no server is asked for otherwise (local, internal, test):

        [resolve.zones]
        "lab.internal" = "udp://192.168.1.1"
    """

    hosts: dict[str, tuple[str, ...]] = {}
    """Fixed addresses, never asked of anybody:

        [resolve.hosts]
        "printer.lab.internal" = ["192.168.1.7"]
    """


class Policy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where flows may go.

    A rule is "host", "host:port" or "host:port-port", and host is "example.org" (itself and all below),
    "=example.org" (exactly), "192.0.2.0/24", "[2001:db8::/32]" or "*". `deny` wins over `allow`.
    """

    allow_private: tuple[Cidr, ...] = ()
    """Private ranges that clients may reach all the same, such as ["192.168.1.0/24"] in a lab. Loopback,
    private, link-local, metadata, multicast and reserved addresses are refused otherwise."""

    safe_socks: SafeSocks = "auto"
    """What to do where a SOCKS client asks for a public address and not for a name: it may have looked the
    name up itself, past the gateway. "reject" refuses it, even where a person typed the address; "warn" has
    `anongw status` count it and the log say so now and then; "off" says nothing. "auto": "reject" with the
    profile "strict", else "warn", because many programs know no better and would break."""

    allow: tuple[Rule, ...] = ()
    """Only these targets; empty: all but the denied."""

    deny: tuple[Rule, ...] = ()
    """Never these targets. On a gateway for many, ["*:25"] keeps spam from being sent in its name."""


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one client, one connection and the whole gateway may use. Durations: "10s", "5m", "2h"."""

    connections: Count = 0
    """Client connections at once; 0: as many as the limit on open files allows, at two files each."""

    per_client: Count = 0
    """Of these, for one client address; 0: three quarters, so that one cannot lock out the rest."""

    handshake: Seconds = 10.0
    """From accept until the client has said what it wants. Tight, because slowloris lives on it."""

    connect: Seconds = 15.0
    """Until the destination has answered the connect, the name's look-up included."""

    response: Seconds = 600.0
    """Until an origin begins its answer to a plain HTTP request. Long reports do take minutes."""

    idle: Seconds = 7200.0
    """A tunnel in which nothing moves. RFC 5382 §5 asks two hours of a NAT; less breaks ssh and push."""

    stall: Seconds = 300.0
    """A plain HTTP body of which no byte moves, either way."""

    request: Seconds = 75.0
    """A client's kept HTTP connection between two requests. Browsers drop theirs after 60 to 115 s."""

    whole: Seconds = 0.0
    """The longest life of a connection, whatever moves; 0: none, because a shell may stay open for days."""

    header_bytes: Bytes = 32768
    """An HTTP head. Servers refuse more than 8 to 32 KiB anyway."""

    header_lines: AtLeastOne = 100
    """Header lines of an HTTP head. Apache's limit too; a browser sends about 20."""

    upstream_idle: Seconds = 30.0
    """A kept connection to an origin between two requests. Below the 60 s at which most origins close."""

    upstream_kept: Count = 256
    """Kept connections to origins in all."""

    upstream_kept_per_origin: Count = 64
    """Kept connections to one origin for one identity. A browser opens six, a busy service ten times that;
    with fewer than are in use at once, each request would pay for a new connection."""

    identities: AtLeastOne = 10000
    """Identities that are counted (`anongw identity list`), about a KiB each; the one that was away longest
    makes room, and is counted anew when it comes back."""

    sticky_identities: AtLeastOne = 10000
    """Identities that keep their exits, at each position of a chain; the one that was away longest is
    forgotten then, and chooses anew. A few hundred bytes each."""

    linger: Seconds = 2.0
    """How long to read what a refused client still sends, so that it sees the answer and no reset."""

    linger_bytes: Bytes = 4 << 20
    """How much of it to read, at the most."""

    half_closed: Seconds = 10.0
    """How long a client that has said its last may wait for an answer to begin: it may have left for good,
    and only what is sent to it can tell."""

    shutdown: Seconds = 30.0
    """After SIGTERM, how long running transfers may go on."""

    pipe_bytes: Bytes = 64 << 20
    """Kernel pipe buffers for bulk transfers. Linux gives a user 64 MiB; what finds none is copied."""

    password_queue: AtLeastOne = 64
    """Passwords waiting to be checked, one at a time, about 50 ms each; a login beyond is refused."""


class ScrubRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule for header lines of plain HTTP requests, after the profile's own."""

    host: str = "*"
    """The host it is for, and all below it; "=example.org": exactly; "*": all."""

    drop: tuple[str, ...] = ()
    """Header names never to send."""

    set: dict[str, str] = {}
    """Header names and the value to send instead of the client's."""

    keep: tuple[str, ...] = ()
    """Header names to pass on as the client wrote them."""


class Scrub(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What plain HTTP requests may say about their sender. Inside TLS nothing can be scrubbed."""

    profile: Profile = "balanced"
    """"balanced" looks like a common browser and keeps log-ins working; "strict" also drops cookies, log-ins
    and the page you came from; "open" passes all but what names you or the proxy."""

    rules: tuple[ScrubRule, ...] = ()
    """Rules for single headers, for every host or for one:

        [[scrub.rules]]
        host = "example.org"
        drop = ["X-Tracking"]
        set = { "Accept-Language" = "de" }
        keep = ["X-Requested-With"]
    """


class Log(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written to standard error."""

    names: bool = False
    """Whether lines may name destinations, clients and users: a browsing history, so off unless needed."""

    level: Level = "info"
    """"info" says how the gateway fares; "debug" adds a line for each connection (number, reason, sizes)."""


class Identity(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom a connection belongs to, so that nothing is shared with another's.

    Its user; else, on a listener that other machines reach, its client's address; else the listener.
    """

    by_destination: bool = False
    """Whether every destination is an identity of its own too, so that nothing is shared between them."""

    by_client: bool = False
    """Whether each client address is an identity of its own too, even behind one user or on loopback."""


class PersonaRecord(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one program sends over http://, whole: a record that mixes two programs' lines is refused."""

    user_agent: str = ""
    """Its User-Agent line, such as "curl/8.5.0"."""

    order: tuple[str, ...] = ()
    """Every header name that it sends, in its order and case; what it does not send follows behind."""

    always: dict[str, str] = {}
    """Lines of every request, such as { "Accept-Language" = "de,en-US;q=0.7,en;q=0.3" }."""

    page: dict[str, str] = {}
    """And of requests for pages, Accept among them."""

    image: dict[str, str] = {}
    """And for images."""

    style: dict[str, str] = {}
    """And for style sheets."""

    anything: dict[str, str] = {}
    """And for all else."""


class NamedIdentity(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one user's identity has of its own. Whoever is not named here is one from the first use on."""

    to: str = ""
    """Its way out: a chain's name, "direct" or "refuse", before all [[route]] tables; empty: as they say."""

    renew: Seconds = 0.0
    """How long until it begins a new epoch by itself, as by `anongw identity new`, such as "1h"; 0: never.
    Each identity does so at a time of its own, so that no two are seen to move at once."""

    persona: str = "auto"
    """What its plain HTTP requests look like: "browser", "tool", or a record of [personas]; "auto": one of
    the first two, by what each client says it is."""

    connections: Count = 0
    """Connections at once; one beyond is refused. 0: as many as there may be at all."""

    bytes_a_day: Bytes = 0
    """What it may send and receive from its first use on until 24 hours later, and so on; what is over is
    refused and ends what runs. Not remembered over a restart. 0: no limit."""


# The routes of a config that has none. Known by the last being this very value: whoever wants to go out
# directly may write the same.
_NO_ROUTE = (Route(to=DIRECT),)


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set. Every key may be left out."""

    listen: Listen = Listen()
    resolve: Resolve = Resolve()
    policy: Policy = Policy()
    limits: Limits = Limits()
    scrub: Scrub = Scrub()
    log: Log = Log()
    identity: Identity = Identity()

    personas: dict[str, PersonaRecord] = {}
    """Records by name, for identities whose requests are to look like another program's than ours:

        [personas.old-curl]
        user_agent = "curl/7.68.0"
        order = ["Host", "User-Agent", "Accept", "Accept-Encoding"]
        anything = { Accept = "*/*" }
    """

    identities: dict[str, NamedIdentity] = {}
    """Users by name, each with what is its own: those of [users] where there are any, else as clients say."""

    egress: Egress = Egress()
    control: Control = Control()

    chains: dict[str, Chain] = {}
    """[chains] names chains of upstream proxies, each in a file whose path is relative to this one,
    as in tor = "chains/tor.toml"; or one stands here itself, as below."""

    route: tuple[Route, ...] = _NO_ROUTE

    users: dict[str, PasswordHash] = {}
    """Who may use the gateway, on every listener and in every protocol: names, and the hashes that
    `anongw passwd` prints. Empty: everybody who reaches a listener.

        [users]
        alice = "$scrypt$ln=14,r=8,p=1$EXAMPLESALTEXAMPLESALT$EXAMPLEKEYEXAMPLEKEYEXAMPLEKEYEXAMPLEKEYEXA"
    """

    @property
    def safe_socks(self) -> Taken:
        """How SOCKS by address is taken, "auto" decided."""
        if self.policy.safe_socks != "auto":
            return self.policy.safe_socks
        return "reject" if self.scrub.profile == "strict" else "warn"

    @property
    def goes_direct_unasked(self) -> bool:
        """Connections go out directly because nothing is written about where they go."""
        return bool(self.route) and self.route[-1] is _NO_ROUTE[0]
