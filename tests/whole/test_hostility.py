"""Clients that mean harm, against the whole process: it stays bounded, serves the others, and recovers.

Limits are made small here so that a test trips them soon; nothing depends on how fast the machine is, but for
the bounds after which a test would hang.
"""

import re
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from anongw.users import hash_password
from tests.support import asks, outside
from tests.support.asks import CONNECT, HTTP, PATIENCE, SOCKS4, SOCKS5, TUNNELS
from tests.support.process import PROGRAM, Gateway, gateway
from tests.support.sockets import reset

NAME = "origin.example"
EXEMPT = 'policy.allow_private=["127.0.0.9/32"]'
MIB = 1 << 20


class World(NamedTuple):
    gateway: Gateway
    origin: outside.Origin

    @property
    def where(self) -> tuple[str, int]:
        return self.gateway.where

    def tunnel(self, way: asks.Way = SOCKS5, source: str = "") -> socket.socket:
        return asks.tunnel(self.where, way, "127.0.0.9", self.origin.port, source)

    def served(self, source: str = "") -> None:
        asks.served(self.where, NAME, self.origin.port, SOCKS5, source)

    def open_files(self) -> int:
        return len(self.gateway.descriptors())

    def settles_at(self, files: int) -> None:
        """Wait until no more descriptors are open than these."""
        until(lambda: self.open_files() <= files)


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look again and again; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@contextmanager
def world(directory: Path, *settings: str) -> Iterator[World]:
    with outside.on_loopback({NAME: ("127.0.0.9",)}) as (origin, names):
        server = f'resolve.servers=["udp://127.0.0.8:{names.port}"]'
        with gateway(directory, EXEMPT, server, *settings) as running:
            yield World(running, origin)


def silently_closed(sock: socket.socket) -> bool:
    with sock:
        return asks.rest(sock) == b""


