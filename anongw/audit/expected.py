"""What a config allows for one errand: whom the gateway may talk to, and who may read what."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from anongw.audit import canaries
from anongw.audit.canaries import Secret
from anongw.audit.mapping import INSIDE, INSIDE_6, ORIGIN, ORIGIN_6, USERS_PASSWORD, StandIn
from anongw.audit.record import Edge, Record
from anongw.audit.ways import Errand, is_address, server_texts
from anongw.audit.world import World
from anongw.config import DIRECT, REFUSE
from anongw.lab.capture import TCP, UDP
from anongw.lab.server import Place
from anongw.resolve.server import Scheme

BOTH: Final = (ORIGIN, ORIGIN_6)
_LABEL: Final = "canary-n"  # how the labels of canaries' names begin


class Expected:
    """Read from the mapped config and from what the world's names are."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._config = world.mapped.config

    def edges(self, errand: Errand, host: str, port: int) -> set[Edge]:
        if errand.to == REFUSE:
            return set()
        if errand.to == DIRECT:
            return self._direct(host, port)
        return self._first(self._world.mapped.hops[errand.to], host, port)

    def _direct(self, host: str, port: int) -> set[Edge]:
        addresses = (host,) if is_address(host) else self._world.records.get(host, BOTH)
        return {(TCP, one, port) for one in addresses} | self._resolvers(host)

    def _first(self, positions: list[list[StandIn | None]], host: str, port: int) -> set[Edge]:
        """To a chain's first hops; where one of them is "direct", to those behind it too."""
        if not positions:
            return self._direct(host, port)
        found: set[Edge] = set()
        for member in positions[0]:
            if member is None:
                found |= self._first(positions[1:], host, port)
            else:
                found.add((TCP, *member.place))
                if not is_address(member.host):
                    found |= self._resolvers(member.host)
        return found

    def _resolvers(self, name: str) -> set[Edge]:
        found: set[Edge] = set()
        for text in () if is_address(name) else server_texts(self._config, name):
            server = self._world.mapped.resolvers[text]
            found.add((TCP, str(server.address), server.port))
            if server.scheme is Scheme.UDP:
                found.add((UDP, str(server.address), server.port))
        return found

    def askable(self, errand: Errand, host: str) -> frozenset[Place]:
        """Who may be asked for the host."""
        if not errand.arrives or is_address(host):
            return frozenset()
        chain = self._config.chains.get(errand.to)
        if chain is not None and chain.names == "exit" and not self._may_go_direct(errand.to):
            return frozenset()
        return self.places(host)

    def _may_go_direct(self, chain: str) -> bool:
        """Whether the user has written "direct" among a chain's members."""
        return any(member is None for members in self._world.mapped.hops[chain] for member in members)

    def places(self, name: str) -> frozenset[Place]:
        return frozenset(self._world.resolvers[text].place for text in server_texts(self._config, name))

    def host_secret(self, errand: Errand, host: str) -> Secret:
        positions = self._world.mapped.hops.get(errand.to, [])
        wire, heard = readers(positions) if errand.arrives else (set(), set())
        if errand.arrives:
            origins = {origin.place for origin in self._world.origins}
            plain = {
                self._world.resolvers[text].place
                for text in server_texts(self._config, host)
                if not self._world.mapped.resolvers[text].scheme.encrypted and self.askable(errand, host)
            }
            wire |= origins | plain
            heard |= origins
        return Secret("names", "a destination's name", (label(host),), frozenset(wire), frozenset(heard))

    def always(self, found: Record) -> None:
        """Add what holds in every scenario."""
        mapped = self._world.mapped
        kept = [name for rule in self._config.scrub.rules for name in rule.keep]
        kept += [name for rule in self._config.scrub.rules for name in rule.set]
        found.secrets += canaries.always(kept)
        logins = canaries.login("login", "the client", canaries.USER, canaries.PASSWORD)
        headers = [one for one in canaries.always(()) if one.kind == "headers"]
        for listener in mapped.listeners:
            if listener.client and not _is_usual(listener.client):
                place = canaries.address("client", "the client's address", listener.client)
                found.secrets.append(place)
                found.unlogged += [] if self._config.log.names else [place]
        for user in self._config.users:
            members = canaries.login("login", "a user", user, USERS_PASSWORD)
            found.secrets += members
            logins += members
        found.secrets += [
            canaries.address("gateway", "an address of the gateway's", one)
            for one in (*self._world.own(), INSIDE, INSIDE_6)
        ]
        hops = list(self._hop_logins())
        found.secrets += hops
        unlogged = [*logins, *hops, *headers]
        if self._config.log.names:
            unlogged = [one for one in unlogged if not one.says.startswith("the user")]
        found.unlogged += unlogged
        found.untold += [*hops, *self._places_untold(), *canaries.always(())[-2:]]
        for name in mapped.records:
            found.askable[name] = self.places(name)
        for name, chain in self._config.chains.items():
            if chain.probe.target:
                host, _, port = chain.probe.target.rpartition(":")
                found.allowed |= self._first(mapped.hops[name], host, int(port))
                found.askable[host] = self.places(host) if self._may_go_direct(name) else frozenset()

    def _hop_logins(self) -> Iterator[Secret]:
        for stand_in in self._world.mapped.stand_ins():
            wire: set[Place] = set()
            heard: set[Place] = set()
            for positions in self._world.mapped.hops.values():
                for number, members in enumerate(positions):
                    if stand_in in members:
                        one = readers(positions[: number + 1])
                        wire |= one[0]
                        heard |= one[1]
            for user, password in stand_in.users.items():
                for found in canaries.login("hops", f"a hop ({stand_in.host})", user, password):
                    yield Secret("hops", found.says, found.forms, frozenset(wire), frozenset(heard))

    def _places_untold(self) -> Iterator[Secret]:
        for stand_in in self._world.mapped.stand_ins():
            if not ipaddress.ip_address(stand_in.place[0]).is_loopback:
                yield canaries.address("answers", f"where the hop {stand_in.host} is", stand_in.place[0])
        for address in (*self._world.own(), ORIGIN, ORIGIN_6):
            yield canaries.address("answers", "an address behind the gateway", address)


def readers(positions: list[list[StandIn | None]]) -> tuple[set[Place], set[Place]]:
    """Who can read what is said to the last of these positions: on the way to whom, and by being told it.

    Nobody before a position whose every member is spoken to in TLS.
    """
    wire: set[Place] = set()
    heard: set[Place] = set()
    for members in reversed(positions):
        found = [one for one in members if one is not None]
        heard |= {one.place for one in found}
        wire |= {one.place for one in found if one.scheme != "https"}
        if found and len(found) == len(members) and all(one.scheme == "https" for one in found):
            break
    return wire, heard


def label(host: str) -> bytes:
    """What is looked for of a host: its own label, which DNS writes whole; or all of it."""
    return (host.partition(".")[0] if host.startswith(_LABEL) else host).lower().encode()


def _is_usual(address: str) -> bool:
    """Whether it is everybody's own, and so no secret."""
    return address in ("127.0.0.1", "::1")
