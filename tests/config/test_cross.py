"""What no single value shows."""

import pytest

from anongw.config import ConfigError, load

HASH = f"$scrypt$ln=14,r=8,p=1${'A' * 22}${'B' * 43}"
GUARDS = [f"users.bob={HASH}", 'listen.clients=["192.168.1.0/24"]']


@pytest.mark.parametrize(
    "address", ["0.0.0.0:1080", "[::]:1080", "192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:127.0.0.1]:1"]
)
def test_a_listener_that_others_reach_needs_users_or_clients(address: str) -> None:
    listen = f'listen.addresses=["127.0.0.1:1", "{address}"]'
    with pytest.raises(ConfigError) as caught:
        load(None, [listen])
    assert caught.value.path == "listen.addresses[1]"
    assert "other machines can reach" in caught.value.message
    for cure in ("[users]", "anongw passwd", "listen.clients", "127.0.0.1"):
        assert cure in caught.value.message
    for guard in GUARDS:
        load(None, [listen, guard])


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.8.9.10:1", "[::1]:1", "unix:/run/a.sock"])
def test_a_listener_that_only_we_reach_needs_nothing(address: str) -> None:
    load(None, [f'listen.addresses=["{address}"]'])


@pytest.mark.parametrize(
    ("setting", "path", "message"),
    [
        ("listen.addresses=[]", "listen.addresses", "name at least one address"),
        ('listen.addresses=["localhost:1"]', "listen.addresses[0]", "is no listener"),
        ('listen.addresses=["127.0.0.1:70000"]', "listen.addresses[0]", "is not a port"),
        ("resolve.servers=[]", "resolve.servers", "name at least one server"),
        ('resolve.zones."Lab.Internal."="system"', 'resolve.zones."Lab.Internal."', 'write "lab.internal"'),
        ('resolve.zones."*.lab"="system"', 'resolve.zones."*.lab"', 'write "lab"'),
        ('resolve.hosts."127.1"=["192.0.2.1"]', 'resolve.hosts."127.1"', "must be a name"),
        ('resolve.hosts.a=["b"]', "resolve.hosts.a[0]", "is not an address"),
        ('resolve.hosts.a=["192.0.2.1", "1.2.3.4.5"]', "resolve.hosts.a[1]", "is not an address"),
        ("resolve.timeout=0", "resolve.timeout", "must be longer than nothing"),
        ("limits.handshake=0s", "limits.handshake", "must be longer than nothing"),
        ("limits.idle=0", "limits.idle", "must be longer than nothing"),
        ("control.socket=here", "control.socket", 'write "auto", "off" or an absolute path'),
        ("control.socket=", "control.socket", 'write "auto", "off" or an absolute path'),
        (f"control.socket=/{'a' * 107}", "control.socket", "of up to 107 bytes"),
        (f'users."a:b"="{HASH}"', 'users."a:b"', "no colon"),
        (f'users.""="{HASH}"', 'users.""', "1 to 255 bytes"),
        (f'users.{"a" * 256}="{HASH}"', f"users.{'a' * 256}", "1 to 255 bytes"),
    ],
)
def test_faults(setting: str, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [setting])
    assert caught.value.path == path
    assert message in caught.value.message


def test_one_client_cannot_have_more_than_all() -> None:
    load(None, ["limits.connections=5", "limits.per_client=5"])
    load(None, ["limits.per_client=5"])
    with pytest.raises(ConfigError, match=r"is more than limits\.connections, which is 5"):
        load(None, ["limits.connections=5", "limits.per_client=6"])


def test_an_identity_that_no_user_is() -> None:
    load(None, ['identities.bob.renew="1h"'])  # without users, everybody says who they are
    with pytest.raises(ConfigError, match="there is no such user") as caught:
        load(None, ['identities.bob.renew="1h"', f'users.alice="{HASH}"'])
    assert caught.value.path == "identities.bob"


@pytest.mark.parametrize(
    "setting",
    [
        "limits.whole=0",
        "limits.linger=0s",
        "limits.shutdown=0",
        "limits.upstream_idle=0",
        "resolve.ttl_most=0",
        "control.socket=off",
        f"control.socket=/{'a' * 106}",
    ],
)
def test_some_durations_may_be_nothing(setting: str) -> None:
    load(None, [setting])


@pytest.mark.parametrize(
    ("workers", "message"), [("257", "at most 256"), ("0", "from 1 up"), ("two", "whole number")]
)
def test_a_number_of_workers_that_means_nothing(workers: str, message: str) -> None:
    load(None, ["listen.workers=256"])
    with pytest.raises(ConfigError) as caught:
        load(None, [f"listen.workers={workers}"])
    assert caught.value.path == "listen.workers"
    assert message in caught.value.message
