"""What a DNS query over HTTPS says (RFC 8484), in either version of HTTP, and which answer counts.

The request has no header but those without which it would not be understood: no User-Agent, no language, no
cookie (RFC 8484 §8.2). POST and not GET: the padding then really hides the length, and no query stands in an
access log's request line. The message id is 0, the same for everybody (RFC 8484 §4.1).
"""

from anongw.errors import Reason, Refused
from anongw.resolve.server import Server

MESSAGE_ID = 0
MEDIA_TYPE = b"application/dns-message"


def headers(server: Server, length: int) -> list[tuple[bytes, bytes]]:
    """The request as HTTP/2 writes it, pseudo-headers first (RFC 9113 §8.3)."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", server.authority.encode("ascii")),
        (b":path", server.path.encode("ascii")),
        (b"accept", MEDIA_TYPE),
        (b"content-type", MEDIA_TYPE),
        (b"content-length", b"%d" % length),
    ]


def request(server: Server, length: int) -> bytes:
    """The same as the head of an HTTP/1.1 request."""
    lines = [
        b"POST %b HTTP/1.1" % server.path.encode("ascii"),
        b"Host: " + server.authority.encode("ascii"),
        b"Accept: " + MEDIA_TYPE,
        b"Content-Type: " + MEDIA_TYPE,
        b"Content-Length: %d" % length,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def judge(status: bytes, media_type: bytes) -> Refused | None:
    """Why the body is not to be read as an answer; None if it is. Redirects are not followed."""
    if status != b"200":
        return Refused(Reason.UPSTREAM_MALFORMED, f"HTTP status {status!a}")
    if media_type.partition(b";")[0].strip().lower() != MEDIA_TYPE:
        return Refused(Reason.UPSTREAM_MALFORMED, "not a DNS message")
    return None
