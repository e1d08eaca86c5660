"""The lists against the written page: every name of every row, in three spellings."""

from collections.abc import Iterable

import pytest

from anongw.web import headers
from anongw.web.headers import ANSWER, REQUEST
from anongw.web.names import Fate


def words(text: str) -> list[str]:
    return text.split()


# Allow-list b, but for what the gateway or the persona writes. A star stands for any ending.
BALANCED = words("""
Content-Type Content-Encoding Content-Language Content-Disposition Content-Range Content-MD5 Content-Digest
Repr-Digest Digest Cookie Authorization Origin Referer X-CSRF-Token X-CSRFToken X-XSRF-TOKEN X-API-Key Api-Key
Idempotency-Key Access-Control-Request-Method Access-Control-Request-Headers If-None-Match If-Modified-Since
If-Range If-Unmodified-Since If-Match Range Cache-Control Pragma Prefer SOAPAction Git-Protocol Last-Event-ID
X-HTTP-Method-Override Depth Destination If Lock-Token Overwrite Timeout Tus-* Upload-* X-Amz-* X-Ms-*
X-Requested-With Sec-WebSocket-Key Sec-WebSocket-Version Sec-WebSocket-Protocol Sec-WebSocket-Extensions
""")

# Allow-list s. If-Range stands for what ties a Range to a version: read, and never sent.
STRICT = words("""
Content-Type Content-Encoding Access-Control-Request-Method Access-Control-Request-Headers Range If-None-Match
If-Modified-Since If-Unmodified-Since If-Match If-Range Sec-WebSocket-Key Sec-WebSocket-Version
Sec-WebSocket-Protocol Sec-WebSocket-Extensions
""")

# The drop rows, in their order.
DROPPED = words("""
Proxy-Authorization Proxy-Connection Proxy-Authenticate Proxy-*
Connection Keep-Alive TE Trailer Trailers Transfer-Encoding Upgrade
Via
Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Server
X-Forwarded-By X-Forwarded-Client-IP X-Forwarded-Scheme X-Forwarded Forwarded-For X-Original-Forwarded-For
X-Forwarded* Forwarded*
X-Real-IP X-Client-IP Client-IP True-Client-IP X-True-Client-IP CF-Connecting-IP CF-Connecting-IPv6
CF-Pseudo-IPv4 CF-IPCountry Fastly-Client-IP X-Azure-ClientIP X-Azure-SocketIP X-Appengine-User-IP
X-Cluster-Client-IP X-ProxyUser-Ip X-Originating-IP X-Remote-IP X-Remote-Addr X-Device-IP X-Host X-Tinyproxy
X-UIDH X-ACR X-MSISDN X-Up-Calling-Line-ID X-Nokia-MSISDN X-WAP-* X-Network-Info Msisdn
From
Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-CH-UA-Platform-Version Sec-CH-UA-Arch Sec-CH-UA-Bitness
Sec-CH-UA-Model Sec-CH-UA-Full-Version-List Sec-CH-UA-WoW64 Sec-CH-UA-Form-Factors Sec-CH-UA*
Device-Memory DPR Width Viewport-Width Viewport-Height ECT RTT Downlink Save-Data Sec-CH-Prefers-*
Sec-CH-Viewport-* Sec-CH-Device-Memory Sec-CH-DPR
Accept-Language Accept-Charset Accept-Datetime UA-CPU UA-*
DNT Sec-GPC
Sec-Fetch-* Upgrade-Insecure-Requests Priority
X-Client-Data X-Goog-* X-Chrome-* Chrome-Proxy X-Chrome-Offline
X-Device-ID X-Device-Info X-Request-ID X-Correlation-ID Request-Id Traceparent Tracestate Baggage X-B3-*
Uber-Trace-Id X-Amzn-Trace-Id X-Amz-Trace-Id X-Cloud-Trace-Context
Attribution-Reporting-* Sec-Browsing-Topics Observe-Browsing-Topics Sec-Shared-Storage-* Private-State-Tokens
Sec-Private-State-Token Sec-Redemption-Record
Date Max-Forwards Expect Early-Data HTTP2-Settings
Anongw-* Tor-* X-Tor-* Gost-* X-Filter
Host Content-Length
""")

ANSWER_DROPPED = words("""
Alt-Svc HTTP2-Settings Upgrade Accept-CH Critical-CH Accept-CH-Lifetime NEL Report-To Reporting-Endpoints
Content-Security-Policy-Report-Only Expect-CT Public-Key-Pins X-DNS-Prefetch-Control
Proxy-Authenticate Proxy-* Via X-Client-IP X-Forwarded-* X-Real-IP X-Remote-Addr Connection Keep-Alive TE
Trailer Transfer-Encoding Content-Length
""")
ANSWER_STRICT = words("ETag Last-Modified Set-Cookie Timing-Allow-Origin Server-Timing")
ANSWER_KEPT = words("""
Strict-Transport-Security Refresh Clear-Site-Data Server X-Powered-By X-Cache X-Cache-Hits X-Served-By
X-Backend-Server X-AspNet-Version X-Varnish Age CF-RAY X-Request-Id Content-Type Location Date X-Made-Up
""")


