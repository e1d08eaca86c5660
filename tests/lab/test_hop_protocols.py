"""The fake hop alone: it fails and ends as it is told to, and as whoever it talks to does."""

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from anongw.lab.hop_script import Cut, Fault, Manner, Phase
from anongw.lab.hop_wire import Wire
from tests.support import asks, outside
from tests.support.asks import CONNECT, SOCKS4, SOCKS5, TUNNELS, Way
from tests.support.fake_hop import FakeHop, Scheme, certified
from tests.support.hop_client import (
    CA,
    HOP_NAME,
    NAME,
    SMALL,
    client,
    heard_to_the_last,
    last,
    login,
    narrow,
    nothing_is_left,
    reached,
    secured,
    tls,
)
from tests.support.outside import Origin, listening
from tests.support.raw_origin import Line
from tests.support.sockets import pair
from tests.support.upstreams import PASSWORD, USER

PROTOCOLS: dict[str, Scheme] = {"socks5": "socks5", "socks4": "socks4", "connect": "http"}
BY_WAY = pytest.mark.parametrize("way", TUNNELS, ids=[way.name for way in TUNNELS])
PLAIN_OR_TLS = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
BULK = 4 << 20


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    with nothing_is_left():
        yield


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin(listening("127.0.0.9")) as one:
        yield one


ASK = login(USER, PASSWORD)
RIGHT = {
    Phase.ACCEPT: b"",
    Phase.METHOD: b"\x05\x02",
    Phase.LOGIN: b"\x01\x00",
    Phase.REPLY: asks.socks5_reply(0),
}
PHASES = pytest.mark.parametrize("phase", Phase)


def before(phase: Phase) -> bytes:
    """What a client has heard when it comes to it."""
    said = list(RIGHT.values())
    return b"".join(said[: list(RIGHT).index(phase)])


