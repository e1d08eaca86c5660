"""The options of every command that reads a config, and the config that they come to."""
# ruff: noqa: PLC0415 (imports inside functions, so that --help starts at once)

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from anongw.cli.ending import Wrong
from anongw.config import Config, ConfigError, load

C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--config", "path", type=click.Path(path_type=Path), help="A TOML file."),
    click.option(
        "--chain",
        "chain_file",
        type=click.Path(path_type=Path),
        help="A chain's file that everything goes through, whatever routes the config has.",
    ),
    click.option("--listen", multiple=True, metavar="ADDR", help="ADDRESS:PORT, [V6]:PORT or unix:/PATH."),
    click.option(
        "--dns",
        multiple=True,
        metavar="SERVER",
        help="https://ADDRESS/dns-query#NAME, tls://ADDRESS#NAME, tcp:// or udp://ADDRESS, system",
    ),
    click.option(
        "--allow-private",
        multiple=True,
        metavar="CIDR",
        help="A private range that clients may reach all the same.",
    ),
    click.option("--profile", metavar="NAME", help="Scrub plain HTTP: balanced, strict or open."),
    click.option("--log-names", is_flag=True, help="Log who went where. This is a browsing history."),
    click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="As in limits.idle=4h."),
)
# The options that have a name of their own, and the settings that they stand for.
_KEYS = {
    "listen": "listen.addresses",
    "dns": "resolve.servers",
    "allow_private": "policy.allow_private",
    "profile": "scrub.profile",
    "log_names": "log.names",
    "workers": "listen.workers",
}

# For the commands that run or judge a gateway of its own.
takes_workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that share the listeners; 1, if not given.",
)


def reads_config(command: C) -> C:
    """Give a command all of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def as_sets(options: dict[str, object]) -> list[str]:
    """Options as settings of the config."""
    return [f"{key}={json.dumps(options[name])}" for name, key in _KEYS.items() if options.get(name)]


def read(path: Path | None, sets: Sequence[str], chain_file: Path | None) -> Config:
    """The config, or the end of the command with every fault."""
    from anongw import check

    try:
        return load(path, sets, chain=chain_file, also=check.faults)
    except ConfigError as error:
        raise Wrong(str(error)) from None
