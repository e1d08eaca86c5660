"""Scripts of what a client and a hop behind TLS do, how they are played, and what must be true afterwards.

The scripts, and what an end does with its socket, are those of `tests/support/tunnel_script.py`. A hop that
closes without a close_notify is judged as one that was reset.
"""

import random
import socket
import ssl
from collections import Counter
from contextlib import suppress
from typing import cast

from anongw.errors import Reason
from anongw.net.fiber import Delegate, Fiber
from anongw.net.relay import Relay
from anongw.net.stream import CHUNK, Stream
from anongw.net.tls_client import RECORD_MOST
from tests.support.bridged import Bridged
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import Kind, Peer
from tests.support.tls_peer import serving
from tests.support.tunnel import CountedPipes
from tests.support.tunnel_script import MOST, End, Script

# What each says, so that a byte lost, doubled, swapped or taken from elsewhere shows.
_SAYINGS = (random.Random(3).randbytes(MOST), random.Random(4).randbytes(MOST))


class TlsSocket:
    """A server's end of TLS that looks like a non-blocking socket. It takes all it was given, or nothing."""

    family = socket.AF_INET

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._cipher = b""
        self._plain = bytearray()
        self._ended = False  # the other side said close_notify
        self._last = False  # so did we

    @property
    def unsent(self) -> int:
        return len(self._cipher) + self._outgoing.pending

    def shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            with suppress(BlockingIOError):
                self._hear()
            return False
        finally:
            with suppress(BlockingIOError):
                self.flush()
        return True

    def send(self, data: bytes) -> int:
        self.flush()
        sent = self._tls.write(data[: 2**14])
        with suppress(BlockingIOError):
            self.flush()
        return sent

    def recv(self, most: int) -> bytes:
        with suppress(BlockingIOError):
            self.flush()
        self._decrypt()
        while not (self._plain or self._ended):
            self._hear()
            self._decrypt()
        taken = bytes(self._plain[:most])
        del self._plain[:most]
        return taken

    def shutdown(self, _how: int) -> None:
        self._decrypt()  # with data in it, OpenSSL would fail for good
        self._last = True
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        with suppress(BlockingIOError):
            self.flush()

    def setsockopt(self, *args: object) -> None:
        self._sock.setsockopt(*args)  # type: ignore[call-overload]

    def close(self) -> None:
        self._sock.close()

    def _hear(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionResetError("no close_notify")
        self._incoming.write(data)

    def _decrypt(self) -> None:
        with suppress(ssl.SSLWantReadError):
            try:
                while data := self._tls.read(2**14):
                    self._plain += data
            except ssl.SSLZeroReturnError:
                pass
            self._ended = True

    def flush(self) -> None:
        """Send what is still to be sent, or forget it where nobody takes it any more."""
        try:
            while self._cipher or self._outgoing.pending:
                self._cipher = self._cipher or self._outgoing.read()
                self._cipher = self._cipher[self._sock.send(self._cipher) :]
            if self._last:
                self._sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            raise
        except OSError:
            self._cipher = b""
            self._outgoing.read()


class Hop(End):
    """The far end: what it said may still have to leave."""

    def __init__(self, sock: TlsSocket) -> None:
        super().__init__(Peer(cast("socket.socket", sock)), _SAYINGS[1], 0, 0)
        self._sock = sock

    def move(self) -> bool:
        if not self.gone:
            with suppress(BlockingIOError):
                self._sock.flush()
        return super().move()

    @property
    def over(self) -> bool:
        return super().over and (bool(self.gone) or not self._sock.unsent)


class BridgedTunnel(Bridged):
    """A relay over a bridge."""

    relay: Relay | None = None

    def __init__(self, engine: DrivenEngine, script: Script, pipes: CountedPipes) -> None:
        self.pipes = pipes
        super().__init__(engine, self._relay, kind=script.kind, buffer=script.buffer)

    async def _relay(self, _fiber: Fiber, client: Stream, near: Stream) -> Delegate:
        self.stream = client
        self.relay = Relay(client, near, idle=3600.0, pipes=self.pipes)
        return self.relay


async def play(version: ssl.TLSVersion, script: Script, outcomes: Counter[str]) -> None:
    """Play it, hold it against the rules, and count what happened."""
    pipes = CountedPipes(script.pipes)
    async with driven() as engine:
        tunnel = BridgedTunnel(engine, script, pipes)
        hop = TlsSocket(tunnel.wire.sock, serving(version))
        while not (hop.shake_hands() and tunnel.relay):
            await engine.at_rest()
        ends = (End(tunnel.client, _SAYINGS[0], 0, 0), Hop(hop))
        for which, (action, size), rounds in script.actions:
            ends[which].act(action, size)
            for _ in range(rounds):
                await _round(engine, tunnel, ends, outcomes)
        for end in ends:
            end.act("resume", 0)
            end.act("last", 0)
        while not (tunnel.flow.is_over and tunnel.bridge.ended and all(end.over for end in ends)):
            await _round(engine, tunnel, ends, outcomes)
            engine.sweep()
        _judge(script.kind, tunnel, ends, outcomes)
        assert pipes.all_are_back
        pipes.close()


async def _round(
    engine: DrivenEngine, tunnel: BridgedTunnel, ends: tuple[End, End], outcomes: Counter[str]
) -> None:
    for end in ends:
        end.move()
    await engine.at_rest()
    up, down = tunnel.held
    assert up <= CHUNK + 1024
    assert down <= CHUNK + RECORD_MOST
    outcomes["stalled up"] += up > 0
    outcomes["stalled down"] += down > 0


def _judge(kind: Kind, tunnel: BridgedTunnel, ends: tuple[End, End], outcomes: Counter[str]) -> None:
    client, hop = ends
    for speaker, hearer, stream in ((client, hop, tunnel.stream), (hop, client, tunnel.near)):
        assert hearer.heard == speaker.saying[: len(hearer.heard)], "only what was said, in order"
        if not hearer.gone:
            assert len(hearer.heard) == stream.received, "all that had arrived"
        if not (hearer.gone or speaker.gone):
            assert len(hearer.heard) == speaker.told, "all that was said"
        if speaker.gone and not hearer.gone and not speaker.last:
            # Closing is an end where close_notify need not be said; a Unix socket can say nothing else.
            closed = speaker is client and (speaker.gone == "close" or kind is Kind.UNIX)
            if not closed and not (hearer is client and kind is Kind.UNIX):
                assert hearer.hears == "reset"
                outcomes[f"cut {'up' if speaker is client else 'down'}"] += 1
    if not (client.gone or hop.gone):
        assert (client.hears, hop.hears) == ("last", "last")
        assert tunnel.flow.reasons == [None]
        outcomes["both said their last"] += 1
    assert tunnel.flow.reasons[0] in (None, Reason.CLIENT_GONE, Reason.UPSTREAM_CLOSED)
