"""How a bridge to a hop ends: by a last word, a close, a reset or a cut; and what the other side hears.

How it moves bytes is in `tests/net/test_bridge.py`.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.bridge import LINGER, secure
from anongw.net.fiber import Delegate, Fiber
from anongw.net.pipes import Pipes
from anongw.net.relay import Relay
from anongw.net.stream import Stream
from anongw.net.wait import park
from tests.support.bridged import Bridged, bridged
from tests.support.sockets import Peer
from tests.support.tls_peer import NAME, VERSIONS, TlsPeer, serving, trusting
from tests.support.tunnel import SMALL, stall

BULK = bytes(range(251)) * 4_000  # 1 MB
CLOSE_NOTIFY = 24  # bytes, in TLS 1.3
NONSENSE = b"\x17\x03\x03\0\x20" + bytes(32)  # a record that no key of ours has made


class Hears:
    """What a flow does with its near stream: it listens and notes what comes, and how that ended."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = ""

    async def __call__(self, _fiber: Fiber, client: Stream, near: Stream) -> None:
        try:
            while await near.fill():
                self.data += near.reader.take()
            self.ended = "end"
        except Refused as refused:
            self.ended = refused.reason.value
        await client.fill()


async def ends(hop: TlsPeer) -> None:
    """The hop hears close_notify, then the end of the connection."""
    assert await hop.receive() == b""
    assert await hop.carrier.receive() == b""


async def stall_the_near_side(flow: Bridged, hop: TlsPeer) -> int:
    """Have the hop say more than the near side takes; how much that was."""
    said = 0
    while not flow.held[1]:
        await hop.send(bytes(1000))
        said += 1000
        await flow.engine.at_rest()
    return said


# The near side says its last


@VERSIONS
async def test_after_its_last_the_near_side_hears_what_the_hop_still_says(
    version: ssl.TLSVersion,
) -> None:
    async with bridged(version) as (flow, hop), anyio.create_task_group() as tasks:
        await flow.client.send(b"last")
        flow.client.last()
        assert await hop.exactly(4) == b"last"
        await ends(hop)
        tasks.start_soon(hop.send, BULK)
        assert await flow.client.exactly(len(BULK)) == BULK
        await hop.last()
        assert await flow.client.rest() == b""
        assert await flow.over() is None
        assert flow.bridge.ended


@VERSIONS
async def test_what_was_under_way_when_it_said_its_last_is_not_lost(version: ssl.TLSVersion) -> None:
    # OpenSSL must hold nothing when it is asked for a close_notify.
    async with bridged(version, buffer=SMALL) as (flow, hop), anyio.create_task_group() as tasks:
        tasks.start_soon(hop.send, BULK)
        while not flow.held[1]:
            await flow.engine.next_turn()
        flow.client.last()
        await flow.engine.at_rest()
        assert await flow.client.exactly(len(BULK)) == BULK
        await ends(hop)
        await hop.send(b"late")
        assert await flow.client.exactly(4) == b"late"


@VERSIONS
async def test_the_last_comes_after_what_the_hop_had_not_yet_taken(version: ssl.TLSVersion) -> None:
    async with bridged(version, buffer=SMALL) as (flow, hop):
        sent = await stall(flow.engine, flow.client)
        flow.client.last()
        await flow.engine.at_rest()
        assert await hop.rest() == bytes(sent)
        assert await hop.carrier.receive() == b""


async def test_the_last_waits_for_room_like_anything_else() -> None:
    async def last(_fiber: Fiber, client: Stream, near: Stream) -> None:
        await client.fill()
        near.send_eof()
        await client.fill()

    async with bridged(use=last, buffer=SMALL) as (flow, _):
        # The kernel takes nothing any more, and not only from the near side.
        filled = Peer(flow.far.sock).fill()
        await flow.client.send(b"now")
        await flow.engine.at_rest()
        assert flow.held == (CLOSE_NOTIFY, 0)
        assert len(await flow.wire.rest()) == filled + CLOSE_NOTIFY


