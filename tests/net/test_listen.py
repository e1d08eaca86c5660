"""Each rule of `net/listen.py`, on real listeners."""

import errno
import ipaddress
import os
import resource
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import pytest

from anongw.address import Address
from anongw.net.listen import (
    ACCEPTS_A_TURN,
    ACCEPTS_IN_A_ROW,
    Listener,
    _connected,
    _parsed,
    bind,
    spell,
)
from tests.support.driven import DrivenEngine, driven
from tests.support.sockets import PROBED

BACKLOG = 128


class Hall:
    """Takes what a listener accepts."""

    def __init__(self) -> None:
        self.inside: list[socket.socket] = []
        self.addresses: list[Address | None] = []

    def accepted(self, _listener: Listener, sock: socket.socket, address: Address | None) -> None:
        self.inside.append(sock)
        self.addresses.append(address)


@asynccontextmanager
async def listening(spelling: str) -> AsyncIterator[tuple[DrivenEngine, Listener, Hall]]:
    hall = Hall()
    async with driven() as engine:
        listener = Listener(engine, bind(spelling, BACKLOG), hall.accepted)
        yield engine, listener, hall
        for sock in hall.inside:
            sock.close()
        if not listener.closed:
            listener.close()


def knock(engine: DrivenEngine, listener: Listener) -> socket.socket:
    """Connect to it, without waiting for it to accept."""
    sock = socket.socket(listener.sock.family)
    engine.sockets.append(sock)
    sock.connect(listener.sock.getsockname())
    return sock


