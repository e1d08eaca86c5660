"""Who learns what, config by config; what holds for every one is in tests/whole/test_knowledge.py.

A row is written as a letter for each fact, in this order: client's address, gateway's address, the target's
name, its address, path and headers, its log-ins, hops' log-ins, timing. y: yes, n: no, p: only if plain HTTP.
"""

import pytest

from anongw.config import Config
from tests.support.knowledge import ask, chained, config, letters

SHARED = ('listen.addresses=["192.0.2.9:1080"]', 'listen.clients=["192.0.2.0/24"]')
HOME = {"log file": "nnnnnnnn", "control socket": "nnnnnnny"}
QUAD9, CLOUDFLARE = "resolver https://9.9.9.9:443", "resolver https://1.1.1.1:443"
BEHIND = {
    "resolver of the exit": "nnyynnny",
    "line behind the exit": "nnyyppny",
    "destination": "nnyyyyny",
}
A, B, C = "socks5://192.0.2.1", "socks5://192.0.2.2", "http://192.0.2.3:8080"
S, T = "https://192.0.2.11:443", "https://192.0.2.12:443"
TOR = "socks5://127.0.0.1:9050"

# In a tunnel to example.org:443.
TUNNELS: list[tuple[str, Config, dict[str, str]]] = [
    (
        "directly",
        config(),
        {"local network": "yyyyppny", QUAD9: "yyyynnny", CLOUDFLARE: "yyyynnny", "destination": "yyyyyyny"},
    ),
    (
        "directly, names asked in the clear",
        config('resolve.servers=["udp://9.9.9.9"]'),
        {"local network": "yyyyppny", "resolver udp://9.9.9.9:53": "yyyynnny", "destination": "yyyyyyny"},
    ),
    (
        "directly, by a fixed host",
        config('resolve.hosts={"example.org"=["1.2.3.4"]}'),
        {"local network": "yyyyppny", "destination": "yyyyyyny"},
    ),
    ("one hop", chained(A), {"local network": "yyynppny", "hop 1": "yyyyppny", **BEHIND}),
    ("one hop in TLS", chained(S), {"local network": "yynnnnny", "hop 1": "yyyyppny", **BEHIND}),
    ("a program here", chained(TOR), {"local network": "nnnnnnnn", "hop 1": "yyyyppny", **BEHIND}),
    (
        "socks, socks",
        chained(A, B),
        {"local network": "yyynppny", "hop 1": "yyynppny", "hop 2": "nnyyppny", **BEHIND},
    ),
    (
        "socks, TLS",
        chained(A, S),
        {"local network": "yynnnnny", "hop 1": "yynnnnny", "hop 2": "nnyyppny", **BEHIND},
    ),
    (
        "TLS, socks",
        chained(S, A),
        {"local network": "yynnnnny", "hop 1": "yyynppny", "hop 2": "nnyyppny", **BEHIND},
    ),
    (
        "socks, TLS, http",
        chained(A, S, C),
        {
            "local network": "yynnnnny",
            "hop 1": "yynnnnny",
            "hop 2": "nnynppny",
            "hop 3": "nnyyppny",
            **BEHIND,
        },
    ),
    (
        "TLS, socks, TLS",
        chained(S, A, T),
        {
            "local network": "yynnnnny",
            "hop 1": "yynnnnny",
            "hop 2": "nnnnnnny",
            "hop 3": "nnyyppny",
            **BEHIND,
        },
    ),
    (
        "a pool of which one is not TLS",
        chained(A, [S, B]),
        {"local network": "yyynppny", "hop 1": "yyynppny", "hop 2": "nnyyppny", **BEHIND},
    ),
    (
        "names looked up here",
        chained(A, S, names="here", sets=('resolve.servers=["tls://9.9.9.9#dns.quad9.net"]',)),
        {
            "local network": "yynnnnny",
            "resolver tls://9.9.9.9:853": "nnyynnny",
            "hop 1": "yynnnnny",
            "hop 2": "nnyyppny",
            "line behind the exit": "nnyyppny",
            "destination": "nnyyyyny",
        },
    ),
    (
        "names looked up here, in the clear behind the exit",
        chained(A, S, names="here", sets=('resolve.servers=["udp://9.9.9.9"]',)),
        {
            "local network": "yynnnnny",
            "resolver udp://9.9.9.9:53": "nnyynnny",
            "hop 1": "yynnnnny",
            "hop 2": "nnyyppny",
            "line behind the exit": "nnyyppny",
            "destination": "nnyyyyny",
        },
    ),
    (
        "a first hop by name",
        chained("https://a.example:443", sets=('resolve.servers=["udp://9.9.9.9"]',)),
        {"local network": "yynnnnny", "resolver udp://9.9.9.9:53": "yynnnnny", "hop 1": "yyyyppny", **BEHIND},
    ),
    (
        "a first hop here by a fixed name, the resolver here too",
        chained(TOR, "socks5://b.example", sets=('resolve.servers=["udp://127.0.0.1"]',)),
        {"local network": "nnnnnnnn", "hop 1": "yyynppny", "hop 2": "nnyyppny", **BEHIND},
    ),
    (
        "a resolver for the target that is asked for a first hop too",
        chained(
            "https://a.example:443", names="here", sets=('resolve.servers=["tls://9.9.9.9#dns.quad9.net"]',)
        ),
        {
            "local network": "yynnnnny",
            "resolver tls://9.9.9.9:853": "yyyynnny",
            "hop 1": "yyyyppny",
            "line behind the exit": "nnyyppny",
            "destination": "nnyyyyny",
        },
    ),
    (
        "by a pool with a member that is direct",
        chained([S, "direct"], sets=('resolve.servers=["tls://9.9.9.9#dns.quad9.net"]',)),
        {
            "local network": "yyyyppny",
            "resolver tls://9.9.9.9:853": "yyyynnny",
            "hop 1": "yyyyppny",
            **BEHIND,
            "destination": "yyyyyyny",
        },
    ),
    (
        "by a chain that is direct",
        chained("direct", sets=('resolve.servers=["tls://9.9.9.9#dns.quad9.net"]',)),
        {"local network": "yyyyppny", "resolver tls://9.9.9.9:853": "yyyynnny", "destination": "yyyyyyny"},
    ),
    (
        "by a listener that others reach",
        chained(A, S, sets=SHARED),
        {
            "line from the client": "yyynppny",
            "local network": "nynnnnny",
            "hop 1": "nynnnnny",
            "hop 2": "nnyyppny",
            **BEHIND,
            "control socket": "nynnnnny",
        },
    ),
    (
        "with hops' logins",
        chained("socks5://u:p@192.0.2.1", "https://u:p@192.0.2.2:443", "http://u:p@192.0.2.3:80"),
        {
            "local network": "yynnnnyy",
            "hop 1": "yynnnnyy",
            "hop 2": "nnynppyy",
            "hop 3": "nnyyppyy",
            **BEHIND,
        },
    ),
]


