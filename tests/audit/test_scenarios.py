"""There are at least forty of them for every config, and each name is one scenario's."""

from pathlib import Path

import pytest

from anongw.audit.mapping import mapped
from anongw.audit.scenarios import scenarios
from anongw.audit.ways import errands
from anongw.config import load
from anongw.lab.certificates import Authority
from tests.support.process import ROOT

FILES = sorted((ROOT / "chains").glob("*.toml"))


@pytest.mark.parametrize("file", [None, *FILES], ids=lambda file: file.stem if file else "default")
def test_there_are_enough(file: Path | None, tmp_path: Path) -> None:
    routed = file is not None and "[[route]]" in file.read_text()
    config = load(file) if routed else load(None, chain=file)
    here = mapped(config, tmp_path, Authority(tmp_path, "ours"))
    found, missing = errands(here.config)
    names = [one.name for one in scenarios(here, found)]
    assert len(names) >= 40
    assert len(set(names)) == len(names)
    assert missing == []
