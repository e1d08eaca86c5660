"""In whose name a flow goes, and which way."""

from ipaddress import ip_address
from itertools import combinations

import pytest

from anongw.address import Endpoint, parse_host
from anongw.config import Identity, Route, Rule
from anongw.flow import Flow
from anongw.route import Table, identify

LISTENER = "127.0.0.1:1080"
CLIENT = ip_address("192.0.2.1")
TARGET = Endpoint("a.example", 80)
PLAIN, BY_DESTINATION = Identity(), Identity(by_destination=True)


@pytest.mark.parametrize(
    ("flow", "identity"),
    [
        (Flow(LISTENER), f"listener {LISTENER}"),
        (Flow(LISTENER, client=CLIENT), f"listener {LISTENER}"),
        (Flow(LISTENER, client=CLIENT, shared=True), "client 192.0.2.1"),
        (Flow(LISTENER, client=CLIENT, shared=True, user="alice"), "user alice"),
        (Flow(LISTENER, user=""), "user "),
    ],
)
def test_identify(flow: Flow, identity: str) -> None:
    flow.target = TARGET
    assert identify(flow, PLAIN) == identity
    assert identify(flow, BY_DESTINATION) == f"{identity} to a.example"


def test_the_port_is_no_destination_of_its_own() -> None:
    one, two = (Flow(LISTENER, target=Endpoint("a.example", port)) for port in (80, 443))
    assert identify(one, BY_DESTINATION) == identify(two, BY_DESTINATION)


@pytest.mark.parametrize("by_destination", [False, True])
def test_no_two_are_one(*, by_destination: bool) -> None:
    """A user may choose any name, also one that looks like something else."""
    names = ["", "alice", "alice to a.example", "client 192.0.2.1", f"listener {LISTENER}", "192.0.2.1"]
    flows = [Flow(LISTENER, user=name, target=TARGET) for name in names]
    flows += [Flow(LISTENER, target=TARGET), Flow(LISTENER, client=CLIENT, shared=True, target=TARGET)]
    identities = [identify(flow, Identity(by_destination=by_destination)) for flow in flows]
    assert all(one != two for one, two in combinations(identities, 2))


def test_destinations_are_apart_where_the_config_says_so() -> None:
    one, two = (Flow(LISTENER, user="x", target=Endpoint(host, 80)) for host in ("a.example", "b.example"))
    assert identify(one, BY_DESTINATION) != identify(two, BY_DESTINATION)
    assert identify(one, PLAIN) == identify(two, PLAIN)


def test_a_token_and_a_client_are_apart_where_they_are_wanted() -> None:
    flow = Flow(LISTENER, client=CLIENT, user="alice", token="t", target=TARGET)
    assert identify(flow, PLAIN) == "user alice token t"
    both = Identity(by_client=True, by_destination=True)
    assert identify(flow, both) == "user alice token t from 192.0.2.1 to a.example"
    assert identify(Flow("unix:/run/x", user="alice"), both) == "user alice"


def flow_to(host: str, port: int = 443, *, protocol: str = "socks5", user: str | None = None) -> Flow:
    return Flow(LISTENER, protocol=protocol, user=user, target=Endpoint(parse_host(host), port))


ROUTES = (
    Route(target=(Rule("onion"), Rule("=exact.example")), to="tor"),
    Route(target=(Rule("192.0.2.0/24"),), to="lab"),
    Route(target=(Rule("*:25"),), to="refuse"),
    Route(protocol=("http",), to="web"),
    Route(identity=("bob", "carol"), to="theirs"),
    Route(listener=("127.0.0.1:1081",), to="second"),
    Route(target=(Rule("mixed.example:8000-8999"),), identity=("dave",), to="dave"),
    Route(to="direct"),
)


@pytest.mark.parametrize(
    ("flow", "to"),
    [
        (flow_to("x.onion"), "tor"),
        (flow_to("exact.example"), "tor"),
        (flow_to("sub.exact.example"), "direct"),
        (flow_to("192.0.2.9"), "lab"),
        (flow_to("mail.example", 25), "refuse"),
        # The first that matches decides, whatever the later ones say.
        (flow_to("x.onion", 25), "tor"),
        (flow_to("a.example", protocol="http"), "web"),
        (flow_to("a.example", user="carol"), "theirs"),
        (flow_to("a.example", user="Carol"), "direct"),
        (flow_to("mixed.example", 8080, user="dave"), "dave"),
        (flow_to("mixed.example", 80, user="dave"), "direct"),
        (flow_to("mixed.example", 8080), "direct"),
        (Flow("127.0.0.1:1081", target=TARGET), "second"),
        (flow_to("198.51.100.1"), "direct"),
    ],
)
def test_the_first_route_that_matches_decides(flow: Flow, to: str) -> None:
    table = Table(ROUTES)
    assert table.choose(flow) == to
    place = table.place(flow)
    assert place is not None
    assert ROUTES[place].to == to


def test_a_name_is_judged_as_a_name() -> None:
    """Whatever its addresses are: nobody is asked for them."""
    assert Table(ROUTES).choose(flow_to("in-the-lab.example")) == "direct"


def test_what_no_route_is_for_is_refused() -> None:
    assert Table((Route(target=(Rule("a.example"),), to="tor"),)).choose(flow_to("b.example")) == "refuse"
    assert Table(()).choose(flow_to("b.example")) == "refuse"
    assert Table(()).place(flow_to("b.example")) is None
