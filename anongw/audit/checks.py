"""What must hold of every record: each check is a function from a record to what is wrong, in sentences."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from anongw.audit.record import Record
from anongw.lab.capture import ICMP, ICMP6, TCP, UDP

_NUMBERS = re.compile(rb"(?<![0-9a-z])[0-9]{5}(?![0-9a-z])")
_PROTOCOLS = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMP6: "ICMPv6"}
SMUGGLED = b"/smuggled"  # the path of a request that only a second reading of another one finds


@dataclass(frozen=True)
class Check:
    """`proves`: what a green one means, for the reader of a verdict."""

    name: str
    proves: str
    wrong: Callable[[Record], Iterator[str]]


def _edges(record: Record) -> Iterator[str]:
    for protocol, address, port in sorted(record.edges - record.allowed):
        # The kernel's word to a resolver whose answer came when nobody waited for it any more.
        if protocol in (ICMP, ICMP6) and any(edge[1] == address for edge in record.allowed):
            continue
        yield f"sent to {address} port {port} by {_PROTOCOLS.get(protocol, protocol)}"
    for packet in record.strays:
        yield f"sent to {packet.target} on the clients' side, who had asked for nothing"


def _questions(record: Record) -> Iterator[str]:
    for question in record.questions:
        allowed = record.askable.get(question.name)
        if allowed is None:
            yield f"{question.server[0]} was asked for {question.name}, which no client wants"
        elif question.server not in allowed:
            yield f"{question.server[0]} was asked for {question.name}, and must not hear of it"
    if record.not_understood:
        yield f"a resolver was told {record.not_understood} things that are no DNS"


def _secrets(kind: str) -> Callable[[Record], Iterator[str]]:
    def wrong(record: Record) -> Iterator[str]:
        wanted = [one for one in record.secrets if one.kind == kind]
        for reading in record.readings:
            for secret in wanted:
                may = secret.heard if reading.told else secret.wire
                if reading.party not in may and secret.found(reading.data):
                    how = "is told" if reading.told else "can be read on the way to"
                    yield f"{secret.says}: {how} {reading.party[0]} port {reading.party[1]}"

    return wrong


def _client(record: Record) -> Iterator[str]:
    yield from _secrets("client")(record)
    for reading in record.readings:
        for port in {int(found) for found in _NUMBERS.findall(reading.data)} & record.ports:
            yield f"the client's port {port} is told {reading.party[0]}"
    for packet in record.sent:
        if packet.source_port in record.ports:
            yield f"the client's own port {packet.source_port} is used toward {packet.target}"


def _answers(record: Record) -> Iterator[str]:
    for answer in record.answers:
        for secret in record.untold:
            if secret.found(answer):
                yield f"{secret.says}: told to a client"


def _log(record: Record) -> Iterator[str]:
    for secret in record.unlogged:
        if secret.found(record.log):
            yield f"{secret.says}: in the log or the status"


def _smuggling(record: Record) -> Iterator[str]:
    for heard in record.origin:
        if SMUGGLED in heard:
            yield "a request that only a second reading finds came to the origin"


def _claimed(name: str) -> Callable[[Record], Iterator[str]]:
    def wrong(record: Record) -> Iterator[str]:
        yield from (one.says for one in record.claims if one.check == name and not one.holds)

    return wrong


CHECKS = (
    Check(
        "edges", "packets go to first hops, resolvers and, where a route says direct, to targets only", _edges
    ),
    Check("questions", "no name is asked of a resolver that has no business with it", _questions),
    Check(
        "names",
        "a destination's name is read by the exit, and by whom the exit's protocol shows it",
        _secrets("names"),
    ),
    Check("client", "the client's address and port are nowhere outside", _client),
    Check("login", "the client's user and password are nowhere outside", _secrets("login")),
    Check("headers", "lines that tell who asks are nowhere outside", _secrets("headers")),
    Check(
        "hops",
        "a hop's login is read by that hop, and by those before it where no TLS hides it",
        _secrets("hops"),
    ),
    Check("gateway", "its address, host name, program and version are nowhere outside", _secrets("gateway")),
    Check("answers", "clients are told nothing of hops, of addresses, or of the gateway", _answers),
    Check("log", "log and status name no client, user, password or destination", _log),
    Check(
        "identities",
        "two users share neither a connection to a target nor a token at a hop",
        _claimed("identities"),
    ),
    Check("smuggling", "no request has a second one in it", _smuggling),
    Check("strangers", "a hop or resolver with another's certificate is told nothing", _claimed("strangers")),
    Check(
        "ended",
        "a gateway that was stopped or killed sends nothing, and nothing goes round it",
        _claimed("ended"),
    ),
    Check("served", "what should be carried is, and what should not is not", _claimed("served")),
)
