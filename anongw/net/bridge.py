"""A *bridge*: TLS to a hop, for code that the engine drives, which sees a plain socket.

`secure` shakes hands over a stream and returns another: one end of a pair of sockets, whose other end the
bridge keeps. What is written to it leaves by the first, encrypted, and the other way round. So splice, the
pool of kept connections and a second TLS work on it as on any stream, and whoever has it may change.

The bridge has two sides, *near* (plain bytes, whoever uses the hop) and *far* (TLS, the hop). It works by
callbacks from the engine and belongs to no flow. Rules, each with its test:

- Nothing is sent or heard before the certificate, or the pinned key, is what it must be.
- A break is never an end: unless the hop said close_notify, the near side is `cut` before it ends.
- Each direction ends on its own: a side that has said its last still gets all that the other sends.
- A chunk a direction, and the record that began before it, are all that is held here. Neither side is heard
  while the other takes no more.
- What the near side wrote before it was closed is sent, for `LINGER` seconds; after its reset nothing is.
- A wake-up moves at most `BUDGET` bytes a direction, so that nobody starves.
- A side that hung up is told of once and stays in the epoll, where an engine that shuts finds every bridge.
"""

import math
import select
import socket
import ssl
from contextlib import suppress

from anongw.errors import Reason, Refused
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.stream import CHUNK, Stream
from anongw.net.tls_client import TlsClient
from anongw.net.wait import GONE, READ, WRITE

# Bytes moved in one direction by one wake-up: about 0.3 ms of work.
BUDGET = 256 * 1024
# Seconds that a hop has for taking what was written before the near side was closed. Then it sees a reset.
LINGER = 5.0

# Edge-triggered, with nothing asked for: a hang-up is told once. Level-triggered, epoll tells it for ever.
_HANG_UP_ONCE = select.EPOLLET


async def secure(
    fiber: Fiber, stream: Stream, context: ssl.SSLContext, name: str, *, pin: bytes = b""
) -> Stream:
    """Speak TLS over `stream` as a client, and return the stream of plain bytes to use instead.

    The certificate must bear `name`, by `context`; with a `pin` (SHA-256) the peer's key must be that one as
    well. `stream` is the fiber's no longer, and is closed where this fails. The caller bounds it with
    `fiber.within`.

    Raises:
        Refused: HOP_TLS, HOP_MALFORMED, HOP_CLOSED; RESOURCES where there is no descriptor left.
    """
    try:
        client = TlsClient(context, name, pin)
        await _shake_hands(stream, client)
        near = _bridge(fiber, stream, client)
    except BaseException:
        fiber.give_up(stream)
        stream.close()
        raise
    fiber.give_up(stream)
    fiber.take(near)
    return near


async def _shake_hands(stream: Stream, client: TlsClient) -> None:
    try:
        while not client.shake_hands(stream.reader.take(), eof=stream.reader.eof):
            await stream.send(client.take())
            await stream.fill()
        await stream.send(client.take())
    except Refused as refused:
        stream.send_now(client.take())  # the alert, if there is one
        if refused.reason is stream.lost:
            raise Refused(Reason.HOP_CLOSED, refused.detail) from None
        raise


def _bridge(fiber: Fiber, stream: Stream, client: TlsClient) -> Stream:
    assert isinstance(fiber.engine, Engine)  # noqa: S101 - for the type checker: a fiber's host is one
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError:
        raise Refused(Reason.RESOURCES) from None
    bridge = Bridge(fiber.engine, stream, ours, theirs, client)
    bridge.start()
    return bridge.near


class Near(Stream):
    """What `secure` returns. What was written to it is under way until the hop has it."""

    __slots__ = ("bridge",)

    bridge: "Bridge | None"

    def unsent(self) -> int:
        return super().unsent() + (self.bridge.unsent() if self.bridge is not None else 0)


