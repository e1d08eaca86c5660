"""`anongw identity`: who uses the running gateway, begin anew, forget; asked over its control socket."""
# ruff: noqa: PLC0415, D301 (imports inside commands, so that --help starts at once; \b is how click keeps lines)

from pathlib import Path

import click
import msgspec

from anongw.cli.status import asking, find, read, told


@click.group()
def identity() -> None:
    """Whose connections a running gateway keeps apart.

    An identity is a user, a label that a client gives itself, a client's address or a listener. All that
    could link its connections is kept for its epoch: tokens toward hops, exits, cached names, kept
    connections.
    """


@identity.command("list")
@asking
@click.option("--json", "as_json", is_flag=True, help="A line of JSON instead of a table.")
def list_(path: Path | None, timeout: float, *, as_json: bool) -> None:
    """Show them, by pseudonyms of this hour unless log.names is on.

    \b
      anongw identity list
    """
    from anongw.control import IdentityStatus

    said = told(path or find(), "identities", timeout).get("identities")
    if as_json:
        click.echo(msgspec.json.encode(said))
        return
    from anongw.cli.tables import show_identities

    show_identities([read(IdentityStatus, one) for one in (said if isinstance(said, list) else (None,))])


@identity.command()
@asking
@click.argument("name", default="all")
def new(path: Path | None, timeout: float, name: str) -> None:
    """Begin a new epoch for NAME, or for all.

    What begins from now on shares no exit, token, cached name or kept connection with what was before; what
    runs keeps what it has. NAME is a user's, or a pseudonym as listed.

    \b
      anongw identity new
      anongw identity new work
    """
    from anongw.control import Renewed

    renewed = read(Renewed, told(path or find(), "new", timeout, name=name).get("renewed"))
    click.echo(f"a new epoch for {renewed.identities} identities")
    click.echo(f"{renewed.running} flows keep what they have until they end")


@identity.command()
@asking
@click.argument("name")
def forget(path: Path | None, timeout: float, name: str) -> None:
    """End the connections of NAME, or of all, and wipe what is kept for them.

    Says what cannot be wiped. NAME is a user's, or a pseudonym as listed.

    \b
      anongw identity forget work
      anongw identity forget all
    """
    from anongw.control import Forgotten
    from anongw.log import escape

    found = read(Forgotten, told(path or find(), "forget", timeout, name=name).get("forgotten"))
    click.echo(
        f"forgotten: {found.identities} identities, {found.closed} connections ended, {found.kept} kept ones "
        f"closed, {found.answers} answers of resolvers dropped"
    )
    click.echo("what remains:")
    for sentence in found.remains:
        click.echo(f"  {escape(sentence)}")
