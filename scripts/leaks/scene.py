"""The laboratory with one proxy in it: its clients, its resolvers, and who may and may not be reached.

What a conversation showed is what the origin heard since `mark`, what the packet recorder saw, and what the
client was answered.
"""

import ipaddress
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from anongw.lab.capture import Packet, Watch
from anongw.lab.certificates import Authority
from anongw.lab.hop_script import Seen
from anongw.lab.networks import Networks, networks
from anongw.lab.origin import Origin
from anongw.lab.resolver import HTTP_1, Book, Datagrams, Framed, Https
from scripts.benchmark.peers import ROOT
from scripts.benchmark.running import NotMeasured, end
from scripts.leaks import places
from scripts.leaks.peers import Peer

# Seconds for a proxy to start, and for what it says to a request: some say nothing and keep the connection.
_START_MOST = 20.0
_ANSWER_MOST = 2.0
# Seconds without a word after which a proxy that keeps a connection has said all.
_SILENCE = 0.5
_READ = 1 << 16
# It lets the machine's name and resolver be ours for one program: /etc/resolv.conf is what libc reads.
_AS_MACHINE = 'mount --bind "$1" /etc/resolv.conf && hostname "$2" && shift 2 && exec "$@"'


def _lookup(name: str) -> list[str] | None:
    if name == places.REBOUND:
        return [places.LOOPBACK]
    if name == places.MACHINE:  # as /etc/hosts has it elsewhere
        return [places.GATEWAY_OUTSIDE]
    return [places.ORIGIN] if name.endswith(places.ZONE) else None


# On the gateway's own machine, and only there.
_PRIVATE = (places.LOOPBACK, places.METADATA)


