"""A connected UDP socket for code that runs in an anyio task: one question to one resolver.

Connected, so that the kernel drops what comes from anywhere but the peer, and with a port that the kernel
draws anew for every socket: a forger must guess it (RFC 5452 §9.2).
"""

import socket
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel

from anongw.address import Address
from anongw.net.egress import ANYWHERE, Egress
from anongw.net.reasons import refusal
from anongw.net.task_stream import open_socket, sockaddr

# The largest UDP payload there is, in bytes: a shorter buffer would cut a datagram in silence.
DATAGRAM_MOST = 65535


class Datagram:
    """A UDP socket with one peer. A context manager; leaving it closes the socket."""

    def __init__(self, address: Address, port: int, egress: Egress = ANYWHERE) -> None:
        """Open the socket; nothing is sent yet.

        Raises:
            Refused: NETWORK_UNREACHABLE, HOST_UNREACHABLE, RESOURCES or EGRESS_GONE.
        """
        self._sock = open_socket(address, socket.SOCK_DGRAM, egress)
        try:
            self._sock.connect(sockaddr(address, port))
        except OSError as error:
            self._sock.close()
            raise refusal(error) from None

    async def send(self, data: bytes) -> None:
        """Send one datagram.

        Raises:
            Refused: as for a connection; CONNECTION_REFUSED where the peer said that nobody listens.
        """
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                self._sock.send(data)
            except BlockingIOError:
                await anyio.wait_writable(self._sock)
            except OSError as error:
                raise refusal(error) from None
            else:
                return

    async def receive(self) -> bytes:
        """The next datagram from the peer.

        Raises:
            Refused: as `send`.
        """
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self._sock.recv(DATAGRAM_MOST)
            except BlockingIOError:
                await anyio.wait_readable(self._sock)
            except OSError as error:
                raise refusal(error) from None

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            anyio.notify_closing(self._sock)
            self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