def _is_served(here: World) -> bool:
    """Whether a tunnel can be had; False if the client was closed without a word."""
    with asks.dial(here.where) as sock:
        sock.sendall(SOCKS5.ask("127.0.0.9", here.origin.port))
        with suppress(ConnectionResetError):
            return sock.recv(2) == b"\x05\x00"
    return False


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> Iterator[None]:
    """The process of the tests plays thousands of clients, and the origin too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Limits on connections


def test_the_total_limit(tmp_path: Path) -> None:
    with world(tmp_path, "limits.connections=10", "limits.per_client=10") as here, ExitStack() as stack:
        first = stack.enter_context(here.tunnel())
        for _ in range(9):
            stack.enter_context(here.tunnel())
        for source in ("127.0.0.1", "127.0.0.2"):
            assert silently_closed(asks.dial(here.where, source))
        first.close()
        until(lambda: _is_served(here))


def test_the_limit_for_one_client_leaves_room_for_others(tmp_path: Path) -> None:
    with world(tmp_path, "limits.connections=10", "limits.per_client=6") as here, ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(here.tunnel())
        assert silently_closed(asks.dial(here.where))
        here.served(source="127.0.0.2")
        stack.close()
        until(lambda: _is_served(here))


def test_the_default_limit_comes_from_the_open_files(tmp_path: Path) -> None:
    """With 150 files and nothing kept, 64 are set aside and the rest is two for each connection."""
    program = ("prlimit", "--nofile=150:150", *PROGRAM)
    settings = (EXEMPT, "limits.upstream_kept=0", "limits.pipe_bytes=0", "limits.per_client=1000")
    origin = outside.Origin(outside.listening("127.0.0.9"))
    with origin, gateway(tmp_path, *settings, program=program) as running, ExitStack() as stack:
        here = World(running, origin)
        for _ in range(43):
            stack.enter_context(here.tunnel())
        assert silently_closed(asks.dial(here.where))
        stack.close()
        until(lambda: _is_served(here))


def test_running_out_of_files_is_survived(tmp_path: Path) -> None:
    """EMFILE: connections wait or are refused, the process does not spin, and goes on when files are back."""
    with world(tmp_path) as here, ExitStack() as stack:
        here.served()
        soft, hard = resource.prlimit(here.gateway.pid, resource.RLIMIT_NOFILE)
        most = max(here.gateway.descriptors()) + 8
        resource.prlimit(here.gateway.pid, resource.RLIMIT_NOFILE, (most, hard))
        clients = [stack.enter_context(asks.dial(here.where)) for _ in range(40)]
        for client in clients:
            client.sendall(SOCKS5.ask(NAME, here.origin.port))
        answers = [asks.exactly(client, 12) for client in clients[:4]]
        before = here.gateway.cpu_seconds()
        clients[-1].settimeout(1.0)
        with pytest.raises(TimeoutError):
            clients[-1].recv(1)
        assert here.gateway.cpu_seconds() - before < 0.5, "it does not spin while it waits for files"
        clients[-1].settimeout(PATIENCE)
        resource.prlimit(here.gateway.pid, resource.RLIMIT_NOFILE, (soft, hard))
        answers += [asks.exactly(client, 12) for client in clients[4:]]
        refused = SOCKS5.granted[:2] + asks.socks5_reply(1)
        unresolved = SOCKS5.refused("resolver-failed")
        assert set(answers) <= {SOCKS5.granted, refused, unresolved}
        assert answers[-1] == SOCKS5.granted
        stack.close()
        here.served()


# Slow and silent clients

SLOW = [
    asks.get(NAME, 80, b"X: " + b"a" * 500),
    asks.connect(NAME, 80, b"X: " + b"a" * 500),
    b"\x05\xff" + bytes(255),
    asks.SOCKS5_NONE + b"\x05\x01\x00\x03\xff" + b"a" * 255,
    b"\x05\x01\x02\x01\xff" + b"a" * 255,
    b"\x04\x01\x00\x50\x00\x00\x00\x01" + b"u" * 250,
]


def test_slowloris_is_cut_while_good_clients_are_served(tmp_path: Path) -> None:
    with world(tmp_path, "limits.handshake=3s", "limits.linger=1s") as here:
        files = here.open_files()
        with selectors.DefaultSelector() as selector, ExitStack() as stack:
            for number in range(500):
                sock = stack.enter_context(asks.dial(here.where))
                selector.register(sock, selectors.EVENT_READ, bytearray(SLOW[number % len(SLOW)]))
            end = time.monotonic() + PATIENCE
            while selector.get_map():
                assert time.monotonic() < end, f"{len(selector.get_map())} are still there"
                _drip(selector)
                here.served()
        here.settles_at(files + 4)


def _drip(selector: selectors.BaseSelector) -> None:
    """One byte from each, and a second until the next; those that were closed are forgotten."""
    for key in list(selector.get_map().values()):
        assert isinstance(key.fileobj, socket.socket)
        with suppress(BrokenPipeError, ConnectionResetError):
            key.fileobj.sendall(bytes((key.data.pop(0),)))
    end = time.monotonic() + 1
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            assert isinstance(key.fileobj, socket.socket)
            try:
                over = not key.fileobj.recv(4096)
            except ConnectionResetError:
                over = True
            if over:
                selector.unregister(key.fileobj)


@pytest.mark.skipif(not shutil.which("slowhttptest"), reason="slowhttptest is not installed")
@pytest.mark.parametrize("how", ["-H", "-B"])
def test_slowhttptest_does_not_take_it_down(how: str, tmp_path: Path) -> None:
    """An independent slow client: its own probes, by way of the gateway, must be served all the time."""
    with world(tmp_path, "limits.handshake=3s", "limits.stall=3s") as here:
        host, port = here.where
        origin = f"http://127.0.0.9:{here.origin.port}/"
        words = f"slowhttptest -c 200 {how} -i 1 -r 200 -l 6 -p 3 -d {host}:{port} -u {origin}"
        done = subprocess.run(
            words.split(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        assert "service available:   YES" in said, said
        assert "service available:   NO" not in said, said
        here.served()


def test_thousands_of_idle_tunnels(tmp_path: Path) -> None:
    """2,000 at once, fewer where the system gives fewer files: alive, cheap, and gone without a trace."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(2000, (hard - 600) // 4)
    with world(tmp_path, f"limits.per_client={count}") as here, ExitStack() as stack:
        files = here.open_files()
        here.served()
        memory = here.gateway.status("VmRSS")
        tunnels = [stack.enter_context(here.tunnel(TUNNELS[number % 3])) for number in range(count)]
        assert here.open_files() >= files + 2 * count
        assert here.gateway.status("VmRSS") - memory < 16 * count
        for number, sock in enumerate(tunnels):
            sock.sendall(b"%d" % number)
        for number, sock in enumerate(tunnels):
            assert asks.exactly(sock, len(str(number))) == b"%d" % number
        here.served(source="127.0.0.2")
        stack.close()
        here.settles_at(files)


