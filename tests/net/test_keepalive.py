"""Each rule of `net/keepalive.py`, on real connections."""

import math
import socket

import pytest

from anongw.net.fiber import Fiber
from anongw.net.keepalive import KEEPALIVE_IDLE, KEEPALIVE_LOOK, look
from anongw.net.stream import Stream
from anongw.net.wait import READ, park
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import PROBED, Kind, reset


def options(stream: Stream) -> dict[tuple[int, int], int]:
    return {option: stream.sock.getsockopt(*option) for option in PROBED}


def connected(engine: DrivenEngine) -> Stream:
    """A connection of ours, whose flow waits for it to speak."""
    streams: list[Stream] = []
    near, _ = engine.pair()

    async def carry(fiber: Fiber, client: Stream) -> None:
        stream = fiber.adopt(near, client.lost)
        stream.probed = False
        streams.append(stream)
        await park((stream, READ))

    engine.flow(carry)
    return streams[0]


async def test_the_first_look_that_finds_a_connection_has_its_peer_probed() -> None:
    async with driven() as engine:
        stream = connected(engine)
        engine.look_at = math.inf
        engine.sweep()
        assert not stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), "it may end before that"
        engine.look_at = engine.now
        engine.sweep()
        assert options(stream) == PROBED
        assert engine.look_at == engine.now + KEEPALIVE_LOOK


async def test_who_has_probes_is_left_alone() -> None:
    async with driven() as engine:
        stream = connected(engine)
        look([stream])
        stream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        look([stream])
        assert stream.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1


@pytest.mark.parametrize("kind", Kind)
async def test_what_cannot_be_probed_does_no_harm(kind: Kind) -> None:
    async with driven() as engine:

        async def carry(_: Fiber, client: Stream) -> None:
            client.probed = False
            await park((client, READ))

        flow = engine.flow(carry, kind=kind)
        reset(flow.peer.sock)
        look(flow.fiber.streams)
        assert all(stream.probed for stream in flow.fiber.streams)


def test_a_look_comes_well_before_the_first_probe() -> None:
    assert 2 * KEEPALIVE_LOOK < KEEPALIVE_IDLE
