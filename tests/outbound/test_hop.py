"""One hop, from a connection to its log-in: each scheme's own order, and TLS before anything else."""

import socket
from pathlib import Path

import pytest
import trustme

from anongw.config import Member
from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.hop import enter
from anongw.outbound.isolation import Isolation
from tests.support.chains import chained, member
from tests.support.fake_hop import FakeHop, certified


async def entered(one: FakeHop, wanted: Member) -> Reason | None:
    """Connect and enter, and go no further; why that was refused."""
    outcome: list[Reason | None] = []

    async def carry(fiber: Fiber, _client: Stream) -> None:
        sock = socket.socket()
        sock.connect(one.place)
        sock.settimeout(0)
        fiber.within(10, Reason.HOP_TIMEOUT)
        stream = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
        try:
            await enter(fiber, stream, wanted, Isolation(bytes(32)), "user alice")
        except Refused as refused:
            outcome.append(refused.reason)
        else:
            outcome.append(None)

    async with chained(one) as engine:
        await engine.flow(carry).over()
    return outcome[0]


async def test_socks5_logs_in_and_names_no_target() -> None:
    with FakeHop("socks5", users={"alice": "pw"}) as one:
        assert await entered(one, member(one)) is None
        assert bytes(one.seen[0].heard) == b"\x05\x01\x02\x01\x05alice\x02pw"


@pytest.mark.parametrize("protocol", ["socks4", "http"])
async def test_the_others_have_nothing_to_say_before_the_target(protocol: str) -> None:
    with FakeHop(protocol) as one:  # type: ignore[arg-type]
        assert await entered(one, member(one)) is None
        assert one.everything == b""


@pytest.fixture
def ca(tmp_path: Path) -> tuple[trustme.CA, str]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca, str(tmp_path / "ca.pem")


async def test_a_certificate_that_its_ca_vouches_for(ca: tuple[trustme.CA, str]) -> None:
    with FakeHop("http", tls=certified(ca[0], "127.0.0.1")) as one:
        assert await entered(one, member(one, ca_file=ca[1])) is None
        # An address is no server name (RFC 6066 §3).
        assert one.seen[0].server_name is None


async def test_a_certificate_for_another_name(ca: tuple[trustme.CA, str]) -> None:
    with FakeHop("http", tls=certified(ca[0], "hop.example")) as one:
        assert await entered(one, member(one, ca_file=ca[1])) is Reason.HOP_TLS
        assert await entered(one, member(one, ca_file=ca[1], server_name="hop.example")) is None
        assert one.seen[1].server_name == "hop.example"


async def test_a_certificate_that_nobody_vouches_for(ca: tuple[trustme.CA, str]) -> None:
    with FakeHop("http", tls=certified(trustme.CA(), "127.0.0.1")) as one:
        assert await entered(one, member(one, ca_file=ca[1])) is Reason.HOP_TLS
        assert await entered(one, member(one)) is Reason.HOP_TLS
        assert one.everything.strip() == b""
