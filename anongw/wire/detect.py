"""Which protocol does a client speak? Its first byte tells, and stays where it is.

Rule: what cannot be SOCKS4, SOCKS5 or the first line of an HTTP request is refused, never guessed at.
"""

import enum
from collections.abc import Generator

from anongw.errors import Reason, Refused
from anongw.wire.reader import Reader


class Protocol(enum.Enum):
    """What a listener understands. The value is what the log calls it."""

    SOCKS5 = "socks5"
    SOCKS4 = "socks4"
    HTTP = "http"


# Every method that we forward begins with a capital letter; RFC 9112 §2.2 allows an empty line before it.
_FIRST = {
    b"\x05": Protocol.SOCKS5,
    b"\x04": Protocol.SOCKS4,
    **{bytes((byte,)): Protocol.HTTP for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n"},
}
_TLS_HANDSHAKE = b"\x16"


def detect(reader: Reader) -> Generator[None, None, Protocol]:
    """Look at the first byte.

    Raises:
        Refused: UNSUPPORTED_PROTOCOL.
        EOFError: the client closed without a word.
    """
    first = yield from reader.peek(1)
    protocol = _FIRST.get(first)
    if protocol is None:
        what = "TLS, on a listener without" if first == _TLS_HANDSHAKE else f"first byte {first[0]:#04x}"
        raise Refused(Reason.UNSUPPORTED_PROTOCOL, what)
    return protocol
