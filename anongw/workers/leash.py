"""A worker never outlives its parent: nobody would stop it, count it or keep it to its limits."""

import ctypes
import os
import signal

# prctl(2). Python has no name for it.
_PR_SET_PDEATHSIG = 1


def leash(parent: int) -> None:
    """Have the kernel kill this process when its parent `parent` dies, whatever it dies of.

    Raises:
        OSError: it cannot be had.
        ProcessLookupError: the parent is dead already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    # It may have died before the kernel was told.
    if os.getppid() != parent:
        raise ProcessLookupError
