"""SOCKS toward a hop: what is said, in which order, what is believed, and what is left for the tunnel.

The traps of python-socks that
would leak or lose something are pinned here.
"""

import functools
import ipaddress
from contextlib import suppress

import anyio
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from anongw.address import Endpoint
from anongw.config import Secret
from anongw.errors import Reason
from anongw.outbound.isolation import Login
from anongw.outbound.socks import Socks4, Socks5
from tests.support.shake import Hop, Outcome, says
from tests.support.shake import play as shake_hands
from tests.support.sockets import Peer

NAME = Endpoint("a.example", 443)
V4 = Endpoint(ipaddress.ip_address("192.0.2.1"), 80)
V6 = Endpoint(ipaddress.ip_address("2001:db8::1"), 80)
LOGIN = Login("alice", Secret("wonder"))
GRANTED = b"\x05\x00\x00\x01\0\0\0\0\0\0"


async def play(
    shake: type[Socks5 | Socks4], hop: Hop, target: Endpoint = NAME, login: Login | None = None
) -> Outcome:
    return await shake_hands(shake, hop, target=target, login=login)


def request(target: Endpoint) -> bytes:
    host, port = target.host, target.port.to_bytes(2)
    if isinstance(host, str):
        return b"\x05\x01\x00\x03" + bytes((len(host),)) + host.encode() + port
    return b"\x05\x01\x00" + (b"\x01" if host.version == 4 else b"\x04") + host.packed + port


NO_LOGIN = (b"\x05\x01\x00", b"\x05\x00")
LOGGED_IN = (b"\x05\x01\x02", b"\x05\x02"), (b"\x01\x05alice\x06wonder", b"\x01\x00")


@pytest.mark.parametrize("target", [NAME, V4, V6])
async def test_a_target_goes_as_what_it_is(target: Endpoint) -> None:
    outcome = await play(Socks5, says(NO_LOGIN, (request(target), GRANTED)), target=target)
    assert outcome.reason is None


async def test_credentials_are_demanded_and_not_offered() -> None:
    """With method 0 beside it a hop could take us in as anybody."""
    outcome = await play(Socks5, says(*LOGGED_IN, (request(NAME), GRANTED)), login=LOGIN)
    assert outcome.reason is None


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (b"\x05\x00", Reason.HOP_AUTH),  # it would let us in without asking who we are
        (b"\x05\xff", Reason.HOP_AUTH),
        (b"\x05\x01", Reason.HOP_AUTH),  # GSSAPI
        (b"\x05\x77", Reason.HOP_AUTH),
        (b"\x04\x02", Reason.HOP_MALFORMED),
        (b"HT", Reason.HOP_MALFORMED),
    ],
)
async def test_any_other_choice_of_method_is_no_way_in(choice: bytes, reason: Reason) -> None:
    outcome = await play(Socks5, says((b"\x05\x01\x02", choice)), login=LOGIN)
    assert outcome.reason is reason


@pytest.mark.parametrize("choice", [b"\x05\x02", b"\x05\xff"])
async def test_a_hop_that_wants_credentials_which_we_have_not(choice: bytes) -> None:
    assert (await play(Socks5, says((b"\x05\x01\x00", choice)))).reason is Reason.HOP_AUTH


@pytest.mark.parametrize("answer", [b"\x01\x01", b"\x01\xff", b"\x05\x00"])
async def test_a_login_that_is_not_granted(answer: bytes) -> None:
    hop = says((b"\x05\x01\x02", b"\x05\x02"), (b"\x01\x05alice\x06wonder", answer))
    assert (await play(Socks5, hop, login=LOGIN)).reason is Reason.HOP_AUTH


async def test_a_login_in_any_script() -> None:
    user, password = "алиса", "pa ß"
    sent = b"\x01" + bytes((10,)) + user.encode() + bytes((5,)) + password.encode()
    hop = says((b"\x05\x01\x02", b"\x05\x02"), (sent, b"\x01\x00"), (request(NAME), GRANTED))
    assert (await play(Socks5, hop, login=Login(user, Secret(password)))).reason is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, Reason.HOST_UNREACHABLE),
        (2, Reason.HOP_REFUSED),
        (3, Reason.NETWORK_UNREACHABLE),
        (4, Reason.HOST_UNREACHABLE),
        (5, Reason.CONNECTION_REFUSED),
        (6, Reason.CONNECT_TIMEOUT),
        (7, Reason.HOP_REFUSED),
        (8, Reason.HOP_REFUSED),
        (9, Reason.HOP_MALFORMED),
        (0xF0, Reason.HOST_UNREACHABLE),
        (0xF7, Reason.HOST_UNREACHABLE),
        (0xFF, Reason.HOP_MALFORMED),
    ],
)
async def test_what_a_hop_says_of_the_target(code: int, reason: Reason) -> None:
    refusal = bytes((5, code, 0, 1)) + bytes(6)
    assert (await play(Socks5, says(NO_LOGIN, (request(NAME), refusal)))).reason is reason


async def test_a_refusal_that_ends_after_its_code_is_understood() -> None:
    assert (
        await play(Socks5, says(NO_LOGIN, (request(NAME), b"\x05\x05")))
    ).reason is Reason.CONNECTION_REFUSED


