"""How `anongw diff` looks."""

import pytest

from anongw.cli.lines import show
from anongw.web.difference import Line, Mark


def shown(capsys: pytest.CaptureFixture[str], *lines: Line) -> list[str]:
    show(lines)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_a_row_for_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(
        capsys,
        Line(mark=Mark.KEPT, received=("A: b",), sent="A: b", why="one"),
        Line(mark=Mark.SET, received=(), sent="C: d", why="two"),
        Line(mark=Mark.DROPPED, received=("E: f",), sent=None, why="three"),
    )
    assert found == ["received sent why", "A: b kept A: b one", "set C: d two", "E: f dropped three"]


def test_lines_that_were_joined_stand_below_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(mark=Mark.KEPT, received=("A: b", "A: c"), sent="A: b, c", why="one")
    assert shown(capsys, line)[1:] == ["A: b kept A: b, c one", "A: c"]


def test_no_byte_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(mark=Mark.SET, received=("A: \x1b[2J",), sent="A: \x9b1m", why="\x07")
    show([line])
    out = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\x07"} & set(out)
    assert r"\x1b[2J" in out
