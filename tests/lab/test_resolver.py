"""The resolver answers over every transport, remembers who asked, and fails as it is told."""

import socket
from collections.abc import Sequence

import dns.message
import dns.rcode
import pytest

from anongw.lab.resolver import Book, Datagrams, Framed, Https, Mood, Question
from tests.support.outside import datagrams, listening
from tests.support.raw_origin import Line

QUERY = dns.message.make_query("a.example", "A").to_wire()


def lookup(name: str) -> Sequence[str] | None:
    return {"a.example": ("192.0.2.7", "2001:db8::7")}.get(name)


def addresses(wire: bytes) -> list[str]:
    return [str(one) for rrset in dns.message.from_wire(wire).answer for one in rrset]


def test_the_answer_is_of_the_kind_that_was_asked_for() -> None:
    book = Book(lookup)
    for kind, expected in (("A", ["192.0.2.7"]), ("AAAA", ["2001:db8::7"]), ("TXT", [])):
        answer = book.answer(
            dns.message.make_query("A.example", kind).to_wire(), ("192.0.2.1", 53), "10.0.0.1"
        )
        assert answer is not None
        assert addresses(answer) == expected
    assert book.asked == [Question(("192.0.2.1", 53), "10.0.0.1", "a.example")] * 3
    unknown = book.answer(dns.message.make_query("b.example", "A").to_wire(), ("192.0.2.1", 53), "10.0.0.1")
    assert unknown is not None
    assert dns.message.from_wire(unknown).rcode() == dns.rcode.NXDOMAIN


def test_its_moods() -> None:
    book = Book(lookup)
    book.mood = Mood.SILENT
    assert book.answer(QUERY, ("192.0.2.1", 53), "10.0.0.1") is None
    book.mood = Mood.GARBAGE
    assert book.answer(QUERY, ("192.0.2.1", 53), "10.0.0.1") == QUERY[:2] + b"no DNS message"
    book.mood = Mood.SERVFAIL
    answer = book.answer(QUERY, ("192.0.2.1", 53), "10.0.0.1")
    assert answer is not None
    assert dns.message.from_wire(answer).rcode() == dns.rcode.SERVFAIL
    assert len(book.asked) == 3, "what it does not answer it has heard all the same"


def test_what_is_no_question_is_remembered_too() -> None:
    book = Book(lookup)
    assert book.answer(b"GET / HTTP/1.1", ("192.0.2.1", 53), "10.0.0.1") is None
    assert (book.asked, book.not_understood) == ([], [b"GET / HTTP/1.1"])


@pytest.mark.parametrize("kind", [Framed, Https])
def test_over_a_stream(kind: type[Framed]) -> None:
    book = Book(lookup)
    with kind(listening("127.0.0.1"), book) as server, socket.socket() as sock:
        sock.connect(server.place)
        with Line(sock) as line:
            for _ in range(2):
                if kind is Https:
                    line.send(b"POST /dns-query HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(QUERY), QUERY)
                    answer = line.message().body
                else:
                    line.send(len(QUERY).to_bytes(2, "big") + QUERY)
                    answer = line.exactly(int.from_bytes(line.exactly(2), "big"))
                assert addresses(answer) == ["192.0.2.7"]
    assert {question.peer for question in book.asked} == {"127.0.0.1"}


def test_over_datagrams() -> None:
    book = Book(lookup)
    with Datagrams(datagrams("127.0.0.1"), book) as server, datagrams("127.0.0.1") as sock:
        sock.sendto(QUERY, server.place)
        assert addresses(sock.recv(1000)) == ["192.0.2.7"]
    assert book.asked[0].server == server.place
