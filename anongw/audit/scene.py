"""One scenario at work: what its clients do, and what the gateway may do meanwhile.

Each name that a client asks for is a new one, so that whoever reads it can be told which errand it was for.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from anongw.audit import asking, record, world
from anongw.audit.asking import Line, Login
from anongw.audit.canaries import HEADERS, secret
from anongw.audit.expected import BOTH, Expected, label
from anongw.audit.mapping import USERS_PASSWORD, Listener
from anongw.audit.record import Claim, Edge, Reading, Record
from anongw.audit.ways import Errand, reaches
from anongw.audit.world import World
from anongw.config import Spoken
from anongw.lab.origin import BODY
from anongw.lab.resolver import Question

# What a client on a loopback or Unix listener may be told of a CONNECT that failed: a word, and it is ours.
_REASON: Final = b"anongw-request-failed:"
_counter = 0


class Scene:
    """`before`: the scenario before this one, for what it set going may still come."""

    def __init__(self, name: str, here: World, before: "Scene | None" = None) -> None:
        self.world = here
        self.config = here.mapped.config
        self.record = Record(name)
        self._mine = Record(name)  # what this scenario alone adds
        self._log_from = len(here.program.log)
        self._asked_from = len(here.book.asked)
        self._strange_from = len(here.book.not_understood)
        self._lines: list[Line] = []
        self.left_out = ""
        self.expected = Expected(here)
        self.expected.always(self.record)
        if before is not None:
            self._takes_over(before._mine)  # noqa: SLF001 - another of us

    # What clients do

    def ask(  # noqa: PLR0913 - each is what some scenario varies
        self,
        errand: Errand,
        spoken: Spoken,
        *,
        host: str = "",
        port: int = 0,
        addresses: tuple[str, ...] = BOTH,
        path: str = "/",
        login: Login | None = None,
        expect: bool | None = None,
    ) -> bool:
        """Ask for something and carry a word there and back; whether it was carried.

        `addresses`: what the name is. `expect`: what should come of it, where that is certain.
        """
        with self.connected(errand) as line:
            carried = self.over(line, errand, spoken, host, port, addresses, path, login)
        if expect is not None:
            word = "is not carried" if expect else "is carried, and must not be"
            self.claim("served", carried is expect, f"{spoken} to {host or errand.suffix} {word}")
        return carried

    def over(  # noqa: PLR0913, PLR0917 - as above
        self,
        line: Line,
        errand: Errand,
        spoken: Spoken,
        host: str = "",
        port: int = 0,
        addresses: tuple[str, ...] = BOTH,
        path: str = "/",
        login: Login | None = None,
    ) -> bool:
        """The same over a connection that is there."""
        host = host or self.name(errand, addresses)
        port = port or errand.port
        self.expects(errand, host, port)
        who = login or self.login(errand)
        if spoken == "http":
            return BODY in asking.web(line, asking.get(host, port, who, HEADERS, path))
        return asking.tunnel(line, spoken, host, port, who, HEADERS) and line.pings()

    @contextmanager
    def tunnel(self, errand: Errand, spoken: Spoken) -> Iterator[Line]:
        """One that is open while the block lasts, if it is granted at all."""
        with self.connected(errand) as line:
            host = self.name(errand)
            self.expects(errand, host, errand.port)
            if asking.tunnel(line, spoken, host, errand.port, self.login(errand)):
                self.claim("served", line.pings(), f"a tunnel by {spoken} carries nothing")
            yield line

    @contextmanager
    def connected(self, errand: Errand) -> Iterator[Line]:
        with self.door(self.listener(errand)) as sock:
            line = Line(sock)
            self._lines.append(line)
            yield line

    @contextmanager
    def door(self, listener: Listener) -> Iterator[socket.socket]:
        with self.world.client(listener) as sock:
            sock.settimeout(asking.PATIENCE)
            if isinstance(listener.target, tuple):
                self.record.ports.add(sock.getsockname()[1])
            yield sock

    def raw(self, errand: Errand, data: bytes) -> bytes:
        """Say it as it stands, and hear everything until the gateway ends it."""
        with self.connected(errand) as line:
            line.say(data)
            with suppress(OSError):
                line.sock.shutdown(socket.SHUT_WR)
            return line.rest()

    def login(self, errand: Errand) -> Login:
        if self.config.users:
            return Login(errand.user or next(iter(self.config.users)), USERS_PASSWORD)
        return Login(errand.user) if errand.user else Login()

    def two_logins(self, errand: Errand) -> list[Login]:
        """Two that are told apart and go the errand's way; fewer where the config has no two."""
        if self.config.users:
            alike = [user for user in self.config.users if reaches(self.config, replace(errand, user=user))]
            return [Login(user, USERS_PASSWORD) for user in alike][:2]
        # Where nobody needs to be known, two passwords are two users.
        first = self.login(errand)
        return [first, Login(first.user, f"{first.password}-2")]

    def listener(self, errand: Errand) -> Listener:
        return next(one for one in self.world.mapped.listeners if one.text == errand.listener)

    def name(self, errand: Errand, addresses: tuple[str, ...] = BOTH) -> str:
        """A host that nobody has asked for before, if the errand leaves a choice."""
        global _counter  # noqa: PLW0603 - one for the whole run, so that no name comes twice
        _counter += 1
        host = errand.host(f"canary-n{_counter}-name")
        if not errand.literal:
            self.world.records[host] = addresses
        return host

    def heard(self) -> list[bytes]:
        """What clients have heard so far."""
        return [bytes(line.heard) for line in self._lines]

    def questions(self) -> list[Question]:
        """What resolvers have been asked so far."""
        return self.world.book.asked[self._asked_from :]

    def leaves_out(self, reason: str) -> None:
        """Say what of the scenario this config does not let be tried."""
        self.left_out = reason

    def claim(self, check: str, holds: bool, says: str) -> None:  # noqa: FBT001 - what a claim is
        self.record.claims.append(Claim(check, holds, says))

    # What may come of it

    def expects(self, errand: Errand, host: str, port: int) -> None:
        """The gateway may do what this errand needs, and the host may be read by whom it concerns."""
        mine = self._mine
        mine.allowed |= self.expected.edges(errand, host, port) if errand.arrives else set()
        mine.secrets.append(self.expected.host_secret(errand, host))
        mine.askable[host] = self.expected.askable(errand, host)
        mine.unlogged += [] if self.config.log.names else [secret("log", "a destination", label(host))]

    def allows(self, *edges: Edge) -> None:
        self._mine.allowed |= set(edges)

    def _takes_over(self, other: Record) -> None:
        found = self.record
        found.allowed |= other.allowed
        found.secrets += other.secrets
        found.askable |= other.askable
        found.unlogged += other.unlogged

    # What came of it

    def done(self) -> Record:
        """The record, once everything that clients did is over."""
        here, found = self.world, self.record
        listeners = here.mapped.listeners
        self._takes_over(self._mine)
        taken = here.take()
        found.sent = world.sent_by_gateway(taken, listeners, here.parties)
        found.strays = world.strays(taken, listeners)
        found.edges = record.edges(found.sent, here.known)
        onward = [packet for packet in taken["onward"] if packet.sent]
        record.edges(onward, here.known)
        doors = {one.target for one in listeners}
        own = [one for one in taken["own"] if one.sent and not {one.link[:2], one.link[2:]} & doors]
        found.readings = record.readings([*taken["outward"], *own, *onward], here.known, here.parties)
        found.readings += [Reading(server.place, data.lower(), told=True) for server, data in here.heard()]
        found.questions = here.book.asked[self._asked_from :]
        found.not_understood = len(here.book.not_understood) - self._strange_from
        found.answers = [_without_reason(bytes(line.heard)) for line in self._lines if line.heard]
        found.log = (here.program.log[self._log_from :] + here.status()).lower()
        found.origin = here.origin_connections()
        for fault in here.faults():
            self.claim("served", holds=False, says=fault)
        found.packets = [packet for packets in taken.values() for packet in packets]
        return found


def _without_reason(answer: bytes) -> bytes:
    lines = answer.lower().split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(_REASON))
