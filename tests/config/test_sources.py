"""A config in several files: what they make together, and where each part of it stands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from anongw.config import ConfigError
from anongw.config.faults import Fault
from anongw.config.sources import Sources

HOP = '[[hop]]\nurl = "socks5://127.0.0.1:9050"\n'
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return written


def test_a_chain_stands_in_the_place_of_its_files_name(write: Write, tmp_path: Path) -> None:
    write("chains/tor.toml", f"tries = 2\n{HOP}")
    path = write(
        "a.toml", '[chains]\ntor = "chains/tor.toml"\n[chains.lab]\ntries = 3\n[log]\nlevel = "debug"'
    )
    sources = Sources(path)
    assert sources.data["chains"]["tor"] == {"tries": 2, "hop": [{"url": "socks5://127.0.0.1:9050"}]}
    assert sources.data["chains"]["lab"] == {"tries": 3}
    assert sources.data["log"] == {"level": "debug"}
    assert sources.folder(("chains", "tor", "hop", 0)) == tmp_path / "chains"
    assert sources.folder(("chains", "lab", "hop", 0)) == tmp_path
    assert sources.file(("chains", "tor", "hop")) == tmp_path / "chains/tor.toml"
    assert sources.file(("chains", "tor")) == path
    assert sources.file(("log",)) == path
    assert not sources.is_typed(("chains", "tor", "hop"))


def test_faults_go_back_to_where_they_were_written(write: Write, tmp_path: Path) -> None:
    write("tor.toml", f"# Tor\ntries = 2\n{HOP}")
    path = write("a.toml", '[chains]\n# here\ntor = "tor.toml"')
    sources = Sources(path, ["log.level=debug", "chains.lab.tries=2"])
    tor = str(tmp_path / "tor.toml")
    assert sources.located((("chains", "tor", "tries"), "x")) == Fault("tries", "x", 2, tor)
    assert sources.located((("chains", "tor", "hop", 0, "url"), "x")) == Fault("hop[0].url", "x", 4, tor)
    assert sources.located((("chains", "tor", "probe", "every"), "x")) == Fault("probe.every", "x", None, tor)
    assert sources.located((("chains", "tor"), "x")) == Fault("chains.tor", "x", 3, str(path))
    typed = Fault("chains.lab.tries", "x", None, "command line")
    assert sources.located((("chains", "lab", "tries"), "x")) == typed
    assert sources.located((("log", "level"), "x")) == Fault("log.level", "x", None, "command line")


def test_without_a_file_there_is_no_place() -> None:
    sources = Sources(None)
    assert sources.located((("log",), "x")) == Fault("log", "x")
    assert sources.folder(("log",)) == Path()
    assert sources.file(("log",)) is None


def test_a_chain_of_the_command_line_takes_the_place_of_all(write: Write, tmp_path: Path) -> None:
    chain = write("my.toml", HOP)
    path = write("a.toml", '[chains]\nold = "none.toml"\n[[route]]\nto = "old"\n[log]\nlevel = "debug"')
    sources = Sources(path, (), chain)
    assert sources.data["chains"] == {"my": {"hop": [{"url": "socks5://127.0.0.1:9050"}]}}
    assert sources.data["route"] == [{"to": "my"}]
    assert sources.data["log"] == {"level": "debug"}
    assert sources.located((("chains", "my"), "x")).file == "command line"
    assert sources.located((("chains", "my", "hop"), "x")).file == str(chain)
    assert sources.folder(("chains", "my", "hop", 0)) == tmp_path


def test_a_setting_reaches_into_a_chains_file_and_wins(write: Write) -> None:
    path = write("a.toml", '[chains]\ntor = "tor.toml"')
    write("tor.toml", f"tries = 2\n{HOP}")
    other = write("other.toml", f"tries = 7\n{HOP}")
    sources = Sources(path, ["chains.tor.tries=4"])
    assert sources.data["chains"]["tor"]["tries"] == 4
    assert sources.is_typed(("chains", "tor", "tries"))
    assert not sources.is_typed(("chains", "tor", "hop"))
    assert Sources(path, [f"chains.tor={other}"]).data["chains"]["tor"]["tries"] == 7
    typed = Sources(path, ['chains.tor.hop=[{url="socks5://a"}]'])
    assert typed.is_typed(("chains", "tor", "hop"))
    assert typed.folder(("chains", "tor", "hop", 0)) == Path()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('tor = "none.toml"', "{}/none.toml cannot be read: No such file or directory"),
        ('tor = "."', "{} cannot be read: Is a directory"),
        ('tor = "a\\u0000b"', "{}/a\0b cannot be read: no file has a NUL in its name"),
        ("tor = 5", "must be the name of a file in quotes, or a table with [[hop]] in it"),
        ("tor = []", "must be the name of a file in quotes, or a table with [[hop]] in it"),
    ],
)
def test_a_chain_that_cannot_be_read(write: Write, tmp_path: Path, text: str, message: str) -> None:
    file = write("a.toml", f"[chains]\n{text}")
    sources = Sources(file)
    assert sources.found == [Fault("chains.tor", message.format(tmp_path), 2, str(file))]
    assert sources.data["chains"] == {}


def test_a_chain_that_is_no_toml_has_its_line(write: Write) -> None:
    bad = write("bad.toml", "[[hop]]\nurl = \n")
    (fault,) = Sources(write("a.toml", '[chains]\nbad = "bad.toml"')).found
    assert (fault.path, fault.line, fault.file) == ("", 2, str(bad))
    assert fault.message.startswith("not TOML: ")


@pytest.mark.parametrize("text", ["[listen]\naddresses = []", "[[route]]", "[chains]"])
def test_a_config_is_no_chain(write: Write, text: str) -> None:
    (fault,) = Sources(None, (), write("one.toml", f"\n{text}")).found
    assert (fault.line, fault.message) == (2, "this is a config: use --config")


def test_a_chain_is_no_config(write: Write) -> None:
    path = write("a.toml", f"tries = 2\n{HOP}")
    with pytest.raises(ConfigError, match=r"a\.toml:2: hop: this is a chain: use --chain$"):
        Sources(path)


def test_a_chain_with_a_key_of_a_config_is_a_chain_with_a_fault(write: Write) -> None:
    assert Sources(None, (), write("one.toml", f"{HOP}[listen]\n")).found == []


def test_chains_that_are_no_table_are_left_to_the_walk(write: Write) -> None:
    assert Sources(write("a.toml", "chains = 5")).data == {"chains": 5}
