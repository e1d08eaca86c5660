"""`anongw chain` as it is typed: a chain printed or in a file of its owner's, and remarks beside it."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anongw.cli import main

TOR = "strict_chain\nproxy_dns\n[ProxyList]\nsocks4 127.0.0.1 9050\n"
SECRET = f"{TOR}http 192.0.2.1 8080 alice hunter2\n"
URL = "socks4://127.0.0.1:9050"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["chain", "import", *map(str, arguments)])


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "proxychains.conf"
    path.write_text(SECRET)
    return path


def test_help_teaches() -> None:
    assert "import" in CliRunner().invoke(main, ["chain"]).output
    found = invoke("--help")
    assert found.exit_code == 0
    assert "anongw chain import /etc/proxychains4.conf" in found.output
    assert "\\b" not in found.output


def test_the_chain_is_printed_and_the_remarks_beside_it(conf: Path) -> None:
    found = invoke(conf)
    assert found.exit_code == 0
    assert [hop["url"] for hop in tomllib.loads(found.stdout)["hop"]] == [
        URL,
        "http://alice:hunter2@192.0.2.1:8080",
    ]
    assert found.stderr.startswith(f"note: {conf}:5: the result holds passwords")
    assert "hunter2" not in found.stderr


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_written_is_its_owners_alone(conf: Path, umask: int) -> None:
    output = conf.with_name("chain.toml")
    before = os.umask(umask)
    try:
        found = invoke(conf, "--output", output)
    finally:
        os.umask(before)
    assert (found.exit_code, found.stdout) == (0, "")
    assert output.stat().st_mode & 0o777 == 0o600
    assert output.read_text() == invoke(conf).stdout


def test_nothing_is_overwritten_unless_asked(conf: Path) -> None:
    output = conf.with_name("chain.toml")
    output.write_text("mine")
    output.chmod(0o644)
    found = invoke(conf, "--output", output)
    assert found.exit_code == 2
    assert found.stderr == f"anongw: {output}: is there already; --force takes the place of a plain file\n"
    assert output.read_text() == "mine"

    assert invoke(conf, "--output", output, "--force").exit_code == 0
    assert URL in output.read_text()
    assert output.stat().st_mode & 0o777 == 0o600, "and not what the file before it had"


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_force_follows_no_link(conf: Path, target: str) -> None:
    conf.with_name("there").write_text("mine")
    link = conf.with_name("link")
    link.symlink_to(conf.with_name(target))
    found = invoke(conf, "--output", link, "--force")
    assert found.exit_code == 2
    assert conf.with_name("there").read_text() == "mine"
    assert not conf.with_name("nowhere").exists()


def test_where_nothing_can_be_written(conf: Path) -> None:
    found = invoke(conf, "--output", conf.with_name("nowhere") / "chain.toml")
    assert found.exit_code == 1
    assert found.stderr.endswith("nowhere/chain.toml: cannot be written: No such file or directory\n")


def test_a_chain_that_could_not_be_written_whole_is_not_there(conf: Path) -> None:
    output = conf.with_name("chain.toml")
    program = f'ulimit -f 0; exec "{sys.executable}" -m anongw chain import "{conf}" --output "{output}"'
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"anongw: {output}: cannot be written: File too large\n"
    assert not output.exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[ProxyList]\nsocks5 192.0.2.1 0 alice hunter2\n", ":2: not a port"),
        (b"[ProxyList]\nsocks5 192.0.2.1 1 alice hunter2\xe4\n", ": is not UTF-8"),
        (b"strict_chain\n", ": lists no proxy"),
        (b"#" * ((1 << 20) + 1), ": is longer than 1048576 bytes"),
        (None, ": cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_chain_ends_with_2_and_leaves_nothing(conf: Path, data: bytes | None, said: str) -> None:
    conf.unlink()
    if data is not None:
        conf.write_bytes(data)
    output = conf.with_name("chain.toml")
    found = invoke(conf, "--output", output)
    assert found.exit_code == 2
    assert found.stderr.startswith(f"anongw: {conf}{said}")
    assert "hunter2" not in found.output
    assert not output.exists()


def test_as_much_as_may_be_read(conf: Path) -> None:
    conf.write_text(TOR.ljust(1 << 20, "#"))
    assert invoke(conf).exit_code == 0


# anongw chain test


def examine(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["chain", "test", *map(str, arguments)])


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A chain that has nothing to test."""
    path = tmp_path / "lab.toml"
    path.write_text('[[hop]]\nurl = "direct"\n')
    return path


def test_help_of_test_teaches() -> None:
    assert "test" in CliRunner().invoke(main, ["chain"]).output
    found = examine("--help")
    assert found.exit_code == 0
    assert "anongw chain test tor.toml --target example.org:443" in found.output
    assert "\\b" not in found.output


def test_nothing_to_test(chain: Path) -> None:
    found = examine(chain)
    assert found.exit_code == 0
    assert found.stderr == ""
    assert "direct: nothing to test" in found.stdout
    assert found.stdout.endswith("hops only; --target HOST:PORT goes through to a host of yours\n")
    assert "hops only" not in examine(chain, "--target", "example.org:443").stdout


def test_json_is_a_list(chain: Path) -> None:
    found = examine(chain, "--json")
    assert found.exit_code == 0
    (one,) = json.loads(found.stdout)
    assert (one["position"], one["member"], one["state"]) == (1, "direct", "direct")
    assert found.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "target",
    ["example.org", "example.org:0", "example.org:http", ":443", "::1:443", "[::1]", "[example.org]:443", ""],
)
def test_a_target_that_is_none(chain: Path, target: str) -> None:
    found = examine(chain, "--target", target)
    assert found.exit_code == 2
    assert 'write it like "example.org:443", IPv6 in brackets' in found.stderr
    assert found.stdout == ""


def test_a_target_that_no_client_could_go_to(chain: Path) -> None:
    found = examine(chain, "--target", "[::1]:443")
    assert found.exit_code == 2
    assert found.stderr == (
        "anongw: --target [::1]:443: is refused to clients too (private-target), "
        "by [policy] or for want of the chain's overlays\n"
    )
    config = chain.with_name("anongw.toml")
    config.write_text('[policy]\nallow_private = ["::1/128"]\n')
    assert examine(chain, "--target", "[::1]:443", "--config", config).exit_code == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_timeout_that_is_none(chain: Path, seconds: str) -> None:
    assert examine(chain, "--timeout", seconds).exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "{}: hop: name at least one: [[hop]]"),
        ('[[hop]]\nurl = "socks5://"\n', "{}:2: hop[0].url: "),
        ('[[hop]]\nurl = "socks5://localhost:9"\n', "{}:1: hop[0]: socks5://localhost:9: write 127.0.0.1"),
        ('[listen]\naddresses = ["127.0.0.1:1"]\n', "{}:1: listen: this is a config: use --config"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_with_faults_ends_with_2(chain: Path, text: str | None, said: str) -> None:
    chain.unlink()
    if text is not None:
        chain.write_text(text)
    found = examine(chain)
    assert found.exit_code == 2
    assert said.format(chain) in found.stderr
    assert all(line.startswith("anongw: ") for line in found.stderr.splitlines())
    assert found.stdout == ""


def test_a_config_with_faults_ends_with_2(chain: Path) -> None:
    config = chain.with_name("anongw.toml")
    config.write_text('[resolve]\nservers = ["nowhere"]\n')
    found = examine(chain, "--config", config)
    assert found.exit_code == 2
    assert f"{config}:2: resolve.servers[0]: " in found.stderr
