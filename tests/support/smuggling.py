"""Requests that two programs could read in two ways, and the reason for which each must be refused.

The codec tests read them piece by piece; the whole-process tests send them to a running gateway, where the
connection must be closed and the origin must hear nothing. `ORIGIN` stands where the origin's authority
belongs: replace it with one that listens. Each case ends with `TAIL`, the request that a smuggler would
like to see answered.
"""

from typing import NamedTuple

from anongw.errors import Reason

ORIGIN = b"origin.test"
TAIL = b"GET http://origin.test/smuggled HTTP/1.1\r\nHost: origin.test\r\n\r\n"


class Case(NamedTuple):
    name: str
    raw: bytes
    reason: Reason


_LINE = b"POST http://origin.test/ HTTP/1.1"
_HOST = b"Host: origin.test"
_CHUNKED = b"Transfer-Encoding: chunked"


def _lines(*lines: bytes) -> bytes:
    return b"\r\n".join((*lines, b"", b""))


def _with(*headers: bytes) -> bytes:
    return _lines(_LINE, _HOST, *headers) + TAIL


def _first(line: bytes) -> bytes:
    return _lines(line, _HOST) + TAIL


def _body(chunks: bytes) -> bytes:
    return _lines(_LINE, _HOST, _CHUNKED) + chunks + TAIL


def _cases(reason: Reason, table: dict[str, bytes]) -> list[Case]:
    return [Case(name, raw, reason) for name, raw in table.items()]


_LENGTHS = {
    "length then chunked": _with(b"Content-Length: 5", _CHUNKED),
    "chunked then length": _with(_CHUNKED, b"Content-Length: 5"),
    "chunked and length 0": _with(_CHUNKED, b"Content-Length: 0"),
    "two lengths that differ": _with(b"Content-Length: 5", b"Content-Length: 6"),
    "two equal lengths": _with(b"Content-Length: 5", b"Content-Length: 5"),
    "two lengths in two cases": _with(b"Content-Length: 5", b"content-length: 5"),
    "length list": _with(b"Content-Length: 5, 5"),
    "length list without blank": _with(b"Content-Length: 5,5"),
    "length with plus": _with(b"Content-Length: +5"),
    "length with minus": _with(b"Content-Length: -5"),
    "length of two words": _with(b"Content-Length: 5 5"),
    "length in hexadecimal": _with(b"Content-Length: 0x5"),
    "length with underscore": _with(b"Content-Length: 5_0"),
    "length with decimal point": _with(b"Content-Length: 5.0"),
    "length with unit": _with(b"Content-Length: 5b"),
    "length in quotes": _with(b'Content-Length: "5"'),
    "empty length": _with(b"Content-Length:"),
    "blank length": _with(b"Content-Length:  "),
    "length of 2^64": _with(b"Content-Length: 18446744073709551616"),
    "length of 16 digits": _with(b"Content-Length: 1000000000000000"),
    "length with 20 zeros in front": _with(b"Content-Length: 000000000000000000005"),
    "length behind vertical tab": _with(b"Content-Length: \x0b5"),
    "length before form feed": _with(b"Content-Length: 5\x0c"),
    "length in superscript": _with(b"Content-Length: \xb2"),
    "CONNECT with length": _lines(b"CONNECT origin.test:80 HTTP/1.1", _HOST, b"Content-Length: 5") + TAIL,
    "CONNECT chunked": _lines(b"CONNECT origin.test:80 HTTP/1.1", _HOST, _CHUNKED) + TAIL,
}

_ENCODINGS = {
    "chunked, identity": _with(b"Transfer-Encoding: chunked, identity"),
    "chunked, gzip": _with(b"Transfer-Encoding: chunked, gzip"),
    "identity": _with(b"Transfer-Encoding: identity"),
    "gzip alone": _with(b"Transfer-Encoding: gzip"),
    "xchunked": _with(b"Transfer-Encoding: xchunked"),
    "chunkedx": _with(b"Transfer-Encoding: chunkedx"),
    "chunked in quotes": _with(b'Transfer-Encoding: "chunked"'),
    "chunked with parameter": _with(b"Transfer-Encoding: chunked;q=1"),
    "chunked twice in a list": _with(b"Transfer-Encoding: chunked, chunked"),
    "chunked and a comma": _with(b"Transfer-Encoding: chunked,"),
    "chunked in two lines": _with(_CHUNKED, _CHUNKED),
    "identity line then chunked line": _with(b"Transfer-Encoding: identity", _CHUNKED),
    "chunked line then identity line": _with(_CHUNKED, b"Transfer-Encoding: identity"),
    "gzip line then chunked line": _with(b"Transfer-Encoding: gzip", _CHUNKED),
    "empty encoding": _with(b"Transfer-Encoding:"),
    "encoding behind vertical tab": _with(b"Transfer-Encoding: \x0bchunked"),
    "encoding before vertical tab": _with(b"Transfer-Encoding: chunked\x0b"),
    "encoding before NUL": _with(b"Transfer-Encoding: chunked\0"),
    "encoding before DEL": _with(b"Transfer-Encoding: chunked\x7f"),
    "encoding in obs-text": _with(b"Transfer-Encoding: \xe3hunked"),
    "encoding folded": _with(b"Transfer-Encoding:\r\n chunked"),
    "encoding folded behind": _with(b"Transfer-Encoding: chunked\r\n , identity"),
    "chunked in HTTP/1.0": _lines(b"POST http://origin.test/ HTTP/1.0", _HOST, _CHUNKED) + TAIL,
}

