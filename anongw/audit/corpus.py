"""What clients send that two programs could read in two ways, or that asks for what nobody may have.

`%b` is where the target's authority stands. Each request that can be smuggled has the path `/smuggled`.
"""

from collections.abc import Callable
from typing import Final

from anongw.audit.canaries import HEADERS, NAMING

_TAIL: Final = b"GET http://%b/smuggled HTTP/1.1\r\nHost: %b\r\n\r\n"


def _post(*lines: bytes) -> bytes:
    return b"\r\n".join((b"POST http://%b/ HTTP/1.1", b"Host: %b", *lines, b"", b""))


def _first(line: bytes) -> bytes:
    return line + b"\r\nHost: %b\r\n\r\n" + _TAIL


_CHUNKED: Final = b"Transfer-Encoding: chunked"

SMUGGLING: Final[dict[str, tuple[bytes, ...]]] = {
    "two lengths": (
        _post(b"Content-Length: 0", _CHUNKED) + _TAIL,
        _post(_CHUNKED, b"Content-Length: 4") + b"0\r\n\r\n" + _TAIL,
        _post(b"Content-Length: 0", b"Content-Length: 5") + _TAIL,
        _post(b"Content-Length: 0, 0") + _TAIL,
        _post(b"Content-Length: +0") + _TAIL,
        _post(b"Content-Length: 0x0") + _TAIL,
    ),
    "encodings": (
        _post(b"Transfer-Encoding: chunked, identity") + b"0\r\n\r\n" + _TAIL,
        _post(b"Transfer-Encoding: xchunked") + _TAIL,
        _post(b"Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n" + _TAIL,
        _post(b"Transfer-Encoding: identity", _CHUNKED) + b"0\r\n\r\n" + _TAIL,
        _post(b"Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n" + _TAIL,
    ),
    "header lines": (
        _post(b"Content-Length : 0") + _TAIL,
        _post(b"X: a\nContent-Length: 0") + _TAIL,
        _post(b"X: a\r\n Content-Length: 0") + _TAIL,
        _post(b"X: a\0b", b"Content-Length: 0") + _TAIL,
        b"POST http://%b/ HTTP/1.1\nHost: %b\nContent-Length: 0\n\n" + _TAIL,
    ),
    "chunks": (
        _post(_CHUNKED) + b"+0\r\n\r\n" + _TAIL,
        _post(_CHUNKED) + b"0\n\n" + _TAIL,
        _post(_CHUNKED) + b"5\r\nhello!!\r\n0\r\n\r\n" + _TAIL,
        _post(_CHUNKED) + b"0;a\nb\r\n\r\n" + _TAIL,
        _post(_CHUNKED) + b"FFFFFFFFFFFFFFFF\r\n" + _TAIL,
    ),
    "request lines": (
        _first(b"GET  http://%b/ HTTP/1.1"),
        _first(b"GET http://%b/ HTTP/1.10"),
        _first(b"GET http://%b/ HTTP/2.0"),
        _first(b"GET http://somebody@%b/ HTTP/1.1"),
        _first(b"GET http://%b/#fragment HTTP/1.1"),
    ),
    "hosts": (
        b"GET http://%b/ HTTP/1.1\r\nHost: %b\r\nHost: planted.example\r\n\r\n" + _TAIL,
        b"GET http://%b/ HTTP/1.1\r\nHost: planted.example, %b\r\n\r\n" + _TAIL,
    ),
    "a body on CONNECT": (
        b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nContent-Length: 5\r\n\r\nhello" + _TAIL,
        b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _TAIL,
    ),
}

_END: Final = b"\r\n\r\n"


def _cased(request: bytes, case: Callable[[bytes], bytes]) -> bytes:
    """With the names of all lines in another case."""
    first, *lines = request.removesuffix(_END).split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return b"\r\n".join((first, *(case(name) + colon + value for name, colon, value in pairs))) + _END


def _underscored(name: bytes) -> bytes:
    """Some servers take both for the same. What Connection names is left as it names it."""
    return name if name == NAMING.encode() else name.replace(b"-", b"_")


def _twice(request: bytes) -> bytes:
    """With every line but Host and the login a second time."""
    first, host, proof, *lines = request.removesuffix(_END).split(b"\r\n")
    return b"\r\n".join((first, host, proof, *lines, *lines)) + _END


def _with_trailer(request: bytes) -> bytes:
    """As a POST whose body has a trailer (RFC 9112 section 7.1.2), which a filter of headers may forget."""
    # A condition guards a POST against lost updates, and is kept there.
    lines = [line for line in request.split(b"\r\n") if not line.startswith(b"If-None-Match")]
    request = b"\r\n".join(lines)
    head = request.replace(b"GET ", b"POST ", 1).removesuffix(b"\r\n") + b"Transfer-Encoding: chunked" + _END
    return head + b"4\r\nbody\r\n0\r\nX-Forwarded-For: %b\r\n\r\n" % HEADERS["X-Forwarded-For"].encode()


def _upgrade(request: bytes) -> bytes:
    """As a websocket's handshake, and what else could be upgraded to."""
    lines = b"Upgrade: websocket, h2c\r\nHTTP2-Settings: Y2FuYXJ5\r\nSec-WebSocket-Version: 13"
    return request.replace(b", close", b", upgrade, close").removesuffix(b"\r\n") + lines + _END


# A plain request with all of HEADERS, and the ways to dress it up.
DRESSES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "as they are": lambda request: request,
    "names in upper case": lambda request: _cased(request, bytes.upper),
    "names in lower case": lambda request: _cased(request, bytes.lower),
    "with underscores": lambda request: _cased(request, _underscored),
    "blanks around values": lambda request: request.replace(b": ", b": \t "),
    "each line twice": _twice,
    "in HTTP/1.0": lambda request: request.replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a trailer": _with_trailer,
    "an upgrade": _upgrade,
}

# No protocol, or one that is not spoken: nobody is to be called because of it.
NONSENSE: Final = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # TLS
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x05\xff" + bytes(range(255)),
    b"\x04\x01\x00",
    b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n",  # meant for the gateway itself
    b"OPTIONS * HTTP/1.1\r\nHost: %b\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET ftp://%b/ HTTP/1.1\r\nHost: %b\r\n\r\n",
    b"TRACE http://%b/ HTTP/1.1\r\nHost: %b\r\n\r\n",
    bytes(4000),
)

# Targets that nobody may be sent to, each in the spellings of its kind.
PRIVATE: Final[dict[str, tuple[str, ...]]] = {
    "this machine": ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "::1", "::ffff:127.0.0.1"),
    "private networks": ("10.1.2.3", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"),
    "metadata and link-local": ("169.254.169.254", "169.254.1.1", "fe80::1", "64:ff9b::a9fe:a9fe"),
    "names of nobody's": ("localhost", "printer.local", "x.internal", "x.home.arpa", "x.test", "x.alt"),
}  # fmt: skip
