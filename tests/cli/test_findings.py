"""What a test of a chain shows: every number, no control codes where no terminal is, and no password."""

import io
import json
import os
import pty
import random
import re
import subprocess
import sys
from contextlib import suppress
from typing import IO

import pytest

from anongw import config
from anongw.cli.findings import amiss, encoded, progress, show
from anongw.outbound.examine import Finding, State
from anongw.outbound.position import Position
from anongw.outbound.relays import Step
from tests.support.chains import hop

PASSWORD = "hunter2"
HOP = hop(f"socks5://alice:{PASSWORD}@a.example:1080", "https://[2001:db8::1]:443", "direct")
POSITION = Position(HOP, config.Health(), draw=random.Random(0), sticky_most=1)
SOCKS, HTTPS, DIRECT = (Step(POSITION, index) for index in range(3))
FINDINGS = [
    [
        Finding(SOCKS, State.UP, "", 0.0334, 0.00012, 1.5),
        Finding(HTTPS, State.CERTIFICATE, "certificate has expired", 0.0099),
        Finding(DIRECT, State.DIRECT, "nothing to test"),
    ],
    [Finding(SOCKS, State.ACCEPTS, "", 0.01), Finding(HTTPS, State.UNTRIED, "no member of hop 1 works")],
]


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    show(FINDINGS)
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_a_line_for_each_member(capsys: pytest.CaptureFixture[str]) -> None:
    # Columns are two blanks apart, at the least.
    lines = [re.split(r" {2,}", line.rstrip()) for line in shown(capsys).splitlines()]
    assert lines == [
        ["hop", "upstream", "state", "reached", "logged in", "target"],
        ["1", "socks5://a.example:1080", "up", "33 ms", "0.1 ms", "1500 ms"],
        ["1", "https://[2001:db8::1]:443", "certificate: certificate has expired", "9.9 ms", "-", "-"],
        ["1", "direct", "direct: nothing to test", "-", "-", "-"],
        ["2", "socks5://a.example:1080", "accepts connections", "10 ms", "-", "-"],
        ["2", "https://[2001:db8::1]:443", "not tried: no member of hop 1 works", "-", "-", "-"],
    ]


def test_the_same_for_programs() -> None:
    found = json.loads(encoded(FINDINGS))
    assert found[:2] == [
        {
            "position": 1,
            "member": "socks5://a.example:1080",
            "state": "up",
            "reason": "",
            "reach_ms": 33.4,
            "login_ms": 0.1,
            "target_ms": 1500.0,
        },
        {
            "position": 1,
            "member": "https://[2001:db8::1]:443",
            "state": "certificate",
            "reason": "certificate has expired",
            "reach_ms": 9.9,
            "login_ms": None,
            "target_ms": None,
        },
    ]
    assert [one["position"] for one in found] == [1, 1, 1, 2, 2]


def test_what_is_amiss() -> None:
    assert amiss(FINDINGS) == [
        "hop 1: https://[2001:db8::1]:443: certificate: certificate has expired",
        "hop 2: https://[2001:db8::1]:443: not tried: no member of hop 1 works",
    ]


@pytest.mark.parametrize("state", State)
def test_only_what_works_and_what_is_no_hop_is_well(state: State) -> None:
    well = state in (State.UP, State.ACCEPTS, State.DIRECT)
    assert (amiss([[Finding(SOCKS, state)]]) == []) == well


def test_no_password_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert PASSWORD not in shown(capsys) + encoded(FINDINGS).decode() + repr(FINDINGS)


@pytest.mark.parametrize("evil", ["\x1b[31mred", "a\nb", "[bold]x[/bold]", ":smile:"])
def test_words_are_escaped_and_are_no_markup(capsys: pytest.CaptureFixture[str], evil: str) -> None:
    findings = [[Finding(SOCKS, State.CERTIFICATE, evil)]]
    show(findings)
    escaped = evil.encode("unicode_escape").decode()
    for text in (capsys.readouterr().out, *amiss(findings)):
        assert escaped in text
        assert all(line.isprintable() for line in text.split("\n"))
    assert json.loads(encoded(findings))[0]["reason"] == evil


def test_no_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(2, 5) as told:
        for place in (0, 1):
            told(place)
    assert capsys.readouterr() == ("", "")


SHOWING = """
from anongw.cli.findings import progress, show
from tests.cli.test_findings import FINDINGS
with progress(2, 3) as told:
    told(0)
    told(1)
    print("meanwhile", flush=True)
show(FINDINGS)
"""


def on_a_terminal(stream: str) -> tuple[bytes, bytes]:
    """What is written to a terminal as that stream, and what to the other, which is none."""
    ours, theirs = pty.openpty()
    streams: dict[str, IO[bytes] | int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams[stream] = theirs
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    for name in ("FORCE_COLOR", "NO_COLOR"):
        environment.pop(name, None)
    with subprocess.Popen([sys.executable, "-c", SHOWING], **streams, env=environment) as process:  # type: ignore[call-overload]
        os.close(theirs)
        text = io.BytesIO()
        with suppress(OSError):  # Linux says EIO once the other side is closed
            while data := os.read(ours, 1 << 16):
                text.write(data)
        os.close(ours)
        other = process.stdout if stream == "stderr" else process.stderr
        said: bytes = other.read()
        assert process.wait(20) == 0
    return text.getvalue(), said


def test_progress_is_for_a_terminal_and_leaves_nothing_behind() -> None:
    terminal, output = on_a_terminal("stderr")
    assert b"hop 2 of 2" in terminal
    assert b"2/3" in terminal
    # The cursor is there again, and the line of the bar is erased.
    assert terminal.rindex(b"\x1b[?25h") > terminal.rindex(b"2/3")
    assert terminal.endswith(b"\x1b[2K")
    assert output.startswith(b"meanwhile\n")
    assert b"\x1b" not in output


def test_a_table_on_a_terminal_has_colours() -> None:
    terminal, errors = on_a_terminal("stdout")
    assert b"\x1b[32mup" in terminal
    assert b"\x1b[31mcertificate" in terminal
    assert errors == b""
