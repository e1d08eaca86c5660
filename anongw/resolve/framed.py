"""Questions on a plain stream of messages: DNS over TCP (RFC 7766) and over TLS (RFC 7858).

Pipelined: the answers come in any order and are told apart by their ids, which are drawn at random and never
used twice at a time.
"""

from collections.abc import Callable

from anyio.abc import ByteStream

from anongw.resolve.link import AT_ONCE_MOST, IDLE_MOST, Asked, Link
from anongw.wire import dns

_LENGTH = 2  # RFC 1035 §4.2.2: "a two byte length field"


class Framed(Link):
    """DNS messages with their length before them. `draw_id` gives a random message id."""

    def __init__(
        self, stream: ByteStream, draw_id: Callable[[], int], *, padded: bool, idle: float = IDLE_MOST
    ) -> None:
        super().__init__(stream, AT_ONCE_MOST, idle)
        self._draw_id = draw_id
        self._padded = padded
        self._arrived = bytearray()
        self._leaving = bytearray()

    def _put(self, question: dns.Question) -> tuple[int, Asked]:
        message_id = self._draw_id()
        while message_id in self._asked:
            message_id = self._draw_id()
        wire = dns.query(question, message_id, padded=self._padded)
        # RFC 7766 §8: length and message "at the same time", in one write.
        self._leaving += len(wire).to_bytes(_LENGTH, "big") + wire
        return message_id, Asked(message_id)

    def _take(self, data: bytes) -> None:
        self._arrived += data
        while len(self._arrived) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._arrived[:_LENGTH], "big")
            if len(self._arrived) < end:
                return
            message = bytes(self._arrived[_LENGTH:end])
            del self._arrived[:end]
            # An id that nobody waits for: the late answer to a question that was given up.
            if asked := self._asked.get(int.from_bytes(message[:2], "big")):
                asked.answered(message)

    def _outgoing(self) -> bytes:
        data = bytes(self._leaving)
        self._leaving.clear()
        return data

    def _forget(self, key: int) -> None:
        """Nothing to take back: the answer will come and find nobody."""
