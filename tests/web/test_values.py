"""What is left of a value, one table for each kind of line."""

import pytest

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.web import values

ORIGIN = Endpoint("example.org", 80)
HOST = b"example.org"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"http://example.org/", True),
        (b"http://example.org/a?b=c", True),
        (b"http://example.org", True),
        (b"HTTP://EXAMPLE.org.:80/a", True),
        (b"https://example.org/", False),
        (b"http://example.org:8080/", False),
        (b"http://www.example.org/", False),
        (b"http://example.org.evil.test/", False),
        (b"http://example.org@evil.test/", False),
        (b"http://user:pw@example.org/", False),
        (b"http://example.org/#secret", False),
        (b"/a", False),
        (b"about:blank", False),
        (b"", False),
    ],
)
def test_referer_passes_on_its_own_origin_only(value: bytes, *, kept: bool) -> None:
    assert values.referer(value, ORIGIN, HOST) == (value if kept else None)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"Basic YTpi", True),
        (b"Bearer ntlm", True),
        (b"Digest username=negotiate", True),
        (b"NTLM TlRMTVNTUAAB", False),
        (b"ntlm", False),
        (b"Negotiate YIIZ", False),
        (b"NEGOTIATE\tYIIZ", False),
        (b"", True),
    ],
)
def test_authorization_passes_but_for_what_binds_the_connection(value: bytes, *, kept: bool) -> None:
    assert values.authorization(value) == (value if kept else None)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (b"no-cache", b"no-cache"),
        (b"No-Store", b"no-store"),
        (b"max-age=0", b"max-age=0"),
        (b"max-age=1", None),
        (b"no-cache, x=secret", None),
        (b"", None),
    ],
)
def test_three_reload_values_pass(value: bytes, sent: bytes | None) -> None:
    assert values.reload(value) == sent


@pytest.mark.parametrize("value", [b"XMLHttpRequest", b"xmlhttprequest", b"com.example.app", b""])
def test_requested_with_says_one_thing(value: bytes) -> None:
    assert values.requested_with(value) == (b"XMLHttpRequest" if value == b"XMLHttpRequest" else None)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (b"/b", b"/b"),
        (b"http://example.org/b?c", b"http://example.org/b?c"),
        (b"HTTP://Example.ORG:80/b", b"http://example.org/b"),
        (b"http://example.org", b"http://example.org/"),
        (b"http://10.0.0.1/b", Reason.FORBIDDEN),
        (b"http://example.org:81/b", Reason.FORBIDDEN),
        (b"https://example.org/b", Reason.FORBIDDEN),
        (b"ftp://example.org/b", Reason.FORBIDDEN),
        (b"//10.0.0.1/b", Reason.MALFORMED),
        (b"/\\10.0.0.1/b", Reason.MALFORMED),
        (b"b", Reason.MALFORMED),
        (b"", Reason.MALFORMED),
    ],
)
def test_a_destination_is_on_the_server_that_is_asked(value: bytes, sent: bytes | Reason) -> None:
    if isinstance(sent, bytes):
        assert values.destination(value, ORIGIN, HOST) == sent
        return
    with pytest.raises(Refused) as refusal:
        values.destination(value, ORIGIN, HOST)
    assert refusal.value.reason is sent


@pytest.mark.parametrize(
    ("offer", "both"),
    [
        (b"gzip, deflate", True),
        (b"deflate,GZIP;q=0.5,br", True),
        (b"gzip;q=1.0, deflate;q=0.001", True),
        (b"gzip", False),
        (b"deflate, br", False),
        (b"gzip, deflate;q=0", False),
        (b"gzip;q=0.000, deflate", False),
        (b"gzip; Q = 0, deflate", False),
        (b"*", False),
        (b"identity", False),
        (b"gzip deflate", False),
        (b"", False),
    ],
)
def test_a_coding_is_offered_only_where_it_is_said(offer: bytes, *, both: bool) -> None:
    assert values.reads_gzip_and_deflate(offer) is both


EARLY = ["preconnect", "dns-prefetch", "preload", "prefetch", "modulepreload", "prerender"]


@pytest.mark.parametrize("rel", [rel.encode() for rel in EARLY])
@pytest.mark.parametrize(
    "form",
    [
        b"<https://a.test/>; rel=%b",
        b'<https://a.test/>; rel="%b"',
        b'<https://a.test/>;REL = "next %b"',
        b'<https://a.test/>; as=style; crossorigin; rel="%b"; x="a, b"',
        b"<https://a.test/,b>; rel=next; rel=%b",
        b'<https://a.test/>; title="a\\", b"; rel=%b',
    ],
)
def test_an_early_link_goes_and_its_neighbours_stay(form: bytes, rel: bytes) -> None:
    for written in (rel, rel.upper()):
        early = form % written
        assert values.links(early) is None
        assert values.links(b"</2>; rel=next, " + early + b' , </1>; rel="canonical"') == (
            b'</2>; rel=next, </1>; rel="canonical"'
        )


@pytest.mark.parametrize(
    "value",
    [
        b"</2>; rel=next",
        b'</2,3>; rel="next"; title="a, <b>; rel=x", </1>; rel=prev',
        b'</pre>; rel=next; title="a preload of mine"',
        b"",
    ],
)
def test_other_links_stay(value: bytes) -> None:
    assert (values.links(value) or b"") == value


@pytest.mark.parametrize(
    "value",
    [
        b'</1>; rel="next, </2>; rel=preload',  # an open quote
        b"</1; rel=preload",  # an open bracket
        b"/1; rel=preload",
        b'</1>; rel="p\\reload"',
        b'</1>; rel="next"; <x> rel=preload',
        b"</1>; rel=next </2>; rel=preload",
    ],
)
def test_a_link_line_that_does_not_cut_cleanly_goes_whole(value: bytes) -> None:
    assert values.links(value) is None


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"NTLM", None),
        (b"Negotiate", None),
        (b"negotiate YII=", None),
        (b"Negotiate, NTLM", None),
        (b'Basic realm="a"', b'Basic realm="a"'),
        (b'NTLM, Basic realm="a, NTLM", charset="UTF-8"', b'Basic realm="a, NTLM", charset="UTF-8"'),
        (
            b'Basic realm="a", Negotiate YII==, Digest realm="b", nonce="c"',
            b'Basic realm="a", Digest realm="b", nonce="c"',
        ),
        (b'Negotiate a = "b", c=d, Basic realm=x', b"Basic realm=x"),
        (b'Basic realm="NTLM"', b'Basic realm="NTLM"'),
        (b'Basic realm="a, NTLM', None),  # an open quote, and who knows what the client makes of it
        (b",, NTLM ,", None),
    ],
)
def test_challenges_that_the_client_could_not_answer_are_struck_out(value: bytes, left: bytes | None) -> None:
    assert values.challenges(value) == left


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"camera=()", b"camera=()"),
        (b"ch-ua-platform=*", None),
        (b'camera=(), CH-UA=(self "https://a.test, b"), geolocation=()', b"camera=(), geolocation=()"),
        (b'camera=("ch-ua")', b'camera=("ch-ua")'),
    ],
)
def test_client_hints_are_handed_to_nobody(value: bytes, left: bytes | None) -> None:
    assert values.permissions(value) == left


@pytest.mark.parametrize("byte", range(256))
def test_clean_means_no_control_byte(byte: int) -> None:
    control = (byte < 0x20 and byte != 0x09) or byte == 0x7F
    assert values.clean([b"a", b"b%cc" % byte]) is not control
