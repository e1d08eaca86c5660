"""Who may connect at all: the clients that the config lists, and no more of them than fit.

Decided on the accepted socket, before a byte is read. A client that is not let in is closed without a word.
"""

from ipaddress import IPv6Address

from anongw.address import Address
from anongw.config import Cidr, Limits
from anongw.errors import Reason, Refused
from anongw.ledger import OwnTally, Tally

# Descriptors that are not connections: standard streams, epolls, listeners, resolvers, a config being read.
_RESERVED_FILES = 64
# Each connection takes two at most: the client's and the upstream's.
_FILES_EACH = 2
# A pipe for bulk transfers takes two, and holds 1 MiB of the pipe budget.
_PIPE_BYTES = 1 << 20


def capacity(limits: Limits, open_files: int, workers: int = 1) -> tuple[int, int]:
    """How many client connections fit into all workers, and how many into one.

    Args:
        limits: of the config; `connections` 0 means as many as the open files allow.
        open_files: how many descriptors a process may have.
        workers: how many processes there are.

    Raises:
        ValueError: more were asked for than can be had; the text says how to mend it.

    """
    others = _RESERVED_FILES + limits.upstream_kept + 2 * (limits.pipe_bytes // _PIPE_BYTES)
    # Where files are few, kept connections and pipes give way: both can be done without.
    others = min(others, open_files // 2)
    fit = max(1, (open_files - others) // _FILES_EACH)
    if limits.connections > fit * workers:
        needed = others + _FILES_EACH * -(-limits.connections // workers)
        raise ValueError(
            f"limits.connections = {limits.connections} needs {needed} open files and a process may have "
            f"{open_files}: raise the hard limit (ulimit -Hn {needed}) or write at most {fit * workers}"
        )
    return limits.connections or fit * workers, fit


class Admission:
    """Counts the connections of each client; with a shared `tally` those of other workers too."""

    def __init__(
        self, clients: tuple[Cidr, ...], most: int, per_client: int, tally: Tally | None = None
    ) -> None:
        self.retune(clients, most, per_client)
        self._tally = tally or OwnTally()

    @property
    def total(self) -> int:
        """Client connections of this process now."""
        return self._tally.own

    def retune(self, clients: tuple[Cidr, ...], most: int, per_client: int) -> None:
        """Go by other numbers from now on. Whoever is in stays in."""
        self._clients = clients
        self._most = most
        # Three quarters by default: no client alone can lock out the others.
        self._per_client = per_client or max(1, most * 3 // 4)

    def enter(self, client: Address | None) -> None:
        """Count one more connection of `client`, None being those of Unix sockets.

        Raises:
            Refused: CLIENT_REFUSED or TOO_MANY; nothing was counted.
        """
        if self._clients and client is not None and not any(client in one.network for one in self._clients):
            raise Refused(Reason.CLIENT_REFUSED)
        one = _one_client(client)
        if not self._tally.enter(one, self._most, self._per_client):
            raise Refused(Reason.TOO_MANY)

    def leave(self, client: Address | None) -> None:
        self._tally.leave(_one_client(client))


def _one_client(client: Address | None) -> int | None:
    """Whom a connection counts for: with IPv6 a whole /64, of which one host can use every address.

    As a number, below zero for IPv6: `ipaddress` spells its values out to hash them.
    """
    if client is None:
        return None
    number = int(client)
    return ~(number >> 64) if isinstance(client, IPv6Address) else number
