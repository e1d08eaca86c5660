"""Queries that show nothing, answers that are believed for what they prove."""

import ipaddress
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TypeVar

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.wire.dns import ADDRESSES_MOST, Answer, Kind, Question, answer, query

T = TypeVar("T")

A = Question("www.example.org", Kind.A)
AAAA = Question("www.example.org", Kind.AAAA)
ID = 4711
V4 = ipaddress.ip_address("192.0.2.1")
V6 = ipaddress.ip_address("2001:db8::1")
SOA = "ns.example.org. root.example.org. 1 2 3 4"


def reply(
    *answers: tuple[str, int, str, str], question: Question = A, message_id: int = ID, soa: str = ""
) -> dns.message.Message:
    """A reply with these records (name, ttl, type, data) and perhaps an SOA with a TTL of 900."""
    asked = dns.message.make_query(question.name, question.kind.name, id=message_id)
    message = dns.message.make_response(asked)
    for name, ttl, kind, data in answers:
        message.answer.append(dns.rrset.from_text(name + ".", ttl, "IN", kind, *data.split(" | ")))
    if soa:
        message.authority.append(dns.rrset.from_text("example.org.", 900, "IN", "SOA", soa))
    return message


# What a query shows


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("length", [1, 30, 63])
def test_every_encrypted_query_has_the_same_length(kind: Kind, length: int) -> None:
    assert len(query(Question("x" * length + ".example", kind), 0, padded=True)) == 128


def test_a_plain_query_is_not_padded() -> None:
    assert len(query(A, ID, padded=False)) < 64


def test_a_query_holds_the_name_and_an_option_against_client_subnets_and_nothing_else() -> None:
    message = dns.message.from_wire(query(A, ID, padded=False))
    assert message.id == ID
    assert [record.to_text() for record in message.question] == ["www.example.org. IN A"]
    assert message.flags == dns.flags.RD
    assert message.ednsflags == 0  # no DNSSEC wish, which few clients have
    assert [option.to_text() for option in message.options] == ["ECS 0.0.0.0/0 scope/0"]
    assert not message.answer + message.authority + message.additional


def test_padding_is_all_zeros() -> None:
    padding = dns.message.from_wire(query(A, 0, padded=True)).options[-1]
    assert padding.otype == dns.edns.OptionType.PADDING
    assert set(padding.to_wire() or b"") == {0}


@pytest.mark.parametrize("name", ["a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_a_name_without_a_wire_form_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        query(Question(name, Kind.A), 0, padded=True)
    assert refused.value.reason is Reason.MALFORMED


# What an answer says

LONG_CHAIN = [(f"c{n}.example", 60, "CNAME", f"c{n + 1}.example.") for n in range(20)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(reply(("www.example.org", 60, "A", "192.0.2.1")), Answer((V4,), 60), id="one address"),
        pytest.param(
            reply(("WWW.Example.ORG", 60, "A", "192.0.2.1")), Answer((V4,), 60), id="case does not matter"
        ),
        pytest.param(
            reply(("www.example.org", 60, "CNAME", "a.example."), ("a.example", 20, "A", "192.0.2.1")),
            Answer((V4,), 20),
            id="a chain, as old as its youngest part",
        ),
        pytest.param(
            reply(("www.example.org", 5, "CNAME", "a.example."), ("a.example", 20, "A", "192.0.2.1")),
            Answer((V4,), 5),
            id="the other way round",
        ),
        pytest.param(
            reply(("www.example.org", 60, "A", "192.0.2.1"), ("evil.example", 60, "A", "10.0.0.1")),
            Answer((V4,), 60),
            id="a record off the chain is not read",
        ),
        pytest.param(
            reply(("evil.example", 60, "A", "10.0.0.1"), soa=f"{SOA} 30"),
            Answer((), 30),
            id="only a record off the chain",
        ),
        pytest.param(
            reply(("www.example.org", 60, "A", "192.0.2.1"), question=AAAA, soa=f"{SOA} 30"),
            Answer((), 30),
            id="A records do not answer AAAA",
        ),
        pytest.param(reply(soa=f"{SOA} 30"), Answer((), 30), id="none, for the SOA's minimum"),
        pytest.param(reply(soa=f"{SOA} 5000"), Answer((), 900), id="none, for the SOA's own TTL"),
        pytest.param(reply(), Answer((), 0), id="none, unproven: not to be cached"),
        pytest.param(
            reply(("www.example.org", 60, "CNAME", "a.example.")), Answer((), 0), id="a chain to nowhere"
        ),
    ],
)
def test_answers(message: dns.message.Message, expected: Answer) -> None:
    question = AAAA if message.question[0].rdtype.name == "AAAA" else A
    assert answer(message.to_wire(), question, ID) == expected


def test_no_such_name_counts_for_as_long_as_its_soa_says() -> None:
    message = reply(soa=f"{SOA} 30")
    message.set_rcode(dns.rcode.NXDOMAIN)
    assert answer(message.to_wire(), A, ID) == Answer((), 30)


def test_ipv6() -> None:
    message = reply(("www.example.org", 60, "AAAA", "2001:db8::1"), question=AAAA)
    assert answer(message.to_wire(), AAAA, ID) == Answer((V6,), 60)


def test_truncated() -> None:
    message = reply()
    message.flags |= dns.flags.TC
    assert answer(message.to_wire(), A, ID) == Answer(truncated=True)


def test_addresses_are_bounded() -> None:
    many = " | ".join(f"192.0.2.{n}" for n in range(200))
    assert len(answer(reply(("www.example.org", 60, "A", many)).to_wire(), A, ID).addresses) == ADDRESSES_MOST


def test_an_answer_that_would_take_long_to_read_is_refused() -> None:
    records = " | ".join(f"10.0.{n // 256}.{n % 256}" for n in range(600))
    with pytest.raises(Refused) as refused:
        answer(reply(("www.example.org", 60, "A", records)).to_wire(), A, ID)
    assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
def test_a_resolver_that_could_not_find_out(rcode: str) -> None:
    message = reply()
    message.set_rcode(dns.rcode.from_text(rcode))
    with pytest.raises(Refused) as refused:
        answer(message.to_wire(), A, ID)
    assert (refused.value.reason, refused.value.detail) == (Reason.RESOLVER_FAILED, rcode)


def not_a_response() -> dns.message.Message:
    return dns.message.make_query(A.name, A.kind.name, id=ID)


def answered_nxdomain() -> dns.message.Message:
    message = reply(("www.example.org", 60, "A", "192.0.2.1"))
    message.set_rcode(dns.rcode.NXDOMAIN)
    return message


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00" * 11, id="short header"),
        pytest.param(reply().to_wire() + b"x", id="trailing byte"),
        pytest.param(reply(message_id=ID + 1).to_wire(), id="another id"),
        pytest.param(reply(question=AAAA).to_wire(), id="another kind"),
        pytest.param(reply(question=Question("example.org", Kind.A)).to_wire(), id="another name"),
        pytest.param(not_a_response().to_wire(), id="a query"),
        pytest.param(answered_nxdomain().to_wire(), id="no such name, and its address"),
        pytest.param(
            reply(("www.example.org", 1, "CNAME", "b."), ("b", 1, "CNAME", "www.example.org.")).to_wire(),
            id="a chain that bites its tail",
        ),
        pytest.param(
            reply(("www.example.org", 1, "CNAME", "c0.example."), *LONG_CHAIN).to_wire(),
            id="a chain without end",
        ),
    ],
)
def test_what_is_no_answer(wire: bytes) -> None:
    with pytest.raises(Refused) as refused:
        answer(wire, A, ID)
    assert refused.value.reason is Reason.UPSTREAM_MALFORMED


