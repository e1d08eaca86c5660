"""Who called whom, and who could read what, from packets alone."""

import dns.message

from anongw.lab.capture import TCP, UDP, Packet
from anongw.lab.passed import Passed, in_dns, written

GATEWAY, HOP, NAMES = "20.0.0.1", "20.0.0.11", "20.0.0.53"
_SYN, _ACK, _FIN = 2, 16, 1


def packet(payload: bytes, sequence: int, flags: int = _ACK, *, back: bool = False) -> Packet:
    ends = ((GATEWAY, 40000), (HOP, 1080))
    source, target = ends[::-1] if back else ends
    return Packet(TCP, *source, *target, payload, b"", flags, sequence, sent=not back)


def test_who_was_called_and_who_could_read_it() -> None:
    """Across packets, in any case, and what came back as well."""
    link = (GATEWAY, 40000, HOP, 1080)
    packets = [
        packet(b"", 0, _SYN),
        packet(b"Secret-", 1),
        packet(b"Site.example", 8),
        packet(b"an answer", 900, back=True),
        packet(b"", 20, _FIN | _ACK),
    ]
    passed = Passed(packets, [], {link})
    assert passed.opened == passed.closed == {(HOP, 1080)}
    for known in (b"secret-site.example", b"ANSWER"):
        assert passed.readers(known) == passed.out_readers(known) == {(HOP, 1080)}
    assert passed.readers(b"somebody else") == set()


def test_who_outside_called_whom() -> None:
    passed = Passed([], [packet(b"", 0, _SYN)], ())
    assert (passed.between, passed.opened) == ({(GATEWAY, (HOP, 1080))}, set())


def test_names_that_were_asked_for() -> None:
    query = dns.message.make_query("secret.example", "A").to_wire()
    passed = Passed([Packet(UDP, GATEWAY, 40000, NAMES, 53, query, query, sent=True)], [], ())
    assert passed.asked == {"secret.example"}
    assert in_dns("secret.example") in query


def test_a_place_as_every_protocol_writes_it() -> None:
    assert written(("20.0.0.11", 80)) == (
        b"\x14\x00\x00\x0b\x00\x50",
        b"\x00\x50\x14\x00\x00\x0b",
        b"20.0.0.11:80",
    )
    assert written(("2a00::1", 443))[2] == b"[2a00::1]:443"
