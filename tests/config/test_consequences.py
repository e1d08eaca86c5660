"""Consequences of chains and routes: told where there are any, and not where there are none."""

from pathlib import Path

import pytest

from anongw.config import Config, load
from anongw.config.consequences import consequences

HASH = f"$scrypt$ln=14,r=8,p=1${'A' * 22}${'B' * 43}"
ONE = 'chains.one.hop=[{url="https://192.0.2.1:443"}]'
PLAIN = 'chains.one.hop=[{url="socks5://192.0.2.1"}]'
TOR = 'chains.one.hop=[{url="socks5://127.0.0.1:9050"}]'
SPLIT = 'route=[{target=["a.example"], to="one"}, {to="direct"}]'
USERS = (f"users.a={HASH}", f"users.b={HASH}")
LOGIN = '[[hop]]\nurl = "{}"\n'


def said(*sets: str) -> list[str]:
    return list(consequences(load(None, sets)))


def with_login(tmp_path: Path, *urls: str) -> Config:
    path = tmp_path / "one.toml"
    path.write_text("".join(LOGIN.format(url) for url in urls))
    return load(None, chain=path)


@pytest.mark.parametrize(
    ("sets", "part"),
    [
        ((), "with no chain every destination sees this machine's address"),
        ((ONE, SPLIT), "route[1]: everything else: directly, from this machine's address"),
        (
            ('chains.one.hop=[{urls=["https://192.0.2.1:1", "direct"]}]',),
            "chains.one: MAY GO DIRECTLY: where its proxies fail",
        ),
        ((ONE, 'route=[{target=["10.0.0.0/8"], to="refuse"}, {to="one"}]'), "route[0]: its ranges match"),
        ((ONE, 'route=[{identity=["a"], to="refuse"}, {to="one"}]'), "route[0]: without [users]"),
        ((ONE, "chains.two.hop=[{url='https://192.0.2.2:1'}]", 'route=[{to="one"}]'), "chains.two: no route"),
        ((ONE, 'resolve.zones.lan="udp://192.168.1.1"'), "resolve.zones: not asked for what goes through"),
        ((ONE, 'resolve.hosts."a.test"=["192.0.2.1"]'), "resolve.hosts: means nothing to one"),
        ((ONE, 'policy.deny=["192.0.2.0/24", "example.org"]'), "policy.deny: 192.0.2.0/24 can only speak of"),
        ((ONE, 'policy.allow=["192.0.2.0/24"]'), "policy.allow: 192.0.2.0/24 can only speak of"),
        (('chains.one.hop=[{url="https://h.example:1"}]',), "https://h.example:1 is looked up from here"),
        ((PLAIN,), "whoever is on the way to socks5://192.0.2.1:1080 can read where connections go"),
        (
            ('chains.one.hop=[{url="https://192.0.2.1:1"}, {url="socks5://h"}]',),
            "the first hop can read where connections go as well",
        ),
        ((ONE, *USERS), "isolation is off at https://192.0.2.1:443"),
        ((ONE, "identity.by_destination=true"), "isolation is off"),
        ((ONE, "identity.by_client=true"), "isolation is off"),
        ((ONE, 'listen.addresses=["127.0.0.1:1", "127.0.0.1:2"]'), "isolation is off"),
        ((ONE, 'listen.clients=["10.0.0.0/8"]'), "isolation is off"),
        ((ONE, "chains.one.probe.target=example.org:443"), "probes to example.org:443 can be seen"),
    ],
)
def test_consequences_are_told(sets: tuple[str, ...], part: str) -> None:
    assert [one for one in said(*sets) if part in one]


@pytest.mark.parametrize(
    ("sets", "part"),
    [
        ((ONE,), ""),
        ((TOR,), ""),
        ((ONE, "chains.one.names=here", 'policy.deny=["192.0.2.0/24"]'), "policy"),
        ((ONE, "chains.one.names=here", 'resolve.hosts."a.test"=["192.0.2.1"]'), "hosts"),
        ((ONE, 'policy.deny=["example.org", "*:25"]'), "policy"),
        (('resolve.zones.lan="udp://192.168.1.1"', 'policy.deny=["192.0.2.0/24"]'), "resolve"),
        ((ONE, 'route=[{identity=["a"], to="refuse"}, {to="one"}]', f"users.a={HASH}"), "route[0]"),
        (('chains.one.hop=[{url="socks5://192.0.2.1"}, {url="https://h.example:1"}]',), "can read"),
        (('chains.one.hop=[{url="socks5://192.0.2.1"}, {url="https://h.example:1"}]',), "looked up"),
        (('chains.one.hop=[{url="socks5://127.0.0.1:9050", isolation="tor"}]', *USERS), "isolation"),
        ((PLAIN, 'route=[{target=["a"], to="refuse"}, {to="one"}]'), "route"),
        ((PLAIN, 'route=[{to="direct"}]'), "whoever is on the way"),  # nothing goes there
    ],
)
def test_and_not_where_there_are_none(sets: tuple[str, ...], part: str) -> None:
    assert not [one for one in said(*sets) if part in one]


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        (["socks5://u:p@192.0.2.1"], ["socks5://192.0.2.1:1080"]),
        (["http://u:p@192.0.2.1:1"], ["http://192.0.2.1:1"]),
        (["socks4://u@192.0.2.1"], ["socks4://192.0.2.1:1080"]),
        (["https://u:p@192.0.2.1:1"], []),
        (["socks5://u:p@127.0.0.1:1"], []),
        (["socks5://192.0.2.1", "http://u:p@127.0.0.1:1"], ["http://127.0.0.1:1"]),  # another machine's
    ],
)
def test_logins_in_the_clear_are_told(tmp_path: Path, urls: list[str], told: list[str]) -> None:
    found = [one for one in consequences(with_login(tmp_path, *urls)) if "in the clear; https" in one]
    assert [one.split()[1].rstrip(":") for one in found] == told


def test_a_token_in_the_user_keeps_identities_apart(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    for user, linkable in (("u", True), ("u-%7Btoken%7D", False)):
        path.write_text(LOGIN.format(f"https://{user}:p@192.0.2.1:1"))
        sentences = list(consequences(load(None, USERS, chain=path)))
        assert any("isolation is off" in one for one in sentences) is linkable
