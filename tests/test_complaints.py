"""Each complaint comes now and then, and of nobody."""

from anongw.address import Endpoint, parse_host
from anongw.complaints import CLIENTS_EVERY, RESOLVERS_EVERY, Complaints
from anongw.errors import Reason
from anongw.flow import Flow


def flow(host: str = "secret.example", port: int = 443, reason: Reason | None = None) -> Flow:
    target = Endpoint(parse_host(host), port)
    return Flow("127.0.0.1:1080", protocol="socks5", user="alice", target=target, reason=reason)


def test_once_and_again_after_a_while() -> None:
    said: list[str] = []
    complaints = Complaints(said.append)
    for now in (0.0, 1.0, CLIENTS_EVERY - 1, CLIENTS_EVERY, CLIENTS_EVERY + 1):
        complaints.finished(flow(port=110), now)
    assert len(said) == 2
    assert "in the clear" in said[0]
    assert said[0] == said[1]


def test_each_thing_has_its_own_time() -> None:
    said: list[str] = []
    complaints = Complaints(said.append)
    by_address = flow("1.2.3.4", 80)
    by_address.by_address = True
    failed = flow(reason=Reason.RESOLVER_FAILED)
    for now in (0.0, RESOLVERS_EVERY):
        complaints.finished(by_address, now)
        complaints.finished(failed, now)
    assert [text.split()[0:3] for text in said] == [
        ["a", "SOCKS", "client"],
        ["a", "tunnel", "goes"],
        ["no", "resolver", "gave"],
        ["no", "resolver", "gave"],
    ]
    assert not [text for text in said if "secret" in text or "alice" in text or "1.2.3.4" in text]


def test_nothing_is_said_of_a_flow_that_shows_nothing() -> None:
    said: list[str] = []
    Complaints(said.append).finished(flow(reason=Reason.FORBIDDEN), 0.0)
    assert said == []
