"""Whom a request is for: the forms of a request target that a proxy is sent (RFC 9112 §3.2), and `Host`.

Rules: an authority is a host and a port and nothing else; userinfo is refused. A host is parsed here, once,
and nobody after this file reads a target again.
"""

import re
from ipaddress import IPv6Address
from typing import NamedTuple

from anongw.address import Address, Endpoint, parse_host, parse_port
from anongw.errors import Reason, Refused
from anongw.wire.memo import REMEMBERED_MOST, Memo

DEFAULT_PORTS = {"http": 80, "https": 443}
_ABSOLUTE = re.compile(rb"(([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*))([^#]*)")
_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[^][:@]+)(?::([0-9]*))?")


class Origin(NamedTuple):
    """Whom a plain HTTP request is for."""

    endpoint: Endpoint
    authority: bytes  # as `Host` says it; no two endpoints have the same


Origins = Memo[bytes, Origin]  # by scheme and authority as they were written


def authority(target: bytes) -> Endpoint:
    """The target of a CONNECT: a host and a port, both said (RFC 9112 §3.2.3).

    Raises:
        Refused: MALFORMED.
    """
    host, port = _host_and_port(target)
    if not port:
        raise Refused(Reason.MALFORMED, "CONNECT without a port")
    return Endpoint(host, parse_port(port))


def absolute(target: bytes) -> tuple[str, Endpoint, bytes]:
    """The scheme, the host and the origin-form of an absolute-form target (RFC 9112 §3.2.2).

    Raises:
        Refused: UNSUPPORTED_PROTOCOL for a scheme other than `http`, MALFORMED for every other form.
    """
    origin, path = origin_and_path(target)
    return "http", origin.endpoint, path


def origin_and_path(target: bytes, known: Origins | None = None) -> tuple[Origin, bytes]:
    """Like `absolute`. `known` is the connection's: an origin that it asked before is not judged again."""
    parts = _ABSOLUTE.fullmatch(target)
    if not parts:
        raise Refused(Reason.MALFORMED, "not an absolute URI")
    scheme_and_authority = parts[1]
    origin = known.get(scheme_and_authority) if known is not None else None
    if origin is None:
        origin = _origin(parts[2], parts[3])
        if known is not None and len(scheme_and_authority) <= REMEMBERED_MOST:
            known.remember(scheme_and_authority, origin)
    origin_form = parts[4]
    # RFC 9112 §3.2.1: "If the target URI's path component is empty, the client MUST send "/"".
    return origin, origin_form if origin_form.startswith(b"/") else b"/" + origin_form


def _origin(scheme: bytes, authority: bytes) -> Origin:
    if scheme.lower() != b"http":
        raise Refused(Reason.UNSUPPORTED_PROTOCOL, "a scheme other than http")
    host, port = _host_and_port(authority)
    # RFC 3986 §3.2.3: an empty port is the default one.
    endpoint = Endpoint(host, parse_port(port) if port else DEFAULT_PORTS["http"])
    return Origin(endpoint, host_header(endpoint, "http"))


def host_header(endpoint: Endpoint, scheme: str) -> bytes:
    """The value of `Host`: an IPv6 address in brackets, the port unless it is the scheme's own."""
    if endpoint.port != DEFAULT_PORTS.get(scheme):
        return str(endpoint).encode("ascii")
    host = endpoint.host
    return (f"[{host}]" if isinstance(host, IPv6Address) else str(host)).encode("ascii")


def _host_and_port(text: bytes) -> tuple[str | Address, str]:
    # Userinfo is refused here with everything else: RFC 9110 §4.2.4 wants it treated as an error.
    parts = _AUTHORITY.fullmatch(text)
    if not parts or not text.isascii():
        raise Refused(Reason.MALFORMED, "not a host and a port")
    return parse_host(parts[1].decode("ascii")), (parts[2] or b"").decode("ascii")
