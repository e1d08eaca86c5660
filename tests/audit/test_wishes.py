"""The scenarios of what clients want, as far as they need no laboratory; test_audit_lab.py plays them."""

from anongw.audit import wishes
from anongw.audit.canaries import ZONE
from anongw.audit.ways import SPOKEN, Errand
from anongw.config import Config, load

MAIN = Errand(0, "direct", ZONE, 80, SPOKEN, "127.0.0.1:1080")


def test_every_protocol_asks_for_names_and_both_kinds_of_address() -> None:
    names = [one.name for one in wishes.protocols(Config(), MAIN)]
    assert len(names) == 4 + 4 + 3
    assert "SOCKS4a to an IPv6 address" not in names, "it has no word for one"


def test_a_route_for_one_protocol_is_asked_by_that_one() -> None:
    one = Errand(0, "direct", ZONE, 80, ("connect",), "127.0.0.1:1080")
    assert next(wishes.protocols(Config(), one)).name == "CONNECT to a name"
    assert "UDP is asked for" not in [found.name for found in wishes.plain(one)]


def test_what_the_config_lets_in_is_not_called_private() -> None:
    lab = load(None, ('policy.allow_private=["10.0.0.0/8"]', 'resolve.zones={internal="udp://10.0.0.1"}'))
    let_in = {
        one: wishes._let_in(lab, one) for one in ("10.1.2.3", "::ffff:10.0.0.1", "x.internal", "192.168.1.1")
    }
    assert let_in == {"10.1.2.3": True, "::ffff:10.0.0.1": True, "x.internal": True, "192.168.1.1": False}
    assert wishes._let_in(lab, "127.1") is False


def test_every_other_listener_has_a_scenario() -> None:
    several = load(None, ('listen.addresses=["127.0.0.1:1080", "[::1]:1080", "unix:/run/a.sock"]',))
    names = [one.name for one in wishes.listeners(several, MAIN)]
    assert names == ["listener 2, [::1]:1080", "listener 3, a Unix socket"]


def test_how_long_a_body_is() -> None:
    assert wishes._length(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n") == 19
    assert wishes._length(b"HTTP/1.1 200 OK\r\n\r\n") == 0
