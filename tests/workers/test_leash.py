"""A process on a leash dies with its parent, and does not begin where there is none."""

import os
import select
import signal

from anongw.workers.leash import leash
from tests.support.process import PATIENCE


def test_it_dies_with_its_parent() -> None:
    """A grandchild holds a pipe open for as long as it lives."""
    ours, theirs = os.pipe()
    parent = os.fork()
    if not parent:
        os.close(ours)
        me = os.getpid()
        if not os.fork():
            leash(me)
            os.write(theirs, b"on")
            signal.pause()
            os._exit(1)
        os.close(theirs)
        signal.pause()
        os._exit(1)
    os.close(theirs)
    assert os.read(ours, 2) == b"on"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert select.select([ours], [], [], PATIENCE)[0]
    assert os.read(ours, 1) == b"", "it is dead, and the pipe closed with it"
    os.close(ours)


def test_a_parent_that_is_dead_already_is_noticed() -> None:
    child = os.fork()
    if not child:
        status = 1
        try:
            leash(os.getppid() + 1)
        except ProcessLookupError:
            status = 7
        os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
