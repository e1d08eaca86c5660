"""The control socket: what a running gateway is asked by its own user, and by root.

`wire/control.py` is the language, `Control` serves it, `Status` is what a gateway says of itself, and
`cli/status.py` is the other side.

Rules that hold here, each with its test:

- A Unix socket only, for its own user and root only: by the folder, by the file's mode, and by what the
  kernel says of each peer. A folder that anybody else could have prepared is refused.
- Nothing that is said names a destination, a client or a user, and nothing holds a login.
- What it serves is driven by the engine and ends with it. It is no client's flow: it is counted nowhere.
"""

import errno
import hashlib
import inspect
import os
import re
import socket
import stat
import struct
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.exposure import Exposure
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.listen import Listener, bind
from anongw.net.stream import Stream
from anongw.net.wait import in_task
from anongw.wire.control import Fields, Request, done, failed, request

# A command gets the request's other fields, and gives those of its answer. A coroutine runs as an anyio task,
# and is cancelled where it takes too long or its client leaves: it must be able to stop at each of its waits.
Command = Callable[[Fields], Fields] | Callable[[Fields], Coroutine[Any, Any, Fields]]

# unix(7), struct ucred: process, user and group.
_CREDENTIALS = struct.Struct("iII")
_ROOT = 0
_CONNECTIONS = 16
_LABEL = re.compile(r"direct|[a-z0-9]+://[^@/?#\s]+:[0-9]+")
# Of a digest; enough for the few gateways of one user.
_DIGITS = 12


class Declined(Exception):
    """A command that is not carried out. The text is for a person; `faults`: a line for each thing wrong."""

    def __init__(self, error: str, faults: Sequence[str] = ()) -> None:
        super().__init__(error)
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What those who ask may use."""

    connections: int = _CONNECTIONS  # at once; a person has one, a monitor a few
    line: int = 4096  # bytes of a request; those that there are have 40
    request: float = 10.0  # seconds from the answer before (or the accept) to the whole of a request
    command: float = 30.0  # seconds for its work and until its answer was taken; reading a config takes one
    users: frozenset[int] = field(default_factory=lambda: frozenset({_ROOT, os.geteuid()}))  # their numbers


class Control:
    """Serves the commands of one gateway on one socket. `live`: how many are connected now."""

    def __init__(self, engine: Engine, commands: Mapping[str, Command], bounds: Bounds | None = None) -> None:
        self._engine = engine
        self._commands = commands
        self._bounds = bounds or Bounds()
        self._listener: Listener | None = None
        self.live = 0

    def listen(self, setting: str, listeners: Sequence[str]) -> str:
        """Serve from now on; the socket's path, "" where the setting says "off".

        Args:
            setting: `control.socket`.
            listeners: the names of the gateway's own, from which "auto" makes the socket's.

        Raises:
            OSError: it cannot be had; `strerror` is fit for a person.

        """
        sock = bind_control(setting, listeners, self._bounds.connections)
        if sock is None:
            return ""
        self.serve(sock)
        return str(sock.getsockname())

    def serve(self, sock: socket.socket, *, shared: bool = False) -> None:
        """Serve on a socket that is bound; `shared` as in `Listener`."""
        self._listener = Listener(self._engine, sock, self._accepted, shared=shared)

    def close(self) -> None:
        """Accept no more. Those who are connected end as flows do, when the engine is told to end them."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _accepted(self, _listener: Listener, sock: socket.socket, _address: Address | None) -> None:
        if _user_of(sock) not in self._bounds.users:
            sock.close()
        elif self.live >= self._bounds.connections:
            with suppress(OSError):
                sock.send(failed(Reason.TOO_MANY.value))
            sock.close()
        else:
            self.live += 1
            self._engine.spawn(sock, self._carry, self._ended)

    def _ended(self, _fiber: Fiber, _reason: Reason | None) -> None:
        self.live -= 1

    async def _carry(self, fiber: Fiber, client: Stream) -> None:
        """One connection, from its accept to its end: a request, its answer, and again."""
        while not self._engine.stopping:
            try:
                said = await self._served(fiber, client)
            except Refused as refused:
                if refused.reason is not Reason.CLIENT_GONE:
                    # A Unix socket delivers what was sent before a close, even to one that is still sending.
                    client.send_now(failed(refused.reason.value))
                return
            await client.send(said)
            await client.give_way()

    async def _served(self, fiber: Fiber, client: Stream) -> bytes:
        fiber.resting = True
        fiber.within(self._bounds.request, Reason.HANDSHAKE_TIMEOUT)
        asked = await client.read(request(client.reader, self._bounds.line))
        fiber.resting = False
        fiber.within(self._bounds.command, Reason.IDLE_TIMEOUT)
        return await self._answer(asked)

    async def _answer(self, asked: Request) -> bytes:
        command = self._commands.get(asked.command)
        if command is None:
            return failed(f"there is no such command; known here: {', '.join(sorted(self._commands))}")
        try:
            if inspect.iscoroutinefunction(command):
                fields = await in_task(command, asked.arguments)
            else:
                fields = command(asked.arguments)
            return done(fields)
        except Declined as declined:
            return failed(str(declined), declined.faults)
        except Refused:
            raise  # this connection is to end
        except Exception as bug:  # noqa: BLE001 - whatever it is, it is no reason to end
            self._engine.note_bug(bug)
            return failed(Reason.INTERNAL.value)


