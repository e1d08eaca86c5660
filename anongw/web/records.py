"""Personas of the user's own: `[personas]` of the config, taken as whole records or not at all.

A record that is put together from several programs' lines is rarer than any program's, and so worse than
none. What is known of how programs write their requests over `http://` is held against each record: its name
for itself, its order, its case, its languages, and what no program sends there. What is not known here is no
persona that could be checked, and is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anongw.config import Config, ConfigError, Fault, PersonaRecord
from anongw.web import headers, names, values
from anongw.web.names import Fate
from anongw.web.persona import BROWSER, TOOL, Persona

# What an identity's `persona` may say beside the names of [personas]; "auto": by what each client says.
AUTO = "auto"
BUILT_IN: Mapping[str, Persona | None] = {AUTO: None, "browser": BROWSER, "tool": TOOL}
# What the gateway writes or asks the record for, though no client's own passes.
_WRITTEN = frozenset(
    (*headers.OWN, b"Host", b"Connection", b"Upgrade", b"Content-Length", b"Transfer-Encoding")
) | {b"Upgrade-Insecure-Requests", b"Priority", b"Accept-Language"}
_WRITTEN_KEYS = frozenset(name.lower() for name in _WRITTEN)
_CLASSES = ("page", "image", "style", "anything")
_PLATFORMS = ("Windows NT", "Macintosh", "X11", "Android", "iPhone")
_LANGUAGES = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*(?:;q=(0\.[0-9]{1,3}))?")
_ENGINES_MARK = "Mozilla/"


@dataclass(frozen=True, slots=True)
class Engine:
    """How a family of browsers writes requests in HTTP/1.1; as seen of Firefox 153 and Chromium 156."""

    title: str
    user_agent: re.Pattern[str]
    order: tuple[str, ...]
    never: frozenset[str]  # what it sends in other versions of HTTP only


_ENGINES = (
    Engine(
        "Firefox",
        re.compile(
            r"Mozilla/5\.0 \((?P<platform>[^()]+); rv:(?P<rv>[0-9]+\.[0-9]+)\) Gecko/20100101 "
            r"Firefox/(?P<version>[0-9]+\.[0-9]+)"
        ),
        (
            *("Host", "User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Connection", "Referer"),
            *("Cookie", "Upgrade-Insecure-Requests", "Priority"),
        ),
        frozenset(),
    ),
    Engine(
        "Chromium",
        re.compile(
            r"Mozilla/5\.0 \((?P<platform>[^()]+)\) AppleWebKit/537\.36 \(KHTML, like Gecko\) "
            r"Chrome/[0-9]+(?:\.[0-9]+){3}(?: Mobile)? Safari/537\.36(?: (?:Edg|OPR)/[0-9]+(?:\.[0-9]+){3})?"
        ),
        (
            *("Host", "Connection", "Upgrade-Insecure-Requests", "User-Agent", "Accept", "Referer"),
            *("Accept-Encoding", "Accept-Language", "Cookie"),
        ),
        frozenset({"priority"}),
    ),
)
_TOOL = re.compile(r"[A-Za-z][A-Za-z0-9._+-]*/[0-9][A-Za-z0-9._+-]*(?: .*)?")
# What programs that are no browsers do not send.
_BROWSERS_OWN = frozenset({"accept-language", "upgrade-insecure-requests", "priority"})


def compile_personas(config: Config) -> Mapping[str, Persona]:
    """The persona of each user who has one of its own, by name.

    Raises:
        ConfigError: a record that is no program's, or a name that is no record's.
    """
    found: list[Fault] = []
    known = dict(BUILT_IN)
    for name, record in config.personas.items():
        said = [Fault(f"personas.{name}.{field}", message) for field, message in faults(record)]
        if name in BUILT_IN:
            said.append(Fault(f"personas.{name}", "is a word of ours: give the record another name"))
        found += said
        if not said:
            known[name] = _persona(name, record)
    mine: dict[str, Persona] = {}
    for user, identity in config.identities.items():
        if identity.persona not in (*known, *config.personas):
            message = f"there is no such record; known here: {', '.join((*BUILT_IN, *config.personas))}"
            found.append(Fault(f"identities.{user}.persona", message))
        elif (persona := known.get(identity.persona)) is not None:
            mine[user] = persona
    if found:
        raise ConfigError(found)
    return mine


def faults(record: PersonaRecord) -> Iterator[tuple[str, str]]:
    """Why it is no whole record of one program: the field, and what is wrong with it."""
    unfit = list(_unfit(record))
    yield from unfit
    if unfit:
        return
    if not record.user_agent.startswith(_ENGINES_MARK):
        yield from _as_tool(record)
        return
    for engine in _ENGINES:
        if parts := engine.user_agent.fullmatch(record.user_agent):
            yield from _as_browser(record, engine, parts)
            return
    titles = " or ".join(engine.title for engine in _ENGINES)
    yield "user_agent", f"is mixed, or of no browser that could be checked here: {titles}"


def _unfit(record: PersonaRecord) -> Iterator[tuple[str, str]]:
    """What no program's record could have."""
    if not record.user_agent.strip() or not _can_be_sent(record.user_agent):
        yield "user_agent", "is one line of text, and never empty, which is rarer than any value"
    listed = [name.lower() for name in record.order]
    for name in {one for one in listed if listed.count(one) > 1}:
        yield "order", f"has {name} twice"
    for needed in ("host", "user-agent", "accept"):
        if needed not in listed:
            yield "order", f"lacks {needed}"
    for name in record.order:
        if fault := _name_fault(name):
            yield "order", f"{name!r} {fault}"
    yield from _unfit_lines(record, listed)


