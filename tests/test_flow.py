"""Flows have numbers of their own and hold nothing that is not said of them."""

from anongw.flow import Flow


def test_numbers_are_never_used_twice() -> None:
    numbers = [Flow("127.0.0.1:1080").number for _ in range(100)]
    assert numbers == sorted(set(numbers))


def test_a_flow_begins_knowing_nothing() -> None:
    flow = Flow("127.0.0.1:1080")
    assert (flow.client, flow.user, flow.target, flow.reason) == (None, None, None, None)
    assert (flow.protocol, flow.identity, flow.sent, flow.received) == ("", "", 0, 0)
    assert not flow.over
    assert not flow.shared
