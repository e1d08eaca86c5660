"""The questions that the gateway asks, and who learns what of them."""

import pytest

from anongw.config import Config
from anongw.knowledge import Fact, Learns
from anongw.knowledge.legs import way
from anongw.knowledge.lookups import lookups
from anongw.knowledge.question import put, question
from tests.support.knowledge import ask, chained, config, learns, why

QUAD9 = 'resolve.servers=["https://9.9.9.9/dns-query/account#dns.quad9.net"]'
BOTH = 'resolve.servers=["udp://127.0.0.1", "udp://9.9.9.9"]'
NAMED = "https://a.example:443"


@pytest.mark.parametrize(
    ("settings", "target", "asked"),
    [
        (config(QUAD9), "example.org:443", [("", ("https://9.9.9.9:443",), True)]),
        (config(QUAD9), "1.2.3.4:443", []),
        (config('resolve.hosts={"example.org"=["1.2.3.4"]}'), "example.org:443", []),
        (config(BOTH), "example.org:443", [("", ("udp://127.0.0.1:53", "udp://9.9.9.9:53"), True)]),
        (config('resolve.servers=["system"]'), "example.org:443", [("", ("system",), True)]),
        (
            config('resolve.zones={"lab.internal"="tcp://[fd00::1]"}'),
            "a.lab.internal:80",
            [("", ("tcp://[fd00::1]:53",), True)],
        ),
        (chained("socks5://192.0.2.1"), "example.org:443", []),
        (chained(NAMED, sets=(QUAD9,)), "example.org:443", [("a.example", ("https://9.9.9.9:443",), True)]),
        (
            chained(NAMED, names="here", sets=(QUAD9,)),
            "example.org:443",
            [("a.example", ("https://9.9.9.9:443",), True), ("", ("https://9.9.9.9:443",), False)],
        ),
        # Only first hops are looked up from here; a zone's server serves them too, and none through a chain.
        (chained("socks5://192.0.2.1", NAMED), "example.org:443", []),
        (
            chained("https://a.lab.internal:443", sets=('resolve.zones={"lab.internal"="udp://10.0.0.1"}',)),
            "example.org:443",
            [("a.lab.internal", ("udp://10.0.0.1:53",), True)],
        ),
        (
            chained("https://a.example:443", sets=('resolve.hosts={"a.example"=["192.0.2.1"]}',)),
            "b.example:1",
            [],
        ),
    ],
)
def test_what_is_asked(settings: Config, target: str, asked: list[tuple[str, tuple[str, ...], bool]]) -> None:
    found = [one for leg in way(put(settings, question(target))).legs for one in lookups(leg)]
    assert [(one.name, one.labels, one.from_here) for one in found] == asked
    assert [one.of_target for one in found] == [not name for name, _, _ in asked]


@pytest.mark.parametrize(
    ("servers", "name", "timing"),
    [
        ('["udp://9.9.9.9"]', Learns.YES, Learns.YES),
        ('["tcp://9.9.9.9"]', Learns.YES, Learns.YES),
        ('["tls://9.9.9.9"]', Learns.NO, Learns.YES),
        ('["tls://9.9.9.9", "udp://127.0.0.1"]', Learns.NO, Learns.YES),
        ('["tls://9.9.9.9", "udp://9.9.9.9"]', Learns.YES, Learns.YES),
        ('["udp://127.0.0.1"]', Learns.NO, Learns.NO),
        ('["system"]', Learns.YES, Learns.YES),
    ],
)
def test_what_the_line_shows_of_a_question(servers: str, name: Learns, timing: Learns) -> None:
    (leg,) = way(put(config(f"resolve.servers={servers}"), question("example.org:443"))).legs
    (one,) = lookups(leg)
    cells = one.on_line()
    assert cells[Fact.NAME].learns is cells[Fact.ADDRESS].learns is name
    assert cells[Fact.TIMING].learns is cells[Fact.GATEWAY_ADDRESS].learns is timing


def test_a_resolver_that_is_asked_for_a_first_hop_learns_no_target() -> None:
    found = ask(chained(NAMED, sets=(QUAD9,)), "example.org:443")
    row = "resolver https://9.9.9.9:443"
    assert learns(found, row, Fact.NAME) is Learns.NO
    assert "asked for a.example, a first hop" in why(found, row, Fact.NAME)
    assert "account" not in str(found)


def test_which_of_several_is_asked_is_told() -> None:
    found = ask(config(), "example.org:443")
    assert "another of 2" in why(found, "resolver https://9.9.9.9:443", Fact.TIMING)