@pytest.mark.parametrize(("settings", "rows"), [one[1:] for one in TUNNELS], ids=[one[0] for one in TUNNELS])
def test_tunnels(settings: Config, rows: dict[str, str]) -> None:
    found = ask(settings, "example.org:443")
    assert found.refused is None
    assert letters(found) == HOME | rows


# Other targets, and other ways to ask. What is not here is as in the table above.
@pytest.mark.parametrize(
    ("settings", "target", "options", "rows"),
    [
        (config(), "1.2.3.4:443", {}, {"local network": "yynyppny", "destination": "yynyyyny"}),
        (
            chained(A),
            "1.2.3.4:443",
            {},
            {"local network": "yynyppny", "hop 1": "yynyppny", "line behind the exit": "nnnyppny"},
        ),
        (
            chained(A, B),
            "https://example.org/",
            {},
            {"hop 1": "yyynnnny", "hop 2": "nnyynnny", "destination": "nnyyyyny"},
        ),
        (
            chained(A, B),
            "http://example.org/",
            {},
            {"hop 1": "yyynyyny", "hop 2": "nnyyyyny", "destination": "nnyyyyny"},
        ),
        (chained(A), "http://example.org/", {"protocol": "socks5"}, {"hop 1": "yyyyyyny"}),
        (
            chained(A, sets=("scrub.profile=strict", *SHARED)),
            "http://example.org/",
            {},
            # The client's line has what is not scrubbed yet.
            {"line from the client": "yyynyyny", "hop 1": "nyyyynny", "destination": "nnyyynny"},
        ),
        (
            chained(A, sets=("scrub.profile=strict",)),
            "http://example.org/",
            {"protocol": "connect"},
            {"hop 1": "yyyyyyny", "destination": "nnyyyyny"},
        ),
        (
            chained(A, sets=('scrub.rules=[{drop=["Cookie", "Authorization"]}]',)),
            "http://example.org/",
            {},
            {"hop 1": "yyyyynny"},
        ),
        (
            chained(A, sets=('scrub.rules=[{drop=["Cookie"]}]',)),
            "http://example.org/",
            {},
            {"hop 1": "yyyyyyny"},
        ),
        (
            chained(TOR, overlays=("onion",)),
            "http://a.onion/",
            {},
            {"local network": "nnnnnnnn", "hop 1": "yyynyyny", "destination": "nnynyyny"},
        ),
        (config('policy.allow_private=["127.0.0.0/8"]'), "127.0.0.1:80", {}, {"local network": "nnnnnnnn"}),
        (config('resolve.servers=["system"]'), "example.org:80", {}, {"resolver system": "yyyynnny"}),
        (
            config('resolve.servers=["udp://127.0.0.1"]'),
            "example.org:80",
            {},
            {"resolver udp://127.0.0.1:53": "yyyynnny"},
        ),
        (
            config('resolve.zones={"lab.internal"="udp://192.168.1.1"}'),
            "a.lab.internal:80",
            {},
            {"resolver udp://192.168.1.1:53": "yyyynnny"},
        ),
        (config("log.names=true"), "example.org:443", {}, {"log file": "ynynnnny"}),
        (config("log.names=true"), "1.2.3.4:443", {}, {"log file": "ynnynnny"}),
        (config("log.names=true", "log.level=error"), "example.org:443", {}, {"log file": "nnnnnnnn"}),
        (config("log.level=debug"), "example.org:443", {}, {"log file": "nnnnnnny"}),
    ],
)
def test_targets_and_settings(
    settings: Config, target: str, options: dict[str, str], rows: dict[str, str]
) -> None:
    found = ask(settings, target, **options)
    assert found.refused is None
    assert {name: letters(found)[name] for name in rows} == rows
