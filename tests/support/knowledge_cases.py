"""Configs and questions for property tests, made piece by piece: configs that the gateway would take."""

from collections.abc import Callable, Sequence
from typing import get_args

import msgspec
from hypothesis import example
from hypothesis import strategies as st

from anongw import config
from anongw.address import Endpoint, parse_host
from anongw.config import Chain, Cidr, Config, Hop, Member, PasswordHash, Route, Rule
from anongw.config.cross import crossed
from anongw.knowledge import Content, Question
from tests.support.knowledge import member, position

HASH = PasswordHash(f"$scrypt$ln=14,r=8,p=1${'A' * 22}${'B' * 43}")
SECRET = "s3cret-of-a-hop"
LOCAL, SHARED, UNIX = "127.0.0.1:1080", "192.0.2.9:1080", "unix:/run/anongw.sock"

# Where hops are: numbers keep the members of a position apart.
_HOSTS = ("192.0.2.{}", "198.51.100.{}", "hop{}.example", "hop{}.invalid", "127.0.0.{}")
_SCHEMES = ("socks5", "socks4", "http", "https")
_ISOLATION = ("off", "off", "auth", "tor")
_TARGETS = (
    *("example.org", "example.org", "www.example.org", "1.2.3.4", "2606:4700::1"),
    *("fixed.example", "inside.example", "six.example", "denied.example", "a.lab.internal"),
    *("a.onion", "printer.local", "a.invalid", "10.0.0.1", "127.0.0.1"),
)
_HOSTS_FIXED: dict[str, tuple[str, ...]] = {
    "fixed.example": ("1.2.3.4", "2606:4700::1"),
    "inside.example": ("10.0.0.1",),
    "six.example": ("2606:4700::1",),
    "hop1.example": ("192.0.2.1",),
}
_ZONES = {"lab.internal": "udp://192.168.1.1"}
_SERVERS = (
    ("https://9.9.9.9/dns-query#dns.quad9.net", "tls://1.1.1.1#cloudflare-dns.com"),
    ("udp://9.9.9.9",),
    ("udp://127.0.0.1", "tls://9.9.9.9#dns.quad9.net"),
)


@st.composite
def members(draw: st.DrawFn, number: int, schemes: tuple[str, ...] = _SCHEMES) -> Member:
    scheme = draw(st.sampled_from(schemes))
    host = draw(st.sampled_from(_HOSTS)).format(number)
    isolation = draw(st.sampled_from(_ISOLATION))
    login = f"user:{SECRET}@" if isolation == "off" and scheme != "socks4" and draw(st.booleans()) else ""
    return member(f"{scheme}://{login}{host}:{8000 + number}", isolation=isolation)


@st.composite
def positions(draw: st.DrawFn, place: int) -> Hop:
    pool = tuple(draw(members(10 * place + n)) for n in range(draw(st.sampled_from((1, 1, 2, 3)))))
    return Hop(members=pool, pick=draw(st.integers(1, len(pool))))


@st.composite
def chains(draw: st.DrawFn, *, direct: bool = True) -> Chain:
    row = tuple(draw(positions(place)) for place in range(draw(st.integers(1, 3))))
    names: config.Names = draw(st.sampled_from(get_args(config.Names)))
    overlays: tuple[config.Overlay, ...] = draw(st.sampled_from(((), ("onion",))))
    if direct and draw(st.integers(0, 5)) == 0:
        overlays = ()
        pool = (*row[0].members, member("direct")) if draw(st.booleans()) else (member("direct"),)
        row = (Hop(members=pool),)
    family: config.ChainFamily = draw(st.sampled_from(("any", *get_args(config.ChainFamily))))
    if names == "here" and any(one.url.scheme == "socks4" for one in row[-1].members):
        family = "any"
    return Chain(hop=row, names=names, overlays=overlays, family=family)


@st.composite
def routes(draw: st.DrawFn, listener: str) -> tuple[Route, ...]:
    """A few with a condition, and the last without."""
    conditions = (
        Route(target=(Rule("example.org"),)),
        Route(target=(Rule("1.2.3.0/24"), Rule("*:25"))),
        Route(protocol=("http", "connect")),
        Route(listener=(listener,)),
        Route(identity=("alice",)),
    )
    chosen = draw(st.lists(st.sampled_from(conditions), max_size=2))
    ways = st.sampled_from(("one", "one", "one", "direct", "refuse"))
    return tuple(msgspec.structs.replace(one, to=draw(ways)) for one in (*chosen, Route()))


