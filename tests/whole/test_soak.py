"""A soak in short, and that it does not pass what a soak must not."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmark.running import NotMeasured
from scripts.soaking.clients import LIVES, Place
from scripts.soaking.crowd import Crowd
from scripts.soaking.gateway import Count, soaked
from scripts.soaking.judge import faults, growth, growth_most, slope
from tests.support.process import ROOT
from tests.support.programs import found

# Long enough for a first use of everything, and a minute of a busy machine at the most.
CONNECTIONS = 1500
WELL = {"bugs": 0, "live": 0}


def test_nothing_is_left_of_many_connections(tmp_path: Path) -> None:
    found("gcc")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "scripts.soaking", str(CONNECTIONS), "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(report.read_text())
    assert said["wrong"] == []
    assert sum(said["clients"].values()) == CONNECTIONS
    # Each kind of client was there.
    assert set(said["clients"]) == {name for name, _ in LIVES}
    assert "nothing is left of them" in done.stdout


def test_what_a_gateway_keeps_is_found() -> None:
    """Not a leak, but as good as one: clients that are still there while it is counted."""
    found("gcc")
    with soaked() as gateway:
        before = gateway.counted(0)
        assert faults(before, [before], gateway.status()) == []
        with socket.socket() as client:
            client.connect(("127.0.0.1", gateway.place.gateway))
            client.sendall(b"\x05\x01\x00")
            assert client.recv(2) == b"\x05\x00"
            held = gateway.counted(1)
            assert faults(before, [held], gateway.status()) == [
                "1 descriptors more than before: socket",
                "status says live: 1",
            ]


def test_an_origin_that_has_ended_is_no_gateways_fault() -> None:
    found("gcc")
    with soaked() as gateway:
        gateway.origin.kill()
        with pytest.raises(NotMeasured, match="the load generator ended with -9"):
            gateway.settled(0, 0)


def test_clients_that_hear_something_else_are_told() -> None:
    """Nobody listens at all."""
    crowd = Crowd(Place(gateway=1, origin=1, closed=1), seed=1)
    crowd.come(30)
    assert crowd.wrong == 30
    assert len(crowd.faults) == 20
    assert all("ConnectionRefusedError" in one for one in crowd.faults)


def counts(*memory: int, **files: int) -> list[Count]:
    return [Count(1000 * at, files or {"socket": 4}, kib) for at, kib in enumerate(memory, 1)]


def test_memory_that_grows_is_a_fault() -> None:
    before = Count(0, {"socket": 4}, 0)
    flat = counts(30_000, 30_900, 29_500, 30_100)
    assert faults(before, flat, WELL) == []
    leaking = counts(30_000, 31_000, 32_000, 33_000)
    assert slope(leaking) == 1
    assert growth(leaking) == 3000 > growth_most(leaking)
    # Over many connections a little may be; that much is a leak.
    assert growth_most([Count(0, {}, 0), Count(200_000, {}, 0)]) < 200_000 * 20 / 1024
    assert faults(before, leaking, WELL) == ["memory grew by 3,000 KiB, 1,024 bytes for each connection"]
    assert slope(leaking[:1]) == 0


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"socket": 5, "anon_inode": 2}, ["1 descriptors more than before: socket"]),
        ({"socket": 4, "anon_inode": 1}, []),
        ({"socket": 4, "anon_inode": 2, "pipe": 8}, []),
        ({"socket": 4, "anon_inode": 2, "/tmp": 1}, ["1 descriptors more than before: /tmp"]),
    ],
)
def test_descriptors_that_stay_are_a_fault(files: dict[str, int], told: list[str]) -> None:
    before = Count(0, {"socket": 4, "anon_inode": 2}, 0)
    assert faults(before, counts(30_000, **files), WELL) == told


def test_bugs_and_flows_that_do_not_end_are_a_fault() -> None:
    before = Count(0, {"socket": 4}, 0)
    assert faults(before, counts(30_000), {"bugs": 2, "live": 1}) == [
        "status says bugs: 2",
        "status says live: 1",
    ]
    assert faults(before, counts(30_000), {}) == ["status says bugs: None", "status says live: None"]