# Whatever a server sends: an answer, or Refused, and every sort of both is reached.

names = st.sampled_from(["www.example.org", "WWW.example.org", "a.example", "b.example", "evil.example"])
ttls = st.integers(0, 2**31 - 1)
records = st.one_of(
    st.tuples(names, ttls, st.just("A"), st.sampled_from(["192.0.2.1", "10.0.0.1 | 192.0.2.2"])),
    st.tuples(names, ttls, st.just("AAAA"), st.just("2001:db8::1")),
    st.tuples(names, ttls, st.just("CNAME"), names.map(lambda name: name + ".")),
    st.tuples(names, ttls, st.just("TXT"), st.just('"words"')),
)


@dataclass(frozen=True)
class Plan:
    """One answer, mostly right. Rendered outside the strategy, because dnspython shuffles records."""

    question: Question
    records: list[tuple[str, int, str, str]]
    soa: str
    message_id: int
    rcode: str
    truncated: bool
    spoilt: list[tuple[int, int]]  # at this place, this byte
    cut: bool
    tail: bytes

    def wire(self) -> bytes:
        message = reply(*self.records, question=self.question, soa=self.soa, message_id=self.message_id)
        message.set_rcode(dns.rcode.from_text(self.rcode))
        if self.truncated:
            message.flags |= dns.flags.TC
        wire = bytearray(message.to_wire())
        for place, value in self.spoilt:
            wire[place % len(wire)] = value
        return bytes(wire[: len(wire) // 2] if self.cut else wire) + self.tail


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    return st.sampled_from([usual] * 6 + list(others))


good = st.just(("www.example.org", 9, "A", "192.0.2.9"))
plans = st.builds(
    Plan,
    question=mostly(A, AAAA),
    records=st.one_of(st.lists(good, max_size=1), st.lists(records, max_size=4)),
    soa=mostly(f"{SOA} 30", ""),
    message_id=mostly(ID, 1),
    rcode=mostly("NOERROR", "SERVFAIL", "NXDOMAIN", "REFUSED"),
    truncated=mostly(False, True),  # noqa: FBT003
    spoilt=st.one_of(st.just([]), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3)),
    cut=mostly(False, True),  # noqa: FBT003
    tail=mostly(b"", b"junk"),
)


def test_any_answer_is_read_or_refused() -> None:
    outcomes: Counter[str] = Counter()

    @settings(max_examples=1500, deadline=None, database=None)
    @given(plans)
    def run(plan: Plan) -> None:
        try:
            got = answer(plan.wire(), A, ID)
        except Refused as refused:
            outcomes[refused.reason.value] += 1
            return
        kind = "truncated" if got.truncated else "found" if got.addresses else "none"
        outcomes[kind] += 1
        assert got.ttl >= 0
        assert all(isinstance(address, ipaddress.IPv4Address) for address in got.addresses)

    run()
    assert set(outcomes) == {"found", "none", "truncated", "upstream-malformed", "resolver-failed"}


@given(
    st.lists(st.ip_addresses(v=4), min_size=1, max_size=8, unique=True),
    st.lists(st.from_regex(r"[a-z0-9]{1,12}\.example", fullmatch=True), max_size=5, unique=True),
    st.integers(0, 2**31 - 1),
)
def test_every_chain_is_followed_to_its_end(addresses: list[Address], chain: list[str], ttl: int) -> None:
    links = ["www.example.org", *chain]
    made = [(a, ttl, "CNAME", b + ".") for a, b in itertools.pairwise(links)]
    data = " | ".join(str(address) for address in addresses)
    got = answer(reply((links[-1], ttl, "A", data), *made).to_wire(), A, ID)
    assert set(got.addresses) == set(addresses)
    assert got.ttl == ttl
