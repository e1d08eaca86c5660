"""`anongw chain`: what can be done with a chain of upstream proxies before a gateway uses it."""
# ruff: noqa: PLC0415, D301 (imports inside commands, so that --help starts at once; \b is how click keeps lines)

import os
import signal
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from anongw.address import Endpoint, parse_host, parse_port
from anongw.cli.ending import INTERRUPTED, Failure, Wrong, bug, first_of
from anongw.config import Config, ConfigError, load
from anongw.errors import Refused

if TYPE_CHECKING:
    from anongw.cli.examination import Findings

# More is a mistake, such as a log or a disk image; 512 proxies, as many as proxychains reads, need a tenth.
_FILE_MOST: Final = 1 << 20


@click.group()
def chain() -> None:
    """Bring over a chain of upstream proxies, and test it."""


@chain.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="A new file, which only you can read.")
@click.option("--force", is_flag=True, help="Let --output take the place of a file.")
def import_(file: Path, output: Path | None, *, force: bool) -> None:
    """Write a proxychains configuration as a chain file.

    What cannot be carried over exactly is said on standard error.

    \b
      anongw chain import /etc/proxychains4.conf
      anongw chain import proxychains.conf --output chain.toml
      anongw serve --chain chain.toml
    """
    from anongw.config.proxychains import convert

    try:
        text, remarks = convert(_read(file), str(file))
    except ConfigError as error:
        raise Wrong(str(error)) from None
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text, force=force)
    for remark in remarks:
        click.echo(f"note: {remark}", err=True)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_MOST + 1)
        if len(data) > _FILE_MOST:
            raise Wrong(f"{path}: is longer than {_FILE_MOST} bytes: no list of proxies is")
        return data.decode()
    except OSError as error:
        raise Wrong(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        # A password in another encoding would become another password.
        raise Wrong(f"{path}: is not UTF-8: write it anew, as with iconv -f latin1 -t utf-8") from None


def _write(path: Path, text: str, *, force: bool) -> None:
    """A new file, its owner's alone from the first byte on: it may hold passwords."""
    try:
        if force and path.exists() and stat.S_ISREG(path.lstat().st_mode):  # no link, and never /dev/stdout
            path.unlink()
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except FileExistsError:
        raise Wrong(f"{path}: is there already; --force takes the place of a plain file") from None
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink()  # a chain that was cut is a shorter chain
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None


def _endpoint(_context: click.Context, _option: click.Parameter, text: str | None) -> Endpoint | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    wrong = click.BadParameter('write it like "example.org:443", IPv6 in brackets')
    if (":" in host) != host.startswith("["):
        raise wrong  # where an address without brackets ends, nobody can tell
    try:
        return Endpoint(parse_host(host), parse_port(port))
    except Refused:
        raise wrong from None


@chain.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--target",
    metavar="HOST:PORT",
    callback=_endpoint,
    help="A host of yours: go through to it, by each exit.",
)
@click.option("--config", "path", type=click.Path(path_type=Path), help="A TOML file, for all but the chain.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON instead of a table.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For each dial, instead of the chain's timeout and hop_timeout.",
)
def test(
    file: Path, target: Endpoint | None, path: Path | None, timeout: float | None, *, as_json: bool
) -> None:
    """Say of each hop of a chain, and each member of a pool, whether it works and how fast.

    Without --target nobody but the hops is connected to. Ends with 1 where one of them does not work.

    \b
      anongw chain test tor.toml
      anongw chain test tor.toml --target example.org:443
      anongw chain test tor.toml --json | jq '.[] | select(.state != "up")'
    """
    from anongw import check, log

    try:
        config = load(path, chain=file, also=check.faults)
    except ConfigError as error:
        raise Wrong(str(error)) from None
    log.setup(config.log)
    findings = _examine(config, target, timeout)
    from anongw.cli.findings import amiss, encoded, show

    if as_json:
        click.echo(encoded(findings))
    else:
        show(findings)
        if target is None:
            click.echo("hops only; --target HOST:PORT goes through to a host of yours")
    if wrong := amiss(findings):
        raise Failure("\n".join(wrong))


def _examine(config: Config, target: Endpoint | None, timeout: float | None) -> "Findings":
    """With its progress on the terminal."""
    from anongw.cli.examination import examine, objection
    from anongw.cli.findings import progress
    from anongw.net.loop import run as run_in_loop

    (chain,) = config.chains.values()
    if target and (why := objection(target, config, chain)):
        raise Wrong(f"--target {target}: {why}")
    looks = sum(len(hop.members) for hop in chain.hop) + (len(chain.hop[-1].members) if target else 0)
    # __main__ has Ctrl-C end us on the spot, which would leave the terminal without its cursor.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with progress(len(chain.hop), looks) as told:
            return run_in_loop(partial(examine, config, chain, target=target, seconds=timeout, told=told))
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 (a bug: the text of an exception may name someone)
        raise bug(first_of(error)) from None
