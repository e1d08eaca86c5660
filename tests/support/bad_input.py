"""The rows of the table of bad input: what is sent, and what must come back.

A row is the bytes of a client that says everything at once, and the gateway's whole answer, byte for byte.
Answers are written out here and not taken from the gateway's own tables.
"""

from tests.support.asks import (
    SOCKS5,
    SOCKS5_NONE,
    SOCKS5_NONE_CHOSEN,
    http_head,
    http_refusal,
    socks4,
    socks4_reply,
    socks5,
    socks5_name,
    socks5_reply,
)

NAME = "origin.example"  # exists, and may be reached
SILENCE = b""

# First bytes that are no HTTP method's, no empty line's and no version of SOCKS: such a client hears nothing.
FOREIGN = [byte for byte in range(256) if byte not in (4, 5, 10, 13, *range(0x41, 0x5B))]

FOREIGN_PROTOCOLS = {
    "TLS client hello": bytes.fromhex("16030100c8010000c40303") + bytes(192),
    "SSLv2 hello": bytes.fromhex("802e0100020015000000"),
    "SSH banner": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO example.org\r\n",
    "Memcached": b"stats\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "RDP": bytes.fromhex("0300001300ee000000000000000000000000"),
    "PROXY protocol 1": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
    "PROXY protocol 2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
    "SOCKS6": b"\x06\x01\x00",
    "zeros": bytes(1000),
}
# Those whose first byte could be a method's are told 400, and nothing else.
FOREIGN_TOLD = {
    "SSH banner": http_refusal(400),
    "SMTP": http_refusal(400),
    "PROXY protocol 1": http_refusal(400),
    "PROXY protocol 2": http_refusal(400),
}


# SOCKS5

_GENERAL = SOCKS5_NONE_CHOSEN + socks5_reply(1)
_KIND_UNKNOWN = SOCKS5_NONE_CHOSEN + socks5_reply(8)
_COMMAND_UNKNOWN = SOCKS5_NONE_CHOSEN + socks5_reply(7)
_LONG = b".".join([b"a" * 63] * 4)  # 255 bytes, a name has 253 at most


def _named(name: bytes, port: int = 80) -> bytes:
    return SOCKS5_NONE + socks5_name(name, port)


