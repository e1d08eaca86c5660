"""The tables of `anongw status`: every number is there, and a config's words cannot reach the terminal."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import msgspec
import pytest

from anongw.cli.tables import show
from anongw.control import ChainStatus, HopStatus, MemberStatus, RouteStatus, Status, WorkerStatus
from anongw.errors import Reason
from anongw.exposure import Exposure

BARE = Status(
    version="1.2.3",
    generation=4,
    uptime=93784.9,
    listeners=("127.0.0.1:1080", "unix:/run/a.sock"),
    flows=120,
    live=7,
    routes=(),
    refused={},
    chains=(),
    kept=5,
    cached=60,
    headers_dropped=3,
    scrubbed=0.256,
    scrubbable=0.4,
    bugs=2,
)


def member(label: str, **values: object) -> MemberStatus:
    return msgspec.convert(
        {"label": label, "state": "up", "live": 0, "dials": 0, "failures": 0} | values, MemberStatus
    )


FULL = msgspec.structs.replace(
    BARE,
    routes=(
        RouteStatus(name="tor", flows=100, sent=1_500_000, received=2_000_000_000),
        RouteStatus(name="direct", flows=20, sent=500_000, received=0),
    ),
    refused={Reason.CLIENT_GONE: 3, Reason.HOP_AUTH: 40},
    chains=(
        ChainStatus(
            name="tor",
            hops=(
                HopStatus(
                    strategy="random",
                    members=(
                        member("socks5://a.example:1080", live=6, dials=80, failures=9, latency=33.4),
                        member("https://[2001:db8::1]:443", state="down"),
                    ),
                ),
                HopStatus(strategy="fail-over", members=(member("socks4://b.example:1", state="trying"),)),
            ),
        ),
    ),
)


def shown(capsys: pytest.CaptureFixture[str], state: Status) -> list[list[str]]:
    show(state, clear=True)
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_gateway_without_chains(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, BARE) == [
        ["gateway", "anongw", "1.2.3,", "up", "1", "day,", "2:03:04,", "config", "4,", "2", "bugs"],
        ["listens", "127.0.0.1:1080,", "unix:/run/a.sock"],
        ["flows", "120,", "0", "bytes", "sent,", "0", "bytes", "received"],
        ["now", "7", "connections,", "5", "kept", "ones", "to", "origins,", "60", "cached", "answers"],
        ["refused", "none"],
        [
            *("scrubbed", "26%", "of", "all", "bytes,", "of", "40%", "that", "could", "be;"),
            *("3", "header", "lines", "dropped"),
        ],
        ["exposed", "nothing", "that", "is", "known", "of"],
    ]


def test_routes_and_hops(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, FULL)
    assert lines[2] == ["flows", "120,", "2.0", "MB", "sent,", "2.0", "GB", "received"]
    assert lines[4] == ["refused", "40", "hop-auth,", "3", "client-gone"]
    assert lines[7:] == [
        [],
        ["route", "flows", "sent", "received"],
        ["tor", "100", "1.5", "MB", "2.0", "GB"],
        ["direct", "20", "500.0", "kB", "0", "bytes"],
        [],
        ["chain", "hop", "upstream", "state", "now", "dials", "failed", "took"],
        ["tor", "1", "random", "socks5://a.example:1080", "up", "6", "80", "9", "33", "ms"],
        ["tor", "1", "random", "https://[2001:db8::1]:443", "down", "0", "0", "0", "-"],
        ["tor", "2", "socks4://b.example:1", "trying", "0", "0", "0", "-"],
    ]


def test_what_clients_gave_away(capsys: pytest.CaptureFixture[str]) -> None:
    exposed = {Exposure.UNSCRUBBED: 3, Exposure.BY_ADDRESS: 2, Exposure.PLAINTEXT: 0}
    show(msgspec.structs.replace(BARE, exposed=exposed))
    assert "2 asked by address (client looks names up itself?), 3 to port 80 in a tunnel\n" in (
        capsys.readouterr().out
    )


def test_a_long_name_stays_on_its_line_where_a_program_reads(capsys: pytest.CaptureFixture[str]) -> None:
    label = f"socks5://{'a' * 60}.{'b' * 60}.example:1080"
    chains = (ChainStatus(name="tor", hops=(HopStatus(strategy="random", members=(member(label),)),)),)
    show(msgspec.structs.replace(BARE, chains=chains))
    assert label in capsys.readouterr().out


@pytest.mark.parametrize("evil", ["\x1b[31mred", "a\nb", "\u202egnp.exe", "\x07"])
def test_words_of_a_config_are_escaped(capsys: pytest.CaptureFixture[str], evil: str) -> None:
    state = msgspec.structs.replace(
        FULL,
        version=evil,
        listeners=(f"unix:/{evil}",),
        routes=(RouteStatus(name=evil, flows=1, sent=0, received=0),),
        chains=(ChainStatus(name=evil, hops=FULL.chains[0].hops),),
    )
    show(state)
    out = capsys.readouterr().out
    escaped = evil.encode("unicode_escape").decode()
    assert out.count(escaped) == 6, "one for each, and one for each member of the chain"
    assert all(line.isprintable() for line in out.split("\n"))


@pytest.mark.parametrize("words", ["[bold]tor[/bold]", ":smile:", "[/]"])
def test_words_of_a_config_are_no_markup(capsys: pytest.CaptureFixture[str], words: str) -> None:
    show(msgspec.structs.replace(BARE, routes=(RouteStatus(name=words, flows=1, sent=0, received=0),)))
    assert words in capsys.readouterr().out


TWICE = """
import msgspec, sys
from anongw.cli.tables import show
from tests.cli.test_tables import FULL
show(FULL)
show(FULL, clear=True)
"""


def test_a_terminal_is_cleared_and_has_colours() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TWICE], stdout=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    ) as process:
        os.close(theirs)
        text = b""
        with suppress(OSError):  # Linux says EIO once the other side is closed
            while data := os.read(ours, 1 << 16):
                text += data
        os.close(ours)
        assert process.wait(20) == 0
    first, cleared, second = text.partition(b"\x1b[2J")
    assert cleared
    assert b"\x1b[32mup" in first
    assert b"\x1b[31mdown" in second


def test_workers_are_shown_where_there_are_several(capsys: pytest.CaptureFixture[str]) -> None:
    show(BARE)
    assert "workers" not in capsys.readouterr().out
    each = tuple(WorkerStatus(number=number, uptime=1.0, flows=number * 10, live=number) for number in (1, 2))
    show(msgspec.structs.replace(BARE, workers=each))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "workers   2 (1: 10 flows, 1 now, 2: 20 flows, 2 now)" in lines
    show(msgspec.structs.replace(BARE, workers=each, replaced=3))
    assert "; 3 died and were replaced, with their counts" in capsys.readouterr().out
