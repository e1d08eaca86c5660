"""Every file of chains/ works as it stands, and says how it is used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from anongw import check
from anongw.config import Config, load

FOLDER = Path(__file__).parent.parent.parent / "chains"
FILES = sorted(FOLDER.glob("*.toml"))


def option(path: Path) -> str:
    """How the file is given to a command."""
    return "--config" if re.search(r"^\[chains\]$", path.read_text(), re.MULTILINE) else "--chain"


def loaded(path: Path) -> Config:
    if option(path) == "--config":
        return load(path, also=check.faults)
    return load(None, chain=path, also=check.faults)


def test_all_are_there() -> None:
    assert [path.stem for path in FILES] == [
        "fail-over",
        "one-hop",
        "per-site",
        "rotating",
        "tor",
        "two-hop-mix",
    ]
    assert [path.stem for path in FILES if option(path) == "--config"] == ["per-site"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_is_taken_by_check(path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "anongw", "check", option(path), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "\nchain     " in found.stdout
    assert "DIRECTLY" not in found.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_says_how_it_is_used_and_goes_nowhere_directly(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    assert f"\n#   anongw serve {option(path)} chains/{path.name}\n" in text
    assert max(len(line) for line in text.splitlines()) <= 120
    config = loaded(path)
    assert config.chains
    assert "direct" not in {route.to for route in config.route}
    # Hops of nobody: addresses and names for documentation (RFC 5737, RFC 2606), or this machine's own.
    for chain in config.chains.values():
        for hop in chain.hop:
            for member in hop.members:
                host = str(member.url.endpoint.host)
                assert re.fullmatch(
                    r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+|127\.0\.0\.1|.+\.example", host
                )


def test_in_those_that_say_so_the_first_hop_cannot_read_where_it_goes() -> None:
    for name in ("two-hop-mix", "rotating"):
        sentences = check.warnings(loaded(FOLDER / f"{name}.toml"))
        assert not [one for one in sentences if "can read where connections go" in one]


def test_tor_gives_each_identity_circuits_of_its_own() -> None:
    (chain,) = loaded(FOLDER / "tor.toml").chains.values()
    assert (chain.overlays, chain.hop[0].members[0].isolation) == (("onion",), "tor")
