"""One hop of a chain, from a connection to it until it has connected to the next: TLS, log-in, request.

Each step says only what the next one must know: nothing before TLS is verified, no target before the log-in.
"""

from typing import Protocol

from anongw.address import Endpoint
from anongw.config import Member
from anongw.net import tls
from anongw.net.bridge import secure
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.http_connect import HttpConnect
from anongw.outbound.isolation import Isolation
from anongw.outbound.socks import Socks4, Socks5


class Handshake(Protocol):
    """What a hop is asked, in its own protocol."""

    async def enter(self) -> None:
        """Everything that comes before the target is named."""

    async def ask(self, target: Endpoint) -> None:
        """Have it connect to `target`; from then on the stream is a tunnel."""


async def enter(
    fiber: Fiber, stream: Stream, member: Member, isolation: Isolation, identity: str
) -> tuple[Stream, Handshake]:
    """Make a connection to a hop ready to be asked. The caller bounds it with `fiber.within`.

    Returns the stream to go on with: over TLS it is another one.

    Raises:
        Refused: HOP_TLS, HOP_AUTH, HOP_MALFORMED, or the stream's `lost`.
    """
    if member.url.scheme == "https":
        context = tls.hop_context(member.ca_file, pinned=bool(member.pin))
        name = member.server_name or str(member.url.endpoint.host)
        stream = await secure(fiber, stream, context, name, pin=member.pinned)
    login = isolation.login(member, identity)
    handshake: Handshake
    match member.url.scheme:
        case "socks5":
            handshake = Socks5(stream, login)
        case "socks4":
            handshake = Socks4(stream, login)
        case _:
            handshake = HttpConnect(stream, login, isolation.header(member, identity))
    await handshake.enter()
    return stream, handshake
