"""Several processes that share the listeners: `listen.workers` above 1.

supervisor.py  binds, forks, replaces, stops and reloads     worker.py   one gateway among several
channel.py     what the two say to each other                shares.py   which limits are divided, and how
pace.py        how soon a dead worker is replaced            sums.py     one status out of several
leash.py       a worker never outlives its parent

The parent is one thread without an event loop, so that it can fork at any time: a worker is the very program
and config that were checked, whatever lies on the disk by now, and no secret travels to it. It carries no
connection and reads nothing that a client or a server has sent.

What workers share, and what an identity relies on, is in `ledger/`. What each has for itself (kept
connections, cached names) is keyed by identity as ever.
"""
