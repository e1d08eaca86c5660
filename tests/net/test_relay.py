"""Each rule of `net/relay.py` on moving bytes, on real sockets; and scripts of all that two ends can do.

How a tunnel ends has its own tests, in `tests/whole/test_tunnel_ends.py`.
"""

import os
from collections import Counter

import pytest
from hypothesis import example, given, settings

from anongw.errors import Reason, Refused
from anongw.net.pipes import BUDGET, PIPE_SIZE
from anongw.net.stream import CHUNK
from tests.support.backends import Backend, run_on
from tests.support.driven import driven
from tests.support.sockets import Kind
from tests.support.tunnel import DATA, SMALL, SPLICED, WAYS, CountedPipes, Tunnel, ends, relaying, stall
from tests.support.tunnel_crowd import STORIES, Story, tell
from tests.support.tunnel_script import SCRIPTS, Script, play

KINDS = pytest.mark.parametrize("kind", list(Kind))


@KINDS
@WAYS
async def test_what_one_side_says_the_other_hears(kind: Kind, upwards: bool) -> None:  # noqa: FBT001
    async with relaying(kind=kind) as (_, tunnel, pipes):
        speaker, hearer = ends(tunnel, upwards=upwards)
        for word in (b"x", b"hello", bytes(1000)):
            await speaker.send(word)
            assert await hearer.exactly(len(word)) == word
        assert pipes.borrowed == 0, "small messages are copied"


@KINDS
@SPLICED
@WAYS
async def test_bulk_arrives_whole(kind: Kind, budget: int, upwards: bool) -> None:  # noqa: FBT001
    async with relaying(budget, kind=kind) as (_, tunnel, pipes):
        speaker, hearer = ends(tunnel, upwards=upwards)
        sent = 0
        heard = bytearray()
        while sent < len(DATA):
            try:
                sent += speaker.sock.send(DATA[sent:])
            except BlockingIOError:
                heard += await hearer.receive()
        speaker.last()
        heard += await hearer.rest()
        assert heard == DATA
        assert bool(pipes.borrowed) == bool(budget)
        stream = tunnel.near if upwards else tunnel.far
        sink = tunnel.far if upwards else tunnel.near
        assert stream.received == sink.sent == len(DATA)


@SPLICED
async def test_a_tunnel_goes_on_after_its_reader_had_stopped(budget: int) -> None:
    # What is left in the source when the sink takes more again may be less than a full read.
    async with relaying(budget, buffer=SMALL) as (engine, tunnel, _):
        for _ in range(3):
            sent = await stall(engine, tunnel.client)
            assert tunnel.blocked == (True, False)
            await tunnel.origin.exactly(sent)
            await engine.at_rest()
            assert tunnel.blocked == (False, False)
            await tunnel.client.send(b"and more")
            assert await tunnel.origin.exactly(8) == b"and more"


@KINDS
@SPLICED
@WAYS
async def test_a_reader_that_stops_holds_one_chunk_and_stops_its_own_tunnel_only(
    kind: Kind,
    budget: int,
    upwards: bool,  # noqa: FBT001
) -> None:
    async with relaying(budget, kind=kind, buffer=SMALL) as (engine, tunnel, pipes):
        other = Tunnel(engine, pipes)
        speaker, hearer = ends(tunnel, upwards=upwards)
        sent = await stall(engine, speaker)
        assert tunnel.blocked == (upwards, not upwards)
        assert 0 <= tunnel.held <= CHUNK
        assert await engine.at_rest() == 0, "nobody spins"
        await other.client.send(b"ping")
        assert await other.origin.exactly(4) == b"ping"
        # The other direction of the stopped one lives too.
        await hearer.send(b"back")
        assert await speaker.exactly(4) == b"back"
        assert await hearer.exactly(sent) == bytes(sent)


async def test_both_directions_may_be_stopped_at_once() -> None:
    async with relaying(buffer=SMALL) as (engine, tunnel, _):
        up = await stall(engine, tunnel.client)
        down = await stall(engine, tunnel.origin)
        assert tunnel.blocked == (True, True)
        assert await engine.at_rest() == 0
        assert await tunnel.origin.exactly(up) == bytes(up)
        assert await tunnel.client.exactly(down) == bytes(down)


