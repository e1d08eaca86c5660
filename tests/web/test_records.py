"""Records of the user's own: whole ones are taken, and everything that is mixed is refused with its field."""

from pathlib import Path

import msgspec
import pytest

from anongw import check
from anongw.address import Endpoint
from anongw.config import ConfigError, PersonaRecord, load
from anongw.web import scrub
from anongw.web.persona import BROWSER, TOOL, Persona
from anongw.web.records import compile_personas, faults
from anongw.web.rules import Rules
from anongw.wire.http1 import Framing, Kind

CHROMIUM = PersonaRecord(
    user_agent=(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/156.0.0.0 Safari/537.36"
    ),
    order=(
        *("Host", "Connection", "Upgrade-Insecure-Requests", "User-Agent", "Accept", "Referer"),
        *("Accept-Encoding", "Accept-Language", "Cookie"),
    ),
    always={"Accept-Language": "de,en-US;q=0.7,en;q=0.3", "Connection": "keep-alive"},
    page={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Upgrade-Insecure-Requests": "1"},
    image={"Accept": "image/avif,image/*,*/*;q=0.8"},
    style={"Accept": "text/css,*/*;q=0.1"},
    anything={"Accept": "*/*"},
)
OLD_CURL = PersonaRecord(
    user_agent="curl/7.68.0",
    order=("Host", "User-Agent", "Accept", "Accept-Encoding"),
    anything={"Accept": "*/*"},
)


def changed(record: PersonaRecord, **fields: object) -> PersonaRecord:
    return msgspec.structs.replace(record, **fields)


def of(persona: Persona) -> PersonaRecord:
    """One of ours, as a config would have it."""

    def lines(table: object) -> dict[str, str]:
        assert isinstance(table, dict)
        return {
            persona.names[key].decode(): value.decode()
            for key, value in table.items()
            if key in persona.names
        }

    return PersonaRecord(
        user_agent=persona.user_agent.decode(),
        order=tuple(name.decode() for name in persona.order),
        always=lines(persona.always),
        page=lines(persona.page),
        image=lines(persona.image),
        style=lines(persona.style),
        anything=lines(persona.anything),
    )


@pytest.mark.parametrize(
    "record",
    [
        CHROMIUM,
        OLD_CURL,
        of(BROWSER),
        of(TOOL),
        changed(OLD_CURL, order=tuple(name.lower() for name in OLD_CURL.order), user_agent="undici/6"),
    ],
)
def test_whole_records_are_taken(record: PersonaRecord) -> None:
    assert list(faults(record)) == []


FIREFOX = of(BROWSER).user_agent
REORDERED = (*CHROMIUM.order[:1], *CHROMIUM.order[2:], "Connection")


@pytest.mark.parametrize(
    ("record", "field", "says"),
    [
        (changed(CHROMIUM, user_agent=FIREFOX), "order", "is not that of Firefox"),
        (changed(CHROMIUM, user_agent="curl/8.5.0"), "always", "mixes a tool's User-Agent"),
        (changed(OLD_CURL, user_agent=CHROMIUM.user_agent), "always", "lacks Accept-Language"),
        (changed(CHROMIUM, user_agent=FIREFOX.replace("rv:153", "rv:128")), "user_agent", "mixes versions"),
        (
            changed(CHROMIUM, user_agent=CHROMIUM.user_agent.replace("X11;", "X11; Windows NT 10.0;")),
            "user_agent",
            "names Windows NT and X11",
        ),
        (changed(CHROMIUM, user_agent=f"{FIREFOX} Chrome/156.0.0.0"), "user_agent", "is mixed"),
        (changed(CHROMIUM, user_agent="Mozilla/5.0"), "user_agent", "of no browser that could be checked"),
        (changed(CHROMIUM, user_agent=""), "user_agent", "never empty"),
        (changed(CHROMIUM, user_agent="a\nb"), "user_agent", "one line of text"),
        (changed(OLD_CURL, user_agent="???"), "user_agent", "name and version"),
        (changed(CHROMIUM, order=REORDERED), "order", "is not that of Chromium"),
        (changed(CHROMIUM, order=(*CHROMIUM.order, "Priority")), "order", "does not send over http://"),
        (changed(CHROMIUM, order=(*CHROMIUM.order, "Sec-CH-UA")), "order", "a client hint"),
        (changed(CHROMIUM, order=(*CHROMIUM.order, "X-Forwarded-For")), "order", "in no program's request"),
        (changed(CHROMIUM, order=(*CHROMIUM.order, "host")), "order", "has host twice"),
        (changed(CHROMIUM, order=(*CHROMIUM.order, "a b")), "order", "is not a header name"),
        (changed(CHROMIUM, order=(*CHROMIUM.order, "rAnge")), "order", "spelt as no program does"),
        (changed(CHROMIUM, order=(*CHROMIUM.order, "range")), "order", "is in lower case"),
        (changed(OLD_CURL, order=("Host", "User-Agent", "accept")), "order", "mixes cases"),
        (changed(OLD_CURL, order=("Host", "Accept")), "order", "lacks user-agent"),
        (changed(OLD_CURL, always={"Cookie": "a"}), "always", "whose place in the order is not said"),
        (changed(OLD_CURL, always={"Host": "a"}), "always", "written by the gateway"),
        (changed(OLD_CURL, anything={"Accept": " "}), "anything", "one line of text"),
        (changed(OLD_CURL, page={"Accept": "*/*"}), "page", "that browsers make"),
        (changed(CHROMIUM, image={}), "image", "lacks Accept"),
        (changed(CHROMIUM, page={"Accept": "text/html,*/*"}), "page", "Upgrade-Insecure-Requests"),
        (changed(CHROMIUM, always={"Accept-Language": "en;q=0.3,de"}), "always", "weighs more"),
        (changed(CHROMIUM, always={"Accept-Language": "english!"}), "always", "is no language"),
    ],
)
def test_a_mixed_record_is_refused(record: PersonaRecord, field: str, says: str) -> None:
    found = list(faults(record))
    assert any(one == field and says in message for one, message in found), found


CONFIG = """
[personas.old]
user_agent = "curl/7.68.0"
order = ["Host", "User-Agent", "Accept", "Accept-Encoding"]
anything = { Accept = "*/*" }
[identities]
alice.persona = "old"
bob.persona = "browser"
carol.renew = "1h"
"""


def test_an_identity_has_the_one_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "anongw.toml"
    path.write_text(CONFIG)
    found = compile_personas(load(path, also=check.faults))
    assert found.keys() == {"alice", "bob"}
    assert (found["alice"].title, found["alice"].user_agent) == ("old", b"curl/7.68.0")
    assert found["bob"] is BROWSER


@pytest.mark.parametrize(
    ("setting", "path", "says"),
    [
        ("identities.alice.persona=chrome", "identities.alice.persona", "known here: auto, browser, tool"),
        ("personas.tool.user_agent=a/1", "personas.tool", "is a word of ours"),
        ("personas.x.user_agent=Mozilla", "personas.x.order", "lacks host"),
    ],
)
def test_what_is_wrong_has_its_place(setting: str, path: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [setting], also=check.faults)
    assert any(one.path == path and says in one.message for one in caught.value.faults)


def test_a_request_of_such_an_identity_is_that_programs_whole(tmp_path: Path) -> None:
    path = tmp_path / "anongw.toml"
    path.write_text(CONFIG)
    mine = compile_personas(load(path))["alice"]
    origin = Endpoint("a.example", 80)
    about = scrub.Outgoing(b"GET", origin, Framing(Kind.NONE), websocket=False, who=mine)
    client = [
        (b"accept-language", b"fr"),
        (b"user-agent", b"Mozilla/5.0 (mine)"),
        (b"host", b"a.example"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"connection", b"keep-alive"),
    ]
    assert scrub.request(client, about, Rules()).headers == [
        (b"Host", b"a.example"),
        (b"User-Agent", b"curl/7.68.0"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"gzip, deflate"),
    ]
