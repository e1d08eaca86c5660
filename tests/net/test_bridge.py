"""Each rule of `net/bridge.py`, on real sockets, against OpenSSL as a server."""

import os
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from hypothesis import example, given, settings

from anongw.errors import Reason, Refused
from anongw.net.bridge import BUDGET, Bridge, secure
from anongw.net.fiber import Delegate, Fiber
from anongw.net.pipes import Pipes
from anongw.net.relay import Relay
from anongw.net.stream import CHUNK, Stream
from anongw.net.tls import hop_context
from anongw.net.tls_client import RECORD_MOST, TlsClient
from tests.support.backends import Backend, run_on
from tests.support.bridge_script import play
from tests.support.bridged import Bridged, bridged
from tests.support.driven import driven
from tests.support.libssl import levered
from tests.support.sockets import Kind, Peer
from tests.support.tls_peer import (
    NAME,
    VERSIONS,
    TlsPeer,
    certificate,
    expired,
    pin_of,
    serving,
    trusting,
)
from tests.support.tunnel import SMALL, stall
from tests.support.tunnel_script import SCRIPTS, Script

V2, V3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BULK = bytes(range(251)) * 40_000  # 10 MB


# Shaking hands


async def shake_hands_and_hear(hop: TlsPeer) -> bytes:
    await hop.shake_hands()
    return await hop.receive()


@VERSIONS
@pytest.mark.parametrize(
    ("leaf", "name", "pin"),
    [
        (certificate(), "other.example", b""),
        (trustme.CA().issue_cert(NAME), NAME, b""),
        (expired(), NAME, b""),
        (certificate(), NAME, bytes(32)),
        (certificate(), "other.example", pin_of(certificate())),
    ],
    ids=["name", "authority", "expired", "pin", "name and pin"],
)
async def test_a_hop_that_is_not_who_it_must_be_hears_nothing(
    version: ssl.TLSVersion, leaf: trustme.LeafCert, name: str, pin: bytes
) -> None:
    async with driven() as engine:
        flow = Bridged(engine, name=name, pin=pin)
        await flow.client.send(b"secret")
        hop = TlsPeer.over(flow.wire, serving(version, leaf))
        with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
            await shake_hands_and_hear(hop)
        assert await flow.over() is Reason.HOP_TLS
        assert flow.far.closed


@VERSIONS
async def test_an_alert_tells_the_hop_why(version: ssl.TLSVersion) -> None:
    async with driven() as engine:
        flow = Bridged(engine, name="other.example")
        with pytest.raises(ssl.SSLError, match="ALERT_BAD_CERTIFICATE"):
            await shake_hands_and_hear(TlsPeer.over(flow.wire, serving(version)))


async def test_a_flow_that_goes_on_after_a_failure_owns_nothing_of_it() -> None:
    owned: list[Stream] = []

    async with driven() as engine:
        sock, peer = engine.pair()

        async def carry(fiber: Fiber, client: Stream) -> None:
            far = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            with pytest.raises(Refused):
                await secure(fiber, far, trusting(), NAME)
            assert far.closed
            owned.extend(fiber.streams)
            await client.fill()

        flow = engine.flow(carry)
        await peer.send(b"220 hop.example\r\n")
        await engine.at_rest()
        assert owned == [flow.fiber.client]


@VERSIONS
async def test_with_its_key_pinned_a_hop_needs_no_authority(version: ssl.TLSVersion) -> None:
    leaf = trustme.CA().issue_cert("another.example")
    async with driven() as engine:
        flow = Bridged(engine, context=hop_context("", pinned=True), pin=pin_of(leaf))
        hop = TlsPeer.over(flow.wire, serving(version, leaf))
        await hop.shake_hands()
        await flow.client.send(b"secret")
        assert await hop.exactly(6) == b"secret"


async def test_without_a_pin_a_context_that_verifies_nothing_is_a_bug() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1
        flow = Bridged(engine, context=hop_context("", pinned=True))
        assert await flow.over() is Reason.INTERNAL
        assert await flow.wire.rest() == b""


