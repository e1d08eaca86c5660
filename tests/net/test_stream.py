"""Each rule of `net/stream.py`, on real sockets driven by a real engine."""

import math
import socket
from collections.abc import Generator
from contextlib import suppress

import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.stream import CHUNK, SHARE, Stream
from anongw.net.wait import Park
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Kind, pair, reset

KINDS = pytest.mark.parametrize("kind", list(Kind))


class Desk:
    """What a stream needs of the engine, for calls that never wait."""

    def __init__(self) -> None:
        self.buffer = bytearray(CHUNK)
        self.now = math.inf  # nobody's turn is ever over
        self.gathers = False
        self.closed: list[Stream] = []

    def close(self, stream: Stream) -> None:
        self.closed.append(stream)

    def ready(self, stream: Stream, events: int) -> None: ...


def stream_on(sock: socket.socket) -> Stream:
    desk = Desk()
    return Stream(sock, desk, desk, Reason.UPSTREAM_CLOSED)


def filled(stream: Stream) -> bool | None:
    """What `fill` says at once; None where it would wait."""
    step = stream.fill()
    try:
        step.send(None)
    except StopIteration as done:
        said: bool = done.value
        return said
    step.close()
    return None


@KINDS
async def test_fill_takes_what_is_there_and_waits_for_what_is_not(kind: Kind) -> None:
    async with driven() as engine:
        seen: list[tuple[bool, bytes]] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            for _ in range(3):
                more = await client.fill()
                seen.append((more, client.reader.take()))

        flow = engine.flow(carry, kind=kind)
        for number, data in enumerate([b"first", b"second"], 1):
            await flow.peer.send(data)
            await engine.at_rest()
            assert len(seen) == number
        flow.peer.last()
        assert await flow.over() is None
        assert seen == [(True, b"first"), (True, b"second"), (False, b"")]


def test_fill_says_what_has_happened_so_far() -> None:
    near, far = pair()
    with near, far:
        stream = stream_on(near)
        assert filled(stream) is None
        far.send(b"x")
        assert filled(stream) is True
        far.shutdown(socket.SHUT_WR)
        assert filled(stream) is False
        assert stream.reader.eof
        assert stream.reader.take() == b"x"


@KINDS
async def test_fill_does_not_try_for_what_answers_us(kind: Kind) -> None:
    """Whoever spoke last waits for the other; whoever did not takes what is there."""
    near, far = pair(kind)
    with near, far:
        stream = stream_on(near)
        far.send(b"early")
        assert filled(stream)
        with suppress(StopIteration):
            stream.send(b"a question").send(None)
        far.send(b"an answer")
        step = stream.fill()
        assert isinstance(step.send(None), Park), "in real life it is not here yet"
        with pytest.raises(StopIteration):
            step.send(None)
        far.send(b"more")
        assert filled(stream)
        assert stream.reader.take() == b"earlyan answermore"


@KINDS
async def test_arrive_waits_and_takes_what_comes(kind: Kind) -> None:
    async with driven() as engine:
        seen: list[bytes] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            while not client.reader.eof:
                await client.arrive()
                seen.append(client.reader.take())

        flow = engine.flow(carry, kind=kind)
        await engine.at_rest()
        assert not seen
        await flow.peer.send(b"x")
        await engine.at_rest()
        flow.peer.last()
        assert await flow.over() is None
        assert seen == [b"x", b""]


@pytest.mark.parametrize("how", ["a byte", "an end", "a reset"])
def test_a_stream_is_silent_until_something_happens_on_it(how: str) -> None:
    near, far = pair()
    with near, far:
        stream = stream_on(near)
        far.send(b"x")
        filled(stream)
        assert stream.is_silent(), "what was taken is in the reader"
        if how == "a byte":
            far.send(b"y")
        elif how == "an end":
            far.shutdown(socket.SHUT_WR)
        else:
            reset(far)
        assert not stream.is_silent()


def test_one_call_takes_a_chunk_at_most() -> None:
    near, far = pair(Kind.UNIX)
    with near, far:
        stream = stream_on(near)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * CHUNK)
        assert far.send(bytes(CHUNK + 1)) == CHUNK + 1
        while filled(stream):
            assert len(stream.reader) <= CHUNK
            stream.reader.take()
        assert stream.received == CHUNK + 1


def line(stream: Stream) -> Generator[None, None, bytes]:
    return (yield from stream.reader.until(b"\n", 100))


async def test_read_drives_a_codec_and_leaves_what_follows() -> None:
    async with driven() as engine:
        lines: list[bytes] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            lines.append(await client.read(line(client)))
            lines.append(client.reader.take())

        flow = engine.flow(carry)
        for piece in (b"a", b"b", b"c\nthe tunnel's"):
            await flow.peer.send(piece)
            await engine.at_rest()
        assert await flow.over() is None
        assert lines == [b"abc\n", b"the tunnel's"]


@pytest.mark.parametrize("early", [b"", b"no end"])
async def test_a_codec_that_the_peer_leaves_short_is_the_streams_loss(early: bytes) -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            await client.read(line(client))

        flow = engine.flow(carry)
        await flow.peer.send(early)
        flow.peer.last()
        assert await flow.over() is Reason.CLIENT_GONE


async def test_what_the_codec_refuses_is_refused() -> None:
    async with driven() as engine:

        async def carry(fiber: Fiber, client: Stream) -> None:
            await client.read(line(client))

        flow = engine.flow(carry)
        await flow.peer.send(bytes(101))
        assert await flow.over() is Reason.TOO_LARGE