async def test_what_the_hop_has_not_taken_yet_is_unsent_after_both_said_their_last() -> None:
    async def says(_fiber: Fiber, client: Stream, near: Stream) -> None:
        while await client.fill():
            near.send_now(client.reader.take())
        near.send_eof()
        await park()

    async with bridged(use=says, buffer=SMALL) as (flow, hop):
        while not flow.held[0]:
            await flow.client.send(bytes(1000))
            await flow.engine.at_rest()
        flow.client.last()
        # The hop takes no more than it must for the bridge to be rid of it all: the rest is the kernel's.
        while flow.held[0] or not flow.bridge._finished:
            hop._incoming.write(await flow.wire.receive(1000))
            await flow.engine.at_rest()
        assert flow.held == (0, 0)
        await stall_the_near_side(flow, hop)
        await hop.last()
        flow.wire.last()
        await flow.engine.at_rest()
        assert not flow.bridge.ended
        assert flow.near.unsent() >= 1000
        assert len(await hop.rest()) == flow.near.sent


# The hop says its last


@VERSIONS
@pytest.mark.parametrize("fin", [True, False])
async def test_a_close_notify_is_a_clean_end_after_which_the_hop_still_hears(
    version: ssl.TLSVersion,
    fin: bool,  # noqa: FBT001
) -> None:
    async with bridged(version) as (flow, hop):
        await hop.send(b"last")
        await hop.last()
        if fin:
            flow.wire.last()
        assert await flow.client.rest() == b"last"
        await flow.client.send(b"and back")
        assert await hop.exactly(8) == b"and back"
        assert await flow.engine.at_rest() < 10
        assert await flow.engine.at_rest() == 0
        flow.client.last()
        await ends(hop)
        assert await flow.over() is None
        assert not flow.near.cut


@VERSIONS
async def test_a_slow_near_side_gets_all_before_the_end(version: ssl.TLSVersion) -> None:
    async with bridged(version, buffer=SMALL) as (flow, hop), anyio.create_task_group() as tasks:

        async def say_all() -> None:
            await hop.send(BULK)
            await hop.last()
            flow.wire.close()

        tasks.start_soon(say_all)
        heard = bytearray()
        while piece := await flow.client.receive(1000):
            heard += piece
        assert heard == BULK


@VERSIONS
async def test_a_reset_after_a_close_notify_is_no_cut_and_nothing_can_be_said_any_more(
    version: ssl.TLSVersion,
) -> None:
    told = ""

    async def says(_fiber: Fiber, client: Stream, near: Stream) -> None:
        nonlocal told
        await client.fill()
        try:
            while True:
                await near.send(b"hello")
        except Refused as refused:
            told = refused.reason.value
        assert await near.fill()
        assert near.reader.take() == b"last"
        assert not await near.fill()

    async with bridged(version, says) as (flow, hop):
        await hop.send(b"last")
        await hop.last()
        await flow.engine.at_rest()
        flow.wire.reset()
        await flow.engine.at_rest()
        assert flow.bridge.ended
        flow.client.last()
        assert await flow.over() is None
    assert told == Reason.UPSTREAM_CLOSED.value


# The hop breaks off


async def _fin(flow: Bridged, _hop: TlsPeer) -> None:
    flow.wire.last()


async def _close(flow: Bridged, _hop: TlsPeer) -> None:
    flow.wire.close()


async def _reset(flow: Bridged, _hop: TlsPeer) -> None:
    flow.wire.reset()


async def _nonsense(flow: Bridged, _hop: TlsPeer) -> None:
    await flow.wire.send(NONSENSE)


async def _half_a_record(flow: Bridged, hop: TlsPeer) -> None:
    await flow.wire.send(hop.seal(b"never whole")[:-1])
    flow.wire.last()


async def _alert(flow: Bridged, hop: TlsPeer) -> None:
    hop._incoming.write(NONSENSE)
    with pytest.raises(ssl.SSLError):
        await hop.rest()
    await hop.push()