@pytest.mark.parametrize("said", [b"220 hop.example\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
@pytest.mark.parametrize("early", [True, False])
async def test_a_hop_that_speaks_no_tls(said: bytes, early: bool) -> None:  # noqa: FBT001
    async with driven() as engine:
        flow = Bridged(engine, early=said if early else b"")
        if not early:
            await flow.wire.send(said)
        assert await flow.over() is Reason.HOP_MALFORMED


@pytest.mark.parametrize("ending", [Peer.last, Peer.close, Peer.reset])
@pytest.mark.parametrize("at", [0, 1, 200])
async def test_a_hop_that_ends_in_the_handshake(ending: Callable[[Peer], None], at: int) -> None:
    async with driven() as engine:
        flow = Bridged(engine)
        hop = TlsPeer.over(flow.wire, serving(V3))
        hello = await flow.wire.receive()
        hop._incoming.write(hello)
        with pytest.raises(ssl.SSLWantReadError):
            hop.session.do_handshake()
        await flow.wire.send(hop.outgoing.read()[:at])
        await engine.at_rest()
        ending(flow.wire)
        assert await flow.over() is Reason.HOP_CLOSED


async def test_a_hop_that_says_nothing_is_given_up_in_time() -> None:
    async with driven() as engine:
        flow = Bridged(engine, within=0.0)
        await flow.wire.receive()
        engine.sweep()
        assert await flow.over() is Reason.HOP_TIMEOUT
        assert await flow.wire.rest() == b""


async def test_a_client_that_leaves_ends_the_handshake() -> None:
    async with driven() as engine:
        flow = Bridged(engine)
        await flow.wire.receive()
        flow.client.reset()
        assert await flow.over() is Reason.CLIENT_GONE


@VERSIONS
async def test_every_byte_of_a_handshake_may_come_alone(version: ssl.TLSVersion) -> None:
    class Trickle(Peer):
        async def send(self, data: bytes) -> None:
            for at in range(len(data)):
                await super().send(data[at : at + 1])
                await engine.at_rest()

    async with driven() as engine:
        flow = Bridged(engine)
        hop = TlsPeer.over(Trickle(flow.wire.sock), serving(version))
        await hop.shake_hands()
        await hop.send(b"hello")
        assert await flow.client.exactly(5) == b"hello"


async def test_what_comes_with_the_end_of_the_handshake_is_not_lost(tmp_path: Path) -> None:
    async with driven() as engine:
        flow = Bridged(engine)
        hop, server = levered(flow.wire, V3, tmp_path)
        with pytest.raises(ssl.SSLWantReadError):
            server.write_early(b"banner")
        hop._incoming.write(await flow.wire.receive())
        server.write_early(b"banner")
        await hop.push()
        assert await flow.client.exactly(6) == b"banner"
        await hop.shake_hands()
        await flow.client.send(b"hello")
        assert await hop.exactly(5) == b"hello"


async def test_in_tls_1_2_too() -> None:
    async with driven() as engine:
        flow = Bridged(engine)
        hop = TlsPeer.over(flow.wire, serving(V2))
        await hop.shake_hands(push=False)
        await hop.send(b"banner")
        assert await flow.client.exactly(6) == b"banner"


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The lowest free number is the first that is refused.
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_descriptor_left_for_a_bridge() -> None:
    async with driven() as engine:
        flow = Bridged(engine)
        hop = TlsPeer.over(flow.wire, serving(V3))
        with no_more_descriptors():
            await hop.shake_hands()
            assert await flow.over() is Reason.RESOURCES


async def test_an_epoll_that_takes_no_more_leaves_nothing_open() -> None:
    # A regular file stands for a full epoll: epoll_ctl(2) fails for both.
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            ours, theirs = socket.socketpair()
            file = os.open(__file__, os.O_RDONLY)
            os.dup2(file, ours.fileno())
            os.close(file)
            stream = fiber.adopt(socket.socket(), Reason.UPSTREAM_CLOSED)
            Bridge(engine, stream, ours, theirs, TlsClient(trusting(), NAME)).start()

        assert await engine.flow(carry).over() is Reason.RESOURCES


# Moving bytes


@VERSIONS
def test_each_side_hears_exactly_what_the_other_said_whatever_both_do(
    version: ssl.TLSVersion, anyio_backend: Backend
) -> None:
    outcomes: Counter[str] = Counter()

    @settings(max_examples=120, deadline=None)
    # What a draw may leave out.
    @example(Script(Kind.TCP, None, 0, (0, 0), [(0, ("send", 100), 2), (0, ("reset", 0), 1)]))
    @example(Script(Kind.TCP, None, 0, (0, 0), [(1, ("send", 100), 2), (1, ("reset", 0), 1)]))
    @given(script=SCRIPTS)
    def run(script: Script) -> None:
        run_on(anyio_backend, play, version, script, outcomes)

    run()
    assert {"both said their last", "cut up", "cut down", "stalled up", "stalled down"} <= set(+outcomes)


@VERSIONS
async def test_bulk_arrives_whole_through_slow_readers_both_ways(version: ssl.TLSVersion) -> None:
    async with bridged(version, buffer=SMALL) as (flow, hop), anyio.create_task_group() as tasks:
        tasks.start_soon(flow.client.send, BULK)
        tasks.start_soon(hop.send, BULK)
        up, down = bytearray(), bytearray()
        while len(up) < len(BULK) or len(down) < len(BULK):
            if len(up) < len(BULK):
                up += await hop.receive(5000)
            if len(down) < len(BULK):
                down += await flow.client.receive(5000)
            assert max(flow.held) <= CHUNK + RECORD_MOST
        assert up == down == BULK


@VERSIONS
async def test_a_hop_that_stops_holds_one_chunk_and_stops_no_other_bridge(
    version: ssl.TLSVersion,
) -> None:
    async with bridged(version, buffer=SMALL) as (flow, hop):
        sent = await stall(flow.engine, flow.client)
        up, down = flow.held
        assert 0 < up <= CHUNK + 1024, "with what TLS adds to each record"
        assert down == 0
        assert await flow.engine.at_rest() == 0, "nobody spins"
        other = Bridged(flow.engine)
        another = TlsPeer.over(other.wire, serving(version))
        await another.shake_hands()
        await other.client.send(b"ping")
        assert await another.exactly(4) == b"ping"
        await hop.send(b"back")
        assert await flow.client.exactly(4) == b"back", "the other direction lives too"
        assert await hop.exactly(sent) == bytes(sent)


@VERSIONS
async def test_a_near_side_that_stops_holds_one_chunk(version: ssl.TLSVersion) -> None:
    async with bridged(version, buffer=SMALL) as (flow, hop), anyio.create_task_group() as tasks:
        tasks.start_soon(hop.send, BULK)
        while not flow.held[1]:
            await flow.engine.next_turn()
        await flow.engine.at_rest()
        assert flow.held[1] <= CHUNK + RECORD_MOST
        assert await flow.engine.at_rest() == 0, "nobody spins"
        await flow.client.send(b"ping")
        assert await hop.exactly(4) == b"ping", "the other direction lives too"
        assert await flow.client.exactly(len(BULK)) == BULK


async def test_what_is_under_way_counts_as_unsent() -> None:
    async with bridged(buffer=SMALL) as (flow, hop):
        sent = await stall(flow.engine, flow.client)
        near = flow.near
        assert near.unsent() > sum(flow.held) + Stream.unsent(near)
        await hop.exactly(sent)
        while near.unsent():
            await flow.engine.at_rest()


class Noting:
    """Owns a bridge's side, and notes what each wake-up of it moves."""

    def __init__(self, bridge: Bridge, far: Stream) -> None:
        self.up: list[int] = []
        self.down: list[int] = []
        self._bridge = bridge
        self._far = far
        far.owner = bridge._inner.owner = self

    def ready(self, stream: Stream, events: int) -> None:
        before = self._far.sent, self._far.received
        self._bridge.ready(stream, events)
        self.up.append(self._far.sent - before[0])
        self.down.append(self._far.received - before[1])


async def test_a_wake_up_moves_no_more_than_its_budget() -> None:
    async with bridged() as (flow, hop):
        noting = Noting(flow.bridge, flow.far)
        # As much room as a system may give, so that only the budget stops it.
        for sock in (flow.bridge._inner.sock, flow.near.sock, flow.far.sock):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, 2**24)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flow.client.send, BULK)
            assert await hop.exactly(len(BULK)) == BULK
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hop.send, BULK)
            assert await flow.client.exactly(len(BULK)) == BULK
    assert CHUNK < max(noting.up) <= BUDGET + 1024
    assert CHUNK < max(noting.down) <= BUDGET