# What a gateway says of itself


class MemberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream proxy. A label that could hold a login cannot be made."""

    label: str  # scheme://host:port, or "direct"
    state: Literal["up", "down", "trying"]
    live: int  # connections through it now
    dials: int  # since the start, as all that follows
    failures: int
    latency: float | None = None  # milliseconds that the last dial took; None: it has answered none

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.label):
            raise ValueError("a label is scheme://host:port, without a login")


class HopStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One position of a chain."""

    strategy: str
    members: tuple[MemberStatus, ...]


class ChainStatus(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    hops: tuple[HopStatus, ...]


class RouteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What went one way. Sizes are in bytes."""

    name: str  # a chain's, "direct" or "refuse"
    flows: int
    sent: int  # client to upstream
    received: int  # upstream to client


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One of several processes."""

    number: int  # from 1
    uptime: float  # seconds
    flows: int
    live: int  # client connections now


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway at one moment: sums over all flows since its start, so that they name nobody."""

    version: str  # of anongw
    generation: int  # configs since the start, the first being 1
    uptime: float  # seconds
    listeners: tuple[str, ...]
    flows: int
    live: int  # client connections now
    routes: tuple[RouteStatus, ...]
    refused: dict[Reason, int]  # flows that were refused or ended early, by why
    chains: tuple[ChainStatus, ...]
    kept: int  # connections to origins that wait for another request
    cached: int  # answers in the resolver's cache
    headers_dropped: int  # request header lines that no list knew
    scrubbed: float  # share of all bytes that passed as plain HTTP, and so scrubbed, from 0 to 1
    scrubbable: float = 0.0  # the same with what went to port 80 in tunnels, and could have been
    exposed: dict[Exposure, int] = {}  # flows whose client gave something away before we could help
    bugs: int
    workers: tuple[WorkerStatus, ...] = ()  # those that have answered, where there are several
    replaced: int = 0  # workers that died; what they had counted is in no sum


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a reload."""

    generation: int
    changed: tuple[str, ...] = ()  # a line for each setting that is another now; no values
    restart: tuple[str, ...] = ()  # the same for those that are in force only after a restart


class IdentityStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One identity in its present epoch. Sizes are in bytes."""

    name: str  # a pseudonym, unless log.names is on
    epoch: int  # how many it has had
    age: float  # seconds since the first use in this epoch
    live: int  # flows now, those of earlier epochs too
    flows: int  # that are over, in this epoch, as all that follows
    sent: int
    received: int
    ways: tuple[str, ...]  # routes that were taken: chains, "direct", "refuse"


class Renewed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a new epoch."""

    identities: int  # that are known now; one that comes later begins in the new epoch too
    running: int  # flows that keep what they have until they end


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What was wiped, and what cannot be."""

    identities: int
    closed: int  # connections of theirs
    kept: int  # connections to origins that waited for another request
    answers: int  # of resolvers
    remains: tuple[str, ...]  # a sentence each


# Where the socket is


def bind_control(setting: str, listeners: Sequence[str], backlog: int = _CONNECTIONS) -> socket.socket | None:
    """The bound socket; None where the setting says "off". It takes and raises what `Control.listen` does."""
    if setting == "off":
        return None
    path = setting
    if setting == "auto":
        folder = own_folder()
        make_private(folder)
        path = str(folder / _file_name(listeners))
    try:
        return bind(f"unix:{path}", backlog)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {path}: {error.strerror}") from None


def own_folder(
    environment: Mapping[str, str] = os.environ,
    temporary: Path = Path("/tmp"),  # noqa: S108 - used only behind `is_private`
) -> Path:
    """Where the sockets of this user's gateways are, by "auto"."""
    runtime = Path(environment.get("XDG_RUNTIME_DIR", ""))
    # XDG Base Directory Specification: absolute, owned by the user, 0700. After `su` it may be another's.
    if runtime.is_absolute() and is_private(runtime):
        return runtime / "anongw"
    return temporary / f"anongw-{os.geteuid()}"


def is_private(folder: Path) -> bool:
    """Whether it is a folder, and no link to one, in which nobody but this user can do anything."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.geteuid()
        and stat.S_IMODE(found.st_mode) == stat.S_IRWXU
    )


def make_private(folder: Path) -> None:
    """Make it, unless it is there.

    Raises:
        OSError: it cannot be had, or is not private; `strerror` is fit for a person.
    """
    try:
        folder.mkdir(mode=stat.S_IRWXU)
    except FileExistsError:
        pass
    except OSError as error:
        raise OSError(error.errno, f"cannot make {folder}: {error.strerror}") from None
    # Looked at after it was made: in a sticky /tmp nobody can put another in the place of what is ours.
    if not is_private(folder):
        raise OSError(
            errno.EPERM,
            f"{folder} is no folder that only its user can use (mode 0700): remove it, or set control.socket",
        )


def _file_name(listeners: Sequence[str]) -> str:
    """Another for each gateway: no two can listen on one address."""
    host, _, port = listeners[0].rpartition(":")
    if host != "127.0.0.1":
        port = hashlib.sha256("\n".join(listeners).encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
    return f"control-{port}.sock"


def _user_of(sock: socket.socket) -> int:
    """Who connected (unix(7), SO_PEERCRED): the effective user at that moment."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(raw)[1]
    return user
