"""From packets to whom somebody sent to and what could be read."""

from anongw.audit.record import Reading, edges, readings
from anongw.lab.capture import TCP, UDP, Link, Packet

GATEWAY, HOP, NAMES = "20.77.0.1", ("192.0.2.10", 1080), ("9.9.9.9", 53)
LINK = (GATEWAY, 40000, *HOP)


def packet(payload: bytes, *, flags: int = 16, sequence: int = 1, back: bool = False) -> Packet:
    near, far = ((GATEWAY, 40000), HOP)[:: -1 if back else 1]
    return Packet(TCP, *near, *far, payload, b"", flags, sequence, sent=not back)


def test_a_connection_is_an_edge_once_and_known_from_then_on() -> None:
    known: set[Link] = set()
    assert edges([packet(b"", flags=2, sequence=0)], known) == {(TCP, *HOP)}
    assert edges([packet(b"more")], known) == set()
    assert known == {LINK}


def test_whatever_belongs_to_no_connection_is_an_edge() -> None:
    datagram = Packet(UDP, GATEWAY, 40000, *NAMES, b"question", b"")
    assert edges([datagram, packet(b"out of nowhere")], set()) == {(UDP, *NAMES), (TCP, *HOP)}


def test_what_is_said_is_read_by_who_was_called_whichever_way_it_goes() -> None:
    there, back = packet(b"Question"), packet(b"Answer", back=True, sequence=900)
    datagram = Packet(UDP, *NAMES, GATEWAY, 40000, b"An Answer", b"")
    found = readings([there, back, datagram], {LINK}, {NAMES})
    assert found == [
        Reading(HOP, b"question", told=False),
        Reading(HOP, b"answer", told=False),
        Reading(NAMES, b"an answer", told=False),
    ]