BREAKS = pytest.mark.parametrize("breaks", [_fin, _close, _reset, _nonsense, _half_a_record, _alert])
Breaks = Callable[[Bridged, TlsPeer], Awaitable[None]]


@VERSIONS
@BREAKS
async def test_a_break_is_heard_as_one_after_all_that_came_before_it(
    version: ssl.TLSVersion, breaks: Breaks
) -> None:
    hears = Hears()
    async with bridged(version, hears) as (flow, hop):
        await hop.send(BULK[:50_000])
        await breaks(flow, hop)
        await flow.engine.at_rest()
        assert hears.data == BULK[:50_000]
        assert hears.ended == Reason.UPSTREAM_CLOSED.value
        assert flow.near.cut
        assert flow.bridge.ended
        assert await flow.engine.at_rest() == 0


@VERSIONS
@BREAKS
async def test_a_relay_passes_a_break_on_as_a_reset(version: ssl.TLSVersion, breaks: Breaks) -> None:
    async with bridged(version) as (flow, hop):
        await hop.send(b"before")
        await breaks(flow, hop)
        assert await flow.client.rest_until_reset() == b"before"
        assert await flow.over() is Reason.UPSTREAM_CLOSED


@BREAKS
async def test_a_break_is_heard_by_who_only_says(breaks: Breaks) -> None:
    async def says(_fiber: Fiber, _client: Stream, near: Stream) -> None:
        while True:
            await near.send(bytes(1000))

    async with bridged(use=says, buffer=SMALL) as (flow, hop):
        while not flow.held[0]:
            await flow.engine.next_turn()
        await breaks(flow, hop)
        assert await flow.over() is Reason.UPSTREAM_CLOSED


async def test_nonsense_is_answered_by_an_alert() -> None:
    async with bridged() as (flow, hop):
        await _nonsense(flow, hop)
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            await hop.receive()


@VERSIONS
@BREAKS
async def test_a_break_behind_what_the_near_side_has_not_taken_waits_for_it(
    version: ssl.TLSVersion, breaks: Breaks
) -> None:
    hears = Hears()

    async def hears_later(fiber: Fiber, client: Stream, near: Stream) -> None:
        await client.fill()
        await hears(fiber, client, near)

    async with bridged(version, hears_later) as (flow, hop):
        said = await stall_the_near_side(flow, hop)
        await breaks(flow, hop)
        await flow.engine.at_rest()
        assert not flow.bridge.ended
        assert await flow.engine.at_rest() == 0, "a hang-up is told of once"
        await flow.client.send(b"now")
        await flow.engine.at_rest()
        assert hears.data == bytes(said)
        assert hears.ended == Reason.UPSTREAM_CLOSED.value


ENDINGS = pytest.mark.parametrize(
    ("said", "ended"), [("close_notify", "end"), ("nonsense", Reason.UPSTREAM_CLOSED.value)]
)


@VERSIONS
@ENDINGS
async def test_an_end_in_one_piece_with_more_than_the_near_side_takes_comes_after_it(
    version: ssl.TLSVersion, said: str, ended: str
) -> None:
    hears = Hears()
    write_failed = False

    async def hears_later(fiber: Fiber, client: Stream, near: Stream) -> None:
        nonlocal write_failed
        await client.fill()
        try:
            await near.send(b"anybody there?")
        except Refused:
            write_failed = True
        await hears(fiber, client, near)

    async with bridged(version, hears_later) as (flow, hop):
        flow.bridge._inner.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        piece = hop.seal(BULK[:20_000])
        if said == "close_notify":
            with suppress(ssl.SSLWantReadError):
                hop.session.unwrap()
            piece += hop.outgoing.read()
        else:
            piece += NONSENSE
        await flow.wire.send(piece)
        await flow.engine.at_rest()
        assert flow.held[1] > 0
        await flow.client.send(b"now")
        await flow.engine.at_rest()
        assert hears.data == BULK[:20_000]
        assert hears.ended == ended
        assert write_failed == (said == "nonsense"), "who only writes hears of it at once"


