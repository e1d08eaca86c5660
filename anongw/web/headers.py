"""Every header name on our lists: what may pass, what goes, and what only the gateway writes.

All of it is data, each group under its reason, so that it can be held line by line against the page that says
what is hidden, and so that `anongw diff` has its words from here. Names stand in the spelling in which they
are sent. How one is looked up is in `names.py`, what becomes of its value in `scrub.py` and `values.py`.
"""

from anongw.errors import Reason
from anongw.web.names import Fate, Names, Row

Groups = dict[str, tuple[bytes, ...]]  # names by the reason that they share

# --- What the gateway writes itself. The client's line is read at most, never sent on.
# RFC 9112 §3.2: Host says again what the target says. §6: framing is ours, since every body is re-framed.
FRAMING = (b"Content-Length", b"Transfer-Encoding")
OWN = (b"Host", b"Connection", b"Upgrade", *FRAMING)

# RFC 9110 §7.6.1: for one connection only. `Trailers` is a misspelling that several proxies drop instead of
# the real one; it costs nothing to drop both. `HTTP2-Settings` asks for an upgrade (RFC 7540 §3.2.1).
HOP_BY_HOP = (
    b"Connection",
    b"Keep-Alive",
    b"TE",
    b"Trailer",
    b"Trailers",
    b"Transfer-Encoding",
    b"Upgrade",
    b"HTTP2-Settings",
)

# --- Requests: the allow-lists. Those of `strict` are in all profiles, those of `balanced` in `open` too.
ALLOWED_STRICT: Groups = {
    # Read here so that the persona can answer them; what leaves is the record's.
    "the persona's record answers it": (b"User-Agent", b"Accept", b"Accept-Encoding"),
    "what the content is": (b"Content-Type", b"Content-Encoding"),
    # A cross-origin question asked by a browser (Fetch §3.3.2).
    "asks leave for another site": (b"Access-Control-Request-Method", b"Access-Control-Request-Headers"),
    # Conditions and ranges, by method and profile; see `_without_validators` in scrub.py.
    "guards an update": (
        b"If-Match",
        b"If-None-Match",
        b"If-Modified-Since",
        b"If-Unmodified-Since",
        b"If-Range",
    ),
    "which part is asked for": (b"Range",),
    # RFC 6455 §4.1
    "opens a websocket": (
        b"Sec-WebSocket-Key",
        b"Sec-WebSocket-Version",
        b"Sec-WebSocket-Protocol",
        b"Sec-WebSocket-Extensions",
    ),
}
ALLOWED_BALANCED: Groups = {
    "what the content is": (
        b"Content-Language",
        b"Content-Disposition",
        b"Content-Range",
        b"Content-MD5",
        b"Content-Digest",
        b"Repr-Digest",
        b"Digest",
    ),
    # Each has its row in values.py.
    "state that the user chose to show, by logging in or following a link": (
        b"Cookie",
        b"Authorization",
        b"Origin",
        b"Referer",
    ),
    "a token that a form or an interface needs": (
        b"X-CSRF-Token",
        b"X-CSRFToken",
        b"X-XSRF-TOKEN",
        b"X-API-Key",
        b"Api-Key",
        b"Idempotency-Key",
    ),
    # Three values only.
    "what every browser's reload says": (b"Cache-Control", b"Pragma"),
    "what the request asks for": (
        b"Prefer",
        b"SOAPAction",
        b"Git-Protocol",
        b"Last-Event-ID",
        b"X-HTTP-Method-Override",
        b"X-Requested-With",
    ),
    # RFC 4918 §10. Destination is an address and is judged like one.
    "WebDAV": (b"Depth", b"Destination", b"If", b"Lock-Token", b"Overwrite", b"Timeout"),
}
ALLOWED_PREFIXES: Groups = {
    "resumable uploads (tus.io)": (b"tus-", b"upload-"),
    "an object store, whose requests are signed over such lines": (b"x-amz-", b"x-ms-"),
}

