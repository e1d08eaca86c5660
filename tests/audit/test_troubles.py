"""Which troubles a config can have; test_audit_lab.py plays them."""

from pathlib import Path

import pytest

from anongw.audit import troubles
from anongw.audit.mapping import Mapped, mapped
from anongw.audit.ways import Errand, errands
from anongw.config import load
from anongw.lab.certificates import Authority
from tests.support.process import ROOT


@pytest.fixture
def two(tmp_path: Path) -> tuple[Mapped, list[Errand]]:
    config = load(None, chain=ROOT / "chains" / "two-hop-mix.toml")
    here = mapped(config, tmp_path, Authority(tmp_path, "ours"))
    return here, errands(here.config)[0]


def test_every_hop_does_everything_wrong(two: tuple[Mapped, list[Errand]]) -> None:
    names = [one.name for one in troubles.hops(*two)]
    for number in (1, 2):
        for wrong in (
            "refuses connections",
            "hangs before anything",
            "answers garbage",
            "dies in mid-stream",
        ):
            assert f"hop {number} {wrong}" in names


def test_a_stranger_comes_where_there_is_tls(two: tuple[Mapped, list[Errand]]) -> None:
    names = [one.name for one in troubles.strangers(*two)]
    assert names == [
        "a stranger's certificate at hop 2 of two-hop-mix",
        "a stranger's certificate at the resolvers",
    ]


def test_whoever_goes_through_a_chain_by_a_name_is_preferred() -> None:
    literal = Errand(0, "one", "192.0.2.7", 80, ("socks5",), "", exact=True)
    named = Errand(1, "one", "a.example", 80, ("socks5",), "")
    assert troubles._by([literal, named], "one") is named
    assert troubles._by([literal], "one") is literal
    assert troubles._by([literal], "two") is None