class Scene:
    def __init__(self, made: Networks, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self.origin = Origin(made.listener(places.ORIGIN, places.WEB))
        # Where nobody from outside may come.
        self.private = [Origin(made.listener(one, places.WEB, "gateway")) for one in _PRIVATE]
        self.book = Book(_lookup)
        self._made = made
        self._folder = folder
        self._watch = Watch({"out": made.frames(places.PLAN.outward)})

    @contextmanager
    def open(self) -> Iterator[None]:
        with ExitStack() as stack:
            authority = Authority(self._folder, "laboratory")
            servers = [
                self.origin,
                *self.private,
                Framed(self._made.listener(places.RESOLVER, 53), self.book),
            ]
            for address, name in (places.QUAD9, places.CLOUDFLARE):
                context = authority.context(name, HTTP_1)
                servers.append(Https(self._made.listener(address, 443), self.book, context))
            for server in servers:
                stack.enter_context(server)
            stack.enter_context(Datagrams(self._made.datagrams(places.RESOLVER, 53), self.book))
            stack.enter_context(self._watch)
            stack.enter_context(self._running())
            yield

    @contextmanager
    def _running(self) -> Iterator[None]:
        resolver = self._folder / "resolv.conf"
        resolver.write_text(f"nameserver {places.RESOLVER}\n")
        machine_of = [
            "unshare",
            "--mount",
            "--uts",
            "sh",
            "-c",
            _AS_MACHINE,
            "sh",
            str(resolver),
            places.MACHINE,
        ]
        log = self._folder / "proxy.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*self._made.prefix, *machine_of, *self.peer.command(self._folder)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        try:
            self._wait(process, log)
            yield
        finally:
            end(process)

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + _START_MOST
        while True:
            with suppress(OSError), self._called():
                return
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotMeasured(f"it does not start: {log.read_text(errors='replace')[-300:].strip()}")
            time.sleep(0.01)

    @contextmanager
    def _called(self) -> Iterator[socket.socket]:
        """A connection of the client's to the proxy."""
        with self._made.stream(places.CLIENT, "client") as sock:
            sock.settimeout(_ANSWER_MOST)
            sock.connect((places.GATEWAY, places.PORT))
            yield sock

    def ask(self, *requests: bytes) -> bytes:
        """All that the client is answered on one connection, each request after the answer to the last."""
        heard = b""
        with self._called() as sock:
            for request in requests:
                sock.sendall(request)
                heard += _answer(sock)
        return heard

    def overhear(self, request: bytes) -> None:
        """Ask, and listen on: what hides behind a request may go out after the answer to it."""
        with self._called() as sock:
            sock.sendall(request)
            _answer(sock)
            sock.settimeout(_SILENCE)
            with suppress(OSError):
                while sock.recv(_READ):
                    pass

    def tunnel(self, host: str, said: bytes, port: int = places.WEB) -> "Tunnelled":
        """Ask by SOCKS5 for a target, name or address, and say something to it."""
        try:
            to = b"\x01" + ipaddress.IPv4Address(host).packed
        except ValueError:
            to = b"\x03" + bytes((len(host),)) + host.encode()
        with self._called() as sock:
            own = sock.getsockname()[1]
            sock.sendall(b"\x05\x01\x00")
            if sock.recv(2) != b"\x05\x00":
                return Tunnelled(b"", b"", own)
            sock.sendall(b"\x05\x01\x00" + to + port.to_bytes(2, "big"))
            with suppress(OSError):
                reply = sock.recv(262)
                if reply[1:2] != b"\x00":
                    return Tunnelled(reply, b"", own)
                sock.sendall(said)
                return Tunnelled(reply, _answer(sock), own)
            return Tunnelled(b"", b"", own)

    def worked(self, mark: "Mark") -> None:
        """What hides nothing because it does nothing is no proxy.

        Raises:
            NotMeasured: the origin has heard nothing.

        """
        if not mark.heard:
            raise NotMeasured("a request did not reach the origin")

    def mark(self) -> "Mark":
        """From now on."""
        self._watch.take()
        return Mark(self)

    def packets(self) -> list[Packet]:
        return self._watch.take()["out"]


class Tunnelled:
    """What came of it: the SOCKS reply, the target's answer, and the client's own port."""

    def __init__(self, reply: bytes, answer: bytes, port: int) -> None:
        self.reply, self.answer, self.port = reply, answer, port


class Mark:
    """What the origin and the private services have heard since it was made."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._old = len(scene.origin.seen)
        self._asked = len(scene.book.asked)
        self._before = {id(seen): len(seen.heard) for one in self._servers for seen in one.seen}

    @property
    def connections(self) -> list[Seen]:
        """New ones to the origin."""
        return self._scene.origin.seen[self._old :]

    @property
    def heard(self) -> bytes:
        """By the origin, on new connections and on old ones."""
        return self._since(self._scene.origin)

    @property
    def reached(self) -> bool:
        """Whether somebody who may not be reached has heard anything."""
        return any(self._since(one) for one in self._scene.private)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Address of a resolver, and what it was asked for."""
        return [(one.server[0], one.name) for one in self._scene.book.asked[self._asked :]]

    @property
    def _servers(self) -> list[Origin]:
        return [self._scene.origin, *self._scene.private]

    def _since(self, server: Origin) -> bytes:
        return b"".join(bytes(seen.heard[self._before.get(id(seen), 0) :]) for seen in server.seen)


def _answer(sock: socket.socket) -> bytes:
    """Until the end, or until nothing more comes although the message is whole."""
    heard = b""
    with suppress(OSError):
        while more := sock.recv(_READ):
            heard += more
            if _is_whole(heard):
                break
    return heard


def _is_whole(heard: bytes) -> bool:
    head, separator, body = heard.partition(b"\r\n\r\n")
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    if not separator:
        return False
    if not found:
        return b" 200 " in head.split(b"\r\n", 1)[0] and b"chunked" not in head.lower() and not body
    return len(body) >= int(rest.split(b"\r\n", 1)[0])


@contextmanager
def scene(peer: Peer) -> Iterator[Scene]:
    """A laboratory with this proxy, until the block ends.

    Raises:
        NotMeasured: it does not start.

    """
    with tempfile.TemporaryDirectory(prefix="leaks-") as name, networks(places.PLAN) as made:
        folder = Path(name)
        folder.chmod(0o755)  # some proxies become another user
        one = Scene(made, peer, folder)
        with one.open():
            yield one
