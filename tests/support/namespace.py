"""The laboratory's three networks with the addresses that tests know: see anongw/lab/networks.py.

    client 10.77.0.2 --- 10.77.0.1 gateway 20.0.0.1 --- 20.0.0.11, .53, .80, ... outside
                                   2a00:20::1         2a00:20::11, ::53, ::80
                                   20.1.0.1 --- 20.1.0.254 (the second cable, where a test lays it)
                                   2a00:21::1   2a00:21::fe

Whatever has no route of its own goes outside, where the tests listen.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from anongw.lab import networks as lab
from anongw.lab.networks import CABLE_INSIDE, LOOPBACK, Plan, Where, unshare, why_not
from tests.support.process import ROOT

__all__ = ["CABLE_INSIDE", "LOOPBACK", "ROOT", "unshare", "why_not"]

CLIENT = "10.77.0.2"
GATEWAY_INSIDE = "10.77.0.1"
GATEWAY_OUTSIDE = "20.0.0.1"
GATEWAY_OUTSIDE_6 = "2a00:20::1"
# Addresses of the outside. They look public, so that the gateway needs no exemption to reach them.
RESOLVER, ORIGIN, REFUSING = "20.0.0.53", "20.0.0.80", "20.0.0.81"
RESOLVER_6, ORIGIN_6 = "2a00:20::53", "2a00:20::80"
# Of the hops of a chain, in their order; each connects to the next from its own.
HOPS, HOPS_6 = ("20.0.0.11", "20.0.0.12", "20.0.0.13"), ("2a00:20::11", "2a00:20::12", "2a00:20::13")
_ROUTER, _ROUTER_6 = "20.0.0.254", "2a00:20::fe"
CABLE_OUTSIDE = "out0"
# A second way outside, which the routing table takes only where the first does not lead.
CABLE_SECOND = "out1"
GATEWAY_SECOND, GATEWAY_SECOND_6 = "20.1.0.1", "2a00:21::1"
ROUTER_SECOND, ROUTER_SECOND_6 = "20.1.0.254", "2a00:21::fe"

_PLAN = Plan(
    client=(f"{CLIENT}/24",),
    inside=(f"{GATEWAY_INSIDE}/24",),
    own=(f"{GATEWAY_OUTSIDE}/24", f"{GATEWAY_OUTSIDE_6}/64"),
    outside=(
        *(f"{one}/24" for one in (_ROUTER, RESOLVER, ORIGIN, REFUSING, *HOPS)),
        *(f"{one}/64" for one in (_ROUTER_6, RESOLVER_6, ORIGIN_6, *HOPS_6)),
    ),
    routers=(_ROUTER, _ROUTER_6),
    outward=CABLE_OUTSIDE,
)


class Networks:
    """The laboratory's, and what tests ask of them more often."""

    def __init__(self, made: lab.Networks) -> None:
        self._made = made
        self.prefix = made.prefix
        self.listener = made.listener
        self.outgoing = made.outgoing
        self.datagrams = made.datagrams

    def client(self) -> socket.socket:
        """A TCP socket of the client's, not connected yet."""
        return self._made.stream(CLIENT, "client")

    def frames(self, cable: str, where: str = "gateway") -> socket.socket:
        return self._made.frames(cable, where)  # type: ignore[arg-type]

    @contextmanager
    def second_cable(self) -> Iterator[None]:
        """It is there until the block ends, or until the test has cut it.

        Answers may come by another cable than the questions went: no filter on the way back.
        """
        made = self._made
        made.cable(CABLE_SECOND, "eth2", "outside")
        ends = (
            ("gateway", CABLE_SECOND, (f"{GATEWAY_SECOND}/24", f"{GATEWAY_SECOND_6}/64")),
            ("outside", "eth2", (f"{ROUTER_SECOND}/24", f"{ROUTER_SECOND_6}/64")),
        )
        where: Where
        for where, device, addresses in ends:  # type: ignore[assignment]
            made.give(where, device, *addresses)
            # RFC 3704: strict reverse paths would drop what comes by the cable that routes do not prefer.
            for one in ("all", "default", LOOPBACK, device, *_DEVICES[where]):
                made.write(where, f"/proc/sys/net/ipv4/conf/{one}/rp_filter", "0")
        routers = (ROUTER_SECOND, ROUTER_SECOND_6)
        made.ip("gateway", *(f"route add default via {one} metric 5000" for one in routers))
        try:
            yield
        finally:
            if CABLE_SECOND in self.ip("link", "show"):
                self.cut()

    def cut(self) -> None:
        """Take the second cable away, with its interface, addresses and routes."""
        self.ip("link", "del", CABLE_SECOND)

    def ip(self, *words: str) -> str:
        """Run it in the gateway's network; what it says."""
        return self._made.ip("gateway", " ".join(words))


_DEVICES: dict[Where, tuple[str, ...]] = {
    "gateway": (CABLE_INSIDE, CABLE_OUTSIDE),
    "outside": (lab.OUTSIDE_END,),
}


@contextmanager
def networks() -> Iterator[Networks]:
    with lab.networks(_PLAN) as made:
        yield Networks(made)
