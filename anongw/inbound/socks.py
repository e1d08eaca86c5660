"""SOCKS5 (RFC 1928, RFC 1929) and SOCKS4/4a clients: what they ask, and how they are answered.

Rules: success is said only after the connect succeeded; every refusal reason has its code; the bound address
is zero, never one of ours. What the client sent early stays in its reader, for the tunnel.
"""

from anongw.errors import Reason, Refused
from anongw.inbound.session import Session
from anongw.net.fiber import Delegate
from anongw.wire import socks4, socks5
from anongw.wire.socks5 import AddressType, Method, Reply


async def serve_socks5(session: Session) -> Delegate | None:
    """Greeting, login, request, and the tunnel that it asks for."""
    session.begin("socks5")
    await _login(session)
    client = session.client
    kind = AddressType.IPV4
    try:
        request = await client.read(socks5.request(client.reader))
        kind = request.kind
        # BIND would show one of our addresses, UDP needs a way out that carries it.
        if request.command != socks5.Command.CONNECT:
            raise _unsupported(request.command)
        if kind is not AddressType.NAME:
            session.by_address(request.endpoint)
        upstream = await session.dial(request.endpoint)
    except Refused as refused:
        await session.refuse(refused, socks5.reply(socks5.REPLY[refused.reason], kind))
        return None
    await client.send(socks5.reply(Reply.SUCCEEDED, kind))
    return session.tunnel(upstream)


async def serve_socks4(session: Session) -> Delegate | None:
    """One request, and the tunnel that it asks for."""
    session.begin("socks4")
    client = session.client
    try:
        request = await client.read(socks4.request(client.reader))
        # SOCKS4 has no password, so its name proves nothing: it is a label where nobody needs to be known.
        session.anonymous()
        if request.command != socks4.Command.CONNECT:
            raise _unsupported(request.command)
        if request.user:
            session.label(request.user)
        if not request.named:
            session.by_address(request.endpoint)
        upstream = await session.dial(request.endpoint)
    except Refused as refused:
        await session.refuse(refused, socks4.reply(socks4.REPLY[refused.reason]))
        return None
    await client.send(socks4.reply(socks4.Reply.GRANTED))
    return session.tunnel(upstream)


async def _login(session: Session) -> None:
    """Choose a method, and let the client prove or label itself (RFC 1928 §3, RFC 1929)."""
    client = session.client
    offered = await client.read(socks5.greeting(client.reader))
    if Method.USER_PASSWORD in offered:
        # Preferred even where it proves nothing: the name is the client's wish to be kept apart.
        await client.send(socks5.method_choice(Method.USER_PASSWORD))
        name, password = await client.read(socks5.user_password(client.reader))
        try:
            await session.login(name, password)
        except Refused as refused:
            await session.refuse(refused, socks5.login_reply(granted=False))
            raise
        await client.send(socks5.login_reply(granted=True))
        return
    try:
        session.anonymous(allowed=Method.NONE in offered)
    except Refused as refused:
        await session.refuse(refused, socks5.method_choice(Method.UNACCEPTABLE))
        raise
    await client.send(socks5.method_choice(Method.NONE))


def _unsupported(command: int) -> Refused:
    return Refused(Reason.UNSUPPORTED_COMMAND, f"command {command:#04x}")
