"""Bodies as they arrive: piece by piece, no more than there is room for, never short without a word."""

import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.stream import CHUNK, Stream
from anongw.web.exchange import POUR_LEAST, Inflow, Stall
from anongw.wire import body
from anongw.wire.http1 import Framing, Kind
from tests.support.driven import Played, driven
from tests.support.tunnel import CountedPipes


class Reading:
    """A flow that reads a body to its end, and what it got."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self.pieces: list[bytes] = []
        self.most_held = 0
        self.refused: Reason | None = None
        self.left = b""

    async def carry(self, _: Fiber, stream: Stream) -> None:
        inflow = Inflow(stream, body.decoder(self._framing, Reason.MALFORMED))
        try:
            while piece := await inflow.read():
                self.pieces.append(piece)
                self.most_held = max(self.most_held, len(stream.reader))
        except Refused as refused:
            self.refused = refused.reason
        else:
            assert inflow.complete
            assert inflow.take() == b""
            assert await inflow.read() == b""
        self.left = stream.reader.take()


async def _send_and_end(flow: Played, data: bytes) -> None:
    await flow.peer.send(data)
    flow.peer.last()
    await flow.over()


LENGTH = Framing(Kind.LENGTH, 10)
CHUNKED = Framing(Kind.CHUNKED)
TO_CLOSE = Framing(Kind.CLOSE)


@pytest.mark.parametrize(
    ("framing", "raw", "got", "left", "refused"),
    [
        (LENGTH, b"helloworldNEXT", b"helloworld", b"NEXT", None),
        (Framing(Kind.LENGTH, 0), b"NEXT", b"", None, None),
        (LENGTH, b"hello", b"hello", b"", Reason.CLIENT_GONE),
        (LENGTH, b"", b"", b"", Reason.CLIENT_GONE),
        (CHUNKED, b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\nNEXT", b"helloworld", b"NEXT", None),
        (CHUNKED, b"0\r\n\r\nNEXT", b"", b"NEXT", None),
        (CHUNKED, b"5\r\nhello\r\n", b"hello", b"", Reason.CLIENT_GONE),
        (CHUNKED, b"x\r\n", b"", None, Reason.MALFORMED),
        (TO_CLOSE, b"helloworld", b"helloworld", b"", None),
        (TO_CLOSE, b"", b"", b"", None),
    ],
)
async def test_bodies(
    framing: Framing, raw: bytes, got: bytes, left: bytes | None, refused: Reason | None
) -> None:
    async with driven() as engine:
        reading = Reading(framing)
        flow = engine.flow(reading.carry)
        await flow.peer.send(raw)
        # With no body to wait for it may be over by now, its connection closed.
        if not flow.is_over:
            flow.peer.last()
        await flow.over()
        assert b"".join(reading.pieces) == got
        assert reading.refused is refused
        if left is not None:
            assert reading.left == left


async def test_a_reset_within_a_body() -> None:
    async with driven() as engine:
        reading = Reading(TO_CLOSE)
        flow = engine.flow(reading.carry)
        await flow.peer.send(b"hello")
        await engine.at_rest()
        flow.peer.reset()
        await flow.over()
        assert reading.refused is Reason.CLIENT_GONE


@pytest.mark.parametrize("size", [CHUNK // 2, CHUNK, 10 * CHUNK])
@pytest.mark.parametrize("kind", [Kind.LENGTH, Kind.CHUNKED, Kind.CLOSE])
async def test_no_more_than_a_chunk_is_held(kind: Kind, size: int) -> None:
    async with driven() as engine:
        reading = Reading(Framing(kind, 8 * size if kind is Kind.LENGTH else 0))
        flow = engine.flow(reading.carry)
        for _ in range(8):
            await flow.peer.send(body.chunk(bytes(size)) if kind is Kind.CHUNKED else bytes(size))
        await _send_and_end(flow, body.LAST_CHUNK if kind is Kind.CHUNKED else b"")
        assert sum(map(len, reading.pieces)) == 8 * size
        assert max(map(len, reading.pieces)) <= CHUNK
        assert reading.most_held <= CHUNK
        assert reading.refused is None


@pytest.mark.parametrize(
    ("framing", "early", "poured"),
    [
        (Framing(Kind.LENGTH, POUR_LEAST), b"", True),
        (Framing(Kind.LENGTH, POUR_LEAST + 1), b"x", True),
        # The beginning is here already: what the kernel has comes after it.
        (Framing(Kind.LENGTH, POUR_LEAST + 1), b"xy", False),
        (Framing(Kind.LENGTH, POUR_LEAST - 1), b"", False),
        (TO_CLOSE, b"", False),
        (CHUNKED, b"", False),
    ],
    ids=["length", "first byte read", "not all is read", "small", "until close", "chunked"],
)
async def test_what_the_kernel_can_move_by_itself(framing: Framing, early: bytes, *, poured: bool) -> None:
    pipes = CountedPipes()
    complete: list[bool] = []
    async with driven() as engine:
        sock, sink = engine.pair()

        async def carry(fiber: Fiber, client: Stream) -> None:
            out = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            rest = body.decoder(framing, Reason.MALFORMED)
            if early:
                client.reader.feed(early)
                await out.send(rest.decode(client.reader, 1))
            inflow = Inflow(client, rest)
            await inflow.pour(out, pipes, Stall(fiber, 60.0, client))
            complete.append(inflow.complete)

        flow = engine.flow(carry)
        if poured:
            await flow.peer.send(bytes(POUR_LEAST))
        assert await flow.over() is None
        assert len(await sink.rest()) == (POUR_LEAST if poured else 0) + bool(early)
        pipes.close()
    assert complete == [poured]
    assert bool(pipes.borrowed) == poured
