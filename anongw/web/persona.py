"""Who the gateway says it is: two whole records, each what one named program sends over `http://`.

An identity may have another one, from the config; see records.py.

A record is pinned: values, order and case as captured, not put together from what seems plausible. The
capture is repeated by `tests/whole/test_persona_capture.py`, which fails once an installed program no longer
sends what stands here. The browser is Firefox ESR on Windows: it sends no client hints, and its crowd is
large.

What the client says decides two things only: what kind of thing it asks for (by its `Accept`), and whether it
can read compressed content. Everything else in its record is the record's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from anongw.web.headers import REQUEST
from anongw.web.values import reads_gzip_and_deflate

Lines = Mapping[bytes, bytes]  # by lower-case name

# Both programs' first coding order, and nothing that a client might not read.
_CODINGS = b"gzip, deflate"
# What clients say is remembered: about ten pairs for a browser. Both bounds are for those who invent them.
_REMEMBERED = 256  # pairs of Accept and Accept-Encoding
_REMEMBERED_LENGTH = 256  # bytes of each
_BROWSER_SIGN = b"Mozilla/"


@dataclass(frozen=True, slots=True, eq=False)
class Persona:
    """One program's record, equal to itself alone.

    Values are complete header values; `order` has its spelling of each name.
    """

    title: str
    user_agent: bytes
    order: tuple[bytes, ...]
    always: Lines  # what every request of it bears
    page: Lines  # and what those of each class bear beside it
    image: Lines
    style: Lines
    anything: Lines
    names: Lines = field(init=False)  # lower-case name -> the record's spelling, in order

    def __post_init__(self) -> None:
        # The very objects that scrub.py has as keys: a dict finds those without comparing bytes.
        object.__setattr__(self, "names", {REQUEST[name].key: name for name in self.order})


# Firefox places a line by what made the request: a page's own fetch() puts Referer and the script's lines
# before Content-Type. The order here is that of navigation, sub-resources, XMLHttpRequest, forms and
# websockets.
BROWSER = Persona(
    title="Firefox on Windows",
    user_agent=b"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0",
    order=(
        b"Host",
        b"User-Agent",
        b"Accept",
        b"Accept-Language",
        b"Accept-Encoding",
        b"Range",
        b"Access-Control-Request-Method",
        b"Access-Control-Request-Headers",
        b"Sec-WebSocket-Version",
        b"Content-Type",
        b"Authorization",
        b"X-CSRF-Token",
        b"X-Requested-With",
        b"Content-Length",
        b"Transfer-Encoding",  # Firefox never sends it; it stands where the length would
        b"Origin",
        b"Sec-WebSocket-Protocol",
        b"Sec-WebSocket-Extensions",
        b"Sec-WebSocket-Key",
        b"Connection",
        b"Referer",
        b"Cookie",
        b"Upgrade-Insecure-Requests",
        b"Priority",
        b"Pragma",
        b"Cache-Control",
        b"Upgrade",
    ),
    always={b"accept-language": b"en-US,en;q=0.9", b"connection": b"keep-alive"},
    page={
        b"accept": b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        b"upgrade-insecure-requests": b"1",
        b"priority": b"u=0, i",
    },
    # Firefox raises and lowers an image's urgency by where it stands on the page (u=4 to u=6); this is its
    # first.
    image={
        b"accept": b"image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        b"priority": b"u=5, i",
    },
    style={b"accept": b"text/css,*/*;q=0.1", b"priority": b"u=2"},
    # As scripts, fonts, XMLHttpRequest and websockets go. Only fetch() adds `Priority: u=4`, and nothing in
    # what other browsers send tells it from them.
    anything={b"accept": b"*/*"},
)

# curl sends no Connection in HTTP/1.1, and neither language nor Priority; its Accept is the caller's.
TOOL = Persona(
    title="curl",
    user_agent=b"curl/7.88.1",
    order=(
        b"Host",
        b"Authorization",
        b"Range",
        b"Content-Range",
        b"User-Agent",
        b"Accept",
        b"Accept-Encoding",
        b"Referer",
        b"Transfer-Encoding",
        b"Cookie",
        b"Upgrade",
        b"Connection",
        b"Sec-WebSocket-Version",
        b"Sec-WebSocket-Key",
        b"Content-Length",
        b"Content-Type",
    ),
    always={},
    page={},
    image={},
    style={},
    anything={b"accept": b"*/*"},
)


def choose(user_agent: bytes | None) -> Persona:
    """Browsers say `Mozilla/` first; whatever says another thing, or nothing, is a tool."""
    return BROWSER if user_agent and user_agent.startswith(_BROWSER_SIGN) else TOOL


def lines(persona: Persona, accept: bytes | None, offer: bytes | None) -> Lines:
    """The record's lines for a request with this `Accept` and this `Accept-Encoding`.

    An `Accept` that is of no class is missing from them: it stays as it is, because it is what the request
    means.
    """
    if len(accept or b"") > _REMEMBERED_LENGTH or len(offer or b"") > _REMEMBERED_LENGTH:
        return _lines_of(persona, accept, offer)
    return _remembered(persona, accept, offer)


@lru_cache(_REMEMBERED)
def _remembered(persona: Persona, accept: bytes | None, offer: bytes | None) -> Lines:
    return _lines_of(persona, accept, offer)


def _lines_of(persona: Persona, accept: bytes | None, offer: bytes | None) -> Lines:
    found = {b"user-agent": persona.user_agent, **persona.always, **_class(persona, accept)}
    if offer is not None and reads_gzip_and_deflate(offer):
        found[b"accept-encoding"] = _CODINGS
    return {REQUEST[key].key: value for key, value in found.items()}


def _class(persona: Persona, accept: bytes | None) -> Lines:
    """What kind of thing is asked for. Other browsers say the same with other lists of types."""
    # RFC 9110 §12.5.1: no Accept means any media type.
    plain = (accept or b"*/*").lower()
    if plain == b"*/*":
        return persona.anything
    if b"*/*" not in plain:
        return {}
    if plain.startswith(b"text/html") and b"application/xhtml+xml" in plain:
        return persona.page
    if plain.startswith(b"image/") and b"image/*" in plain:
        return persona.image
    return persona.style if plain.startswith(b"text/css") else {}
