"""`anongw status` and `anongw reload`: a running gateway is asked over its control socket.

tables.py shows what it says. Whatever it says is escaped before it is shown, for a terminal obeys control
characters.
"""
# ruff: noqa: PLC0415, D301 (imports inside commands, so that --help starts at once; \b is how click keeps lines)

import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from anongw.cli.ending import Failure, Wrong
from anongw.errors import Refused
from anongw.wire.control import Answer, Fields, answer, ask
from anongw.wire.reader import Reader

# Seconds for an answer: more than the 30 that a gateway gives its commands.
_TIMEOUT: Final = 40.0
# Seconds between two looks with --watch: a person reads in between.
_EVERY: Final = 2.0
_CHUNK: Final = 1 << 16

C = TypeVar("C", bound=Callable[..., Any])
S = TypeVar("S", bound=msgspec.Struct)


def asking(command: C) -> C:
    """The options of every command that asks a gateway."""
    for option in reversed(
        (
            click.option(
                "--control", "path", type=click.Path(path_type=Path), help="Its socket, where several run."
            ),
            click.option(
                "--timeout",
                type=click.FloatRange(min=0, min_open=True),
                default=_TIMEOUT,
                metavar="SECONDS",
                help=f"For its answer; {_TIMEOUT:g}, if not given.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@asking
@click.option("--json", "as_json", is_flag=True, help="A line of JSON instead of tables.")
@click.option("--watch", is_flag=True, help="Again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=_EVERY,
    metavar="SECONDS",
    help=f"Between two looks with --watch; {_EVERY:g}, if not given.",
)
def status(path: Path | None, timeout: float, every: float, *, as_json: bool, watch: bool) -> None:
    """Say how the running gateway fares.

    In numbers: its flows, routes and hops, and nobody's names.

    \b
      anongw status
      anongw status --watch
      anongw status --json --control /run/user/1000/anongw/control-1080.sock
    """
    path = path or find()
    if not watch:
        _look(path, timeout, as_json=as_json)
        return
    with suppress(KeyboardInterrupt):
        while True:
            _look(path, timeout, as_json=as_json, clear=True)
            time.sleep(every)


@click.command()
@asking
def reload(path: Path | None, timeout: float) -> None:
    """Have the running gateway read its config again.

    All of it is in force afterwards; or nothing, where something is wrong with it.

    \b
      anongw reload
    """
    from anongw.control import Reloaded

    reloaded = read(Reloaded, told(path or find(), "reload", timeout).get("reloaded"))
    click.echo(f"reloaded: config {reloaded.generation}")
    for title, lines in (("changed", reloaded.changed), ("only after a restart", reloaded.restart)):
        if lines:
            click.echo("\n  ".join((f"{title}:", *(_escaped(line) for line in lines))))
    if not reloaded.changed and not reloaded.restart:
        click.echo("nothing has changed")


def _look(path: Path, timeout: float, *, as_json: bool, clear: bool = False) -> None:
    said = told(path, "status", timeout).get("status")
    if as_json:
        click.echo(msgspec.json.encode(said))
        return
    from anongw.cli.tables import show
    from anongw.control import Status

    show(read(Status, said), clear=clear)


def find() -> Path:
    """The socket of the one gateway of this user that runs."""
    from anongw.control import is_private, own_folder

    folder = own_folder()
    # What lies in a folder that others could use may be anybody's.
    found = folder.glob("control-*.sock") if is_private(folder) else ()
    living = sorted(path for path in found if _lives(path))
    if not living:
        raise Failure(
            f"no gateway of yours has its socket in {folder}\n"
            "start one with `anongw serve`, or name its control.socket: --control PATH"
        )
    if len(living) > 1:
        choices = [f"  --control {path}" for path in living]
        raise Wrong("\n".join(("several gateways run: choose one", *choices)))
    return living[0]


def _lives(path: Path) -> bool:
    """Whether somebody listens there. Whoever has no room for us at the moment does."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0)
        return sock.connect_ex(str(path)) in (0, errno.EAGAIN)


def told(path: Path, command: str, timeout: float, **arguments: str) -> Fields:
    """What the gateway says to a command that it has carried out; anything else ends ours."""
    try:
        said = _asked(path, ask(command, **arguments), timeout)
    except (FileNotFoundError, ConnectionRefusedError):
        raise Failure(f"no gateway listens at {path}") from None
    except PermissionError:
        raise Failure(f"{path} is another user's: only its own user and root may ask a gateway") from None
    except TimeoutError:
        raise Failure(f"no answer from {path} within {timeout:g} s") from None
    except OSError as error:
        raise Failure(f"cannot ask {path}: {error.strerror or error}") from None
    except EOFError:
        raise Failure(f"no answer from {path}: only its own user and root may ask a gateway") from None
    except Refused:
        raise Failure(f"no answer that can be read from {path}: is it a gateway's control.socket?") from None
    if said.ok:
        return said.fields
    faults = said.fields.get("faults")
    lines = [said.fields["error"], *(faults if isinstance(faults, list) else [])]
    raise Failure("\n".join(_escaped(str(line)) for line in lines))


def _asked(path: Path, question: bytes, timeout: float) -> Answer:
    """One request and its answer, within `timeout` seconds in all.

    Raises:
        OSError: it cannot be connected to, or broke.
        EOFError: it closed before it had answered.
        Refused: what it said is no answer.
    """
    until = time.monotonic() + timeout
    reader = Reader()
    codec = answer(reader)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        with suppress(BrokenPipeError, ConnectionResetError):  # it has closed, and may have said why
            sock.sendall(question)
        try:
            while True:
                next(codec)
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                sock.settimeout(left)
                data = sock.recv(_CHUNK)
                reader.feed(data)
                if not data:
                    reader.feed_eof()
        except StopIteration as done:
            said: Answer = done.value
            return said


def read(kind: type[S], said: object) -> S:
    """An answer's value, as what it should be; anything else ends ours."""
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError:
        raise Failure("the gateway is of another version than this program: restart it") from None


def _escaped(text: str) -> str:
    from anongw.log import escape

    return escape(text)
