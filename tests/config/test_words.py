"""What is said of chains and routes."""

import json

import pytest

from anongw.config import Chain, Config, load
from anongw.config.words import egress_words, hops_words, route_words, seen_words, used_chains, ways_words


def config(*sets: str) -> Config:
    return load(None, sets)


def chain(hops: str, *more: str) -> Chain:
    return config(f"chains.one.hop={hops}", *(f"chains.one.{one}" for one in more)).chains["one"]


def pool(*urls: str, **keys: object) -> str:
    return (
        "{" + ", ".join(f"{key}={json.dumps(value)}" for key, value in {"urls": urls, **keys}.items()) + "}"
    )


ENTRY = '{url="socks5://192.0.2.1"}'
TLS = '{url="https://b.example:443"}'


@pytest.mark.parametrize(
    ("hops", "words"),
    [
        (f"[{ENTRY}]", "1 socks5 192.0.2.1:1080"),
        (
            f"[{ENTRY}, {pool('socks5://a', 'socks5://b', 'http://c:1', strategy='round-robin')}]",
            "1 socks5 192.0.2.1:1080 > 2 one of 3, round-robin",
        ),
        (
            f"[{pool('socks5://192.0.2.1', 'socks5://192.0.2.2', pick=2, strategy='random')}]",
            "1 2 of 2, random",
        ),
        (f"[{pool('socks5://192.0.2.1', 'direct')}]", "1 one of 2, fail-over, one of which is direct"),
        ('[{url="direct"}]', "1 direct"),
    ],
)
def test_hops(hops: str, words: str) -> None:
    assert hops_words(chain(hops)) == words


def test_ways() -> None:
    plain = "names are told to the exit; both families; leaves as the routing table says; no probes"
    assert ways_words(chain(f"[{ENTRY}]")) == plain
    full = chain(
        f"[{ENTRY}]",
        "names=here",
        "family=ipv4",
        'overlays=["onion", "i2p", "alt"]',
        "egress.interface=wg0",
        "probe.target=example.org:443",
    )
    assert ways_words(full) == (
        "names are resolved here, through it; ipv4 only; onion, i2p and alt too; "
        "leaves by wg0 or not at all; a probe to example.org:443 about every 5m"
    )


def test_ways_out() -> None:
    egress = config('egress={interface="wg0", source=["10.0.0.2", "fd00::2"], mark=51}').egress
    assert egress_words(egress) == "leaves by wg0 from 10.0.0.2 or fd00::2 with mark 51 or not at all"


def test_routes() -> None:
    assert list(route_words(config())) == ["everything: directly, from this machine's address"]
    routes = (
        'route=[{target=["onion"], protocol=["socks5", "http"], listener=["127.0.0.1:1080"], '
        'identity=["a"], to="one"}, {target=["a", "b", "c", "d", "e"], to="refuse"}, {to="direct"}]'
    )
    assert list(route_words(config(f"chains.one.hop=[{ENTRY}]", routes))) == [
        "onion, by socks5 or http, at 127.0.0.1:1080, for a: through one",
        "a, b, c or one of 2 more: refused",
        "everything else: directly, from this machine's address",
    ]


def test_only_chains_with_a_route_are_used() -> None:
    hop = f"hop=[{ENTRY}]"
    both = config(f"chains.one.{hop}", f"chains.two.{hop}", 'route=[{to="two"}]')
    assert list(used_chains(both)) == ["two"]


@pytest.mark.parametrize(
    ("hops", "words"),
    [
        (
            f"[{ENTRY}]",
            "one: socks5://192.0.2.1:1080 sees this machine's address and where you go (names too); destin",
        ),
        (
            '[{url="socks5://127.0.0.1:9050"}]',
            "the program at socks5://127.0.0.1:9050 sees this machine's address and where you go",
        ),
        (
            f"[{ENTRY}, {TLS}]",
            "socks5://192.0.2.1:1080 sees this machine's address, and https://b.example:443 where you go",
        ),
        # What is not encrypted to a later hop, the first one carries in the clear.
        (f"[{TLS}, {ENTRY}]", "as no later hop is https, can read where you go"),
        (
            f"[{ENTRY}, {pool('https://b:1', 'socks5://c')}]",
            "as no later hop is https, can read where you go",
        ),
        (f"[{ENTRY}, {TLS}, {ENTRY}]", "address, and socks5://192.0.2.1:1080 where you go"),
        (
            f"[{pool('socks5://192.0.2.1', 'socks5://192.0.2.2', pick=2)}]",
            "as no later hop is https, can read where you go",
        ),
        (
            f"[{pool('https://a:1', 'https://b:1', pick=2)}]",
            "address, and https://a:1 or https://b:1",
        ),
        (
            f"[{pool('socks5://192.0.2.1', 'direct')}]",
            "see the exit, or THIS MACHINE where it goes directly.",
        ),
        ('[{url="direct"}]', "goes directly, and every destination sees this machine's address."),
    ],
)
def test_who_sees_what(hops: str, words: str) -> None:
    said = seen_words("one", chain(hops))
    assert said.startswith("one: ")
    assert words in said


def test_addresses_are_no_names() -> None:
    assert "the addresses that you go to" in seen_words("one", chain(f"[{ENTRY}]", "names=here"))
