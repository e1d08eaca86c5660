"""A gateway in this process, on free ports, on either of anyio's backends, while a test talks to it.

It lives in a thread, so that a test is plain blocking code from both sides of it. `running` is the whole of
`gateway.serve`; targets on this machine are allowed unless a test says otherwise.
"""

import base64
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache

import anyio
import anyio.abc
from anyio.from_thread import BlockingPortal, start_blocking_portal

from anongw import gateway, log
from anongw.config import Config, Log, load
from anongw.users import hash_password
from tests.support.backends import as_the_program
from tests.support.raw_origin import PATIENCE, Line
from tests.support.sockets import descriptors

LOOPBACK = 'policy.allow_private=["127.0.0.0/8", "::1/128"]'
BASE = (
    'listen.addresses=["127.0.0.1:0"]',
    LOOPBACK,
    # Nobody answers there: a look-up that a test did not expect is an error, not a leak.
    'resolve.servers=["tcp://127.0.0.1:1"]',
    "limits.shutdown=1s",
    "control.socket=off",
)


@cache
def user(name: str = "alice", password: str = "secret") -> str:
    """The setting that makes one user known."""
    return f'users.{name}="{hash_password(password)}"'


def basic(name: str, password: str) -> str:
    """The line with which a client proves itself to a proxy (RFC 7617)."""
    return f"Proxy-Authorization: Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


class Running:
    """A gateway that accepts, and what a test does with it."""

    def __init__(self, portal: BlockingPortal, stop: anyio.Event, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses
        self.log: list[str] = []  # the lines of its log
        self.done: Future[None]
        self._portal = portal
        self._stop = stop

    def connect(self, address: str = "", *, source: str = "", buffer: int = 0) -> Line:
        """A client's connection to a listener, the first by default."""
        address = address or self.addresses[0]
        host, _, port = address.rpartition(":")
        unix = host == "unix"
        family = socket.AF_UNIX if unix else socket.AF_INET6 if "[" in host else socket.AF_INET
        sock = socket.socket(family)
        try:
            sock.settimeout(PATIENCE)
            if buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            if source:
                sock.bind((source, 0))
            sock.connect(port if unix else (host.strip("[]"), int(port)))
        except OSError:
            sock.close()
            raise
        return Line(sock)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The gateway's loop stands still: what happens meanwhile has happened at once when it goes on."""
        begun, over = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            over.wait(PATIENCE)

        held = self._portal.start_task_soon(hold)
        assert begun.wait(PATIENCE)
        try:
            yield
        finally:
            over.set()
            held.result(PATIENCE)

    def stop(self) -> None:
        """Ask it to end, as a signal would."""
        self._portal.call(self._stop.set)

    def wait(self) -> None:
        """Wait until it has ended; what it raised is raised."""
        self.done.result(PATIENCE)


def config(*settings: str) -> Config:
    return load(None, (*BASE, *settings))


@contextmanager
def running(backend: str, *settings: str) -> Iterator[Running]:
    """Run `gateway.serve`, as the program does. At the end it is stopped, and must have left nothing open."""
    lines: list[str] = []
    log.setup(Log(level="debug"))
    log.logger.remove()
    log.logger.add(lambda line: lines.append(str(line)), level="DEBUG", format="{message}")
    # The tests' own connections are closed inside the block.
    before = descriptors()
    with start_blocking_portal(backend, as_the_program(backend)) as portal:
        stop = portal.call(anyio.Event)

        async def serve(*, task_status: anyio.abc.TaskStatus[tuple[str, ...]]) -> None:
            await gateway.serve(config(*settings), ready=task_status.started, stop=stop, signals=False)

        done, addresses = portal.start_task(serve)
        served = Running(portal, stop, addresses)
        served.done, served.log = done, lines
        try:
            yield served
        finally:
            portal.call(stop.set)
            served.wait()
    assert descriptors() == before, "descriptors were left open"
