"""What can be seen at a place, and that `anongw check` says the same of it."""

from collections import Counter

import msgspec
import pytest
from hypothesis import example, given, settings

from anongw.config import Chain, Config
from anongw.config.words import is_first_blind, is_way_blind
from anongw.knowledge import Fact, Learns, explain
from anongw.knowledge.glimpse import joined, no, nothing, yes
from anongw.knowledge.question import question
from anongw.knowledge.table import Cell
from tests.support.knowledge import ask, chained, learns, position, why
from tests.support.knowledge_cases import chains

A, S = "socks5://192.0.2.1", "https://192.0.2.2:443"
LOGGED = "socks5://u:p@192.0.2.3"


def test_who_learns_in_two_ways_learns_the_more_of_each() -> None:
    plain = Cell(learns=Learns.PLAIN, by="b", why="plain")
    first = nothing("a", "first") | {Fact.NAME: yes("a", "told"), Fact.HOP_LOGIN: yes("a", "one", ("hop 1",))}
    second = nothing("b", "second") | {
        Fact.NAME: plain,
        Fact.CONTENT: plain,
        Fact.HOP_LOGIN: yes("b", "two", ("hop 2",)),
    }
    found = joined(first, second)
    assert found[Fact.NAME] == yes("a", "told")
    assert found[Fact.CONTENT] == plain
    assert found[Fact.TIMING] == no("a", "first")
    assert found[Fact.HOP_LOGIN] == yes("a", "one", ("hop 1", "hop 2"))


@pytest.mark.parametrize(
    ("settings_", "row", "fact", "part"),
    [
        (chained(A, S), "hop 1", Fact.NAME, "hidden by TLS to hop 2"),
        (chained(S, A), "local network", Fact.CONTENT, "hidden by TLS to hop 1"),
        (chained(A, A), "hop 1", Fact.NAME, "told to hop 2"),
        (chained(A, A), "hop 1", Fact.ADDRESS, "hop 2 looks it up"),
        (chained(A, A, names="here"), "hop 1", Fact.ADDRESS, "looked up before"),
        (chained(A, A, names="here"), "hop 2", Fact.NAME, "SNI"),
        (chained(A, S), "line behind the exit", Fact.NAME, "SNI"),
        (chained(A, S), "hop 2", Fact.GATEWAY_ADDRESS, "connected to by hop 1"),
        (chained(A, LOGGED), "hop 1", Fact.HOP_LOGIN, "the login of hop 2 goes by in the clear"),
        (chained(S, A), "hop 1", Fact.HOP_LOGIN, "no login is said to any hop from here on"),
        (chained(A, S, LOGGED), "hop 1", Fact.HOP_LOGIN, "hidden by TLS to hop 2"),
        (chained(LOGGED, LOGGED), "hop 1", Fact.HOP_LOGIN, "its own; the login of hop 2"),
        (chained(A), "destination", Fact.CONTENT, "socks5 makes a tunnel, which is not scrubbed"),
    ],
)  # fmt: skip
def test_reasons(settings_: Config, row: str, fact: Fact, part: str) -> None:
    assert part in why(ask(settings_, "example.org:443"), row, fact)


def test_scrubbing_is_told_of_plain_http_only() -> None:
    found = ask(chained(A), "http://example.org/")
    assert why(found, "destination", Fact.CONTENT) == "scrubbed: profile balanced"
    assert why(found, "hop 1", Fact.CONTENT) == "plain HTTP is read by whoever carries it"
    strict = ask(chained(A, sets=("scrub.profile=strict",)), "http://example.org/")
    assert "drops Cookie and Authorization" in why(strict, "destination", Fact.LOGIN)


def test_what_check_says_of_a_chain_and_what_is_explained_are_one() -> None:
    seen: Counter[tuple[bool, bool]] = Counter()

    # What is drawn depends on which modules are loaded, so these outcomes are not left to chance.
    @settings(max_examples=300, deadline=None)
    @example(Chain(hop=(position(A), position(S))))
    @example(Chain(hop=(position(S), position(A))))
    @example(Chain(hop=(position(A), position(A))))
    @given(chains(direct=False))
    def holds(chain: Chain) -> None:
        found = explain(through_it(chain), question("example.org:443"))
        if found.refused:
            return
        blind = is_first_blind(chain), is_way_blind(chain)
        seen[blind] += 1
        first = "hop 1" if chain.hop[0].pick == 1 else "hop 1.1"
        if len(chain.hop) > 1 or chain.hop[0].pick > 1:
            assert (learns(found, first, Fact.NAME) is Learns.NO) is blind[0]
        here = all(str(one.url.endpoint.host).startswith("127.") for one in chain.hop[0].members)
        assert here or (learns(found, "local network", Fact.NAME) is Learns.NO) is blind[1]

    holds()
    assert seen.keys() == {(True, True), (False, True), (False, False)}


def through_it(chain: Chain) -> Config:
    return msgspec.structs.replace(chained(A), chains={"way": chain})
