"""Every error number has a reason, and the detail is a symbol."""

import errno

import pytest

from anongw.errors import Reason
from anongw.net.reasons import reason_of, refusal


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ECONNREFUSED, Reason.CONNECTION_REFUSED),
        (errno.EHOSTUNREACH, Reason.HOST_UNREACHABLE),
        (errno.ENETUNREACH, Reason.NETWORK_UNREACHABLE),
        (errno.EADDRNOTAVAIL, Reason.NETWORK_UNREACHABLE),
        (errno.EPERM, Reason.NETWORK_UNREACHABLE),
        (errno.ETIMEDOUT, Reason.CONNECT_TIMEOUT),
        (errno.EMFILE, Reason.RESOURCES),
        (errno.EPIPE, Reason.HOST_UNREACHABLE),
        (None, Reason.HOST_UNREACHABLE),
    ],
)
def test_an_error_number_has_one_reason(code: int | None, reason: Reason) -> None:
    assert reason_of(code) is reason


def test_the_detail_of_a_refusal_is_the_symbol_and_not_the_text() -> None:
    refused = refusal(ConnectionRefusedError(errno.ECONNREFUSED, "connect to 192.0.2.1 failed"))
    assert refused.reason is Reason.CONNECTION_REFUSED
    assert refused.detail == "ECONNREFUSED"


def test_a_timeout_without_a_number_is_one_too() -> None:
    assert refusal(TimeoutError("slow")).reason is Reason.CONNECT_TIMEOUT
