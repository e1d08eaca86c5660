"""The first byte tells the protocol, and stays."""

import pytest

from anongw.errors import Reason, Refused
from anongw.wire.detect import Protocol, detect
from anongw.wire.reader import Reader
from tests.support.feed import Outcome, feed


@pytest.mark.parametrize("byte", range(256))
def test_every_first_byte(byte: int) -> None:
    raw = bytes((byte,)) + b"rest"
    outcome = feed(detect, raw, range(9))
    if byte in (4, 5):
        assert outcome == Outcome(value=Protocol.SOCKS5 if byte == 5 else Protocol.SOCKS4, rest=raw)
    elif byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n":
        assert outcome == Outcome(value=Protocol.HTTP, rest=raw)
    else:
        assert outcome == Outcome(reason=Reason.UNSUPPORTED_PROTOCOL)


def test_one_byte_is_enough() -> None:
    reader = Reader()
    reader.feed(b"\x05")
    with pytest.raises(StopIteration):
        next(detect(reader))


def test_a_client_that_says_nothing() -> None:
    assert feed(detect, b"").short


def test_the_log_learns_of_tls() -> None:
    reader = Reader()
    reader.feed(b"\x16\x03\x01")
    with pytest.raises(Refused) as refused:
        next(detect(reader))
    assert "TLS" in refused.value.detail
