"""The config read a second time: which route decides, and what is asked for so that each of them does."""

from pathlib import Path

import pytest

from anongw.audit import ways
from anongw.audit.canaries import ZONE
from anongw.config import Config, load
from tests.support.process import ROOT


def config(folder: Path, text: str) -> Config:
    path = folder / "a.toml"
    path.write_text(text)
    return load(path)


def test_every_route_of_an_example_has_an_errand() -> None:
    found, missing = ways.errands(load(ROOT / "chains" / "per-site.toml"))
    assert missing == []
    assert [(one.to, one.suffix, one.port) for one in found] == [
        ("refuse", ZONE, 25),
        ("tor", "onion", 80),
        ("office", "example.org", 80),
        ("tor", ZONE, 80),
    ]
    assert [one.arrives for one in found] == [False, True, True, True]


def test_a_route_behind_one_that_takes_all_is_said(tmp_path: Path) -> None:
    routes = config(tmp_path, 'route = [{target = ["a.example"], to = "direct"}, {target = ["=b.a.example"],'
                              ' to = "refuse"}, {to = "direct"}]')  # fmt: skip
    found, missing = ways.errands(routes)
    assert [one.number for one in found] == [0, 2]
    assert missing == [(1, "it leads to refuse, and nothing could be found that it decides")]


@pytest.mark.parametrize(
    ("rule", "host", "port", "matches"),
    [
        ("example.org", "example.org", 80, True),
        ("example.org", "a.example.org", 80, True),
        ("example.org", "badexample.org", 80, False),
        ("=example.org", "a.example.org", 80, False),
        ("192.0.2.0/24", "192.0.2.9", 80, True),
        ("192.0.2.0/24", "192.0.3.9", 80, False),
        ("192.0.2.0/24", "example.org", 80, False),
        ("*:25", "example.org", 25, True),
        ("*:25", "example.org", 26, False),
    ],
)
def test_what_a_rule_is_about(rule: str, host: str, port: int, *, matches: bool, tmp_path: Path) -> None:
    routes = config(tmp_path, f'route = [{{target = ["{rule}"], to = "refuse"}}, {{to = "direct"}}]')
    assert ways.decided(routes, host, port, "socks5", "127.0.0.1:1080", "") == (0 if matches else 1)


def test_the_policys_lists(tmp_path: Path) -> None:
    lists = config(tmp_path, '[policy]\nallow = ["example.org"]\ndeny = ["bad.example.org"]')
    assert ways.permitted(lists, "a.example.org", 80)
    assert not ways.permitted(lists, "bad.example.org", 80)
    assert not ways.permitted(lists, "example.com", 80)
    # What the list lets pass is asked for, and not what it does not.
    found, _ = ways.errands(lists)
    assert [(one.suffix, one.allowed) for one in found] == [("example.org", True)]


def test_who_is_asked_for_a_name(tmp_path: Path) -> None:
    zones = config(
        tmp_path,
        '[resolve]\nservers = ["udp://192.0.2.1"]\n[resolve.hosts]\n"fixed.example" = ["192.0.2.9"]\n'
        '[resolve.zones]\n"internal" = "udp://192.0.2.2"\n"lab.internal" = "udp://192.0.2.3"',
    )
    asked = {
        name: ways.server_texts(zones, name)
        for name in ("fixed.example", "a.lab.internal", "x.internal", "a.b")
    }
    assert asked == {
        "fixed.example": (),
        "a.lab.internal": ("udp://192.0.2.3",),
        "x.internal": ("udp://192.0.2.2",),
        "a.b": ("udp://192.0.2.1",),
    }


def test_at_another_listener_another_route_may_decide(tmp_path: Path) -> None:
    routes = config(
        tmp_path,
        '[listen]\naddresses = ["127.0.0.1:1080", "127.0.0.1:1081"]\n'
        '[[route]]\nlistener = ["127.0.0.1:1081"]\nprotocol = ["http"]\nto = "refuse"\n'
        '[[route]]\nto = "direct"\n',
    )
    main = ways.errands(routes)[0][-1]
    found = ways.by_listener(routes, main, "127.0.0.1:1081")
    assert (found.number, found.to, found.listener) == (1, "direct", "127.0.0.1:1081")
    assert found.protocols == ("socks5", "socks4", "connect"), "plain HTTP is decided by another there"
