"""An audit from beginning to verdict: the laboratory is made, each scenario played, each check asked."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anongw.audit import mapping, ways
from anongw.audit.checks import CHECKS
from anongw.audit.mapping import Unmappable
from anongw.audit.program import OURS, Program
from anongw.audit.scenario import Scenario
from anongw.audit.scenarios import scenarios
from anongw.audit.scene import Scene
from anongw.audit.verdict import Row, Verdict
from anongw.audit.world import World
from anongw.config import Config
from anongw.lab import pcap
from anongw.lab.capture import Packet
from anongw.lab.certificates import Authority
from anongw.lab.networks import networks, why_not
from anongw.lab.wrong import Wrong

Progress = Callable[[int, int, str], None]  # how many are done, of how many, and which is played now


# Seconds for all scenarios together, so that a gateway which answers nobody does not take the day; one that
# works needs a quarter of it.
MOST: Final = 170.0


class CannotRun(Exception):
    """There is no laboratory here, or none for this config: why, and what to do."""


@dataclass(frozen=True)
class Wish:
    """`only`: scenarios that have this in their name. `keep`: a folder for captures, wherever they come out.

    `program`: what is started in the gateway's place, with `serve --config FILE` behind it. After `seconds`
    no scenario is begun.
    """

    only: str = ""
    keep: Path | None = None
    program: Sequence[str] = OURS
    seconds: float = MOST


def audit(config: Config, wish: Wish, progress: Progress = lambda _done, _all, _name: None) -> Verdict:
    """Play every scenario that the config has, and judge.

    Raises:
        CannotRun: with a sentence.
    """
    if not sys.platform.startswith("linux"):
        raise CannotRun("the laboratory is made of Linux's network namespaces, and this is no Linux")
    if reason := why_not():
        raise CannotRun(
            f"{reason}; run it as root, or let users have namespaces of their own (sysctl "
            "kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)"
        )
    began = time.monotonic()
    with _folder(wish.keep) as folder:
        try:
            verdict = _in_laboratory(config, wish, folder, progress)
        except (Unmappable, Wrong) as error:
            raise CannotRun(str(error)) from None
        verdict.seconds = time.monotonic() - began
        if not verdict.is_clean or wish.keep is not None:
            verdict.kept = str(_kept(folder, wish.keep))
    return verdict


def _in_laboratory(config: Config, wish: Wish, folder: Path, progress: Progress) -> Verdict:
    authority, stranger = Authority(folder, "authority"), Authority(folder, "stranger")
    mapped = mapping.mapped(config, folder, authority)
    errands, missing = ways.errands(mapped.config)
    if not errands:
        raise Unmappable("no route of this config decides anything that could be asked for")
    chosen = [one for one in scenarios(mapped, errands) if wish.only.lower() in one.name.lower()]
    verdict = Verdict(notes=mapped.notes)
    verdict.rows += [Row(f"route {number + 1}", left_out=reason) for number, reason in missing]
    if not chosen:
        raise Unmappable(f"no scenario of this config has {wish.only!r} in its name")
    with networks(mapped.plan) as made:
        world = World(mapped, made, Program(made.prefix, wish.program, folder), folder)
        with world.peopled(errands, authority, stranger):
            world.start()
            before: Scene | None = None
            until = time.monotonic() + wish.seconds
            for number, scenario in enumerate(chosen):
                if time.monotonic() > until:
                    verdict.rows.append(Row(scenario.name, not_tried="the time for all of them is over"))
                    continue
                progress(number, len(chosen), scenario.name)
                before = _played(scenario, world, before, verdict)
    return verdict


def _played(scenario: Scenario, world: World, before: Scene | None, verdict: Verdict) -> Scene:
    began = time.monotonic()
    row = Row(scenario.name)
    scene = Scene(scenario.name, world, before)
    try:
        scenario.play(scene)
    except (OSError, Wrong) as error:
        row.not_tried = f"it broke off: {error}"
    record = scene.done()
    row.left_out = scene.left_out
    for check in CHECKS:
        if wrong := list(dict.fromkeys(check.wrong(record))):
            row.wrong[check.name] = wrong
    if not row.is_clean:
        _write(world.folder, len(verdict.rows), record.packets)
    if not world.program.runs:
        row.not_tried = row.not_tried or "the gateway is gone"
        world.restart()
    row.seconds = time.monotonic() - began
    verdict.rows.append(row)
    return scene


def _write(folder: Path, number: int, packets: list[Packet]) -> None:
    pcap.write(folder / f"scenario-{number + 1}.pcap", sorted(packets, key=lambda packet: packet.at))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """One of our own for everything that is made; gone afterwards, but for what `_kept` has taken out."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    # Not below `keep`: a path of a Unix socket may be no longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="anongw-audit-") as made:
        yield Path(made)


def _kept(folder: Path, keep: Path | None) -> Path:
    """Captures, log and config go where they stay. No key of the laboratory's does."""
    target = keep if keep is not None else Path(tempfile.mkdtemp(prefix="anongw-audit-kept-"))
    for file in (*folder.glob("*.pcap"), *folder.glob("*.log"), folder / "anongw.toml"):
        if file.exists():
            shutil.copy(file, target / file.name)
    return target
