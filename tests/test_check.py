"""What a config would do, in words; what other rooms find wrong with it; which consequences are told."""

from pathlib import Path

import pytest

from anongw import check
from anongw.config import Config, ConfigError, load

HASH = f"$scrypt$ln=14,r=8,p=1${'A' * 22}${'B' * 43}"
HOP = 'chains.one.hop=[{url="socks5://192.0.2.1"}]'
SPLIT = 'route=[{target=["onion"], to="one"}, {to="direct"}]'


def config(*sets: str) -> Config:
    return load(None, sets, also=check.faults)


def said(*sets: str) -> str:
    return "\n".join(check.explain(config(*sets)))


@pytest.mark.parametrize(
    ("setting", "path", "message"),
    [
        ('resolve.servers=["https://dns.quad9.net/"]', "resolve.servers[0]", "named by its address"),
        ('resolve.servers=["system", "udp://9.9.9.9"]', "resolve.servers", '"system" alone'),
        ('resolve.zones.lan="nonsense"', "resolve.zones.lan", "is no resolver"),
        ("resolve.ca_file=/nowhere/ca.pem", "resolve.ca_file", "is no file that can be read"),
        ('scrub.rules=[{drop=["a b"]}]', "scrub.rules[0].drop", "is not a header name"),
        ('scrub.rules=[{}, {host="*.a.test"}]', "scrub.rules[1].host", 'write "a.test"'),
        ("limits.connections=99999999", "limits.connections", "raise the hard limit"),
    ],
)
def test_faults_that_other_rooms_find(setting: str, path: str, message: str) -> None:
    load(None, [setting])  # by itself the config cannot tell
    with pytest.raises(ConfigError) as caught:
        config(setting)
    assert caught.value.path == path
    assert message in caught.value.message


@pytest.mark.parametrize(
    "servers",
    ['["system"]', '["udp://192.168.1.1"]', '["udp://127.0.0.1", "udp://[fd00::1]"]'],
)
def test_resolvers_of_this_network_mean_nothing_at_the_far_end(servers: str) -> None:
    config(f"resolve.servers={servers}", HOP)
    with pytest.raises(ConfigError) as caught:
        config(f"resolve.servers={servers}", HOP, "chains.one.names=here")
    assert caught.value.path == "chains.one.names"
    assert "resolve.servers has none that means anything at the far end" in caught.value.message
    assert 'names = "exit"' in caught.value.message


@pytest.mark.parametrize(
    "servers", ['["udp://9.9.9.9"]', '["tcp://192.168.1.1"]', '["udp://192.168.1.1", "tls://9.9.9.9"]']
)
def test_one_that_means_something_there_is_enough(servers: str) -> None:
    config(f"resolve.servers={servers}", HOP, "chains.one.names=here")


def test_they_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "anongw.toml"
    path.write_text('[[scrub.rules]]\nhost = "a.test"\n[[scrub.rules]]\ndrop = ["a b"]\n')
    with pytest.raises(ConfigError) as caught:
        load(path, also=check.faults)
    assert caught.value.line == 4


def test_the_defaults() -> None:
    lines = check.explain(config())
    assert [line.split()[0] for line in lines] == [
        "listens",
        "serves",
        "routes",
        "names",
        "goes",
        "clients",
        "scrubs",
        "limits",
        "logs",
    ]
    text = "\n".join(lines)
    for part in (
        "127.0.0.1:1080",
        "this machine's programs",
        "dns.quad9.net by HTTPS, cloudflare-dns.com by HTTPS",
        "routes    everything: directly, from this machine's address",
        "every public address",
        "SOCKS by a public address is counted and warned of",
        "profile balanced",
        "idle tunnels 2h",
        "without names",
    ):
        assert part in text
    assert len(lines) <= 11
    assert check.warnings(config()) == ["with no chain every destination sees this machine's address"]


