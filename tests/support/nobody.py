"""Where nobody answers: a port that is taken, so that no other program gets it, and refuses."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nobody() -> Iterator[int]:
    """A port of 127.0.0.1, for as long as the block."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        yield port
