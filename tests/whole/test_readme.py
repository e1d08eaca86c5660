"""What the README tells people to type and to write is what the program takes."""

import re
from pathlib import Path

from anongw import check
from anongw.cli.hints import hints
from anongw.config import load
from tests.support.process import ROOT

README = (ROOT / "README.md").read_text()


def test_its_config_loads(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert example
    (tmp_path / "anongw.toml").write_text(example[1])
    config = load(tmp_path / "anongw.toml", also=check.faults)
    assert config.scrub.profile == "strict"


def test_its_lines_are_those_that_serve_prints() -> None:
    for line in hints(["127.0.0.1:1080"], users=False):
        program, words = line.split(maxsplit=1)
        if program in ("curl", "git", "chromium"):
            assert words in README
