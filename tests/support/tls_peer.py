"""The far end of a TLS connection as a test plays it: a server on any `Carrier`, a socket or TLS itself.

Its TLS is between two memory BIOs (Python's, or those of `tests/support/libssl.py`), so that a test decides
what leaves when, and in which pieces.
"""

import functools
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import pytest
import trustme

from anongw.wire.spki import fingerprint

NAME = "hop.example"
VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)


class Carrier(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self, most: int = 65536) -> bytes: ...


class Bio(Protocol):
    """As `ssl.MemoryBIO`."""

    @property
    def pending(self) -> int: ...

    def read(self) -> bytes: ...

    def write(self, data: bytes, /) -> int: ...


class Session(Protocol):
    """As `ssl.SSLObject`."""

    def do_handshake(self) -> None: ...

    def read(self, most: int, /) -> bytes: ...

    def write(self, data: bytes, /) -> int: ...

    def unwrap(self) -> None: ...


@functools.cache
def authority() -> trustme.CA:
    """Whom the clients of these tests trust."""
    return trustme.CA()


@functools.cache
def certificate() -> trustme.LeafCert:
    return authority().issue_cert(NAME)


def expired() -> trustme.LeafCert:
    return authority().issue_cert(NAME, not_after=datetime(2020, 1, 1, tzinfo=UTC))


def pin_of(leaf: trustme.LeafCert) -> bytes:
    return fingerprint(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode()))


@functools.cache
def trusting() -> ssl.SSLContext:
    """A client's context: the authority's certificates and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.options |= ssl.OP_NO_RENEGOTIATION
    authority().configure_trust(context)
    return context


def serving(version: ssl.TLSVersion, leaf: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A server's context that speaks this version only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    (leaf or certificate()).configure_cert(context)
    return context


class TlsPeer:
    """A server that speaks TLS over `carrier`. What it says leaves at `push`."""

    def __init__(self, carrier: Carrier, session: Session, incoming: Bio, outgoing: Bio) -> None:
        self.carrier = carrier
        self.session = session
        self.outgoing = outgoing
        self._incoming = incoming

    @classmethod
    def over(cls, carrier: Carrier, context: ssl.SSLContext) -> "TlsPeer":
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return cls(carrier, context.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing)

    async def shake_hands(self, *, push: bool = True) -> None:
        """Without `push`, the end of the handshake is left in `outgoing`."""
        while True:
            try:
                self.session.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._pull()
        if push:
            await self.push()

    def seal(self, data: bytes) -> bytes:
        """What would leave, `data` the last of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.session.write(bytes(rest[: 2**14])) :]
        return self.outgoing.read()

    async def push(self) -> None:
        if self.outgoing.pending:
            await self.carrier.send(self.outgoing.read())

    async def send(self, data: bytes) -> None:
        await self.carrier.send(self.seal(data))

    async def receive(self, most: int = 65536) -> bytes:
        """What arrives next; b"" after the other side's close_notify."""
        while True:
            try:
                return self.session.read(most)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                await self._pull()

    async def exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = await self.receive(count - len(data))
            assert piece, f"ended after {len(data)} of {count} bytes"
            data += piece
        return bytes(data)

    async def rest(self) -> bytes:
        """Everything until the other side's close_notify."""
        data = bytearray()
        while piece := await self.receive():
            data += piece
        return bytes(data)

    async def last(self) -> None:
        """Say close_notify, and leave the connection as it is."""
        with suppress(ssl.SSLWantReadError):
            self.session.unwrap()
        await self.push()

    async def _pull(self) -> None:
        await self.push()
        data = await self.carrier.receive()
        if not data:
            raise EOFError("no close_notify")
        self._incoming.write(data)
