"""Three networks that lead to each other as planned, and nowhere else."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from anongw.lab import capture
from anongw.lab.networks import CABLE_INSIDE, Networks, Plan, networks, why_not
from anongw.lab.wrong import PATIENCE, Wrong

PLAN = Plan(
    client=("10.9.0.2/24",),
    inside=("10.9.0.1/24",),
    own=("20.9.0.1/24", "2a00:9::1/64"),
    outside=("20.9.0.254/24", "2a00:9::fe/64", "9.9.9.9/32"),
    routers=("20.9.0.254", "2a00:9::fe"),
    local=("127.9.0.9/8",),
    outward="wg0",
)

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")


@pytest.fixture(scope="module")
def made() -> Iterator[Networks]:
    with networks(PLAN) as found:
        yield found


def test_whoever_is_outside_is_met_at_the_address_that_it_has_in_the_world(made: Networks) -> None:
    with made.listener("9.9.9.9", 443) as listener, made.frames("wg0") as frames:
        listener.settimeout(PATIENCE)
        program = "import socket; socket.socket().connect(('9.9.9.9', 443))"
        subprocess.run([*made.prefix, sys.executable, "-c", program], check=True)
        peer, (address, _) = listener.accept()
        peer.close()
        assert address == "20.9.0.1"
        opened = {packet.edge for packet in capture.drain(frames) if packet.opens}
        assert opened == {(capture.TCP, "9.9.9.9", 443)}


def test_a_client_meets_the_gateway_and_nobody_behind_it(made: Networks) -> None:
    """Not even where this machine forwards packets for others."""
    with made.listener("10.9.0.1", 1080, "gateway"), made.stream("10.9.0.2", "client") as near:
        near.settimeout(PATIENCE)
        near.connect(("10.9.0.1", 1080))
        assert 20000 <= near.getsockname()[1] < 30000
    made.ip("client", "route replace 9.9.9.9/32 via 10.9.0.1")
    with made.frames("wg0") as frames, made.listener("9.9.9.9", 80), made.stream("10.9.0.2", "client") as far:
        far.settimeout(0.2)  # nobody answers, which no event tells
        with pytest.raises(OSError, match=r"timed out|unreachable"):
            far.connect(("9.9.9.9", 80))
        assert capture.drain(frames) == []


def test_the_gateways_own_loopback_has_what_was_planned(made: Networks) -> None:
    with made.listener("127.9.0.9", 0, "gateway") as here:
        assert here.getsockname()[0] == "127.9.0.9"


def test_datagrams_and_the_way_on_have_the_senders_own_address(made: Networks) -> None:
    with made.datagrams("9.9.9.9", 53) as sock, made.outgoing("9.9.9.9", "2a00:9::fe")("20.0.0.1") as onward:
        assert sock.type == socket.SOCK_DGRAM
        assert onward.getsockname()[0] == "9.9.9.9"
        with made.outgoing("9.9.9.9", "2a00:9::fe")("2a00::1") as onward_6:
            assert onward_6.getsockname()[0] == "2a00:9::fe"


def test_what_cannot_be_made_is_said(made: Networks) -> None:
    with pytest.raises(Wrong, match="assign"):
        made.listener("192.0.2.1")
    with pytest.raises(Wrong, match="No such device"):
        made.frames("nowhere0")
    with pytest.raises(Wrong, match="nowhere0"):
        made.ip("gateway", "link show dev nowhere0")
    assert CABLE_INSIDE in made.ip("gateway", "link show")
