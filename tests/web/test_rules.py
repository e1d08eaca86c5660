"""Rules: what a config may ask for, what it may not, and which rule has the last word."""

import ipaddress

import pytest

from anongw.config import ConfigError, Scrub, ScrubRule
from anongw.web.rules import Action, Profile, Rules, Verb, compile_rules

DROP, KEEP = Action(Verb.DROP), Action(Verb.KEEP)


def set_to(value: bytes) -> Action:
    return Action(Verb.SET, value)


def compiled(*rules: ScrubRule) -> Rules:
    return compile_rules(Scrub(rules=rules))


def test_nothing_said_is_the_balanced_profile_and_no_rule() -> None:
    rules = compile_rules(Scrub())
    assert rules == Rules(Profile.BALANCED)
    assert rules.of("example.org") == {}


@pytest.mark.parametrize("profile", list(Profile))
def test_every_profile_can_be_named(profile: Profile) -> None:
    assert compile_rules(Scrub(profile=profile.value)).profile is profile


@pytest.mark.parametrize(
    ("host", "about", "not_about"),
    [
        ("*", ["example.org", "198.51.100.7"], []),
        ("", ["example.org", "2001:db8::1"], []),
        (
            "example.org",
            ["example.org", "www.example.org"],
            ["badexample.org", "example.org.test", "198.51.100.7"],
        ),
        ("=example.org", ["example.org"], ["www.example.org"]),
        ("EXAMPLE.org.", ["example.org"], []),
        ("198.51.100.7", ["198.51.100.7"], ["198.51.100.8", "example.org"]),
        ("198.51.100.0/24", ["198.51.100.8"], ["198.51.101.8", "2001:db8::1"]),
    ],
)
def test_which_hosts_a_rule_is_about(host: str, about: list[str], not_about: list[str]) -> None:
    rules = compiled(ScrubRule(host=host, drop=("Cookie",)))
    for name in about + not_about:
        try:
            found = rules.of(ipaddress.ip_address(name))
        except ValueError:
            found = rules.of(name)
        assert found == ({b"cookie": DROP} if name in about else {})


def test_the_more_specific_rule_has_the_last_word_wherever_it_stands() -> None:
    rules = compiled(
        ScrubRule(host="=a.example.org", set={"DNT": "1"}),
        ScrubRule(host="a.example.org", keep=("DNT",)),
        ScrubRule(host="example.org", drop=("DNT", "Cookie")),
        ScrubRule(drop=("Prefer",), set={"Cookie": "a=b"}),
    )
    everywhere = {b"prefer": DROP}
    assert rules.of("elsewhere.test") == everywhere | {b"cookie": set_to(b"a=b")}
    assert rules.of("example.org") == everywhere | {b"cookie": DROP, b"dnt": DROP}
    assert rules.of("b.a.example.org") == everywhere | {b"cookie": DROP, b"dnt": KEEP}
    assert rules.of("a.example.org") == everywhere | {b"cookie": DROP, b"dnt": set_to(b"1")}


# Hop-by-hop, framing, Host, Proxy-*, in any spelling that a server could take for one of them.
GUARANTEED = [
    *("Host", "Connection", "Keep-Alive", "TE", "Trailer", "Trailers", "Transfer-Encoding", "Upgrade"),
    *(
        "Content-Length",
        "HTTP2-Settings",
        "Proxy",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy-Anything",
    ),
    *("Expect", "Alt-Svc"),
]


@pytest.mark.parametrize("name", GUARANTEED)
@pytest.mark.parametrize("spelling", [str.lower, str.upper, lambda name: name.replace("-", "_")])
def test_no_rule_brings_back_what_is_guaranteed(name: str, spelling: type[str]) -> None:
    for verb, rule in (
        ("keep", ScrubRule(keep=(spelling(name),))),
        ("set", ScrubRule(set={spelling(name): "1"})),
    ):
        with pytest.raises(ConfigError) as error:
            compiled(rule)
        assert error.value.path == f"scrub.rules[0].{verb}"


@pytest.mark.parametrize(
    ("rule", "path", "message"),
    [
        (ScrubRule(drop=("Host",)), "drop", "by the gateway itself"),
        (ScrubRule(drop=("Content-Length",)), "drop", "by the gateway itself"),
        (ScrubRule(drop=("User-Agent",)), "drop", "may not be empty"),
        (ScrubRule(set={"User-Agent": " "}), "set", "may not be empty"),
        (ScrubRule(set={"Destination": "http://10.0.0.1/"}), "set", "policy judges it"),
        (ScrubRule(set={"X-A": "a\r\nX-B: b"}), "set", "control characters"),
        (ScrubRule(set={"X-A": "\u20ac"}), "set", "Latin-1"),
        (ScrubRule(keep=("X-Goog-*",)), "keep", "in full"),
        (ScrubRule(keep=("X A",)), "keep", "not a header name"),
        (ScrubRule(keep=("",)), "keep", "not a header name"),
        (ScrubRule(keep=("X-\u00e4",)), "keep", "not a header name"),
        (ScrubRule(drop=("X-A",), keep=("x-a",)), "keep", "also under drop"),
        (ScrubRule(host="example.org:8080", drop=("X-A",)), "host", "leave the port out"),
        (ScrubRule(host="*.example.org", drop=("X-A",)), "host", "all below"),
        (ScrubRule(host="a b", drop=("X-A",)), "host", "neither"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_and_says_where(rule: ScrubRule, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        compiled(ScrubRule(), rule)
    assert error.value.path == f"scrub.rules[1].{path}"
    assert message in error.value.message


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        compiled(ScrubRule(keep=("Host", "TE")), ScrubRule(host="a b"))
    assert [fault.path for fault in error.value.faults] == [
        "scrub.rules[0].keep",
        "scrub.rules[0].keep",
        "scrub.rules[1].host",
    ]


def test_dropping_what_is_dropped_anyway_is_no_fault() -> None:
    assert compiled(ScrubRule(drop=("Proxy-Connection", "TE"))).of("a.test") == {
        b"proxy-connection": DROP,
        b"te": DROP,
    }


@pytest.mark.parametrize(
    ("host", "key", "word"),
    [
        ("elsewhere.test", b"prefer", "*"),
        ("elsewhere.test", b"dnt", ""),
        ("example.org", b"dnt", "example.org"),
        ("a.example.org", b"dnt", "=a.example.org"),
        ("a.example.org", b"prefer", "*"),
        ("a.example.org", b"unheard-of", ""),
    ],
)
def test_whose_word_counts(host: str, key: bytes, word: str) -> None:
    rules = compiled(
        ScrubRule(host="=a.example.org", set={"DNT": "1"}),
        ScrubRule(host="example.org", drop=("DNT",)),
        ScrubRule(drop=("Prefer",)),
    )
    assert rules.word(host, key) == word
    assert bool(word) == (key in rules.of(host))
