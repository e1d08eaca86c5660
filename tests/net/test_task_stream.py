"""The task-side stream: bytes both ways, hand-over, and what each failure means."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import SocketAttribute

from anongw.errors import Reason, Refused
from anongw.net.egress import Egress
from anongw.net.task_stream import TaskStream, connect, sockaddr
from tests.support.sockets import descriptors

LOOPBACK = ipaddress.ip_address("127.0.0.1")
Pair = tuple[TaskStream, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    # The stream closes its socket by hand: the fixture runs outside the event loop.
    stream = TaskStream(ours)
    yield stream, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


async def test_bytes_arrive(pair: Pair) -> None:
    stream, peer = pair
    peer.send(b"hello")
    assert await stream.receive() == b"hello"


async def test_a_receive_waits_for_bytes(pair: Pair) -> None:
    stream, peer = pair
    got = []

    async def receive() -> None:
        got.append(await stream.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        peer.send(b"late")
    assert got == [b"late"]


async def test_early_bytes_come_first(pair: Pair) -> None:
    stream, peer = pair
    sock, early = stream.detach()
    assert early == b""
    stream = TaskStream(sock, b"early")
    peer.send(b"later")
    assert [await stream.receive(3), await stream.receive(), await stream.receive()] == [
        b"ear",
        b"ly",
        b"later",
    ]
    await stream.aclose()


async def test_a_big_send_waits_until_the_peer_has_taken_it(pair: Pair) -> None:
    stream, peer = pair
    size = 4 * 1024 * 1024
    got = bytearray()

    def take() -> None:
        while len(got) < size:
            got.extend(peer.recv(65536))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, bytes(size))
        await anyio.to_thread.run_sync(take)
    assert len(got) == size


async def test_two_senders_take_turns(pair: Pair) -> None:
    stream, peer = pair
    size = 1024 * 1024
    got = bytearray()

    def take() -> None:
        while len(got) < 2 * size:
            got.extend(peer.recv(65536))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, b"a" * size)
        tasks.start_soon(stream.send, b"b" * size)
        await anyio.to_thread.run_sync(take)
    assert got in (b"a" * size + b"b" * size, b"b" * size + b"a" * size)


async def test_the_end(pair: Pair) -> None:
    stream, peer = pair
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()
    await stream.send(b"still open")
    assert peer.recv(100) == b"still open"


async def test_our_end(pair: Pair) -> None:
    stream, peer = pair
    await stream.send_eof()
    assert peer.recv(100) == b""


async def test_a_peer_that_is_gone_breaks_the_stream(pair: Pair) -> None:
    stream, peer = pair
    peer.close()
    with pytest.raises(anyio.BrokenResourceError):
        await stream.send(b"x")


async def test_close_wakes_whoever_waits(pair: Pair) -> None:
    stream, _ = pair
    closed = []

    async def receive() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        closed.append(True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        await stream.aclose()
        await stream.aclose()
    assert closed == [True]


async def test_a_cancelled_receive_costs_no_bytes(pair: Pair) -> None:
    stream, peer = pair
    peer.send(b"kept")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await stream.receive()
    assert await stream.receive() == b"kept"


async def test_detach_gives_the_socket_away_and_closes_the_stream(pair: Pair) -> None:
    stream, peer = pair
    sock, _ = stream.detach()
    with pytest.raises(anyio.ClosedResourceError):
        await stream.send(b"x")
    with pytest.raises(anyio.ClosedResourceError):
        await stream.receive()
    await stream.aclose()
    peer.send(b"mine")
    assert sock.recv(100) == b"mine"
    sock.close()


async def test_detach_gives_unread_bytes_too(pair: Pair) -> None:
    sock, _ = pair[0].detach()
    stream = TaskStream(sock, b"abc")
    assert await stream.receive(1) == b"a"
    sock, early = stream.detach()
    assert early == b"bc"
    sock.close()


async def test_connect(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    async with await connect(LOOPBACK, port, 5) as stream:
        assert stream.extra(SocketAttribute.remote_address) == ("127.0.0.1", port)
        assert stream.extra(SocketAttribute.remote_port) == port
        assert stream.extra(SocketAttribute.family) == socket.AF_INET
        raw = stream.extra(SocketAttribute.raw_socket)
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert stream.extra(SocketAttribute.local_address) == raw.getsockname()


async def test_connect_to_nobody(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(Refused) as refused:
        await connect(LOOPBACK, port, 5)
    assert refused.value.reason is Reason.CONNECTION_REFUSED


async def test_connect_gives_up_in_time(listener: socket.socket) -> None:
    # A backlog that is full drops the handshake: silence, as from a host that does not exist.
    listener.listen(0)
    port = listener.getsockname()[1]
    crowd = [socket.socket() for _ in range(4)]
    for sock in crowd:
        sock.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            sock.connect(("127.0.0.1", port))
    with pytest.raises(Refused) as refused:
        await connect(LOOPBACK, port, 0.05)
    assert refused.value.reason is Reason.CONNECT_TIMEOUT
    for sock in crowd:
        sock.close()


async def test_connect_where_no_network_is() -> None:
    # RFC 6666's discard prefix is routed nowhere; a machine with no IPv6 at all says the same.
    with pytest.raises(Refused) as refused:
        await connect(ipaddress.ip_address("100::1"), 9, 0.05)
    assert refused.value.reason in (Reason.NETWORK_UNREACHABLE, Reason.CONNECT_TIMEOUT)


async def test_connect_from_where_it_is_told(listener: socket.socket) -> None:
    egress = Egress("lo", [ipaddress.ip_address("127.0.0.2")])
    async with await connect(LOOPBACK, listener.getsockname()[1], 5, egress):
        accepted, peer = listener.accept()
        accepted.close()
        assert peer[0] == "127.0.0.2"


@pytest.mark.parametrize("source", ["192.0.2.7", "::1"])
async def test_connect_from_where_it_cannot(listener: socket.socket, source: str) -> None:
    listener.settimeout(0)
    before = descriptors()
    with pytest.raises(Refused) as refused:
        await connect(LOOPBACK, listener.getsockname()[1], 5, Egress(source=[ipaddress.ip_address(source)]))
    assert refused.value.reason is Reason.EGRESS_GONE
    assert descriptors() == before
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("2001:db8::1", ("2001:db8::1", 53, 0, 0)),
        ("fe80::1%lo", ("fe80::1", 53, 0, socket.if_nametoindex("lo"))),
        ("fe80::1%7", ("fe80::1", 53, 0, 7)),
    ],
)
def test_socket_addresses(address: str, expected: tuple[object, ...]) -> None:
    assert sockaddr(ipaddress.ip_address(address), 53) == expected


async def test_an_interface_that_does_not_exist() -> None:
    with pytest.raises(Refused):
        await connect(ipaddress.ip_address("fe80::1%nowhere0"), 53, 1)
