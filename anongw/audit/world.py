"""The laboratory as a mapped config wants it: who is in it, the recorder, and the gateway's program."""

import ipaddress
import json
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from anongw.audit import written
from anongw.audit.mapping import ORIGIN, ORIGIN_6, Listener, Mapped, StandIn
from anongw.audit.program import Program
from anongw.audit.ways import Errand
from anongw.lab.capture import Link, Packet, Watch
from anongw.lab.certificates import Authority
from anongw.lab.hop import Hop, Scheme
from anongw.lab.hop_script import Seen
from anongw.lab.networks import CABLE_INSIDE, LOOPBACK, OUTSIDE_END, Networks
from anongw.lab.origin import Origin
from anongw.lab.resolver import HTTP_1, Book, Datagrams, Framed, Https
from anongw.lab.server import Place, Server
from anongw.resolve import server as names

_WEB: Final = frozenset({80, 443})
_FIRST_PORT, _LAST_PORT = 20000, 29999  # of clients: apart from everybody else's
_CONTROL_PATIENCE: Final = 5.0  # seconds
CLOSED: Final = 9  # a port of the origin's where nobody listens


class LabHop(Hop):
    """A hop that knows whoever is in the laboratory by name, and nobody else."""

    world: "World"

    def where(self, seen: Seen) -> Place | None:
        return self.world.whereabouts(seen.host, seen.port)


