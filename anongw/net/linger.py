"""Last words that arrive: an answer to a client that is still sending.

Closing a socket with unread bytes resets the connection, and the reset can destroy an answer that the client
has not read yet (RFC 9112 §9.6). So we say our last, then read and forget what still comes, within limits.
"""

from anongw.errors import Reason, Refused
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream


async def linger(fiber: Fiber, stream: Stream, *, seconds: float, most: int) -> None:
    """Say our last on `stream`, then discard what it sends until its end, `seconds` or `most` bytes."""
    stream.send_eof()
    fiber.within(seconds, Reason.IDLE_TIMEOUT)
    limit = stream.received + most
    try:
        while stream.received < limit and await stream.fill():
            stream.reader.take()
    except Refused:
        return
