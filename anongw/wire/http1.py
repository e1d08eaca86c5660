"""HTTP/1 heads: bytes in, values out, and back (RFC 9112).

Strategy: find the empty line ourselves, limits first; give exactly that head to httptools, which is strict
about everything inside a line; then check what httptools lets pass, and decide the framing of the body here.
`target.py` says whom a request is for, and `body.py` reads the body. One parser, one framing: nothing that
two programs could read in two ways gets past this file, and what it returns is re-built by us and never
copied.

Rules: requests are refused with the reason that tells the client what was wrong; whatever is wrong with a
response is UPSTREAM_MALFORMED; nothing is mended, with two exceptions that are named where they stand.
"""

import enum
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from anongw.errors import Reason, Refused
from anongw.wire.memo import REMEMBERED_MOST, Memo
from anongw.wire.reader import Reader

Headers = list[tuple[bytes, bytes]]  # order and case as the peer wrote them; values without outer blanks

# What a client may ask an origin for: RFC 9110, PATCH, WebDAV and its kin, QUERY. Not TRACE: it reflects the
# request, cookies and whatever a hop added, to a page that may not see them (RFC 9110 §9.3.8).
METHODS = frozenset(
    (
        b"GET HEAD POST PUT DELETE CONNECT OPTIONS PATCH QUERY SEARCH REPORT PROPFIND PROPPATCH MKCOL COPY "
        b"MOVE LOCK UNLOCK ACL MKCALENDAR MKACTIVITY CHECKOUT MERGE"
    ).split()
)

_HEAD_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_MINORS = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
_OTHER_VERSION = re.compile(rb"(?:HTTP|RTSP|ICE)/[0-9]\.[0-9]")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Visible ASCII; a fragment never belongs in a request (RFC 9112 §3.2).
_TARGET = re.compile(rb'[!"$-~]+')
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
_HOST = re.compile(rb"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
# 15 digits are just under a petabyte: room for every body, and exact in every language on the way.
_LENGTH = re.compile(rb"[0-9]{1,15}")

_OURS = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"proxy-authorization",
        b"proxy-connection",
        b"set-cookie",
        b"tor-stream-isolation",
        b"transfer-encoding",
        b"upgrade",
    )
)
_Fields = dict[bytes, list[bytes]]  # lower-case name -> values, of the names in _OURS only
SWITCHING_PROTOCOLS = 101
_SUCCESS = range(200, 300)
_INTERIM = range(100, 200)
_BODILESS = (204, 304)


class Kind(enum.Enum):
    """How the end of a body is known (RFC 9112 §6.3)."""

    NONE = "none"  # there is no body
    LENGTH = "length"  # after so many bytes
    CHUNKED = "chunked"  # after the last chunk
    CLOSE = "close"  # when the peer closes: responses only


class Framing(NamedTuple):
    kind: Kind
    length: int = 0  # bytes, for LENGTH


NO_BODY = Framing(Kind.NONE)
_CHUNKED = Framing(Kind.CHUNKED)
_TO_CLOSE = Framing(Kind.CLOSE)


@dataclass(frozen=True, slots=True)
class HeadLimits:
    size: int  # bytes of a whole head, its empty line included
    lines: int  # header lines, the first line not counted


class Mark:
    """Stands for a message's header lines: the same one for the same lines, on one client's connection."""

    __slots__ = ()


@dataclass(slots=True)
class RequestHead:
    method: bytes
    target: bytes  # visible ASCII without `#`; its form is for `target.py` to judge
    minor: int  # HTTP/1.0 or HTTP/1.1
    headers: Headers
    framing: Framing
    keep_alive: bool
    expects_continue: bool
    upgrade: bytes  # b"websocket" for a well-formed websocket upgrade, else b""
    to_us: bool = False  # some lines are for the gateway: a password, or what tells its clients apart
    mark: Mark | None = field(default=None, compare=False, repr=False)  # None: its lines are not remembered


# By all of a head but its target: the method, the version and the header lines.
Heads = Memo[tuple[bytes, int, bytes], RequestHead]