async def test_an_idle_bridge_takes_no_turns() -> None:
    async with bridged() as (flow, _):
        assert await flow.engine.at_rest() == 0


# What TLS says by itself


async def test_key_updates_pass_unnoticed(tmp_path: Path) -> None:
    async with driven() as engine:
        flow = Bridged(engine)
        hop, server = levered(flow.wire, V3, tmp_path)
        await hop.shake_hands()
        for _ in range(10):
            server.update_keys()
            await hop.send(b"ping")
            assert await flow.client.exactly(4) == b"ping"
            await flow.client.send(b"pong")
            assert await hop.exactly(4) == b"pong"
        flow.client.last()
        assert await hop.rest() == b""
        server.update_keys()
        await hop.send(b"late")
        assert await flow.client.exactly(4) == b"late"


async def test_what_is_said_in_the_middle_of_a_ticket_leaves_after_it(tmp_path: Path) -> None:
    async with driven() as engine:
        flow = Bridged(engine)
        hop, server = levered(flow.wire, V3, tmp_path)
        await hop.shake_hands()
        server.give_a_ticket(2000, most_a_record=512)
        ticket = hop.outgoing.read()
        await flow.wire.send(ticket[:700])
        await engine.at_rest()
        await flow.client.send(b"hello")
        await engine.at_rest()
        assert flow.held == (5, 0)
        assert await engine.at_rest() == 0
        await flow.client.send(b", hop")
        await engine.at_rest()
        await flow.wire.send(ticket[700:])
        assert await hop.exactly(10) == b"hello, hop"


