"""What holds for every config and question that `anongw explain` answers, and every outcome reached."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from anongw import config
from anongw.config import Config, HopUrl, Member
from anongw.knowledge import Content, Explanation, Fact, Learns, Party, Question, Where, explain
from tests.support.knowledge import position
from tests.support.knowledge_cases import RARE, SECRET, SHARED, configs, each, questions, through

OF_TARGET = (Fact.NAME, Fact.ADDRESS, Fact.CONTENT, Fact.LOGIN)
AT_HOME = {Party.CLIENT_LINE, Party.LOG, Party.CONTROL}


def test_each_answer() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=1000, deadline=None)
    @each(RARE)
    @given(configs(), questions())
    def holds(made: Config, question: Question) -> None:
        found = explain(made, question)
        count(found, seen)
        assert found == explain(made, question)
        text = msgspec.json.encode(found)
        assert msgspec.json.decode(text, type=Explanation) == found
        assert SECRET.encode() not in text
        for row in found.rows:
            assert row.cells.keys() == set(Fact)
            for fact, cell in row.cells.items():
                assert cell.by
                assert cell.why
                assert bool(cell.of) == (fact is Fact.HOP_LOGIN and cell.learns is Learns.YES)
        for row in (row for row in found.rows if row.party not in AT_HOME):
            client, gateway = (row.cells[one].learns for one in (Fact.CLIENT_ADDRESS, Fact.GATEWAY_ADDRESS))
            assert client is (Learns.NO if made.listen.addresses == (SHARED,) else gateway)
            # A refused target is learnt by nobody.
            assert not found.refused or all(row.cells[fact].learns is Learns.NO for fact in OF_TARGET)

    holds()
    outcomes = {f"refused at {where}" for where in get_args(Where)} | {"goes", "holds", "fails", "no claim"}
    assert seen.keys() == outcomes | {one.value for one in (*Party, *Learns)}


def count(found: Explanation, seen: Counter[str]) -> None:
    seen[f"refused at {found.refused.where}" if found.refused else "goes"] += 1
    seen["no claim" if found.claim is None else "holds" if found.claim.holds else "fails"] += 1
    for row in found.rows:
        seen[row.party.value] += 1
        seen.update({cell.learns.value for cell in row.cells.values()})


def test_where_names_go_to_the_exit_no_resolver_of_ours_learns_a_target() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None)
    @each(RARE)
    @given(configs(direct=False), questions())
    def holds(made: Config, question: Question) -> None:
        found = explain(made, question)
        if found.route is None or found.route.to != "one":
            return
        names = made.chains["one"].names
        for row in found.rows:
            if row.party is Party.RESOLVER:
                told = any(row.cells[fact].learns is not Learns.NO for fact in OF_TARGET)
                seen[f"{names}: {told}"] += 1
                assert names == "here" or not told

    holds()
    assert seen.keys() == {"exit: False", "here: False", "here: True"}


def test_one_more_hop_in_tls_shows_nobody_more() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, deadline=None)
    @each(RARE, 1)
    @each(RARE, 3)
    @given(configs(direct=False), questions(), st.integers(0, 3))
    def holds(made: Config, question: Question, place: int) -> None:
        chain = made.chains["one"]
        place = min(place, len(chain.hop))
        # What a program on this machine sends on stands in no row: there would be nothing to compare with.
        if not place and any(str(one.url.endpoint.host).startswith("127.") for one in chain.hop[0].members):
            return
        hops = (*chain.hop[:place], position("https://203.0.113.1:443"), *chain.hop[place:])
        before = explain(made, question)
        after = explain(through(made, msgspec.structs.replace(chain, hop=hops)), question)
        if before.refused == after.refused:
            seen[no_more(after, before, lambda name: earlier(name, place))] += 1
        else:
            # It takes the place of an exit, or of a first hop, that could not be.
            assert (before.refused and before.refused.where) in ("exit", "hop")
            seen["mended"] += 1

    holds()
    assert seen.keys() == {"less", "the same", "mended"}


def earlier(name: str, place: int) -> str:
    """What a row was called before a hop was put in at this place; "" for that hop itself."""
    kind, _, number = name.partition(" ")
    if kind != "hop":
        return name
    hop, dot, turn = number.partition(".")
    return "" if int(hop) == place + 1 else f"hop {int(hop) - (int(hop) > place)}{dot}{turn}"


def no_more(after: Explanation, before: Explanation, earlier: Callable[[str], str] = str) -> str:
    """Check that no row says more than it did, and say whether one says less."""
    old = {row.name: row for row in before.rows}
    outcome = "the same"
    for row in after.rows:
        was = old.get(earlier(row.name))
        if was is None:
            assert not earlier(row.name)
            continue
        for fact in Fact:
            now, then = row.cells[fact].learns, was.cells[fact].learns
            assert now.rank <= then.rank, (row.name, fact)
            assert {earlier(name) for name in row.cells[fact].of} <= set(was.cells[fact].of)
            outcome = "less" if now.rank < then.rank else outcome
    return outcome


def test_tls_to_a_hop_shows_nobody_more() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, deadline=None)
    @each(RARE, 1)
    @given(configs(direct=False), questions(), st.integers(0, 2))
    def holds(made: Config, question: Question, place: int) -> None:
        chain = made.chains["one"]
        hops = list(chain.hop)
        place = min(place, len(hops) - 1)
        hops[place] = msgspec.structs.replace(hops[place], members=tuple(map(in_tls, hops[place].members)))
        before = explain(made, question)
        after = explain(through(made, msgspec.structs.replace(chain, hop=tuple(hops))), question)
        if before.refused == after.refused:
            seen[no_more(after, before)] += 1
        else:
            assert before.refused
            assert before.refused.where == "exit"

    holds()
    assert seen.keys() == {"less", "the same"}


def in_tls(member: Member) -> Member:
    return msgspec.structs.replace(member, url=HopUrl(f"https://{member.url.endpoint}"))


def test_what_the_client_hides_is_hidden() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None)
    @each(RARE)
    @given(configs(), questions())
    def holds(made: Config, question: Question) -> None:
        if question.protocol == "http":
            return
        tls, unknown, plain = (
            explain(made, dataclasses.replace(question, content=content))
            for content in (Content.TLS, Content.UNKNOWN, Content.PLAIN)
        )
        seen[no_more(tls, unknown)] += 1
        seen[no_more(unknown, plain)] += 1

    holds()
    assert seen.keys() == {"less", "the same"}


def test_a_stricter_scrub_and_a_log_without_names_tell_nobody_more() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None)
    @each(RARE)
    @given(configs(), questions())
    def holds(made: Config, question: Question) -> None:
        strict = msgspec.structs.replace(made, scrub=config.Scrub(profile="strict"))
        nameless = msgspec.structs.replace(made, log=config.Log())
        before = explain(made, question)
        seen["scrub: " + no_more(explain(strict, question), before)] += 1
        seen["log: " + no_more(explain(nameless, question), before)] += 1

    holds()
    assert seen.keys() == {"scrub: less", "scrub: the same", "log: less", "log: the same"}
