"""Which names stay here."""

import pytest

from anongw.errors import Reason, Refused
from anongw.resolve.zones import PRIVATE_SUFFIXES, chosen, is_private, longest


def test_the_list() -> None:
    assert {
        "localhost", "local", "internal", "onion", "home.arpa", "invalid", "alt", "test",
        "i2p",
    } == PRIVATE_SUFFIXES  # fmt: skip


@pytest.mark.parametrize("suffix", sorted(PRIVATE_SUFFIXES))
def test_a_private_suffix_is_private_at_any_depth(suffix: str) -> None:
    assert is_private(suffix)
    assert is_private(f"a.{suffix}")
    assert is_private(f"a.b.{suffix}")
    assert not is_private(f"{suffix}.example.org")
    assert not is_private(f"a.not{suffix}" if "." not in suffix else "a.nothome.arpa")


@pytest.mark.parametrize(
    ("name", "private"),
    [("printer", True), ("example.org", False), ("arpa", True), ("1.0.0.127.in-addr.arpa", False)],
)
def test_other_names(name: str, private: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_private(name) is private


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("a.lab.internal", "lab"),
        ("lab.internal", "lab"),
        ("b.internal", "all"),
        ("deep.a.lab.internal", "lab"),
        ("notlab.internal", "all"),
        ("internal.example", None),
    ],
)
def test_the_longest_suffix_wins(name: str, zone: str | None) -> None:
    assert longest(name, {"internal": "all", "lab.internal": "lab"}) == zone


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("example.org", "rest"),
        ("a.internal", "all"),
        ("printer", None),
        ("a.local", None),
        ("internal", "all"),
    ],
)
def test_a_private_name_is_asked_of_its_zone_alone(name: str, found: str | None) -> None:
    if found is not None:
        assert chosen(name, {"internal": "all"}, "rest") == found
        return
    with pytest.raises(Refused) as refused:
        chosen(name, {"internal": "all"}, "rest")
    assert refused.value.reason is Reason.PRIVATE_NAME
