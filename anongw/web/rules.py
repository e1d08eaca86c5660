"""The user's own rules for header lines: `[scrub]` of the config, checked once and made quick to look up.

Order: the profile first, then the rules, from those for every host to the most specific; for one name the
last word counts. `drop` and `keep` hold for both directions, `set` for requests only, since the gateway adds
no line to anything that a page could read.

No rule can bring back what belongs to one connection, frames a body, names the target or speaks of a proxy: a
config that tries is refused, whatever the spelling.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from anongw.address import PORT_MOST, Address
from anongw.config import ConfigError, Fault, Rule, Scrub, ScrubRule
from anongw.web import headers, names, values


class Profile(enum.Enum):
    """How much may pass. The value is what the config calls it."""

    BALANCED = "balanced"
    STRICT = "strict"
    OPEN = "open"


class Verb(enum.Enum):
    DROP = "drop"
    SET = "set"
    KEEP = "keep"


class Action(NamedTuple):
    verb: Verb
    value: bytes = b""  # for SET


Actions = Mapping[bytes, Action]  # by lower-case name
_NOTHING: Actions = {}


@dataclass(frozen=True, slots=True)
class Rules:
    """What `request` and `response` go by. `hosts` runs from the most general to the most specific."""

    profile: Profile = Profile.BALANCED
    hosts: tuple[tuple[Rule | None, Actions], ...] = ()

    def of(self, host: str | Address) -> Actions:
        """What the rules say about each name for this host."""
        if not self.hosts:
            return _NOTHING
        said: dict[bytes, Action] = {}
        for rule, actions in self.hosts:
            if rule is None or _is_about(rule, host):
                said |= actions
        return said

    def word(self, host: str | Address, key: bytes) -> str:
        """For which host the rule is that has the last word on a name, as the config writes it; "": none."""
        for rule, actions in reversed(self.hosts):
            if key in actions and (rule is None or _is_about(rule, host)):
                return str(rule) if rule else "*"
        return ""


def compile_rules(scrub: Scrub) -> Rules:
    """Check the `[scrub]` section and make it quick to look up.

    Raises:
    ConfigError: a rule that would undo what the gateway guarantees, or that cannot be read.
    """
    found = []
    faults: list[Fault] = []
    for place, rule in enumerate(scrub.rules):
        path = f"scrub.rules[{place}]"
        try:
            host = _host(rule.host)
        except ValueError as error:
            faults.append(Fault(f"{path}.host", str(error)))
            continue
        faults += [Fault(f"{path}.{verb.value}", fault) for verb, fault in _faults(rule)]
        found.append((host, _actions(rule)))
    if faults:
        raise ConfigError(faults)
    found.sort(key=_specificity)
    return Rules(Profile(scrub.profile), tuple(found))


def _host(text: str) -> Rule | None:
    if text in ("", "*"):
        return None
    rule = Rule(text)
    if rule.ports != range(1, PORT_MOST + 1):
        raise ValueError("a header rule is for a host: leave the port out")
    return rule


def _is_about(rule: Rule, host: str | Address) -> bool:
    if isinstance(host, str):
        return rule.matches_name(host)
    return rule.network is not None and host in rule.network


def _specificity(found: tuple[Rule | None, Actions]) -> tuple[bool, bool, int]:
    rule, _ = found
    if rule is None:
        return (False, False, 0)
    return (True, rule.exact, rule.network.prefixlen if rule.network else len(rule.name))


def _said(rule: ScrubRule) -> Iterator[tuple[Verb, str, str]]:
    for name in rule.drop:
        yield Verb.DROP, name, ""
    for name, value in rule.set.items():
        yield Verb.SET, name, value
    for name in rule.keep:
        yield Verb.KEEP, name, ""


def _actions(rule: ScrubRule) -> Actions:
    return {
        name.lower().encode("latin-1", "replace"): Action(verb, value.strip().encode("latin-1", "replace"))
        for verb, name, value in _said(rule)
    }


def _faults(rule: ScrubRule) -> Iterator[tuple[Verb, str]]:
    seen: dict[str, Verb] = {}
    for verb, name, value in _said(rule):
        fault = _fault(verb, name, value)
        earlier = seen.setdefault(name.lower(), verb)
        if not fault and earlier is not verb:
            fault = f"is also under {earlier.value}: say one of them"
        if fault:
            yield verb, f"{name!r} {fault}"


def _fault(verb: Verb, name: str, value: str) -> str:  # noqa: PLR0911 - a table of reasons
    """Why this may not be, or nothing."""
    if not name.isascii() or not names.TOKEN.fullmatch(name.encode()):
        return "is not a header name"
    if "*" in name:
        return "has a star: write each name in full"
    key = names.folded(name.lower().encode())
    if key in _OWN or (verb is not Verb.DROP and key in _NEVER):
        return "is written or removed by the gateway itself, whatever the rules say"
    if verb is not Verb.DROP and key.startswith(b"proxy-"):
        return "is between a client and its proxy and never goes further"
    if verb is Verb.SET and key == b"destination":
        return "is an address: only a client may name it, and policy judges it"
    if key == b"user-agent" and (verb is Verb.DROP or (verb is Verb.SET and not value.strip())):
        return "may not be empty, which is rarer than any value: set another"
    if not _can_be_sent(value):
        return "cannot have that value: one line of Latin-1 text, no control characters"
    return ""


def _can_be_sent(value: str) -> bool:
    try:
        return values.clean([value.encode("latin-1")])
    except UnicodeEncodeError:
        return False


_OWN = frozenset(name.lower() for name in headers.OWN)
# Beside what is for one connection only: Expect, which the gateway answers, and Alt-Svc, which would move the
# client to QUIC, outside the proxy.
_NEVER = frozenset(name.lower() for name in (*headers.HOP_BY_HOP, b"Proxy", b"Expect", b"Alt-Svc"))
