"""What the scrubber makes of a message, line by line, each with its reason: what `anongw diff` shows.

The lines that are sent are the scrubber's own output and nothing else. Reasons are those of its tables
(`headers.py`, `values.py`, `persona.py`), by the step at which `scrub.request` was seen to change a line.
"""

import enum
from collections.abc import Iterator

import msgspec

from anongw.address import Address
from anongw.web import persona, scrub, values
from anongw.web.deliver import reframe
from anongw.web.headers import ANSWER, REQUEST
from anongw.web.names import Fate, Known
from anongw.web.rules import Profile, Rules, Verb
from anongw.web.scrub import Lines, Step
from anongw.wire.http1 import SWITCHING_PROTOCOLS, Headers, RequestHead, ResponseHead
from anongw.wire.target import absolute

_FINAL = 200


class Mark(enum.Enum):
    """What became of a line."""

    DROPPED = "dropped"
    SET = "set"  # to another value than the client's, or added
    KEPT = "kept"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what is sent, or one that is not. Bytes above ASCII as Latin-1."""

    mark: Mark
    received: tuple[str, ...]  # several, where they were joined; none, where it was added
    sent: str | None
    why: str


def of_request(head: RequestHead, rules: Rules, own: persona.Persona | None = None) -> tuple[Line, ...]:
    """The lines sent to the origin, in their order, and then those that are dropped.

    `own`: the persona of whoever asks, if it has one of its own.

    Raises:
        Refused: as the gateway refuses the request.
    """
    _, origin, path = absolute(head.target)
    about = scrub.Outgoing(head.method, origin, head.framing, bool(head.upgrade), own)
    history = _History()
    sent, _ = scrub.request(head.headers, about, rules, history.watch)
    history.watch(Step.OWN, {REQUEST[name].key: value for name, value in sent})
    why = _Reasons(rules, origin.host, history.last)
    return (
        _first(
            b"%b %b HTTP/1.%d" % (head.method, head.target, head.minor),
            b"%b %b HTTP/1.1" % (head.method, path),
            "an origin is asked by path, in HTTP/1.1",
        ),
        *_paired(head.headers, sent, why, own),
    )


class _History:
    """Where each line changed last."""

    def __init__(self) -> None:
        self.last: dict[bytes, Step] = {}
        self._before: Lines = {}

    def watch(self, step: Step, kept: Lines) -> None:
        before = self._before
        changed = (key for key in kept.keys() | before.keys() if kept.get(key) != before.get(key))
        self.last |= dict.fromkeys(changed, step)
        self._before = dict(kept)


class _Reasons:
    """Why a request's line is as it is."""

    def __init__(self, rules: Rules, host: str | Address, last: dict[bytes, Step]) -> None:
        self._rules = rules
        self._host = host
        self._last = last

    def of(self, known: Known, who: persona.Persona) -> str:
        step = self._last.get(known.key, Step.LISTED)
        match step:
            case Step.LISTED:
                return self._listed(known)
            case Step.JUDGED:
                return values.WHY[known.key]
            case Step.RULED:
                return _by_rule(self._rules, self._host, known)
            case Step.PERSONA:
                return f"{step.value}: {who.title}"
            case _:
                return str(step.value)

    def _listed(self, known: Known) -> str:
        profile = self._rules.profile.value
        match known.fate:
            case Fate.BALANCED if self._rules.profile is Profile.STRICT:
                return f"not in profile {profile}: {known.why}"
            case Fate.UNKNOWN if self._rules.profile is Profile.OPEN:
                return f"{known.why}, and profile {profile} lets it pass"
            case _:
                return known.why


def _paired(received: Headers, sent: Headers, why: _Reasons, own: persona.Persona | None) -> Iterator[Line]:
    """Lines of one name belong together."""
    theirs: dict[bytes, Headers] = {}
    for name, value in received:
        theirs.setdefault(REQUEST[name].key, []).append((name, value))
    who = own or persona.choose(next((value for name, value in sent if name == b"User-Agent"), None))
    for name, value in sent:
        known = REQUEST[name]
        mine = theirs.pop(known.key, [])
        yield Line(
            mark=_mark((name, value), mine),
            received=tuple(map(_text, mine)),
            sent=_text((name, value)),
            why=why.of(known, who),
        )
    for name, value in received:
        known = REQUEST[name]
        if known.key in theirs:
            yield _dropped((name, value), why.of(known, who))


# Answers