def test_clients_that_reset_leave_nothing_behind(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        files = here.open_files()
        good = [way.ask(NAME, here.origin.port) for way in (SOCKS5, SOCKS4, CONNECT, HTTP)]
        for number in range(400):
            sock = asks.dial(here.where)
            said = good[number % 4]
            sock.sendall(said[: 1 + number % len(said)])
            reset(sock)
        for way in TUNNELS:
            for _ in range(20):
                sock = here.tunnel(way)
                sock.sendall(outside.flood(64 * MIB))
                asks.exactly(sock, 1 * MIB)
                reset(sock)
        here.served()
        here.settles_at(files + 4)  # the origin's kept connections


@pytest.mark.parametrize("way", ["tunnel", "http"])
def test_a_reader_that_stalls_stops_only_itself(way: str, tmp_path: Path) -> None:
    """1 GiB is offered to each of ten; what the gateway holds of it is bounded by what the kernel holds."""
    with world(tmp_path) as here, ExitStack() as stack:
        here.served()
        memory = here.gateway.status("VmRSS")
        for _ in range(10):
            if way == "tunnel":
                sock = stack.enter_context(here.tunnel())
                sock.sendall(outside.flood(1 << 30))
            else:
                sock = stack.enter_context(asks.dial(here.where))
                sock.sendall(asks.get("127.0.0.9", here.origin.port, path=f"/flood/{1 << 30}"))
        until(lambda: _has_stalled(here.origin))
        assert here.gateway.status("VmHWM") - memory < 16 * 1024, "KiB"
        here.served()


def _has_stalled(origin: outside.Origin) -> bool:
    """Ten floods run, and nothing was sent in the last half second."""
    before = [one.offered for one in origin.heard if one.offered]
    time.sleep(0.5)
    return len(before) == 10 and before == [one.offered for one in origin.heard if one.offered]


def test_requests_without_end_and_no_reader(tmp_path: Path) -> None:
    """Pipelined requests whose answers nobody reads: they stay in the client's kernel, not in our memory."""
    with world(tmp_path) as here, ExitStack() as stack:
        here.served()
        memory = here.gateway.status("VmRSS")
        many = asks.get("127.0.0.9", here.origin.port, path="/flood/100000") * 1000
        for _ in range(20):
            sock = stack.enter_context(asks.dial(here.where))
            sock.settimeout(0.2)
            with suppress(TimeoutError):
                while True:
                    sock.sendall(many)
        assert here.gateway.status("VmHWM") - memory < 16 * 1024, "KiB"
        here.served()


def test_labels_without_end(tmp_path: Path) -> None:
    """Every label is an identity with a cache of its own; inventing them fills no memory."""
    with world(tmp_path, "resolve.cache_entries=100") as here:
        ask = asks.socks5_request(NAME, here.origin.port)
        names = iter(range(10_000))

        def use(count: int) -> None:
            for _, number in zip(range(count), names, strict=False):
                with asks.dial(here.where) as sock:
                    sock.sendall(asks.socks5_login(b"label %d" % number, b"") + ask)
                    assert asks.exactly(sock, 14)[-8:] == bytes((0, 1)) + bytes(6)

        use(200)
        memory = here.gateway.status("VmRSS")
        use(1000)
        assert here.gateway.status("VmRSS") - memory < 4 * 1024, "KiB"


# Log-ins


def test_a_flood_of_wrong_passwords(tmp_path: Path) -> None:
    """300 at once cost one check's memory at a time; whoever has proven itself is served meanwhile."""
    good = asks.socks5_login(b"alice", b"right")
    with world(tmp_path, f"users.alice={hash_password('right')}") as here, ExitStack() as stack:
        ask = asks.socks5_request(NAME, here.origin.port)

        def alice() -> None:
            with asks.dial(here.where) as sock:
                sock.sendall(good + ask)
                assert asks.exactly(sock, 14) == b"\x05\x02\x01\x00" + asks.socks5_reply(0)

        alice()
        memory = here.gateway.status("VmHWM")
        crowd = [stack.enter_context(asks.dial(here.where)) for _ in range(300)]
        for number, sock in enumerate(crowd):
            name = (b"alice", b"mallory")[number % 2]
            sock.sendall(asks.socks5_login(name, b"wrong %d" % number) + ask)
        alice()
        assert [asks.rest(sock) for sock in crowd] == [b"\x05\x02\x01\x01"] * 300
        assert here.gateway.status("VmHWM") - memory < 48 * 1024, "KiB"
        alice()


# The end


def test_sigterm_while_busy(tmp_path: Path) -> None:
    """Transfers end, waiting clients are let go, a stalled one is cut after limits.shutdown; status 0."""
    size = 256 * MIB
    with world(tmp_path, "limits.shutdown=5s") as here, ExitStack() as stack:
        stalled, idle = (stack.enter_context(here.tunnel()) for _ in range(2))
        stalled.sendall(outside.flood(1 << 30))
        waiting = stack.enter_context(asks.dial(here.where))
        busy = [stack.enter_context(here.tunnel(way)) for way in TUNNELS]
        counts = [0] * len(busy)

        def download(number: int) -> None:
            while counts[number] < size and (piece := busy[number].recv(1 << 20)):
                counts[number] += len(piece)

        readers = [threading.Thread(target=download, args=(number,)) for number in range(len(busy))]
        for sock, reader in zip(busy, readers, strict=True):
            sock.sendall(outside.flood(size))
            counts[busy.index(sock)] = len(asks.exactly(sock, 1))
            reader.start()
        here.gateway.process.send_signal(signal.SIGTERM)
        for reader in readers:
            reader.join(PATIENCE)
        assert counts == [size] * len(busy)
        assert asks.rest(idle) == b""
        assert asks.rest(waiting) == b""
        with pytest.raises(ConnectionRefusedError):
            asks.dial(here.where)
        assert here.gateway.wait() == 0