@dataclass(frozen=True, slots=True)
class ResponseHead:
    status: int
    reason: bytes
    minor: int
    headers: Headers
    framing: Framing
    keep_alive: bool
    mark: Mark | None = field(default=None, compare=False, repr=False)  # as above


Answers = Memo[tuple[bytes, bytes], ResponseHead]  # by the request's method and the whole head


def request_head(
    reader: Reader, limits: HeadLimits, known: Heads | None = None
) -> Generator[None, None, RequestHead | None]:
    """Read a request's head; None if the client closed before its first byte.

    `known` is the connection's: lines that came on it before are not taken apart again.

    Raises:
        Refused: MALFORMED, TOO_LARGE, UNSUPPORTED_PROTOCOL, UNSUPPORTED_COMMAND, UNSUPPORTED_ENCODING or
            EXPECTATION_FAILED.
        EOFError: the client closed in the middle.
    """
    head = _at_hand(reader, limits) or (yield from _cut(reader, limits))
    if not head:
        return None
    # RFC 9112 §2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the request-line". Old
    # clients end a body with one. One it is: a second makes the head empty, and that is malformed.
    head = head.removeprefix(b"\r\n")
    end = head.find(b"\r\n")
    method, target, minor = _request_line(head[:end])
    if known is None or method == b"CONNECT":  # which is the last of its connection
        return _understood(head, method, target, minor, limits.lines)
    key = method, minor, head[end:]
    if again := known.get(key):
        return _with_target(again, target)
    found = _understood(head, method, target, minor, limits.lines)
    # Nothing that is for us outlives its request.
    if not found.to_us and len(head) - end <= REMEMBERED_MOST:
        found.mark = Mark()
        known.remember(key, found)
    return found


def _with_target(head: RequestHead, target: bytes) -> RequestHead:
    return RequestHead(
        head.method,
        target,
        head.minor,
        head.headers,
        head.framing,
        head.keep_alive,
        head.expects_continue,
        head.upgrade,
        head.to_us,
        head.mark,
    )


def _understood(head: bytes, method: bytes, target: bytes, minor: int, lines: int) -> RequestHead:
    headers, fields = _validated(head, lines, response=False)
    if b"host" in fields:
        # RFC 9112 §3.2: 400 to "any request message that contains more than one Host header field line or
        # a Host header field with an invalid field value".
        if len(fields[b"host"]) != 1 or not _HOST.fullmatch(fields[b"host"][0]):
            raise Refused(Reason.MALFORMED, "Host")
    elif minor:
        raise Refused(Reason.MALFORMED, "no Host")
    framing = NO_BODY
    if b"transfer-encoding" in fields or b"content-length" in fields:
        framing = _request_framing(fields, method, minor)
    options = _options(fields)
    return RequestHead(
        method,
        target,
        minor,
        headers,
        framing,
        _persists(minor, options),
        b"expect" in fields and _expects_continue(fields[b"expect"], minor, framing),
        _websocket(fields, options, method, minor, framing) if b"upgrade" in fields else b"",
        b"proxy-authorization" in fields or b"tor-stream-isolation" in fields,
    )


def response_head(
    reader: Reader, limits: HeadLimits, method: bytes, known: Answers | None = None
) -> Generator[None, None, ResponseHead]:
    """Read a response's head; `method` is that of its request. An interim (1xx) one is returned as any other.

    `known` is the client's connection's: an answer that came on it before, within the same second most often,
    is not taken apart again.

    Raises:
        Refused: UPSTREAM_MALFORMED, also where the head is over its limit.
        EOFError: the origin closed before the end of the head.
    """
    try:
        head = _at_hand(reader, limits) or (yield from _cut(reader, limits))
        if not head:
            raise EOFError("closed without an answer")
        if known is not None and (again := known.get((method, head))):
            return again
        minor, status, reason = _status_line(head[: head.find(b"\r\n")])
        headers, fields = _validated(head, limits.lines, response=True)
        framing = _response_framing(fields, method, minor, status)
    except Refused as refused:
        raise Refused(Reason.UPSTREAM_MALFORMED, refused.detail) from None
    keep_alive = framing.kind is not Kind.CLOSE and _persists(minor, _options(fields))
    if known is None or len(head) > REMEMBERED_MOST or b"set-cookie" in fields:
        return ResponseHead(status, reason, minor, headers, framing, keep_alive)
    found = ResponseHead(status, reason, minor, headers, framing, keep_alive, Mark())
    known.remember((method, head), found)
    return found


