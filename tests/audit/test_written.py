"""What is written is what is read again."""

import tomllib
from pathlib import Path

import pytest

from anongw.audit.written import toml
from anongw.config import Config, load
from tests.support.process import ROOT


def again(config: Config, folder: Path) -> Config:
    path = folder / "anongw.toml"
    path.touch(0o600)
    path.write_text(toml(config, folder))
    return load(path)


@pytest.mark.parametrize("file", sorted(path.stem for path in (ROOT / "chains").glob("*.toml")))
def test_every_example_comes_back(file: str, tmp_path: Path) -> None:
    path = ROOT / "chains" / f"{file}.toml"
    config = load(path) if "[[route]]" in path.read_text() else load(None, chain=path)
    assert again(config, tmp_path) == config


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    path, word = tmp_path / "all.toml", tmp_path / "word"
    word.touch(0o600)
    word.write_text("p@ss word")
    path.touch(0o600)
    path.write_text("""
        [resolve.hosts]
        "printer.lab.internal" = ["192.168.1.7"]
        [policy]
        deny = ["*:25", "=ads.example"]
        allow_private = ["192.168.1.0/24"]
        [limits]
        idle = "90m"
        pipe_bytes = "1MiB"
        [[scrub.rules]]
        set = { "X-Odd" = "\\u007f quoted \\" and ü" }
        [[chains.one.hop]]
        member = [{url = "socks5://192.0.2.1"}, {url = "http://a:80", user = "u", password_file = "word"}]
        strategy = "random"
        [[chains.one.hop]]
        url = "socks4://192.0.2.3"
        user = "session-{token}"
        """)
    config = load(path)
    found = again(config, tmp_path)
    assert found == config
    assert found.chains["one"].hop[0].members[1].password == config.chains["one"].hop[0].members[1].password


def test_no_route_stays_none(tmp_path: Path) -> None:
    assert "route" not in tomllib.loads(toml(Config(), tmp_path))
    assert again(Config(), tmp_path).goes_direct_unasked


def test_passwords_are_in_files_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.touch(0o600)
    path.write_text('[[hop]]\nurl = "socks5://u:secret-word@192.0.2.1"\n')
    text = toml(load(None, chain=path), tmp_path)
    assert "secret-word" not in text
    assert (tmp_path / "password-1").read_text() == "secret-word\n"
    assert (tmp_path / "password-1").stat().st_mode & 0o777 == 0o600