class Bridge:
    """Both sides, until both have ended; the owner of `far` and of the inner end of the pair."""

    __slots__ = (
        "_cipher",
        "_client",
        "_deaf",
        "_engine",
        "_far",
        "_finished",
        "_inner",
        "_linger_until",
        "_near_ended",
        "_plain",
        "_told",
        "_unsaid",
        "ended",
        "near",
    )

    def __init__(
        self, engine: Engine, far: Stream, ours: socket.socket, theirs: socket.socket, client: TlsClient
    ) -> None:
        self.near = Near(theirs, engine, self, far.lost)
        self.near.bridge = self
        self.ended = False
        self._engine = engine
        self._client = client
        self._far = far
        self._inner = Stream(ours, engine, self, far.lost)
        self._unsaid: memoryview | None = None  # read from the near side and not yet encrypted
        self._cipher: memoryview | None = None  # encrypted and not yet taken by the hop
        self._plain: memoryview | None = None  # decrypted and not yet taken by the near side
        self._near_ended = False  # the near side has said its last
        self._finished = False  # and the hop was told
        self._told = False  # the hop has said its last, and the near side was told
        self._deaf = False  # the hop takes nothing more
        self._linger_until = math.inf  # on the engine's clock, once the near side is closed

    def start(self) -> None:
        """Take over. What the hop has said along with the end of its handshake comes first.

        Raises:
            Refused: RESOURCES; then everything is closed.
        """
        self._far.owner = self
        try:
            self._engine.watch(self._inner, READ)
            self._take_in(b"")
            self._go_on()
        except BaseException:
            self._end(cut=True)
            self.near.close()
            raise

    def ready(self, stream: Stream, events: int) -> None:
        try:
            if stream is self._inner:
                self._near_stirs(events)
            else:
                self._far_stirs(events)
            self._go_on()
        except Exception as bug:  # noqa: BLE001 - whatever it is, it ends this bridge and nothing else
            self._engine.note_bug(bug)
            self._end(cut=True)

    def unsent(self) -> int:
        """Bytes that are under way to the hop."""
        if self.ended or self._deaf:
            return 0
        held = sum(len(waiting) for waiting in (self._unsaid, self._cipher) if waiting is not None)
        return held + self._client.waiting + self._far.unsent()

    # From the near side to the far one

    def _near_stirs(self, events: int) -> None:
        if self._plain is not None and events & (WRITE | GONE):
            self._deliver(self._plain)
            self._decrypt()
        if events & (READ | GONE):
            self._encrypt()

    @property
    def _speaks(self) -> bool:
        """More of what the near side says can be passed on."""
        over = self._near_ended or self._deaf or self.near.was_reset
        return not over and self._unsaid is None and self._cipher is None

    def _encrypt(self) -> None:
        """Pass on what there is, until there is no more, it is not taken any more, or the budget is spent."""
        budget = BUDGET
        while budget > 0 and self._speaks:
            try:
                count = self._inner.sock.recv_into(self._engine.buffer, CHUNK)
            except BlockingIOError:
                return
            except OSError:
                count = 0  # closed before it had read all
            if not count:
                self._near_ended = True
                self._client.say_last()
                self._send()
                return
            self._say(self._engine.view[:count])
            if count < CHUNK:
                return  # level-triggered: if more came since, we are told again
            budget -= count

    def _say(self, data: memoryview) -> None:
        rest = self._client.encrypt(data)
        self._unsaid = memoryview(bytes(rest)) if rest else None
        self._send()

    def _send(self) -> None:
        """Send what is encrypted; what the hop does not take waits."""
        while self._cipher is not None or self._client.waiting:
            data = memoryview(self._client.take()) if self._cipher is None else self._cipher
            self._cipher = data[self._hop_takes(data) :] or None
            if self._cipher is not None:
                return

    def _hop_takes(self, data: memoryview) -> int:
        try:
            sent = self._far.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._lose_the_hops_ear()
            return len(data)
        self._far.sent += sent
        return sent

    def _lose_the_hops_ear(self) -> None:
        """The hop takes nothing more. It may have said something before that."""
        self._deaf = True
        self._unsaid = self._cipher = None
        # Whoever writes to the near side is to know at once. What it has written is discarded: a Unix socket
        # that is closed with unread bytes resets its peer, which may hear a clean end yet.
        with suppress(OSError):
            self._inner.sock.shutdown(socket.SHUT_RD)
            while self._inner.sock.recv_into(self._engine.buffer, CHUNK):
                pass

    # From the far side to the near one

    def _far_stirs(self, events: int) -> None:
        if self._cipher is not None and events & WRITE:
            self._send()
            self._encrypt()
        if events & GONE and not (self._deaf or self._finished):
            # A reset: it cannot be both sides' last, for we have not said ours.
            self._lose_the_hops_ear()
        if events & (READ | GONE):
            self._decrypt()

    @property
    def _hears(self) -> bool:
        """More of what the hop says can be passed on."""
        over = self._client.ended or self._client.broken
        # A hop that asks and does not take the answers is not heard either: they would pile up here.
        return not over and self._plain is None and self._client.waiting <= CHUNK

    def _decrypt(self) -> None:
        """As `_encrypt`, the other way."""
        budget = BUDGET
        while budget > 0 and self._hears:
            try:
                count = self._far.sock.recv_into(self._engine.buffer, CHUNK)
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count:
                # RFC 8446 §6.1: without close_notify it is no end, for anybody on the way can make one.
                self._client.broken = True
                return
            self._far.received += count
            self._take_in(self._engine.view[:count])
            if count < CHUNK:
                return
            budget -= count

    def _take_in(self, data: memoryview | bytes) -> None:
        plain = self._client.decrypt(data)
        if plain:
            self._deliver(memoryview(plain))
        self._send()  # alerts and the like
        if self._client.broken:
            self._lose_the_hops_ear()
        elif self._unsaid is not None:
            self._say(self._unsaid)

    def _deliver(self, data: memoryview) -> None:
        try:
            sent = self._inner.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(data)  # the near side is closed: nobody wants it
        self._plain = data[sent:] or None

    # Endings

    def _go_on(self) -> None:
        """End what is over, and listen for what is not."""
        if self.near.was_reset:
            self._far.reset()
            self._end()
        elif self._client.broken and self._plain is None:
            self._end(cut=True)
        else:
            self._pass_ends_on()
        if not self.ended:
            self._listen()

    def _pass_ends_on(self) -> None:
        if self._client.ended and self._plain is None and not self._told:
            self._told = True
            self._inner.send_eof()
        if self._near_ended and self._cipher is None and not self._finished:
            self._finished = True
            self._far.send_eof()
        if (self._told or self.near.closed) and (self._finished or self._deaf):
            self._end()
        elif self.near.closed and self._linger_until == math.inf:
            self._linger_until = self._engine.now + LINGER
            self._engine.on_sweep.append(self._sweep)

    def _sweep(self, now: float) -> None:
        if not self.ended and now >= self._linger_until:
            self._far.reset()  # what it got is not all there was
            self._end()

    def _listen(self) -> None:
        inner = READ if self._speaks else 0
        far = READ if self._hears else 0
        if self._plain is not None:
            inner |= WRITE
        if self._cipher is not None:
            far |= WRITE
        self._engine.watch(self._inner, inner or _HANG_UP_ONCE)
        self._engine.watch(self._far, far or _HANG_UP_ONCE)

    def _end(self, *, cut: bool = False) -> None:
        self.ended = True
        self.near.bridge = None
        self.near.cut = cut
        if self._linger_until < math.inf:
            # Another list, for this one may be in the middle of being walked through.
            self._engine.on_sweep = [look for look in self._engine.on_sweep if look != self._sweep]
        self._engine.close(self._inner)
        self._engine.close(self._far)
