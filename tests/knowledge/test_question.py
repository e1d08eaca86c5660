"""What a person writes as a target, and the flow that a gateway would make of it."""

import pytest

from anongw.address import Endpoint, parse_host
from anongw.knowledge import Content, Unanswerable
from anongw.knowledge.question import put, question
from tests.support.knowledge import config

UNKNOWN, PLAIN, TLS = Content.UNKNOWN, Content.PLAIN, Content.TLS


@pytest.mark.parametrize(
    ("text", "host", "port", "protocol", "content"),
    [
        ("example.org:443", "example.org", 443, "socks5", UNKNOWN),
        ("EXAMPLE.org.:22", "example.org", 22, "socks5", UNKNOWN),
        ("bücher.example:80", "xn--bcher-kva.example", 80, "socks5", UNKNOWN),
        ("0x7f.1:80", "127.0.0.1", 80, "socks5", UNKNOWN),
        ("[2001:db8::1]:443", "2001:db8::1", 443, "socks5", UNKNOWN),
        ("http://example.org", "example.org", 80, "http", PLAIN),
        ("http://example.org:8080/a:b?c#d", "example.org", 8080, "http", PLAIN),
        ("HTTPS://example.org/", "example.org", 443, "connect", TLS),
        ("https://example.org:/", "example.org", 443, "connect", TLS),
        ("https://[2001:db8::1]", "2001:db8::1", 443, "connect", TLS),
        ("https://example.org?a", "example.org", 443, "connect", TLS),
    ],
)
def test_targets(text: str, host: str, port: int, protocol: str, content: Content) -> None:
    found = question(text)
    assert found.target == Endpoint(parse_host(host), port)
    assert (found.protocol, found.content) == (protocol, content)


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.org", "example.org:", ":443", "example.org:0", "example.org:65536", "example.org:x"),
        *("2001:db8::1:443", "[::1", "a b:80", "example.org:80/", "ftp://example.org/", "http://"),
        *("http://user@example.org/", "http://u:p@example.org/", "//example.org:80", "http:/example.org:80"),
    ],
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(Unanswerable, match="is no target: write"):
        question(text)


def test_the_protocol_can_be_said_and_plain_http_is_plain_whatever_its_port() -> None:
    assert question("example.org:443", protocol="http").content is PLAIN
    assert question("example.org:443", protocol="socks4").content is UNKNOWN
    assert question("http://example.org/", protocol="socks5").content is PLAIN
    assert question("https://example.org/", protocol="socks4").content is TLS
    with pytest.raises(Unanswerable, match="by CONNECT or SOCKS"):
        question("https://example.org/", protocol="http")


SHARED = 'listen.clients=["192.0.2.0/24"]'


@pytest.mark.parametrize(
    ("listen", "chosen", "listener", "shared"),
    [
        ('["127.0.0.1:1080"]', "", "127.0.0.1:1080", False),
        ('["127.0.0.1:1080", "[0:0::1]:1080"]', "[::1]:1080", "[::1]:1080", False),
        ('["127.0.0.1:1080", "[::1]:1080"]', "[0::1]:1080", "[::1]:1080", False),
        ('["unix:/run/a.sock"]', "", "unix:/run/a.sock", False),
        ('["127.0.0.1:1", "unix:/run/a.sock"]', "unix:/run/a.sock", "unix:/run/a.sock", False),
        ('["192.0.2.1:1080"]', "", "192.0.2.1:1080", True),
        ('["0.0.0.0:1080"]', "0.0.0.0:1080", "0.0.0.0:1080", True),
    ],
)
def test_listeners(listen: str, chosen: str, listener: str, *, shared: bool) -> None:
    asked = put(config(f"listen.addresses={listen}", SHARED), question("a.example:1", listener=chosen))
    assert asked.listener == asked.flow.listener == listener
    assert asked.shared is asked.flow.shared is shared


@pytest.mark.parametrize(
    ("listener", "words"), [("127.0.0.1:1", "known here: 127.0.0.1:1080"), ("nonsense", "is no listener")]
)
def test_a_listener_that_the_config_has_not(listener: str, words: str) -> None:
    with pytest.raises(Unanswerable, match=words):
        put(config(), question("a.example:1", listener=listener))


@pytest.mark.parametrize(
    ("sets", "user", "identity"),
    [
        ((), None, "listener 127.0.0.1:1080"),
        ((), "alice", "user alice"),
        (("identity.by_destination=true",), "alice", "user alice to a.example"),
        (('listen.addresses=["192.0.2.1:1080"]', SHARED), None, "each client address for itself"),
        (('listen.addresses=["192.0.2.1:1080"]', SHARED), "alice", "user alice"),
    ],
)
def test_in_whose_name(sets: tuple[str, ...], user: str | None, identity: str) -> None:
    assert put(config(*sets), question("a.example:1", user=user)).identity == identity


def test_no_flow_is_counted() -> None:
    assert put(config(), question("a.example:1")).flow.number == 0
