"""What clients ask and what they must hear, byte for byte and by hand: no library hides or adds a byte.

Each protocol's whole conversation is said at once. A gateway must keep what comes early, so what it answers
is one string of bytes too, and a table can hold both.
"""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

SOCKS5_NONE = b"\x05\x01\x00"  # one method on offer: no login
SOCKS5_NONE_CHOSEN = b"\x05\x00"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
# Seconds after which a test that would hang fails. Nothing waits for it.
PATIENCE = 20.0


def socks5(host: str, port: int, *, command: int = 1) -> bytes:
    """Greeting and request; an address goes as one, anything else as a name."""
    return SOCKS5_NONE + socks5_request(host, port, command=command)


def socks5_request(host: str, port: int, *, command: int = 1) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return socks5_name(host.encode(), port, command=command)
    kind = b"\x01" if address.version == 4 else b"\x04"
    return bytes((5, command, 0)) + kind + address.packed + port.to_bytes(2, "big")


def socks5_name(name: bytes, port: int, *, command: int = 1) -> bytes:
    return bytes((5, command, 0, 3, len(name))) + name + port.to_bytes(2, "big")


def socks5_login(user: bytes, password: bytes) -> bytes:
    """Greeting with user and password alone on offer, and both."""
    return b"\x05\x01\x02\x01" + bytes((len(user),)) + user + bytes((len(password),)) + password


def socks5_reply(code: int, *, six: bool = False) -> bytes:
    """BND.ADDR is zero, of the request's family."""
    return bytes((5, code, 0, 4 if six else 1)) + bytes(18 if six else 6)


def socks4(host: str, port: int, user: bytes = b"", *, command: int = 1) -> bytes:
    """SOCKS4 for an IPv4 address, 4a for anything else."""
    head = bytes((4, command)) + port.to_bytes(2, "big")
    try:
        return head + ipaddress.IPv4Address(host).packed + user + b"\0"
    except ValueError:
        return head + b"\0\0\0\x01" + user + b"\0" + host.encode() + b"\0"


def socks4_reply(code: int) -> bytes:
    return bytes((0, code)) + bytes(6)


def connect(host: str, port: int, *headers: bytes) -> bytes:
    authority = f"{_in_brackets(host)}:{port}".encode()
    return http_head(b"CONNECT %b HTTP/1.1" % authority, b"Host: " + authority, *headers)


def get(host: str, port: int, *headers: bytes, path: str = "/") -> bytes:
    authority = f"{_in_brackets(host)}:{port}".encode()
    line = b"GET http://%b%b HTTP/1.1" % (authority, path.encode())
    return http_head(line, b"Host: " + authority, *headers)


def http_head(*lines: bytes) -> bytes:
    return b"\r\n".join((*lines, b"", b""))


_PHRASES = {
    400: b"Bad Request",
    403: b"Forbidden",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}


def http_refusal(status: int, told: str = "", *, kept: bool = False) -> bytes:
    """The gateway's own answer, whole: `told` is the reason that a CONNECT on a loopback listener hears."""
    lines = [
        b"HTTP/1.1 %d %b" % (status, _PHRASES[status]),
        b"Content-Type: text/plain",
        b"Content-Length: 33",
    ]
    if status == 407:
        lines.append(b'Proxy-Authenticate: Basic realm="proxy", charset="UTF-8"')
    if told:
        lines.append(b"Anongw-Request-Failed: " + told.encode())
    lines.append(b"Connection: " + (b"keep-alive" if kept else b"close"))
    return http_head(*lines) + b"The request could not be served.\n"


class Way(NamedTuple):
    """A protocol: how to ask for a host and port, what success is, and what refusal is for a named reason."""

    name: str
    ask: Callable[[str, int], bytes]
    granted: bytes
    refused: Callable[[str], bytes]


# The answers to each reason, as the RFCs' codes and HTTP's: written here a second time, on purpose.
CODES = {
    "malformed": (0x01, 400),
    "private-target": (0x02, 403),
    "private-name": (0x02, 403),
    "rebinding": (0x02, 403),
    "own-listener": (0x02, 403),
    "forbidden": (0x02, 403),
    "name-not-found": (0x04, 502),
    "resolver-failed": (0x04, 502),
    "connection-refused": (0x05, 502),
    "network-unreachable": (0x03, 502),
    "host-unreachable": (0x04, 502),
    "connect-timeout": (0x06, 504),
    "upstream-closed": (0x01, 502),
    "egress-gone": (0x01, 502),
    "hop-unreachable": (0x01, 502),
    "hop-timeout": (0x06, 504),
    "hop-closed": (0x01, 502),
    "hop-malformed": (0x01, 502),
    "hop-auth": (0x01, 502),
    "hop-tls": (0x01, 502),
    "hop-refused": (0x02, 403),
}

SOCKS5 = Way(
    "socks5",
    socks5,
    SOCKS5_NONE_CHOSEN + socks5_reply(0),
    lambda reason: SOCKS5_NONE_CHOSEN + socks5_reply(CODES[reason][0]),
)
SOCKS5_V6 = SOCKS5._replace(
    name="socks5-ipv6",
    granted=SOCKS5_NONE_CHOSEN + socks5_reply(0, six=True),
    refused=lambda reason: SOCKS5_NONE_CHOSEN + socks5_reply(CODES[reason][0], six=True),
)
SOCKS4 = Way("socks4", socks4, socks4_reply(0x5A), lambda _: socks4_reply(0x5B))
CONNECT = Way("connect", connect, ESTABLISHED, lambda reason: http_refusal(CODES[reason][1], reason))
HTTP = Way("http", get, b"", lambda reason: http_refusal(CODES[reason][1]))
TUNNELS = (SOCKS5, SOCKS4, CONNECT)
WAYS = (*TUNNELS, HTTP)


def dial(where: tuple[str, int], source: str = "") -> socket.socket:
    """A client's connection to a gateway, blocking. `source`: an address of this machine to come from."""
    sock = socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET)
    sock.settimeout(PATIENCE)
    try:
        if source:
            sock.bind((source, 0))
        sock.connect(where)
    except OSError:
        sock.close()
        raise
    return sock


def exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, f"closed after {len(data)} of {count} bytes: {bytes(data)!r}"
        data += piece
    return bytes(data)


def rest(sock: socket.socket) -> bytes:
    """Everything until the gateway closes; a reset ends it too."""
    data = bytearray()
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return bytes(data)


def exchange(where: tuple[str, int], raw: bytes) -> bytes:
    """Say it, and hear everything until the gateway closes."""
    with dial(where) as sock:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may be refused before it is whole
            sock.sendall(raw)
        return rest(sock)


def tunnel(where: tuple[str, int], way: Way, host: str, port: int, source: str = "") -> socket.socket:
    """An open tunnel; the caller closes it."""
    sock = dial(where, source)
    try:
        sock.sendall(way.ask(host, port))
        heard = exactly(sock, len(way.granted))
        assert heard == way.granted, heard
    except BaseException:
        sock.close()
        raise
    return sock


def served(where: tuple[str, int], host: str, port: int, way: Way = SOCKS5, source: str = "") -> None:
    """Fail unless the gateway carries a good request."""
    with tunnel(where, way, host, port, source) as sock:
        sock.sendall(b"ping")
        assert exactly(sock, 4) == b"ping"


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
