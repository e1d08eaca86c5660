"""What no single value of chains and routes shows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from anongw.config import Config, ConfigError, load

HASH = f"$scrypt$ln=14,r=8,p=1${'A' * 22}${'B' * 43}"
HOP = 'hop = [{ url = "socks5://192.0.2.1" }]'
Read = Callable[[str], Config]
Faults = Callable[[str], list[tuple[str, str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reads(text: str) -> Config:
        (tmp_path / "a.toml").write_text(text)
        return load(tmp_path / "a.toml")

    return reads


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    def found(text: str) -> list[tuple[str, str]]:
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "a.toml")
        return [(fault.path, fault.message) for fault in caught.value.faults]

    return found


@pytest.mark.parametrize(
    "text",
    [
        HOP,
        'hop = [{ url = "direct" }]',
        'hop = [{ urls = ["socks5://192.0.2.1", "direct"] }]',
        'hop = [{ url = "socks4://192.0.2.1" }, { url = "socks5://h.example" }]',
        'hop = [{ url = "socks5://192.0.2.1" }, { url = "socks5://[2001:db8::1]" }]',
        'hop = [{ url = "socks5://192.0.2.1" }, { url = "socks5://localhost" }]',
        'hop = [{ url = "socks5://192.0.2.1" }, { url = "socks5://127.0.0.1:1080" }]',
        'hop = [{ url = "socks5://127.0.0.1:1081" }]',
        'hop = [{ urls = ["socks5://192.0.2.1", "socks5://192.0.2.2"], pick = 2 }]',
        f'{HOP}\nprobe = {{ target = "[2001:db8::1]:443" }}',
        f'{HOP}\nprobe = {{ target = "example.org:443" }}',
        f"{HOP}\nhealth = {{ hold = '5m', hold_most = '5m', early = 0 }}",
        f'{HOP}\negress = {{ interface = "enp0s31f6.1234-", mark = 4294967295 }}',
        f'{HOP}\negress = {{ source = ["10.0.0.2", "fd00::1"] }}',
        'hop = [{ url = "socks5://127.0.0.1:9050" }]\negress = { interface = "lo" }',
        'hop = [{ url = "socks4://192.0.2.1" }]\nfamily = "ipv6"',
    ],
)
def test_chains_that_are_right(read: Read, text: str) -> None:
    assert read(f"[chains.one]\n{text}").chains["one"].hop


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("", "hop", "name at least one"),
        ("hop = []", "hop", "name at least one"),
        ('hop = [{ url = "socks5://192.0.2.1", pick = 2 }]', "hop[0].pick", "picks 2 of 1 members"),
        ('hop = [{ url = "direct" }, { url = "socks5://h" }]', "hop[0]", "cannot stand in a row with hops"),
        ('hop = [{ url = "socks5://192.0.2.1" }, { url = "direct" }]', "hop[1]", "cannot stand in a row"),
        (
            'hop = [{ urls = ["socks5://192.0.2.1", "socks5://192.0.2.2", "direct"], pick = 2 }]',
            "hop[0]",
            "cannot stand in a row",
        ),
        ('hop = [{ url = "direct" }]\noverlays = ["onion"]', "overlays", "direct is none"),
        (
            'hop = [{ url = "socks4://192.0.2.1" }, { urls = ["socks5://h", "socks5://[2001:db8::1]"] }]',
            "hop[0]",
            "SOCKS4 carries no IPv6",
        ),
        (
            'hop = [{ urls = ["socks4://192.0.2.1", "socks5://[2001:db8::1]"], pick = 2 }]',
            "hop[0]",
            "SOCKS4 carries no IPv6",
        ),
        (
            'hop = [{ url = "socks4://192.0.2.1" }]\nfamily = "ipv6"\nnames = "here"',
            "family",
            "the exit is SOCKS4",
        ),
        (f"{HOP}\ntimeout = 0", "timeout", "must be longer than nothing"),
        (f"{HOP}\nhop_timeout = '0s'", "hop_timeout", "must be longer than nothing"),
        (f"{HOP}\nhealth = {{ hold = 0 }}", "health.hold", "must be longer than nothing"),
        (f"{HOP}\nhealth = {{ hold = '6m' }}", "health.hold_most", "is shorter than hold, which is 6m"),
        (f"{HOP}\nprobe = {{ every = 0 }}", "probe.every", "must be longer than nothing"),
        (f'{HOP}\nprobe = {{ target = "example.org" }}', "probe.target", 'write "example.org:443"'),
        (f'{HOP}\nprobe = {{ target = "2001:db8::1:443" }}', "probe.target", "IPv6 in brackets"),
        (f'{HOP}\nprobe = {{ target = "[h]:443" }}', "probe.target", 'write "example.org:443"'),
        (f'{HOP}\nprobe = {{ target = "a b:443" }}', "probe.target", 'write "example.org:443"'),
        (f'{HOP}\nprobe = {{ target = "h:0" }}', "probe.target", 'write "example.org:443"'),
        (f'{HOP}\negress = {{ interface = "{"a" * 16}" }}', "egress.interface", "up to 15 signs"),
        (f'{HOP}\negress = {{ interface = "a/b" }}', "egress.interface", "is no interface"),
        (f'{HOP}\negress = {{ interface = "a:0" }}', "egress.interface", "is no interface"),
        (f'{HOP}\negress = {{ interface = "a b" }}', "egress.interface", "is no interface"),
        (f'{HOP}\negress = {{ interface = ".." }}', "egress.interface", "is no interface"),
        (f'{HOP}\negress = {{ source = ["10.0.0.2", "h"] }}', "egress.source[1]", "is no address"),
        (f'{HOP}\negress = {{ source = ["0.0.0.0"] }}', "egress.source[0]", "is no address"),
        (f'{HOP}\negress = {{ source = ["224.0.0.1"] }}', "egress.source[0]", "is no address"),
        (f'{HOP}\negress = {{ source = ["fe80::1%eth0"] }}', "egress.source[0]", "is no address"),
        (f'{HOP}\negress = {{ source = ["::ffff:10.0.0.2"] }}', "egress.source[0]", "is no address"),
        (
            f'{HOP}\negress = {{ source = ["10.0.0.2", "10.0.0.3"] }}',
            "egress.source[1]",
            "is a second one for IPv4",
        ),
        (f"{HOP}\negress = {{ mark = 4294967296 }}", "egress.mark", "from 0 to 4294967295"),
        ('hop = [{ url = "socks5://localhost:9050" }]', "hop[0]", "write 127.0.0.1 or [::1]"),
        ('hop = [{ url = "socks5://127.0.0.1" }]', "hop[0]", "this gateway's own listener"),
        ('hop = [{ urls = ["socks5://192.0.2.1", "http://127.0.0.1:1080"] }]', "hop[0]", "own listener"),
        (
            'hop = [{ url = "socks5://127.0.0.1:9050" }]\negress = { interface = "wg0" }',
            "egress",
            "no way leads there by wg0",
        ),
    ],
)
def test_faults_of_chains(faults: Faults, text: str, path: str, says: str) -> None:
    ((where, what),) = faults(f"[chains.one]\n{text}")
    assert where == f"chains.one.{path}"
    assert says in what


def test_a_listener_on_every_address_is_one_on_loopback(faults: Faults) -> None:
    listen = '[listen]\naddresses = ["0.0.0.0:1081"]\nclients = ["10.0.0.0/8"]\n'
    ((where, _),) = faults(f'{listen}[[chains.one.hop]]\nurl = "socks5://127.0.0.2:1081"')
    assert where == "chains.one.hop[0]"


@pytest.mark.parametrize("name", ["direct", "refuse", "", "a" * 65, "a\\u0007b"])
def test_names_that_no_chain_may_have(faults: Faults, name: str) -> None:
    found = faults(f'[chains."{name}"]\n{HOP}\n[[route]]\nto = "direct"')
    assert len(found) == 1
    assert "another name" in found[0][1] or "1 to 64 signs" in found[0][1]


def test_the_way_out_of_the_config_is_everybodys_but_of_who_has_one(read: Read) -> None:
    config = read(
        f"[egress]\nmark = 5\n[chains.one]\n{HOP}\n[chains.two]\n{HOP}\negress = {{}}\n"
        f'[chains.three]\n{HOP}\negress = {{ mark = 6 }}\n[[route]]\nto = "one"'
    )
    assert config.egress.mark == 5
    assert [chain.egress.mark for chain in config.chains.values()] == [5, 0, 6]


def test_an_interface_leads_to_no_hop_on_this_machine_unless_the_chain_has_its_own(
    read: Read, faults: Faults
) -> None:
    text = '[egress]\ninterface = "wg0"\n[chains.tor]\nhop = [{ url = "socks5://127.0.0.1:9050" }]'
    ((where, what),) = faults(text)
    assert where == "chains.tor.egress"
    assert "write an [egress] of its own" in what
    read(f"{text}\negress = {{}}")


ROUTES = f'[chains.tor]\n{HOP}\n[listen]\naddresses = ["127.0.0.1:1081", "unix:/run/a", "127.0.0.1:0"]\n'
LAST = '[[route]]\nto = "refuse"'


def test_routes_that_are_right(read: Read) -> None:
    config = read(
        f"{ROUTES}[users]\nalice = '{HASH}'\n"
        '[[route]]\ntarget = ["*:25"]\nto = "refuse"\n'
        '[[route]]\nlistener = ["127.0.0.1:1081", "unix:/run/a"]\nidentity = ["alice"]\nto = "tor"\n'
        '[[route]]\nprotocol = ["http"]\nto = "direct"\n'
        '[[route]]\ntarget = ["*"]\nto = "tor"'
    )
    assert [route.to for route in config.route] == ["refuse", "tor", "direct", "tor"]


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("route = []", "route", "the last [[route]] has no conditions"),
        ('[[route]]\ntarget = ["onion"]\nto = "tor"', "route[0]", "the last [[route]] has no conditions"),
        ('[[route]]\nto = "tor"\n[[route]]\nto = "tor"', "route[0]", "none of the routes after it"),
        (
            f'[[route]]\ntarget = ["onion", "*"]\nto = "tor"\n{LAST}',
            "route[0]",
            "none of the routes after it is ever used",
        ),
        ('[[route]]\nto = "tro"', "route[0].to", 'did you mean "tor"?'),
        ('[[route]]\nto = "Direct"', "route[0].to", 'did you mean "direct"?'),
        ("[[route]]\nto = ''", "route[0].to", "known here: tor, direct, refuse"),
        ("[[route]]", "route[0].to", "known here: tor, direct, refuse"),
        (
            f'[[route]]\nlistener = ["127.0.0.1:1081", "127.0.0.1:1080"]\nto = "tor"\n{LAST}',
            "route[0].listener[1]",
            'did you mean "127.0.0.1:1081"?',
        ),
        (
            f'[[route]]\nlistener = ["127.0.0.1:0"]\nto = "tor"\n{LAST}',
            "route[0].listener[0]",
            "port 0 is another one at each start",
        ),
        (
            f'[[route]]\nprotocol = ["socks"]\nto = "tor"\n{LAST}',
            "route[0].protocol[0]",
            'did you mean "socks5"',
        ),
        (f"identities.work.to = 'tro'\n{LAST}", "identities.work.to", 'did you mean "tor"?'),
        (f'[[route]]\ntarget = ["*.onion"]\nto = "tor"\n{LAST}', "route[0].target[0]", 'write "onion"'),
        (f'[[route]]\nvia = "tor"\nto = "tor"\n{LAST}', "route[0].via", "no such key"),
    ],
)
def test_faults_of_routes(faults: Faults, text: str, path: str, says: str) -> None:
    # Keys of the whole file come first in it.
    both = f"{text}\n{ROUTES}" if text.startswith(("route", "identities")) else f"{ROUTES}{text}"
    ((where, what),) = faults(both)
    assert where == path
    assert says in what


def test_a_user_that_nobody_knows_could_never_match(read: Read, faults: Faults) -> None:
    route = f'[[route]]\nidentity = ["alice"]\nto = "tor"\n{LAST}'
    read(f"{ROUTES}{route}")  # without users, everybody says who they are
    ((where, what),) = faults(f"{ROUTES}[users]\nbob = '{HASH}'\n{route}")
    assert (where, what) == ("route[0].identity[0]", "there is no such user in [users]")


def test_the_way_out_of_the_config_is_looked_at_too(faults: Faults) -> None:
    assert [path for path, _ in faults('[egress]\ninterface = "a b"\nsource = ["h"]')] == [
        "egress.interface",
        "egress.source[0]",
    ]
