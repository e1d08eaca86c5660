"""Who may connect, and how many of them."""

from ipaddress import ip_address

import msgspec
import pytest

from anongw.admission import Admission, capacity
from anongw.config import Cidr, Limits
from anongw.errors import Reason, Refused
from anongw.ledger import OwnTally

ONE, TWO, SIX = ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("2001:db8::1")


def refusal(admission: Admission, client: object = ONE) -> Reason | None:
    try:
        admission.enter(client)  # type: ignore[arg-type]
    except Refused as refused:
        return refused.reason
    return None


def test_all_are_counted() -> None:
    admission = Admission((), most=2, per_client=2)
    assert [refusal(admission, client) for client in (ONE, TWO, SIX, None)] == [
        *(None, None),
        *(Reason.TOO_MANY, Reason.TOO_MANY),
    ]
    assert admission.total == 2
    admission.leave(TWO)
    assert [refusal(admission, client) for client in (None, ONE)] == [None, Reason.TOO_MANY]


def test_each_is_counted() -> None:
    admission = Admission((), most=10, per_client=1)
    assert [refusal(admission, client) for client in (ONE, ONE, TWO, SIX, None, None)] == [
        *(None, Reason.TOO_MANY),
        *(None, None),
        *(None, Reason.TOO_MANY),
    ]
    admission.leave(ONE)
    assert refusal(admission, ONE) is None


@pytest.mark.parametrize(("most", "one"), [(1, 1), (2, 1), (4, 3), (100, 75)])
def test_one_client_never_locks_out_the_rest(most: int, one: int) -> None:
    admission = Admission((), most, per_client=0)
    taken = sum(refusal(admission, ONE) is None for _ in range(most + 1))
    assert taken == one
    if most > 1:
        assert refusal(admission, TWO) is None


def test_only_the_listed() -> None:
    admission = Admission((Cidr("192.0.2.0/31"), Cidr("2001:db8::/32")), most=10, per_client=10)
    found = [refusal(admission, client) for client in (ONE, TWO, SIX, ip_address("2001:db9::1"), None)]
    assert found == [None, Reason.CLIENT_REFUSED, None, Reason.CLIENT_REFUSED, None]
    assert admission.total == 3, "who is refused is not counted"


def test_nothing_is_remembered_of_who_left() -> None:
    tally = OwnTally()
    admission = Admission((), most=10, per_client=10, tally=tally)
    admission.enter(ONE)
    admission.leave(ONE)
    assert not tally._counts


@pytest.mark.parametrize(
    ("wanted", "files", "expected"),
    [(0, 20_000, 9_776), (9_776, 20_000, 9_776), (100, 20_000, 100), (0, 1, 1), (0, 64, 16), (0, 448, 112)],
)
def test_capacity(wanted: int, files: int, expected: int) -> None:
    assert capacity(Limits(connections=wanted), files)[0] == expected


@pytest.mark.parametrize("wanted", [9_777, 100_000])
def test_more_than_fits(wanted: int) -> None:
    with pytest.raises(ValueError, match=r"write at most 9776$") as raised:
        capacity(Limits(connections=wanted), 20_000)
    # What it says to do helps.
    needed = int(str(raised.value).split(" needs ")[1].split()[0])
    assert capacity(Limits(connections=wanted), needed)[0] == wanted
    with pytest.raises(ValueError, match="needs"):
        capacity(Limits(connections=wanted), needed - 1)


@pytest.mark.parametrize(
    ("name", "value", "takes"), [("upstream_kept", 100, 50), ("pipe_bytes", 10 << 20, 10)]
)
def test_what_else_takes_files_is_left_for_it(name: str, value: int, takes: int) -> None:
    none = Limits(upstream_kept=0, pipe_bytes=0)
    most, _ = capacity(none, 1000)
    left, _ = capacity(msgspec.structs.replace(none, **{name: value}), 1000)
    assert most - left == takes


def test_each_of_several_workers_has_files_of_its_own() -> None:
    none = Limits(upstream_kept=0, pipe_bytes=0)
    one, _ = capacity(none, 1000)
    assert capacity(none, 1000, workers=3) == (3 * one, one)
    wanted = msgspec.structs.replace(none, connections=3 * one)
    assert capacity(wanted, 1000, workers=3) == (3 * one, one)
    with pytest.raises(ValueError, match=f"write at most {2 * one}"):
        capacity(wanted, 1000, workers=2)


def test_an_ipv6_client_is_its_whole_network() -> None:
    """One host may use every address of its /64."""
    admission = Admission((), most=10, per_client=1)
    admission.enter(ip_address("2001:db8::1"))
    with pytest.raises(Refused):
        admission.enter(ip_address("2001:db8::2"))
    admission.enter(ip_address("2001:db8:0:1::1"))
    admission.leave(ip_address("2001:db8::1"))
    admission.enter(ip_address("2001:db8::2"))


def test_an_ipv6_client_is_never_taken_for_an_ipv4_one() -> None:
    admission = Admission((), most=10, per_client=1)
    # Its /64 has the number of the other's address.
    assert [refusal(admission, client) for client in (ONE, ip_address("0:0:c000:201::1"))] == [None, None]
