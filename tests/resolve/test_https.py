"""What a query over HTTPS shows, in both versions of HTTP, and which answer counts."""

import pytest
import trustme

from anongw.errors import Reason
from anongw.resolve import https
from anongw.resolve.server import Server, parse_server
from anongw.wire.dns import Kind, Question
from tests.support.dns_server import FakeDns, asking

A = Question("a.example", Kind.A)
RECORDS = {"a.example": ("192.0.2.1",)}


def server(text: str) -> Server:
    found = parse_server(text)
    assert isinstance(found, Server)
    return found


def test_both_versions_say_the_same() -> None:
    target = server("https://9.9.9.9:8443/q#dns.quad9.net")
    assert https.request(target, 128) == (
        b"POST /q HTTP/1.1\r\n"
        b"Host: dns.quad9.net:8443\r\n"
        b"Accept: application/dns-message\r\n"
        b"Content-Type: application/dns-message\r\n"
        b"Content-Length: 128\r\n"
        b"\r\n"
    )
    assert https.headers(target, 128) == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"dns.quad9.net:8443"),
        (b":path", b"/q"),
        (b"accept", b"application/dns-message"),
        (b"content-type", b"application/dns-message"),
        (b"content-length", b"128"),
    ]


@pytest.mark.parametrize("alpn", [("h2", "http/1.1"), ("http/1.1",)])
async def test_nothing_else_reaches_the_server(ca: trustme.CA, ca_file: str, alpn: tuple[str, ...]) -> None:
    fake = FakeDns(RECORDS, ca=ca, alpn=alpn)
    async with asking(fake, "https", ca_file) as upstream:
        await upstream.ask(A)
    names = [name.lower() for name, _ in fake.seen[0].headers if not name.startswith(b":")]
    assert sorted(set(names) - {b"host"}) == [b"accept", b"content-length", b"content-type"]
    assert len(fake.seen[0].wire) == 128
    assert fake.seen[0].message.id == 0


@pytest.mark.parametrize(
    ("status", "media_type", "counts"),
    [
        (b"200", b"application/dns-message", True),
        (b"200", b"Application/DNS-Message; charset=x", True),
        (b"200", b"text/html", False),
        (b"200", b"", False),
        (b"204", b"application/dns-message", False),
        (b"302", b"application/dns-message", False),
        (b"500", b"application/dns-message", False),
        (b"", b"application/dns-message", False),
    ],
)
def test_which_response_counts(status: bytes, media_type: bytes, counts: bool) -> None:  # noqa: FBT001 - a column
    refused = https.judge(status, media_type)
    assert (refused is None) is counts
    assert refused is None or refused.reason is Reason.UPSTREAM_MALFORMED
