"""A TLS client without a socket: whoever has one carries the ciphertext in and out, so nothing blocks here.

What holds here:
- Everything that came in is decrypted at once. Asked for a close_notify while it still holds data, OpenSSL
  fails for good; with none it goes on reading afterwards (seen of OpenSSL 3.0 and 4.0, Python 3.11 to 3.13).
- Only close_notify is an end (RFC 8446 §6.1). Whatever else stops the peer has cut it off.
- Tickets, key updates and the like are OpenSSL's business; what it answers leaves with the rest.
"""

import ssl
from contextlib import suppress

from anongw.errors import Reason, Refused
from anongw.net.tls import certificate_name
from anongw.wire.spki import fingerprint

# RFC 8446 §5.1: no record holds more plaintext, in bytes. OpenSSL never returns more than one at once.
RECORD_MOST = 2**14

# RFC 8446 §5.1, what a server's first record may be: alert(21) or handshake(22).
_FIRST = (21, 22)


class TlsClient:
    """Ciphertext goes in by `shake_hands`, then `decrypt`, and comes out by `take`.

    Args:
        context: how to verify the peer. One that does not verify needs a `pin`.
        name: what the certificate must bear, a host name or an address.
        pin: SHA-256 of the certificate's SubjectPublicKeyInfo; empty for none.

    """

    __slots__ = ("_heard", "_incoming", "_outgoing", "_pin", "_tls", "broken", "ended")

    def __init__(self, context: ssl.SSLContext, name: str, pin: bytes = b"") -> None:
        if not pin and not (context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED):
            raise ValueError("a context that verifies nothing needs a pin")
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        try:
            server_hostname = certificate_name(name)
        except Refused as refused:
            raise Refused(Reason.HOP_TLS, refused.detail) from None
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._pin = pin
        self._heard = False  # the peer has said something
        self.ended = False  # the peer has said its last, as TLS has it
        self.broken = False  # the peer broke the rules, or said that we did

    @property
    def waiting(self) -> int:
        """Bytes of ciphertext that `take` would give."""
        return self._outgoing.pending

    def take(self) -> bytes:
        """What must be sent to the peer."""
        return self._outgoing.read()

    def shake_hands(self, data: bytes, *, eof: bool) -> bool:
        """Go on with the handshake; True once it is over and the peer is who it must be.

        After a refusal there may be an alert to `take`. `eof`: the peer sends no more than `data`.

        Raises:
            Refused: HOP_TLS, HOP_MALFORMED where that is not TLS, HOP_CLOSED where the peer ends it.
        """
        if data and not self._heard and data[0] not in _FIRST:
            raise Refused(Reason.HOP_MALFORMED, "the hop does not speak TLS")
        self._heard = self._heard or bool(data)
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            if eof:
                raise Refused(Reason.HOP_CLOSED, "closed during the TLS handshake") from None
            return False
        except ssl.SSLCertVerificationError as error:
            raise Refused(Reason.HOP_TLS, error.verify_message) from None
        except ssl.SSLZeroReturnError:
            raise Refused(Reason.HOP_CLOSED, "closed during the TLS handshake") from None
        except ssl.SSLError as error:
            raise Refused(Reason.HOP_TLS, error.reason or "handshake failed") from None
        self._check_pin()
        return True

    def encrypt(self, data: memoryview) -> memoryview:
        """Encrypt `data`; returns what of it must wait, and be given again after the next `decrypt`.

        Something waits only where the peer has begun a message of the handshake protocol and not ended it.
        """
        with suppress(ssl.SSLWantReadError):
            while data:
                data = data[self._tls.write(data) :]
        return data

    def decrypt(self, data: memoryview | bytes) -> bytes:
        """All that `data` completes. `ended` or `broken` may be set by what came after it."""
        self._incoming.write(data)
        pieces = []
        try:
            while piece := self._tls.read(RECORD_MOST):
                pieces.append(piece)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # instead of b"", once we have said our last as well
            self.ended = True
        except ssl.SSLError:
            self.broken = True
        return b"".join(pieces)

    def say_last(self) -> None:
        """Put close_notify behind what was encrypted. The peer may go on, and be heard."""
        # It asks to be called again once the peer's close_notify has come; `decrypt` notices that by itself.
        # In the middle of a handshake message it fails, and the peer sees a cut: never less than the truth.
        with suppress(ssl.SSLError):
            self._tls.unwrap()

    def _check_pin(self) -> None:
        if not self._pin:
            return
        certificate = self._tls.getpeercert(binary_form=True)
        if certificate is None or fingerprint(certificate) != self._pin:
            raise Refused(Reason.HOP_TLS, "the hop's key is not the pinned one")
