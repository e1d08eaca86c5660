"""In whose name a flow goes."""

from ipaddress import ip_address
from itertools import combinations

import pytest

from anongw.address import Endpoint
from anongw.flow import Flow
from anongw.route import identify

LISTENER = "127.0.0.1:1080"
CLIENT = ip_address("192.0.2.1")
TARGET = Endpoint("a.example", 80)


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
    assert identify(flow, by_destination=False) == identity
    assert identify(flow, by_destination=True) == f"{identity} to a.example"


def test_the_port_is_no_destination_of_its_own() -> None:
    one, two = (Flow(LISTENER, target=Endpoint("a.example", port)) for port in (80, 443))
    assert identify(one, by_destination=True) == identify(two, by_destination=True)


@pytest.mark.parametrize("by_destination", [False, True])
def test_no_two_are_one(*, by_destination: bool) -> None:
    """A user may choose any name, also one that looks like something else."""
    names = ["", "alice", "alice to a.example", "client 192.0.2.1", f"listener {LISTENER}", "192.0.2.1"]
    flows = [Flow(LISTENER, user=name, target=TARGET) for name in names]
    flows += [Flow(LISTENER, target=TARGET), Flow(LISTENER, client=CLIENT, shared=True, target=TARGET)]
    identities = [identify(flow, by_destination=by_destination) for flow in flows]
    assert all(one != two for one, two in combinations(identities, 2))


def test_destinations_are_apart_where_the_config_says_so() -> None:
    one, two = (Flow(LISTENER, user="x", target=Endpoint(host, 80)) for host in ("a.example", "b.example"))
    assert identify(one, by_destination=True) != identify(two, by_destination=True)
    assert identify(one, by_destination=False) == identify(two, by_destination=False)
