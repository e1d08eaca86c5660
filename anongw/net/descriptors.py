"""How many files this process may open: raised as far as an ordinary user may, and what follows from it."""

import resource


def raise_limit() -> int:
    """Raise RLIMIT_NOFILE to its hard limit; the number of descriptors that this process may now have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
