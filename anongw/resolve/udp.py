"""One question over UDP: the only transport where anybody may send an answer, so nothing is believed easily.

A new socket and a random id for every question; a datagram that is no answer to it is passed over, as a
forger's would be (RFC 5452 §4.2), and the true one is waited for.
"""

from collections.abc import Callable

import anyio

from anongw.errors import Reason, Refused
from anongw.net.datagram import Datagram
from anongw.net.egress import ANYWHERE, Egress
from anongw.resolve.server import Server
from anongw.wire import dns

# A lost datagram is sent again once; then TCP tells more than a third try would.
TRIES = 2
# Seconds for one try. A resolver that knows answers in a few ms, one that must ask around in some hundred.
WAIT = 1.0


async def ask(
    server: Server,
    question: dns.Question,
    draw_id: Callable[[], int],
    wait: float = WAIT,
    egress: Egress = ANYWHERE,
) -> dns.Answer | None:
    """The answer, which may be truncated; None where none came.

    Raises:
        Refused: RESOLVER_FAILED where the server says so; the socket's own reason where nothing can be sent.
    """
    message_id = draw_id()
    query = dns.query(question, message_id, padded=False)
    with Datagram(server.address, server.port, egress) as socket:
        for _ in range(TRIES):
            await socket.send(query)
            with anyio.move_on_after(wait):
                return await _answer(socket, question, message_id)
    return None


async def _answer(socket: Datagram, question: dns.Question, message_id: int) -> dns.Answer:
    while True:
        datagram = await socket.receive()
        try:
            return dns.answer(datagram, question, message_id)
        except Refused as refused:
            if refused.reason is not Reason.UPSTREAM_MALFORMED:
                raise
