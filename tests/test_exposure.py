"""What clients give away: which flows count, which do not, and what is refused."""

import pytest

from anongw.address import Endpoint, parse_host
from anongw.config import Taken
from anongw.errors import Reason, Refused
from anongw.exposure import ADVICE, PLAINTEXT_PORTS, Exposure, exposures, judge
from anongw.flow import Flow


def flow(host: str, port: int = 443, protocol: str = "socks5") -> Flow:
    return Flow("127.0.0.1:1080", protocol=protocol, target=Endpoint(parse_host(host), port))


@pytest.mark.parametrize("host", ["1.2.3.4", "2606:4700::1", "::ffff:1.2.3.4"])
def test_a_public_address_is_noted_or_refused(host: str) -> None:
    asked = flow(host)
    judge(asked, "warn")
    assert exposures(asked) == (Exposure.BY_ADDRESS,)
    asked = flow(host)
    with pytest.raises(Refused) as raised:
        judge(asked, "reject")
    assert raised.value.reason is Reason.RESOLVED_BY_CLIENT
    assert exposures(asked) == (Exposure.BY_ADDRESS,), "what is refused is counted too"
    asked = flow(host)
    judge(asked, "off")
    assert exposures(asked) == ()


@pytest.mark.parametrize("taken", ["reject", "warn", "off"])
@pytest.mark.parametrize("host", ["a.example", "10.0.0.1", "127.0.0.1", "fd00::1", "::ffff:192.168.1.1"])
def test_a_name_or_an_address_of_a_house_shows_nothing(host: str, taken: Taken) -> None:
    asked = flow(host)
    judge(asked, taken)
    assert exposures(asked) == ()


@pytest.mark.parametrize("protocol", ["socks5", "socks4", "connect"])
@pytest.mark.parametrize("port", sorted(PLAINTEXT_PORTS))
def test_a_tunnel_to_where_passwords_are_said_in_the_clear(protocol: str, port: int) -> None:
    assert exposures(flow("a.example", port, protocol)) == (Exposure.PLAINTEXT,)


def test_plain_http_in_a_tunnel_is_not_scrubbed() -> None:
    asked = flow("1.2.3.4", 80)
    judge(asked, "warn")
    assert exposures(asked) == (Exposure.BY_ADDRESS, Exposure.UNSCRUBBED)


@pytest.mark.parametrize("port", [80, 25, 443])
def test_what_is_asked_of_an_http_proxy_is_no_tunnel(port: int) -> None:
    assert exposures(flow("a.example", port, "http")) == ()


def test_a_flow_that_never_asked_shows_nothing() -> None:
    asked = Flow("127.0.0.1:1080", protocol="socks5")
    judge(asked, "reject")
    assert exposures(asked) == ()


def test_each_has_advice_that_names_nobody() -> None:
    assert ADVICE.keys() == set(Exposure)
