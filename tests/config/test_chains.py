"""The fields of chains and routes: as a chain's file has them, and explained."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from anongw.config import Chain, ConfigError, Control, Egress, Health, Probe, Route, Rule, load
from anongw.config.example import texts
from anongw.config.hop_tables import HopTable, MemberTable
from anongw.config.values import Seconds

Read = Callable[[str], Chain]
HOP = '[[hop]]\nurl = "socks5://127.0.0.1:9050"\n'


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reads(text: str) -> Chain:
        (tmp_path / "one.toml").write_text(text)
        return load(None, chain=tmp_path / "one.toml").chains["one"]

    return reads


@pytest.mark.parametrize("kind", [Chain, Egress, Health, Probe, Route, Control, MemberTable, HopTable])
def test_every_field_is_explained_and_has_a_default(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.forbid_unknown_fields
    explained = texts()[kind.__name__]
    assert len(explained[""]) > 20
    for field in msgspec.structs.fields(kind):
        assert not field.required
        if field.name not in ("health", "probe", "hop"):  # tables, which explain themselves
            assert len(explained[field.name]) > 20, field.name


def test_the_least_is_the_defaults(read: Read) -> None:
    chain = read(HOP)
    assert msgspec.structs.replace(chain, hop=()) == Chain()


def test_everything(read: Read) -> None:
    chain = read(
        """
        family = "ipv4"
        names = "here"
        overlays = ["onion", "i2p", "alt"]
        tries = 5
        timeout = "1m"
        hop_timeout = "500ms"
        [egress]
        interface = "wg0"
        source = ["10.0.0.2", "fd00::2"]
        mark = 51
        [health]
        failures = 1
        hold = "1s"
        hold_most = "2s"
        successes = 4
        early = 0
        [probe]
        target = "example.org:443"
        every = "1h"
        [[hop]]
        url = "socks5://192.0.2.1"
        [[hop]]
        url = "http://192.0.2.2:8080"
        """
    )
    assert (chain.family, chain.names, chain.overlays) == ("ipv4", "here", ("onion", "i2p", "alt"))
    assert (chain.tries, chain.timeout, chain.hop_timeout) == (5, 60.0, 0.5)
    assert chain.egress == Egress(interface="wg0", source=("10.0.0.2", "fd00::2"), mark=51)
    assert chain.health == Health(failures=1, hold=1.0, hold_most=2.0, successes=4, early=0.0)
    assert chain.probe == Probe(target="example.org:443", every=3600.0)
    assert [str(hop.members[0].url) for hop in chain.hop] == [
        "socks5://192.0.2.1:1080",
        "http://192.0.2.2:8080",
    ]


@pytest.mark.parametrize(
    ("kind", "section"), [(Chain, ""), (Health, "[health]\n"), (Probe, "[probe]\n"), (Egress, "[egress]\n")]
)
def test_every_number_of_a_chain_can_be_set(read: Read, kind: type[msgspec.Struct], section: str) -> None:
    for field in msgspec.structs.fields(kind):
        seconds = field.type == Seconds
        if not seconds and not isinstance(field.default, int):
            continue
        line = f'{field.name} = "77s"\n' if seconds else f"{field.name} = 77\n"
        text = f"{line}{HOP}" if kind is Chain else f"{HOP}{section}{line}"
        if field.name == "hold":
            text += 'hold_most = "99s"\n'
        chain = read(text)
        holder = chain if kind is Chain else getattr(chain, section.strip("[]\n"))
        assert getattr(holder, field.name) == 77


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ('family = "ipv5"', "family", "must be one of any, ipv4, ipv6"),
        ('names = "their"', "names", 'did you mean "here"?'),
        ('overlays = ["onion", "onoin"]', "overlays[1]", 'did you mean "onion"?'),
        ("overlays = [5]", "overlays[0]", "must be text in quotes"),
        ("tries = 0", "tries", "must be a whole number from 1 up"),
        ("timeout = 30", "timeout", "a duration has a unit"),
        ("egress = 5", "egress", "must be a table"),
        ("[egress]\nmark = -1", "egress.mark", "must be a whole number from 0 up"),
        ("[health]\nfailure = 3", "health.failure", 'did you mean "failures"?'),
        ("hops = []", "hops", 'did you mean "hop"?'),
    ],
)
def test_faults(tmp_path: Path, text: str, path: str, says: str) -> None:
    file = tmp_path / "one.toml"
    hop = 'hop = [{ url = "socks5://127.0.0.1" }]\n'
    file.write_text(hop + text)
    with pytest.raises(ConfigError) as caught:
        load(None, chain=file)
    (fault,) = caught.value.faults
    assert (fault.path, fault.file, fault.line) == (path, str(file), len(text.splitlines()) + 1)
    assert says in fault.message


def test_routes(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        """
        [[route]]
        target = ["onion", "192.0.2.0/24", "*:25"]
        protocol = ["http", "connect", "socks5", "socks4"]
        listener = ["127.0.0.1:1080"]
        identity = ["alice"]
        to = "refuse"
        [[route]]
        to = "direct"
        """
    )
    first, last = load(tmp_path / "a.toml").route
    assert first.target == (Rule("onion"), Rule("192.0.2.0/24"), Rule("*:25"))
    assert first.protocol == ("http", "connect", "socks5", "socks4")
    assert (first.listener, first.identity, first.to) == (("127.0.0.1:1080",), ("alice",), "refuse")
    assert last == Route(to="direct")
    assert load(None).route == (Route(to="direct"),)
