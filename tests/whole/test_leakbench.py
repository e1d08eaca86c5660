"""scripts/leakbench finds what a peer lets through and nothing at the gateway; a proxy must work to count."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from anongw.lab.networks import why_not
from scripts.benchmark.running import NotMeasured
from scripts.leaks import matrix
from scripts.leaks.cell import Cell, of, these, yes_or_no
from scripts.leaks.peers import PEERS, Peer, chosen
from scripts.leaks.places import GATEWAY, PORT
from tests.support.process import ROOT
from tests.support.programs import found

in_namespaces = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")

# It takes connections and closes them: nothing leaks.
CLOSES = f"""
import socket
listener = socket.create_server(("{GATEWAY}", {PORT}))
while True:
    listener.accept()[0].close()
"""


@in_namespaces
def test_a_peer_beside_ours(tmp_path: Path) -> None:
    found("tinyproxy")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "scripts.leaks", "--peers", "anongw,tinyproxy", "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(report.read_text())
    assert said["missing"] == {}
    ours, theirs = said["peers"]["anongw"], said["peers"]["tinyproxy"]
    # It speaks every protocol, so every row is about it.
    assert set(ours) >= set(theirs)
    assert [row for row, cell in ours.items() if cell["leaks"]] == []
    leaks = {row: cell["seen"] for row, cell in theirs.items() if cell["leaks"]}
    # What its package brings, by its documentation and its source.
    assert leaks["addresses in the client's X-Forwarded-For, Forwarded, Via, ..."] == "7 of 7"
    assert leaks["Proxy-Authorization: the password for the proxy"] == "yes"
    assert leaks["names are asked of the machine's resolver"] == "yes"
    assert leaks["its own machine and a cloud's metadata are reached"] == "6 of 6"
    assert "name" in leaks["an error page tells"]
    assert "a header that Connection names" not in leaks
    for row in ours:
        assert row in done.stdout


@in_namespaces
@pytest.mark.parametrize(
    ("command", "why"),
    [
        ([sys.executable, "-c", CLOSES], "a request did not reach the origin"),
        (["sh", "-c", "echo no such option; exit 3"], "it does not start: no such option"),
    ],
)
def test_what_does_not_work_hides_nothing(command: Sequence[str], why: str) -> None:
    with pytest.raises(NotMeasured, match=why):
        matrix.column(replace(PEERS[0], command=lambda _: command))


def test_a_peer_that_is_not_installed_is_said() -> None:
    missing = Peer("none such", lambda _: [], "none", package="apt install none-such")
    assert missing.missing() == "not installed: apt install none-such"


def test_peers_are_chosen_by_name() -> None:
    assert [one.name for one in chosen(["squid", "anongw"])] == ["anongw", "squid"]
    assert chosen([]) == list(PEERS)
    with pytest.raises(ValueError, match="there is no peer quid; there are: anongw, squid"):
        chosen(["quid"])


def test_cells() -> None:
    assert yes_or_no("x") == Cell("yes", leaks=True)
    assert yes_or_no(None) == Cell("no", leaks=False)
    assert (of(2, 7), of(0, 7)) == (Cell("2 of 7", leaks=True), Cell("no", leaks=False))
    assert (these(["a", "b"]), these([])) == (Cell("a, b", leaks=True), Cell("no", leaks=False))


def test_the_table() -> None:
    columns = {"one": {"first": yes_or_no(leaks=False)}, "two": {"second": these(["Via"]), "first": of(1, 2)}}
    assert matrix.markdown(columns).splitlines() == [
        "| what gets through | one | two |",
        "| --- | --- | --- |",
        "| second |  | **Via** |",
        "| first | no | **1 of 2** |",
    ]
    assert matrix.record(columns)["two"]["first"] == {"seen": "1 of 2", "leaks": True}
