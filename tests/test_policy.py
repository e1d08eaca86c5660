"""What may be reached: no private address in any spelling, no name of this house, what the rules say."""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anongw import config
from anongw.address import Address, Endpoint, parse_host
from anongw.config import Cidr, Rule
from anongw.errors import Reason, Refused
from anongw.policy import Policy, Ranges, is_public

PUBLIC_V4 = ["8.8.8.8", "1.1.1.1", "9.9.9.9", "11.0.0.0", "9.255.255.255", "100.63.255.255", "100.128.0.0"]
PUBLIC_V6 = ["2606:4700::1111", "2620:fe::fe", "2001:4860:4860::8888", "2003::1", "2a00::", "3ffe::1"]

# IANA IPv4 Special-Purpose Address Registry, all rows: range, globally reachable. "N/A" is written False.
IANA_V4 = [
    ("0.0.0.0/8", False),
    ("0.0.0.0/32", False),
    ("10.0.0.0/8", False),
    ("100.64.0.0/10", False),
    ("127.0.0.0/8", False),
    ("169.254.0.0/16", False),
    ("172.16.0.0/12", False),
    ("192.0.0.0/24", False),
    ("192.0.0.0/29", False),
    ("192.0.0.8/32", False),
    ("192.0.0.9/32", True),
    ("192.0.0.10/32", True),
    ("192.0.0.170/32", False),
    ("192.0.0.171/32", False),
    ("192.0.2.0/24", False),
    ("192.31.196.0/24", True),
    ("192.52.193.0/24", True),
    ("192.88.99.0/24", False),
    ("192.168.0.0/16", False),
    ("192.175.48.0/24", True),
    ("198.18.0.0/15", False),
    ("198.51.100.0/24", False),
    ("203.0.113.0/24", False),
    ("240.0.0.0/4", False),
    ("255.255.255.255/32", False),
]
# IANA IPv6 Special-Purpose Address Registry, likewise.
IANA_V6 = [
    ("::1/128", False),
    ("::/128", False),
    ("::ffff:0:0/96", False),
    ("64:ff9b::/96", True),
    ("64:ff9b:1::/48", False),
    ("100::/64", False),
    ("100:0:0:1::/64", False),
    ("2001::/23", False),
    ("2001::/32", False),
    ("2001:1::1/128", True),
    ("2001:1::2/128", True),
    ("2001:1::3/128", True),
    ("2001:2::/48", False),
    ("2001:3::/32", True),
    ("2001:4:112::/48", True),
    ("2001:10::/28", False),
    ("2001:20::/28", True),
    ("2001:30::/28", True),
    ("2001:db8::/32", False),
    ("2002::/16", False),
    ("2620:4f:8000::/48", True),
    ("3fff::/20", False),
    ("5f00::/16", False),
    ("fc00::/7", False),
    ("fe80::/10", False),
]
# Not in those registries: multicast has its own, and site-local was withdrawn (RFC 3879).
OTHERS = [("224.0.0.0/4", False), ("ff00::/8", False), ("fec0::/10", False), ("168.63.129.16/32", False)]
# Where we refuse what IANA calls reachable: anycast of protocols that no client of a gateway speaks.
STRICTER = {"192.0.0.9/32", "192.0.0.10/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128"} | {
    *("2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28")
}
# Judged by the IPv4 address inside; see below.
CARRIERS = {"::ffff:0:0/96", "64:ff9b::/96"}


def address(text: str) -> Address:
    return ipaddress.ip_address(text)


def refusal(policy: Policy, target: str, port: int = 443, *, resolved_here: bool = False) -> Reason | None:
    try:
        policy.judge(Endpoint(parse_host(target), port), resolved_here=resolved_here)
    except Refused as refused:
        return refused.reason
    return None


