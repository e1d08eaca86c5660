"""The fingerprint of a key is the one that others compute, and nothing but a certificate has one."""

import hashlib
import ssl
from collections import Counter
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw.errors import Reason, Refused
from anongw.wire.spki import fingerprint

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hop.example")])
CA = trustme.CA()


def issued() -> bytes:
    return ssl.PEM_cert_to_DER_cert(CA.issue_cert("hop.example").cert_chain_pems[0].bytes().decode())


def signed(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A certificate that signs itself, without extensions."""
    builder = x509.CertificateBuilder(
        NAME, NAME, key.public_key(), 1, datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def tlv(tag: int, content: bytes) -> bytes:
    """An element, written by its own rules."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


NUMBER, EMPTY = tlv(0x02, b"\x01"), tlv(0x30, b"")
VERSION = tlv(0xA0, tlv(0x02, b"\x02"))
KEY = tlv(0x30, b"the key")
FIELDS = (NUMBER, EMPTY, EMPTY, EMPTY, EMPTY, KEY)
SIGNATURE = tlv(0x03, b"\0")
TRAILERS = (tlv(0x81, b"\0"), tlv(0x82, b"\0"), tlv(0xA3, EMPTY))


def certificate(*fields: bytes, rest: tuple[bytes, ...] = (EMPTY, SIGNATURE)) -> bytes:
    return tlv(0x30, tlv(0x30, b"".join(fields)) + b"".join(rest))


@pytest.mark.parametrize(
    "der",
    [
        issued(),
        signed(ed25519.Ed25519PrivateKey.generate()),
        signed(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ],
    ids=["ecdsa", "ed25519", "rsa"],
)
def test_the_fingerprint_is_the_one_that_others_compute(der: bytes) -> None:
    key = x509.load_der_x509_certificate(der).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert fingerprint(der) == hashlib.sha256(spki).digest()


@pytest.mark.parametrize(
    "der",
    [
        certificate(*FIELDS),
        certificate(VERSION, *FIELDS),
        certificate(VERSION, *FIELDS, *TRAILERS),
        certificate(VERSION, *FIELDS, TRAILERS[1]),
        certificate(VERSION, *FIELDS, tlv(0xA3, bytes(0x10000))),
    ],
)
def test_the_key_is_found_whatever_stands_around_it(der: bytes) -> None:
    assert fingerprint(der) == hashlib.sha256(KEY).digest()


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x30\x81",
        certificate(*FIELDS) + b"\0",
        certificate(*FIELDS)[:-1],
        b"\x31" + certificate(*FIELDS)[1:],
        certificate(*FIELDS[:-1]),
        certificate(VERSION, VERSION, *FIELDS),
        certificate(*FIELDS, VERSION),
        certificate(NUMBER, EMPTY, EMPTY, EMPTY, KEY),
        certificate(EMPTY, *FIELDS[1:]),
        certificate(*FIELDS, EMPTY),
        certificate(*FIELDS, TRAILERS[1], TRAILERS[0]),
        certificate(*FIELDS, TRAILERS[2], TRAILERS[2]),
        certificate(),
        certificate(*FIELDS, rest=(EMPTY,)),
        certificate(*FIELDS, rest=(EMPTY, SIGNATURE, SIGNATURE)),
        certificate(*FIELDS, rest=(SIGNATURE, EMPTY)),
        certificate(*FIELDS[:-1], b"\x3f\x20\x07the key"),  # a tag of two bytes
        certificate(*FIELDS[:-1], b"\x30\x80the key\0\0"),  # the indefinite form
        certificate(*FIELDS[:-1], b"\x30\x81\x07the key"),  # two bytes where one does
        certificate(*FIELDS[:-1], b"\x30\x82\x00\xff" + bytes(255)),
        certificate(*FIELDS[:-1], b"\x30\x84\x00\x00\x00\x07the key"),
        certificate(*FIELDS[:-1], b"\x30\xffthe key"),
    ],
)
def test_what_is_no_certificate_has_none(der: bytes) -> None:
    with pytest.raises(Refused) as refused:
        fingerprint(der)
    assert refused.value.reason is Reason.HOP_TLS


def test_any_change_is_refused_or_leaves_the_key_where_it_was() -> None:
    der = issued()
    outcomes: Counter[str] = Counter()

    @settings(max_examples=500, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, len(der) - 1), st.integers(1, 255), st.booleans())
    def run(at: int, change: int, cut: bool) -> None:  # noqa: FBT001
        changed = der[:at] if cut else der[:at] + bytes((der[at] ^ change,)) + der[at + 1 :]
        try:
            found = fingerprint(changed)
        except Refused as refused:
            outcomes[refused.reason.value] += 1
            return
        assert not cut
        outcomes["same key" if found == fingerprint(der) else "other key"] += 1

    run()
    assert {"hop-tls", "same key", "other key"} == set(outcomes), outcomes
