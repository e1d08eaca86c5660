"""Header lines in, header lines out: what a server may learn about the client, and a client about the server.

Pure functions over lists of pairs. `request` and `response` give the whole list that is sent, framing
included; nothing is copied by position, so neither order, case nor repetition of the client's lines gets
through.

Rules: a line passes because a list names it, never because no list forbids it (`open` and answers excepted,
which say so); every name that `Connection` names goes; what a user's rule says comes last and cannot undo
that; scrubbing twice gives what scrubbing once gave.

Whoever wants to know why a line went is shown by `watch`, after each step, how the lines stand; see
`difference.py`.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from anongw.address import Address, Endpoint
from anongw.errors import Reason, Refused
from anongw.web import headers as lists
from anongw.web import persona, values
from anongw.web.names import Fate
from anongw.web.rules import Action, Actions, Profile, Rules, Verb
from anongw.wire.http1 import SWITCHING_PROTOCOLS, Framing, Headers, Kind
from anongw.wire.target import host_header

_Read = dict[bytes, list[bytes]]
Lines = dict[bytes, bytes]  # one line for each lower-case name
_NONE: frozenset[bytes] = frozenset()
# Enum members as globals: they are compared once for every line, and Python 3.11 is slow to fetch them.
_DROP, _UNKNOWN, _BALANCED, _JUDGE = Fate.DROP, Fate.UNKNOWN, Fate.BALANCED, Fate.JUDGE
_STRICT = Profile.STRICT
_NO_BODY, _LENGTH, _CHUNKED = Kind.NONE, Kind.LENGTH, Kind.CHUNKED
_PASSING = {
    Profile.STRICT: (Fate.STRICT,),
    Profile.BALANCED: (Fate.STRICT, Fate.BALANCED),
    Profile.OPEN: (Fate.STRICT, Fate.BALANCED, Fate.UNKNOWN),
}

# RFC 9110 §13.1: preconditions. On GET and HEAD they are validators, which are cookies set by a server's
# cache; elsewhere they guard against lost updates.
_CONDITIONS = frozenset(
    (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range")
)
# With one of these a range is of one version; without it two could be mixed.
_OF_ONE_VERSION = frozenset((b"if-match", b"if-unmodified-since", b"if-range"))
_VALIDATING = frozenset((b"GET", b"HEAD"))
# Safe methods (RFC 9110 §9.2.1, RFC 4918, RFC 3253, RFC 5323), where `strict` has no update to guard.
_SAFE = _VALIDATING | {b"OPTIONS", b"TRACE", b"PROPFIND", b"REPORT", b"SEARCH", b"QUERY"}

# RFC 9110 §5.3: several lines are one, joined with a comma; RFC 6265 §5.4 has one Cookie line, with
# semicolons.
_JOINTS = {b"cookie": b"; "}
# Clients differ in which lines they send, but not by much. Each entry is at most the names of one head.
_ORDERS_MOST = 128
_Pick = Callable[[Lines], tuple[bytes, ...]]

# What to make of a value, where that needs nothing else; see values.py.
_BY_VALUE: tuple[tuple[bytes, Callable[[bytes], bytes | None]], ...] = (
    (b"authorization", values.authorization),
    (b"cache-control", values.reload),
    (b"pragma", values.reload),
    (b"x-requested-with", values.requested_with),
)
_ANSWER_BY_VALUE: dict[bytes, Callable[[bytes], bytes | None]] = {
    b"link": values.links,
    b"permissions-policy": values.permissions,
    b"www-authenticate": values.challenges,
}
# A Connection of one of these names no header, and nearly all are.
_ORDINARY = (b"keep-alive", b"close", b"Upgrade")

_DIGITS_MOST = 19  # of a Content-Length: more than any disk holds, less than what int() would grind on
_OK = 200
_NO_CONTENT = 204
_PROXY_AUTHENTICATION_REQUIRED = 407


class Step(enum.Enum):
    """What is done to a request's lines, in this order. The value is why a line changes there."""

    LISTED = "the lists"  # each name has a reason of its own
    NAMED = "Connection names it, so that it is for one connection only"
    JUDGED = "its value"  # as above; see values.WHY
    CONDITIONED = "a validator: a cookie that a server's cache has set, where it guards no update"
    RULED = "a rule of yours"
    RANGED = "goes with the condition that tied it to one version"
    PERSONA = "the persona's record"
    OWN = "the gateway writes its own"


