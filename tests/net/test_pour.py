"""Each rule of `net/pour.py`, on real sockets."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.pipes import BUDGET, PIPE_SIZE
from anongw.net.pour import pour
from anongw.net.stream import Stream
from tests.support.driven import DrivenEngine, Played, driven
from tests.support.sockets import Kind, Peer
from tests.support.tunnel import DATA, SMALL, CountedPipes

KINDS = pytest.mark.parametrize("kind", list(Kind))


class Pouring:
    """A flow that pours from its client to another peer, and what came of it."""

    def __init__(
        self,
        engine: DrivenEngine,
        pipes: CountedPipes,
        most: int,
        *,
        kind: Kind = Kind.TCP,
        buffer: int | None = None,
    ) -> None:
        self._pipes = pipes
        self._most = most
        self.moved = 0
        self.raised: list[Reason] = []
        self.due: list[str] = []
        self._sock, self.hearer = engine.pair(kind, buffer)
        self.flow: Played = engine.flow(self._carry, kind=kind, buffer=buffer)
        self.speaker: Peer = self.flow.peer

    async def _carry(self, fiber: Fiber, client: Stream) -> None:
        self.source, self.sink = client, fiber.adopt(self._sock, Reason.UPSTREAM_CLOSED)
        try:
            self.moved = await pour(self.source, self.sink, self._most, self._pipes, due=self._due)
        except Refused as refused:
            self.raised.append(refused.reason)
            raise

    def _due(self, stream: Stream) -> None:
        self.due.append("source" if stream is self.source else "sink")


@asynccontextmanager
async def pouring(
    most: int, *, budget: int = 8 * 2**20, kind: Kind = Kind.TCP, buffer: int | None = None
) -> AsyncIterator[tuple[DrivenEngine, Pouring, CountedPipes]]:
    """One, whose pipes must all be back at the end."""
    pipes = CountedPipes(budget)
    async with driven() as engine:
        yield engine, Pouring(engine, pipes, most, kind=kind, buffer=buffer), pipes
        engine.end_flows(Refused(Reason.STOPPING))
        assert pipes.all_are_back
        pipes.close()


@KINDS
@pytest.mark.parametrize("most", [1, 1000, BUDGET, PIPE_SIZE + 1, len(DATA)])
async def test_so_many_bytes_arrive_and_not_one_more(kind: Kind, most: int) -> None:
    async with pouring(most, kind=kind) as (engine, one, _):
        heard = bytearray()
        sent = 0
        while sent < len(DATA) and not one.flow.is_over:
            try:
                sent += one.speaker.sock.send(DATA[sent:])
            except BlockingIOError:
                heard += await one.hearer.receive(2**20)
            await engine.at_rest()
        heard += await one.hearer.rest()
        assert heard == DATA[:most]
        assert one.moved == most == one.source.received == one.sink.sent
        assert one.due[0] == "source"
        assert {"source", "sink"} == set(one.due)


async def test_what_follows_stays_in_the_kernel() -> None:
    pipes = CountedPipes()
    followed: list[bytes] = []
    async with driven() as engine:
        sock, hearer = engine.pair()

        async def carry(fiber: Fiber, client: Stream) -> None:
            sink = fiber.adopt(sock, Reason.UPSTREAM_CLOSED)
            await pour(client, sink, 5, pipes, due=lambda _stream: None)
            assert not len(client.reader)
            await client.fill()
            followed.append(client.reader.take())

        flow = engine.flow(carry)
        await flow.peer.send(b"bodyNEXT")
        assert await flow.over() is None
        assert await hearer.rest() == b"bodyN"
        assert followed == [b"EXT"]
        pipes.close()


async def test_without_a_pipe_nothing_is_moved() -> None:
    async with pouring(10, budget=0) as (_, one, _pipes):
        await one.speaker.send(b"x" * 10)
        assert await one.flow.over() is None
        assert (one.moved, one.source.received) == (0, 0)


async def test_an_end_before_the_last_byte_is_left_to_whoever_reads() -> None:
    async with pouring(10) as (_, one, _pipes):
        await one.speaker.send(b"half")
        one.speaker.last()
        assert await one.flow.over() is None
        assert await one.hearer.rest() == b"half"
        assert one.moved == 4


async def test_urgent_data_does_not_spin() -> None:
    async with pouring(100) as (engine, one, _pipes):
        await one.speaker.send(b"ab")
        await engine.at_rest()
        one.speaker.sock.send(b"!", socket.MSG_OOB)
        await one.speaker.send(b"cd")
        assert await one.flow.over() is None
        assert one.moved == 2


@KINDS
async def test_a_source_with_nothing_to_say_holds_no_pipe(kind: Kind) -> None:
    async with pouring(10, kind=kind) as (engine, one, pipes):
        await one.speaker.send(b"half")
        assert await one.hearer.exactly(4) == b"half"
        await engine.at_rest()
        assert pipes.borrowed
        assert pipes.all_are_back
        assert all(pipes.returned), "clean"
        assert one.due[-1] == "source"


async def _until_stalled(engine: DrivenEngine, one: Pouring) -> None:
    while one.speaker.fill():
        await engine.at_rest()
    assert one.due[-1] == "sink"


@KINDS
async def test_a_reader_that_stops_stops_its_source(kind: Kind) -> None:
    async with pouring(len(DATA), kind=kind, buffer=SMALL) as (engine, one, pipes):
        await _until_stalled(engine, one)
        assert not pipes.all_are_back
        assert await engine.at_rest() == 0, "nobody spins"
        heard = 0
        while not one.flow.is_over:
            heard += len(await one.hearer.receive(2**20))
            one.speaker.fill()
            await engine.at_rest()
        assert heard + len(await one.hearer.rest()) == len(DATA)


@pytest.mark.parametrize("broken", ["source", "sink"])
async def test_a_break_is_told_as_the_stream_that_broke(broken: str) -> None:
    async with pouring(len(DATA), buffer=SMALL) as (engine, one, pipes):
        if broken == "sink":
            await _until_stalled(engine, one)
            one.hearer.reset()
        else:
            await one.speaker.send(b"half")
            assert await one.hearer.exactly(4) == b"half"
            await engine.at_rest()
            one.speaker.reset()
        reason = Reason.UPSTREAM_CLOSED if broken == "sink" else Reason.CLIENT_GONE
        assert await one.flow.over() is reason
        assert one.raised == [reason]
        assert pipes.returned[-1] is (broken == "source"), "a pipe with bytes in it is closed"


async def test_a_pipe_of_a_flow_that_was_killed_is_never_used_again() -> None:
    pipes = CountedPipes(PIPE_SIZE)  # one only: the next transfer gets the same if anybody does
    async with driven() as engine:
        one = Pouring(engine, pipes, len(DATA), buffer=SMALL)
        await _until_stalled(engine, one)
        one.flow.fiber.kill(Refused(Reason.STOPPING))
        engine.settle()
        assert pipes.returned[-1] is False
        other = Pouring(engine, pipes, 4)
        await other.speaker.send(b"mine")
        assert await other.hearer.rest() == b"mine"
        assert pipes.all_are_back
        pipes.close()


async def test_others_have_their_turn() -> None:
    pipes = CountedPipes()
    async with driven() as engine:
        bulk, chat = Pouring(engine, pipes, 64 * 2**20), Pouring(engine, pipes, 2**20)
        for _ in range(50):
            await chat.speaker.send(b"ping")
            before = engine.turns
            while True:
                try:
                    assert chat.hearer.sock.recv(4) == b"ping"
                    break
                except BlockingIOError:
                    pass
                try:
                    bulk.speaker.fill()
                    bulk.hearer.sock.recv(2**20)
                except BlockingIOError:
                    pass
                engine.turn()
                assert engine.turns - before <= 2, "one turn serves everybody who was ready"
        engine.end_flows(Refused(Reason.STOPPING))
        pipes.close()
