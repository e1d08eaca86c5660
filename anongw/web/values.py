"""What may pass of one header line, by its value: pure functions from a value to what is left of it.

`None` says that the line goes. Values are read the way the strictest reader would: where a list cannot be cut
safely (an open quote, an open bracket), the line goes if anything unwanted could hide in it.
"""

import re
from collections.abc import Iterable

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.wire.target import absolute

# The whole of a value is printable, or bytes above ASCII that some servers send (RFC 9110 §5.5, obs-text),
# or HTAB.
_CLEAN = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

_QUOTED = rb'"(?:[^"\\]|\\.)*"'
_ELEMENT = re.compile(rb"(?:[^,\"]|" + _QUOTED + rb")+")
# RFC 8288 §3: a target in angle brackets may hold commas and quotes of its own.
_LINK = re.compile(rb"\s*<[^>]*>(?:[^,\"<]|" + _QUOTED + rb")*\s*")
_REL = re.compile(rb";\s*rel\s*=\s*(" + _QUOTED + rb"|[^\s;,\"]*)", re.IGNORECASE)
# RFC 9110 §11.3: challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]; a lone `name =` continues the
# last one.
_SCHEME = re.compile(rb"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?=\s*$|\s+(?!\s|=))")

# What is looked up, connected to or fetched before anybody asked.
_EARLY = frozenset((b"preconnect", b"dns-prefetch", b"preload", b"prefetch", b"modulepreload", b"prerender"))
# They carry machine and user names and bind the connection to them.
_BINDING = frozenset((b"ntlm", b"negotiate"))
_RELOADS = frozenset((b"no-cache", b"no-store", b"max-age=0"))


def clean(values: Iterable[bytes]) -> bool:
    """No control byte in any of them."""
    return not b"".join(values).translate(None, _CLEAN)


# --- Requests

# Why a line goes or changes, where it is for its value: the name, in lower case.
WHY = {
    b"authorization": "NTLM and Negotiate name machine and user, and bind the connection to them",
    b"cache-control": "says more than every browser's reload does",
    b"pragma": "says more than every browser's reload does",
    b"x-requested-with": "any value but XMLHttpRequest is an application's own name",
    b"referer": "tells this site of another one, or of a place on its page",
    b"destination": "on the server that is asked, in the spelling of Host",
}


def referer(value: bytes, origin: Endpoint, authority: bytes) -> bytes | None:
    """Kept where it names the target's own origin (scheme, host, port): it tells that server nothing new."""
    if b"#" in value:  # RFC 9110 §10.1.3: no fragment and no userinfo (`absolute` refuses that one)
        return None
    if value.startswith(b"http://" + authority + b"/"):
        return value
    try:
        _, endpoint, _ = absolute(value)  # http only
    except Refused:
        return None
    return value if endpoint == origin else None


def authorization(value: bytes) -> bytes | None:
    scheme = value.split(maxsplit=1)[:1]
    return None if scheme and scheme[0].lower() in _BINDING else value


def reload(value: bytes) -> bytes | None:
    """Cache-Control and Pragma: the three values that every browser's reload sends, alone."""
    plain = value.lower()
    return plain if plain in _RELOADS else None


def requested_with(value: bytes) -> bytes | None:
    # Any other value is an application's own name.
    return value if value == b"XMLHttpRequest" else None


def destination(value: bytes, origin: Endpoint, authority: bytes) -> bytes:
    """RFC 4918 §10.3: an absolute URI or an absolute path, on the server that is asked, in Host's spelling.

    Raises:
        Refused: FORBIDDEN where it names another origin, which would have that server call for the client;
            MALFORMED where it is no address.
    """
    if value.startswith(b"/") and not value.startswith((b"//", b"/\\")):
        return value
    try:
        _, endpoint, path = absolute(value)
    except Refused as refused:
        if refused.reason is Reason.UNSUPPORTED_PROTOCOL:  # another scheme is another origin
            raise Refused(Reason.FORBIDDEN, "a Destination on another origin") from None
        raise
    if endpoint != origin:
        raise Refused(Reason.FORBIDDEN, "a Destination on another origin")
    return b"http://" + authority + path


def reads_gzip_and_deflate(offer: bytes) -> bool:
    """The client can read both codings (RFC 9110 §12.5.3). `*` alone is not taken for a promise."""
    offered = {}
    for element in offer.lower().split(b","):
        coding, *parameters = (part.strip() for part in element.split(b";"))
        offered[coding] = not any(_is_zero(parameter) for parameter in parameters)
    return offered.get(b"gzip", False) and offered.get(b"deflate", False)


def _is_zero(parameter: bytes) -> bool:
    name, _, weight = parameter.partition(b"=")
    return name.strip() == b"q" and not weight.strip().strip(b"0.")


# --- Answers


def links(value: bytes) -> bytes | None:
    """Link (RFC 8288) without what starts look-ups and connections early; pagination and canonical stay."""
    plain = value.lower()
    if b"pre" not in plain and b"\\" not in plain:  # each of them has it
        return value
    found = _cut(_LINK, value)
    return _joined([link for link in found if not _is_early(link)])


def _is_early(link: bytes) -> bool:
    # RFC 8288 §3.3: only the first rel counts. Not every reader knows, so each of them does here.
    parameters = link[link.index(b">") :]
    words = b" ".join(_REL.findall(parameters)).replace(b'"', b" ").replace(b"\\", b"").lower().split()
    return not _EARLY.isdisjoint(words)


def challenges(value: bytes) -> bytes | None:
    """WWW-Authenticate without NTLM and Negotiate: the client would answer, lose the line, and ask again."""
    plain = value.lower()
    if not any(scheme in plain for scheme in _BINDING):
        return value
    kept = []
    passing = True
    for element in _cut(_ELEMENT, value):
        if scheme := _SCHEME.match(element):
            passing = scheme[1].lower() not in _BINDING
        if passing:
            kept.append(element)
    return _joined(kept)


def permissions(value: bytes) -> bytes | None:
    """Permissions-Policy without its `ch-` members, which hand client hints to others."""
    if b"ch-" not in value.lower():
        return value
    return _joined(
        [member for member in _cut(_ELEMENT, value) if not member.strip().lower().startswith(b"ch-")]
    )


def _cut(element: re.Pattern[bytes], value: bytes) -> list[bytes]:
    """The elements of a list (RFC 9110 §5.6.1); none at all where it does not cut cleanly."""
    elements = []
    position = 0
    while position < len(value):
        if value[position : position + 1] in (b",", b" ", b"\t"):
            position += 1
        elif found := element.match(value, position):
            elements.append(found[0].strip())
            position = found.end()
            if value[position : position + 1] not in (b"", b","):
                return []
        else:
            return []
    return elements


def _joined(elements: list[bytes]) -> bytes | None:
    return b", ".join(elements) or None