def policy(
    *, private: tuple[str, ...] = (), allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()
) -> Policy:
    return Policy(
        config.Policy(
            allow_private=tuple(Cidr(text) for text in private),
            allow=tuple(Rule(text) for text in allow),
            deny=tuple(Rule(text) for text in deny),
        )
    )


@pytest.mark.parametrize(("text", "reachable"), [*IANA_V4, *IANA_V6, *OTHERS])
def test_the_registries(text: str, reachable: bool) -> None:  # noqa: FBT001
    if text in CARRIERS:
        return
    network = ipaddress.ip_network(text)
    expected = reachable and text not in STRICTER
    for one in (network[0], network[-1], network[network.num_addresses // 2]):
        assert is_public(one) is expected


@pytest.mark.parametrize("text", [*PUBLIC_V4, *PUBLIC_V6])
def test_public_addresses(text: str) -> None:
    assert is_public(address(text))
    assert refusal(Policy(config.Policy()), text) is None


@given(st.ip_addresses(v=4))
def test_an_address_in_no_registry_is_public(number: ipaddress.IPv4Address) -> None:
    listed = [
        reachable and text not in STRICTER
        for text, reachable in [*IANA_V4, *OTHERS[:1], *OTHERS[3:]]
        if number in ipaddress.ip_network(text)
    ]
    assert is_public(number) is all(listed)


Carry = Callable[[int], int]
CARRYING: dict[str, Carry] = {
    "mapped": lambda number: (0xFFFF << 32) | number,
    "NAT64": lambda number: (0x64FF9B << 96) | number,
    "ISATAP, private": lambda number: (0x2A00 << 112) | (0x5EFE << 32) | number,
    "ISATAP, unique": lambda number: (0x2A00 << 112) | (0x02005EFE << 32) | number,
}
NEVER: dict[str, Carry] = {
    "compatible": lambda number: number,
    "NAT64, local": lambda number: (0x64FF9B0001 << 80) | number,
    "translated": lambda number: (0xFFFF << 48) | number,
    "6to4": lambda number: (0x2002 << 112) | (number << 80) | 1,
    "Teredo": lambda number: (0x20010000 << 96) | (number ^ 0xFFFFFFFF),
}


@given(st.ip_addresses(v=4))
@example(ipaddress.IPv4Address("10.0.0.1"))
@example(ipaddress.IPv4Address("8.8.8.8"))
def test_an_address_inside_another_is_judged(inner: ipaddress.IPv4Address) -> None:
    for carry in CARRYING.values():
        assert is_public(ipaddress.IPv6Address(carry(int(inner)))) is is_public(inner)
    for carry in NEVER.values():
        assert not is_public(ipaddress.IPv6Address(carry(int(inner))))


@pytest.mark.parametrize(
    "text",
    [
        *("127.1", "0x7f000001", "2130706433", "0177.1", "127.0.0.1.", "::1", "[::1]", "0", "0.0.0.0", "::"),
        *("::ffff:10.0.0.1", "64:ff9b::192.168.0.1", "64:ff9b::7f00:1", "169.254.169.254", "fd00:ec2::254"),
        *(
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "fe80::1",
        ),
        *(
            "\uff11\uff10.0.0.1",
            "10\u30020\u30020\u30021",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "::127.0.0.1",
            "fec0::1",
            "100::1",
        ),
    ],
)
def test_no_spelling_of_a_private_address_passes(text: str) -> None:
    assert refusal(Policy(config.Policy()), text) is Reason.PRIVATE_TARGET
    # Nor do they when everything is allowed by rule.
    assert refusal(policy(allow=("*",)), text) is Reason.PRIVATE_TARGET


@pytest.mark.parametrize(
    "name",
    [
        *(
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "nas.home.arpa",
        ),
        *("router.lan", "wpad.corp", "a.home", "x.intranet", "x.private", "localhost.localdomain"),
        *("router", "wpad", "\uff4cocalhost"),
    ],
)
def test_names_of_this_house_are_refused(name: str) -> None:
    assert refusal(Policy(config.Policy()), name) is Reason.PRIVATE_NAME


@pytest.mark.parametrize(
    "name", ["example.org", "local.example.org", "localhost.example.org", "notlocal.org", "x.onion"]
)
def test_other_names_pass(name: str) -> None:
    assert refusal(Policy(config.Policy()), name) is None


def test_the_configs_own_zones_and_hosts_are_no_secret() -> None:
    mine = Policy(config.Policy(), zones={"lab.internal", "lan"}, hosts={"printer"})
    for name in ("lab.internal", "a.lab.internal", "x.lan", "printer"):
        assert refusal(mine, name) is None
    for name in ("internal", "a.internal", "badlab.internal", "a.printer", "other"):
        assert refusal(mine, name) is (None if name == "a.printer" else Reason.PRIVATE_NAME)


def test_private_ranges_can_be_allowed_and_only_they() -> None:
    lab = policy(private=("10.1.0.0/16", "fd00:1::/32"))
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00:1::5"):
        assert refusal(lab, text) is None
        assert lab.may_use(address(text))
        assert lab.is_exempt(address(text))
    for text in ("10.2.0.0", "::ffff:10.2.0.0", "127.0.0.1", "fd00:2::5"):
        assert refusal(lab, text) is Reason.PRIVATE_TARGET
        assert not lab.may_use(address(text))
    assert lab.may_use(address("8.8.8.8"))
    assert not lab.is_exempt(address("8.8.8.8"))


def test_a_name_that_leads_to_a_private_address_is_rebinding() -> None:
    with pytest.raises(Refused) as caught:
        policy().judge_address(address("192.168.1.1"), 80, "example.org")
    assert caught.value.reason is Reason.REBINDING
    policy(private=("192.168.1.0/24",)).judge_address(address("192.168.1.1"), 80, "example.org")


@pytest.mark.parametrize(
    ("deny", "target", "port", "refused"),
    [
        ("example.org", "example.org", 1, True),
        ("example.org", "a.b.example.org", 1, True),
        ("example.org", "EXAMPLE.org.", 1, True),
        ("example.org", "badexample.org", 1, False),
        ("=example.org", "a.example.org", 1, False),
        ("=example.org", "example.org", 1, True),
        ("example.org:80", "example.org", 443, False),
        ("example.org:80-90", "example.org", 90, True),
        ("*:25", "example.org", 25, True),
        ("*:25", "8.8.8.8", 25, True),
        ("*:25", "8.8.8.8", 26, False),
        ("8.8.8.0/24", "8.8.8.8", 1, True),
        ("8.8.8.0/24", "::ffff:8.8.8.8", 1, True),
        ("8.8.8.0/24", "64:ff9b::8.8.8.8", 1, True),
        ("64:ff9b::/96", "64:ff9b::8.8.8.8", 1, True),
        ("8.8.8.0/24", "8.8.9.8", 1, False),
        ("8.8.8.0/24:53", "8.8.8.8", 54, False),
        ("2606:4700::/32", "2606:4700::1", 1, True),
    ],
)
def test_deny(deny: str, target: str, port: int, refused: bool) -> None:  # noqa: FBT001
    expected = Reason.FORBIDDEN if refused else None
    assert refusal(policy(deny=(deny,)), target, port) is expected
    # The other way round: allowed alone, the same targets pass and the others do not.
    assert (refusal(policy(allow=(deny,)), target, port) is None) is refused


def test_deny_wins_over_allow() -> None:
    both = policy(allow=("example.org",), deny=("bad.example.org",))
    assert refusal(both, "good.example.org") is None
    assert refusal(both, "bad.example.org") is Reason.FORBIDDEN
    assert refusal(both, "a.bad.example.org") is Reason.FORBIDDEN
    assert refusal(both, "8.8.8.8") is Reason.FORBIDDEN


def test_an_address_is_allowed_by_the_name_it_was_found_under() -> None:
    named = policy(allow=("example.org",), deny=("8.8.4.0/24",))
    named.judge_address(address("8.8.8.8"), 443, "www.example.org")
    for one, name in (("8.8.8.8", "example.net"), ("8.8.4.4", "www.example.org"), ("8.8.8.8", None)):
        with pytest.raises(Refused) as caught:
            named.judge_address(address(one), 443, name)
        assert caught.value.reason is Reason.FORBIDDEN


def test_a_range_speaks_for_a_name_only_where_the_name_is_resolved_here() -> None:
    ranged = policy(allow=("8.8.8.0/24",))
    assert refusal(ranged, "example.org") is Reason.FORBIDDEN
    assert refusal(ranged, "example.org", resolved_here=True) is None
    ranged.judge_address(address("8.8.8.8"), 443, "example.org")
    with pytest.raises(Refused):
        ranged.judge_address(address("9.9.9.9"), 443, "example.org")


@pytest.mark.parametrize(
    ("own", "target", "port", "refused"),
    [
        ("127.0.0.1", "127.0.0.1", 1080, True),
        ("127.0.0.1", "::ffff:127.0.0.1", 1080, True),
        ("127.0.0.1", "0.0.0.0", 1080, True),
        ("127.0.0.1", "127.0.0.1", 1081, False),
        ("127.0.0.1", "127.0.0.2", 1080, False),
        ("0.0.0.0", "127.0.0.2", 1080, True),
        ("::", "::1", 1080, True),
        ("8.8.8.8", "8.8.8.8", 1080, True),
        ("8.8.8.8", "8.8.8.8", 443, False),
    ],
)
def test_own_listeners(own: str, target: str, port: int, refused: bool) -> None:  # noqa: FBT001
    listeners: list[Endpoint] = []
    everything = config.Policy(allow_private=(Cidr("0.0.0.0/0"), Cidr("::/0")))
    mine = Policy(everything, listeners)
    assert refusal(mine, target, port) is None
    listeners.append(Endpoint(address(own), 1080))  # bound after the policy was made
    assert refusal(mine, target, port) is (Reason.OWN_LISTENER if refused else None)


def test_a_refusal_names_its_target_in_the_detail_only() -> None:
    with pytest.raises(Refused) as caught:
        policy().judge(Endpoint("secret.local", 1))
    assert "secret" not in str(caught.value)
    assert caught.value.detail == "secret.local"


@pytest.mark.parametrize(
    ("own", "port", "everywhere"),
    [("0.0.0.0", 1080, True), ("::", 1080, True), ("::", 80, False), ("192.0.2.1", 1080, False)],
)
def test_a_listener_on_every_address(own: str, port: int, *, everywhere: bool) -> None:
    policy = Policy(config.Policy(), [Endpoint(parse_host(own), 1080)])
    assert policy.listens_everywhere(port) is everywhere


@given(
    st.lists(st.tuples(st.sampled_from((4, 6)), st.integers(0, 15), st.integers(0, 4)), max_size=8),
    st.sampled_from((4, 6)),
    st.integers(0, 15),
    st.sampled_from((0, -1)),
)
def test_ranges_hold_what_their_networks_do(
    made: list[tuple[int, int, int]], version: int, place: int, end: int
) -> None:
    # Sixteen blocks of addresses, and networks of one to sixteen of them: they touch, and lie in each other.
    networks = [network(kind, place >> wide << wide, wide) for kind, place, wide in made]
    address = network(version, place, 0)[end]
    assert (address in Ranges(networks)) is any(address in one for one in networks)


def network(version: int, place: int, wide: int) -> config.Network:
    """2 ** `wide` blocks from a place on."""
    if version == 4:
        return ipaddress.IPv4Network((place << 28, 4 - wide))
    return ipaddress.IPv6Network((place << 124, 4 - wide))
