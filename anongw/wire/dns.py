"""DNS messages: a question becomes bytes, bytes become an answer. dnspython is the codec; nothing here waits.

What holds here:
- A query shows nothing but the name: no client subnet, no cookie, no version; padded where it is encrypted.
- An answer counts only if it answers this question under this id, and only records on the CNAME chain that
  starts at the question's name are taken. What else a server put in the message is not read.
- Only `Refused` comes out, whatever came in.

dnspython is imported at the first question and not at the start of the gateway: it costs 30 to 50 ms.
"""

import enum
import ipaddress
from dataclasses import dataclass

from anongw.address import Address
from anongw.errors import Reason, Refused

# RFC 8467 §4.1: clients pad queries to the closest multiple of 128 octets.
QUERY_BLOCK = 128
# The largest answer that crosses every path unfragmented (DNS Flag Day 2020), in octets.
UDP_PAYLOAD_MOST = 1232
# Octets of an answer that is read. Room for 500 addresses; one of 64 KiB, which anybody can publish under a
# name of theirs, would keep the gateway busy for a third of a second.
ANSWER_MOST = 8192
# Addresses of one family kept from one answer. Nobody tries more, and the cache holds every one.
ADDRESSES_MOST = 32


class Kind(enum.Enum):
    """The record types that a connection needs; the value is the type's number (RFC 1035, RFC 3596)."""

    A = 1
    AAAA = 28


@dataclass(frozen=True, slots=True)
class Question:
    """A canonical name (lower-case ASCII, no trailing dot) and the kind of address asked for."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What a resolver said. No addresses: there is no such name, or it has no address of this kind.

    `ttl` is in seconds, for a negative answer by RFC 2308 §5. `truncated`: ask again over a stream.
    """

    addresses: tuple[Address, ...] = ()
    ttl: int = 0
    truncated: bool = False


def query(question: Question, message_id: int, *, padded: bool) -> bytes:
    """The wire form of a query that identifies as little as possible.

    It opts out of client subnets: a SOURCE PREFIX-LENGTH of 0 (RFC 7871 §7.1.2) forbids the resolver to hand
    any part of the sender's address to a destination's name servers, where silence would leave it to the
    resolver. Firefox sends the same over HTTPS, so it sets nobody apart.

    Raises:
        Refused: MALFORMED where the name has no wire form.
    """
    import dns.edns  # noqa: PLC0415 - late: see above
    import dns.exception  # noqa: PLC0415
    import dns.message  # noqa: PLC0415

    try:
        message = dns.message.make_query(
            question.name + ".",
            question.kind.name,
            use_edns=0,  # where it is off, dnspython leaves the padding out in silence
            payload=UDP_PAYLOAD_MOST,
            options=[dns.edns.ECSOption("0.0.0.0", 0)],  # noqa: S104 - a prefix of no bits, nothing is bound
            # RFC 7830 §6: padding is for encrypted transports only.
            pad=QUERY_BLOCK if padded else 0,
            id=message_id,
        )
        return message.to_wire()
    except dns.exception.DNSException as error:
        raise Refused(Reason.MALFORMED, f"not a name for DNS: {type(error).__name__}") from None


def answer(wire: bytes, question: Question, message_id: int) -> Answer:
    """Read the answer to `question`, asked under `message_id`.

    Raises:
        Refused: UPSTREAM_MALFORMED where it is no answer to this question; TOO_LARGE; RESOLVER_FAILED where
            the server says that it could not find out.
    """
    import dns.exception  # noqa: PLC0415 - late: see above
    import dns.flags  # noqa: PLC0415
    import dns.message  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415

    if len(wire) > ANSWER_MOST:
        raise Refused(Reason.TOO_LARGE, f"an answer of more than {ANSWER_MOST} octets")
    try:
        message = dns.message.from_wire(wire)
        asked = dns.message.make_query(question.name + ".", question.kind.name, id=message_id)
        if not isinstance(message, dns.message.QueryMessage) or not asked.is_response(message):
            raise Refused(Reason.UPSTREAM_MALFORMED, "not an answer to the question")
        if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise Refused(Reason.RESOLVER_FAILED, dns.rcode.to_text(message.rcode()))
        if message.flags & dns.flags.TC:
            return Answer(truncated=True)
        found = message.resolve_chaining()
    except dns.exception.DNSException as error:
        # dnspython names its own class for each fault; the text may hold the name, the class does not.
        raise Refused(Reason.UPSTREAM_MALFORMED, type(error).__name__) from None
    if found.answer is not None:
        texts = [record.address for record in list(found.answer)[:ADDRESSES_MOST]]
        return Answer(tuple(ipaddress.ip_address(text) for text in texts), found.minimum_ttl)
    # RFC 2308 §5: "Negative responses without SOA records SHOULD NOT be cached".
    proven = any(records.rdtype == dns.rdatatype.SOA for records in message.authority)
    return Answer(ttl=found.minimum_ttl if proven else 0)
