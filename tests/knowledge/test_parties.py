"""Who stands where on the way."""

import pytest

from anongw.config import Chain, Config, Hop
from anongw.knowledge import Fact, Party
from tests.support.knowledge import ask, chained, config, member, position, why

A, B, S = "socks5://192.0.2.1", "http://192.0.2.2:80", "https://192.0.2.3:443"
TOR = "socks5://127.0.0.1:9050"


@pytest.mark.parametrize(
    ("settings", "target", "parties"),
    [
        (config(), "example.org:80", "local_network resolver resolver destination log control_socket"),
        (config(), "1.2.3.4:80", "local_network destination log control_socket"),
        (config(), "10.0.0.1:80", "local_network log control_socket"),
        (
            chained(A, B),
            "example.org:80",
            "local_network hop hop exit_resolver exit_line destination log control_socket",
        ),
        (chained(A, B), "1.2.3.4:80", "local_network hop hop exit_line destination log control_socket"),
        (
            chained(A, names="here"),
            "example.org:80",
            "local_network resolver resolver hop exit_line destination log control_socket",
        ),
        (chained(TOR, overlays=("onion",)), "a.onion:80", "local_network hop destination log control_socket"),
        (chained(A, "socks4://192.0.2.9"), "[2606:4700::1]:80", "local_network hop hop log control_socket"),
    ],
)
def test_the_rows_stand_in_the_order_of_the_way(settings: Config, target: str, parties: str) -> None:
    assert [row.party.value for row in ask(settings, target).rows] == parties.split()


def test_a_hop_is_named_by_its_upstreams_and_never_by_its_login() -> None:
    found = ask(chained("socks5://u:p@192.0.2.1", [S, B]), "example.org:80")
    hops = [row for row in found.rows if row.party is Party.HOP]
    assert [(row.name, row.members) for row in hops] == [
        ("hop 1", ("socks5://192.0.2.1:1080",)),
        ("hop 2", ("https://192.0.2.3:443", "http://192.0.2.2:80")),
    ]


def test_several_of_a_pool_in_a_row_have_a_row_each() -> None:
    chain = Chain(hop=(position(A), position((S, B), pick=2)))
    made = chained(A)
    found = ask(type(made)(chains={"way": chain}, route=made.route), "example.org:80")
    assert [row.name for row in found.rows if row.party is Party.HOP] == ["hop 1", "hop 2.1", "hop 2.2"]


def test_a_token_says_of_nobody_who_it_is() -> None:
    made = chained(A)
    chain = Chain(hop=(Hop(members=(member(A, isolation="tor"),)),))
    found = ask(type(made)(chains={"way": chain}, route=made.route), "example.org:80")
    assert "a token of its own" in why(found, "hop 1", Fact.HOP_LOGIN)


def test_a_first_hop_on_this_machine_leaves_nothing_on_the_line() -> None:
    found = ask(chained(TOR, S), "example.org:80")
    assert why(found, "local network", Fact.TIMING) == "hop 1 is on this machine; what it sends is its own"
    assert why(found, "hop 1", Fact.GATEWAY_ADDRESS) == "is on this machine"
