"""Every header name on our lists: what may pass, what goes, and what only the gateway writes.

All of it is data, each group with its reason, so that it can be held line by line against the page that says
what is hidden. Names stand in the spelling in which they are sent. How one is looked up is in `names.py`,
what becomes of its value in `scrub.py` and `values.py`.
"""

from anongw.errors import Reason
from anongw.web.names import Fate, Names

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

# --- Requests: the allow-lists. True: also on the strict list.
ALLOWED: dict[bytes, bool] = {
    # Read here so that the persona can answer them; what leaves is the record's.
    b"User-Agent": True,
    b"Accept": True,
    b"Accept-Encoding": True,
    # What the content is.
    b"Content-Type": True,
    b"Content-Encoding": True,
    b"Content-Language": False,
    b"Content-Disposition": False,
    b"Content-Range": False,
    b"Content-MD5": False,
    b"Content-Digest": False,
    b"Repr-Digest": False,
    b"Digest": False,
    # State that the user chose to show by logging in or following a link; each has its row in values.py.
    b"Cookie": False,
    b"Authorization": False,
    b"Origin": False,
    b"Referer": False,
    # Tokens that a form or an interface needs.
    b"X-CSRF-Token": False,
    b"X-CSRFToken": False,
    b"X-XSRF-TOKEN": False,
    b"X-API-Key": False,
    b"Api-Key": False,
    b"Idempotency-Key": False,
    # A cross-origin question asked by a browser (Fetch §3.3.2).
    b"Access-Control-Request-Method": True,
    b"Access-Control-Request-Headers": True,
    # Conditions and ranges, by method and profile; see `_without_validators` in scrub.py.
    b"If-Match": True,
    b"If-None-Match": True,
    b"If-Modified-Since": True,
    b"If-Unmodified-Since": True,
    b"If-Range": True,
    b"Range": True,
    # Three values only.
    b"Cache-Control": False,
    b"Pragma": False,
    # What the request asks for.
    b"Prefer": False,
    b"SOAPAction": False,
    b"Git-Protocol": False,
    b"Last-Event-ID": False,
    b"X-HTTP-Method-Override": False,
    b"X-Requested-With": False,
    # WebDAV (RFC 4918 §10). Destination is an address and is judged like one.
    b"Depth": False,
    b"Destination": False,
    b"If": False,
    b"Lock-Token": False,
    b"Overwrite": False,
    b"Timeout": False,
    # RFC 6455 §4.1
    b"Sec-WebSocket-Key": True,
    b"Sec-WebSocket-Version": True,
    b"Sec-WebSocket-Protocol": True,
    b"Sec-WebSocket-Extensions": True,
}
# Resumable uploads (tus.io) and object stores, whose requests are signed over these lines.
ALLOWED_PREFIXES = (b"tus-", b"upload-", b"x-amz-", b"x-ms-")

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

DROPPED = (
    *OWN,
    *HOP_BY_HOP,
    *ADDRESSES,
    b"Via",  # a trace of proxies, with their host names
    b"Proxy",  # read by CGI programs as the variable HTTP_PROXY
    # A carrier's number for its subscriber.
    b"X-UIDH",
    b"X-ACR",
    b"X-MSISDN",
    b"X-Up-Calling-Line-ID",
    b"X-Nokia-MSISDN",
    b"X-Network-Info",
    b"Msisdn",
    b"From",  # an e-mail address
    # Hardware and network class.
    b"Device-Memory",
    b"DPR",
    b"Width",
    b"Viewport-Width",
    b"Viewport-Height",
    b"ECT",
    b"RTT",
    b"Downlink",
    b"Save-Data",
    # Rare, so unique. The language is the record's.
    b"Accept-Language",
    b"Accept-Charset",
    b"Accept-Datetime",
    # One bit, set by few, so it splits the crowd.
    b"DNT",
    b"Sec-GPC",
    # Only as the persona's record has them.
    b"Upgrade-Insecure-Requests",
    b"Priority",
    b"X-Client-Data",  # Chrome's variation set
    b"Chrome-Proxy",
    # Unique for each device or request: links hops.
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
    # Advertising measurement and tokens.
    b"Sec-Browsing-Topics",
    b"Observe-Browsing-Topics",
    b"Private-State-Tokens",
    b"Sec-Private-State-Token",
    b"Sec-Redemption-Record",
    # Clock, hop count, behaviour. Expect is answered by the gateway once the upstream is there.
    b"Date",
    b"Max-Forwards",
    b"Early-Data",
    b"Expect",
    b"X-Filter",  # a command to a proxy
)
DROPPED_PREFIXES = (
    b"proxy-",  # the client's password for us, and every sign of a proxy
    *ADDRESS_PREFIXES,
    b"x-wap-",  # carriers
    b"sec-ch-",  # client hints: the persona sends none
    b"sec-fetch-",  # the persona sends none over http://
    b"ua-",
    b"x-goog-",
    b"x-chrome-",
    b"x-b3-",
    b"attribution-reporting-",
    b"sec-shared-storage-",
    b"anongw-",  # commands to a proxy
    b"tor-",
    b"x-tor-",
    b"gost-",
)

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
ANSWER_DROPPED = (
    *FRAMING,
    *HOP_BY_HOP,
    *ADDRESSES,
    b"Via",
    b"Alt-Svc",  # moves the client to another host, or to QUIC outside the proxy
    # Ask for client hints.
    b"Accept-CH",
    b"Accept-CH-Lifetime",
    b"Critical-CH",
    # Make the browser report later, maybe by another path.
    b"NEL",
    b"Report-To",
    b"Reporting-Endpoints",
    b"Content-Security-Policy-Report-Only",
    b"Expect-CT",
    b"Public-Key-Pins-Report-Only",
    b"Public-Key-Pins",  # its bits are a supercookie; HSTS stays, for safety wins
    b"X-DNS-Prefetch-Control",  # early look-ups
)
# `Proxy-Authenticate` fishes for the gateway's password, the others speak of proxies.
ANSWER_DROPPED_PREFIXES = (b"proxy-", *ADDRESS_PREFIXES)
ANSWER_STRICT = (
    b"ETag",  # supercookies for the next visit; inert in `balanced`, where no validator goes out
    b"Last-Modified",
    b"Set-Cookie",
    b"Set-Cookie2",
    b"Timing-Allow-Origin",  # timing oracles
    b"Server-Timing",
)
ANSWER_JUDGED = (b"Link", b"Permissions-Policy", b"WWW-Authenticate")

# The drop rows come last: where a name is on both sides, what never leaks wins.
REQUEST = Names(
    {name: Fate.STRICT if strict else Fate.BALANCED for name, strict in ALLOWED.items()}
    | dict.fromkeys(DROPPED, Fate.DROP),
    dict.fromkeys(DROPPED_PREFIXES, Fate.DROP) | dict.fromkeys(ALLOWED_PREFIXES, Fate.BALANCED),
    ADDRESS_HINTS,
    Reason.MALFORMED,
)
ANSWER = Names(
    dict.fromkeys(ANSWER_STRICT, Fate.BALANCED)
    | dict.fromkeys(ANSWER_JUDGED, Fate.JUDGE)
    | dict.fromkeys(ANSWER_DROPPED, Fate.DROP),
    dict.fromkeys(ANSWER_DROPPED_PREFIXES, Fate.DROP),
    (),
    Reason.UPSTREAM_MALFORMED,
)
