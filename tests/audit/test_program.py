"""The gateway's program is started, heard and ended; one that does not listen is said with its last words."""

import signal
import socket
import sys
from pathlib import Path

import pytest

from anongw.audit.canaries import MACHINE
from anongw.audit.program import Program
from anongw.lab.networks import unshare, why_not
from anongw.lab.wrong import Wrong

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")

SAYS_WHERE_IT_IS = (
    "import pathlib, socket, sys, time; folder = pathlib.Path(sys.argv[-1]).parent;"
    "s = socket.socket(socket.AF_UNIX); s.bind(str(folder / 'door')); s.listen();"
    "print(socket.gethostname(), sys.argv[1:3], flush=True); time.sleep(60)"
)


def program(folder: Path, text: str) -> Program:
    return Program(unshare(), (sys.executable, "-c", text), folder)


def test_it_lives_under_another_name_and_its_words_are_kept(tmp_path: Path) -> None:
    def knock() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(tmp_path / "door"))
        except OSError:
            sock.close()
            raise
        return sock

    one = program(tmp_path, SAYS_WHERE_IT_IS)
    one.start(tmp_path / "anongw.toml", knock)
    assert one.runs
    one.signal(signal.SIGKILL)
    assert one.wait() == -signal.SIGKILL
    assert not one.runs
    assert one.log.decode().split(maxsplit=1) == [MACHINE, "['serve', '--config']\n"]
    one.end()  # which it has by now


def test_its_last_words_are_said_where_it_does_not_listen(tmp_path: Path) -> None:
    def nobody() -> socket.socket:
        raise ConnectionRefusedError

    with pytest.raises(Wrong, match="something is missing"):
        program(tmp_path, "print('something is missing')").start(tmp_path / "anongw.toml", nobody)