@pytest.mark.parametrize(
    "bound",
    [
        b"\x01" + bytes(6),
        b"\x04" + bytes(18),
        b"\x03\x09localhost\x00\x50",
        b"\x03\x00\x00\x00",
        b"\x03\xff" + b"x" * 255 + b"\x00\x50",
    ],
)
@pytest.mark.parametrize("bytewise", [True, False])
async def test_nothing_that_comes_after_the_reply_is_lost(bound: bytes, *, bytewise: bool) -> None:
    reply = b"\x05\x00\x00" + bound
    banner = b"SSH-2.0-banner\r\n"

    async def hop(peer: Peer) -> None:
        await says(NO_LOGIN, request(NAME))(peer)
        whole = reply + banner
        pieces = [whole[at : at + 1] for at in range(len(reply))] + [banner] if bytewise else [whole]
        for piece in pieces:
            await peer.send(piece)

    outcome = await play(Socks5, hop)
    assert outcome.reason is None
    # In the reader or still in the kernel: in any case not taken for a part of the reply.
    assert outcome.early in (b"", banner)
    if not bytewise:
        assert outcome.early == banner


@pytest.mark.parametrize(
    "exchanges",
    [
        (b"\x05\x01\x00",),
        ((b"\x05\x01\x00", b"\x05"),),
        (NO_LOGIN, request(NAME)),
        (NO_LOGIN, (request(NAME), b"\x05\x00\x00\x01\0\0")),
        (NO_LOGIN, (request(NAME), b"\x05\x00\x00\x03")),
    ],
)
async def test_an_end_in_the_middle(exchanges: tuple[bytes, ...]) -> None:
    assert (await play(Socks5, says(*exchanges, then_close=True))).reason is Reason.UPSTREAM_CLOSED


# SOCKS4

GRANTED_4 = b"\x00\x5a" + bytes(6)


@pytest.mark.parametrize(
    ("target", "login", "sent"),
    [
        (NAME, None, b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00a.example\x00"),
        (NAME, Login("bob", Secret("")), b"\x04\x01\x01\xbb\x00\x00\x00\x01bob\x00a.example\x00"),
        (V4, None, b"\x04\x01\x00\x50\xc0\x00\x02\x01\x00"),
    ],
)
async def test_socks4_sends_a_name_as_a_name(target: Endpoint, login: Login | None, sent: bytes) -> None:
    banner = b"220 hello\r\n"
    outcome = await play(Socks4, says((sent, GRANTED_4 + banner)), target=target, login=login)
    assert (outcome.reason, outcome.early) == (None, banner)


async def test_socks4_has_no_ipv6_and_says_nothing() -> None:
    """python-socks would send the address as a name."""

    async def hop(peer: Peer) -> None:
        assert await peer.rest() == b""

    assert (await play(Socks4, hop, target=V6)).reason is Reason.UNSUPPORTED_ADDRESS


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"\x00\x5b" + bytes(6), Reason.HOST_UNREACHABLE),
        (b"\x00\x5c" + bytes(6), Reason.HOP_AUTH),
        (b"\x00\x5d" + bytes(6), Reason.HOP_AUTH),
        (b"\x00\x5f" + bytes(6), Reason.HOP_MALFORMED),
        (b"\x04\x5a" + bytes(6), Reason.HOP_MALFORMED),
        (b"HTTP/1.1", Reason.HOP_MALFORMED),
    ],
)
async def test_what_socks4_says_of_the_target(reply: bytes, reason: Reason) -> None:
    sent = b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00a.example\x00"
    assert (await play(Socks4, says((sent, reply)))).reason is reason


# Any hop at all

FIELD = st.integers(0, 255)
# Field by field, each mostly as it should be, so that most of them get far.
CHOICE = st.tuples(st.sampled_from([5, 5, 5, 4, 0]), st.sampled_from([0, 0, 0, 2, 255, 7])).map(bytes)
BOUND = st.one_of(
    st.binary(min_size=6, max_size=6).map(lambda rest: b"\x01" + rest),
    st.binary(min_size=18, max_size=18).map(lambda rest: b"\x04" + rest),
    st.binary(max_size=40).map(lambda name: b"\x03" + bytes((len(name),)) + name + b"\x00\x50"),
    st.binary(max_size=20),
)
REPLY = st.builds(
    lambda version, code, reserved, bound: bytes((version, code, reserved)) + bound,
    st.sampled_from([5, 5, 5, 5, 4]),
    st.sampled_from([0, 0, 0, 0, 1, 5, 8, 9, 0xF1, 255]),
    st.sampled_from([0, 0, 0, 1]),
    BOUND,
)


def test_whatever_a_hop_says_is_a_connection_or_a_refusal() -> None:
    """No other exception, no wait for what does not come, and every outcome was seen."""
    seen: set[Reason | None] = set()

    # What is drawn depends on which modules are loaded, so these outcomes are not left to chance.
    @example(choice=b"\x05\x00", reply=GRANTED, cut=1, after=b"")
    @example(choice=b"\x05\x00", reply=GRANTED, cut=5, after=b"")
    @example(choice=b"\x05\xff", reply=GRANTED, cut=5, after=b"")
    @example(choice=b"\x05\x00", reply=b"\x04" + GRANTED[1:], cut=5, after=b"")
    @given(choice=CHOICE, reply=REPLY, cut=st.integers(0, 30), after=st.binary(max_size=20))
    def drive(choice: bytes, reply: bytes, cut: int, after: bytes) -> None:
        said = (reply + after)[: len(reply + after) - (cut if cut < 5 else 0)]

        async def hop(peer: Peer) -> None:
            await peer.exactly(3)
            await peer.send(choice)
            await peer.send(said)
            peer.last()
            with suppress(ConnectionError):  # we may be gone by now
                await peer.rest()

        outcome = anyio.run(functools.partial(play, Socks5, hop))
        seen.add(outcome.reason)
        event(str(outcome.reason))

    drive()
    assert {None, Reason.HOP_MALFORMED, Reason.HOP_AUTH, Reason.UPSTREAM_CLOSED} <= seen