@KINDS
async def test_send_waits_while_the_peer_does_not_take_it(kind: Kind) -> None:
    data = bytes(range(256)) * 16384  # 4 MiB
    async with driven() as engine:
        stages: list[str] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            await client.send(b"")
            stages.append("begun")
            await client.send(data)
            stages.append("done")
            assert client.sent == len(data)

        flow = engine.flow(carry, kind=kind, buffer=16384)
        await engine.at_rest()
        assert stages == ["begun"]
        assert await flow.peer.rest() == data
        assert await flow.over() is None


@pytest.mark.parametrize("lost", [Reason.CLIENT_GONE, Reason.UPSTREAM_CLOSED])
def test_an_error_of_the_socket_is_the_streams_own_reason(lost: Reason) -> None:
    def fill(stream: Stream) -> None:
        filled(stream)

    def send(stream: Stream) -> None:
        stream.send(b"x").send(None)

    for call in (fill, send):
        near, far = pair()
        with near:
            stream = stream_on(near)
            stream.lost = lost
            reset(far)
            with pytest.raises(Refused) as refused:
                call(stream)
            assert refused.value.reason is lost


def test_the_detail_of_a_loss_names_no_address() -> None:
    near, far = pair()
    with near:
        reset(far)
        with pytest.raises(Refused) as refused:
            filled(stream_on(near))
        assert refused.value.detail == "ConnectionResetError"
        assert refused.value.__cause__ is None


def test_last_words_never_wait_and_never_raise() -> None:
    near, far = pair(buffer=16384)
    with near, far:
        stream = stream_on(near)
        while (taken := stream.sent) < 2**24:
            stream.send_now(bytes(65536))
            if stream.sent == taken:
                break
        assert 0 < taken < 2**24
        reset(far)
        stream.send_now(b"to nobody")
        assert stream.sent == taken


def test_saying_our_last_lets_the_peer_go_on_and_is_harmless_when_it_is_gone() -> None:
    near, far = pair()
    with near, far:
        stream = stream_on(near)
        stream.send_eof()
        assert far.recv(1) == b""
        far.send(b"still here")
        assert filled(stream) is True
        reset(far)
        stream.send_eof()


@KINDS
def test_unsent_tells_what_the_peer_has_not_taken(kind: Kind) -> None:
    near, far = pair(kind, buffer=16384)
    with near, far:
        stream = stream_on(near)
        assert stream.unsent() == 0
        stream.send_now(bytes(2**22))
        assert stream.unsent() > 0
    assert stream.unsent() == 0  # and 0 where the kernel cannot say


def test_a_peer_that_was_reset_takes_no_more() -> None:
    near, far = pair(buffer=16384)
    with near:
        stream = stream_on(near)
        stream.send_now(bytes(2**22))
        reset(far)
        assert stream.unsent() == 0


def test_closing_is_left_to_the_engine() -> None:
    near, far = pair()
    with near, far:
        desk = Desk()
        stream = Stream(near, desk, desk, Reason.CLIENT_GONE)
        stream.close()
        assert desk.closed == [stream]
        assert near.fileno() >= 0


def test_a_reset_is_seen_as_one_by_the_peer() -> None:
    near, far = pair()
    with near, far:
        desk = Desk()
        stream = Stream(near, desk, desk, Reason.CLIENT_GONE)
        stream.reset()
        assert desk.closed == [stream]
        near.close()
        with pytest.raises(ConnectionResetError):
            far.recv(1)


@pytest.mark.parametrize("act", ["fill", "give_way"])
async def test_a_flow_that_never_waits_gives_way_once_its_share_is_used(act: str) -> None:
    """Between two fast peers no call says EAGAIN, and one flow would keep everybody else waiting."""
    async with driven() as engine:
        turns: list[int] = []

        async def carry(fiber: Fiber, client: Stream) -> None:
            await client.fill()
            turns.append(engine.turns)
            engine.now -= 10 * SHARE
            await (client.fill() if act == "fill" else client.give_way())
            turns.append(engine.turns)
            await client.fill()  # within the share of the new turn
            turns.append(engine.turns)

        flow = engine.flow(carry)
        await flow.peer.send(bytes(4 * CHUNK))
        assert await flow.over() is None
        first, second, third = turns
        assert first < second == third


@pytest.mark.parametrize("how", ["last", "reset", "reset and written to", "cut", "ours"])
async def test_who_ended_it_is_known(how: str) -> None:
    ended: list[tuple[bool, bool]] = []

    async def carry(fiber: Fiber, client: Stream) -> None:
        engine = fiber.engine
        assert isinstance(engine, DrivenEngine)
        near, far = engine.pair()
        stream = fiber.adopt(near, Reason.UPSTREAM_CLOSED)
        closed: list[Stream] = []
        stream.on_close = closed.append
        with suppress(Refused):
            if how == "last":
                far.last()
                assert not await stream.fill()
            elif how.startswith("reset"):
                far.reset()
                await (stream.send(b"x") if "written" in how else stream.fill())
            elif how == "cut":
                far.last()
                stream.cut = True
                with pytest.raises(Refused) as refused:
                    await stream.fill()
                assert refused.value.reason is Reason.UPSTREAM_CLOSED
        stream.close()
        stream.close()
        assert closed == [stream]
        ended.append((stream.ended_first, stream.was_reset))

    async with driven() as engine:
        await engine.flow(carry).over()
    assert ended == [(how != "ours", False)]
