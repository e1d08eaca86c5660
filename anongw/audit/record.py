"""What came of one scenario: what passed, who heard and asked what, what was told and logged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from anongw.audit.canaries import Secret
from anongw.lab import capture
from anongw.lab.capture import TCP, Link, Packet
from anongw.lab.resolver import Question
from anongw.lab.server import Place

Edge = tuple[int, str, int]  # protocol's number, address, port (0 where it has none)


@dataclass(frozen=True)
class Reading:
    """Bytes that could be read: on the way to a party, there or back (`told` is False), or by itself.

    In lower case, as secrets are looked for.
    """

    party: Place
    data: bytes
    told: bool


@dataclass(frozen=True)
class Claim:
    """What a scenario itself says of a check: `holds`, or a sentence why not."""

    check: str
    holds: bool
    says: str


@dataclass
class Record:
    """Of one scenario; see the fields of `Scene` for how they come about."""

    scenario: str
    sent: list[Packet] = field(default_factory=list)  # by the gateway, to anybody but clients
    strays: list[Packet] = field(
        default_factory=list
    )  # on the clients' cable, neither from nor to a listener
    edges: set[Edge] = field(default_factory=set)
    allowed: set[Edge] = field(default_factory=set)
    readings: list[Reading] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    askable: dict[str, frozenset[Place]] = field(default_factory=dict)  # names, and who may be asked
    not_understood: int = 0  # questions that were no DNS
    answers: list[bytes] = field(default_factory=list)
    untold: list[Secret] = field(default_factory=list)  # what clients must not be told
    log: bytes = b""
    unlogged: list[Secret] = field(default_factory=list)  # what the log and the status must not hold
    origin: list[bytes] = field(default_factory=list)  # what origins heard, a connection each
    ports: set[int] = field(default_factory=set)  # the clients' own
    claims: list[Claim] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)  # everything, for the capture that is kept


def edges(packets: Iterable[Packet], known: set[Link]) -> set[Edge]:
    """Whom somebody sent to, but for what belongs to connections that are known."""
    found: set[Edge] = set()
    for packet in packets:
        if packet.opens:
            known.add(packet.link)
        near, far = packet.link[:2], packet.link[2:]
        in_known = packet.protocol == TCP and ((*near, *far) in known or (*far, *near) in known)
        if packet.opens or not in_known:
            found.add(packet.edge)
    return found


def readings(packets: Sequence[Packet], known: set[Link], parties: set[Place]) -> list[Reading]:
    """What each connection and each datagram said, by who was called."""
    found = []
    for link, data in capture.streams(packets):
        near, far = link[:2], link[2:]
        called = near if (*far, *near) in known or (far not in parties and near in parties) else far
        if data:
            found.append(Reading(called, data.lower(), told=False))
    datagrams = [one for one in packets if one.protocol != TCP and one.payload]
    for packet in datagrams:
        place = packet.source, packet.source_port
        party = place if place in parties else (packet.target, packet.target_port)
        found.append(Reading(party, packet.payload.lower(), told=False))
    return found
