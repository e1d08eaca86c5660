"""The syntax of resolvers: what it means, and that each mistake is told how to mend it."""

import ipaddress

import pytest

from anongw.config import Resolve
from anongw.resolve.server import Scheme, Server, System, parse_server, parse_servers


def server(scheme: Scheme, address: str, port: int, path: str = "", name: str = "") -> Server:
    return Server(scheme, ipaddress.ip_address(address), port, path, name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "https://9.9.9.9/dns-query#dns.quad9.net",
            server(Scheme.HTTPS, "9.9.9.9", 443, "/dns-query", "dns.quad9.net"),
        ),
        ("https://1.1.1.1", server(Scheme.HTTPS, "1.1.1.1", 443, "/dns-query", "1.1.1.1")),
        ("https://1.1.1.1/", server(Scheme.HTTPS, "1.1.1.1", 443, "/dns-query", "1.1.1.1")),
        ("https://1.1.1.1:8443/q?a=b", server(Scheme.HTTPS, "1.1.1.1", 8443, "/q?a=b", "1.1.1.1")),
        ("tls://[2620:fe::fe]", server(Scheme.TLS, "2620:fe::fe", 853, "", "2620:fe::fe")),
        (
            "tls://[2620:fe::fe]:8853#DNS.Quad9.net.",
            server(Scheme.TLS, "2620:fe::fe", 8853, "", "dns.quad9.net"),
        ),
        ("tls://[fe80::1%lo]", server(Scheme.TLS, "fe80::1%lo", 853, "", "fe80::1")),
        ("tcp://9.9.9.9", server(Scheme.TCP, "9.9.9.9", 53)),
        ("udp://127.0.0.53:5353", server(Scheme.UDP, "127.0.0.53", 5353)),
        ("udp://192.168.1.1/", server(Scheme.UDP, "192.168.1.1", 53)),
        ("system", System()),
    ],
)
def test_what_it_means(text: str, expected: Server | System) -> None:
    assert parse_server(text) == expected


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("9.9.9.9", "write https://, tls://, tcp:// or udp://"),
        ("quic://9.9.9.9", "write https://"),
        ("HTTPS://9.9.9.9", "write https://"),
        ("https://dns.quad9.net/dns-query", "named by its address"),
        ("https://user@9.9.9.9/", "named by its address"),
        ("https://", "named by its address"),
        ("tls://[9.9.9.9", "named by its address"),
        ("tls://2620:fe::fe", "brackets"),
        ("tls://9.9.9.9:0", "a port is a number"),
        ("tls://9.9.9.9:", "a port is a number"),
        ("tls://9.9.9.9:99999", "a port is a number"),
        ("udp://9.9.9.9#dns.quad9.net", "use https or tls"),
        ("tls://9.9.9.9/dns-query", "only https has a path"),
        ("https://9.9.9.9/a b", "%20"),
        ("https://9.9.9.9/a\r\nX-Evil: 1", "%20"),
        ("https://9.9.9.9/#not a name", "no certificate bears"),
    ],
)
def test_mistakes(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        parse_server(text)


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("https://9.9.9.9#dns.quad9.net", "dns.quad9.net"),
        ("https://9.9.9.9:8443#dns.quad9.net", "dns.quad9.net:8443"),
        ("https://9.9.9.9", "9.9.9.9"),
        ("https://[2620:fe::fe]", "[2620:fe::fe]"),
        ("https://[2620:fe::fe]:8443", "[2620:fe::fe]:8443"),
    ],
)
def test_what_http_calls_it(text: str, authority: str) -> None:
    (server,) = servers if isinstance(servers := parse_servers((text,)), tuple) else ()
    assert server.authority == authority


def test_lists() -> None:
    two = parse_servers(("udp://192.0.2.1", "udp://192.0.2.2", "udp://192.0.2.1"))
    assert two == (server(Scheme.UDP, "192.0.2.1", 53), server(Scheme.UDP, "192.0.2.2", 53))
    assert parse_servers(("system",)) == System()


@pytest.mark.parametrize("texts", [(), ("system", "udp://192.0.2.1")])
def test_lists_that_mean_nothing(texts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="at least one resolver"):
        parse_servers(texts)


def test_the_default_is_two_independent_servers_by_address_over_https() -> None:
    servers = parse_servers(Resolve().servers)
    assert isinstance(servers, tuple)
    assert [(server.scheme, str(server.address), server.name) for server in servers] == [
        (Scheme.HTTPS, "9.9.9.9", "dns.quad9.net"),
        (Scheme.HTTPS, "1.1.1.1", "cloudflare-dns.com"),
    ]


def test_which_schemes_are_encrypted() -> None:
    assert [scheme for scheme in Scheme if scheme.encrypted] == [Scheme.HTTPS, Scheme.TLS]
