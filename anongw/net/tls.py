"""TLS for what we ask ourselves: resolvers, and hops of a chain. Not for the relay: anyio's is too slow.

What holds here:
- A certificate is always verified, name and chain. There is no switch; a pin is checked instead, not nothing.
- Contexts are built at first use and once: the system's store costs 22 ms.
- Not `ssl.create_default_context`: it honours SSLKEYLOGFILE, and writes out the keys of every session.
- Nothing is resumed: Python offers a session only where it is handed one, so no ticket links two connections.
"""

import functools
import ssl
from dataclasses import dataclass

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from anongw.address import parse_host
from anongw.errors import Reason, Refused


@dataclass(frozen=True, slots=True)
class Trust:
    """A client context, and whether its certificates are certifi's because the system has none."""

    context: ssl.SSLContext
    borrowed: bool


@functools.lru_cache(maxsize=8)  # one for each ALPN list and CA file; a gateway has two or three
def trust(ca_file: str = "", alpn: tuple[str, ...] = ()) -> Trust:
    """A context that trusts the CAs in `ca_file` (PEM) and no others; the system's where it is "".

    On a machine without any CA the store loads as empty without an error, and then every handshake fails;
    certifi's file stands in, and `borrowed` says so.

    Raises:
        Refused: TLS_FAILED where `ca_file` cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies names and chains by itself
    _tighten(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise Refused(Reason.TLS_FAILED, f"{ca_file} holds no certificates: {error.strerror}") from None
        return Trust(context, borrowed=False)
    context.load_default_certs()
    borrowed = context.cert_store_stats()["x509_ca"] == 0
    if borrowed:
        import certifi  # noqa: PLC0415 - 20 ms, and most machines have a store

        context.load_verify_locations(certifi.where())
    return Trust(context, borrowed)


@functools.lru_cache(maxsize=64)  # one for each CA file of a chain's hops; the system's store is one of them
def hop_context(ca_file: str, *, pinned: bool) -> ssl.SSLContext:
    """A context for TLS to a hop, by `net/bridge.py`: `trust`'s, or one for a hop whose key is pinned.

    That one asks for no chain and no name, because `bridge.secure` compares the key itself. It refuses such a
    context without a pin.

    Raises:
        Refused: HOP_TLS where `ca_file` cannot be read.
    """
    if pinned:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _tighten(context)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return trust(ca_file).context
    except Refused as refused:
        raise Refused(Reason.HOP_TLS, refused.detail) from None


async def handshake(stream: ByteStream, context: ssl.SSLContext, name: str, seconds: float) -> TLSStream:
    """Speak TLS over `stream` with a peer whose certificate bears `name`, a host name or an address.

    The stream is closed where that fails.

    Raises:
        Refused: TLS_FAILED; UPSTREAM_TIMEOUT after `seconds`; UPSTREAM_CLOSED where the peer went away.
    """
    try:
        with anyio.fail_after(seconds):
            # Not standard-compatible: most servers close without a close_notify, and every message that we
            # read has its own length, so a cut is noticed there.
            return await TLSStream.wrap(
                stream,
                server_side=False,
                hostname=certificate_name(name),
                ssl_context=context,
                standard_compatible=False,
            )
    except BaseException as error:
        await anyio.aclose_forcefully(stream)
        refused = _refusal(error)
        if refused is None:
            raise
        raise refused from None


def certificate_name(name: str) -> str:
    """The name as a certificate spells it: no trailing dot (it would never match), no brackets.

    An address goes as an address: OpenSSL then looks among the certificate's IP names and sends no SNI.

    Raises:
        Refused: TLS_FAILED where it can be neither.
    """
    try:
        return str(parse_host(name))
    except Refused:
        # OpenSSL and Python fail on such names with errors of several kinds, or not at all.
        raise Refused(Reason.TLS_FAILED, "no certificate can bear this name") from None


def _tighten(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A peer that speaks TLS 1.2 may ask for a second handshake in mid-stream: not with us (RFC 9325 §3.5).
    context.options |= ssl.OP_NO_RENEGOTIATION


def _refusal(error: BaseException) -> Refused | None:
    """What a failed handshake means, None where it is not ours to say."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(Reason.TLS_FAILED, error.verify_message)
    # An end in the handshake is either of these two, by Python's patch version.
    if isinstance(error, (ssl.SSLZeroReturnError, ssl.SSLEOFError)):
        return Refused(Reason.UPSTREAM_CLOSED, "closed during the TLS handshake")
    if isinstance(error, ssl.SSLError):
        return Refused(Reason.TLS_FAILED, error.reason or "handshake failed")
    if isinstance(error, TimeoutError):
        return Refused(Reason.UPSTREAM_TIMEOUT, "no TLS handshake in time")
    if isinstance(error, (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)):
        return Refused(Reason.UPSTREAM_CLOSED, "closed during the TLS handshake")
    return None
