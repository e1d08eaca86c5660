"""Hops in a row: what TLS to one of them hides, and from whom."""

import pytest

from anongw.config import Chain
from anongw.knowledge.stages import logins, stages, veil
from tests.support.knowledge import member, position

A, S, TOR = "socks5://192.0.2.1", "https://192.0.2.2:443", "socks5://127.0.0.1:9050"


def chain(*hops: object) -> Chain:
    made = [position(one) if not hasattr(one, "members") else one for one in hops]  # type: ignore[arg-type]
    return Chain(hop=tuple(made))  # type: ignore[arg-type]


def test_a_row_has_a_stage_for_each_that_serves() -> None:
    row = stages(chain(A, position([S, S, A], pick=2), A))
    assert [stage.label for stage in row] == ["hop 1", "hop 2.1", "hop 2.2", "hop 3"]
    assert [len(stage.members) for stage in row] == [1, 3, 3, 1]


def test_direct_is_no_stage() -> None:
    assert stages(chain("direct")) == ()
    assert [str(one.url) for one in stages(chain(["direct", A]))[0].members] == ["socks5://192.0.2.1:1080"]


@pytest.mark.parametrize(
    ("urls", "secure", "here"),
    [
        (S, True, False),
        (A, False, False),
        ([S, S], True, False),
        ([S, A], False, False),
        (TOR, False, True),
        ([TOR, A], False, False),
        ("socks5://localhost.example", False, False),
        ("https://[::1]:1", True, True),
    ],
)
def test_the_worst_member_counts(urls: str | list[str], *, secure: bool, here: bool) -> None:
    (stage,) = stages(chain(urls))
    assert (stage.secure, stage.here) == (secure, here)


# S: TLS, o: none; the hop whose TLS hides the stream at place 0 (the line from here), 1 (the first hop), ...
@pytest.mark.parametrize(
    ("hops", "veils"),
    [
        ("o", ["", ""]),
        ("S", ["hop 1", ""]),
        ("oo", ["", "", ""]),
        ("oS", ["hop 2", "hop 2", ""]),
        ("So", ["hop 1", "", ""]),
        ("SS", ["hop 1", "hop 2", ""]),
        ("oSo", ["hop 2", "hop 2", "", ""]),
        ("SoS", ["hop 1", "hop 3", "hop 3", ""]),
    ],
)
def test_veils(hops: str, veils: list[str]) -> None:
    row = stages(chain(*(S if one == "S" else A for one in hops)))
    found = [veil(row, place) for place in range(len(row) + 1)]
    assert [one.label if one else "" for one in found] == veils


LOGGED, HIDDEN = "socks5://u:p@192.0.2.1", "https://u:p@192.0.2.2:443"


@pytest.mark.parametrize(
    ("hops", "read"),
    [
        ([A, A], [[], [], []]),
        ([LOGGED, LOGGED], [["hop 1", "hop 2"], ["hop 2"], []]),
        ([LOGGED, HIDDEN, LOGGED], [["hop 1"], [], ["hop 3"], []]),
        ([HIDDEN, LOGGED], [[], ["hop 2"], []]),
        # Its login goes to the member in TLS only, and what comes after may go by the other one.
        ([[HIDDEN, A], LOGGED], [["hop 2"], ["hop 2"], []]),
        ([[LOGGED, S], LOGGED], [["hop 1", "hop 2"], ["hop 2"], []]),
    ],
)
def test_logins_that_can_be_read(hops: list[str], read: list[list[str]]) -> None:
    row = stages(chain(*hops))
    assert [[one.label for one in logins(row, place)] for place in range(len(row) + 1)] == read


@pytest.mark.parametrize(
    ("options", "url", "logs_in", "tokens"),
    [
        ({}, A, False, True),
        ({}, LOGGED, True, False),
        ({"isolation": "tor"}, A, True, True),
        ({"isolation": "auth"}, "socks4://192.0.2.1", True, True),
    ],
)
def test_what_a_hop_is_told(options: dict[str, str], url: str, *, logs_in: bool, tokens: bool) -> None:
    hop = position(A)
    (stage,) = stages(chain(type(hop)(members=(member(url, **options),))))
    assert (stage.logs_in, stage.tokens_only) == (logs_in, tokens)