@KINDS
@pytest.mark.parametrize("size", [1, CHUNK, 3 * CHUNK])
async def test_early_bytes_are_delivered_first(kind: Kind, size: int) -> None:
    early = (b"C" * size, b"O" * size)
    async with relaying(kind=kind, early=early) as (_, tunnel, _pipes):
        await tunnel.client.send(b"c")
        await tunnel.origin.send(b"o")
        assert await tunnel.origin.exactly(size + 1) == early[0] + b"c"
        assert await tunnel.client.exactly(size + 1) == early[1] + b"o"
        tunnel.client.last()
        tunnel.origin.last()
        assert await tunnel.over() is None


async def test_early_bytes_of_a_broken_origin_are_delivered_before_what_it_said_later() -> None:
    # The early bytes of the client are written first and find the origin gone.
    pipes = CountedPipes()
    async with driven() as engine:
        near, origin = engine.pair()
        await origin.send(b"later")
        origin.reset()
        original = engine.pair
        engine.pair = lambda *_: (near, origin)  # type: ignore[method-assign]
        tunnel = Tunnel(engine, pipes, early=(b"hello", b"banner, "))
        engine.pair = original  # type: ignore[method-assign]
        assert await tunnel.client.rest_until_reset() == b"banner, later"
        assert await tunnel.over() is Reason.UPSTREAM_CLOSED


async def test_an_idle_tunnel_owns_no_pipe() -> None:
    async with relaying() as (engine, tunnel, pipes):
        sent = 0
        while not pipes.borrowed:
            sent += tunnel.client.fill()
            await engine.at_rest()
            await tunnel.origin.exactly(sent)
            sent = 0
        await engine.at_rest()
        assert pipes.all_are_back
        assert all(pipes.returned), "clean"


@WAYS
async def test_a_pipe_with_bytes_in_it_is_never_used_again(upwards: bool) -> None:  # noqa: FBT001
    pipes = CountedPipes(PIPE_SIZE)  # one only: the next tunnel gets the same if anybody does
    async with driven() as engine:
        tunnel = Tunnel(engine, pipes)
        speaker, _ = ends(tunnel, upwards=upwards)
        await stall(engine, speaker)
        way = tunnel.relay._up if upwards else tunnel.relay._down
        assert way.piped > 0
        assert way.pipe is not None
        dirty = os.fstat(way.pipe[0]).st_ino
        tunnel.flow.fiber.kill(Refused(Reason.STOPPING))
        assert pipes.returned[-1] is False
        fresh = pipes.borrow()
        assert fresh is not None
        assert os.fstat(fresh[0]).st_ino != dirty
        pipes.give_back(fresh, clean=True)
        pipes.close()


async def test_without_a_pipe_to_be_had_bulk_is_copied() -> None:
    pipes = CountedPipes(PIPE_SIZE)
    held = pipes.borrow()
    assert held is not None
    async with driven() as engine:
        tunnel = Tunnel(engine, pipes)
        sent = tunnel.client.fill()
        assert sent > 4 * CHUNK
        assert await tunnel.origin.exactly(sent) == bytes(sent)
        assert pipes.borrowed == 1
    pipes.give_back(held, clean=True)
    pipes.close()


async def test_a_tunnel_in_which_nothing_moves_ends_with_a_reset() -> None:
    async with relaying(idle=0.0) as (engine, tunnel, _):
        engine.sweep()
        assert await tunnel.over() is Reason.IDLE_TIMEOUT
        for peer in (tunnel.client, tunnel.origin):
            assert await peer.rest_until_reset() == b""


async def test_what_moves_puts_the_idle_limit_off() -> None:
    async with relaying(idle=1000.0) as (engine, tunnel, _):
        began = tunnel.relay.active
        await tunnel.origin.send(b"x")
        await tunnel.client.exactly(1)
        await engine.at_rest()
        assert tunnel.relay.active > began
        tunnel.relay.tick(began + 1000.0)
        assert tunnel.flow.fiber.wake_at == tunnel.relay.active + 1000.0
        assert not tunnel.flow.is_over
        tunnel.relay.tick(tunnel.relay.active + 1000.0)
        assert await tunnel.over() is Reason.IDLE_TIMEOUT


