"""Kernel pipes for splice, kept and counted.

A pipe is borrowed while bytes are in it and given back when it is drained, so an idle tunnel owns none. The
budget is the kernel's: an ordinary user gets 64 MiB of pipe buffers in all (pipe(7),
/proc/sys/fs/pipe-user-pages-soft); beyond it new pipes shrink to 8 KiB, too small to be worth a splice.
Whoever gets none copies.
"""

import fcntl
import os

# Bytes in one pipe: what a fast sender fills between two wake-ups.
PIPE_SIZE = 1024 * 1024
# A pipe that the kernel made smaller than this costs more than copying does.
_PIPE_LEAST = 256 * 1024
# After the kernel refused a pipe, so many requests are not even tried: each would cost four system calls.
_REST = 64

# Bytes moved one way by one wake-up: about 0.1 ms of work.
BUDGET = 256 * 1024
SPLICE_FLAGS = getattr(os, "SPLICE_F_NONBLOCK", 2) | getattr(os, "SPLICE_F_MOVE", 1)

Pipe = tuple[int, int]  # read end, write end


class Pipes:
    """A pool of pipes that never exceeds `budget` bytes; 0 turns splice off."""

    def __init__(self, budget: int) -> None:
        self._idle: list[Pipe] = []
        self._room = budget // PIPE_SIZE if hasattr(os, "splice") else 0
        self._closed = False
        self._not_before = 0  # how many requests to answer with None before trying again

    @property
    def room(self) -> int:
        """How many more pipes may be made."""
        return self._room

    def borrow(self) -> Pipe | None:
        """A pipe with nothing in it, or None: copy instead."""
        if self._idle:
            return self._idle.pop()
        if self._room <= 0:
            return None
        if self._not_before:
            self._not_before -= 1
            return None
        pipe = self._make()
        if pipe is None:
            self._not_before = _REST
        else:
            self._room -= 1
        return pipe

    def give_back(self, pipe: Pipe, *, clean: bool) -> None:
        """A pipe that still holds bytes is closed: they must never meet another tunnel's."""
        if clean and not self._closed:
            self._idle.append(pipe)
        else:
            _close(pipe)
            self._room += 1

    def close(self) -> None:
        """Keep none any more; those that are out are closed when they come back."""
        self._closed = True
        while self._idle:
            _close(self._idle.pop())
            self._room += 1

    def _make(self) -> Pipe | None:
        try:
            pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # no descriptor left
            return None
        try:
            size = fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:  # this user's share of pipe buffers is used up, perhaps by other programs
            size = 0
        if size >= _PIPE_LEAST:
            return pipe
        _close(pipe)
        return None


def _close(pipe: Pipe) -> None:
    os.close(pipe[0])
    os.close(pipe[1])
