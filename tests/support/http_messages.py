"""HTTP/1 heads for property tests, made field by field: each mostly right, then sometimes cut or spoilt.

Random bytes never get past the first word of a request; these reach every outcome.
"""

from hypothesis import strategies as st

TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=12).map(str.encode)
VALUE = (
    st.binary(max_size=20)
    .map(lambda raw: bytes(byte for byte in raw if byte == 9 or (byte >= 32 and byte != 127)))
    .map(lambda value: value.strip(b" \t"))
)
# `Upgrade` and our framing names mean something: what they may say is in the tables above.
HEADERS = st.lists(st.tuples(TOKEN.map(lambda name: b"X-" + name), VALUE), max_size=10)
CUTS = st.lists(st.integers(1, 300), max_size=6)
TARGET = st.text("!$%&'()*+,-./09:;=?@AZ[]_az~", max_size=20).map(
    lambda text: b"http://a.test/" + text.encode()
)


def mostly(right: st.SearchStrategy[bytes], *wrong: bytes) -> st.SearchStrategy[bytes]:
    return st.integers(0, 40).flatmap(lambda dice: st.sampled_from(wrong) if dice == 7 else right)


HEADER_LINE = mostly(
    st.sampled_from(
        (
            b"X: a",
            b"Connection: close",
            b"Connection: upgrade",
            b"Upgrade: websocket",
            b"Cookie: \xff",
            b"Content-Length: 3",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Expect: 100-continue",
            b"Expect: x",
        )
    ),
    b"Host: b",
    b"X : a",
    b" X: a",
    b"X: \0",
    b"X: " + b"a" * 300,
)
SPOIL = st.tuples(
    st.sampled_from(("keep",) * 8 + ("cut", "insert")), st.integers(0, 200), st.binary(max_size=2)
)


@st.composite
def messages(draw: st.DrawFn, first: st.SearchStrategy[bytes]) -> bytes:
    """A first line, header lines and an end, each mostly right; then sometimes cut short or spoilt."""
    lines = [draw(first), draw(mostly(st.just(b"Host: a"), b"Host: ", b"X: a"))]
    lines += draw(st.lists(HEADER_LINE, max_size=5))
    ends = [draw(mostly(st.just(b"\r\n"), b"\n", b"\r", b"\r\n\r\n", b"\r\r\n")) for _ in lines]
    raw = b"".join(line + end for line, end in zip(lines, ends, strict=True)) + b"\r\n"
    spoil, where, what = draw(SPOIL)
    if spoil == "cut":
        return raw[:where]
    if spoil == "insert":
        return raw[:where] + what + raw[where:]
    return raw


# What has a reason of its own gets a share that no run can miss; `mostly` alone would leave it to luck.
METHOD = mostly(st.sampled_from((b"GET", b"POST", b"PUT") * 3 + (b"get", b"TRACE")), b"G(T")
VERSION = mostly(
    st.sampled_from((b"HTTP/1.1", b"HTTP/1.0") * 4 + (b"HTTP/2.0", b"HTTP/1.2")), b"HTTP/1.10", b"http/1.1"
)
REQUEST_LINE = st.tuples(
    METHOD,
    mostly(st.just(b" "), b"  ", b"\t"),
    mostly(st.just(b"http://a.test/"), b"/", b"a b", b"/#"),
    mostly(st.just(b" "), b"  ", b""),
    VERSION,
).map(b"".join)
STATUS_LINE = st.tuples(
    mostly(st.sampled_from((b"HTTP/1.1", b"HTTP/1.0")), b"HTTP/2.0", b"ICY"),
    mostly(st.sampled_from((b" 200", b" 304", b" 101")), b" 99", b"200"),
    mostly(st.sampled_from((b" OK", b"", b" ")), b" \0"),
).map(b"".join)