async def test_a_reset_is_heard_by_who_writes_before_all_that_came_before_it_is_read() -> None:
    told = ""

    async def says(_fiber: Fiber, client: Stream, near: Stream) -> None:
        nonlocal told
        Peer(near.sock).fill()
        await client.fill()
        assert near.unsent() == 0, "nothing is under way any more"
        try:
            await near.send(b"hello")
        except Refused as refused:
            told = refused.reason.value
        while await near.fill():
            near.reader.take()

    async with bridged(use=says, buffer=SMALL) as (flow, hop):
        said = await stall_the_near_side(flow, hop)
        assert flow.held[0]
        assert flow.near.unsent()
        flow.wire.reset()
        await flow.engine.at_rest()
        assert not flow.bridge.ended
        await flow.client.send(b"now")
        assert await flow.over() is Reason.UPSTREAM_CLOSED
        assert flow.near.received == said
    assert told == Reason.UPSTREAM_CLOSED.value


# The near side is closed


async def leaves(_fiber: Fiber, client: Stream, near: Stream) -> None:
    """Says all that the client says, as far as it is taken at once, then is gone."""
    while await client.fill():
        near.send_now(client.reader.take())


@VERSIONS
async def test_what_was_written_before_it_was_closed_is_sent(version: ssl.TLSVersion) -> None:
    async with bridged(version, leaves) as (flow, hop):
        await flow.client.send(b"last words")
        flow.client.last()
        assert await flow.over() is None
        assert await hop.exactly(10) == b"last words"
        await ends(hop)
        assert flow.bridge.ended


@VERSIONS
@pytest.mark.parametrize("unread", [True, False])
async def test_a_hop_has_a_while_to_take_it(version: ssl.TLSVersion, unread: bool) -> None:  # noqa: FBT001
    async with bridged(version, leaves, buffer=SMALL) as (flow, hop):
        if unread:
            await hop.send(b"nobody reads this")
        await flow.client.send(BULK[:150_000])
        flow.client.last()
        assert await flow.over() is None
        await flow.engine.at_rest()
        assert not flow.bridge.ended
        assert await flow.engine.at_rest() == 0, "nobody spins"
        flow.engine.sweep()
        [look] = flow.engine.on_sweep
        heard = await hop.rest()
        assert heard == BULK[: len(heard)]
        assert len(heard) == flow.near.sent
        assert await hop.carrier.receive() == b""
        assert not flow.engine.on_sweep
        look(flow.engine.now + 2 * LINGER)
        assert not flow.far.was_reset


async def test_after_that_while_it_is_reset() -> None:
    async with bridged(use=leaves, buffer=SMALL) as (flow, _):
        await flow.client.send(BULK[:150_000])
        flow.client.last()
        assert await flow.over() is None
        await flow.engine.at_rest()
        [look] = flow.engine.on_sweep
        look(flow.engine.now + LINGER - 0.1)
        assert not flow.bridge.ended
        look(flow.engine.now + LINGER)
        assert flow.bridge.ended
        flow.engine.settle()
        await flow.wire.rest_until_reset()
        assert not flow.engine.on_sweep
        look(flow.engine.now + 2 * LINGER)


@VERSIONS
@pytest.mark.parametrize("buffer", [None, SMALL])
async def test_a_reset_is_passed_on_at_once(version: ssl.TLSVersion, buffer: int | None) -> None:
    async def resets(_fiber: Fiber, client: Stream, near: Stream) -> None:
        while await client.fill():
            near.send_now(client.reader.take())
        near.reset()

    async with bridged(version, resets, buffer=buffer) as (flow, _):
        await flow.client.send(BULK[:150_000])
        flow.client.last()
        assert await flow.over() is None
        await flow.engine.at_rest()
        assert flow.bridge.ended
        await flow.wire.rest_until_reset()


