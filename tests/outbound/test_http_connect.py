"""CONNECT toward a hop: what it sees of us, what is believed, and what is left for the tunnel."""

import base64
import ipaddress

import pytest

from anongw.address import Endpoint
from anongw.config import Secret
from anongw.errors import Reason
from anongw.outbound.http_connect import HEAD, HttpConnect
from anongw.outbound.isolation import Login
from tests.support.shake import Hop, Outcome, says
from tests.support.shake import play as shake_hands
from tests.support.sockets import Peer

NAME = Endpoint("a.example", 443)
ASKED = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


async def play(
    hop: Hop, target: Endpoint = NAME, login: Login | None = None, header: tuple[bytes, bytes] | None = None
) -> Outcome:
    return await shake_hands(HttpConnect, hop, target=target, login=login, header=header)


@pytest.mark.parametrize(
    ("target", "where"),
    [
        (NAME, b"a.example:443"),
        (Endpoint(ipaddress.ip_address("192.0.2.1"), 80), b"192.0.2.1:80"),
        (Endpoint(ipaddress.ip_address("2001:db8::1"), 80), b"[2001:db8::1]:80"),
    ],
)
async def test_the_whole_of_what_a_hop_sees(target: Endpoint, where: bytes) -> None:
    """No program is named, and nothing else is."""
    asked = b"CONNECT " + where + b" HTTP/1.1\r\nHost: " + where + b"\r\n\r\n"
    assert (await play(says((asked, OK)), target)).reason is None


async def test_credentials_and_a_token() -> None:
    coded = base64.b64encode("ä:p:ß".encode())
    asked = ASKED[:-2] + b"Proxy-Authorization: Basic " + coded + b"\r\nTor-Stream-Isolation: t\r\n\r\n"
    login = Login("ä", Secret("p:ß"))
    assert (await play(says((asked, OK)), login=login, header=(b"Tor-Stream-Isolation", b"t"))).reason is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nProxy-agent: x\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
@pytest.mark.parametrize("bytewise", [True, False])
async def test_nothing_that_comes_after_the_head_is_lost(answer: bytes, *, bytewise: bool) -> None:
    """RFC 9110 §9.3.6: whatever a 2xx says of a body, none follows."""
    banner = b"SSH-2.0-banner\r\n"

    async def hop(peer: Peer) -> None:
        assert await peer.exactly(len(ASKED)) == ASKED
        whole = answer + banner
        for piece in [whole[at : at + 1] for at in range(len(answer))] + [banner] if bytewise else [whole]:
            await peer.send(piece)

    outcome = await play(hop)
    assert outcome.reason is None
    assert outcome.early in ((b"", banner) if bytewise else (banner,))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.HOP_AUTH),
        (407, Reason.HOP_AUTH),
        (403, Reason.HOP_REFUSED),
        (405, Reason.HOP_REFUSED),
        (501, Reason.HOP_REFUSED),
        (404, Reason.HOST_UNREACHABLE),
        (500, Reason.HOST_UNREACHABLE),
        (502, Reason.HOST_UNREACHABLE),
        (503, Reason.HOST_UNREACHABLE),
        (504, Reason.CONNECT_TIMEOUT),
        (302, Reason.HOP_REFUSED),
        (429, Reason.HOP_REFUSED),
    ],
)
async def test_what_a_hop_says_of_the_target(status: int, reason: Reason) -> None:
    answer = b"HTTP/1.1 %d No\r\nContent-Length: 4\r\n\r\nbody" % status
    assert (await play(says((ASKED, answer)))).reason is reason


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"\x05\x00\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD.size,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (HEAD.lines + 1) + b"\r\n",
    ],
)
async def test_garbage_is_no_answer(answer: bytes) -> None:
    assert (await play(says((ASKED, answer)))).reason is Reason.UPSTREAM_MALFORMED


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n"])
async def test_an_end_in_the_middle(said: bytes) -> None:
    assert (await play(says((ASKED, said), then_close=True))).reason is Reason.UPSTREAM_CLOSED