_HEADER_LINES = {
    "fold with a blank": _with(b"X: a\r\n b"),
    "fold with a tab": _with(b"X: a\r\n\tb"),
    "fold of nothing": _with(b"X: a\r\n "),
    "fold before the first header": _lines(_LINE, b" X: a", _HOST) + TAIL,
    "blank before the colon": _with(b"Content-Length : 5"),
    "tab before the colon": _with(b"Transfer-Encoding\t: chunked"),
    "blank in a name": _with(b"Content Length: 5"),
    "no colon": _with(b"Content-Length 5"),
    "no name": _with(b": 5"),
    "name with parentheses": _with(b"Content-Length(): 5"),
    "name with at sign": _with(b"X@Y: 5"),
    "name with NUL": _with(b"Content-Length\0: 5"),
    "name with \\xff": _with(b"Content-Length\xff: 5"),
    "name with DEL": _with(b"Content-Length\x7f: 5"),
    "name in quotes": _with(b'"X": 5'),
    "name with slash": _with(b"X/Y: 5"),
    "name with vertical tab": _with(b"\x0bTransfer-Encoding: chunked"),
    "LF inside a value": _with(b"X: a\nTransfer-Encoding: chunked"),
    "CR inside a value": _with(b"X: a\rTransfer-Encoding: chunked"),
    "CR CR LF": _with(b"X: a\r\r\nTransfer-Encoding: chunked"),
    "NUL in a value": _with(b"X: a\0b"),
    "control byte in a value": _with(b"X: a\x01b"),
    "DEL in a value": _with(b"X: a\x7fb"),
    "ESC in a value": _with(b"X: \x1b[2J"),
    "LF for every line end": (_LINE + b"\n" + _HOST + b"\n\n") + TAIL,
    "LF behind the request line": _LINE + b"\n" + _HOST + b"\r\n\r\n" + TAIL,
    "LF before the empty line": _LINE + b"\r\n" + _HOST + b"\n\r\n\r\n" + TAIL,
    "LF for the empty line": _LINE + b"\r\n" + _HOST + b"\r\n\n" + TAIL,
    "CR for the empty line": _LINE + b"\r\n" + _HOST + b"\r\n\r" + TAIL,
    "empty line before a header": _LINE + b"\r\n\r\n" + _HOST + b"\r\n\r\n" + TAIL,
    "no header at all": _LINE + b"\r\n\r\n" + TAIL,
}

_HOSTS = {
    "no Host": _lines(_LINE, b"X: a") + TAIL,
    "two equal Hosts": _with(_HOST),
    "two Hosts that differ": _with(b"Host: other.test"),
    "two Hosts in two cases": _with(b"hOST: other.test"),
    "empty Host": _lines(_LINE, b"Host:") + TAIL,
    "Host of two": _lines(_LINE, b"Host: origin.test, other.test") + TAIL,
    "Host of two words": _lines(_LINE, b"Host: origin.test other.test") + TAIL,
    "Host with userinfo": _lines(_LINE, b"Host: u@origin.test") + TAIL,
    "Host with path": _lines(_LINE, b"Host: origin.test/x") + TAIL,
    "Host with scheme": _lines(_LINE, b"Host: http://origin.test") + TAIL,
    "Host with a port of letters": _lines(_LINE, b"Host: origin.test:x") + TAIL,
    "Host with two ports": _lines(_LINE, b"Host: origin.test:80:80") + TAIL,
    "Host with a port of six digits": _lines(_LINE, b"Host: origin.test:000080") + TAIL,
    "Host with half a bracket": _lines(_LINE, b"Host: [::1") + TAIL,
    "Host with a zone": _lines(_LINE, b"Host: [fe80::1%25eth0]") + TAIL,
    "Host in obs-text": _lines(_LINE, b"Host: \xe4.test") + TAIL,
    "two Hosts in HTTP/1.0": _lines(b"GET http://origin.test/ HTTP/1.0", _HOST, _HOST) + TAIL,
}