Watch = Callable[[Step, Lines], None]
_LISTED, _NAMED, _JUDGED, _CONDITIONED = Step.LISTED, Step.NAMED, Step.JUDGED, Step.CONDITIONED
_RULED, _RANGED, _PERSONA = Step.RULED, Step.RANGED, Step.PERSONA


def _unwatched(_step: Step, _kept: Lines) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The facts beside a request's header lines."""

    method: bytes
    origin: Endpoint
    framing: Framing  # as the body goes out
    websocket: bool  # a websocket upgrade, the one that is passed on
    who: persona.Persona | None = None  # the identity's own; None: by what the client says it is


class Scrubbed(NamedTuple):
    headers: Headers
    # Lines dropped because no list names them: for a counter, which says how many and never which.
    unknown: int


def request(headers: Headers, about: Outgoing, rules: Rules, watch: Watch = _unwatched) -> Scrubbed:
    """What goes to the origin in place of a client's header lines.

    The order is the persona's. Lines outside its record follow by name, alphabetically, which says nothing
    about the client; those that no list names (`open`, a user's rule) come after those that one does.

    `watch` is shown the lines after each step that may have changed them, to look at and not to keep.

    Raises:
        Refused: MALFORMED for what no parser should have let through, or a line that may be there once and
            says two things; FORBIDDEN for a Destination on another origin.
    """
    authority = host_header(about.origin, "http")
    actions = rules.of(about.origin.host)
    kept, connection, unknown = _admitted(headers, rules.profile, actions)
    watch(_LISTED, kept)
    named = _named(connection, kept)
    if named:
        watch(_NAMED, kept)
    _judge(kept, about.origin, authority)
    watch(_JUDGED, kept)
    conditions = _without_validators(kept, about.method, rules.profile)
    watch(_CONDITIONED, kept)
    theirs: Lines = {}
    if actions:
        # Once here, so that the persona answers what the rules say, and again over the persona's own lines.
        theirs = _words_to_keep(headers, actions, named, about.origin, authority)
        _obey(actions, theirs, kept)
        watch(_RULED, kept)
    if conditions and not conditions <= kept.keys():
        # One unit: a resumed download must not mix two versions.
        kept.pop(b"range", None)
        watch(_RANGED, kept)
    who = about.who or persona.choose(kept.get(b"user-agent"))
    offer = kept.pop(b"accept-encoding", None)
    kept.update(persona.lines(who, kept.get(b"accept"), offer))
    watch(_PERSONA, kept)
    if actions:
        _obey(actions, theirs, kept)
        watch(_RULED, kept)
    _write_own(kept, about, authority)
    if not values.clean(kept.values()):
        raise Refused(Reason.MALFORMED, "a control byte in a header")
    return Scrubbed(_ordered(kept, who), unknown)


def _admitted(headers: Headers, profile: Profile, actions: Actions) -> tuple[Lines, list[bytes], int]:
    """The lines that the profile's list names, those of Connection, and how many no list names."""
    kept: Lines = {}
    connection: list[bytes] = []
    unknown = 0
    known = lists.REQUEST
    passing = _PASSING[profile]
    for name, value in headers:
        row = known[name]
        key, fate = row.key, row.fate
        if fate in passing:
            kept[key] = _merged(key, kept[key], value) if key in kept else value
        elif fate is _UNKNOWN:
            unknown += not _is_kept(actions, key)
        elif key == b"connection":
            connection.append(value)
    return kept, connection, unknown


def _is_kept(actions: Actions, key: bytes) -> bool:
    return key in actions and actions[key].verb is Verb.KEEP