async def test_the_reset_of_a_client_comes_after_all_that_had_arrived() -> None:
    # The relay waits until nothing is unsent, in the bridge and beyond it.
    async with bridged(buffer=SMALL) as (flow, hop), anyio.create_task_group() as tasks:
        await stall(flow.engine, flow.client)
        flow.client.reset()
        heard = bytearray()

        async def hear() -> None:
            try:
                while True:
                    heard.extend(await hop.receive())
            except (EOFError, ConnectionError):
                return

        tasks.start_soon(hear)
        assert await flow.over() is Reason.CLIENT_GONE
        await flow.engine.at_rest()
    assert len(heard) == flow.near.sent


# The engine shuts


async def _idle(_flow: Bridged, _hop: TlsPeer) -> None:
    pass


async def _stalled(flow: Bridged, _hop: TlsPeer) -> None:
    await stall(flow.engine, flow.client)


async def _half_closed(flow: Bridged, hop: TlsPeer) -> None:
    await hop.last()
    await flow.engine.at_rest()


async def _hung_up(flow: Bridged, hop: TlsPeer) -> None:
    await stall_the_near_side(flow, hop)
    flow.wire.reset()
    await flow.engine.at_rest()


@pytest.mark.parametrize("state", [_idle, _stalled, _half_closed, _hung_up])
async def test_an_engine_that_shuts_closes_every_bridge(state: Breaks) -> None:
    # `driven` looks for descriptors that are left.
    async with bridged(buffer=SMALL) as (flow, hop):
        await state(flow, hop)
        assert not flow.bridge.ended
        assert not flow.far.closed
    assert flow.far.closed


async def test_a_lingering_one_too() -> None:
    async with bridged(use=leaves, buffer=SMALL) as (flow, _):
        await flow.client.send(BULK[:150_000])
        flow.client.last()
        assert await flow.over() is None
        await flow.engine.at_rest()
        assert not flow.bridge.ended
    assert flow.far.closed


# TLS in TLS


async def twice(fiber: Fiber, client: Stream, near: Stream) -> Delegate:
    second = await secure(fiber, near, trusting(), NAME)
    return Relay(client, second, idle=3600.0, pipes=Pipes(0))


@pytest.mark.parametrize("layer", ["inner close_notify", "outer close_notify", "outer cut", "outer reset"])
async def test_an_end_of_either_layer(layer: str) -> None:
    async with bridged(use=twice) as (flow, outer):
        inner = TlsPeer.over(outer, serving(ssl.TLSVersion.TLSv1_3))
        await inner.shake_hands()
        await inner.send(b"before")
        match layer:
            case "inner close_notify":
                await inner.last()
            case "outer close_notify":
                await outer.last()
            case "outer cut":
                flow.wire.last()
            case _:
                flow.wire.reset()
        if layer == "inner close_notify":
            assert await flow.client.rest() == b"before"
            flow.client.last()
            assert await inner.rest() == b""
            assert await flow.over() is None
        else:
            assert await flow.client.rest_until_reset() == b"before"
            assert await flow.over() is Reason.UPSTREAM_CLOSED


async def test_a_client_that_is_reset_resets_both_layers() -> None:
    async with bridged(use=twice) as (flow, outer):
        inner = TlsPeer.over(outer, serving(ssl.TLSVersion.TLSv1_3))
        await inner.shake_hands()
        flow.engine.end_flows(Refused(Reason.STOPPING))
        assert await flow.over() is Reason.STOPPING
        with pytest.raises(ConnectionResetError):
            await inner.receive()


async def test_bytes_under_way_through_both_layers_are_sent_after_a_close() -> None:
    async def says_and_leaves(fiber: Fiber, client: Stream, near: Stream) -> None:
        second = await secure(fiber, near, trusting(), NAME)
        await leaves(fiber, client, second)

    async with bridged(use=says_and_leaves, buffer=SMALL) as (flow, outer):
        inner = TlsPeer.over(outer, serving(ssl.TLSVersion.TLSv1_3))
        await inner.shake_hands()
        await flow.client.send(BULK[:100_000])
        flow.client.last()
        assert await flow.over() is None
        assert await inner.rest() == BULK[:100_000]
        assert await outer.receive() == b""
