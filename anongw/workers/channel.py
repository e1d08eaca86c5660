"""What the parent and a worker say to each other: messages over a pair of sockets that only they have.

Messages are pickled: both ends are one program, forked, and nothing that came from outside can be one. None
goes to disk, and secrets among them (a config's) are seen by nobody.
"""

import pickle
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from anongw.config import Config
from anongw.log import Counters
from anongw.wire.control import Fields

# Seconds to wait for the other to take a message. It takes them between two turns, within milliseconds; one
# that does not is stuck.
SENDING = 10
# socket(7), SO_SNDTIMEO: a struct timeval.
_TIMEVAL = struct.Struct("@ll")
_LENGTH_BYTES = 4
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Ask:
    """A command of the control socket: of the worker that was asked, then of the parent to all of them."""

    number: int
    command: str
    arguments: Fields


@dataclass(frozen=True, slots=True)
class Prepare:
    """Have all ready that this config needs."""

    number: int
    config: Config


@dataclass(frozen=True, slots=True)
class Commit:
    """Go by what was prepared."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Forget what was prepared."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Take no more connections, and let those that move come to their end."""


@dataclass(frozen=True, slots=True)
class End:
    """Wait for nobody any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of `Ask` or `Prepare`. An `error` is for a person: then it was not done."""

    number: int
    fields: Fields = field(default_factory=dict)
    error: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker ends because of this."""

    error: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The worker ends as it should; what it did."""

    counters: Counters


ToWorker = Ask | Prepare | Commit | Abandon | Answer | Stop | End
ToParent = Ask | Answer | Ready | Failed | Ended


class Channel:
    """One end."""

    def __init__(self, sock: socket.socket) -> None:
        # The kernel's own limit: Python's would have every receive wait as well.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(SENDING, 0))
        self.sock = sock
        self._received = bytearray()

    def send(self, message: ToWorker | ToParent) -> None:
        """Say something.

        Raises:
            OSError: the other is gone, or does not listen.
        """
        data = pickle.dumps(message)
        self.sock.sendall(len(data).to_bytes(_LENGTH_BYTES) + data)

    def receive(self) -> list[ToWorker | ToParent]:
        """What has come since, without waiting.

        Raises:
            EOFError: nothing has, and nothing will.
        """
        try:
            data = self.sock.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            raise EOFError
        self._received += data
        return list(self._messages())

    def close(self) -> None:
        self.sock.close()

    def _messages(self) -> Iterator[ToWorker | ToParent]:
        while len(self._received) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._received[:_LENGTH_BYTES])
            if len(self._received) < end:
                return
            data = bytes(self._received[_LENGTH_BYTES:end])
            del self._received[:end]
            yield pickle.loads(data)  # noqa: S301 - from nobody but our own other half, see above


def pair() -> tuple[Channel, Channel]:
    """The parent's end and the worker's."""
    one, other = socket.socketpair()
    return Channel(one), Channel(other)