def _merged(key: bytes, first: bytes, second: bytes) -> bytes:
    if key not in lists.SINGLE:
        return _JOINTS.get(key, b", ").join((first, second))
    if first != second:
        raise Refused(Reason.MALFORMED, "two values for a header that has one")
    return first


def _named(values: list[bytes], kept: Lines) -> frozenset[bytes]:
    """RFC 9110 §7.6.1: remove what Connection names. Returns those names."""
    named = options(values)
    for key in named:
        kept.pop(key, None)
    return named


def options(values: list[bytes]) -> frozenset[bytes]:
    """The names in lines of Connection, but for those that it may not name."""
    if not values or (len(values) == 1 and values[0] in _ORDINARY):
        return _NONE
    listed = b",".join(values).lower().split(b",")
    return frozenset(option.strip(b" \t") for option in listed) - lists.GUARDED


def _judge(kept: Lines, origin: Endpoint, authority: bytes) -> None:
    for key, judge in _BY_VALUE:
        if key in kept:
            _replace(kept, key, judge(kept[key]))
    if b"referer" in kept:
        _replace(kept, b"referer", values.referer(kept[b"referer"], origin, authority))
    if b"destination" in kept:
        kept[b"destination"] = values.destination(kept[b"destination"], origin, authority)


def _replace(kept: Lines, key: bytes, value: bytes | None) -> None:
    if value is None:
        del kept[key]
    else:
        kept[key] = value


def _without_validators(kept: Lines, method: bytes, profile: Profile) -> frozenset[bytes]:
    """Remove the conditions that this method may not bear; returns those that tie a range to one version."""
    conditions = _CONDITIONS.intersection(kept)
    if not conditions:
        return _NONE
    strict = profile is _STRICT
    # A server may read `get` as GET.
    if method.upper() in (_SAFE if strict else _VALIDATING):
        for key in conditions:
            del kept[key]
    elif strict:
        # "Range without a validator": this one guards no update.
        kept.pop(b"if-range", None)
    return conditions & _OF_ONE_VERSION


def _words_to_keep(
    headers: Headers, actions: Actions, named: frozenset[bytes], origin: Endpoint, authority: bytes
) -> Lines:
    """The client's own lines that a rule keeps, whatever the profile made of them."""
    kept: Lines = {}
    for name, value in headers:
        key = name.lower()
        if _is_kept(actions, key) and key not in named:
            kept[key] = _merged(key, kept[key], value) if key in kept else value
    # Two stay judged: NTLM would bind a shared connection, and an address is policy's.
    if b"authorization" in kept:
        _replace(kept, b"authorization", values.authorization(kept[b"authorization"]))
    if b"destination" in kept:
        kept[b"destination"] = values.destination(kept[b"destination"], origin, authority)
    # None at all is rarer than any value (rules.py lets nobody set it): the persona says one.
    if kept.get(b"user-agent") == b"":
        del kept[b"user-agent"]
    return kept


def _obey(actions: Actions, theirs: Lines, kept: Lines) -> None:
    for key, action in actions.items():
        if action.verb is Verb.DROP:
            kept.pop(key, None)
        elif action.verb is Verb.SET:
            kept[key] = action.value
    kept.update(theirs)


def _write_own(kept: Lines, about: Outgoing, authority: bytes) -> None:
    """What only the gateway writes: the target, the connection, the framing."""
    kept[b"host"] = authority
    if about.websocket:
        kept[b"connection"] = b"Upgrade"
        kept[b"upgrade"] = b"websocket"
    for name, value in _framing(about.framing):
        kept[name.lower()] = value


def _framing(framing: Framing) -> Headers:
    # RFC 9112 §6.2: never both. A body that ends with the connection has neither.
    if framing.kind is _LENGTH:
        return [(b"Content-Length", b"%d" % framing.length)]
    return [(b"Transfer-Encoding", b"chunked")] if framing.kind is _CHUNKED else []


def _ordered(kept: Lines, who: persona.Persona) -> Headers:
    spelt, pick = _order(who, tuple(kept))
    return list(zip(spelt, pick(kept), strict=True))