SOCKS5_ROWS: dict[str, tuple[bytes, bytes]] = {
    "greeting alone": (SOCKS5_NONE, SOCKS5_NONE_CHOSEN),
    "zero methods": (b"\x05\x00", b"\x05\xff"),
    "unknown method": (b"\x05\x01\x80", b"\x05\xff"),
    "GSSAPI alone": (b"\x05\x01\x01", b"\x05\xff"),
    "255 unknown methods": (b"\x05\xff" + bytes([9]) * 255, b"\x05\xff"),
    "login of version 5": (b"\x05\x01\x02\x05\x01a\x01b", b"\x05\x02"),
    "request of version 4": (SOCKS5_NONE + b"\x04\x01\x00\x01\x7f\0\0\x01\0\x50", _GENERAL),
    "request of version 0": (SOCKS5_NONE + bytes(10), _GENERAL),
    "reserved byte set": (SOCKS5_NONE + b"\x05\x01\x01\x01\x08\x08\x08\x08\0\x50", _GENERAL),
    "address type 0": (SOCKS5_NONE + b"\x05\x01\x00\x00" + bytes(6), _KIND_UNKNOWN),
    "address type 2": (SOCKS5_NONE + b"\x05\x01\x00\x02" + bytes(6), _KIND_UNKNOWN),
    "address type 255": (SOCKS5_NONE + b"\x05\x01\x00\xff" + bytes(6), _KIND_UNKNOWN),
    "BIND": (socks5("8.8.8.8", 80, command=2), _COMMAND_UNKNOWN),
    "UDP ASSOCIATE": (socks5("0.0.0.0", 0, command=3), _COMMAND_UNKNOWN),
    "UDP ASSOCIATE over IPv6": (socks5("::", 0, command=3), SOCKS5_NONE_CHOSEN + socks5_reply(7, six=True)),
    "Tor's RESOLVE": (socks5(NAME, 0, command=0xF0), _COMMAND_UNKNOWN),
    "command 0": (socks5("8.8.8.8", 80, command=0), _COMMAND_UNKNOWN),
    "port 0": (socks5("8.8.8.8", 0), _GENERAL),
    "port 0 by name": (socks5(NAME, 0), _GENERAL),
    "empty name": (_named(b""), _GENERAL),
    "a dot": (_named(b"."), _GENERAL),
    "empty label": (_named(b"a..example"), _GENERAL),
    "dot in front": (_named(b".a.example"), _GENERAL),
    "two dots behind": (_named(b"a.example.."), _GENERAL),
    "NUL in a name": (_named(b"a\0.example"), _GENERAL),
    "NUL behind a name": (_named(NAME.encode() + b"\0"), _GENERAL),
    "space in a name": (_named(b"a b.example"), _GENERAL),
    "newline in a name": (_named(b"a\n.example"), _GENERAL),
    "name with a port": (_named(b"a.example:80"), _GENERAL),
    "name with a path": (_named(b"a.example/x"), _GENERAL),
    "name with userinfo": (_named(b"u@a.example"), _GENERAL),
    "name of 255 bytes": (_named(_LONG), _GENERAL),
    "label of 64 bytes": (_named(b"a" * 64 + b".example"), _GENERAL),
    "hyphen in front": (_named(b"-a.example"), _GENERAL),
    "wildcard": (_named(b"*.example"), _GENERAL),
    "percent coding": (_named(b"a%2eexample"), _GENERAL),
    "Latin-1 in a name": (_named("ä.example".encode("latin-1")), _GENERAL),
    "UTF-8 in a name": (_named("ä.example".encode()), _GENERAL),
    "full-width digits": (_named("\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}7.0.0.1".encode()), _GENERAL),
    "IPv6 zone": (_named(b"fe80::1%eth0"), _GENERAL),
    "half a bracket": (_named(b"[::1"), _GENERAL),
    "address of five parts": (_named(b"1.2.3.4.5"), _GENERAL),
    "address with a part of 256": (_named(b"1.2.3.256"), _GENERAL),
    "address of 2^32": (_named(b"4294967296"), _GENERAL),
    "octal with an 8": (_named(b"1.2.3.08"), _GENERAL),
    "hexadecimal of nothing but 0x and more": (_named(b"0x1g"), SOCKS5.refused("private-name")),
    "cut in the greeting": (b"\x05", SILENCE),
}


# SOCKS4

NOT_GRANTED = socks4_reply(0x5B)


def name_by_4a(name: bytes, port: int = 80, user: bytes = b"") -> bytes:
    return b"\x04\x01" + port.to_bytes(2, "big") + b"\0\0\0\x01" + user + b"\0" + name + b"\0"


