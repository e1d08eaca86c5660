"""The search of all that gateways say finds what one tells, and what it finds is really what flows knew."""

import sys
from pathlib import Path

import pytest

from tests.support import asks, outside
from tests.support.process import gateway
from tests.support.silence import Silence

HOST = "told-by-mistake.example"
TELLTALE = (sys.executable, "-m", "tests.support.noted", "--tell")
REFUSED = 'route=[{to="refuse"}]'


@pytest.mark.parametrize("way", asks.WAYS, ids=lambda way: way.name)
def test_a_gateway_that_tells_a_target_is_found_out(way: asks.Way, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"the gateway told .*told-by-mistake\.example"),
        gateway(tmp_path, REFUSED, program=TELLTALE) as running,
    ):
        asks.exchange(running.where, way.ask(HOST, 80))


def test_one_that_is_asked_to_may(tmp_path: Path) -> None:
    with gateway(tmp_path, REFUSED, program=TELLTALE, arguments=("--log-names",)) as running:
        asks.exchange(running.where, asks.SOCKS5.ask(HOST, 80))
        assert HOST in running.errors


def test_the_same_flows_told_nobody(tmp_path: Path) -> None:
    with gateway(tmp_path, REFUSED) as running:
        for way in asks.WAYS:
            asks.exchange(running.where, way.ask(HOST, 80))


def test_what_flows_know_is_noted(tmp_path: Path) -> None:
    """Target, user, client, path and header values: else there would be nothing to search for."""
    seen: list[set[str]] = []

    class Spied(Silence):
        def told(self, *_args: object) -> list[str]:
            seen.append(self._known())
            return []

    with outside.on_loopback({}) as (origin, _), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.process.Silence", Spied)
        with gateway(tmp_path, 'policy.allow_private=["127.0.0.9/32"]') as running:
            lines = (b"X-Mine: header-value", b"Cookie: cookie-value", b"Connection: close")
            asks.exchange(running.where, asks.get("127.0.0.9", origin.port, *lines, path="/the-path"))
            asks.exchange(
                running.where, asks.socks5_login(b"the-user", b"") + asks.socks5_request("127.0.0.9", 9)
            )
    assert seen
    assert {"127.0.0.9", "127.0.0.1", "the-user", "/the-path", "header-value", "cookie-value"} <= seen[0]
