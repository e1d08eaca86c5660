"""What the README tells people to type and to write is what the program takes."""

import re
from pathlib import Path

from anongw import check
from anongw.cli.hints import hints
from anongw.config import load
from tests.support.process import ROOT

README = (ROOT / "README.md").read_text()


CHAIN, CONFIG, ROUTES, IDENTITIES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


def test_its_chain_loads(tmp_path: Path) -> None:
    (tmp_path / "chain.toml").write_text(CHAIN)
    config = load(None, chain=tmp_path / "chain.toml", also=check.faults)
    assert len(config.chains["chain"].hop) == 2


def test_its_configs_load(tmp_path: Path) -> None:
    (tmp_path / "anongw.toml").write_text(CONFIG)
    assert load(tmp_path / "anongw.toml", also=check.faults).scrub.profile == "strict"
    (tmp_path / "routes.toml").write_text(ROUTES)
    (tmp_path / "chains").symlink_to(ROOT / "chains")
    routes = load(tmp_path / "routes.toml", also=check.faults).route
    (tmp_path / "identities.toml").write_text(f"{ROUTES}\n{IDENTITIES}")
    assert load(tmp_path / "identities.toml", also=check.faults).route[0].identity == ("work",)
    assert [route.to for route in routes] == ["tor", "refuse"]


def test_its_lines_are_those_that_serve_prints() -> None:
    for line in hints(["127.0.0.1:1080"], users=False):
        program, words = line.split(maxsplit=1)
        if program in ("curl", "git", "chromium"):
            assert words in README
