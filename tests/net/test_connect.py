"""Each rule of `net/connect.py`, against real listeners, and networks that are not there."""

import errno
import ipaddress
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.net.connect import _TELLING, STAGGER, connect, is_this_machine
from anongw.net.egress import ANYWHERE, Egress
from anongw.net.fiber import Fiber
from anongw.net.keepalive import look
from anongw.net.reasons import reason_of
from anongw.net.stream import Stream
from tests.support import namespace
from tests.support.driven import DrivenEngine, Played, driven
from tests.support.sockets import PROBED, descriptors

V4, V6 = ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")
# Link-local and without a zone: the kernel knows at once that it leads nowhere, on every machine.
NOWHERE = ipaddress.ip_address("fe80::1")


class Listening:
    """A listener, or a black hole: its queue is full, so the kernel drops what knocks."""

    def __init__(self, engine: DrivenEngine, address: str = "127.0.0.1", port: int = 0) -> None:
        self._engine = engine
        self._knocking: list[socket.socket] = []
        self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        self.sock.listen(0)
        engine.sockets.append(self.sock)
        self.port: int = self.sock.getsockname()[1]

    def fill(self) -> None:
        """Become a black hole."""
        for _ in range(4):
            knock = socket.socket(self.sock.family)
            knock.setblocking(False)  # noqa: FBT003 - socket's own
            knock.connect_ex(self.sock.getsockname())
            self._engine.sockets.append(knock)
            self._knocking.append(knock)

    def clear(self) -> None:
        """Be a listener again. Nobody who knocked may take the place by trying once more."""
        for knock in self._knocking:
            knock.close()
        self.sock.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self.sock.accept()[0].close()

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        sock, peer = self.sock.accept()
        self._engine.sockets.append(sock)
        return sock, peer[:2]


class Dialling:
    """A flow that connects, then waits for its client."""

    def __init__(
        self, engine: DrivenEngine, addresses: Sequence[Address], port: int, egress: Egress = ANYWHERE
    ) -> None:
        self._addresses = addresses
        self._port = port
        self._egress = egress
        self.stream: Stream | None = None
        self.refused: Refused | None = None
        self.flow: Played = engine.flow(self._carry)

    async def _carry(self, fiber: Fiber, client: Stream) -> None:
        try:
            self.stream = await connect(fiber, self._addresses, self._port, self._egress)
            await client.fill()
        except Refused as refused:
            self.refused = refused
            raise

    @property
    def connected_to(self) -> str | None:
        return None if self.stream is None else self.stream.sock.getpeername()[0]