# --- Requests: the drop rows. They are the rules of `open`, and test cases for the allow-lists.
# Where the client is: written by balancers, delivery networks and older proxies. Dropped from answers too,
# where a script could read the exit's address out of an echo.
ADDRESSES = (
    b"Forwarded",
    b"Forwarded-For",
    b"X-Forwarded",
    b"X-Forwarded-For",
    b"X-Forwarded-Host",
    b"X-Forwarded-Proto",
    b"X-Forwarded-Port",
    b"X-Forwarded-Server",
    b"X-Forwarded-By",
    b"X-Forwarded-Client-IP",
    b"X-Forwarded-Scheme",
    b"X-Original-Forwarded-For",
    b"X-Real-IP",
    b"X-Client-IP",
    b"Client-IP",
    b"True-Client-IP",
    b"X-True-Client-IP",
    b"CF-Connecting-IP",
    b"CF-Connecting-IPv6",
    b"CF-Pseudo-IPv4",
    b"CF-IPCountry",
    b"Fastly-Client-IP",
    b"X-Azure-ClientIP",
    b"X-Azure-SocketIP",
    b"X-Appengine-User-IP",
    b"X-Cluster-Client-IP",
    b"X-ProxyUser-Ip",
    b"X-Originating-IP",
    b"X-Remote-IP",
    b"X-Remote-Addr",
    b"X-Device-IP",
    b"X-Host",
    b"X-Tinyproxy",
    b"X-Envoy-External-Address",
)
ADDRESS_PREFIXES = (b"forwarded", b"x-forwarded")
# The names of tomorrow's balancers: `open` drops an unknown name that speaks of these.
ADDRESS_HINTS = (
    b"forwarded",
    b"client-ip",
    b"clientip",
    b"real-ip",
    b"remote-addr",
    b"connecting-ip",
    b"msisdn",
)

# Of two groups with one name the last counts.
DROPPED: Groups = {
    "the gateway writes its own": OWN,
    "for one connection only": HOP_BY_HOP,
    "says where the client is": ADDRESSES,
    "a trace of proxies, with their host names": (b"Via",),
    "CGI programs read it as the variable HTTP_PROXY": (b"Proxy",),
    "a carrier's number for its subscriber": (
        b"X-UIDH",
        b"X-ACR",
        b"X-MSISDN",
        b"X-Up-Calling-Line-ID",
        b"X-Nokia-MSISDN",
        b"X-Network-Info",
        b"Msisdn",
    ),
    "an e-mail address": (b"From",),
    "tells hardware and network apart": (
        b"Device-Memory",
        b"DPR",
        b"Width",
        b"Viewport-Width",
        b"Viewport-Height",
        b"ECT",
        b"RTT",
        b"Downlink",
        b"Save-Data",
    ),
    # The language is the record's.
    "rare, so unique": (b"Accept-Language", b"Accept-Charset", b"Accept-Datetime"),
    "one bit, set by few, so that it splits the crowd": (b"DNT", b"Sec-GPC"),
    "only as the persona's record has it": (b"Upgrade-Insecure-Requests", b"Priority"),
    "which experiments a browser runs": (b"X-Client-Data", b"Chrome-Proxy"),
    "unique for each device or request": (
        b"X-Device-ID",
        b"X-Device-Info",
        b"X-Request-ID",
        b"X-Correlation-ID",
        b"Request-Id",
        b"Traceparent",
        b"Tracestate",
        b"Baggage",
        b"Uber-Trace-Id",
        b"X-Amzn-Trace-Id",
        b"X-Amz-Trace-Id",
        b"X-Cloud-Trace-Context",
    ),
    "measures advertising": (
        b"Sec-Browsing-Topics",
        b"Observe-Browsing-Topics",
        b"Private-State-Tokens",
        b"Sec-Private-State-Token",
        b"Sec-Redemption-Record",
    ),
    "tells a clock, a count of hops or a program's ways": (b"Date", b"Max-Forwards", b"Early-Data"),
    "answered by the gateway, once the origin is there": (b"Expect",),
    "a command to a proxy": (b"X-Filter",),
}
DROPPED_PREFIXES: Groups = {
    "the client's password for the gateway, or another sign of a proxy": (b"proxy-",),
    "says where the client is": ADDRESS_PREFIXES,
    "a carrier's word on its subscriber": (b"x-wap-",),
    "a client hint, of which the persona sends none": (b"sec-ch-",),
    "the persona sends none over http://": (b"sec-fetch-",),
    "tells hardware apart": (b"ua-",),
    "a browser's word to its maker": (b"x-goog-", b"x-chrome-"),
    "links the hops of one request": (b"x-b3-",),
    "measures advertising": (b"attribution-reporting-", b"sec-shared-storage-"),
    "a command to a proxy": (b"anongw-", b"tor-", b"x-tor-", b"gost-"),
}

