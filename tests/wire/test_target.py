"""Request targets: what is read of each form, what is refused, and what `Host` then says."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.wire.memo import REMEMBERED_MOST
from anongw.wire.target import Origins, absolute, authority, host_header, origin_and_path


@pytest.mark.parametrize(
    ("target", "endpoint", "path"),
    [
        (b"http://a.test/x?y=%00", Endpoint("a.test", 80), b"/x?y=%00"),
        (b"HTTP://A.Test.", Endpoint("a.test", 80), b"/"),
        (b"http://a.test?q", Endpoint("a.test", 80), b"/?q"),
        (b"http://a.test:8080/", Endpoint("a.test", 8080), b"/"),
        (b"http://a.test:/", Endpoint("a.test", 80), b"/"),
        (b"http://a.test//b@c:d/../", Endpoint("a.test", 80), b"//b@c:d/../"),
        (b"http://[::1]:81/", Endpoint(IPv6Address("::1"), 81), b"/"),
        (b"http://0x7f.1/", Endpoint(IPv4Address("127.0.0.1"), 80), b"/"),
    ],
)
def test_absolute_form(target: bytes, endpoint: Endpoint, path: bytes) -> None:
    assert absolute(target) == ("http", endpoint, path)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"https://a.test/", Reason.UNSUPPORTED_PROTOCOL),
        (b"ftp://a.test/", Reason.UNSUPPORTED_PROTOCOL),
        (b"x+y.z-1://a.test/", Reason.UNSUPPORTED_PROTOCOL),
        (b"/", Reason.MALFORMED),
        (b"*", Reason.MALFORMED),
        (b"a.test:80", Reason.MALFORMED),
        (b"http:a.test", Reason.MALFORMED),
        (b"http://", Reason.MALFORMED),
        (b"http://:80/", Reason.MALFORMED),
        (b"http://a.test/#f", Reason.MALFORMED),
        (b"http://a.test#f", Reason.MALFORMED),
        (b"http://[::1/", Reason.MALFORMED),
        (b"http://::1/", Reason.MALFORMED),
        (b"http://[a.test]/", Reason.MALFORMED),
        (b"http://[::1]x/", Reason.MALFORMED),
        (b"http://\xe4.test/", Reason.MALFORMED),
    ],
)
def test_other_targets_are_refused(target: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        absolute(target)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        (b"A.test:443", Endpoint("a.test", 443)),
        (b"[2001:db8::1]:22", Endpoint(IPv6Address("2001:db8::1"), 22)),
        (b"10.1:1", Endpoint(IPv4Address("10.0.0.1"), 1)),
    ],
)
def test_authority_form(target: bytes, endpoint: Endpoint) -> None:
    assert authority(target) == endpoint


@pytest.mark.parametrize(
    "target",
    [b"", b":443", b"a.test", b"a.test:", b"a.test:x", b"a.test:0", b"a:1:2", b"u@a:1", b"/", b"\xff:1"],
)
def test_other_authorities_are_refused(target: bytes) -> None:
    with pytest.raises(Refused) as refused:
        authority(target)
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("endpoint", "scheme", "value"),
    [
        (Endpoint("a.test", 80), "http", b"a.test"),
        (Endpoint("a.test", 443), "http", b"a.test:443"),
        (Endpoint("a.test", 443), "https", b"a.test"),
        (Endpoint("a.test", 80), "other", b"a.test:80"),
        (Endpoint(IPv4Address("10.0.0.1"), 80), "http", b"10.0.0.1"),
        (Endpoint(IPv6Address("::1"), 80), "http", b"[::1]"),
        (Endpoint(IPv6Address("::1"), 81), "http", b"[::1]:81"),
    ],
)
def test_host_header(endpoint: Endpoint, scheme: str, value: bytes) -> None:
    assert host_header(endpoint, scheme) == value


def test_an_origin_is_the_same_whether_it_was_asked_before_or_not() -> None:
    known = Origins(2)
    targets = (b"http://a.test/x", b"HTTP://A.test:80?y", b"http://a.test:8080", b"http://[::ffff:1.2.3.4]/")
    for target in targets * 2:
        for _ in range(2):
            origin, path = origin_and_path(target, known)
            assert ("http", origin.endpoint, path) == absolute(target)
            assert origin.authority == host_header(origin.endpoint, "http")
            assert len(known) <= 2
    long = b"http://a.test:" + b"0" * REMEMBERED_MOST
    known.clear()
    with pytest.raises(Refused):
        origin_and_path(long + b"/", known)
    assert not known
