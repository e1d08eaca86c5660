"""An origin that records raw bytes. What it does is asked for by path, or by the first line in a tunnel.

    GET /hang HTTP/1.1        or in a tunnel, on a line of its own,   hang

"hang" hears and says nothing, "die" breaks off in the middle of an answer, "garbage" is no HTTP, the rest is
in `ANSWERS`. Whatever else is HTTP is answered with `BODY`, and whatever is not is echoed.
"""

import re
from typing import Final

from anongw.lab.hop_script import Manner, Seen
from anongw.lab.hop_wire import Wire
from anongw.lab.server import Server

BODY: Final = b"as the origin says\n"
GARBAGE: Final = b"\x00\xff\x16\x03\x01 neither HTTP nor anything else\r\n\r\n" * 3
_METHODS: Final = re.compile(rb"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|TRACE|PROPFIND) ")
_WANTED: Final = re.compile(rb"(?:[A-Z]+ /)?([a-z0-9-]+)[ \n]")
# RFC 9112 section 6.3; anything longer is not sent here.
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ?([0-9]{1,6})\r\n", re.IGNORECASE)


def _answer(status: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(BODY), b"", BODY))


ANSWERS: Final = {
    b"far-407": _answer(b"407 Proxy Authentication Required", b'Proxy-Authenticate: Basic realm="planted"'),
    b"elsewhere": _answer(
        b"200 OK",
        b'Alt-Svc: h3=":443"; ma=86400',
        b"Link: <http://planted-link.example/>; rel=preconnect",
        b"Accept-CH: Sec-CH-UA-Model",
        b'NEL: {"report_to":"planted"}',
    ),
    b"hints": b"HTTP/1.1 103 Early Hints\r\nLink: </planted>; rel=preload\r\n\r\n" + _answer(b"200 OK"),
    b"trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Planted\r\n\r\n"
    b"%x\r\n%b\r\n0\r\nX-Planted: planted\r\n\r\n" % (len(BODY), BODY),
    b"garbage": GARBAGE,
}


class Origin(Server):
    """`seen` holds each connection's bytes as they came."""

    def _converse(self, wire: Wire, seen: Seen) -> str:
        data = b""
        is_web = None
        while piece := wire.receive():
            data += piece
            if is_web is None:
                is_web = bool(_METHODS.match(data))
                seen.kind = "web" if is_web else "tunnel"
            if not is_web:
                if (how := _oddly(wire, data)) is not None:
                    return how
                wire.say(data)
                data = b""
            while is_web and b"\r\n\r\n" in data:
                end = data.index(b"\r\n\r\n") + 4
                length = _LENGTH.search(data[:end])
                end += int(length[1]) if length else 0
                if len(data) < end:
                    break
                if (how := _oddly(wire, data)) is not None:
                    return how
                found = _WANTED.match(data)
                wire.say(ANSWERS.get(found[1] if found else b"", _answer(b"200 OK")))
                data = data[end:]
        wire.end(Manner.CLOSE)
        return "whole"


def _oddly(wire: Wire, data: bytes) -> str | None:
    """Do what is asked for where that ends the connection; how it ended, or None."""
    found = _WANTED.match(data)
    wanted = found[1] if found else b""
    if wanted == b"hang":
        wire.rest()
        return "fault"
    if wanted == b"die":
        wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        wire.end(Manner.RESET)
        return "fault"
    return None