# --- Requests: what a line may not do.
# `Connection` may not name these (RFC 9110 §7.6.1: no option may stand for a field that is meant for all
# recipients): without one of them the request would mean something else, or be cut elsewhere.
GUARDED = frozenset(
    name.lower()
    for name in (
        *OWN,
        b"Authorization",
        b"Cache-Control",
        b"Content-Encoding",
        b"Content-Range",
        b"Content-Type",
        b"Cookie",
        b"Depth",
        b"Destination",
        b"If",
        b"If-Match",
        b"If-Modified-Since",
        b"If-None-Match",
        b"If-Range",
        b"If-Unmodified-Since",
        b"Lock-Token",
        b"Overwrite",
        b"Range",
        b"X-HTTP-Method-Override",
        # the same in answers
        b"Location",
        b"Set-Cookie",
        b"Strict-Transport-Security",
        b"WWW-Authenticate",
    )
)
# One value only: two readers could choose differently between two. Equal lines count as one.
SINGLE = frozenset(
    name.lower()
    for name in (
        b"Authorization",
        b"Content-Disposition",
        b"Content-MD5",
        b"Content-Range",
        b"Content-Type",
        b"Depth",
        b"Destination",
        b"If-Modified-Since",
        b"If-Range",
        b"If-Unmodified-Since",
        b"Lock-Token",
        b"Origin",
        b"Overwrite",
        b"Range",
        b"Referer",
        b"Sec-WebSocket-Key",
        b"Sec-WebSocket-Version",
        b"SOAPAction",
        b"X-HTTP-Method-Override",
        b"X-Requested-With",
    )
)

# --- Answers. Whatever stands on no row passes: it is the client's own information.
ANSWER_DROPPED: Groups = {
    "for one connection only": HOP_BY_HOP,
    "the gateway frames each body anew": FRAMING,
    "an echo of where the exit is, which scripts could read": ADDRESSES,
    "a trace of proxies, with their host names": (b"Via",),
    "moves the client to another host, or to QUIC outside the proxy": (b"Alt-Svc",),
    "asks for client hints": (b"Accept-CH", b"Accept-CH-Lifetime", b"Critical-CH"),
    "makes the browser report later, maybe by another path": (
        b"NEL",
        b"Report-To",
        b"Reporting-Endpoints",
        b"Content-Security-Policy-Report-Only",
        b"Expect-CT",
        b"Public-Key-Pins-Report-Only",
    ),
    # HSTS stays, for safety wins.
    "its bits are a cookie": (b"Public-Key-Pins",),
    "has names looked up early": (b"X-DNS-Prefetch-Control",),
}
ANSWER_DROPPED_PREFIXES: Groups = {
    # `Proxy-Authenticate` fishes for the gateway's password.
    "speaks of proxies": (b"proxy-",),
    "an echo of where the exit is, which scripts could read": ADDRESS_PREFIXES,
}
ANSWER_STRICT: Groups = {
    # Inert in `balanced`, where no validator goes out.
    "a cookie for the next visit": (b"ETag", b"Last-Modified", b"Set-Cookie", b"Set-Cookie2"),
    "a clock to measure by": (b"Timing-Allow-Origin", b"Server-Timing"),
}
ANSWER_JUDGED: Groups = {
    "without what starts look-ups and connections early": (b"Link",),
    "without what hands client hints to others": (b"Permissions-Policy",),
    "without NTLM and Negotiate, which name the machine": (b"WWW-Authenticate",),
}


def _rows(fate: Fate, groups: Groups) -> dict[bytes, Row]:
    return {name: (fate, why) for why, names in groups.items() for name in names}


# The drop rows come last: where a name is on both sides, what never leaks wins.
REQUEST = Names(
    _rows(Fate.STRICT, ALLOWED_STRICT) | _rows(Fate.BALANCED, ALLOWED_BALANCED) | _rows(Fate.DROP, DROPPED),
    _rows(Fate.DROP, DROPPED_PREFIXES) | _rows(Fate.BALANCED, ALLOWED_PREFIXES),
    ADDRESS_HINTS,
    Reason.MALFORMED,
)
ANSWER = Names(
    _rows(Fate.BALANCED, ANSWER_STRICT) | _rows(Fate.JUDGE, ANSWER_JUDGED) | _rows(Fate.DROP, ANSWER_DROPPED),
    _rows(Fate.DROP, ANSWER_DROPPED_PREFIXES),
    (),
    Reason.UPSTREAM_MALFORMED,
)