class World:
    """`hops` by their places, `resolvers` by their texts, `origins` and who listens for clients."""

    def __init__(self, mapped: Mapped, networks: Networks, program: Program, folder: Path) -> None:
        self.mapped = mapped
        self.networks = networks
        self.program = program
        self.folder = folder
        self.config_file = folder / "anongw.toml"
        self.hops: dict[Place, LabHop] = {}
        self.resolvers: dict[str, Framed] = {}
        self.origins: list[Origin] = []
        self.book = Book(self.lookup)
        self.records: dict[str, tuple[str, ...]] = {}  # of canaries' names
        self.known: set[Link] = set()
        self.parties: set[Place] = set()
        self.contexts: dict[Server, tuple[ssl.SSLContext, ssl.SSLContext]] = {}  # the right one, a stranger's
        self._port = _FIRST_PORT
        self._marks: dict[int, int] = {}
        self._early: dict[str, list[Packet]] = {}

    # Who is there

    @contextmanager
    def peopled(self, errands: Sequence[Errand], authority: Authority, stranger: Authority) -> Iterator[None]:
        """Everybody but the gateway, until the block ends."""
        with ExitStack() as stack:
            for stand_in in self.mapped.stand_ins():
                self._hop(stack, stand_in, authority, stranger)
            for text, server in self.mapped.resolvers.items():
                self._resolver(stack, text, server, authority, stranger)
            self._origins(stack, errands)
            cables = {
                "outward": (self.mapped.plan.outward,),
                "inward": (CABLE_INSIDE,),
                "own": (LOOPBACK,),
                "onward": (LOOPBACK, "outside"),
            }
            frames = {name: self.networks.frames(*place) for name, place in cables.items()}  # type: ignore[arg-type]
            self.watch = stack.enter_context(Watch(frames))
            stack.callback(self.program.end)
            yield

    def _hop(self, stack: ExitStack, stand_in: StandIn, authority: Authority, stranger: Authority) -> None:
        scheme: Scheme = "http" if stand_in.scheme == "https" else stand_in.scheme  # type: ignore[assignment]
        listener = self.networks.listener(*stand_in.place, stand_in.where)
        hop = LabHop(
            scheme, listener, users=stand_in.users, outgoing=self.networks.outgoing(*stand_in.onward)
        )
        hop.world = self
        if stand_in.scheme == "https":
            hop.tls = authority.context(stand_in.certificate)
            self.contexts[hop] = hop.tls, stranger.context(stand_in.certificate)
        self.hops[stand_in.place] = stack.enter_context(hop)
        self.parties.add(stand_in.place)

    def _resolver(
        self, stack: ExitStack, text: str, server: names.Server, authority: Authority, stranger: Authority
    ) -> None:
        host = str(server.address)
        where = "gateway" if server.address.is_loopback else "outside"
        listener = self.networks.listener(host, server.port, where)  # type: ignore[arg-type]
        kind = Https if server.scheme is names.Scheme.HTTPS else Framed
        made = kind(listener, self.book)
        if server.scheme.encrypted:
            alpn = (HTTP_1,) if kind is Https else ()
            made.tls = authority.context(server.name, *alpn)
            self.contexts[made] = made.tls, stranger.context(server.name, *alpn)
        self.resolvers[text] = stack.enter_context(made)
        self.parties.add(made.place)
        if server.scheme is names.Scheme.UDP:
            sock = self.networks.datagrams(host, server.port, where)  # type: ignore[arg-type]
            stack.enter_context(Datagrams(sock, self.book))

    def _origins(self, stack: ExitStack, errands: Sequence[Errand]) -> None:
        ports = _WEB | {errand.port for errand in errands}
        literals = {errand.suffix for errand in errands if errand.literal}
        for host in sorted(literals):
            bits = 128 if ":" in host else 32
            with suppress(AssertionError):  # somebody else's already, who is at another port
                self.networks.give("outside", OUTSIDE_END, f"{host}/{bits}")
        for host in (ORIGIN, ORIGIN_6, *sorted(literals)):
            for port in sorted(ports):
                if (host, port) not in self.parties:
                    origin = stack.enter_context(Origin(self.networks.listener(host, port)))
                    self.origins.append(origin)
                    self.parties.add(origin.place)

    # Who knows what

    def lookup(self, name: str) -> Sequence[str] | None:
        """What resolvers say."""
        if name in self.mapped.records:
            return (self.mapped.records[name],)
        return self.records.get(name)

    def whereabouts(self, host: str, port: int) -> Place | None:
        """Where an exit or a hop finds somebody."""
        known = self.lookup(host.lower())
        if known:
            public = [one for one in known if ipaddress.ip_address(one).is_global]
            return (public[0], port) if public else None
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return None
        return host, port

    # Clients, and the gateway

    def client(self, listener: Listener) -> socket.socket:
        """Connected to a listener, from a port that nobody else has."""
        if isinstance(listener.target, Path):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(listener.target))
            return sock
        self._port = _FIRST_PORT if self._port == _LAST_PORT else self._port + 1
        sock = self.networks.stream(listener.client, listener.where, self._port)
        try:
            sock.connect(listener.target)
        except OSError:
            sock.close()
            raise
        return sock

    def start(self) -> None:
        self.write(written.toml(self.mapped.config, self.folder))
        self.restart()

    def restart(self) -> None:
        """Once more after its end, by the same file."""
        self.program.start(self.config_file, lambda: self.client(self.mapped.listeners[0]))

    def write(self, text: str) -> None:
        """The gateway's config file."""
        self.config_file.touch(0o600)
        self.config_file.write_text(text)

    def status(self) -> bytes:
        """What the gateway says of itself over its control socket; b"" where it has none."""
        return self.control({"command": "status"})

    def control(self, command: dict[str, str]) -> bytes:
        path = self.mapped.config.control.socket
        if path == "off":
            return b""
        said = b""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_CONTROL_PATIENCE)
            sock.connect(path)
            sock.sendall(json.dumps(command).encode() + b"\n")
            while not said.endswith(b"\n") and (piece := sock.recv(1 << 16)):
                said += piece
        return said

    # What has passed and been heard since the last time

    def take(self) -> dict[str, list[Packet]]:
        """All packets, by cables."""
        taken, self._early = self._early, {}
        for name, packets in self.watch.take().items():
            taken[name] = [*taken.get(name, ()), *packets]
        return taken

    def passing(self) -> list[Packet]:
        """What the gateway's network has sent since this was called last; `take` has it all the same."""
        fresh = self.watch.take()
        for name, packets in fresh.items():
            self._early[name] = [*self._early.get(name, ()), *packets]
        return sent_by_gateway(fresh, self.mapped.listeners, self.parties)

    def heard(self) -> Iterator[tuple[Server, bytes]]:
        """By each stand-in and origin, inside TLS."""
        for server in (*self.hops.values(), *self.origins):
            for seen in list(server.seen):
                before = self._marks.get(id(seen), 0)
                data = bytes(seen.heard[before:])
                self._marks[id(seen)] = before + len(data)
                if data:
                    yield server, data

    def faults(self) -> Iterator[str]:
        """What somebody was told that its protocol does not know."""
        for server in (*self.hops.values(), *self.resolvers.values(), *self.origins):
            for error in server.faults():
                yield f"{server.place[0]} was told what its protocol does not know: {error}"

    def origin_connections(self) -> list[bytes]:
        """All that each connection to an origin has ever said."""
        return [bytes(seen.heard) for origin in self.origins for seen in list(origin.seen)]

    def own(self) -> Iterable[str]:
        """The gateway's addresses toward the outside."""
        return (one.partition("/")[0] for one in self.mapped.plan.own)


def sent_by_gateway(
    taken: dict[str, list[Packet]], listeners: Iterable[Listener], parties: set[Place]
) -> list[Packet]:
    """Without what it and clients on its own machine say to each other, and what stand-ins there say."""
    doors = {one.target for one in listeners}
    own = [
        packet
        for packet in taken["own"]
        if packet.sent and packet.link[:2] not in doors | parties and packet.link[2:] not in doors
    ]
    return [*(packet for packet in taken["outward"] if packet.sent), *own]


def strays(taken: dict[str, list[Packet]], listeners: Iterable[Listener]) -> list[Packet]:
    """What the gateway says on the clients' cable to whoever did not come to a listener."""
    doors = {one.target for one in listeners}
    return [packet for packet in taken["inward"] if packet.sent and packet.link[:2] not in doors]
