"""A TLS server on OpenSSL itself, for the levers that Python's `ssl` does not have.

It looks like an `ssl.SSLObject`, and its ends like `ssl.MemoryBIO`s: `TlsPeer` plays it as it plays Python's.
"""

import ctypes
import ctypes.util
import ssl
from functools import cache
from pathlib import Path

import pytest
import trustme

from tests.support.tls_peer import Carrier, TlsPeer, certificate

# From OpenSSL's headers.
_WANT_READ, _ZERO_RETURN = 2, 6
_MOST_A_RECORD, _MIN_VERSION, _MAX_VERSION = 52, 123, 124
_NO_EARLY_DATA = 2
_UPDATE_REQUESTED = 1
_PEM = 1

# Functions of pointers, numbers and bytes that return a pointer; all others return an int.
_POINTERS = (
    "BIO_new",
    "BIO_s_mem",
    "SSL_CTX_new",
    "SSL_get_session",
    "SSL_new",
    "TLS_server_method",
)


@cache
def _library() -> ctypes.CDLL:
    name = ctypes.util.find_library("ssl")
    if name is None:
        pytest.skip("no libssl to be found")
    library = ctypes.CDLL(name)
    for pointer in _POINTERS:
        getattr(library, pointer).restype = ctypes.c_void_p
    return library


def _call(name: str, *args: object) -> int:
    """Call it. A number may be a pointer, and all of them may be as wide as one."""
    wide = (ctypes.c_void_p(arg) if isinstance(arg, int) else arg for arg in args)
    result: int = getattr(_library(), name)(*wide)
    return result


class Bio:
    """As `ssl.MemoryBIO`."""

    def __init__(self) -> None:
        self.pointer = _call("BIO_new", _call("BIO_s_mem"))

    @property
    def pending(self) -> int:
        return _call("BIO_ctrl_pending", self.pointer)

    def read(self) -> bytes:
        buffer = ctypes.create_string_buffer(self.pending)
        count = _call("BIO_read", self.pointer, buffer, len(buffer)) if len(buffer) else 0
        return buffer.raw[:count]

    def write(self, data: bytes) -> int:
        return _call("BIO_write", self.pointer, bytes(data), len(data))


class Server:
    """As `ssl.SSLObject`, and more."""

    def __init__(
        self, version: ssl.TLSVersion, leaf: trustme.LeafCert, folder: Path, incoming: Bio, outgoing: Bio
    ) -> None:
        path = folder / "server.pem"
        leaf.private_key_and_cert_chain_pem.write_to_path(path)
        context = _call("SSL_CTX_new", _call("TLS_server_method"))
        assert _call("SSL_CTX_use_certificate_chain_file", context, bytes(path)) == 1
        assert _call("SSL_CTX_use_PrivateKey_file", context, bytes(path), _PEM) == 1
        for limit in (_MIN_VERSION, _MAX_VERSION):
            assert _call("SSL_CTX_ctrl", context, limit, int(version), None) == 1
        self._ssl = _call("SSL_new", context)
        _call("SSL_CTX_free", context)  # the other one keeps it
        _call("SSL_set_bio", self._ssl, incoming.pointer, outgoing.pointer)
        _call("SSL_set_accept_state", self._ssl)

    def do_handshake(self) -> None:
        self._must(_call("SSL_do_handshake", self._ssl))

    def read(self, most: int) -> bytes:
        buffer = ctypes.create_string_buffer(most)
        count = _call("SSL_read", self._ssl, buffer, most)
        self._must(count)
        return buffer.raw[:count]

    def write(self, data: bytes) -> int:
        count = _call("SSL_write", self._ssl, bytes(data), len(data))
        self._must(count)
        return count

    def unwrap(self) -> None:
        assert _call("SSL_shutdown", self._ssl) >= 0

    def write_early(self, data: bytes) -> None:
        """Answer a client's hello and say `data` along with that, before its own Finished."""
        count = ctypes.c_size_t()
        buffer = ctypes.create_string_buffer(1)
        found = _call("SSL_read_early_data", self._ssl, buffer, 1, ctypes.byref(count))
        if found != _NO_EARLY_DATA:
            self._must(found)
        self._must(_call("SSL_write_early_data", self._ssl, data, len(data), ctypes.byref(count)))

    def update_keys(self) -> None:
        """Say KeyUpdate, and ask for one."""
        self._must(_call("SSL_key_update", self._ssl, _UPDATE_REQUESTED))
        self.do_handshake()

    def ask_for_another_handshake(self) -> None:
        """Say HelloRequest."""
        self._must(_call("SSL_renegotiate", self._ssl))
        self.do_handshake()

    def give_a_ticket(self, size: int, most_a_record: int) -> None:
        """Of at least `size` bytes, in records of `most_a_record`; it leaves before what is written next."""
        session = _call("SSL_get_session", self._ssl)
        self._must(_call("SSL_SESSION_set1_ticket_appdata", session, bytes(size), size))
        self._must(_call("SSL_ctrl", self._ssl, _MOST_A_RECORD, most_a_record, None))
        self._must(_call("SSL_new_session_ticket", self._ssl))
        self.do_handshake()

    def _must(self, result: int) -> None:
        if result > 0:
            return
        error = _call("SSL_get_error", self._ssl, result)
        _call("ERR_clear_error")  # the queue is one for the whole thread, and Python's
        if error == _WANT_READ:
            raise ssl.SSLWantReadError
        if error == _ZERO_RETURN:
            raise ssl.SSLZeroReturnError
        raise ssl.SSLError(error, "libssl")


def levered(carrier: Carrier, version: ssl.TLSVersion, folder: Path) -> tuple[TlsPeer, Server]:
    """A peer, and the levers on it. `folder` is for its key."""
    incoming, outgoing = Bio(), Bio()
    server = Server(version, certificate(), folder, incoming, outgoing)
    return TlsPeer(carrier, server, incoming, outgoing), server