_REQUEST_LINES = {
    "two blanks behind the method": _first(b"GET  http://origin.test/ HTTP/1.1"),
    "two blanks before the version": _first(b"GET http://origin.test/  HTTP/1.1"),
    "blank behind the version": _first(b"GET http://origin.test/ HTTP/1.1 "),
    "blank before the method": _first(b" GET http://origin.test/ HTTP/1.1"),
    "tab behind the method": _first(b"GET\thttp://origin.test/ HTTP/1.1"),
    "tab before the version": _first(b"GET http://origin.test/\tHTTP/1.1"),
    "blank in the target": _first(b"GET http://origin.test/a b HTTP/1.1"),
    "control byte in the target": _first(b"GET http://origin.test/\x01 HTTP/1.1"),
    "NUL in the target": _first(b"GET http://origin.test/\0 HTTP/1.1"),
    "DEL in the target": _first(b"GET http://origin.test/\x7f HTTP/1.1"),
    "\\xff in the target": _first(b"GET http://origin.test/\xff HTTP/1.1"),
    "fragment": _first(b"GET http://origin.test/#a HTTP/1.1"),
    "userinfo": _first(b"GET http://user@origin.test/ HTTP/1.1"),
    "userinfo that looks like the host": _first(b"GET http://origin.test:80@other.test/ HTTP/1.1"),
    "backslash in the authority": _first(b"GET http://other.test\\@origin.test/ HTTP/1.1"),
    "no authority": _first(b"GET http:///x HTTP/1.1"),
    "one slash": _first(b"GET http:/origin.test/ HTTP/1.1"),
    "percent in the host": _first(b"GET http://origin%2etest/ HTTP/1.1"),
    "port of letters": _first(b"GET http://origin.test:http/ HTTP/1.1"),
    "port 0": _first(b"GET http://origin.test:0/ HTTP/1.1"),
    "port 65536": _first(b"GET http://origin.test:65536/ HTTP/1.1"),
    "port with sign": _first(b"GET http://origin.test:+80/ HTTP/1.1"),
    "authority form without CONNECT": _first(b"GET origin.test:80 HTTP/1.1"),
    "CONNECT without port": _first(b"CONNECT origin.test HTTP/1.1"),
    "CONNECT with empty port": _first(b"CONNECT origin.test: HTTP/1.1"),
    "CONNECT with URI": _first(b"CONNECT http://origin.test/ HTTP/1.1"),
    "CONNECT with path": _first(b"CONNECT origin.test:80/x HTTP/1.1"),
    "CONNECT with userinfo": _first(b"CONNECT u@origin.test:80 HTTP/1.1"),
    "CONNECT to IPv6 without brackets": _first(b"CONNECT ::1:80 HTTP/1.1"),
    "CONNECT to port 0": _first(b"CONNECT origin.test:0 HTTP/1.1"),
    "no version": _first(b"GET http://origin.test/"),
    "lower-case version": _first(b"GET http://origin.test/ http/1.1"),
    "HTTP/1.10": _first(b"GET http://origin.test/ HTTP/1.10"),
    "HTTP/01.1": _first(b"GET http://origin.test/ HTTP/01.1"),
    "HTTP/1": _first(b"GET http://origin.test/ HTTP/1"),
    "HTTP 1.1": _first(b"GET http://origin.test/ HTTP 1.1"),
    "XHTTP/1.1": _first(b"GET http://origin.test/ XHTTP/1.1"),
    "method in quotes": _first(b'"GET" http://origin.test/ HTTP/1.1'),
    "method with NUL": _first(b"GE\0T http://origin.test/ HTTP/1.1"),
    "two empty lines in front": b"\r\n\r\n" + TAIL,
    "LF in front": b"\n" + TAIL,
    "CR in front": b"\r" + TAIL,
}