def build_request(method: bytes, target: bytes, headers: Headers) -> bytes:
    return request_line(method, target) + build_lines(headers)


def request_line(method: bytes, target: bytes) -> bytes:
    line = b"%b %b HTTP/1.1\r\n" % (method, target)
    _hold(line, 1)
    return line


def build_lines(headers: Headers) -> bytes:
    """Header lines as they are sent, the empty line behind them included."""
    lines = b"\r\n".join([*[b": ".join(pair) for pair in headers], b"", b""]) if headers else b"\r\n"
    _hold(lines, len(headers) + 1)
    return lines


def build_response(status: int, reason: bytes, headers: Headers) -> bytes:
    line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
    _hold(line, 1)
    return line + build_lines(headers)


class _Collector:
    """What httptools reports of one head."""

    __slots__ = ("complete", "headers")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # httptools has cut the blanks in front, but not those behind; it lets no other white space in.
        self.headers.append((name, value.rstrip()))

    def on_headers_complete(self) -> None:
        self.complete = True


def _at_hand(reader: Reader, limits: HeadLimits) -> bytes:
    """A head that is here already, as nearly all are; else b""."""
    size = reader.find(_HEAD_END) + len(_HEAD_END)
    return reader.take(size) if len(_HEAD_END) <= size <= limits.size else b""


def _cut(reader: Reader, limits: HeadLimits) -> Generator[None, None, bytes]:
    """Take one head, up to and with its empty line; b"" if the peer closed before its first byte."""
    seen = 0
    while (found := reader.find(_HEAD_END, seen)) < 0 and len(reader) < limits.size:
        # A peer that ends its lines with LF alone would have us wait for an end that never comes.
        if reader.search(_BARE_LF, seen):
            raise Refused(Reason.MALFORMED, "bare LF")
        if reader.at_eof:
            return b""
        if reader.eof:
            raise EOFError(f"closed after {len(reader)} bytes of a head")
        seen = max(0, len(reader) - len(_HEAD_END) + 1)
        yield
    size = found + len(_HEAD_END)
    if found < 0 or size > limits.size:
        raise Refused(Reason.TOO_LARGE, f"a head over {limits.size} bytes")
    return reader.take(size)


def _request_line(line: bytes) -> tuple[bytes, bytes, int]:
    # httptools lets two blanks, other versions and `#` pass.
    parts = line.split(b" ")
    if len(parts) != 3:  # noqa: PLR2004 - RFC 9112 §3: method SP request-target SP HTTP-version
        raise Refused(Reason.MALFORMED, "request line")
    method, target, version = parts
    minor = _MINORS.get(version)
    if minor is None:
        other = _OTHER_VERSION.fullmatch(version)
        raise Refused(Reason.UNSUPPORTED_PROTOCOL if other else Reason.MALFORMED, "HTTP version")
    if not _TARGET.fullmatch(target):
        raise Refused(Reason.MALFORMED, "request target")
    if method not in METHODS:
        known = _TOKEN.fullmatch(method)
        raise Refused(Reason.UNSUPPORTED_COMMAND if known else Reason.MALFORMED, "method")
    return method, target, minor


def _status_line(line: bytes) -> tuple[int, int, bytes]:
    parts = _STATUS_LINE.fullmatch(line)
    if not parts:
        raise Refused(Reason.MALFORMED, "status line")
    return int(parts[1]), int(parts[2]), parts[3] or b""


