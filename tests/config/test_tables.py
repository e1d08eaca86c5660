"""From tables to structs. What is said of wrong values is tested with whole configs, in test_load.py."""

from pathlib import Path

import msgspec
import pytest

from anongw.config.faults import Found
from anongw.config.tables import Tables, nearest
from anongw.config.values import Bytes, Rule, Seconds


class Inner(msgspec.Struct, frozen=True):
    seconds: Seconds = 1.0


class Outer(msgspec.Struct, frozen=True):
    one: Inner = Inner()
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    rules: tuple[Rule, ...] = ()
    size: Bytes = 0


def read(table: dict[str, object]) -> tuple[Outer, list[Found]]:
    found: list[Found] = []
    return Tables(found, lambda _: Path()).read(Outer, table, ("at",)), found


def test_tables_in_tables() -> None:
    outer, found = read(
        {
            "one": {"seconds": "2s"},
            "many": [{"seconds": "3s"}, {}],
            "named": {"a": {"seconds": "4s"}},
            "rules": ["*:25"],
            "size": "1KiB",
        }
    )
    assert found == []
    assert outer == Outer(
        one=Inner(2.0), many=(Inner(3.0), Inner()), named={"a": Inner(4.0)}, rules=(Rule("*:25"),), size=1024
    )


@pytest.mark.parametrize(
    ("table", "path", "says"),
    [
        ({"one": {"seconds": 5}}, ("at", "one", "seconds"), "a duration has a unit"),
        ({"many": [{}, {"second": 5}]}, ("at", "many", 1, "second"), 'did you mean "seconds"?'),
        ({"many": [{}, 5]}, ("at", "many", 1), "must be a table"),
        ({"many": {}}, ("at", "many"), "must be a list"),
        ({"named": {"a": {}, "b": {"x": 1}}}, ("at", "named", "b", "x"), "known here: seconds"),
        ({"named": {"a": 5}}, ("at", "named", "a"), "must be a table"),
        ({"named": 5}, ("at", "named"), "must be a table"),
        ({"rules": ["a", "b:0"]}, ("at", "rules", 1), "is not a port"),
    ],
)
def test_each_fault_has_its_path(table: dict[str, object], path: tuple[str | int, ...], says: str) -> None:
    _, ((where, what),) = read(table)
    assert where == path
    assert says in what


def test_what_is_right_is_kept_beside_what_is_wrong() -> None:
    outer, found = read({"one": {"seconds": "7s"}, "size": "x", "colour": 1})
    assert outer.one == Inner(7.0)
    assert [path for path, _ in found] == [("at", "size"), ("at", "colour")]


def test_nearest() -> None:
    assert nearest("drect", ["tor", "direct"]) == 'did you mean "direct"?'
    assert nearest("", ["tor", "direct"]) == "known here: tor, direct"
