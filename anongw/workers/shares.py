"""Which limits are divided among workers, so that together they keep to what the config says. Pure.

Divided is what a process keeps for itself: memory, pipes, kept connections, questions under way. Connections,
in all and of each client, are counted over all workers (`ledger/tally.py`) and not divided: nobody is turned
away by one worker while another has room. All else is about one connection, and the same everywhere.
"""

import msgspec

from anongw.config import Config

# Each with its section.
DIVIDED = (
    ("limits", "pipe_bytes"),
    ("limits", "upstream_kept"),
    ("limits", "upstream_kept_per_origin"),
    ("limits", "password_queue"),
    ("limits", "identities"),
    ("resolve", "queries_most"),
    ("resolve", "cache_entries"),
)


def share(config: Config, index: int) -> Config:
    """The config of the worker of this number, from 0."""
    for section, name in DIVIDED if config.listen.workers > 1 else ():
        old = getattr(config, section)
        part, over = divmod(getattr(old, name), config.listen.workers)
        new = msgspec.structs.replace(old, **{name: part + (index < over)})
        config = msgspec.structs.replace(config, **{section: new})
    return config
