"""`anongw audit`: the config in a laboratory, judged by every packet. judged.py shows what came of it."""
# ruff: noqa: PLC0415, D301 (imports inside commands, so that --help starts at once; \b is how click keeps lines)

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from anongw.cli.ending import FAILED, Wrong
from anongw.cli.options import as_sets, read, reads_config


@click.command()
@reads_config
@click.option("--only", default="", metavar="WORDS", help="Scenarios with these words in their names.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep captures, log and config in this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def audit(  # noqa: PLR0913 - one for each option
    path: Path | None,
    chain_file: Path | None,
    sets: Sequence[str],
    only: str,
    keep: Path | None,
    *,
    as_json: bool,
    **options: object,
) -> None:
    """Look for leaks of this very config, in a laboratory on this machine.

    The config's hops, resolvers and listeners are played by stand-ins at their own addresses, in network
    namespaces that lead nowhere else: nobody outside learns of it, and no password of yours is used. Clients
    ask for dozens of things while hops refuse, hang, lie or die, and every packet is recorded. A leak is a
    packet to somebody who should get none, a name at the wrong resolver, or something planted (an address, a
    password, a header, a name) in a place where it does not belong.

    \b
      anongw audit                                       the default config
      anongw audit --chain chains/two-hop-mix.toml       a chain's file
      anongw audit --config anongw.toml --only reload    some scenarios
      anongw audit --config anongw.toml --json | jq .clean

    \b
    Status 0: everything was tried and nothing found. 1: something was; its packets are kept for Wireshark.
    2: there is no laboratory for it here; the message says why and what to do.
    """
    config = read(path, (*as_sets(options), *sets), chain_file)
    from anongw.audit.run import CannotRun, Wish
    from anongw.audit.run import audit as run
    from anongw.cli.judged import progress, show

    try:
        if as_json:
            verdict = run(config, Wish(only, keep))
            click.echo(msgspec.json.encode(verdict.table()))
        else:
            with progress() as played:
                verdict = run(config, Wish(only, keep), played)
            show(verdict)
    except CannotRun as error:
        raise Wrong(str(error)) from None
    if not verdict.is_clean:
        raise SystemExit(FAILED)