@PHASES
@pytest.mark.parametrize("manner", [Manner.HALF, Manner.CLOSE])
def test_a_hop_that_closes(manner: Manner, phase: Phase, origin: Origin) -> None:
    with FakeHop(names=reached(origin), fault=Fault(phase, manner)) as hop, client(hop) as line:
        line.send(ASK)
        half = RIGHT[phase][: len(RIGHT[phase]) // 2] if manner is Manner.HALF else b""
        assert line.rest() == before(phase) + half
        hop.until(lambda: hop.seen[0].ended == "fault")
        assert origin.heard == []


@PHASES
def test_a_hop_that_resets(phase: Phase, origin: Origin) -> None:
    with FakeHop(names=reached(origin), fault=Fault(phase, Manner.RESET)) as hop, client(hop) as line:
        if phase is not Phase.ACCEPT:  # a reset might be there first
            line.send(ASK)
        assert line.rest_until_reset() == before(phase)
        assert origin.heard == []


@PHASES
def test_a_hop_that_hangs(phase: Phase, origin: Origin) -> None:
    """Until its client gives up."""
    with FakeHop(names=reached(origin), fault=Fault(phase, Manner.HANG, says=b"\x05")) as hop:
        with client(hop) as line:
            line.send(ASK)
            assert line.exactly(len(before(phase)) + 1) == before(phase) + b"\x05"
            assert line.silent()
            assert hop.live == 1
        hop.until(lambda: hop.live == 0)


def test_the_end_of_the_block_ends_a_hang() -> None:
    with client_of_a_hop_that_ends(Fault(Phase.ACCEPT, Manner.HANG)) as line:
        assert line.rest() == b""


@contextmanager
def client_of_a_hop_that_ends(fault: Fault | None) -> Iterator[Line]:
    """Connected, and then its hop's block is left."""
    with FakeHop(fault=fault) as hop:
        line = Line(asks.dial(hop.place))
        hop.until(lambda: len(hop.seen) == 1)
    with line:
        yield line


@BY_WAY
def test_bytewise(way: Way, origin: Origin) -> None:
    fault = Fault(Phase.REPLY, Manner.BYTEWISE)
    hop = FakeHop(PROTOCOLS[way.name], names=reached(origin), fault=fault, tls=certified(CA, HOP_NAME))
    with hop, client(hop, secure=True) as line:
        line.send(way.ask(NAME, 80))
        if way is SOCKS5:
            assert line.exactly(2) == asks.SOCKS5_NONE_CHOSEN
        reply = way.granted[-8:] if way is SOCKS4 else way.granted.removeprefix(asks.SOCKS5_NONE_CHOSEN)
        # TLS keeps pieces apart, which TCP need not.
        assert [line.sock.recv(4096) for _ in reply] == [bytes((byte,)) for byte in reply]
        line.send(b"ping")
        assert line.exactly(4) == b"ping"


@pytest.mark.parametrize("code", range(1, 9))
def test_every_reply_code(code: int, origin: Origin) -> None:
    fault = Fault(Phase.REPLY, says=asks.socks5_reply(code))
    with FakeHop(names=reached(origin), fault=fault) as hop:
        assert asks.exchange(hop.place, SOCKS5.ask(NAME, 80)) == b"\x05\x00" + asks.socks5_reply(code)
        assert origin.heard == [], "nobody is asked in vain"


@pytest.mark.parametrize("status", [100, 301, 403, 407, 502])
def test_every_status(status: int, origin: Origin) -> None:
    said = b"HTTP/1.1 %d Whatever\r\nContent-Length: 2\r\n\r\nno" % status
    with FakeHop("http", names=reached(origin), fault=Fault(Phase.REPLY, says=said)) as hop:
        assert asks.exchange(hop.place, CONNECT.ask(NAME, 80)) == said
        assert origin.heard == []


@pytest.mark.parametrize("method", [0x00, 0x01, 0x80, 0xFF])
def test_a_method_that_was_not_on_offer(method: int, origin: Origin) -> None:
    """After 0 it goes on without a login; after all else it has no more to say."""
    fault = Fault(Phase.METHOD, says=bytes((5, method)))
    with FakeHop(names=reached(origin), fault=fault) as hop, client(hop) as line:
        line.send(asks.socks5_login(USER.encode(), PASSWORD.encode())[:3])
        assert line.exactly(2) == bytes((5, method))
        if method:
            assert line.rest() == b""
        else:
            line.send(asks.socks5_request(NAME, 80))
            assert line.exactly(10) == asks.socks5_reply(0)
        assert hop.seen[0].methods == b"\x02"


def test_a_login_that_is_rejected(origin: Origin) -> None:
    with FakeHop(names=reached(origin), fault=Fault(Phase.LOGIN, says=b"\x01\xff")) as hop:
        assert asks.exchange(hop.place, ASK) == b"\x05\x02\x01\xff"


@pytest.mark.parametrize(
    "bound",
    [b"\x04" + bytes(15) + b"\x01\x00\x50", b"\x03\x0ehop.example.org\x00\x50"[:19]],
    ids=["ipv6", "name"],
)
def test_bound_addresses(bound: bytes, origin: Origin) -> None:
    fault = Fault(Phase.REPLY, says=b"\x05\x00\x00" + bound)
    with FakeHop(names=reached(origin), fault=fault) as hop, client(hop) as line:
        line.send(SOCKS5.ask(NAME, 80) + b"ping")
        assert line.exactly(2 + 3 + len(bound) + 4) == b"\x05\x00\x05\x00\x00" + bound + b"ping"


def test_garbage_before_tls(origin: Origin) -> None:
    fault = Fault(Phase.ACCEPT, says=b"SSH-2.0-hop\r\n")
    with FakeHop(tls=certified(CA, HOP_NAME), fault=fault) as hop, asks.dial(hop.place) as sock:
        with pytest.raises(ssl.SSLError):
            secured(sock)
        hop.until(lambda: hop.seen[0].ended == "left")


def test_early_data_comes_in_one_segment(origin: Origin) -> None:
    with FakeHop("http", names=reached(origin), early=b"SSH-2.0-x\r\n") as hop, client(hop) as line:
        line.send(CONNECT.ask(NAME, 80))
        assert line.sock.recv(4096) == CONNECT.granted + b"SSH-2.0-x\r\n"
        line.send(b"ping")
        assert line.exactly(4) == b"ping"


def test_a_fault_may_come_and_go(origin: Origin) -> None:
    with FakeHop(names=reached(origin), fault=Fault(Phase.REPLY, Manner.CLOSE)) as hop:
        assert asks.exchange(hop.place, SOCKS5.ask(NAME, 80)) == b"\x05\x00"
        hop.fault = None
        asks.served(hop.place, NAME, 80)


# Ends


@pytest.mark.parametrize("after", [0, 1, 1000])
@pytest.mark.parametrize("manner", [Manner.CLOSE, Manner.RESET])
def test_it_dies_in_a_relay(manner: Manner, after: int, origin: Origin) -> None:
    with FakeHop(names=reached(origin), cut=Cut(after, manner)) as hop, client(hop) as line:
        line.send(SOCKS5.ask(NAME, 80))
        assert line.exactly(len(SOCKS5.granted)) == SOCKS5.granted
        if after:
            line.send(outside.flood(5000))
        heard = line.rest() if manner is Manner.CLOSE else line.rest_until_reset()
        assert heard == outside.flooded(5000)[:after]
        hop.until(lambda: hop.seen[0].ended == "broken")


def test_it_dies_in_an_upload(origin: Origin) -> None:
    cut = Cut(100, Manner.RESET, upwards=True)
    with FakeHop(names=reached(origin), cut=cut) as hop, client(hop) as line:
        line.send(SOCKS5.ask(NAME, 80) + bytes(500))
        line.rest_until_reset()
        hop.until(lambda: hop.live == 0)
        assert len(hop.seen[0].carried) == 500


def test_an_end_is_a_fin_even_where_bytes_are_unread() -> None:
    near, far = pair()
    with near, far:
        far.send(b"unread")
        Wire(near).end(Manner.CLOSE)
        assert far.recv(1) == b""
        assert far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, "no reset has come"
        far.send(b"later")
        assert far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EPIPE, "as after any end"


def test_tls_that_is_cut_off_says_nothing_of_an_end(origin: Origin) -> None:
    hop = FakeHop(names=reached(origin), cut=Cut(4, Manner.CLOSE), tls=certified(CA, HOP_NAME))
    with hop, client(hop, secure=True) as line:
        line.send(SOCKS5.ask(NAME, 80) + b"ping")
        assert line.exactly(len(SOCKS5.granted) + 4).endswith(b"ping")
        with pytest.raises(ssl.SSLError, match=r"(?i)eof"):
            line.sock.recv(1)


@PLAIN_OR_TLS
def test_what_comes_before_a_cut_is_whole(origin: Origin, *, secure: bool) -> None:
    hop = FakeHop(
        names=reached(origin), cut=Cut(BULK // 2, Manner.CLOSE), tls=tls(secure=secure), listener=narrow()
    )
    with hop, client(hop, secure=secure, buffer=SMALL) as line:
        line.send(SOCKS5.ask(NAME, 80) + outside.flood(BULK))
        count = len(SOCKS5.granted) + BULK // 2
        assert len(line.exactly(count)) == count
        with suppress(ssl.SSLError):
            assert line.sock.recv(1) == b""


@PLAIN_OR_TLS
def test_a_last_is_passed_on_and_the_rest_still_comes(*, secure: bool) -> None:
    """First the target's, while the client goes on; then the client's."""
    with listening("127.0.0.9") as listener:
        names = {NAME: listener.getsockname()}
        with FakeHop(names=names, tls=tls(secure=secure)) as hop, client(hop, secure=secure) as line:
            line.send(SOCKS5.ask(NAME, 80))
            with Line(listener.accept()[0]) as target:
                assert line.exactly(len(SOCKS5.granted)) == SOCKS5.granted
                target.send(b"all")
                target.last()
                assert line.rest() == b"all"
                line.send(b"more")
                assert target.exactly(4) == b"more"
                if isinstance(line.sock, ssl.SSLSocket):
                    line.sock.unwrap()
                else:
                    line.last()
                assert target.rest() == b""
            hop.until(lambda: hop.seen[0].ended == "whole")


@PLAIN_OR_TLS
def test_the_clients_last_comes_first(*, secure: bool) -> None:
    with listening("127.0.0.9") as listener:
        names = {NAME: listener.getsockname()}
        with FakeHop(names=names, tls=tls(secure=secure)) as hop, client(hop, secure=secure) as line:
            line.send(SOCKS5.ask(NAME, 80))
            with Line(listener.accept()[0]) as target:
                assert line.exactly(len(SOCKS5.granted)) == SOCKS5.granted
                last(line)
                assert target.rest() == b""
                target.send(b"late")
                target.last()
                assert heard_to_the_last(line) == b"late"
            hop.until(lambda: hop.seen[0].ended == "whole")


def test_a_reset_is_passed_on(origin: Origin) -> None:
    with listening("127.0.0.9") as listener, FakeHop(names={NAME: listener.getsockname()}) as hop:
        for breaks in ("target", "client"):
            with client(hop) as line:
                line.send(SOCKS5.ask(NAME, 80))
                with Line(listener.accept()[0]) as target:
                    assert line.exactly(len(SOCKS5.granted)) == SOCKS5.granted
                    first, other = (target, line) if breaks == "target" else (line, target)
                    first.reset()
                    assert other.rest_until_reset() == b""
