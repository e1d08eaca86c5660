"""Who would be asked for a name, and what is known without asking."""

import pytest

from anongw.config import Resolve
from anongw.errors import Reason, Refused
from anongw.resolve.server import System, parse_server
from anongw.resolve.whom import Whom, afar
from anongw.resolve.zones import PRIVATE_SUFFIXES
from anongw.wire.dns import Kind

PUBLIC, LAB, DEEP = "udp://192.0.2.1", "udp://192.0.2.2", "tls://192.0.2.3"
SETTINGS = Resolve(
    servers=(PUBLIC,),
    zones={"internal": LAB, "deep.internal": DEEP, "example": "system"},
    hosts={"both.test": ("192.0.2.7", "2001:db8::7"), "four.test": ("192.0.2.8",)},
)


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("example.org", PUBLIC),
        ("a.internal", LAB),
        ("a.deep.internal", DEEP),
        ("internal", LAB),
        ("a.example", "system"),
    ],
)
def test_the_longest_zone_is_asked_else_the_servers(name: str, server: str) -> None:
    wanted = parse_server(server)
    assert Whom(SETTINGS).asked(name) == (wanted if isinstance(wanted, System) else (wanted,))


@pytest.mark.parametrize("name", [*(f"a.{suffix}" for suffix in sorted(PRIVATE_SUFFIXES)), "printer"])
def test_a_private_name_is_asked_of_its_zone_or_of_nobody(name: str) -> None:
    if name == "a.internal":
        assert Whom(SETTINGS).asked(name)
    with pytest.raises(Refused) as refused:
        Whom(Resolve()).asked(name)
    assert refused.value.reason is Reason.PRIVATE_NAME


@pytest.mark.parametrize(
    ("family", "both", "four"),
    [
        ("any", ["2001:db8::7", "192.0.2.7"], ["192.0.2.8"]),
        ("prefer-ipv4", ["192.0.2.7", "2001:db8::7"], ["192.0.2.8"]),
        ("ipv4", ["192.0.2.7"], ["192.0.2.8"]),
        ("ipv6", ["2001:db8::7"], None),
    ],
)
def test_fixed_hosts_in_the_order_to_try_them(family: str, both: list[str], four: list[str] | None) -> None:
    whom = Whom(Resolve(hosts=SETTINGS.hosts, family=family))  # type: ignore[arg-type]
    assert list(map(str, whom.fixed("both.test") or ())) == both
    assert whom.fixed("www.four.test") is None
    if four is not None:
        assert list(map(str, whom.fixed("four.test") or ())) == four
        return
    with pytest.raises(Refused) as refused:
        whom.fixed("four.test")
    assert refused.value.reason is Reason.NAME_NOT_FOUND


@pytest.mark.parametrize(
    ("family", "kinds"),
    [
        ("any", {Kind.A, Kind.AAAA}),
        ("prefer-ipv4", {Kind.A, Kind.AAAA}),
        ("ipv4", {Kind.A}),
        ("ipv6", {Kind.AAAA}),
    ],
)
def test_what_is_asked_for(family: str, kinds: set[Kind]) -> None:
    assert set(Whom(Resolve(family=family)).kinds) == kinds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "chain", "family"),
    [
        ("any", "any", "any"),
        ("ipv4", "any", "ipv4"),
        ("any", "ipv6", "ipv6"),
        ("prefer-ipv4", "ipv4", "ipv4"),
    ],
)
def test_afar_a_zone_means_nothing_and_the_chains_family_counts(own: str, chain: str, family: str) -> None:
    found = afar(Resolve(family=own, zones=SETTINGS.zones, hosts=SETTINGS.hosts), chain)  # type: ignore[arg-type]
    assert (found.family, found.zones, found.hosts) == (family, {}, SETTINGS.hosts)
