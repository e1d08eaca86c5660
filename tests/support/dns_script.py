"""What the fake DNS server is told to do, and what it has seen."""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.message


class Fault(enum.Enum):
    SILENCE = "says nothing"
    HOLD = "answers when the test lets it"
    GARBAGE = "answers with bytes that are no message"
    TRUNCATED = "answers with TC set"
    FORGED_ID = "sends a false answer under another id, then the true one"
    FORGED_QUESTION = "sends an answer to another question, then the true one"
    WRONG_QUESTION = "answers another question"
    SERVFAIL = "could not find out"
    CLOSE = "closes in the middle of the answer"
    GOAWAY = "HTTP/2: sends GOAWAY, and the answer in the same write"
    RESET = "HTTP/2: resets the stream"
    STATUS = "HTTP: status 500"
    MEDIA_TYPE = "HTTP: an HTML page"
    HUGE = "HTTP: a body longer than any message"
    EARLY_HINTS = "HTTP: an interim response first"
    LAST = "HTTP/1.1: answers, and closes"
    TWICE = "HTTP/1.1: answers twice"


@dataclass
class Seen:
    """A question as it arrived."""

    transport: str  # udp, tcp, tls, h2, h1
    connection: int
    wire: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    fault: Fault | None = None

    @property
    def message(self) -> dns.message.Message:
        return dns.message.from_wire(self.wire)

    @property
    def name(self) -> str:
        return self.message.question[0].name.to_text(omit_final_dot=True)

    @property
    def kind(self) -> str:
        return self.message.question[0].rdtype.name


Script = Callable[[Seen], Fault | None]


def always(fault: Fault, *, transport: str = "", kind: str = "") -> Script:
    """The fault for every question, or only for those by a transport or for a kind."""
    return lambda seen: fault if transport in ("", seen.transport) and kind in ("", seen.kind) else None


def first(fault: Fault, count: int = 1) -> Script:
    """The fault for the first questions, none later."""
    left = [fault] * count
    return lambda _: left.pop() if left else None