@pytest.mark.parametrize(
    ("sets", "part"),
    [
        ((f"users.bob={HASH}",), "1 users, by password"),
        (('listen.addresses=["0.0.0.0:1"]', 'listen.clients=["10.0.0.0/8"]'), "everybody from 10.0.0.0/8"),
        (('resolve.servers=["system"]',), "this machine's name servers"),
        (
            ('resolve.servers=["udp://9.9.9.9"]', 'resolve.zones.lan="system"'),
            "9.9.9.9 by UDP (in the clear), 1 zones elsewhere",
        ),
        (('resolve.hosts."a.test"=["192.0.2.1"]',), "1 hosts fixed"),
        (('policy.allow=["example.org"]',), "goes to   example.org"),
        (('policy.deny=["*:25", "a", "b", "c", "d", "e", "f"]',), "never to *:25, a, b, c, d and 2 more"),
        (('policy.allow_private=["10.0.0.0/8"]',), "and to private 10.0.0.0/8"),
        (("policy.safe_socks=off",), "clients   SOCKS by a public address is taken without a word"),
        (("policy.safe_socks=reject",), "SOCKS by a public address is refused: only names are taken"),
        (("scrub.profile=strict",), "SOCKS by a public address is refused: only names are taken"),
        (("scrub.profile=strict", "policy.safe_socks=warn"), "counted and warned of"),
        (
            ('identities.alice={renew="1h", connections=3, bytes_a_day="1GiB", persona="tool"}',),
            "identity  alice: a new epoch every 1h; 3 connections at once; 1GiB a day; looks like tool",
        ),
        (("identities.alice.to=refuse", "identities.bob={}"), "alice: goes by refuse\n          bob: as all"),
        (('scrub.rules=[{drop=["X-A"]}]', "scrub.profile=strict"), "profile strict, 1 rules of your own"),
        (("limits.connections=8",), "8 connections, 6 for one client"),
        (("limits.per_client=5",), " 5 for one client"),
        (("log.names=true", "log.level=debug"), "level debug, WITH names"),
        (("egress.interface=lo",), "egress    leaves by lo or not at all"),
        ((HOP,), "routes    everything: through one"),
        (
            (HOP,),
            "chain     one: 1 socks5 192.0.2.1:1080\n          names are told to the exit; both families",
        ),
        ((HOP,), "names     told to the exit of one"),
        ((HOP, "chains.one.names=here"), "by HTTPS through one"),
        ((HOP, SPLIT), "routes    onion: through one\n          everything else: directly"),
        ((HOP, SPLIT), "cloudflare-dns.com by HTTPS, by the gateway itself; told to the exit of one"),
        ((HOP, 'route=[{to="refuse"}]'), "names     nobody is asked"),
        (('chains.one.hop=[{url="direct"}]',), "names     asked of dns.quad9.net by HTTPS"),
        (('chains.one.hop=[{url="https://h.example:1"}]',), "names of first hops are asked of dns.quad9.net"),
    ],
)
def test_each_setting_is_told(sets: tuple[str, ...], part: str) -> None:
    assert part in said(*sets)


@pytest.mark.parametrize(
    ("sets", "part"),
    [
        (('resolve.servers=["system"]',), "this machine's name servers see every name"),
        (('resolve.servers=["udp://9.9.9.9"]',), "in the clear"),
        (('resolve.zones.lan="tcp://9.9.9.9"',), "in the clear"),
        (
            ('listen.addresses=["0.0.0.0:1"]', f"users.bob={HASH}"),
            "passwords come to a listener in the clear",
        ),
        ((f"users.bob={HASH}",), "SOCKS4 has no passwords"),
        (('policy.allow_private=["::/0"]',), "reach this machine"),
        (("limits.idle=1h",), "below 2h"),
        (("log.names=true",), "browsing history"),
        (("identities.a.connections=1",), "identities.a: without [users] its budget binds only"),
        (("policy.safe_socks=off",), "policy.safe_socks: off says nothing of clients"),
        (("policy.safe_socks=reject",), "SOCKS clients that send addresses are refused, also where"),
        (("scrub.profile=strict",), "are refused (the profile strict has it so)"),
        (("scrub.profile=open",), "one browser from another"),
        (('resolve.hosts."a.test"=["192.168.1.1"]',), "a.test leads to a private address"),
        (('chains.one.hop=[{urls=["https://192.0.2.1:1", "direct"]}]',), "MAY GO DIRECTLY"),
        (
            ("egress.interface=nowhere0",),
            "egress: there is no interface nowhere0; until then what leaves by it",
        ),
        ((HOP, "chains.one.egress.source=['192.0.2.99']"), "chains.one.egress: 192.0.2.99 is no address of"),
    ],
)
def test_consequences_are_told(sets: tuple[str, ...], part: str) -> None:
    assert [one for one in check.warnings(config(*sets)) if part in one]


