"""The gateway that is soaked, its origin and its hop, and what is counted of it."""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark import machine
from scripts.benchmark.load import Load, Options, build, cache, load
from scripts.benchmark.peers import ROOT
from scripts.benchmark.running import running
from scripts.soaking.clients import CHAINED, NAME, TARGETS, Place

# Seconds in which a gateway closes all that its clients have left: the longest of its own patience with one
# that said its last, and with what a refused one still sends, and as much again.
SETTLE_MOST = 30.0
_EVERY = 0.05


@dataclass(frozen=True)
class Count:
    """What a gateway without a client has open, and how much memory it takes."""

    connections: int
    # Descriptors by kind, such as "socket" and "pipe".
    files: dict[str, int]
    memory_kib: int


@dataclass(frozen=True)
class Soaked:
    place: Place
    session: int
    control: Path
    origin: Load

    def files(self) -> dict[str, int]:
        """Its open descriptors, by kind."""
        found: Counter[str] = Counter()
        for pid in machine.members(self.session):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):
                    found[str(link.readlink()).partition(":")[0]] += 1
        return dict(found)

    def settled(self, sockets: int, connections: int) -> Count:
        """Once it has no more sockets than these, or SETTLE_MOST has passed.

        Raises:
            NotMeasured: the origin has ended.

        """
        self.origin.still()
        deadline = time.monotonic() + SETTLE_MOST
        while self.files()["socket"] > sockets and time.monotonic() < deadline:
            time.sleep(_EVERY)
        return self.counted(connections)

    def counted(self, connections: int) -> Count:
        return Count(connections, self.files(), machine.memory_kib(self.session))

    def status(self) -> dict[str, object]:
        """What it says of itself."""
        command = [sys.executable, "-m", "anongw", "status", "--json", "--control", str(self.control)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        said: dict[str, object] = json.loads(done.stdout)
        return said


def _config(control: Path, hop: int) -> str:
    addresses = ", ".join(f'"{one}"' for one in TARGETS[:4])
    return f"""
[control]
socket = "{control}"
[log]
level = "error"
[policy]
allow_private = ["127.0.0.0/8"]
[limits]
upstream_idle = "1s"
# Full from the start on: 10,000 would take the whole soak to come together, and look like a leak.
identities = 100
sticky_identities = 100
[resolve.hosts]
"{NAME}" = [{addresses}]
[[chains.one.hop]]
url = "socks5://127.0.0.1:{hop}"
[[route]]
target = ["{CHAINED}"]
to = "one"
[[route]]
to = "direct"
"""


@contextmanager
def soaked() -> Iterator[Soaked]:
    """One that runs until the block ends.

    Raises:
        NotMeasured: it does not start, or there is no compiler for the origin.
    """
    ports = machine.free_ports()
    place = Place(*(next(ports) for _ in range(3)))
    hop = next(ports)
    cores = machine.cores()
    options: Options = {"work": "serve", "origin": place.origin, "hops": hop, "seconds": 1e9}
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as name,
        load(build(cache()), cores.load, options) as origin,
    ):
        folder = Path(name)
        control = folder / "control.sock"
        config = folder / "config"
        config.write_text(_config(control, hop))
        listen = f"127.0.0.1:{place.gateway}"
        command = [sys.executable, "-m", "anongw", "serve", "--listen", listen, "--config", str(config)]
        origin.begin()
        with running(command, place.gateway, folder, cores.proxy) as process:
            yield Soaked(place, process.session, control, origin)
