"""Bytes from one stream to another by splice, for code that the engine drives: they never enter this process.

For the body of a message whose length is known and which nobody here reads. The relay does the same for
tunnels, by callbacks.

Rules: a pipe with bytes in it belongs to one transfer, and is closed if that ends early; a transfer whose
source has nothing holds no pipe; others have their turn after `BUDGET` bytes, if they have waited for long.
"""

import os
from collections.abc import Callable

from anongw.net.pipes import BUDGET, SPLICE_FLAGS, Pipe, Pipes
from anongw.net.stream import Stream
from anongw.net.wait import READ, WRITE, Source, park


async def pour(
    source: Stream, sink: Stream, most: int, pipes: Pipes, *, due: Callable[[Stream], None]
) -> int:
    """Move at most `most` bytes; how many. Fewer, even none: go on by reading, which tells why.

    Args:
        source: nothing that it has said may be in its reader.
        sink: likewise, nothing that it shall hear may be on its way from elsewhere.
        most: in bytes.
        pipes: where to get one; if there is none, nothing is moved.
        due: called with the stream that is to give or take bytes next, each time: sets the flow's deadline.

    Raises:
        Refused: with the `lost` of the stream that broke.

    """
    moved = piped = 0
    pipe: Pipe | None = None
    woken: Source | None = None  # it was waited for, and nothing has come since
    try:
        while moved < most and (pipe := pipe or pipes.borrow()):
            due(source)
            taken = _splice(source.fd, pipe[1], min(BUDGET, most - moved), source)
            if taken is None and not woken:
                pipes.give_back(pipe, clean=True)
                pipe = None
                woken = await park((source, READ))
                continue
            if not taken:
                # An end; or readable and yet nothing, as at urgent data, where splice(2) stops for good.
                break
            woken = None
            source.received += taken
            source.spoke_last = False
            moved += taken
            piped = taken
            due(sink)
            while piped:
                given = _splice(pipe[0], sink.fd, piped, sink)
                if given is None:
                    await park((sink, WRITE))
                    continue
                piped -= given
                sink.sent += given
                sink.spoke_last = True
            await source.give_way()
    finally:
        if pipe is not None:
            pipes.give_back(pipe, clean=not piped)
    return moved


def _splice(source: int, sink: int, most: int, stream: Stream) -> int | None:
    """The bytes that went from one descriptor to the other; None: `stream`, one of them, is not ready."""
    try:
        return os.splice(source, sink, most, flags=SPLICE_FLAGS)
    except BlockingIOError:
        return None
    except OSError as error:
        raise stream.broke(error) from None