@pytest.mark.parametrize(
    ("sets", "part"),
    [
        (('resolve.zones.lan="udp://192.168.1.1"',), "in the clear"),
        (
            ('resolve.hosts."a.test"=["192.168.1.1"]', 'policy.allow_private=["192.168.0.0/16"]'),
            "private address",
        ),
        ((f"users.bob={HASH}",), "in the clear"),
        (("limits.idle=2h",), "limits.idle"),
        ((HOP,), "with no chain"),
        (("egress.interface=lo", "egress.source=['127.0.0.1']"), "egress"),
    ],
)
def test_and_not_where_there_are_none(sets: tuple[str, ...], part: str) -> None:
    assert not [one for one in check.warnings(config(*sets)) if part in one]


def test_what_is_hidden_and_what_is_not_in_three_lines() -> None:
    hidden, shown, names = check.hidden(config("scrub.profile=strict", 'resolve.servers=["tls://9.9.9.9"]'))
    assert "profile strict" in hidden
    assert "sees this machine's address" in shown
    assert "SOCKS and TLS pass as is" in shown
    assert "9.9.9.9 by TLS" in names


@pytest.mark.parametrize(
    ("sets", "parts"),
    [
        (
            (HOP,),
            [
                "Not hidden: what is inside SOCKS and TLS",
                "one: socks5://192.0.2.1:1080 sees this machine's address and where you go",
                "Names: told to the exit of one.",
            ],
        ),
        (
            (HOP, SPLIT),
            [
                "one: socks5://192.0.2.1:1080 sees",
                "Not hidden: what a route sends DIRECTLY",
                "by the gateway itself; told to the exit of one.",
            ],
        ),
        (('route=[{to="refuse"}]',), ["Not hidden: what is inside", "Names: nobody is asked."]),
    ],
)
def test_what_chains_hide(sets: tuple[str, ...], parts: list[str]) -> None:
    lines = check.hidden(config(*sets))
    assert "profile balanced" in lines[0]
    for part in parts:
        assert any(part in line for line in lines[1:]), part
    assert not any("with no chain" in line for line in lines)


def test_no_line_shows_a_hash() -> None:
    mine = config(f"users.bob={HASH}")
    assert "BBB" not in "\n".join([*check.explain(mine), *check.warnings(mine), *check.hidden(mine)])


@pytest.mark.parametrize(
    ("sets", "path", "message"),
    [
        (("limits.password_queue=3",), "limits.password_queue", "which are 4: write at least that"),
        (("resolve.queries_most=1",), "resolve.queries_most", "which are 4: write at least that"),
        (
            (f"chains.one.hop=[{{urls={[f'socks5://192.0.2.{n}' for n in range(9)]}, pick=9}}]",),
            "chains.one.hop[0].pick",
            "at most 8",
        ),
    ],
)
def test_what_workers_cannot_share(sets: tuple[str, ...], path: str, message: str) -> None:
    config(*sets)
    with pytest.raises(ConfigError) as caught:
        config("listen.workers=4", *sets)
    assert caught.value.path == path
    assert message in caught.value.message


def test_what_workers_mean_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert "workers" not in said() + "\n".join(check.warnings(config()))
    two = config("listen.workers=2")
    assert "HTTP, by 2 workers" in "\n".join(check.explain(two))
    notes = "\n".join(check.warnings(two))
    assert "divided among 2 are pipe_bytes, upstream_kept" in notes
    assert "more than" not in notes
    assert "more than the 2 cores" in "\n".join(check.warnings(config("listen.workers=3")))