async def test_an_abort_resets_both_sides() -> None:
    async with relaying() as (_, tunnel, _pipes):
        tunnel.flow.fiber.kill(Refused(Reason.LIFETIME))
        assert await tunnel.over() is Reason.LIFETIME
        for peer in (tunnel.client, tunnel.origin):
            assert await peer.rest_until_reset() == b""


async def test_stopping_the_engine_gives_every_pipe_back() -> None:
    pipes = CountedPipes()
    async with driven() as engine:
        tunnel = Tunnel(engine, pipes)
        await stall(engine, tunnel.client)
        assert not pipes.all_are_back
    assert pipes.returned[-1] is False
    pipes.close()


@KINDS
@SPLICED
async def test_a_wake_up_moves_no_more_than_its_budget(kind: Kind, budget: int) -> None:
    moved: list[int] = []
    async with relaying(budget, kind=kind) as (_, tunnel, _pipes):

        class Noting:
            """Owns the client's stream and notes what each of its wake-ups moves."""

            def ready(self, stream: object, events: int) -> None:
                before = tunnel.near.received
                tunnel.relay.ready(tunnel.near, events)
                moved.append(tunnel.near.received - before)

        tunnel.near.owner = Noting()
        left = 4 * BUDGET
        while left:
            try:
                left -= tunnel.client.sock.send(bytes(min(left, 2**20)))
            except BlockingIOError:
                await tunnel.origin.receive(2**20)
        tunnel.client.last()
        await tunnel.origin.rest()
        tunnel.origin.last()
        await tunnel.over()
    assert CHUNK < max(moved) <= BUDGET


async def test_bulk_does_not_starve_a_ping_pong() -> None:
    async with relaying() as (engine, bulk, pipes):
        chat = Tunnel(engine, pipes)
        bulk.client.fill()
        for _ in range(50):
            await chat.client.send(b"ping")
            before = engine.turns
            while True:
                try:
                    assert chat.origin.sock.recv(4) == b"ping"
                    break
                except BlockingIOError:
                    pass
                # The bulk is always ready: both its ends are served as fast as they can be.
                try:
                    bulk.client.fill()
                    bulk.origin.sock.recv(2**20)
                except BlockingIOError:
                    pass
                engine.turn()
                assert engine.turns - before <= 2, "one turn serves everybody who was ready"


def test_each_side_hears_exactly_what_the_other_said_whatever_both_do(anyio_backend: Backend) -> None:
    outcomes: Counter[str] = Counter()

    @settings(max_examples=120, deadline=None)
    # Both are reset at once, while bytes of each wait for the other.
    @example(
        Script(
            Kind.TCP,
            buffer=16384,
            pipes=0,
            early=(0, 0),
            actions=[
                (1, ("pause", 0), 0),
                (0, ("send", 3 * 2**20), 3),
                (1, ("send", CHUNK - 1), 1),
                (0, ("reset", 0), 0),
                (1, ("reset", 0), 0),
            ],
        )
    )
    @given(script=SCRIPTS)
    def run(script: Script) -> None:
        run_on(anyio_backend, play, script, outcomes)

    run()
    assert {
        "both said their last",
        "reset up",
        "reset down",
        "stalled up",
        "stalled down",
        "spliced",
        "copied",
    } <= set(+outcomes), outcomes


def test_tunnels_that_come_and_go_in_one_batch_never_hear_each_other(anyio_backend: str) -> None:
    outcomes: Counter[str] = Counter()

    @settings(max_examples=80, deadline=None)
    @given(story=STORIES)
    def run(story: Story) -> None:
        run_on(anyio_backend, tell, story, outcomes)

    run()
    assert {
        "both said their last",
        "reset up",
        "reset down",
        "stalled",
        "spliced",
        "copied",
        "opened within a batch",
        "opened beside what was given up",
        "a number came back",
    } <= set(+outcomes), outcomes
