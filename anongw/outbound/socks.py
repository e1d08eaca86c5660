"""SOCKS toward a hop: python-socks judges the messages, our own streams carry them.

The only importer of python-socks, and only of its message classes: its connectors dial by themselves, ask the
system's resolver and read more than a reply. What holds here, each with its test:

- A name goes to the hop as a name, always (SOCKS4a, SOCKS5 with ATYP 3).
- Where there are credentials, nothing but user and password is on offer: a hop that ignores them, and would
  mix what they keep apart, cannot be connected through.
- Exactly one reply is read. What the far side said early stays in the stream's reader.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

from python_socks._protocols import socks4, socks5
from python_socks._protocols.errors import ReplyError

from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.net.stream import Stream
from anongw.outbound.isolation import Login
from anongw.wire.socks5 import reply_message

T = TypeVar("T")

# What a hop says of the next one (RFC 1928 §6). A general failure says nothing of which side failed.
_SOCKS5 = {
    socks5.ReplyCode.GENERAL_FAILURE: Reason.HOST_UNREACHABLE,
    socks5.ReplyCode.CONNECTION_NOT_ALLOWED: Reason.HOP_REFUSED,
    socks5.ReplyCode.NETWORK_UNREACHABLE: Reason.NETWORK_UNREACHABLE,
    socks5.ReplyCode.HOST_UNREACHABLE: Reason.HOST_UNREACHABLE,
    socks5.ReplyCode.CONNECTION_REFUSED: Reason.CONNECTION_REFUSED,
    socks5.ReplyCode.TTL_EXPIRED: Reason.CONNECT_TIMEOUT,
    socks5.ReplyCode.COMMAND_NOT_SUPPORTED: Reason.HOP_REFUSED,
    socks5.ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED: Reason.HOP_REFUSED,
}
# Tor's extended errors (torspec, socks-extensions): all say that an onion service cannot be had.
_TOR = range(0xF0, 0xF8)
_SOCKS4 = {
    socks4.ReplyCode.REQUEST_REJECTED_OR_FAILED: Reason.HOST_UNREACHABLE,
    socks4.ReplyCode.CONNECTION_FAILED: Reason.HOP_AUTH,  # it asks identd, which we have none of
    socks4.ReplyCode.AUTHENTICATION_FAILED: Reason.HOP_AUTH,
}


class Socks5:
    """One SOCKS5 handshake on a stream."""

    def __init__(self, stream: Stream, login: Login | None) -> None:
        self._stream = stream
        self._login = login

    async def enter(self) -> None:
        """Agree on a method and log in (RFC 1928 §3, RFC 1929); the hop hears no target yet.

        Raises:
            Refused: HOP_AUTH where it does not take what we have; HOP_MALFORMED.
        """
        login = self._login
        offer = _AS_ANYBODY if login is None else _BY_LOGIN
        await self._stream.send(offer.dumps())
        choice = await self._stream.read(_exactly(self._stream, socks5.AuthMethodReply.SIZE))
        # RFC 1928 §3: "If the selected METHOD is X'FF', none of the methods listed by the client are
        # acceptable". Another method than the one on offer is no way in either: a hop without log-ins says 0
        # whatever it hears.
        refusal = Reason.HOP_AUTH if choice[:1] == b"\x05" else Reason.HOP_MALFORMED
        if _believe(socks5.AuthMethodReply.loads, choice, refusal).method not in offer.methods:
            raise Refused(refusal, "a method that was not on offer")
        if login is not None:
            await self._stream.send(_Login(login.user, login.password.reveal()).dumps())
            answer = await self._stream.read(_exactly(self._stream, socks5.AuthReply.SIZE))
            _believe(socks5.AuthReply.loads, answer, Reason.HOP_AUTH)

    async def ask(self, target: Endpoint) -> None:
        """Have the hop connect to `target`.

        Raises:
            Refused: what the hop says of the target; HOP_MALFORMED.
        """
        await self._stream.send(_request(target))
        message = await self._stream.read(reply_message(self._stream.reader))
        if message[0] == socks5.SOCKS_VER and message[1] in _TOR:
            raise Refused(Reason.HOST_UNREACHABLE, f"Tor says {message[1]:#04x}")
        _believe(socks5.ConnectReply.loads, message, Reason.HOP_MALFORMED)


class Socks4:
    """One SOCKS4 or, for a name, SOCKS4a request on a stream. Its login is a name without a password."""

    def __init__(self, stream: Stream, login: Login | None) -> None:
        self._stream = stream
        self._login = login

    async def enter(self) -> None:
        """SOCKS4 has nothing to say before the target."""

    async def ask(self, target: Endpoint) -> None:
        """As `Socks5.ask`.

        An IPv6 address is refused before a byte is sent: SOCKS4 would take it for a name.
        """
        if not isinstance(target.host, str) and target.host.version != 4:  # noqa: PLR2004 - IP's own number
            raise Refused(Reason.UNSUPPORTED_ADDRESS, "SOCKS4 has no IPv6")
        state = socks4.Connection()
        user = self._login.user if self._login else None
        await self._stream.send(state.send(socks4.ConnectRequest(str(target.host), target.port, user)))
        message = await self._stream.read(_exactly(self._stream, socks4.ConnectReply.SIZE))
        try:
            state.receive(message)
        except ReplyError as error:
            raise _refusal(error, _SOCKS4, Reason.HOP_MALFORMED) from None


class _Login(socks5.AuthRequest):
    """RFC 1929 sets no coding. UTF-8 is what other clients send; python-socks knows ASCII only."""

    def dumps(self) -> bytes:
        user, password = self.username.encode(), self.password.encode()
        return bytes((self.VER, len(user))) + user + bytes((len(password),)) + password


# What is on offer: to come in as anybody, or by the login and in no other way.
_AS_ANYBODY = socks5.AuthMethodsRequest(username=None, password=None)
_BY_LOGIN = socks5.AuthMethodsRequest(username=None, password=None)
_BY_LOGIN.methods = bytearray((socks5.AuthMethod.USERNAME_PASSWORD,))


def _request(target: Endpoint) -> bytes:
    """What RFC 1928 §4 wants. python-socks would have each name parsed, to see whether it is an address."""
    host = target.host
    if isinstance(host, str):
        kind, address = socks5.AddressType.DOMAIN, bytes((len(host),)) + host.encode("ascii")
    else:
        kind, address = socks5.AddressType.from_ip_ver(host.version), host.packed
    head = bytes((socks5.SOCKS_VER, socks5.Command.CONNECT, socks5.RSV, kind))
    return head + address + target.port.to_bytes(2)


def _believe(loads: Callable[[bytes], T], message: bytes, otherwise: Reason) -> T:
    """A reply as python-socks reads it. What it finds wrong is refused by its code, else `otherwise`."""
    try:
        return loads(message)
    except (ReplyError, ValueError) as error:  # ValueError: a bound name that is not UTF-8
        raise _refusal(error, _SOCKS5, otherwise) from None


def _exactly(stream: Stream, count: int) -> Generator[None, None, bytes]:
    return stream.reader.exactly(count)


def _refusal(error: Exception, codes: dict[T, Reason], otherwise: Reason) -> Refused:
    """What a reply means. The text of python-socks is left out: it may quote what a stranger sent."""
    code = getattr(error, "error_code", None)
    return Refused(codes.get(code, otherwise) if code is not None else otherwise, f"reply {code}")
