"""Names for the fake DNS server, and a resolver that asks it."""

import ipaddress

import msgspec
import pytest

from anongw.address import Address
from anongw.config import Resolve
from anongw.errors import Reason, Refused
from anongw.resolve.resolver import Resolver
from tests.support.dns_server import FakeDns

RECORDS = {
    "both.example": ("192.0.2.1", "192.0.2.2", "2001:db8::1"),
    "v4.example": ("192.0.2.4",),
    "v6.example": ("2001:db8::6",),
    "alias.example": ("both.example",),
    "rebind.example": ("10.0.0.1", "fd00::1"),
    "mixed.example": ("10.0.0.1", "192.0.2.9"),
    "printer.lab.internal": ("192.0.2.77",),
}


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def public(address: Address) -> bool:
    return address not in ipaddress.ip_network("10.0.0.0/8") and address not in ipaddress.ip_network(
        "fd00::/8"
    )


def resolver(server: FakeDns, scheme: str = "tcp", *, now: Clock | None = None, **more: object) -> Resolver:
    """Asks the server, which must run already; `more` are settings."""
    return Resolver(
        msgspec.structs.replace(Resolve(servers=(server.url(scheme),), timeout=20), **more),
        allow_private=public,
        now=now or Clock(),
        udp_wait=0.05,
    )


async def lookup(asked: Resolver, name: str, identity: str = "me") -> list[str]:
    return [str(address) for address in await asked.addresses(name, identity)]


async def refusal(asked: Resolver, name: str, identity: str = "me") -> Reason:
    with pytest.raises(Refused) as refused:
        await asked.addresses(name, identity)
    return refused.value.reason