_CHUNKS = {
    "size with plus": _body(b"+5\r\nhello\r\n0\r\n\r\n"),
    "size with minus": _body(b"-5\r\nhello\r\n0\r\n\r\n"),
    "size with 0x": _body(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "size with underscore": _body(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "size behind a blank": _body(b" 5\r\nhello\r\n0\r\n\r\n"),
    "size before a blank": _body(b"5 \r\nhello\r\n0\r\n\r\n"),
    "size before a blank and an extension": _body(b"5 ;a\r\nhello\r\n0\r\n\r\n"),
    "no size": _body(b"\r\nhello\r\n0\r\n\r\n"),
    "no size but an extension": _body(b";a=b\r\nhello\r\n0\r\n\r\n"),
    "size of letters": _body(b"xyz\r\nhello\r\n0\r\n\r\n"),
    "size of 17 digits": _body(b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    "size of FFFFFFFFFFFFFFFF": _body(b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    "size of 10^15": _body(b"38D7EA4C68000\r\nhello\r\n0\r\n\r\n"),
    "size ended by LF": _body(b"5\nhello\r\n0\r\n\r\n"),
    "size ended by CR": _body(b"5\rhello\r\n0\r\n\r\n"),
    "last size ended by LF": _body(b"5\r\nhello\r\n0\n\r\n"),
    "chunk ended by LF": _body(b"5\r\nhello\n0\r\n\r\n"),
    "chunk ended by CR": _body(b"5\r\nhello\r0\r\n\r\n"),
    "chunk longer than it says": _body(b"4\r\nhello\r\n0\r\n\r\n"),
    "chunk shorter than it says": _body(b"6\r\nhello\r\n0\r\n\r\n"),
    "LF in an extension": _body(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "CR in an extension": _body(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "NUL in an extension": _body(b"5;\0\r\nhello\r\n0\r\n\r\n"),
    "20 KiB of extension": _body(b"5;" + b"a" * 20480 + b"\r\nhello\r\n0\r\n\r\n"),
    "no empty line behind the last chunk": _body(b"5\r\nhello\r\n0\r\n"),
    "trailer without colon": _body(b"0\r\nX\r\n\r\n"),
    "trailer folded": _body(b"0\r\nX: a\r\n b\r\n\r\n"),
    "trailer with a blank before the colon": _body(b"0\r\nX : a\r\n\r\n"),
    "trailer ended by LF": _body(b"0\r\nX: a\n\r\n\r\n"),
    "trailer with CR": _body(b"0\r\nX: a\rb\r\n\r\n"),
    "20 KiB of trailers": _body(b"0\r\n" + b"X: a\r\n" * 4096 + b"\r\n"),
}

_VERSIONS = {
    "HTTP/0.9": _first(b"GET http://origin.test/ HTTP/0.9"),
    "HTTP/1.2": _first(b"GET http://origin.test/ HTTP/1.2"),
    "HTTP/2.0": _first(b"GET http://origin.test/ HTTP/2.0"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "RTSP/1.0": _first(b"DESCRIBE http://origin.test/ RTSP/1.0"),
    "ICE/1.0": _first(b"SOURCE http://origin.test/ ICE/1.0"),
    "https URI": _first(b"GET https://origin.test/ HTTP/1.1"),
    "ftp URI": _first(b"GET ftp://origin.test/ HTTP/1.1"),
    "ws URI": _first(b"GET ws://origin.test/ HTTP/1.1"),
}

_METHODS = {
    "unknown method": _first(b"FOO http://origin.test/ HTTP/1.1"),
    "lower-case method": _first(b"get http://origin.test/ HTTP/1.1"),
    "TRACE": _first(b"TRACE http://origin.test/ HTTP/1.1"),
    "M-SEARCH": _first(b"M-SEARCH http://origin.test/ HTTP/1.1"),
    "SOURCE": _first(b"SOURCE http://origin.test/ HTTP/1.1"),
    "DESCRIBE": _first(b"DESCRIBE http://origin.test/ HTTP/1.1"),
}

_EXPECTATIONS = {
    "another expectation": _with(b"Expect: 200-ok"),
    "two expectations": _with(b"Expect: 100-continue", b"Expect: 100-continue"),
    "list of expectations": _with(b"Expect: 100-continue, x"),
    "empty expectation": _with(b"Expect:"),
}

_CODINGS = {
    "gzip, chunked": _with(b"Transfer-Encoding: gzip, chunked"),
    "identity, chunked": _with(b"Transfer-Encoding: identity, chunked"),
    "comma, chunked": _with(b"Transfer-Encoding: ,chunked"),
}

CASES: list[Case] = [
    *_cases(Reason.MALFORMED, _LENGTHS | _ENCODINGS | _HEADER_LINES | _HOSTS | _REQUEST_LINES | _CHUNKS),
    *_cases(Reason.UNSUPPORTED_PROTOCOL, _VERSIONS),
    *_cases(Reason.UNSUPPORTED_COMMAND, _METHODS),
    *_cases(Reason.EXPECTATION_FAILED, _EXPECTATIONS),
    *_cases(Reason.UNSUPPORTED_ENCODING, _CODINGS),
]
