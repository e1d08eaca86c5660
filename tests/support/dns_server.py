"""A DNS server that does what a test tells it: over UDP, TCP, TLS, and HTTPS with HTTP/2 or HTTP/1.1.

It answers from `records` and remembers every question. `script` may name a fault for each; a question that is
held waits until the test sets `released`. The whole server lives in one task.
"""

import ipaddress
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import anyio
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trustme
from anyio.abc import ByteStream, SocketAttribute, SocketStream, TaskGroup, TaskStatus
from anyio.streams.tls import TLSAttribute, TLSStream

from anongw.address import Address
from anongw.net.egress import ANYWHERE, Egress
from anongw.net.task_stream import TaskStream, connect
from anongw.resolve.resolver import Resolver
from anongw.resolve.server import Server, parse_server
from anongw.resolve.upstream import Upstream, Way
from tests.support.dns_h2 import H2Server
from tests.support.dns_script import Fault, Script, Seen


class FakeDns:
    """`records`: a name to its addresses, or to one other name (CNAME). Unknown names are NXDOMAIN."""

    def __init__(
        self,
        records: Mapping[str, tuple[str, ...]],
        *,
        ca: trustme.CA | None = None,
        certificate_name: str = "dns.example",
        alpn: tuple[str, ...] = ("h2", "http/1.1"),
        host: str = "127.0.0.1",
    ) -> None:
        self.records = dict(records)
        self.ttl = 60
        self.negative_ttl: int | None = 30  # the SOA's; None: no SOA
        self.script: Script = lambda _: None
        self.seen: list[Seen] = []
        self.connections = 0
        self.peers: set[str] = set()  # the addresses that questions or connections came from
        self.open = 0  # connections
        self.streams_most = 100  # HTTP/2: its limit on streams
        self.shut_window = False  # HTTP/2: no room for a query until it is announced
        self.cancelled: list[int] = []  # HTTP/2 streams that the client reset
        self.released = anyio.Event()
        self._changed = anyio.Event()
        self._sending = anyio.Lock()
        self._host = host
        self._ports: dict[str, int] = {}
        self._tls: ssl.SSLContext | None = None
        self._alpn = alpn
        self._name = certificate_name
        if ca is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.set_alpn_protocols(list(alpn))
            ca.issue_cert(certificate_name).configure_cert(self._tls)

    def url(self, scheme: str, name: str | None = None) -> str:
        """The server in the syntax of `resolve.servers`."""
        path = "/dns-query" if scheme == "https" else ""
        mark = f"#{name or self._name}" if scheme in ("https", "tls") else ""
        return f"{scheme}://{self._host}:{self._ports[scheme]}{path}{mark}"

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something the server knows has come true."""
        while not reached():
            await self._changed.wait()

    def change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        async with anyio.create_task_group() as tasks:
            # UDP and TCP share a port, as they do everywhere.
            plain = _listen(self._host, 0)
            port = plain.getsockname()[1]
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((self._host, port))
            self._ports = {"udp": port, "tcp": port}
            tasks.start_soon(self._datagrams, udp, tasks)
            tasks.start_soon(self._listener, plain, "tcp")
            if self._tls is not None:
                for scheme in ("tls", "https"):
                    sock = _listen(self._host, 0)
                    self._ports[scheme] = sock.getsockname()[1]
                    tasks.start_soon(self._listener, sock, scheme)
            task_status.started()

    async def _datagrams(self, sock: socket.socket, tasks: TaskGroup) -> None:
        async with await anyio.abc.UDPSocket.from_socket(sock) as udp:
            async for wire, peer in udp:
                tasks.start_soon(self._datagram, udp, wire, peer)

    async def _datagram(self, udp: anyio.abc.UDPSocket, wire: bytes, peer: tuple[str, int]) -> None:
        self.peers.add(peer[0])
        for answer in await self.answers(Seen("udp", 0, wire)):
            async with self._sending:
                await udp.sendto(answer, *peer)

    async def _listener(self, sock: socket.socket, scheme: str) -> None:
        listener = await anyio.abc.SocketListener.from_socket(sock)
        async with listener:
            await listener.serve(partial(self._connection, scheme=scheme))

    async def _connection(self, raw: SocketStream, scheme: str) -> None:
        self.connections += 1
        self.open += 1
        number = self.connections
        self.peers.add(str(raw.extra(SocketAttribute.remote_address)[0]))
        try:
            async with raw:
                stream: ByteStream = raw
                if scheme != "tcp":
                    stream = await TLSStream.wrap(
                        raw, server_side=True, ssl_context=self._tls, standard_compatible=False
                    )
                    if scheme == "https":
                        scheme = "h2" if stream.extra(TLSAttribute.alpn_protocol) == "h2" else "h1"
                if scheme == "h2":
                    await self._http2(stream, number)
                elif scheme == "h1":
                    await self._http1(stream, number)
                else:
                    await self._framed(stream, scheme, number)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            self.change()

    async def _framed(self, stream: ByteStream, scheme: str, number: int) -> None:
        buffer = bytearray()
        lock = anyio.Lock()
        async with anyio.create_task_group() as tasks:

            async def reply(wire: bytes) -> None:
                seen = Seen(scheme, number, wire)
                for answer in await self.answers(seen):
                    framed = len(answer).to_bytes(2, "big") + answer
                    async with lock:
                        if seen.fault is Fault.CLOSE:
                            await stream.send(framed[:9])
                            tasks.cancel_scope.cancel()
                            return
                        await stream.send(framed)

            try:
                while True:
                    buffer += await stream.receive()
                    while len(buffer) >= 2 and len(buffer) >= (end := 2 + int.from_bytes(buffer[:2], "big")):
                        tasks.start_soon(reply, bytes(buffer[2:end]))
                        del buffer[:end]
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                tasks.cancel_scope.cancel()

    async def _http2(self, stream: ByteStream, number: int) -> None:
        def reset(key: int) -> None:
            self.cancelled.append(key)
            self.change()

        served = H2Server(
            stream,
            self.answers,
            reset,
            number,
            streams_most=self.streams_most,
            shut_window=self.shut_window,
        )
        await served.run()

    async def _http1(self, stream: ByteStream, number: int) -> None:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                buffer += await stream.receive()
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            headers = [
                (name, value.strip()) for name, _, value in (line.partition(b":") for line in lines[1:])
            ]
            length = int({name.lower(): value for name, value in headers}[b"content-length"])
            while len(buffer) < length:
                buffer += await stream.receive()
            seen = Seen("h1", number, buffer[:length], [(b":line", lines[0]), *headers])
            buffer = buffer[length:]
            for body in await self.answers(seen):
                if not await self._http1_answer(stream, body, seen.fault):
                    return

    async def _http1_answer(self, stream: ByteStream, body: bytes, fault: Fault | None) -> bool:
        status = b"500 Oops" if fault is Fault.STATUS else b"200 OK"
        kind = b"text/html" if fault is Fault.MEDIA_TYPE else b"application/dns-message"
        if fault is Fault.EARLY_HINTS:
            await stream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
        if fault is Fault.HUGE:
            body = bytes(100_000)
        close = b"Connection: close\r\n" if fault is Fault.LAST else b""
        # Chunked, in two writes: the harder case for the reader.
        head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (
            status,
            kind,
            close,
        )
        await stream.send(head + b"%x\r\n%b" % (len(body), body[:5]))
        if fault is Fault.CLOSE:
            return False
        await stream.send(body[5:] + b"\r\n0\r\n\r\n")
        if fault is Fault.TWICE:
            await stream.send(head + b"0\r\n\r\n")
        return fault is not Fault.LAST

    async def answers(self, seen: Seen) -> list[bytes]:
        """What to send for a question, none for silence."""
        fault = seen.fault = self.script(seen)
        self.seen.append(seen)
        self.change()
        if fault is Fault.SILENCE:
            return []
        if fault is Fault.HOLD:
            await self.released.wait()
        if fault is Fault.GARBAGE:
            return [seen.wire[:2] + b"not a DNS message"]
        true = self._reply(seen.message)
        if fault is Fault.TRUNCATED:
            true.flags |= dns.flags.TC
            true.answer.clear()
        elif fault is Fault.SERVFAIL:
            true.set_rcode(dns.rcode.SERVFAIL)
            true.answer.clear()
        elif fault in (Fault.WRONG_QUESTION, Fault.FORGED_QUESTION):
            query = dns.message.make_query("other.example", seen.kind, id=seen.message.id)
            other = self._reply(query, forged=True).to_wire()
            return [other] if fault is Fault.WRONG_QUESTION else [other, true.to_wire()]
        elif fault is Fault.FORGED_ID:
            wire = bytearray(self._reply(seen.message, forged=True).to_wire())
            wire[0] ^= 0xFF
            return [bytes(wire), true.to_wire()]
        return [true.to_wire()]

    def _reply(self, query: dns.message.Message, *, forged: bool = False) -> dns.message.Message:
        reply = dns.message.make_response(query)
        name, kind = query.question[0].name, query.question[0].rdtype.name
        known = self.records.get(name.to_text(omit_final_dot=True))
        while known and not _is_address(known[0]):
            target = dns.rrset.from_text(name, self.ttl, "IN", "CNAME", known[0] + ".")
            reply.answer.append(target)
            name = target[0].target
            known = self.records.get(known[0])
        version = 4 if kind == "A" else 6
        found = [text for text in known or () if ipaddress.ip_address(text).version == version]
        if forged:
            found = ["203.0.113.66" if version == 4 else "2001:db8::66"]
        if found:
            reply.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, *found))
            return reply
        if known is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if self.negative_ttl is not None:
            soa = f"ns.example. root.example. 1 2 3 4 {self.negative_ttl}"
            reply.authority.append(dns.rrset.from_text(name.parent(), 86400, "IN", "SOA", soa))
        return reply


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(50)
    return sock


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@asynccontextmanager
async def running(*lives: FakeDns | Resolver) -> AsyncIterator[None]:
    """Servers first, then resolvers; all of them end with the block."""
    async with anyio.create_task_group() as tasks:
        for life in lives:
            await tasks.start(life.serve if isinstance(life, FakeDns) else life.run)
        yield
        tasks.cancel_scope.cancel()


async def from_here(address: Address, port: int, _identity: str, *, egress: Egress = ANYWHERE) -> TaskStream:
    """How a test's own connections to a server are made, for everybody alike."""
    return await connect(address, port, timeout=20, egress=egress)


@asynccontextmanager
async def asking(  # noqa: PLR0913 - one fact each, named at every call
    server: FakeDns,
    scheme: str,
    ca_file: str = "",
    *,
    seconds: float = 20,
    idle: float = 20,
    egress: Egress = ANYWHERE,
) -> AsyncIterator[Upstream]:
    """The server running, and what asks it by that scheme."""
    way = Way(
        dial=partial(from_here, egress=egress),
        datagrams=True,
        apart=False,
        ca_file=ca_file,
        timeout=seconds,
        draw_id=partial(secrets.randbelow, 1 << 16),
        now=time.monotonic,
        udp_wait=0.05,
        idle=idle,
        egress=egress,
    )
    async with running(server), anyio.create_task_group() as tasks:
        target = parse_server(server.url(scheme))
        assert isinstance(target, Server)
        yield Upstream(target, way, tasks)
        tasks.cancel_scope.cancel()