def spellings(name: str) -> Iterable[bytes]:
    written = name.replace("*", "-Some-Thing" if not name.endswith("-*") else "Some-Thing").encode()
    return written, written.lower(), written.upper(), written.swapcase()


@pytest.mark.parametrize("name", BALANCED)
def test_the_balanced_list(name: str) -> None:
    for spelling in spellings(name):
        expected = Fate.STRICT if name in STRICT else Fate.BALANCED
        assert REQUEST[spelling].fate is expected


def test_the_strict_list_is_part_of_the_balanced_one() -> None:
    assert set(STRICT) < set(BALANCED)


@pytest.mark.parametrize("name", BALANCED)
def test_a_name_on_the_list_leaves_in_one_spelling(name: str) -> None:
    sent = {REQUEST[spelling].name for spelling in spellings(name)}
    assert len(sent) == 1
    assert name.endswith("*") or sent == {name.encode()}


@pytest.mark.parametrize("name", DROPPED)
def test_the_drop_rows(name: str) -> None:
    for spelling in spellings(name):
        assert REQUEST[spelling].fate is Fate.DROP


@pytest.mark.parametrize("name", [name for name in DROPPED + BALANCED if "-" in name])
def test_a_listed_name_in_underscores_is_dropped(name: str) -> None:
    for spelling in spellings(name):
        assert REQUEST[spelling.replace(b"-", b"_")].fate is Fate.DROP


@pytest.mark.parametrize("name", ["X-Made-Up", "Sec-Purpose", "X-Anything", "Token"])
def test_anything_else_is_unknown(name: str) -> None:
    for spelling in spellings(name):
        assert REQUEST[spelling].fate is Fate.UNKNOWN


@pytest.mark.parametrize("name", ["My-Client-IP", "X-Some-Real-IP", "X-Was-Forwarded", "Carrier-Msisdn"])
def test_an_unlisted_name_that_speaks_of_an_address_is_dropped(name: str) -> None:
    assert REQUEST[name.encode()].fate is Fate.DROP


@pytest.mark.parametrize("name", ANSWER_DROPPED)
def test_the_drop_rows_of_answers(name: str) -> None:
    for spelling in spellings(name):
        assert ANSWER[spelling].fate is Fate.DROP


@pytest.mark.parametrize("name", ANSWER_STRICT)
def test_the_strict_rows_of_answers(name: str) -> None:
    for spelling in spellings(name):
        assert ANSWER[spelling].fate is Fate.BALANCED


@pytest.mark.parametrize("name", ANSWER_KEPT)
def test_what_is_the_clients_own_information_passes(name: str) -> None:
    for spelling in spellings(name):
        assert ANSWER[spelling].fate is Fate.UNKNOWN


def test_what_is_listed_twice_is_dropped() -> None:
    dropped = set(listed(headers.DROPPED))
    allowed = listed(headers.ALLOWED_STRICT) + listed(headers.ALLOWED_BALANCED)
    assert not dropped & set(allowed)
    assert not [name for name in allowed if name.startswith(tuple(listed(headers.DROPPED_PREFIXES)))]
    assert len(set(allowed)) == len(allowed)


def listed(groups: headers.Groups) -> list[bytes]:
    return [name.lower() for names in groups.values() for name in names]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Content-Type", "what the content is"),
        ("Host", "the gateway writes its own"),
        ("Connection", "for one connection only"),
        ("X-Forwarded-For", "says where the client is"),
        ("Proxy-Authorization", "the client's password for the gateway"),
        ("Sec-CH-UA", "a client hint"),
        ("X-Made-Up", "no list names it"),
    ],
)
def test_each_name_has_its_reason(name: str, why: str) -> None:
    for spelling in spellings(name):
        assert REQUEST[spelling].why.startswith(why)


def test_the_reasons_of_answers_are_their_own() -> None:
    assert ANSWER[b"X-Forwarded-For"].why.startswith("an echo of where the exit is")
    assert ANSWER[b"Transfer-Encoding"].why == "the gateway frames each body anew"


def test_names_that_connection_may_not_name_are_in_lower_case() -> None:
    assert {b"host", b"content-length", b"cookie"} < headers.GUARDED
    assert all(name == name.lower() for name in headers.GUARDED | headers.SINGLE)