@pytest.mark.parametrize("listens", [True, False])
async def test_a_hop_that_asks_and_does_not_listen_is_not_heard(
    tmp_path: Path,
    listens: bool,  # noqa: FBT001
) -> None:
    async with driven() as engine:
        flow = Bridged(engine, buffer=SMALL)
        hop, server = levered(flow.wire, V2, tmp_path)
        await hop.shake_hands()
        await engine.at_rest()
        await stall(engine, flow.client)
        before = flow.held[0]
        asked = 0
        while flow.bridge._hears:
            server.ask_for_another_handshake()
            await hop.push()
            asked += 1
            if asked % 100 == 0:
                await engine.at_rest()
        answers = flow.held[0] - before
        assert CHUNK < answers < 2 * CHUNK, "one read more, at most"
        assert await engine.at_rest() == 0
        if not listens:
            flow.wire.reset()
            assert await flow.over() is Reason.UPSTREAM_CLOSED
            return
        await hop.send(b"hello")
        while not flow.bridge._hears:
            await flow.wire.receive()
            await engine.at_rest()
        assert await flow.client.exactly(5) == b"hello", "once it listens it is heard"


# Who has it


async def test_a_near_side_outlives_the_flow_that_made_it() -> None:
    kept: list[Stream] = []

    async def give_up(fiber: Fiber, _client: Stream, near: Stream) -> None:
        fiber.give_up(near)
        near.owner = Nobody()
        kept.append(near)

    async def take(fiber: Fiber, client: Stream) -> Relay:
        fiber.take(kept[0])
        return Relay(client, kept[0], idle=3600.0, pipes=Pipes(0))

    async with bridged(use=give_up) as (flow, hop):
        assert await flow.over() is None
        await hop.send(b"kept ")
        second = flow.engine.flow(take)
        await hop.send(b"alive")
        assert await second.peer.exactly(10) == b"kept alive"
        await second.peer.send(b"hello")
        assert await hop.exactly(5) == b"hello"


class Nobody:
    def ready(self, stream: Stream, events: int) -> None: ...


async def test_a_bug_ends_the_bridge_and_is_told_once() -> None:
    async with bridged() as (flow, hop):
        flow.engine.expected_bugs = 1
        del flow.bridge._client
        await hop.send(b"hello")
        assert await flow.over() is Reason.UPSTREAM_CLOSED
        assert flow.near.cut
        await flow.engine.at_rest()
        assert await flow.engine.at_rest() == 0, "nobody spins"


@VERSIONS
async def test_tls_in_tls(version: ssl.TLSVersion) -> None:
    async def again(fiber: Fiber, client: Stream, near: Stream) -> Delegate:
        second = await secure(fiber, near, trusting(), NAME)
        return Relay(client, second, idle=3600.0, pipes=Pipes(0))

    async with bridged(version, again) as (flow, outer), anyio.create_task_group() as tasks:
        hop = TlsPeer.over(outer, serving(version))
        await hop.shake_hands()
        tasks.start_soon(flow.client.send, BULK)
        assert await hop.exactly(len(BULK)) == BULK
        tasks.start_soon(hop.send, BULK)
        assert await flow.client.exactly(len(BULK)) == BULK
        flow.client.last()
        assert await hop.rest() == b""
        await hop.send(b"late")
        assert await flow.client.exactly(4) == b"late"
        await hop.last()
        assert await flow.over() is None
        assert await outer.receive() == b"", "the outer one is ended by close_notify too"
