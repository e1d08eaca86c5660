"""A world of `anongw audit` around a gateway that runs, for tests of single scenes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anongw.audit import ways
from anongw.audit.mapping import mapped
from anongw.audit.program import OURS, Program
from anongw.audit.ways import Errand
from anongw.audit.world import World
from anongw.config import load
from anongw.lab.certificates import Authority
from anongw.lab.networks import networks

TWO_HOPS = """
[[hop]]
url = "socks5://someone:password-of-the-user@192.0.2.10:1080"
[[hop]]
url = "https://somebody:other-of-the-user@second.example:443"
"""


def two_hops(folder: Path) -> Path:
    """A chain's file, with passwords that must not be used."""
    chain = folder / "two.toml"
    chain.touch(0o600)
    chain.write_text(TWO_HOPS)
    return chain


@contextmanager
def world(
    folder: Path, *sets: str, chain: Path | None = None, path: Path | None = None
) -> Iterator[tuple[World, list[Errand]]]:
    """Started, and ended with the block."""
    authority, stranger = Authority(folder, "authority"), Authority(folder, "stranger")
    here = mapped(load(path, sets, chain=chain), folder, authority)
    errands, _ = ways.errands(here.config)
    with networks(here.plan) as made:
        one = World(here, made, Program(made.prefix, OURS, folder), folder)
        with one.peopled(errands, authority, stranger):
            one.start()
            yield one, errands
