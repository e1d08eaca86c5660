"""What several answers come to."""

import ipaddress

import hypothesis.strategies as st
import pytest
from hypothesis import given

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.resolve.verdict import Verdict, conclude, interleave
from anongw.wire.dns import Answer, Kind


def addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(ipaddress.ip_address(text) for text in texts)


def public(address: Address) -> bool:
    return address not in addresses("10.0.0.1", "fd00::1", "127.0.0.1")


V4 = Answer(addresses("192.0.2.1", "192.0.2.2"), 60)
V6 = Answer(addresses("2001:db8::1"), 20)
NONE = Answer((), 30)
PRIVATE4 = Answer(addresses("10.0.0.1"), 50)
MIXED4 = Answer(addresses("10.0.0.1", "192.0.2.1"), 50)
PRIVATE6 = Answer(addresses("fd00::1"), 40)
FAILED = Refused(Reason.RESOLVER_FAILED, "timeout")


@pytest.mark.parametrize(
    ("a", "aaaa", "found", "reason", "ttl"),
    [
        pytest.param(V4, V6, ["2001:db8::1", "192.0.2.1", "192.0.2.2"], None, 20, id="both"),
        pytest.param(V4, NONE, ["192.0.2.1", "192.0.2.2"], None, 60, id="a negative's TTL does not count"),
        pytest.param(V4, FAILED, ["192.0.2.1", "192.0.2.2"], None, 60, id="one failed, the other serves"),
        pytest.param(FAILED, V6, ["2001:db8::1"], None, 20, id="the other way round"),
        pytest.param(NONE, NONE, [], Reason.NAME_NOT_FOUND, 30, id="no address"),
        pytest.param(NONE, FAILED, [], Reason.RESOLVER_FAILED, 0, id="half a no is none"),
        pytest.param(FAILED, FAILED, [], Reason.RESOLVER_FAILED, 0, id="nobody knows"),
        pytest.param(PRIVATE4, NONE, [], Reason.REBINDING, 50, id="rebinding"),
        pytest.param(PRIVATE4, PRIVATE6, [], Reason.REBINDING, 40, id="rebinding, both"),
        pytest.param(PRIVATE4, FAILED, [], Reason.REBINDING, 50, id="rebinding, one failed"),
        pytest.param(MIXED4, NONE, ["192.0.2.1"], None, 50, id="the private one is dropped"),
        pytest.param(PRIVATE4, V6, ["2001:db8::1"], None, 20, id="the private family is dropped"),
    ],
)
def test_verdicts(
    a: Answer | Refused, aaaa: Answer | Refused, found: list[str], reason: Reason | None, ttl: int
) -> None:
    verdict = conclude({Kind.A: a, Kind.AAAA: aaaa}, public, 6)
    assert [str(address) for address in verdict.addresses] == found
    assert verdict.ttl == ttl
    if not found:
        assert verdict.reason is reason


def test_a_failure_says_why() -> None:
    verdict = conclude({Kind.A: FAILED}, public, 6)
    assert verdict == Verdict((), Reason.RESOLVER_FAILED, "timeout", 0)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (6, ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]),
        (4, ["192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"]),
    ],
)
def test_families_take_turns(first: int, expected: list[str]) -> None:
    mixed = addresses("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2")
    assert [str(address) for address in interleave(list(mixed), first)] == expected


@given(st.lists(st.ip_addresses()), st.sampled_from([4, 6]))
def test_turns_lose_nothing_and_keep_each_familys_order(mixed: list[Address], first: int) -> None:
    turns = interleave(mixed, first)
    for version in (4, 6):
        assert [a for a in turns if a.version == version] == [a for a in mixed if a.version == version]


@given(st.lists(st.ip_addresses(), min_size=1), st.sets(st.integers(0, 20)))
def test_no_address_that_is_not_allowed_comes_out(found: list[Address], private: set[int]) -> None:
    barred = {found[place] for place in private if place < len(found)}
    verdict = conclude({Kind.A: Answer(tuple(found), 9)}, lambda address: address not in barred, 6)
    assert not barred & set(verdict.addresses)
    assert set(found) - barred == set(verdict.addresses)
