"""Each rule of `net/pipes.py`."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from anongw.net.pipes import PIPE_SIZE, Pipe, Pipes
from tests.support.sockets import descriptors


@contextmanager
def pool(budget: int) -> Iterator[Pipes]:
    before = descriptors()
    pipes = Pipes(budget)
    yield pipes
    pipes.close()
    assert descriptors() == before, "pipes were left open"


def borrowed(pipes: Pipes) -> Pipe:
    pipe = pipes.borrow()
    assert pipe is not None
    return pipe


def is_empty(pipe: Pipe) -> bool:
    try:
        return not os.read(pipe[0], 1)
    except BlockingIOError:
        return True


def test_a_pipe_has_the_size_never_blocks_and_is_not_inherited() -> None:
    with pool(PIPE_SIZE) as pipes:
        pipe = borrowed(pipes)
        assert fcntl.fcntl(pipe[1], fcntl.F_GETPIPE_SZ) == PIPE_SIZE
        assert not any(os.get_blocking(end) or os.get_inheritable(end) for end in pipe)
        pipes.give_back(pipe, clean=True)


@pytest.mark.parametrize(
    ("budget", "most"), [(0, 0), (PIPE_SIZE - 1, 0), (PIPE_SIZE, 1), (3 * PIPE_SIZE + 1, 3)]
)
def test_the_budget_is_never_exceeded(budget: int, most: int) -> None:
    with pool(budget) as pipes:
        assert pipes.room == most
        out = [borrowed(pipes) for _ in range(most)]
        assert (pipes.borrow(), pipes.room) == (None, 0)
        for pipe in out:
            pipes.give_back(pipe, clean=True)


def test_a_drained_pipe_is_used_again() -> None:
    with pool(PIPE_SIZE) as pipes:
        pipe = borrowed(pipes)
        pipes.give_back(pipe, clean=True)
        assert pipes.borrow() == pipe
        pipes.give_back(pipe, clean=True)


def test_a_pipe_that_holds_bytes_is_closed_and_makes_room() -> None:
    with pool(PIPE_SIZE) as pipes:
        dirty = borrowed(pipes)
        os.write(dirty[1], b"another tunnel's")
        pipes.give_back(dirty, clean=False)
        assert pipes.room == 1
        clean = borrowed(pipes)
        assert is_empty(clean)
        pipes.give_back(clean, clean=True)


def test_a_pipe_that_comes_back_after_the_end_is_closed() -> None:
    before = descriptors()
    pipes = Pipes(PIPE_SIZE)
    pipe = borrowed(pipes)
    pipes.close()
    pipes.give_back(pipe, clean=True)
    assert descriptors() == before


def as_an_ordinary_user(script: str) -> str:
    """Run it in a process of its own, which gives up root's rights (root hides the kernel's limits)."""
    program = """
import fcntl, os, resource
from anongw.net.pipes import Pipes
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
"""
    done = subprocess.run(
        [sys.executable, "-c", program + script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_ordinary_user_gets_none_beyond_the_kernels_share_and_copies() -> None:
    # pipe(7), pipe-user-pages-soft: 64 MiB in all unless the administrator says otherwise. Beyond it pipes
    # shrink to one or two pages and cannot be enlarged; `borrow` must hand out none of those.
    script = """
pages = int(open("/proc/sys/fs/pipe-user-pages-soft").read())
whole = pages * 4096 // 2**20
pipes, out = Pipes(4 * whole * 2**20), []
while len(out) < 2 * whole and (pipe := pipes.borrow()):
    out.append(pipe)
before = len(os.listdir("/proc/self/fd"))
refused = pipes.borrow() is None
least = min(fcntl.fcntl(pipe[1], fcntl.F_GETPIPE_SZ) for pipe in out)
print(bool(out), len(out) <= whole, refused, least >= 2**18, len(os.listdir("/proc/self/fd")) == before)
"""
    assert as_an_ordinary_user(script) == "True True True True True"


def test_no_descriptor_left_means_no_pipe_and_no_error() -> None:
    script = """
pipes = Pipes(2**20)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
print(pipes.borrow(), pipes.room)
"""
    assert as_an_ordinary_user(script) == "None 1"