SOCKS4_ROWS: dict[str, tuple[bytes, bytes]] = {
    "BIND": (socks4("8.8.8.8", 80, command=2), NOT_GRANTED),
    "command 0": (socks4("8.8.8.8", 80, command=0), NOT_GRANTED),
    "port 0": (socks4("8.8.8.8", 0), NOT_GRANTED),
    "no NUL behind the user": (socks4("8.8.8.8", 80)[:-1], NOT_GRANTED),
    "user of 300 bytes": (socks4("8.8.8.8", 80, b"u" * 300), NOT_GRANTED),
    "user of 100,000 bytes": (socks4("8.8.8.8", 80, b"u" * 100_000), NOT_GRANTED),
    "4a: no name": (name_by_4a(b""), NOT_GRANTED),
    "4a: no NUL behind the name": (name_by_4a(b"a.example")[:-1], NOT_GRANTED),
    "4a: name of 300 bytes": (name_by_4a(b"a." * 150), NOT_GRANTED),
    "4a: name in Latin-1": (name_by_4a(b"\xe4.example"), NOT_GRANTED),
    "4a: name with a space": (name_by_4a(b"a b"), NOT_GRANTED),
    "4a: private name": (name_by_4a(b"printer.local"), NOT_GRANTED),
    "4a: one label": (name_by_4a(b"printer"), NOT_GRANTED),
    "4a: localhost": (name_by_4a(b"localhost"), NOT_GRANTED),
    "4a: an address as a name": (name_by_4a(b"127.0.0.1"), NOT_GRANTED),
    "4a: absent": (name_by_4a(b"absent.example"), NOT_GRANTED),
    "address 0.0.0.0": (socks4("0.0.0.0", 80), NOT_GRANTED),
    "private address": (socks4("10.0.0.1", 80), NOT_GRANTED),
}


# HTTP, beyond the smuggling corpus


def in_head(line: bytes, *headers: bytes, host: bytes = b"Host: origin.example") -> bytes:
    return http_head(line, host, *headers)


# A number is the status of the gateway's own answer.
HTTP_ROWS: dict[str, tuple[bytes, int | bytes]] = {
    "origin form": (in_head(b"GET / HTTP/1.1"), SILENCE),
    "origin form, Host is this machine": (in_head(b"GET / HTTP/1.1", host=b"Host: localhost:1080"), 400),
    "origin form, Host is 127.0.0.1": (in_head(b"GET / HTTP/1.1", host=b"Host: 127.0.0.1"), SILENCE),
    "asterisk form": (in_head(b"OPTIONS * HTTP/1.1"), SILENCE),
    "the gateway itself": (in_head(b"GET http://127.0.0.1/ HTTP/1.1"), 403),
    "localhost": (in_head(b"GET http://localhost/ HTTP/1.1"), 403),
    "head of 40,000 bytes": (in_head(b"GET http://origin.example/ HTTP/1.1", b"X: " + b"a" * 40_000), 431),
    "head of 40,000 bytes without an end": (b"GET http://origin.example/" + b"a" * 40_000, 431),
    "10,000 header lines": (in_head(b"GET http://origin.example/ HTTP/1.1", *[b"X: a"] * 10_000), 431),
    "101 header lines": (in_head(b"GET http://origin.example/ HTTP/1.1", *[b"X: a"] * 100), 431),
    "two Proxy-Authorizations": (
        in_head(b"GET http://origin.example/ HTTP/1.1", *[b"Proxy-Authorization: Basic YTpi"] * 2),
        400,
    ),
    "CONNECT in HTTP/2": (in_head(b"CONNECT origin.example:80 HTTP/2.0"), 501),
    "name that does not exist": (in_head(b"GET http://absent.example/ HTTP/1.1"), 502),
    "name in Latin-1": (in_head(b"GET http://\xe4.example/ HTTP/1.1"), 400),
    "empty label": (in_head(b"GET http://a..example/ HTTP/1.1"), 400),
    "HTTP/0.9": (b"GET http://origin.example/\r\n\r\n", 400),
}


# Private targets, in every spelling

LOOPBACK_SPELLINGS = (
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0x7f000001",
    "0X7F.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "2130706433",
    "127.0.0.1.",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0x0",
    "169.254.169.254",
    "0xa9fea9fe",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
)
V6_SPELLINGS = (
    "::1",
    "::",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "fd00:ec2::254",
)
NAME_SPELLINGS = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost.",
    "a.localhost",
    "localhost.localdomain",
    "metadata.google.internal",
    "printer.local",
    "router.home.arpa",
    "a.onion",
    "printer",
)
MALFORMED_SPELLINGS = ("xn--127-.0.0.1.", "localhost..", "127.0.0.1..", "[127.0.0.1", "127.0.0.1%00.example")
