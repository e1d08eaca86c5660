"""How a tunnel ends: each direction on its own, and a reset as a reset, after all that came before it."""

import socket
from contextlib import suppress

import pytest

from anongw.errors import Reason
from anongw.net.relay import RESET_PATIENCE
from anongw.net.wait import READ
from tests.support.sockets import Kind
from tests.support.tunnel import DATA, SMALL, SPLICED, WAYS, ends, relaying, stall, until_untaken

KINDS = pytest.mark.parametrize("kind", list(Kind))


@KINDS
@WAYS
async def test_a_side_that_said_its_last_still_hears_everything(
    kind: Kind,
    upwards: bool,  # noqa: FBT001
) -> None:
    async with relaying(kind=kind) as (engine, tunnel, _):
        first, second = ends(tunnel, upwards=upwards)
        await first.send(b"question")
        first.last()
        assert await second.rest() == b"question"
        await engine.at_rest()
        assert await engine.at_rest() == 0, "a half-closed tunnel costs no turns"
        await second.send(DATA[:100_000])
        second.last()
        assert await first.rest() == DATA[:100_000]
        assert await tunnel.over() is None


@KINDS
async def test_an_end_waits_for_what_is_still_on_its_way(kind: Kind) -> None:
    async with relaying(kind=kind, buffer=SMALL) as (engine, tunnel, _):
        sent = await stall(engine, tunnel.client)
        tunnel.client.last()
        tunnel.origin.last()
        await engine.at_rest()
        assert not tunnel.flow.is_over
        assert await tunnel.origin.rest() == bytes(sent)
        assert await tunnel.client.rest() == b""
        assert await tunnel.over() is None


@SPLICED
@WAYS
async def test_a_reset_is_passed_on_after_all_that_came_before_it(
    budget: int,
    upwards: bool,  # noqa: FBT001
) -> None:
    async with relaying(budget, buffer=SMALL) as (engine, tunnel, _):
        speaker, hearer = ends(tunnel, upwards=upwards)
        lost = Reason.CLIENT_GONE if upwards else Reason.UPSTREAM_CLOSED
        await speaker.send(DATA[:60_000])
        await engine.at_rest()
        speaker.reset()
        await engine.at_rest()
        heard = await hearer.rest_until_reset()
        assert heard == DATA[: len(heard)]
        stream = tunnel.near if upwards else tunnel.far
        assert len(heard) == stream.received, "everything that had arrived"
        assert await tunnel.over() is lost


@WAYS
async def test_a_reset_of_a_side_that_had_said_its_last_is_passed_on(upwards: bool) -> None:  # noqa: FBT001
    async with relaying() as (engine, tunnel, _):
        speaker, hearer = ends(tunnel, upwards=upwards)
        await speaker.send(b"all I wanted")
        speaker.last()
        await engine.at_rest()
        speaker.reset()
        assert await hearer.exactly(12) == b"all I wanted"
        assert await hearer.receive() == b""
        await tunnel.over()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await hearer.send(b"nobody is there")


@WAYS
async def test_a_reset_that_a_write_finds_first_still_lets_the_last_words_through(
    upwards: bool,  # noqa: FBT001
) -> None:
    # The engine hears of both in one batch: the hearer's data is served first, and its write fails. The
    # failed write takes the error away, so the speaker's socket then looks as if it had ended well.
    async with relaying() as (_, tunnel, _pipes):
        speaker, hearer = ends(tunnel, upwards=upwards)
        out = tunnel.near if upwards else tunnel.far
        back = tunnel.far if upwards else tunnel.near
        await hearer.send(b"to nobody")
        await speaker.send(b"last words")
        speaker.reset()
        tunnel.relay.ready(back, READ)  # before the engine had a look
        assert out.received == 10
        assert await hearer.rest_until_reset() == b"last words"


async def test_a_reset_waits_until_what_came_before_it_is_taken_and_costs_no_turns() -> None:
    async with relaying(buffer=SMALL) as (engine, tunnel, _):
        await until_untaken(engine, tunnel)
        tunnel.client.reset()
        await engine.at_rest()
        assert not tunnel.flow.is_over
        assert await engine.at_rest() == 0, "it is the sweep that looks"
        heard = await tunnel.origin.rest_until_reset()
        assert len(heard) == tunnel.near.received
        assert await tunnel.over() is Reason.CLIENT_GONE


async def test_a_reset_waits_for_a_stopped_reader_no_longer_than_its_patience() -> None:
    async with relaying(buffer=SMALL) as (engine, tunnel, _):
        await until_untaken(engine, tunnel)
        tunnel.client.reset()
        await engine.at_rest()
        tunnel.relay.tick(engine.now + RESET_PATIENCE - 1)
        assert not tunnel.flow.is_over
        tunnel.relay.tick(engine.now + RESET_PATIENCE)
        assert await tunnel.over() is Reason.CLIENT_GONE


async def test_a_reset_of_both_sides_ends_the_tunnel() -> None:
    async with relaying(buffer=SMALL) as (engine, tunnel, _):
        await stall(engine, tunnel.client)
        await stall(engine, tunnel.origin)
        tunnel.client.reset()
        tunnel.origin.reset()
        assert await tunnel.over() in (Reason.CLIENT_GONE, Reason.UPSTREAM_CLOSED)


@KINDS
async def test_both_sides_may_be_gone_before_the_engine_looks(kind: Kind) -> None:
    async with relaying(kind=kind) as (_, tunnel, _pipes):
        for peer in (tunnel.client, tunnel.origin):
            await peer.send(b"last words to nobody")
            if kind is Kind.TCP:
                peer.reset()
            else:
                peer.close()
        assert await tunnel.over() in (Reason.CLIENT_GONE, Reason.UPSTREAM_CLOSED)


@KINDS
@WAYS
async def test_a_side_that_closes_while_the_other_still_talks_ends_it(
    kind: Kind,
    upwards: bool,  # noqa: FBT001
) -> None:
    async with relaying(kind=kind) as (engine, tunnel, _):
        leaver, talker = ends(tunnel, upwards=upwards)
        leaver.close()
        assert await talker.receive() == b""
        # The first goes to nobody and finds that out; so the next but one finds the talker's own end closed.
        for _ in range(2):
            with suppress(ConnectionResetError, BrokenPipeError):
                await talker.send(b"are you there?")
            await engine.at_rest()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await talker.send(b"are you there?")
        assert await tunnel.over() is (Reason.CLIENT_GONE if upwards else Reason.UPSTREAM_CLOSED)


@SPLICED
async def test_urgent_data_neither_ends_a_tunnel_nor_stops_it(budget: int) -> None:
    """splice(2) stops at an urgent byte and, with an end behind it, says that there is no more."""
    async with relaying(budget) as (engine, tunnel, _):
        await tunnel.origin.send(DATA[:400_000])
        await engine.at_rest()
        tunnel.origin.sock.send(b"!", socket.MSG_OOB)
        await tunnel.origin.send(DATA[400_000:900_000])
        tunnel.origin.last()
        heard = await tunnel.client.rest()
        assert heard == DATA[:900_000], "all but the urgent byte, which is out of band"
        tunnel.client.last()
        assert await tunnel.over() is None


async def test_a_side_that_was_reset_does_not_wait_long_for_one_that_does_not_read() -> None:
    async with relaying(buffer=SMALL) as (engine, tunnel, _):
        await stall(engine, tunnel.client)
        tunnel.client.reset()
        await engine.at_rest()
        assert not tunnel.flow.is_over
        assert tunnel.flow.fiber.wake_at <= engine.now + RESET_PATIENCE