def of_response(
    head: ResponseHead, rules: Rules, host: str | Address, *, minor: int = 1, websocket: bool = False
) -> tuple[Line, ...]:
    """The lines sent to the client, in their order, each dropped one in its place.

    `host` was asked, by a client that speaks HTTP/1.`minor`. The line `Connection`, which depends on what
    the client said, is not shown.

    Raises:
        Refused: as the gateway refuses the answer.
    """
    if head.status < _FINAL and head.status != SWITCHING_PROTOCOLS:
        why = "an interim answer ends at the gateway"
        first = _latin(b"HTTP/1.%d %d %b" % (head.minor, head.status, head.reason))
        line = Line(mark=Mark.DROPPED, received=(first,), sent=None, why=why)
        return line, *(_dropped(one, why) for one in head.headers)
    framing = reframe(head.framing, minor)
    sent = scrub.response(head.headers, head.status, framing, websocket, rules, host)
    return (
        _first(
            b"HTTP/1.%d %d %b" % (head.minor, head.status, head.reason),
            b"HTTP/1.1 %d %b" % (head.status, head.reason),
            "the gateway speaks HTTP/1.1",
        ),
        *_aligned(head.headers, sent, rules, host),
    )


def _aligned(received: Headers, sent: Headers, rules: Rules, host: str | Address) -> Iterator[Line]:
    """Lines pass in their order, each judged by itself, but for those that Connection names."""
    actions = rules.of(host)
    _, read = scrub.passing(received, rules.profile, actions)
    named = scrub.options(read[b"connection"])
    passed = [
        ANSWER[line[0]].key not in named and bool(scrub.passing([line], rules.profile, actions)[0])
        for line in received
    ]
    written = sent[sum(passed) :]  # by the gateway, at the end
    again = {ANSWER[name].key for name, _ in written}
    lines = iter(sent)
    for line, passes in zip(received, passed, strict=True):
        known = ANSWER[line[0]]
        if passes:
            out = next(lines)
            why = _why_passing(known, rules, host, changed=out != line)
            yield Line(mark=_mark(out, [line]), received=(_text(line),), sent=_text(out), why=why)
        elif known.key not in again:
            yield _dropped(line, Step.NAMED.value if known.key in named else _why_dropped(known, rules, host))
    for out in written:
        theirs = [line for line in received if ANSWER[line[0]].key == ANSWER[out[0]].key]
        yield Line(
            mark=_mark(out, theirs), received=tuple(map(_text, theirs)), sent=_text(out), why=Step.OWN.value
        )


def _why_passing(known: Known, rules: Rules, host: str | Address, *, changed: bool) -> str:
    if not changed and _verb(rules, host, known) is Verb.KEEP:
        return _by_rule(rules, host, known)
    match known.fate:
        case Fate.JUDGE:
            return known.why if changed else "nothing in it has to go"
        case Fate.BALANCED:
            return f"profile {rules.profile.value} lets it pass: {known.why}"
        case _:
            return "the client's own information"


def _why_dropped(known: Known, rules: Rules, host: str | Address) -> str:
    if _verb(rules, host, known) is Verb.DROP:
        return _by_rule(rules, host, known)
    strict = known.fate is Fate.BALANCED
    return f"not in profile {rules.profile.value}: {known.why}" if strict else known.why


def _verb(rules: Rules, host: str | Address, known: Known) -> Verb | None:
    action = rules.of(host).get(known.key)
    return action.verb if action else None


# Both


def _by_rule(rules: Rules, host: str | Address, known: Known) -> str:
    return f"{Step.RULED.value}, for {rules.word(host, known.key)}"


def _first(received: bytes, sent: bytes, why: str) -> Line:
    mark = Mark.KEPT if received == sent else Mark.SET
    return Line(mark=mark, received=(_latin(received),), sent=_latin(sent), why=why)


def _dropped(line: tuple[bytes, bytes], why: str) -> Line:
    return Line(mark=Mark.DROPPED, received=(_text(line),), sent=None, why=why)


def _mark(sent: tuple[bytes, bytes], received: Headers) -> Mark:
    """Whether what is sent is what was said, by one line or by several."""
    said = [value for _, value in received]
    if not said:
        return Mark.SET
    as_one = len(set(said)) == 1 and sent[1] == said[0]
    joined = sent[1] in (b", ".join(said), b"; ".join(said))
    return Mark.KEPT if as_one or joined else Mark.SET


def _text(line: tuple[bytes, bytes]) -> str:
    return _latin(b": ".join(line))


def _latin(data: bytes) -> str:
    return data.decode("latin-1")
