"""The public key in a certificate, for a pin: SHA-256 of its SubjectPublicKeyInfo, as RFC 7469 §2.4 has it.

`ssl` hands out a certificate as DER and nothing smaller, so this walks to the key (RFC 5280 §4.1). A pin must
never be held against bytes that OpenSSL does not take for the key. So the walk is strict: what DER
(X.690 §10.1) does not allow, or stands elsewhere than the RFC says, is refused.
"""

import hashlib
from collections.abc import Iterator

from anongw.errors import Reason, Refused

_INTEGER = 0x02
_BIT_STRING = 0x03
_SEQUENCE = 0x30
_VERSION = 0xA0  # [0], explicit; absent from certificates of version 1
_TRAILERS = (0x81, 0x82, 0xA3)  # issuerUniqueID, subjectUniqueID and extensions, each of them optional

_CERTIFICATE = (_SEQUENCE, _SEQUENCE, _BIT_STRING)  # tbsCertificate, signatureAlgorithm, signature
# serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
_TBS_CERTIFICATE = (_INTEGER, *(_SEQUENCE,) * 5)

_LONG = 0x80  # a length that goes on in the next bytes
_LENGTH_MOST = 3  # bytes of a length: 16 MiB, more than TLS can carry (RFC 8446 §4.4.2)

Element = tuple[int, bytes, bytes]  # tag, which is one byte of all that stand here; all of it; its content


def fingerprint(certificate: bytes) -> bytes:
    """What a pin holds: SHA-256 of the SubjectPublicKeyInfo of a certificate in DER.

    Raises:
        Refused: HOP_TLS, if this is no certificate.
    """
    outer = list(_elements(certificate))
    if [tag for tag, _, _ in outer] != [_SEQUENCE]:
        raise _malformed("is not one SEQUENCE")
    parts = list(_elements(outer[0][2]))
    if tuple(tag for tag, _, _ in parts) != _CERTIFICATE:
        raise _malformed("is not what RFC 5280 §4.1 says")
    return hashlib.sha256(_key(list(_elements(parts[0][2])))).digest()


def _key(fields: list[Element]) -> bytes:
    """The SubjectPublicKeyInfo among the fields of a tbsCertificate, all of it."""
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    tags = tuple(tag for tag, _, _ in fields)
    count = len(_TBS_CERTIFICATE)
    # After the key each trailer may stand once, in this order.
    in_order = [tag for tag in _TRAILERS if tag in tags[count:]]
    if tags[:count] != _TBS_CERTIFICATE or list(tags[count:]) != in_order:
        raise _malformed("has its fields in another order than RFC 5280 §4.1.2")
    return fields[count - 1][1]


def _elements(data: bytes) -> Iterator[Element]:
    """The elements that `data` consists of, one after the other."""
    at = 0
    while at < len(data):
        start, end = _content(data, at)
        yield data[at], data[at:end], data[start:end]
        at = end


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends."""
    start = at + 2
    if start > len(data):
        raise _malformed("is cut off")
    length = data[at + 1]
    if length >= _LONG:
        count = length - _LONG
        length = int.from_bytes(data[start : start + count])
        start += count
        # X.690 §10.1: the definite form, in as few bytes as it takes.
        if not 0 < count <= _LENGTH_MOST or length < max(_LONG, 1 << 8 * (count - 1)):
            raise _malformed("has a length that DER does not allow")
    if start + length > len(data):
        raise _malformed("is cut off")
    return start, start + length


def _malformed(what: str) -> Refused:
    return Refused(Reason.HOP_TLS, f"the hop's certificate {what}")
