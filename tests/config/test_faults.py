"""Where a key is written, and how its path is."""

import pytest

from anongw.config.faults import ConfigError, Fault, Path, dotted, has, line_of, undotted

TEXT = '''\
# a comment
top = 1

[a]
b.c = 2
"d e" = """
[not.a.table]
x = 1
"""
list = [
  1,
  # two
  2,
]

inline = { x = 1, y = { z = 2 } }
[[many]]
one = 1
[[many]]
two = 2
[a.sub]
deep = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("a",), 4),
        (("a", "b", "c"), 5),
        (("a", "d e"), 6),
        (("a", "list"), 10),
        (("a", "list", 1), 10),
        (("a", "inline", "y", "z"), 16),
        (("many", 0, "one"), 18),
        (("many", 1), 19),
        (("many", 1, "two"), 20),
        (("a", "sub", "deep"), 22),
        (("a", "missing"), 4),  # the nearest thing around it
        (("missing",), None),
        ((), None),
    ],
)
def test_lines(path: Path, line: int | None) -> None:
    assert line_of(TEXT, path) == line


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a", "b"), "a.b"),
        (("a", 0, "b"), "a[0].b"),
        (("users", "a b"), 'users."a b"'),
        (("users", 'a"b.c'), 'users."a\\"b.c"'),
        (("users", ""), 'users.""'),
        (("users", "x\x1b[2J"), 'users."x\\u001b[2J"'),
        (("a-b", "c_d"), "a-b.c_d"),
    ],
)
def test_paths_read_back(path: Path, text: str) -> None:
    assert dotted(path) == text
    assert undotted(text) == path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("a", 1), True),
        (("a", 2), False),
        (("b",), False),
        (("a", "x"), False),
        (("c", "x"), False),
        ((), True),
    ],
)
def test_has(path: Path, found: bool) -> None:  # noqa: FBT001
    assert has({"a": [1, 2], "c": 5}, path) is found


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("a.b", "is wrong", 3, "f.toml"), "f.toml:3: a.b: is wrong"),
        (Fault("a.b", "is wrong", None, "f.toml"), "f.toml: a.b: is wrong"),
        (Fault("", "is wrong", None, "f.toml"), "f.toml: is wrong"),
        (Fault("a", "is wrong"), "a: is wrong"),
    ],
)
def test_a_fault_is_one_line(fault: Fault, text: str) -> None:
    assert str(fault) == text


def test_an_error_has_a_line_for_each_fault() -> None:
    error = ConfigError([Fault("a", "is wrong", 1, "f"), Fault("b", "too")])
    assert str(error) == "f:1: a: is wrong\nb: too"
    assert (error.path, error.message, error.line, error.file) == ("a", "is wrong", 1, "f")
