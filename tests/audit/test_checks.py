"""Each check is green on an innocent record, and red on one with the fault that it is for."""

from collections.abc import Callable

import pytest

from anongw.audit.canaries import Secret, secret
from anongw.audit.checks import CHECKS
from anongw.audit.record import Claim, Reading, Record
from anongw.lab.capture import ICMP, TCP, UDP, Packet
from anongw.lab.resolver import Question

HOP, OTHER, NAMES = ("192.0.2.10", 1080), ("192.0.2.11", 1080), ("9.9.9.9", 443)


def innocent() -> Record:
    """A name at the exit that may have it; a login where it belongs; a resolver asked for what it may be."""
    host = Secret("names", "a name", (b"canary-n1",), frozenset({HOP}), frozenset({HOP}))
    login = Secret("hops", "a login", (b"canary-hop",), frozenset({HOP}), frozenset({HOP}))
    kinds = ("client", "login", "headers", "gateway")
    return Record(
        "one",
        edges={(TCP, *HOP), (ICMP, NAMES[0], 0)},
        allowed={(TCP, *HOP), (TCP, *NAMES)},
        readings=[Reading(HOP, b"canary-n1 canary-hop", told=True), Reading(HOP, b"canary-n1", told=False)],
        secrets=[host, login, *(secret(kind, "something", f"canary-{kind}") for kind in kinds)],
        questions=[Question(NAMES, "20.0.0.1", "a.example")],
        askable={"a.example": frozenset({NAMES}), "b.example": frozenset()},
        answers=[b"HTTP/1.1 403 Forbidden\r\n\r\n"],
        untold=[secret("answers", "where a hop is", HOP[0])],
        log=b"flow 1 socks5 done",
        unlogged=[secret("log", "a destination", "canary-n1")],
        origin=[b"GET / HTTP/1.1\r\n\r\n"],
        ports={20001},
        claims=[Claim("served", holds=True, says="it is not")],
    )


def _reads(data: bytes, *, told: bool = False) -> Callable[[Record], None]:
    return lambda record: record.readings.append(Reading(OTHER, data, told=told))


FAULTS: list[tuple[str, Callable[[Record], object]]] = [
    ("edges", lambda record: record.edges.add((UDP, "8.8.8.8", 53))),
    ("edges", lambda record: record.edges.add((TCP, HOP[0], 1081))),
    ("edges", lambda record: record.strays.append(Packet(UDP, "10.77.0.1", 1, "10.77.0.2", 2, b"", b""))),
    ("questions", lambda record: record.questions.append(Question(NAMES, "20.0.0.1", "b.example"))),
    ("questions", lambda record: record.questions.append(Question(NAMES, "20.0.0.1", "unheard.example"))),
    ("questions", lambda record: setattr(record, "not_understood", 1)),
    ("names", _reads(b"\x09canary-n1\x07example")),
    ("names", _reads(b"canary-n1", told=True)),
    ("client", _reads(b"x-forwarded-for: canary-client")),
    ("client", _reads(b"port=20001;")),
    (
        "client",
        lambda record: record.sent.append(Packet(TCP, "20.77.0.1", 20001, HOP[0], 1080, b"", b"", flags=2)),
    ),
    ("login", _reads(b"canary-login", told=True)),
    ("headers", _reads(b"via: canary-headers")),
    ("hops", _reads(b"canary-hop")),
    ("gateway", _reads(b"server: canary-gateway")),
    ("answers", lambda record: record.answers.append(b"could not reach 192.0.2.10")),
    ("log", lambda record: setattr(record, "log", b"flow 1 to canary-n1")),
    (
        "smuggling",
        lambda record: record.origin.append(b"GET / HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
    ),
    *(
        (name, lambda record, name=name: record.claims.append(Claim(name, holds=False, says="so")))
        for name in ("identities", "strangers", "ended", "served")
    ),
]


def red(record: Record) -> set[str]:
    return {check.name for check in CHECKS if list(check.wrong(record))}


def test_an_innocent_record_is_green() -> None:
    assert red(innocent()) == set()


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_a_fault_turns_its_check_red_and_no_other(number: int) -> None:
    name, commit = FAULTS[number]
    record = innocent()
    commit(record)
    assert red(record) == {name}


def test_every_check_has_a_fault_here_and_says_what_it_proves() -> None:
    assert {name for name, _ in FAULTS} == {check.name for check in CHECKS}
    assert all(check.proves for check in CHECKS)
