"""Listeners: sockets bound from the config's spelling, and the accept loop that survives a flood.

A connection is taken at once and read by the flow itself (no TCP_DEFER_ACCEPT: it would hide silent clients
in the kernel's queue, outside every limit of ours). Running out of descriptors pauses accepting until the
next sweep; it never ends the gateway.
"""

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Callable
from weakref import WeakValueDictionary

from anongw.address import Address
from anongw.net.engine import Engine
from anongw.net.keepalive import keep_alive
from anongw.net.wait import ONE_OF_US, READ

# Connections taken from one listener in a turn, so that a flood of them cannot starve those that exist.
ACCEPTS_A_TURN = 32
# Connections that one of several processes takes from a socket that they share until others have their turn.
# Fewer are spread more evenly and cost more: with 2 in a row a connection costs 4 % more than with 8.
ACCEPTS_IN_A_ROW = 8
# What accept(2) says when the system, not the connection, is short of something.
_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# unix(7): 108 bytes, the final zero with them.
_UNIX_PATH_MOST = 107

# The clients that are connected, by their addresses' spelling.
_connected: WeakValueDictionary[str, Address] = WeakValueDictionary()

Accepted = Callable[["Listener", socket.socket, Address | None], None]


class Listener:
    """One bound socket. `name` is its own spelling, with the real port.

    Args:
        engine: tells of its connections.
        sock: as `bind` made it.
        accepted: takes each of them.
        shared: other processes accept from this very socket. It is not theirs to take its file away.
        room: whether this process can take another connection. Where it cannot, it leaves them to the others.

    """

    def __init__(
        self,
        engine: Engine,
        sock: socket.socket,
        accepted: Accepted,
        *,
        shared: bool = False,
        room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.armed = -1
        self.closed = False
        self.owner = self
        self.starved = 0  # how often the system had no descriptor or memory for a connection
        self.name = spell(sock)
        self.local_only = _is_local(sock)  # only this machine's own programs can reach it
        self._engine = engine
        self._accepted = accepted
        self._shared = shared
        self._room = room
        self._paused = False
        self._in_a_row = 0  # taken since it was the turn of others
        self._arm()
        engine.on_sweep.append(self._resume)

    def ready(self, _source: object, _events: int) -> None:
        if not self._shared:
            self._accept(ACCEPTS_A_TURN)
            return
        self._in_a_row += self._accept(ACCEPTS_IN_A_ROW - self._in_a_row)
        if self._in_a_row >= ACCEPTS_IN_A_ROW and not self.closed and not self._paused:
            # To the end of the kernel's queue of those who wait: the next connection wakes another process.
            self._engine.unwatch(self)
            self._arm()

    def _accept(self, most: int) -> int:
        """Take so many, if there are; how many there were."""
        for taken in range(most):
            if not self._room():
                self._pause()
                return taken
            try:
                sock, peer = self.sock.accept()
            except BlockingIOError:
                return taken
            except OSError as error:
                if error.errno in _SHORT_OF:
                    self.starved += 1
                    self._pause()
                    return taken
                continue  # accept(2): errors of a connection that was reset before we took it
            sock.settimeout(0)
            self._accepted(self, sock, _address(peer))
            if self.closed:
                break
        return most

    def close(self) -> None:
        """Accept no more. What the kernel has queued is reset."""
        self._engine.on_sweep.remove(self._resume)
        self._engine.close(self)
        if self.sock.family == socket.AF_UNIX and not self._shared:
            _unlink(self.sock.getsockname())

    def _pause(self) -> None:
        self._paused = True
        self._engine.unwatch(self)

    def _resume(self, _now: float) -> None:
        if self._paused:
            self._paused = False
            self._arm()

    def _arm(self) -> None:
        self._in_a_row = 0
        self._engine.arm(self, READ | ONE_OF_US if self._shared else READ)


def bind(spelling: str, backlog: int) -> socket.socket:
    """A listening, non-blocking socket for `host:port`, `[v6]:port` or `unix:/path`.

    Raises:
        OSError: it cannot be had; its text is fit for a person.
    """
    if spelling.startswith("unix:"):
        return _bind_unix(spelling.removeprefix("unix:"), backlog)
    host, _, port = spelling.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]"))
    family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `[::]` means IPv6; who wants both writes both. A mapped address would blur the allow-lists.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Accepted sockets inherit these.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(sock)
        sock.bind((str(address), int(port)))
        sock.listen(backlog)
        sock.settimeout(0)
    except OSError:
        sock.close()
        raise
    return sock


def spell(sock: socket.socket) -> str:
    """A bound socket's address as the config would write it."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    if sock.family == socket.AF_INET6:
        return f"[{name[0]}]:{name[1]}"
    return f"{name[0]}:{name[1]}"


def _is_local(sock: socket.socket) -> bool:
    return sock.family == socket.AF_UNIX or ipaddress.ip_address(sock.getsockname()[0]).is_loopback


def _bind_unix(path: str, backlog: int) -> socket.socket:
    if len(os.fsencode(path)) > _UNIX_PATH_MOST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))  # Python's own has no errno
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        # Its user's alone: whoever may connect goes out in this user's name.
        os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)  # noqa: PTH101 - pathlib would only wrap it
        sock.listen(backlog)
        sock.settimeout(0)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens on; leave any other file, and any living gateway's, alone."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - as above
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)  # a living one whose queue is full would make us wait for it
        if probe.connect_ex(path) == errno.ECONNREFUSED:
            _unlink(path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - as above
    except OSError:
        return


def _address(peer: object) -> Address | None:
    """The client's address from accept(2); None for a Unix socket, which has none."""
    return _parsed(peer[0]) if isinstance(peer, tuple) else None


def _parsed(host: str) -> Address:
    # Many connections are one client's, and share its address; it is forgotten with the last of them.
    address = _connected.get(host)
    if address is None:
        # inet_aton takes a third of the time that parsing an IPv4 address as text would.
        if ":" in host:
            address = ipaddress.IPv6Address(host.partition("%")[0])
        else:
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        _connected[host] = address
    return address
