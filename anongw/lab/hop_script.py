"""What a fake hop is told to do, and what it has seen."""

import enum
from dataclasses import dataclass, field

# What it keeps of what one client says, in bytes: enough for whatever a test looks for.
KEPT_MOST = 1 << 20


class Phase(enum.Enum):
    """Where a hop has something to say."""

    ACCEPT = "before anything, TLS too"
    METHOD = "the answer to a SOCKS5 greeting"
    LOGIN = "the answer to a SOCKS5 login"
    REPLY = "the answer to the request"


class Manner(enum.Enum):
    """How it says it."""

    PLAINLY = "in one piece"
    BYTEWISE = "in as many packets as bytes"
    HALF = "half of it, and then its last (FIN)"
    # With nothing to say instead, these three say nothing at all.
    HANG = "and nothing more, until the client gives up"
    CLOSE = "and then its last (FIN)"
    RESET = "and then a reset"


@dataclass(frozen=True)
class Fault:
    r"""One deviation. `says` comes instead of the right answer, and the hop goes on as if it meant it.

    Fault(Phase.REPLY, Manner.HANG)                     hangs after the request
    Fault(Phase.METHOD, says=b"\x05\x00")               wants no login, whatever was on offer
    Fault(Phase.REPLY, says=asks.socks5_reply(5))       refuses
    Fault(Phase.REPLY, Manner.RESET, says=b"\x05")      resets after the first byte
    """

    phase: Phase
    manner: Manner = Manner.PLAINLY
    says: bytes | None = None


@dataclass(frozen=True)
class Cut:
    """The hop dies in the middle of a relay, after so many bytes for the client (`upwards`: from the client).

    Over TLS a FIN comes without the alert that announces a whole end, as when a program is killed.
    """

    after: int
    manner: Manner  # CLOSE or RESET
    upwards: bool = False


@dataclass
class Seen:
    """One connection to the hop."""

    peer: tuple[str, int]
    heard: bytearray = field(default_factory=bytearray)  # all that the client said, inside TLS
    server_name: str | None = None  # SNI
    methods: bytes = b""  # SOCKS5: on offer
    user: str | None = None  # SOCKS4: the user id
    password: str | None = None
    head: bytes = b""  # HTTP: the whole head
    host: str = ""  # a name as it came, an address in its canonical spelling
    kind: str = ""  # of the host: "name", "ipv4" or "ipv6"; HTTP says everything in words
    port: int = 0
    payload: int = 0  # place in `heard` where the handshake is over
    ended: str = ""  # "" while it lives; then "whole", "broken", or in the handshake "left" or "fault"

    @property
    def target(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def carried(self) -> bytes:
        """What the client said to whoever it asked for."""
        return bytes(self.heard[self.payload :]) if self.payload else b""
