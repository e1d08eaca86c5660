"""UDP with one peer: only its datagrams arrive, and its refusal is heard."""

import ipaddress
import socket
from collections.abc import Iterator

import anyio
import pytest

from anongw.errors import Reason, Refused
from anongw.net.datagram import DATAGRAM_MOST, Datagram
from anongw.net.egress import Egress
from tests.support.sockets import descriptors

LOOPBACK = ipaddress.ip_address("127.0.0.1")


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5)
    return sock


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with bound() as sock:
        yield sock


async def test_there_and_back(peer: socket.socket) -> None:
    with Datagram(LOOPBACK, peer.getsockname()[1]) as datagram:
        await datagram.send(b"question")
        data, where = peer.recvfrom(100)
        assert data == b"question"
        peer.sendto(b"answer", where)
        assert await datagram.receive() == b"answer"


async def test_a_stranger_is_not_heard(peer: socket.socket) -> None:
    with Datagram(LOOPBACK, peer.getsockname()[1]) as datagram, bound() as stranger:
        await datagram.send(b"question")
        where = peer.recvfrom(100)[1]
        stranger.sendto(b"forged", where)
        peer.sendto(b"true", where)
        assert await datagram.receive() == b"true"


async def test_every_socket_has_a_port_of_its_own(peer: socket.socket) -> None:
    ports = set()
    for _ in range(8):
        with Datagram(LOOPBACK, peer.getsockname()[1]) as datagram:
            await datagram.send(b"x")
            ports.add(peer.recvfrom(10)[1][1])
    assert len(ports) > 1


async def test_the_largest_datagram_arrives_whole(peer: socket.socket) -> None:
    with Datagram(LOOPBACK, peer.getsockname()[1]) as datagram:
        await datagram.send(b"x")
        peer.sendto(bytes(DATAGRAM_MOST - 28), peer.recvfrom(10)[1])  # less the IP and UDP headers
        assert len(await datagram.receive()) == DATAGRAM_MOST - 28


async def test_nobody_there(peer: socket.socket) -> None:
    port = peer.getsockname()[1]
    peer.close()
    with Datagram(LOOPBACK, port) as datagram:
        await datagram.send(b"x")
        with pytest.raises(Refused) as refused:
            await datagram.receive()
    assert refused.value.reason is Reason.CONNECTION_REFUSED


async def test_no_way_there() -> None:
    with pytest.raises(Refused) as refused:
        Datagram(ipaddress.ip_address("fe80::1%nowhere0"), 53)
    assert refused.value.reason is Reason.HOST_UNREACHABLE


async def test_it_leaves_from_where_it_is_told(peer: socket.socket) -> None:
    egress = Egress("lo", [ipaddress.ip_address("127.0.0.2")])
    ports = set()
    for _ in range(8):
        with Datagram(LOOPBACK, peer.getsockname()[1], egress) as datagram:
            await datagram.send(b"x")
            host, port = peer.recvfrom(10)[1]
            assert host == "127.0.0.2"
            ports.add(port)
    assert len(ports) > 1, "the port is drawn anew all the same"


@pytest.mark.parametrize("source", ["192.0.2.7", "::1"])
async def test_where_it_cannot_leave_from_nothing_is_sent(peer: socket.socket, source: str) -> None:
    before = descriptors()
    with pytest.raises(Refused) as refused:
        Datagram(LOOPBACK, peer.getsockname()[1], Egress(source=[ipaddress.ip_address(source)]))
    assert refused.value.reason is Reason.EGRESS_GONE
    assert descriptors() == before


async def test_close_wakes_whoever_waits(peer: socket.socket) -> None:
    datagram = Datagram(LOOPBACK, peer.getsockname()[1])
    async with anyio.create_task_group() as tasks:

        async def receive() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await datagram.receive()

        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        datagram.close()
        datagram.close()
