"""Certificates are verified, always; and every way in which a handshake fails has its reason."""

import ipaddress
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from anongw.errors import Reason, Refused
from anongw.net import tls
from anongw.net.task_stream import TaskStream, connect

LOOPBACK = ipaddress.ip_address("127.0.0.1")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return str(path)


def server_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    ca.issue_cert(*names).configure_cert(context)
    return context


@asynccontextmanager
async def server(context: ssl.SSLContext | None) -> AsyncIterator[TaskStream]:
    """A connection to a server that greets whoever shakes hands; without a context it says nothing."""
    sock = socket.create_server(("127.0.0.1", 0))
    listener = await anyio.abc.SocketListener.from_socket(sock)

    async def greet(raw: SocketStream) -> None:
        async with raw:
            if context is None:
                await anyio.sleep_forever()
            try:
                stream = await TLSStream.wrap(raw, server_side=True, ssl_context=context)
                await stream.send(b"hello")
                await stream.receive()
            except (ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError):
                pass

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, greet)
        yield await connect(LOOPBACK, sock.getsockname()[1], 5)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("certified", "name"),
    [
        ("dns.example", "dns.example"),
        ("dns.example", "DNS.Example."),
        ("*.dns.example", "a.dns.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("2620:fe::fe", "2620:fe::fe"),
        ("2620:fe::fe", "[2620:fe::fe]"),
    ],
)
async def test_the_right_name(ca: trustme.CA, ca_file: str, certified: str, name: str) -> None:
    async with server(server_context(ca, certified)) as raw:
        stream = await tls.handshake(raw, tls.trust(ca_file, ("h2",)).context, name, 5)
        async with stream:
            assert await stream.receive() == b"hello"
            assert stream.extra(TLSAttribute.alpn_protocol) == "h2"
            assert stream.extra(TLSAttribute.tls_version) == "TLSv1.3"


@pytest.mark.parametrize(
    ("certified", "name"),
    [("dns.example", "other.example"), ("dns.example", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")],
)
async def test_another_name_is_refused(ca: trustme.CA, ca_file: str, certified: str, name: str) -> None:
    async with server(server_context(ca, certified)) as raw:
        with pytest.raises(Refused) as refused:
            await tls.handshake(raw, tls.trust(ca_file).context, name, 5)
        assert refused.value.reason is Reason.TLS_FAILED
        with pytest.raises(anyio.ClosedResourceError):
            await raw.receive()


async def test_a_certificate_of_an_unknown_authority_is_refused(ca_file: str) -> None:
    async with server(server_context(trustme.CA(), "dns.example")) as raw:
        with pytest.raises(Refused) as refused:
            await tls.handshake(raw, tls.trust(ca_file).context, "dns.example", 5)
    assert refused.value.reason is Reason.TLS_FAILED
    assert "unable to get local issuer" in refused.value.detail


@pytest.mark.parametrize("name", ["", "x" * 64 + ".example", "a b", "über.example:53", "fe80::1%eth0"])
async def test_a_name_that_no_certificate_bears(ca_file: str, name: str) -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(Refused) as refused:
        await tls.handshake(TaskStream(ours), tls.trust(ca_file).context, name, 5)
    assert refused.value.reason is Reason.TLS_FAILED


async def test_silence_ends_in_time(ca_file: str) -> None:
    async with server(None) as raw:
        with pytest.raises(Refused) as refused:
            await tls.handshake(raw, tls.trust(ca_file).context, "dns.example", 0.05)
    assert refused.value.reason is Reason.UPSTREAM_TIMEOUT


@pytest.mark.parametrize(
    ("said", "reason"), [(b"", Reason.UPSTREAM_CLOSED), (b"HTTP/1.1 400 No\r\n\r\n", Reason.TLS_FAILED)]
)
async def test_a_peer_that_speaks_no_tls(ca_file: str, said: bytes, reason: Reason) -> None:
    ours, theirs = socket.socketpair()
    theirs.send(said)
    theirs.shutdown(socket.SHUT_WR)
    with theirs, pytest.raises(Refused) as refused:
        await tls.handshake(TaskStream(ours), tls.trust(ca_file).context, "dns.example", 5)
    assert refused.value.reason is reason


async def test_a_cancelled_handshake_closes_the_stream(ca_file: str) -> None:
    async with server(None) as raw:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await tls.handshake(raw, tls.trust(ca_file).context, "dns.example", 5)
        with pytest.raises(anyio.ClosedResourceError):
            await raw.receive()


async def test_a_second_connection_resumes_nothing(ca: trustme.CA, ca_file: str) -> None:
    context = server_context(ca, "dns.example")
    for _ in range(2):
        async with server(context) as raw:
            stream = await tls.handshake(raw, tls.trust(ca_file).context, "dns.example", 5)
            async with stream:
                await stream.receive()  # the ticket comes before the first data
                assert not stream.extra(TLSAttribute.ssl_object).session_reused


def test_contexts_are_strict_and_built_once(ca_file: str) -> None:
    context = tls.trust(ca_file).context
    assert context is tls.trust(ca_file).context
    assert context is not tls.trust(ca_file, ("h2",)).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_ca_file_stands_alone(ca_file: str) -> None:
    assert tls.trust(ca_file).context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_file_that_holds_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Refused) as refused:
        tls.trust(str(path))
    assert refused.value.reason is Reason.TLS_FAILED
    assert str(path) in refused.value.detail


def test_a_hop_without_a_pin_is_verified_as_everybody_is(ca_file: str) -> None:
    context = tls.hop_context(ca_file, pinned=False)
    assert context is tls.trust(ca_file).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_hop_with_a_pin_needs_no_authority_and_no_file(tmp_path: Path) -> None:
    context = tls.hop_context(str(tmp_path / "none"), pinned=True)
    assert context is tls.hop_context(str(tmp_path / "none"), pinned=True)
    assert context.verify_mode is ssl.CERT_NONE
    assert context.cert_store_stats()["x509"] == 0


def test_a_hops_ca_file_that_holds_none(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        tls.hop_context(str(tmp_path / "none"), pinned=False)
    assert refused.value.reason is Reason.HOP_TLS
    assert str(tmp_path) in refused.value.detail


@pytest.mark.parametrize("pinned", [True, False])
def test_no_old_version_and_no_second_handshake(ca_file: str, pinned: bool) -> None:  # noqa: FBT001
    context = tls.hop_context(ca_file, pinned=pinned)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


COUNT = """
from anongw.net import tls
trust = tls.trust()
print(trust.borrowed, trust.context.cert_store_stats()["x509_ca"] > 9)
"""


def test_a_machine_without_certificates_borrows_certifis(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none")
    assert python(COUNT, SSL_CERT_FILE=nowhere, SSL_CERT_DIR=nowhere) == "True True"


def test_session_keys_are_never_written_out(tmp_path: Path) -> None:
    log = tmp_path / "keys"
    code = "from anongw.net import tls; print(tls.trust().context.keylog_filename)"
    assert python(code, SSLKEYLOGFILE=str(log)) == "None"
    assert not log.exists()