@pytest.fixture
def unix(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


def mode(path: str) -> int:
    return os.lstat(path).st_mode


def exists(path: str) -> bool:
    return os.path.lexists(path)


@pytest.mark.parametrize(
    ("spelling", "name", "address"),
    [
        ("127.0.0.1:0", "127.0.0.1:{port}", "127.0.0.1"),
        ("0.0.0.0:0", "0.0.0.0:{port}", None),
        ("[::1]:0", "[::1]:{port}", "::1"),
        ("[::]:0", "[::]:{port}", None),
        ("[0:0::1]:0", "[::1]:{port}", "::1"),
    ],
)
async def test_its_name_is_its_spelling_with_the_real_port(
    spelling: str, name: str, address: str | None
) -> None:
    async with listening(spelling) as (engine, listener, hall):
        port = listener.sock.getsockname()[1]
        assert port > 0
        assert listener.name == name.format(port=port)
        assert listener.local_only == (address is not None)
        if address is not None:
            knock(engine, listener)
            await engine.at_rest()
            assert [str(found) for found in hall.addresses] == [address]


async def test_a_unix_socket_is_its_users_alone_and_its_clients_have_no_address(unix: str) -> None:
    async with listening(f"unix:{unix}") as (engine, listener, hall):
        assert listener.name == f"unix:{unix}"
        assert listener.local_only
        assert stat.S_IMODE(mode(unix)) == 0o600
        knock(engine, listener)
        await engine.at_rest()
        assert hall.addresses == [None]
        listener.close()
        assert not exists(unix), "removed when it closes"


def test_ipv6_means_ipv6_only() -> None:
    for attempt in range(20):
        with bind("[::]:0", BACKLOG) as both, suppress(OSError):
            port = both.getsockname()[1]
            with bind(f"0.0.0.0:{port}", BACKLOG) as other:
                assert spell(other) == f"0.0.0.0:{port}"
                return
        # Somebody else has that port in IPv4. Never in twenty tries.
        assert attempt < 19


@pytest.mark.parametrize("spelling", ["127.0.0.1:0", "[::1]:0"])
async def test_accepted_connections_have_no_delay_probe_their_peer_and_never_block(spelling: str) -> None:
    async with listening(spelling) as (engine, listener, hall):
        knock(engine, listener)
        await engine.at_rest()
        (sock,) = hall.inside
        assert not sock.getblocking()
        options = {
            (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
            **PROBED,
        }
        assert {option: sock.getsockopt(*option) for option in options} == options
        # It would hide silent clients in the kernel's queue.
        assert listener.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) == 0


async def test_a_silent_client_is_accepted_at_once() -> None:
    async with listening("127.0.0.1:0") as (engine, listener, hall):
        knock(engine, listener)
        await engine.at_rest()
        assert len(hall.inside) == 1


async def test_a_turn_accepts_so_many_and_leaves_the_rest_to_the_next() -> None:
    async with listening("127.0.0.1:0") as (engine, listener, hall):
        for _ in range(ACCEPTS_A_TURN + 1):
            knock(engine, listener)
        engine.turn()
        assert len(hall.inside) == ACCEPTS_A_TURN
        engine.turn()
        assert len(hall.inside) == ACCEPTS_A_TURN + 1


async def test_a_listener_that_is_closed_while_it_accepts_takes_no_more() -> None:
    async with driven() as engine:
        taken: list[socket.socket] = []

        def accepted(listener: Listener, sock: socket.socket, _address: Address | None) -> None:
            taken.append(sock)
            listener.close()

        listener = Listener(engine, bind("127.0.0.1:0", BACKLOG), accepted)
        clients = [knock(engine, listener) for _ in range(3)]
        await engine.at_rest()
        assert len(taken) == 1
        taken[0].close()
        with pytest.raises(ConnectionRefusedError), socket.socket() as late:
            late.connect(clients[0].getpeername())
        assert engine.on_sweep == []


async def test_a_bug_in_who_takes_a_connection_does_not_end_the_engine() -> None:
    async with driven() as engine:
        engine.expected_bugs = 1
        taken: list[socket.socket] = []

        def accepted(_listener: Listener, sock: socket.socket, _address: Address | None) -> None:
            taken.append(sock)
            if len(taken) == 1:
                raise LookupError

        listener = Listener(engine, bind("127.0.0.1:0", BACKLOG), accepted)
        for _ in range(2):
            knock(engine, listener)
        await engine.at_rest()
        assert len(taken) == 2
        for sock in taken:
            sock.close()
        listener.close()


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Lower this process's own limit to what is in use, and put it back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_connections_wait_cost_no_turns_and_are_served_later() -> None:
    async with listening("127.0.0.1:0") as (engine, listener, hall):
        clients = [knock(engine, listener) for _ in range(3)]
        with no_descriptor_left():
            await engine.at_rest()
            assert hall.inside == []
            assert listener.starved == 1
            assert await engine.at_rest() == 0, "it pauses instead of spinning"
            engine.sweep()
            await engine.at_rest()
            assert listener.starved == 2
        engine.sweep()
        await engine.at_rest()
        assert len(hall.inside) == len(clients)


async def test_one_that_has_no_room_leaves_connections_to_the_others() -> None:
    hall, other = Hall(), Hall()
    async with driven() as engine:
        sock = bind("127.0.0.1:0", BACKLOG)
        full = Listener(engine, sock, hall.accepted, shared=True, room=lambda: len(hall.inside) < 2)
        clients = [knock(engine, full) for _ in range(5)]
        await engine.at_rest()
        assert len(hall.inside) == 2
        assert await engine.at_rest() == 0, "it pauses instead of spinning"
        engine.sweep()
        await engine.at_rest()
        assert len(hall.inside) == 2
        twin = Listener(engine, sock.dup(), other.accepted, shared=True)
        await engine.at_rest()
        assert len(other.inside) == len(clients) - 2
        hall.inside.pop().close()
        clients.append(knock(engine, full))
        engine.sweep()
        await engine.at_rest()
        assert len(hall.inside) + len(other.inside) == len(clients) - 1
        for taken in (*hall.inside, *other.inside):
            taken.close()
        full.close()
        twin.close()


async def test_a_shared_one_takes_few_at_a_time_and_all_in_the_end() -> None:
    hall = Hall()
    async with driven() as engine:
        listener = Listener(engine, bind("127.0.0.1:0", BACKLOG), hall.accepted, shared=True)
        clients = [knock(engine, listener) for _ in range(3 * ACCEPTS_IN_A_ROW)]
        engine.turn()
        assert len(hall.inside) == ACCEPTS_IN_A_ROW
        await engine.at_rest()
        assert len(hall.inside) == len(clients)
        for taken in hall.inside:
            taken.close()
        listener.close()


async def test_a_shared_ones_file_is_not_its_own(unix: str) -> None:
    hall = Hall()
    async with driven() as engine:
        listener = Listener(engine, bind(f"unix:{unix}", BACKLOG), hall.accepted, shared=True)
        listener.close()
        assert exists(unix)


async def test_a_connection_that_was_reset_before_it_was_taken_does_not_stop_the_others() -> None:
    async with listening("127.0.0.1:0") as (engine, listener, hall):
        for client in [knock(engine, listener) for _ in range(2)]:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        knock(engine, listener)
        await engine.at_rest()
        assert 1 <= len(hall.inside) <= 3
        assert not listener.closed


def test_a_port_that_is_taken_is_an_error_for_a_person() -> None:
    with bind("127.0.0.1:0", BACKLOG) as taken, pytest.raises(OSError, match="Address already in use"):
        bind(spell(taken), BACKLOG)


def test_an_address_of_another_machine_is_an_error_for_a_person() -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        bind("192.0.2.1:0", BACKLOG)


def test_a_port_in_time_wait_can_be_had_again() -> None:
    with bind("127.0.0.1:0", BACKLOG) as first:
        name = spell(first)
        with socket.socket() as client:
            client.connect(first.getsockname())
            first.settimeout(None)
            accepted, _ = first.accept()
            accepted.close()  # we close first, so the port lingers on our side
            assert client.recv(1) == b""
    with bind(name, BACKLOG) as again:
        assert spell(again) == name


def test_a_stale_socket_file_is_removed(unix: str) -> None:
    with bind(f"unix:{unix}", BACKLOG):
        pass
    assert exists(unix)
    with bind(f"unix:{unix}", BACKLOG) as again, socket.socket(socket.AF_UNIX) as client:
        client.connect(again.getsockname())


def test_a_living_socket_is_left_alone(unix: str) -> None:
    with bind(f"unix:{unix}", BACKLOG) as living:
        with pytest.raises(OSError, match="Address already in use"):
            bind(f"unix:{unix}", BACKLOG)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(unix)
        accepted, _ = living.accept()
        accepted.close()


def test_a_living_socket_whose_queue_is_full_is_left_alone_without_a_wait(unix: str) -> None:
    with bind(f"unix:{unix}", 0), socket.socket(socket.AF_UNIX) as client:
        client.connect(unix)
        with pytest.raises(OSError, match="Address already in use"):
            bind(f"unix:{unix}", BACKLOG)


@pytest.mark.parametrize("kind", ["file", "directory", "dangling link", "datagram socket"])
def test_what_is_not_a_stale_stream_socket_is_left_alone(unix: str, kind: str) -> None:
    path = Path(unix)
    living = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "dangling link":
            path.symlink_to("nowhere")
        case "datagram socket":
            living.bind(unix)
    with pytest.raises(OSError, match="Address already in use") as error:
        bind(f"unix:{unix}", BACKLOG)
    assert error.value.errno == errno.EADDRINUSE
    assert exists(unix)
    if kind == "file":
        assert path.read_text() == "precious"
    living.close()


@pytest.mark.parametrize(
    ("path", "text"),
    [("/nowhere/socket", "No such file"), ("", "No such file"), ("/tmp/" + 200 * "x", "too long")],
)
def test_a_path_that_cannot_be_bound_is_an_error_for_a_person(path: str, text: str) -> None:
    with pytest.raises(OSError, match=text) as error:
        bind(f"unix:{path}", BACKLOG)
    assert error.value.strerror


async def test_closing_leaves_the_queued_to_be_reset() -> None:
    async with driven() as engine:
        listener = Listener(engine, bind("127.0.0.1:0", BACKLOG), Hall().accepted)
        client = knock(engine, listener)
        listener.close()
        engine.settle()
        client.settimeout(0)
        await anyio.wait_readable(client)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_connections_of_one_client_share_its_address_which_is_forgotten_with_the_last() -> None:
    one, other = (_parsed("192.0.2.77") for _ in range(2))
    assert one is other == ipaddress.ip_address("192.0.2.77")
    assert "192.0.2.77" in _connected
    del one, other
    assert "192.0.2.77" not in _connected
