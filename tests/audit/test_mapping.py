"""The config in the laboratory: the same addresses, other secrets, and what cannot be played is said."""

import ipaddress
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from anongw.audit.mapping import CLIENT, INSIDE, NEAR, USERS_PASSWORD, Mapped, Unmappable, mapped
from anongw.audit.written import toml
from anongw.config import Config, load
from anongw.lab.certificates import Authority
from anongw.users import hash_password
from tests.support.laboratory import two_hops

Lay = Callable[..., Mapped]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture
def laid(tmp_path: Path, authority: Authority) -> Lay:
    def lay(*sets: str, chain: Path | None = None, text: str = "") -> Mapped:
        path = None
        if text:
            path = tmp_path / "config.toml"
            path.touch(0o600)
            path.write_text(text)
        return mapped(load(path, sets, chain=chain), tmp_path, authority)

    return lay


def test_no_login_of_the_users_is_used(laid: Lay, tmp_path: Path) -> None:
    found = laid(chain=two_hops(tmp_path))
    first, second = (one for one in found.stand_ins())
    assert first.users == {"canary-hop-user-1-n": "canary-hop-password-1-n"}
    assert second.users == {"canary-hop-user-2-n": "canary-hop-password-2-n"}
    members = [hop.members[0] for hop in found.config.chains["two"].hop]
    assert [member.user for member in members] == ["canary-hop-user-1-n", "canary-hop-user-2-n"]
    assert all(member.url.password is None for member in members)


def test_addresses_stay_and_names_get_one(laid: Lay, tmp_path: Path) -> None:
    found = laid(chain=two_hops(tmp_path))
    first, second = found.stand_ins()
    assert first.place == ("192.0.2.10", 1080)
    assert found.records == {"second.example": second.place[0]}
    assert {"192.0.2.10/32", f"{second.place[0]}/32"} <= set(found.plan.outside)
    assert (second.scheme, second.certificate) == ("https", "second.example")
    assert found.config.chains["two"].hop[1].members[0].ca_file


def test_a_pin_stays_a_pin(laid: Lay, tmp_path: Path) -> None:
    chain = tmp_path / "pinned.toml"
    chain.write_text(f'[[hop]]\nurl = "https://192.0.2.1:443"\npin = "sha256/{"A" * 43}="\n')
    member = laid(chain=chain).config.chains["pinned"].hop[0].members[0]
    assert member.pin.startswith("sha256/")
    assert member.pin != f"sha256/{'A' * 43}="
    assert member.ca_file == ""


def test_a_hop_on_this_machine_stays_there(laid: Lay) -> None:
    found = laid('chains.tor={hop=[{url="socks5://127.0.0.1:9050"}]}')
    (tor,) = found.stand_ins()
    assert tor.where == "gateway"
    assert not any(one.startswith("127.") for one in found.plan.outside)


def test_listeners(laid: Lay) -> None:
    found = laid(
        'listen.addresses=["127.0.0.1:1080", "0.0.0.0:0", "192.168.7.1:1080", "unix:/run/some.sock"]',
        'listen.clients=["127.0.0.0/8", "192.168.7.0/24"]',
    )
    near, everywhere, there, local = found.listeners
    assert (near.target, near.client, near.where) == (("127.0.0.1", 1080), NEAR, "gateway")
    assert (everywhere.target, everywhere.where) == ((INSIDE, 18081), "client")
    assert ipaddress.ip_address(everywhere.client) in ipaddress.ip_network("192.168.7.0/24")
    assert there.target == ("192.168.7.1", 1080)
    assert isinstance(local.target, Path)
    assert local.text == f"unix:{local.target}"
    assert found.config.listen.addresses == tuple(one.text for one in found.listeners)


def test_users_are_others_of_the_same_number_and_routes_know_them(laid: Lay) -> None:
    of_theirs = hash_password("what the user really has")
    found = laid(
        text=f'route = [{{identity = ["alice"], to = "direct"}}, {{to = "refuse"}}]\n'
        f'[users]\nalice = "{of_theirs}"\nbob = "{of_theirs}"\n'
    )
    assert list(found.config.users) == ["canary-member-0-x", "canary-member-1-x"]
    assert found.config.route[0].identity == ("canary-member-0-x",)
    assert of_theirs not in {one.reveal() for one in found.config.users.values()}
    assert USERS_PASSWORD


def test_identities_keep_their_ways_and_are_renamed_with_their_users(laid: Lay) -> None:
    theirs = hash_password("what the user really has")
    alice = f'[identities.alice]\nto = "refuse"\nbytes_a_day = "1MiB"\n[users]\nalice = "{theirs}"\n'
    for text in (alice, 'route = [{to = "direct"}]\n' + alice):
        found = laid(text=text)
        assert list(found.config.identities) == ["canary-member-0-x"]
        assert found.config.identities["canary-member-0-x"].bytes_a_day == 0
        assert [(one.identity, one.to) for one in found.config.route] == [
            (("canary-member-0-x",), "refuse"),
            ((), "direct"),
        ]
        assert load_again(found).route == found.config.route


def load_again(found: Mapped) -> Config:
    """What the gateway there makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "anongw.toml"
        path.touch(0o600)
        path.write_text(toml(found.config, Path(folder)))
        return load(path)


def test_resolvers_stay_where_they_are_and_system_ones_are_said(laid: Lay) -> None:
    assert list(laid().resolvers) == list(load(None).resolve.servers)
    found = laid('resolve.servers=["system"]')
    assert found.config.resolve.servers == ("udp://20.77.0.53",)
    assert any("system" in note for note in found.notes)


def test_waits_are_cut_and_that_is_said(laid: Lay) -> None:
    found = laid('chains.a={timeout="60s", hop_timeout="200ms", hop=[{url="socks5://192.0.2.1"}]}')
    assert (found.config.chains["a"].timeout, found.config.chains["a"].hop_timeout) == (4.0, 0.2)
    assert any("waits are cut" in note for note in found.notes)


def test_an_interface_is_the_cable_outward(laid: Lay) -> None:
    found = laid('egress.interface="wg0"', 'egress.source=["10.2.0.9"]')
    assert found.plan.outward == "wg0"
    assert "10.2.0.9/32" in found.plan.own


def test_a_client_of_an_inside_listener_is_the_usual_one(laid: Lay) -> None:
    found = laid('listen.addresses=["0.0.0.0:1080"]', 'listen.clients=["0.0.0.0/0"]')
    assert found.listeners[0].client == CLIENT


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ('chains.a={hop=[{url="socks5://20.77.0.9"}]}', "own addresses"),
        ('chains.a={hop=[{url="socks5://224.0.0.1"}]}', "no laboratory"),
        ('egress.interface="lo"', "for something else"),
        ('listen.clients=["2001:db8::/32"]', "lets nobody in"),
    ],
)
def test_what_cannot_be_played_is_said(setting: str, says: str, laid: Lay) -> None:
    with pytest.raises(Unmappable, match=says):
        laid(setting)
