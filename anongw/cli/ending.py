"""How a command ends that cannot do what it is for: a line or more on standard error, and an exit code.

1: failed at run time; 2: wrong arguments or config. What went wrong inside of us is told by its type and
place, for the text of an exception may name someone.
"""

import traceback
from pathlib import Path
from typing import IO, Any, Final

import click

FAILED: Final = 1
WRONG: Final = 2
# As shells have it: 128 and the signal's number.
INTERRUPTED: Final = 130


class Failure(click.ClickException):
    """Ends a command: each line of its text goes to standard error."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo("\n".join(f"anongw: {line}" for line in self.message.splitlines()), file=file, err=True)


class Wrong(Failure):
    """What was typed, or a file that it names, has to be mended first."""

    exit_code = WRONG


def first_of(error: BaseException) -> BaseException:
    """An exception, taken out of the groups that tasks put it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def bug(error: BaseException) -> Failure:
    """The end because of an error of ours."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return Failure(f"internal error: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}")
