"""The options that every command with a config shares."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from anongw.cli.options import as_sets, read, reads_config


@click.command()
@reads_config
def echo(path: Path | None, chain_file: Path | None, sets: Sequence[str], **options: object) -> None:
    config = read(path, (*as_sets(options), *sets), chain_file)
    click.echo(
        json.dumps(
            [
                *(config.listen.addresses, config.resolve.servers, config.scrub.profile, config.log.names),
                [str(one) for one in config.policy.allow_private],
                list(config.chains),
            ]
        )
    )


def run(*arguments: str) -> list[object]:
    found = CliRunner().invoke(echo, arguments)
    assert found.exit_code == 0, found.stderr
    told: list[object] = json.loads(found.stdout)
    return told


def test_without_any_it_is_the_defaults() -> None:
    listen, servers, profile, names, private, chains = run()
    assert (listen, profile, names, private, chains) == (["127.0.0.1:1080"], "balanced", False, [], [])
    assert servers


def test_each_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text('[[hop]]\nurl = "socks5://192.0.2.1"\n')
    found = run(
        *("--listen", "127.0.0.1:1", "--listen", "[::1]:1", "--dns", "tls://9.9.9.9", "--profile", "strict"),
        *("--log-names", "--allow-private", "10.0.0.0/8", "--chain", str(tmp_path / "two.toml")),
    )
    assert found == [
        *(["127.0.0.1:1", "[::1]:1"], ["tls://9.9.9.9"], "strict", True, ["10.0.0.0/8"], ["two"])
    ]


def test_a_setting_wins_over_an_option_and_an_option_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[scrub]\nprofile = "open"\n')
    assert run("--config", str(file))[2] == "open"
    assert run("--config", str(file), "--profile", "strict")[2] == "strict"
    assert run("--profile", "strict", "--set", "scrub.profile=open")[2] == "open"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--config", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
        (["--dns", "nonsense"], "resolve.servers[0]: "),  # what other rooms find wrong
        (["--profile", "x", "--set", "limits.idle=no"], "limits.idle"),
    ],
)
def test_a_wrong_config_ends_with_2_and_every_fault(arguments: list[str], part: str) -> None:
    found = CliRunner().invoke(echo, arguments)
    assert found.exit_code == 2
    assert part in found.stderr
    assert found.stdout == ""
