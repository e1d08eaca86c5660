"""Rules about targets, gathered: each answer is the one that looking at every rule would give."""

import ipaddress

from hypothesis import event, given
from hypothesis import strategies as st

from anongw.address import Address, suffixes
from anongw.config import Rule
from anongw.targets import Targets

LABELS = st.sampled_from(["a", "b", "example", "org"])
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
ADDRESSES = st.integers(0, 7).map(lambda last: ipaddress.ip_address(f"192.0.2.{last}"))
PORTS = st.integers(79, 83)
PORT_RULES = st.sampled_from(["", ":80", ":80-81", ":82"])
RULES = st.builds(
    lambda host, ports: Rule(host + ports),
    st.one_of(
        NAMES,
        NAMES.map(lambda name: f"={name}"),
        st.sampled_from(["192.0.2.0/30", "192.0.2.4", "[2001:db8::/32]", "*"]),
    ),
    PORT_RULES,
)


def one_by_one(rules: list[Rule], name: str | None, address: Address | None, port: int) -> bool:
    """The same question, rule by rule."""
    for rule in rules:
        everything = not rule.name and rule.network is None
        by_name = (
            name is not None
            and bool(rule.name)
            and (name == rule.name or (not rule.exact and rule.name in list(suffixes(name))[1:]))
        )
        by_address = address is not None and rule.network is not None and address in rule.network
        if port in rule.ports and (everything or by_name or by_address):
            return True
    return False


@given(st.lists(RULES, max_size=6), st.one_of(NAMES, ADDRESSES), PORTS)
def test_a_match_is_what_one_of_the_rules_says(rules: list[Rule], host: str | Address, port: int) -> None:
    name = host if isinstance(host, str) else None
    address = None if isinstance(host, str) else host
    found = Targets(rules).match(name, () if address is None else (address,), port)
    event(f"{type(host).__name__} {found}")
    assert found == one_by_one(rules, name, address, port)


def test_rules_about_addresses_are_known_to_be_there() -> None:
    assert Targets([Rule("192.0.2.0/24")]).has_networks
    assert not Targets([Rule("a.example"), Rule("*:25")]).has_networks
