"""How commands end: their lines, their exit codes, and nothing of what an exception says."""

import re

import click
import pytest
from click.testing import CliRunner

from anongw.cli.ending import FAILED, WRONG, Failure, Wrong, bug, first_of


@pytest.mark.parametrize(("kind", "status"), [(Failure, FAILED), (Wrong, WRONG)])
def test_every_line_is_ours_and_goes_to_standard_error(kind: type[Failure], status: int) -> None:
    @click.command()
    def command() -> None:
        click.echo("before")
        raise kind("one\ntwo")

    found = CliRunner().invoke(command)
    assert found.exit_code == status
    assert found.stdout == "before\n"
    assert found.stderr == "anongw: one\nanongw: two\n"


def test_the_codes_are_what_the_help_says() -> None:
    assert (FAILED, WRONG) == (1, 2)


def test_an_error_in_groups_is_found() -> None:
    inner = OSError("x")
    assert first_of(inner) is inner
    assert first_of(ExceptionGroup("a", [ExceptionGroup("b", [inner]), ValueError()])) is inner


def test_a_bug_is_told_by_its_place_and_not_its_text() -> None:
    with pytest.raises(ValueError, match="alice") as caught:
        raise ValueError("alice at secret.example")
    text = bug(caught.value).message
    assert re.fullmatch(r"internal error: ValueError at test_ending\.py:[0-9]+", text)
