"""How an answer of `anongw explain` looks."""

import msgspec
import pytest

from anongw.cli.learnt import show
from anongw.config import Chain
from anongw.knowledge import Explanation
from tests.support.knowledge import ask, chained, config, position

A, B, S = "socks5://192.0.2.1", "socks5://192.0.2.2", "https://192.0.2.3:443"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> "Lines":
    return Lines(capsys)


class Lines:
    """What is shown, with the blanks that fill its columns made one."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, found: Explanation) -> list[str]:
        show(found)
        return [" ".join(line.split()) for line in self._capsys.readouterr().out.splitlines()]


def test_a_row_for_each_party_a_column_for_each_fact(lines: Lines) -> None:
    found = lines(ask(chained(A, B), "example.org:443"))
    assert "hop 1 yes yes yes no plain plain no yes" in found
    assert "destination no no yes yes yes yes no yes" in found
    assert "client gateway target's target's path, target's hops'" in found
    assert any(line.startswith("yes: it learns it; plain: ") for line in found)


def test_facts_with_one_reason_stand_together(lines: Lines) -> None:
    found = lines(ask(chained(A, S), "example.org:443"))
    assert "no name, address, path and headers, login: hidden by TLS to hop 2" in found
    assert "log file no all: its lines name nobody (log.names)" in found
    # What decides is in brackets, unless the reason names it.
    assert not any("hop 2 (hop 2)" in line for line in found)


def test_the_promise_is_kept_or_loudly_not(lines: Lines) -> None:
    start = "promise no single party has both the client and the target: "
    assert any(line.startswith(f"{start}holds; ") for line in lines(ask(chained(A, S), "example.org:443")))
    assert any(
        line.startswith(f"{start}DOES NOT HOLD; ") for line in lines(ask(chained(A, B), "example.org:443"))
    )
    assert not any(line.startswith("promise") for line in lines(ask(chained(A), "example.org:443")))


def test_a_pool_is_one_of_many(lines: Lines) -> None:
    chain = Chain(hop=(position((A, B)), position(S)))
    found = lines(ask(msgspec.structs.replace(chained(A), chains={"way": chain}), "example.org:443"))
    assert any(line.startswith("hop 1, one of 2 yes ") for line in found)
    assert any(line.startswith("hop 2, https://192.0.2.3:443 yes ") for line in found)


def test_a_refusal_says_where_and_why(lines: Lines) -> None:
    found = lines(ask(config(), "a.local:80"))
    assert any(line.startswith("refused at policy, private-name: such a name") for line in found)


def test_notes(lines: Lines) -> None:
    assert any(
        line.startswith("note: the target is an address") for line in lines(ask(config(), "1.2.3.4:80"))
    )


def test_no_word_of_a_config_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    show(ask(config(), "example.org:443", user="a\x1b[2Jb"))
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert r"a\x1b[2Jb" in out
