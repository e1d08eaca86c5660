"""What can be typed, and the exit codes: 0 done, 1 failed at run time, 2 wrong arguments or config.

`run` exits as its program does. The gateway is imported inside its commands, so that `--help` and `passwd`
start at once.
"""
# ruff: noqa: PLC0415, D301 (imports inside commands, for the reason above; \b is how click keeps lines)

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec

from anongw import __version__
from anongw.cli.audit import audit
from anongw.cli.chain import chain
from anongw.cli.diff import diff
from anongw.cli.ending import Failure, Wrong, bug, first_of
from anongw.cli.explain import explain
from anongw.cli.hints import hints, reachable
from anongw.cli.identity import identity
from anongw.cli.options import as_sets, read, reads_config, takes_workers
from anongw.cli.status import reload, status
from anongw.config import Config, ConfigError, exposed, load
from anongw.errors import StartError

_PRIVATE: Final = ["127.0.0.1:0"]

T = TypeVar("T")

_HELP = """Reach the network without showing who you are: SOCKS5, SOCKS4a and HTTP on one port.

\b
  anongw serve                                   the gateway, on 127.0.0.1:1080
  anongw serve --chain FILE                      everything through a chain of proxies
  anongw run -- curl https://example.org/        one program, with a gateway of its own
  anongw check --config FILE                     what a config does, or what is wrong with it
  anongw check --example                         every setting, its meaning and default
  anongw explain example.org:443                 who learns what of a connection there
  anongw diff http://example.org/ -H LINE        what is sent on of a plain HTTP request
  anongw audit --chain FILE                      whether anything leaks, in a laboratory
  anongw chain test FILE                         which proxies of a chain work, and how fast
  anongw passwd alice                            a line for [users]
  anongw status                                  how the running gateway fares
  anongw reload                                  have it read its config again
  anongw identity new                            new exits and tokens for all, from now on
  anongw identity forget work                    end and wipe what is kept for one

\b
Then tell programs of it:
  curl -x socks5h://127.0.0.1:1080 https://example.org/
  git -c http.proxy=socks5h://127.0.0.1:1080 clone https://example.org/repo.git
  export http_proxy=http://127.0.0.1:1080 https_proxy=http://127.0.0.1:1080 no_proxy=
"""