@st.composite
def configs(draw: st.DrawFn, *, direct: bool = True) -> Config:
    listener = draw(st.sampled_from((LOCAL, SHARED, UNIX)))
    users = {"alice": HASH} if draw(st.integers(0, 3)) == 0 else {}
    made = Config(
        listen=config.Listen(addresses=(listener,), clients=(Cidr("192.0.2.0/24"),)),
        resolve=config.Resolve(
            servers=draw(st.sampled_from(_SERVERS)),
            family=draw(st.sampled_from(("any", "any", "ipv4", "ipv6"))),
            hosts=draw(st.sampled_from(({}, _HOSTS_FIXED))),
            zones=draw(st.sampled_from(({}, _ZONES))),
        ),
        policy=config.Policy(
            deny=(Rule("denied.example"),),
            safe_socks=draw(st.sampled_from(("auto", "reject", "warn", "off"))),
            allow_private=draw(st.sampled_from(((), (), (Cidr("127.0.0.0/8"),)))),
        ),
        scrub=config.Scrub(profile=draw(st.sampled_from(("balanced", "strict", "open")))),
        log=config.Log(names=draw(st.booleans()), level=draw(st.sampled_from(("debug", "info", "error")))),
        identity=config.Identity(by_destination=draw(st.booleans()), by_client=draw(st.booleans())),
        control=config.Control(socket=draw(st.sampled_from(("auto", "off")))),
        chains={"one": draw(chains(direct=direct))},
        route=draw(routes(listener)),
        users=users,
    )
    assert not list(crossed(made))
    return made


@st.composite
def questions(draw: st.DrawFn) -> Question:
    protocol: config.Spoken = draw(st.sampled_from(get_args(config.Spoken)))
    content = Content.PLAIN if protocol == "http" else draw(st.sampled_from(Content))
    target = Endpoint(parse_host(draw(st.sampled_from(_TARGETS))), draw(st.sampled_from((80, 443, 25, 1080))))
    user = draw(st.sampled_from((None, "alice", "alice", "bob")))
    return Question(target, protocol, content, user)


def through(settings: Config, chain: Chain) -> Config:
    """The same config with another chain."""
    return msgspec.structs.replace(settings, chains={"one": chain})


def _rare(
    target: str, *hops: str, safe_socks: config.SafeSocks = "warn", **options: object
) -> tuple[Config, Question]:
    settings = config.Config(
        policy=config.Policy(safe_socks=safe_socks),
        resolve=config.Resolve(family="ipv4", hosts=_HOSTS_FIXED),
        chains={"one": Chain(hop=tuple(position(one) for one in hops), **options)},  # type: ignore[arg-type]
        route=(Route(to="one"),),
    )
    return settings, Question(Endpoint(parse_host(target), 443))


# What is drawn depends on which modules are loaded, so these outcomes are not left to chance.
RARE = (
    _rare("2606:4700::1", "socks5://192.0.2.1", "socks4://192.0.2.2"),  # refused at the exit
    _rare("2606:4700::1", "socks5://192.0.2.1", family="ipv4"),  # at the family
    _rare("1.2.3.4", "socks5://192.0.2.1", safe_socks="reject"),  # for what the client did
    _rare("a.onion", "socks5://192.0.2.1"),  # at the overlay
    _rare("six.example", "socks5://192.0.2.1", names="here"),  # at the resolver
    _rare("example.org", "socks5://hop1.invalid"),  # at the first hop
    _rare("printer.local", "socks5://192.0.2.1"),  # at the policy
    _rare("example.org", "socks5://192.0.2.1", "https://192.0.2.2:443"),  # the promise holds
    _rare("example.org", "socks5://a.example", "socks5://192.0.2.2"),  # and fails
    _rare("fixed.example", "socks5://a.example", names="here"),  # a resolver that is asked for the hop alone
)


def each(
    cases: Sequence[tuple[object, ...]], *more: object
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a property hold for each of these too, and for `more` arguments with them."""

    def added(test: Callable[..., None]) -> Callable[..., None]:
        for one in cases:
            test = example(*one, *more)(test)
        return test

    return added
