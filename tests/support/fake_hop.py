"""The laboratory's hop as tests have it: on a port of loopback, and named as anongw names one."""

import socket
import ssl
from typing import Any

import trustme

from anongw.lab.hop import Hop, Scheme
from anongw.lab.server import Place
from tests.support.outside import listening
from tests.support.upstreams import Upstream

__all__ = ["FakeHop", "Place", "Scheme", "certified"]


def certified(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's context with a certificate for these names and addresses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


class FakeHop(Hop):
    """See `Hop` for the rest of what it takes."""

    def __init__(
        self,
        protocol: Scheme = "socks5",
        *,
        listener: socket.socket | None = None,
        **options: Any,  # noqa: ANN401 - the laboratory's own
    ) -> None:
        super().__init__(protocol, listener or listening("127.0.0.1"), **options)

    @property
    def upstream(self) -> Upstream:
        """As anongw names it, with the first of its users."""
        host = f"[{self.place[0]}]" if ":" in self.place[0] else self.place[0]
        scheme = "https" if self.tls and self.protocol == "http" else self.protocol
        user, password = next(iter(self.users.items()), ("", ""))
        return Upstream(scheme, self.port, user, password, host)

    @property
    def url(self) -> str:
        return self.upstream.url
