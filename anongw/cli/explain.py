"""`anongw explain`: who would learn what of a connection, by the config alone. learnt.py shows it."""
# ruff: noqa: PLC0415, D301 (imports inside commands, so that --help starts at once; \b is how click keeps lines)

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
import msgspec

from anongw.cli.ending import Wrong
from anongw.cli.options import as_sets, read, reads_config
from anongw.config import Spoken


@click.command()
@click.argument("target")
@click.option("--identity", metavar="USER", help="Whom the client says it is.")
@click.option(
    "--protocol",
    type=click.Choice(get_args(Spoken)),
    help="What the client speaks; for a URL http or connect, else socks5, if not given.",
)
@click.option("--listener", default="", metavar="ADDR", help="Where it comes to; the first, if not given.")
@reads_config
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def explain(  # noqa: PLR0913, PLR0917 - one for each option
    target: str,
    identity: str | None,
    protocol: Spoken | None,
    listener: str,
    path: Path | None,
    chain_file: Path | None,
    sets: Sequence[str],
    *,
    as_json: bool,
    **options: object,
) -> None:
    """Say who learns what of a connection to TARGET, a HOST:PORT or a URL.

    Nobody is asked and nothing is connected to: it follows from the config. The line to you, resolvers, hops,
    the destination, the log: each with what it learns, and why.

    \b
      anongw explain example.org:443
      anongw explain http://example.org/ --config anongw.toml --identity alice
      anongw explain example.org:22 --chain two.toml --json | jq .claim
    """
    config = read(path, (*as_sets(options), *sets), chain_file)
    from anongw import knowledge
    from anongw.knowledge.question import question

    try:
        asked = question(target, protocol=protocol, user=identity, listener=listener)
        found = knowledge.explain(config, asked)
    except knowledge.Unanswerable as error:
        raise Wrong(str(error)) from None
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    from anongw.cli.learnt import show

    show(found)