@click.group(invoke_without_command=True, help=_HELP)
@click.version_option(__version__, message="anongw %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


main.add_command(audit)
main.add_command(chain)
main.add_command(diff)
main.add_command(explain)
main.add_command(status)
main.add_command(reload)
main.add_command(identity)


@main.command()
@reads_config
@takes_workers
def serve(path: Path | None, chain_file: Path | None, sets: Sequence[str], **options: object) -> None:
    """Run the gateway until SIGTERM or Ctrl-C.

    \b
      anongw serve --chain tor.toml
      anongw serve --listen 127.0.0.1:1080 --listen '[::1]:1080'
      anongw serve --dns tls://9.9.9.9#dns.quad9.net --set limits.idle=4h
      anongw serve --config anongw.toml --workers 2
      anongw serve --listen 0.0.0.0:1080 --set 'listen.clients=["192.168.1.0/24"]'
    """
    sets = (*as_sets(options), *sets)
    config = read(path, sets, chain_file)
    from anongw import check

    def ready(addresses: tuple[str, ...]) -> None:
        lines = (*check.hidden(config), "", *hints(addresses, users=bool(config.users)))
        # A gateway that listens does not end because nobody reads its greeting; sys.stdout may be None too.
        with suppress(OSError, ValueError, AttributeError):
            click.echo(f"anongw {__version__} listens on {', '.join(addresses)}")
            click.echo("\n".join(lines))
            sys.stdout.flush()

    again = partial(load, path, sets, chain=chain_file, also=check.faults) if path or chain_file else None
    if config.listen.workers > 1:
        _supervise(config, ready, again)
        return
    from anongw import gateway

    _in_loop(partial(gateway.serve, config, ready=ready, reload=again), config)


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@reads_config
@click.option("--socks", is_flag=True, help="Write socks5h:// to the variables, for programs that know it.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    path: Path | None,
    chain_file: Path | None,
    sets: Sequence[str],
    command: Sequence[str],
    *,
    socks: bool,
    **options: object,
) -> None:
    """Run CMD behind a gateway of its own.

    Every proxy variable is set for it, and its exit status is ours.

    \b
      anongw run -- curl https://example.org/
      anongw run --socks -- git clone https://example.org/repo.git
      anongw run --chain tor.toml -- curl https://example.org/
    """
    # Only CMD uses this gateway: a free port, nobody to ask who it is, and nothing to wait for at the end.
    private = (f"listen.addresses={json.dumps(_PRIVATE)}", "listen.clients=[]")
    mine = ("log.level=warning", "limits.shutdown=0", "control.socket=off", *private)
    config = read(path, (*mine, *as_sets(options), *sets, "listen.workers=1"), chain_file)
    # Judged by what came of it all: a listener that somebody asked for keeps its users.
    if list(config.listen.addresses) == _PRIVATE and not config.listen.clients:
        config = msgspec.structs.replace(config, users={})
    if not reachable(config.listen.addresses):
        # Some programs take an empty proxy for none, and would go out past the gateway.
        raise Wrong("run needs a TCP listener, which its program can be told of: add --listen 127.0.0.1:0")
    from anongw import gateway
    from anongw.cli.child import beside

    raise SystemExit(_in_loop(partial(beside, gateway.serve, config, command, socks=socks), config))


@main.command()
@reads_config
@takes_workers
@click.option("--example", is_flag=True, help="Print every setting with its meaning and default.")
def check(
    path: Path | None, chain_file: Path | None, sets: Sequence[str], *, example: bool, **options: object
) -> None:
    """Say what a config does, or what is wrong.

    \b
      anongw check --config anongw.toml
      anongw check --chain tor.toml
      anongw check --example > anongw.toml
    """
    if example:
        from anongw.config.example import example as text

        click.echo(text())
        return
    from anongw import check as checks

    sets = (*as_sets(options), *sets)
    config = read(path, sets, chain_file)
    click.echo("\n".join(checks.explain(config)))
    open_files = [
        f"{file}: others can read the password in it: chmod 600 it, or use password_file"
        for file in exposed(config, path, sets, chain_file)
    ]
    for warning in (*open_files, *checks.warnings(config)):
        click.echo(f"note: {warning}")


@main.command()
@click.argument("name", default="user")
def passwd(name: str) -> None:
    """Print a password's line for [users].

    It is asked for, or read from standard input where that is no terminal.
    """
    from anongw.users import hash_password

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().removesuffix("\n")
    try:
        line = f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(hash_password(password))}"
        load(None, (f"users.{line}",))
    except ConfigError as error:
        raise Wrong(error.message) from None
    except ValueError as error:
        raise Wrong(str(error)) from None
    click.echo(line)


def _supervise(
    config: Config, ready: Callable[[tuple[str, ...]], None], again: Callable[[], Config] | None
) -> None:
    from anongw import log
    from anongw.workers.supervisor import supervise

    log.setup(config.log)

    def in_loop(work: Callable[[], Awaitable[None]]) -> None:
        _in_loop(work, config)

    try:
        supervise(config, ready=ready, in_loop=in_loop, reload=again)
    except StartError as error:
        raise Failure(str(error)) from None


def _in_loop(work: Callable[[], Awaitable[T]], config: Config) -> T:
    """Run the gateway; whatever it fails with becomes one line, which quotes nothing."""
    from anongw import log
    from anongw.net.loop import run as run_in_loop

    log.setup(config.log)
    try:
        return run_in_loop(work)
    except Exception as caught:  # noqa: BLE001 (a bug: the text of an exception may name someone)
        error = first_of(caught)
        if isinstance(error, StartError):
            raise Failure(str(error)) from None
        raise bug(error) from None