@lru_cache(_ORDERS_MOST)
def _order(who: persona.Persona, keys: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], _Pick]:
    """For one set of lines: their names as they are sent, and what takes their values in that order."""
    known = lists.REQUEST
    rest = sorted((known[key].fate is _UNKNOWN, key) for key in keys if key not in who.names)
    ordered = [key for key in who.names if key in keys] + [key for _, key in rest]
    # Every list of lines has a Host and a User-Agent, and so two: with one, itemgetter would give no tuple.
    return tuple(who.names.get(key) or known[key].name for key in ordered), itemgetter(*ordered)


def response(  # noqa: PLR0913, PLR0917 - each is a fact of its own
    headers: Headers,
    status: int,
    framing: Framing,
    websocket: bool,  # noqa: FBT001 - a fact about the request, beside the others
    rules: Rules,
    host: str | Address,
) -> Headers:
    """What goes to the client in place of an origin's header lines, in the origin's order and spelling.

    `framing` is how the body goes to the client. With no body (HEAD, 304) the origin's Content-Length passes,
    since it speaks of the answer to a GET (RFC 9110 §8.6). `Connection` is the caller's to append, but for
    the 101 that answers a websocket. Interim answers other than that one are the caller's to swallow.

    Raises:
        Refused: UPSTREAM_MALFORMED for what no parser should have let through, for a 101 that nobody asked
            for, and for 407: a far server that fishes for the gateway's password gets no answer through.
    """
    if status == _PROXY_AUTHENTICATION_REQUIRED:
        raise Refused(Reason.UPSTREAM_MALFORMED, "a far 407")
    if not values.clean([value for _, value in headers]):
        raise Refused(Reason.UPSTREAM_MALFORMED, "a control byte in a header")
    actions = rules.of(host)
    lines, read = passing(headers, rules.profile, actions)
    named = options(read[b"connection"])
    if named:
        known = lists.ANSWER
        lines = [line for line in lines if known[line[0]].key not in named]
    if status == SWITCHING_PROTOCOLS:
        return lines + _switched(read[b"upgrade"], websocket=websocket)
    if framing.kind is _NO_BODY and status >= _OK and status != _NO_CONTENT:
        lengths = set(read[b"content-length"])
        if len(lengths) == 1:
            framing = Framing(_LENGTH, _number(lengths.pop()))
    return lines + _framing(framing)


def passing(headers: Headers, profile: Profile, actions: Actions) -> tuple[Headers, _Read]:
    """An answer's lines that pass, each by itself, and the values of those that the gateway writes anew."""
    found: Headers = []
    read: _Read = {b"connection": [], b"content-length": [], b"upgrade": []}
    known = lists.ANSWER
    for name, value in headers:
        row = known[name]
        key, fate = row.key, row.fate
        if key in read:
            read[key].append(value)
        elif fate is _UNKNOWN and key not in actions:
            found.append((name, value))
        elif (left := _left(key, fate, value, profile, actions.get(key))) is not None:
            found.append((name, left))
    return found, read


def _left(key: bytes, fate: Fate, value: bytes, profile: Profile, action: Action | None) -> bytes | None:
    """What is left of one line of an answer."""
    if action and action.verb is Verb.DROP:
        return None
    keep = action is not None and action.verb is Verb.KEEP
    # Kept or not, the challenges that no client could answer go.
    if fate is _JUDGE and not (keep and key != b"www-authenticate"):
        return _ANSWER_BY_VALUE[key](value)
    dropped = fate is _DROP or (fate is _BALANCED and profile is _STRICT)
    return None if dropped and not keep else value


def _switched(upgrade: list[bytes], *, websocket: bool) -> Headers:
    if not websocket or [value.lower() for value in upgrade] != [b"websocket"]:
        raise Refused(Reason.UPSTREAM_MALFORMED, "a 101 that nobody asked for")
    return [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]


def _number(value: bytes) -> int:
    if not value.isdigit() or len(value) > _DIGITS_MOST:
        raise Refused(Reason.UPSTREAM_MALFORMED, "Content-Length")
    return int(value)
