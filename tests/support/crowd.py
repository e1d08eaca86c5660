"""Many clients of one gateway, in every protocol, and in whose name each of them asks.

The gateway's rule is written here a second time, on purpose: a user's name, else the listener; and what else
the client wants to be told apart by.
"""

import base64
import ipaddress
from typing import NamedTuple

from hypothesis import strategies as st

from tests.support import asks

Identity = tuple[str, ...]

PROTOCOLS = ("socks5", "socks4", "connect", "http")
USERS = ("", "canary-user-1", "canary-user-2", "canary-user-1 token x", "canary-Üser")
PASSWORDS = ("", "canary-pass-1", "canary-pass-2")
TOKENS = ("", "canary-token-1", "canary-token-2", "canary-pass-1")  # the last is a password too
SOURCES = ("127.0.0.21", "127.0.0.22")
LISTENERS = 2


class Client(NamedTuple):
    """Who asks, and how. `token` is HTTP's header Tor-Stream-Isolation."""

    protocol: str
    user: str
    password: str
    token: str
    listener: int
    source: str

    def identity(self, host: str, *, by_client: bool, by_destination: bool) -> Identity:
        who = f"user {self.user}" if self.user else f"listener {self.listener}"
        found = [who, f"password {self.password}", f"token {self.token}"]
        return (*found, self.source if by_client else "", host if by_destination else "")

    def asks(self, host: str, port: int) -> tuple[bytes, bytes]:
        """What it says to be connected, and what it hears when it is."""
        if self.protocol == "socks4":
            return asks.socks4(host, port, self.user.encode()), asks.socks4_reply(0x5A)
        if self.protocol == "socks5":
            request, granted = asks.socks5_request(host, port), asks.socks5_reply(0)
            if not self.user:
                return asks.SOCKS5_NONE + request, b"\x05\x00" + granted
            login = asks.socks5_login(self.user.encode(), self.password.encode())
            return login + request, b"\x05\x02\x01\x00" + granted
        return asks.connect(host, port, *self.headers), asks.ESTABLISHED

    @property
    def headers(self) -> tuple[bytes, ...]:
        lines = []
        if self.user:
            coded = base64.b64encode(f"{self.user}:{self.password}".encode())
            lines.append(b"Proxy-Authorization: Basic " + coded)
        if self.token:
            lines.append(b"Tor-Stream-Isolation: " + self.token.encode())
        return tuple(lines)

    @property
    def secrets(self) -> set[bytes]:
        """What nobody beyond the gateway may ever hear of it."""
        plain = {text.encode() for text in (self.user, self.password, self.token, self.source) if text}
        plain.add(ipaddress.ip_address(self.source).packed)
        pair = f"{self.user}:{self.password}".encode()
        return plain | ({base64.b64encode(pair)} if self.user else set())

    @property
    def sayable(self) -> "Client":
        """As much of it as its protocol can say."""
        http = self.protocol in ("connect", "http")
        password = self.password if self.user and self.protocol != "socks4" else ""
        return self._replace(password=password, token=self.token if http else "")


CLIENTS = st.builds(
    Client,
    protocol=st.sampled_from(PROTOCOLS),
    user=st.sampled_from(USERS),
    password=st.sampled_from(PASSWORDS),
    token=st.sampled_from(TOKENS),
    listener=st.integers(0, LISTENERS - 1),
    source=st.sampled_from(SOURCES),
).map(lambda client: client.sayable)
