"""What has passed on the cables around a gateway for a while: who called whom, and who could read what.

Of what passed in a connection nothing is looked for in single packets only: it is put together first.
"""

import ipaddress
from collections.abc import Container, Iterable, Sequence

import dns.message

from anongw.lab import capture
from anongw.lab.capture import UDP, Link, Packet
from anongw.lab.server import Place

Streams = list[tuple[Place, bytes]]  # what was said in a connection, either way, and who was called


class Passed:
    """The packets of a while: `outward` by the gateway's cable, `onward` between those outside.

    `known`: the connections that have ever been opened, from the side that did.
    """

    def __init__(self, outward: Sequence[Packet], onward: Sequence[Packet], known: Container[Link]) -> None:
        self.outward = outward
        self.onward = onward
        self.out_streams = _streams(outward, known)
        self.streams = self.out_streams + _streams(onward, known)

    @property
    def opened(self) -> set[Place]:
        """Whom the gateway asked for a connection."""
        return {one.link[2:] for one in self.outward if one.sent and one.opens}

    @property
    def closed(self) -> set[Place]:
        """Whom the gateway said its last to, or broke off with."""
        return {one.link[2:] for one in self.outward if one.sent and one.closes}

    @property
    def asked(self) -> set[str]:
        """The names that the gateway itself asked a name server for."""
        questions = [
            dns.message.from_wire(one.payload) for one in self.outward if one.sent and one.protocol == UDP
        ]
        return {one.question[0].name.to_text(omit_final_dot=True) for one in questions}

    @property
    def between(self) -> set[tuple[str, Place]]:
        """Who outside asked whom for a connection."""
        return {(one.source, one.link[2:]) for one in self.onward if one.opens}

    def readers(self, *secrets: bytes) -> set[Place]:
        """On the way to whom any of these bytes passed, there or back."""
        return _holding(self.streams, secrets)

    def out_readers(self, *secrets: bytes) -> set[Place]:
        """The same on the gateway's own cable."""
        return _holding(self.out_streams, secrets)


def _streams(packets: Sequence[Packet], known: Container[Link]) -> Streams:
    return [
        (link[:2] if (*link[2:], *link[:2]) in known else link[2:], data.lower())
        for link, data in capture.streams(packets)
    ]


def _holding(streams: Streams, secrets: Iterable[bytes]) -> set[Place]:
    wanted = [secret.lower() for secret in secrets]
    return {place for place, data in streams if any(one in data for one in wanted)}


def written(place: Place) -> tuple[bytes, ...]:
    """An address and port as SOCKS5, SOCKS4 and HTTP write them."""
    address, port = ipaddress.ip_address(place[0]), place[1].to_bytes(2, "big")
    host = f"[{place[0]}]" if ":" in place[0] else place[0]
    return address.packed + port, port + address.packed, f"{host}:{place[1]}".encode()


def in_dns(name: str) -> bytes:
    """RFC 1035 section 3.1."""
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