@asynccontextmanager
async def free_port() -> AsyncIterator[int]:
    """A port on which nobody listens, and nobody else may."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_it_connects_on_the_spot_where_it_can(address: str) -> None:
    async with driven() as engine:
        listener = Listening(engine, address)
        dialling = Dialling(engine, [ipaddress.ip_address(address)], listener.port)
        assert dialling.connected_to == address, "without a turn of the engine"
        assert dialling.stream is not None
        assert dialling.stream.lost is Reason.UPSTREAM_CLOSED
        assert len(dialling.flow.fiber.streams) == 2


async def test_the_port_it_leaves_from_is_the_kernels_and_not_the_clients() -> None:
    async with driven() as engine:
        listener = Listening(engine)
        ports = set()
        for _ in range(3):
            dialling = Dialling(engine, [V4], listener.port)
            _, (_, port) = listener.accept()
            assert port != dialling.flow.peer.sock.getsockname()[1]
            ports.add(port)
        assert len(ports) == 3


async def test_a_connection_has_no_delay_and_probes_its_peer_later() -> None:
    async with driven() as engine:
        listener = Listening(engine)
        stream = Dialling(engine, [V4], listener.port).stream
        assert stream is not None
        assert stream.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert not stream.probed
        look([stream])
        assert {option: stream.sock.getsockopt(*option) for option in PROBED} == PROBED
        assert not stream.sock.getblocking()
        assert not stream.sock.get_inheritable()


async def test_a_refusal_is_told() -> None:
    async with driven() as engine, free_port() as port:
        dialling = Dialling(engine, [V4], port)
        assert await dialling.flow.over() is Reason.CONNECTION_REFUSED


async def test_no_way_to_a_network_is_told() -> None:
    async with driven() as engine:
        dialling = Dialling(engine, [NOWHERE], 80)
        assert await dialling.flow.over() is Reason.NETWORK_UNREACHABLE


async def test_nowhere_to_go_is_a_refusal() -> None:
    async with driven() as engine:
        assert await Dialling(engine, [], 80).flow.over() is Reason.HOST_UNREACHABLE


async def test_a_far_side_that_says_nothing_is_the_callers_limit() -> None:
    async with driven() as engine:
        hole = Listening(engine)
        hole.fill()
        dialling = Dialling(engine, [V4], hole.port)
        dialling.flow.fiber.within(0.0, Reason.CONNECT_TIMEOUT)
        engine.sweep()
        assert dialling.flow.reasons == [Reason.CONNECT_TIMEOUT]


async def test_the_addresses_are_tried_in_their_order() -> None:
    async with driven() as engine:
        first = Listening(engine)
        Listening(engine, "127.0.0.2", first.port)
        for order in (("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")):
            dialling = Dialling(engine, [ipaddress.ip_address(text) for text in order], first.port)
            assert dialling.connected_to == order[0]


async def test_a_failure_makes_way_for_the_next_at_once() -> None:
    async with driven() as engine:
        listener = Listening(engine)
        nobody = ipaddress.ip_address("127.0.0.2")
        before = descriptors()
        dialling = Dialling(engine, [nobody, NOWHERE, nobody, V4], listener.port)
        await engine.at_rest()
        assert dialling.connected_to == "127.0.0.1"
        assert len(descriptors() - before) == 3, "the client's two ends and the winner"


async def test_an_address_that_says_nothing_loses_to_the_next_after_its_head_start() -> None:
    async with driven() as engine:
        hole = Listening(engine)
        hole.fill()
        listener = Listening(engine, "127.0.0.2", hole.port)
        began = engine.now
        dialling = Dialling(engine, [V4, ipaddress.ip_address("127.0.0.2")], hole.port)
        await engine.at_rest()
        assert dialling.connected_to is None
        fiber = dialling.flow.fiber
        assert began + STAGGER <= fiber.wake_at <= engine.now + STAGGER
        before = descriptors()
        fiber.tick(fiber.wake_at)
        engine.settle()
        assert dialling.connected_to == "127.0.0.2"
        assert len(fiber.streams) == 2, "the loser is closed"
        assert len(descriptors()) == len(before)
        listener.accept()


async def test_the_first_may_still_win_after_the_next_has_begun() -> None:
    async with driven() as engine:
        hole = Listening(engine)
        hole.fill()
        second = Listening(engine, "127.0.0.3", hole.port)
        second.fill()
        dialling = Dialling(engine, [V4, ipaddress.ip_address("127.0.0.3")], hole.port)
        fiber = dialling.flow.fiber
        fiber.tick(fiber.wake_at)
        assert len(fiber.streams) == 3, "both are under way"
        # Room in its queue: the kernel's next try, about a second after the first, gets in.
        hole.clear()
        while dialling.stream is None:
            assert not dialling.flow.is_over
            await engine.next_turn()
        assert dialling.connected_to == "127.0.0.1"
        assert len(fiber.streams) == 2


@pytest.mark.parametrize("reversed_", [False, True])
async def test_of_several_failures_the_most_telling_is_told(reversed_: bool) -> None:  # noqa: FBT001
    async with driven() as engine, free_port() as port:
        addresses: list[Address] = [V4, NOWHERE]
        if reversed_:
            addresses.reverse()
        dialling = Dialling(engine, addresses, port)
        assert await dialling.flow.over() is Reason.CONNECTION_REFUSED


def test_every_reason_it_gives_has_its_place_among_the_telling() -> None:
    assert {reason_of(code) for code in errno.errorcode} | {Reason.EGRESS_GONE} == set(_TELLING)
    assert len(set(_TELLING)) == len(_TELLING)


@pytest.mark.parametrize("source", ["127.0.0.2", "127.0.0.3"])
async def test_it_leaves_from_where_it_is_told(source: str) -> None:
    async with driven() as engine:
        listener = Listening(engine)
        dialling = Dialling(engine, [V4], listener.port, Egress("lo", [ipaddress.ip_address(source)]))
        assert dialling.stream is not None, "on the spot, as without it"
        assert listener.accept()[1][0] == source
        assert dialling.stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16) == b"lo\0"


async def test_an_egress_that_is_gone_is_told_and_nobody_is_called() -> None:
    async with driven() as engine:
        listener = Listening(engine)
        listener.sock.settimeout(0)
        dialling = Dialling(
            engine, [V4, V4], listener.port, Egress(source=[ipaddress.ip_address("192.0.2.7")])
        )
        assert await dialling.flow.over() is Reason.EGRESS_GONE
        assert dialling.refused is not None
        assert dialling.refused.detail == "192.0.2.7 is no address of this machine"
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("reversed_", [False, True])
async def test_a_family_without_a_source_is_left_out_and_never_goes_unbound(reversed_: bool) -> None:  # noqa: FBT001
    async with driven() as engine:
        four = Listening(engine)
        four.sock.settimeout(0)
        Listening(engine, "::1", four.port)
        addresses: list[Address] = [V4, V6]
        if reversed_:
            addresses.reverse()
        dialling = Dialling(engine, addresses, four.port, Egress(source=[V6]))
        assert dialling.connected_to == "::1"
        with pytest.raises(BlockingIOError):
            four.accept()


@pytest.mark.parametrize("reversed_", [False, True])
async def test_what_the_far_side_said_tells_more_than_a_family_left_out(reversed_: bool) -> None:  # noqa: FBT001
    async with driven() as engine, free_port() as port:
        addresses: list[Address] = [V4, V6]
        if reversed_:
            addresses.reverse()
        dialling = Dialling(engine, addresses, port, Egress(source=[V4]))
        assert await dialling.flow.over() is Reason.CONNECTION_REFUSED
        assert dialling.refused is not None
        assert dialling.refused.detail == ""


async def test_what_is_not_bound_is_closed() -> None:
    async with driven() as engine:
        before = descriptors()
        dialling = Dialling(engine, [V4, V6, V4], 80, Egress(source=[ipaddress.ip_address("192.0.2.7")]))
        assert await dialling.flow.over() is Reason.EGRESS_GONE
        engine.settle()
        assert len(descriptors() - before) == 1, "the client's own end"


async def test_a_flow_that_dies_while_it_connects_leaves_nothing_open() -> None:
    async with driven() as engine:
        hole = Listening(engine)
        hole.fill()
        before = descriptors()
        dialling = Dialling(engine, [V4, V4, V4], hole.port)
        for _ in range(2):
            dialling.flow.fiber.tick(dialling.flow.fiber.wake_at)
        assert len(dialling.flow.fiber.streams) == 4
        dialling.flow.peer.reset()
        assert await dialling.flow.over() is Reason.CLIENT_GONE
        engine.settle()
        assert descriptors() <= before


@pytest.mark.parametrize(
    ("address", "mine"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("127.0.0.2", False), ("100::1", False)],
)
def test_the_kernel_knows_its_own_addresses(address: str, *, mine: bool) -> None:
    assert is_this_machine(ipaddress.ip_address(address), 80) is mine


@pytest.mark.skipif(bool(namespace.why_not()), reason=namespace.why_not() or "namespaces work")
def test_a_second_address_of_an_interface_is_this_machines_too() -> None:
    """In a network of its own: for such an address the kernel leaves from the first one."""
    program = """
import ipaddress, subprocess
from anongw.net.connect import is_this_machine
for words in (
    "link set lo up",
    "link add one type veth peer name two",
    "link set one up",
    "link set two up",
    "addr add 20.0.0.1/24 dev one",
    "addr add 20.0.0.5/24 dev one",
    "addr add 2a00:20::1/64 dev one nodad",
    "addr add 2a00:20::5/64 dev one nodad",
):
    subprocess.run(["ip", *words.split()], check=True)
for text in ("20.0.0.1", "20.0.0.5", "2a00:20::1", "2a00:20::5", "20.0.0.7", "2a00:20::7", "127.0.0.9"):
    print(text, is_this_machine(ipaddress.ip_address(text), 80))
"""
    done = subprocess.run(
        [*namespace.unshare(), sys.executable, "-c", program],
        cwd=namespace.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split() for line in done.stdout.splitlines())
    mine = {"20.0.0.1", "20.0.0.5", "2a00:20::1", "2a00:20::5"}
    assert {text for text, is_mine in found.items() if is_mine == "True"} == mine