def _unfit_lines(record: PersonaRecord, listed: list[str]) -> Iterator[tuple[str, str]]:
    for field, lines in _tables(record):
        for name, value in lines.items():
            if name.lower() not in listed:
                yield field, f"has {name!r}, whose place in the order is not said"
            if name.lower() in ("host", "user-agent", "accept-encoding"):
                yield field, f"has {name!r}, which is written by the gateway"
            if not value.strip() or not _can_be_sent(value):
                yield field, f"{name!r} is to be one line of text"


def _name_fault(name: str) -> str:
    if not name.isascii() or not names.TOKEN.fullmatch(name.encode()):
        return "is not a header name"
    known = headers.REQUEST[name.encode()]
    if known.fate is Fate.DROP and known.key not in _WRITTEN_KEYS:
        return f"is in no program's request over http:// that could leave here: {known.why}"
    spelt = known.name.decode()
    return "" if name in (spelt, spelt.lower()) else f"is spelt as no program does: {spelt}"


def _as_tool(record: PersonaRecord) -> Iterator[tuple[str, str]]:
    if not _TOOL.fullmatch(record.user_agent):
        yield "user_agent", 'is no program\'s name and version, such as "curl/8.5.0"'
    for field, lines in _tables(record):
        for name in lines:
            if name.lower() in _BROWSERS_OWN:
                yield field, f"mixes a tool's User-Agent with {name!r}, which browsers send"
    for field in ("page", "image", "style"):
        if getattr(record, field):
            yield field, "mixes a tool's User-Agent with a kind of request that browsers make"
    yield from _one_case(record)


def _as_browser(record: PersonaRecord, engine: Engine, parts: re.Match[str]) -> Iterator[tuple[str, str]]:
    named = parts.groupdict()
    platforms = [one for one in _PLATFORMS if one in named["platform"]]
    if len(platforms) != 1:
        yield "user_agent", f"names {' and '.join(platforms) or 'no platform'}: a browser runs on one"
    if named.get("rv") != named.get("version"):
        yield "user_agent", f"mixes versions: rv:{named['rv']} and Firefox/{named['version']}"
    yield from _browsers_lines(record, engine)
    if any(name == name.lower() for name in record.order):
        yield "order", f"is in lower case: {engine.title} begins each word with a capital over http://"
    yield from _order_fault(record, engine)


def _browsers_lines(record: PersonaRecord, engine: Engine) -> Iterator[tuple[str, str]]:
    always = {name.lower(): value for name, value in record.always.items()}
    if "accept-language" not in always:
        yield "always", "lacks Accept-Language, which every browser sends"
    elif fault := _language_fault(always["accept-language"]):
        yield "always", f"Accept-Language {fault}"
    for field in _CLASSES:
        lines = {name.lower(): value for name, value in getattr(record, field).items()}
        if "accept" not in lines:
            yield field, "lacks Accept, which differs for each kind of request"
        if ("upgrade-insecure-requests" in lines) != (field == "page"):
            yield field, "has Upgrade-Insecure-Requests where pages alone have it, or lacks it there"
    for name in record.order:
        if name.lower() in engine.never:
            yield "order", f"mixes in {name!r}, which {engine.title} does not send over http://"


def _order_fault(record: PersonaRecord, engine: Engine) -> Iterator[tuple[str, str]]:
    theirs = [name for name in engine.order if name in record.order]
    mine = [name for name in record.order if name in engine.order]
    if mine != theirs:
        yield "order", f"is not that of {engine.title}, which has {', '.join(theirs)}"


def _one_case(record: PersonaRecord) -> Iterator[tuple[str, str]]:
    lower = [name for name in record.order if name == name.lower()]
    if lower and len(lower) != len(record.order):
        yield "order", f"mixes cases: {lower[0]!r} beside names with capitals"


def _language_fault(value: str) -> str:
    weights = []
    for part in value.split(","):
        found = _LANGUAGES.fullmatch(part.strip())
        if found is None:
            return f"has {part.strip()!r}, which is no language"
        weights.append(float(found[1] or 1))
    if weights != sorted(weights, reverse=True):
        return "has a language that weighs more than one before it"
    return ""


def _tables(record: PersonaRecord) -> Iterator[tuple[str, Mapping[str, str]]]:
    for field in ("always", *_CLASSES):
        yield field, getattr(record, field)


def _can_be_sent(value: str) -> bool:
    try:
        return values.clean([value.encode("latin-1")])
    except UnicodeEncodeError:
        return False


def _persona(name: str, record: PersonaRecord) -> Persona:
    def lines(table: Mapping[str, str]) -> dict[bytes, bytes]:
        return {one.lower().encode(): value.encode("latin-1") for one, value in table.items()}

    return Persona(
        title=name,
        user_agent=record.user_agent.encode("latin-1"),
        order=tuple(one.encode() for one in record.order),
        always=lines(record.always),
        page=lines(record.page),
        image=lines(record.image),
        style=lines(record.style),
        anything=lines(record.anything) or {b"accept": b"*/*"},
    )