def _validated(head: bytes, lines: int, *, response: bool) -> tuple[Headers, _Fields]:
    """Have httptools judge a head; its header lines, and those of them that we act upon."""
    collector = _Collector()
    parser = HttpResponseParser(collector) if response else HttpRequestParser(collector)
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        pass  # said of CONNECT, 101 and Upgrade once the head is read: what follows is not its business here
    except HttpParserError as error:
        raise Refused(Reason.MALFORMED, str(error)) from None
    # No input is known to get here. If one does, two parsers disagree on where a head ends.
    if not collector.complete:
        raise Refused(Reason.MALFORMED, "the head does not end where it seems to")
    headers = collector.headers
    if len(headers) > lines:
        raise Refused(Reason.TOO_LARGE, f"more than {lines} header lines")
    fields: _Fields = {}
    for name, value in headers:
        if (known := name.lower()) in _OURS:
            fields.setdefault(known, []).append(value)
    return headers, fields


def _coded(fields: _Fields, minor: int) -> Framing | None:
    """What Transfer-Encoding and Content-Length say, where exactly one of them says exactly one thing."""
    encodings = fields.get(b"transfer-encoding")
    lengths = fields.get(b"content-length")
    if encodings:
        # RFC 9112 §6.1: with Content-Length, or in HTTP/1.0, "the message framing is faulty".
        if len(encodings) > 1 or lengths or not minor:
            raise Refused(Reason.MALFORMED, "Transfer-Encoding")
        # httptools has refused what does not end in `chunked`, which RFC 9112 §6.3 wants a 400 for.
        if encodings[0].lower() != b"chunked":
            raise Refused(Reason.UNSUPPORTED_ENCODING, "Transfer-Encoding")
        return _CHUNKED
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Refused(Reason.MALFORMED, "Content-Length")
    return Framing(Kind.LENGTH, int(lengths[0]))


def _request_framing(fields: _Fields, method: bytes, minor: int) -> Framing:
    framing = _coded(fields, minor) or NO_BODY
    if method == b"CONNECT":
        # RFC 9110 §9.3.6: a CONNECT has no content; some clients say so with a length of 0.
        if framing.kind is Kind.CHUNKED or framing.length:
            raise Refused(Reason.MALFORMED, "CONNECT with a body")
        return NO_BODY
    return framing


def _response_framing(fields: _Fields, method: bytes, minor: int, status: int) -> Framing:
    # RFC 9112 §6.3, in its order.
    if method == b"CONNECT" and status in _SUCCESS:
        return NO_BODY
    framing = _coded(fields, minor)
    if method == b"HEAD" or status in _INTERIM or status in _BODILESS:
        return NO_BODY
    return framing or _TO_CLOSE


def _options(fields: _Fields) -> list[bytes]:
    """The connection options, lower case. `Proxy-Connection` is what old clients say to a proxy instead."""
    values = b",".join(fields.get(b"connection", []) + fields.get(b"proxy-connection", []))
    return [option.strip() for option in values.lower().split(b",")]


def _persists(minor: int, options: list[bytes]) -> bool:
    # RFC 9112 §9.3. It would have a proxy ignore an HTTP/1.0 client's keep-alive, for fear of older proxies
    # that pass the word on blindly; those are gone, and ab and old clients ask for it.
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


def _expects_continue(values: list[bytes], minor: int, framing: Framing) -> bool:
    if len(values) > 1 or values[0].lower() != b"100-continue":
        raise Refused(Reason.EXPECTATION_FAILED, "Expect")
    # RFC 9110 §10.1.1: ignored in an HTTP/1.0 request; and there is nothing to wait for without a body.
    return minor == 1 and framing.kind is not Kind.NONE


def _websocket(fields: _Fields, options: list[bytes], method: bytes, minor: int, framing: Framing) -> bytes:
    # RFC 6455 §4.1. Any other Upgrade, and one with a body, is ignored (RFC 9110 §7.8) and not passed on.
    wanted = [value.lower() for value in fields[b"upgrade"]] == [b"websocket"] and b"upgrade" in options
    return b"websocket" if wanted and method == b"GET" and minor and framing.kind is Kind.NONE else b""


def _hold(head: bytes, lines: int) -> None:
    """See that what is written has so many lines.

    Every part was validated when it was read. If one ever is not, the gateway must not write a second header,
    or a second request, in somebody else's name.
    """
    if not head.count(b"\n") == head.count(b"\r") == lines:
        raise Refused(Reason.INTERNAL, "a line break inside a head")
