"""One plain HTTP request and its answer, as values, and the shape of whoever handles them.

A Handler takes a Request and returns a Response; it may wrap another one (clean wraps forward). Bodies are
not in these values but on streams: an `Inflow` is read piece by piece, so that a body of any size passes in
constant memory, as fast as the slower side takes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.pour import pour
from anongw.net.stream import CHUNK, Stream
from anongw.net.wait import Side
from anongw.wire.body import Body, LengthBody
from anongw.wire.http1 import Answers, Framing, Headers, Mark
from anongw.wire.memo import Memo

# A body of which fewer bytes are to come is copied: most small ones come with their head.
POUR_LEAST = CHUNK


class Inflow:
    """A message's body, arriving on a stream."""

    __slots__ = ("_body", "stream")

    def __init__(self, stream: Stream, body: Body) -> None:
        self.stream = stream
        self._body = body

    @property
    def complete(self) -> bool:
        """All of it has been read."""
        return self._body.done

    def take(self) -> bytes:
        """What is here already, without waiting; b"" if nothing is, or nothing is left."""
        if self._body.done:
            return b""
        try:
            return self._body.decode(self.stream.reader, CHUNK)
        except EOFError as short:
            raise Refused(self.stream.lost, str(short)) from None

    async def read(self) -> bytes:
        """The next piece; b"" at the end.

        Raises:
            Refused: the body is malformed; with the stream's `lost`, if it broke off.
        """
        # What is here is judged before anybody else has a turn: an origin that answers early must not win
        # over a body that is known to be malformed.
        piece = self.take()
        await self.stream.give_way()
        while not piece and not self._body.done:
            await self.stream.fill()
            piece = self.take()
        return piece

    async def pour(self, sink: Stream, pipes: Pipes, due: Callable[[Stream], None]) -> None:
        """Pass on what the kernel can move by itself, of a body whose length is known; perhaps nothing.

        Raises:
            Refused: with the `lost` of the stream that broke.
        """
        body = self._body
        if isinstance(body, LengthBody) and body.left >= POUR_LEAST and not len(self.stream.reader):
            body.passed(await pour(self.stream, sink, body.left, pipes, due=due))


class Ready(NamedTuple):
    """Header lines as they leave."""

    headers: Headers
    sent: bytes  # the same as they are sent; of an answer its whole head
    unknown: int  # lines that were dropped because no list names them


class Memory:
    """What was made of a client's messages and of their answers before, on its connection; see wire/memo.py.

    What is cleaned depends on the rules too: a reload begins with another one.
    """

    __slots__ = ("answered", "answers", "asked")

    def __init__(self, most: int) -> None:
        # By a request's lines and its origin.
        self.asked: Memo[tuple[Mark, bytes], Ready] = Memo(most)
        self.answers: Answers = Answers(most)
        # By an answer's lines, and what it answers.
        self.answered: Memo[tuple[Mark, Mark, bytes], Ready] = Memo(most)


class Stall:
    """Sets the deadline of a stream that is to take or give the next bytes of a body."""

    __slots__ = ("_client", "_fiber", "_seconds")

    def __init__(self, fiber: Fiber, seconds: float, client: Stream) -> None:
        self._fiber = fiber
        self._seconds = seconds
        self._client = client

    def __call__(self, stream: Stream) -> None:
        reason = Reason.IDLE_TIMEOUT if stream is self._client else Reason.UPSTREAM_TIMEOUT
        self._fiber.within(self._seconds, reason)


@dataclass(slots=True)
class Request:
    """What a client asks of an origin."""

    method: bytes
    target: Endpoint
    authority: bytes  # the target, as `Host` says it
    path: bytes  # origin-form: path and query
    headers: Headers
    ready: bytes | None  # these headers as they are sent, once somebody has made them ready; see Clean
    framing: Framing
    body: Inflow | None  # None: there is none
    minor: int  # the client speaks HTTP/1.0 or HTTP/1.1
    websocket: bool
    expects_continue: bool
    flow: Flow
    mark: Mark | None  # of `headers` as they came
    memory: Memory


@dataclass(slots=True)
class Response:
    """What the origin answered, with the streams that the rest of the exchange runs on."""

    status: int
    reason: bytes
    headers: Headers
    framing: Framing
    body: Inflow | None
    upstream: Stream
    keep_alive: bool  # the origin will take another request on this connection
    upload: Side | None  # the rest of the request's body, still on its way
    mark: Mark | None = None  # of `headers` as they came
    ready: bytes | None = None  # its head as it is sent, `Connection` apart, once somebody has made it ready


class Handler(Protocol):
    """Answers a request, itself or with the help of the next one."""

    async def __call__(self, request: Request, fiber: Fiber) -> Response: ...
