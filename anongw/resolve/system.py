"""The nameservers of this machine, from resolv.conf(5). Read by us and asked by us: libc is not involved.

Only `nameserver` lines count. `search` and `options` would change which names are asked, and for whom.
"""

import ipaddress
import os
from pathlib import Path

from anongw.errors import Reason, Refused
from anongw.resolve.server import Scheme, Server

# resolv.conf(5): "If there are multiple servers, the resolver library queries them in the order listed";
# MAXNS is 3.
NAMESERVERS_MOST = 3
PORT = 53
PATH = Path("/etc/resolv.conf")


class ResolvConf:
    """The servers that the file names now: it is read again when it has changed."""

    def __init__(self, path: Path = PATH, port: int = PORT) -> None:
        self._path = path
        self._port = port
        self._stamp: tuple[int, int, int] | None = None
        self._servers: tuple[Server, ...] = ()

    def servers(self) -> tuple[Server, ...]:
        """In the file's order.

        Raises:
            Refused: RESOLVER_FAILED where there is no such file or it names nobody.
        """
        try:
            state = os.stat(self._path)  # noqa: PTH116 - once a question; Path.stat costs twice as much
            stamp = state.st_mtime_ns, state.st_ino, state.st_size
            if stamp != self._stamp:
                self._servers = nameservers(self._path.read_text("ascii", "replace"), self._port)
                self._stamp = stamp
        except OSError as error:
            raise Refused(Reason.RESOLVER_FAILED, f"{self._path}: {error.strerror}") from None
        if not self._servers:
            raise Refused(Reason.RESOLVER_FAILED, f"{self._path} has no nameserver line: name a resolver")
        return self._servers


def nameservers(text: str, port: int = PORT) -> tuple[Server, ...]:
    """The servers that a resolv.conf names. Lines that no address can be read from are passed over."""
    found: dict[Server, None] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                found[Server(Scheme.UDP, ipaddress.ip_address(words[1]), port)] = None
            except ValueError:
                continue
    return tuple(found)[:NAMESERVERS_MOST]
