"""`anongw explain` as a person types it, and what a program reads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from anongw.cli import main
from anongw.knowledge import Fact
from tests.support.audit import read
from tests.support.knowledge_cases import HASH

TWO = '[[hop]]\nurl = "socks5://user:s3cret@192.0.2.1"\n[[hop]]\nurl = "https://second.example:443"\n'


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


def told(*arguments: str) -> dict[str, Any]:
    found = invoke(*arguments, "--json")
    assert found.exit_code == 0, found.stderr
    fields: dict[str, Any] = json.loads(found.stdout)
    return fields


@pytest.fixture
def chain(tmp_path: Path) -> str:
    path = tmp_path / "two.toml"
    path.write_text(TWO)
    return str(path)


def test_help_says_what_it_is_for() -> None:
    found = invoke("--help")
    assert found.exit_code == 0
    assert "\\b" not in found.output
    for option in ("--identity", "--protocol", "--listener", "--json", "--config", "--chain", "--set"):
        assert option in found.output


def test_the_table_names_the_route_the_parties_and_the_promise(chain: str) -> None:
    found = invoke("example.org:443", "--chain", chain)
    assert found.exit_code == 0
    assert found.stderr == ""
    for part in (
        "route[0], everything: through two",
        "hop 1, socks5://192.0.2.1:1080",
        "hidden by TLS to hop 2",
        "holds; TLS to hop 2 hides the destination",
        "destination",
        "control socket",
    ):
        assert part in found.stdout
    assert "s3cret" not in found.stdout


def test_json_has_the_fields_that_programs_go_by(chain: str) -> None:
    found = told("http://example.org/", "--chain", chain)
    assert list(found) == [
        *("target", "protocol", "listener", "identity", "route", "refused", "rows", "claim", "notes")
    ]
    assert (found["target"], found["protocol"]) == ("example.org:80", "http")
    assert found["route"] == {"place": 0, "to": "two", "why": "everything: through two"}
    assert found["refused"] is None
    assert found["claim"] == {
        "holds": True,
        "both": [],
        "why": "TLS to hop 2 hides the destination from whoever sees the client",
    }
    for row in found["rows"]:
        assert list(row) == ["party", "name", "members", "cells"]
        assert set(row["cells"]) == {one.value for one in Fact}
        assert all(list(cell) == ["learns", "by", "why", "of"] for cell in row["cells"].values())
    (hop,) = (row for row in found["rows"] if row["name"] == "hop 1")
    assert hop["members"] == ["socks5://192.0.2.1:1080"]
    assert hop["cells"]["hop_login"]["of"] == ["hop 1"]
    assert hop["cells"]["destination_name"]["learns"] == "no"


def test_a_refusal_is_an_answer() -> None:
    found = invoke("10.0.0.1:80")
    assert found.exit_code == 0
    assert "refused  at policy, private-target: " in found.stdout
    assert told("10.0.0.1:80")["refused"]["reason"] == "private-target"


def test_who_asks_and_how_is_taken_from_the_options(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text(
        'listen.addresses = ["127.0.0.1:1", "127.0.0.1:2"]\n'
        f'users = {{ alice = "{HASH.reveal()}" }}\n'
        '[[route]]\nlistener = ["127.0.0.1:2"]\nto = "refuse"\n'
        '[[route]]\nidentity = ["alice"]\nprotocol = ["connect"]\nto = "direct"\n'
        '[[route]]\nto = "refuse"\n'
    )
    ask = ("a.example:443", "--config", str(config))
    assert told(*ask)["refused"]["where"] == "login"
    alice = (*ask, "--identity", "alice")
    assert told(*alice)["route"]["place"] == 2
    assert told(*alice, "--protocol", "connect")["route"] == {
        "place": 1,
        "to": "direct",
        "why": "by connect, for alice: directly, from this machine's address",
    }
    assert told(*alice, "--protocol", "connect", "--listener", "127.0.0.1:2")["route"]["place"] == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["example.org"], "'example.org' is no target: write"),
        (["a.example:80", "--listener", "127.0.0.1:9"], "there is no listener 127.0.0.1:9"),
        (["https://a.example/", "--protocol", "http"], "by CONNECT or SOCKS"),
        (["a.example:80", "--config", "/nowhere.toml"], "cannot be read"),
        (["a.example:80", "--set", "limits.idel=1h"], 'did you mean "idle"?'),
        (["a.example:80", "--protocol", "ftp"], "ftp"),
        ([], "TARGET"),
    ],
)
def test_what_cannot_be_answered_ends_with_2(arguments: list[str], part: str) -> None:
    found = invoke(*arguments)
    assert found.exit_code == 2
    assert part in found.stderr
    assert found.stdout == ""


def test_nobody_is_asked_and_nothing_is_opened(tmp_path: Path, chain: str) -> None:
    report = tmp_path / "report"
    command = [
        sys.executable,
        "-m",
        "tests.support.audit",
        str(report),
        "explain",
        "example.org:443",
        "--json",
    ]
    for arguments in (["--set", 'resolve.servers=["system"]'], ["--chain", chain]):
        subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=60)
        events = read(report)
        assert events
        assert not [one for one in events if one.name.startswith("socket.")]
        # Not even the list of this machine's name servers.
        assert not [one for one in events if one.name == "open" and "resolv.conf" in str(one.args)]
        report.unlink()
