"""Three networks of our own: a client's, the gateway's and the outside, joined by two virtual cables.

    client --- in0 gateway out0 --- outside: hops, resolvers, origins, and a router where everything else ends

What those outside say to each other passes the outside's own loopback, from address to address. None of the
three leads anywhere else: what is sent in there cannot reach the real network, whatever its address.

They live as long as one holder process does (holder.py), which `unshare` starts in a new network namespace
(and, for an ordinary user, in a user namespace). It makes sockets in each of them and hands them out; the
gateway itself is started beside it by `nsenter`, behind `prefix`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from anongw.lab import holder
from anongw.lab.wrong import PATIENCE, must

Where = Literal["client", "gateway", "outside"]

CABLE_INSIDE: Final = "in0"  # the gateway's end, and below the client's and the outside's
CLIENT_END, OUTSIDE_END = "eth0", "eth1"
LOOPBACK: Final = "lo"  # every network has its own
# Apart from everybody else's, so that a port of the client's is never another's by chance.
_CLIENT_PORTS = "20000 29999"


@dataclass(frozen=True)
class Plan:
    """Whose address is what, each as `ip` takes it: "20.0.0.1/24".

    The gateway's `own` are on its cable toward the outside, and `local` ones on its loopback beside the
    usual; `routers` are where its packets for everybody else go.
    """

    client: Sequence[str]
    inside: Sequence[str]
    own: Sequence[str]
    outside: Sequence[str]
    routers: Sequence[str]
    local: Sequence[str] = ()
    outward: str = "out0"
    # As `ip route add` takes them.
    client_routes: Sequence[str] = ()
    gateway_routes: Sequence[str] = ()
    outside_routes: Sequence[str] = ()


class Networks:
    """The user's side of the holder."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self._control = control
        self._asking = threading.Lock()  # the hops' threads ask, too
        self.prefix = _enter(pid)  # put in front of a program that is to run beside the gateway

    def build(self, plan: Plan) -> None:
        self.cable(CABLE_INSIDE, CLIENT_END, "client")
        self.cable(plan.outward, OUTSIDE_END, "outside")
        # Whatever the machine does: nobody's packets go through the gateway but by its program.
        self.write("gateway", "/proc/sys/net/ipv4/ip_forward", "0")
        self.write("client", "/proc/sys/net/ipv4/ip_local_port_range", _CLIENT_PORTS)
        self.give("gateway", LOOPBACK, *plan.local)
        self.give("gateway", CABLE_INSIDE, *plan.inside)
        self.give("gateway", plan.outward, *plan.own)
        self.give("client", CLIENT_END, *plan.client)
        self.give("outside", OUTSIDE_END, *plan.outside)
        self.ip("gateway", *(f"route add default via {router}" for router in plan.routers))
        self.ip("client", *(f"route add {route}" for route in plan.client_routes))
        self.ip("gateway", *(f"route add {route}" for route in plan.gateway_routes))
        self.ip("outside", *(f"route add {route}" for route in plan.outside_routes))

    def give(self, where: Where, device: str, *addresses: str) -> None:
        """Addresses to a device, which is up from then on."""
        # nodad: an IPv6 address may be used at once.
        added = (f"addr add {one} dev {device}" + (" nodad" if ":" in one else "") for one in addresses)
        self.ip(where, f"link set {LOOPBACK} up", f"link set {device} up", *added)

    def listener(self, host: str, port: int = 0, where: Where = "outside") -> socket.socket:
        """A listening socket, outside if nothing else is said."""
        wanted = {"where": where, "host": host, "kind": socket.SOCK_STREAM, "port": port, "reuse": True}
        sock = self._sock(wanted)
        sock.listen(100)
        return sock

    def outgoing(self, host: str, host_6: str) -> Callable[[str], socket.socket]:
        """For one outside who goes on from these addresses: what makes a TCP socket toward another."""
        return lambda target: self.stream(host_6 if ":" in target else host, "outside")

    def datagrams(self, host: str, port: int = 0, where: Where = "outside") -> socket.socket:
        """A UDP socket."""
        return self._sock({"where": where, "host": host, "kind": socket.SOCK_DGRAM, "port": port})

    def stream(self, host: str, where: Where, port: int = 0) -> socket.socket:
        """A TCP socket that will connect from there. `port`: one that was perhaps used a moment ago."""
        wanted = {"where": where, "host": host, "kind": socket.SOCK_STREAM, "port": port}
        return self._sock(wanted | {"reuse": bool(port)})

    def frames(self, cable: str, where: Where = "gateway") -> socket.socket:
        """All that passes one of the gateway's interfaces (or another network's), from now on."""
        return self._sock({"where": where, "frames": cable})

    def cable(self, near: str, far: str, where: Where) -> None:
        """One more, from the gateway's network to another."""
        self._ask({"where": "gateway", "cable": [near, far, where]})

    def write(self, where: Where, path: str, text: str) -> None:
        """Set what the kernel lets each network set for itself."""
        self._ask({"where": where, "write": [path, text]})

    def ip(self, where: Where, *lines: str) -> str:
        """Run `ip` there, with each of these lines; what it says."""
        return self._ask({"where": where, "ip": lines})[0] if lines else ""

    def _sock(self, wanted: dict[str, Any]) -> socket.socket:
        _, descriptors = self._ask(wanted)
        return socket.socket(fileno=descriptors[0])

    def _ask(self, wanted: dict[str, Any]) -> tuple[str, list[int]]:
        with self._asking:
            self._control.send(json.dumps(wanted).encode())
            said, descriptors, _, _ = socket.recv_fds(self._control, holder.MESSAGE_MOST, 1)
        answer: dict[str, str] = json.loads(said)
        must("error" not in answer, answer.get("error"))
        return answer.get("said", ""), list(descriptors)


def why_not() -> str:
    """Why namespaces cannot be made here; "" if they can."""
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    tried = subprocess.run([*unshare(), "true"], capture_output=True, check=False)  # noqa: S603 - our own
    if tried.returncode:
        # Where an ordinary user may not: Debian before 11 has the switch
        # kernel.unprivileged_userns_clone, Ubuntu from 24.04 kernel.apparmor_restrict_unprivileged_userns.
        return f"no network namespaces: {tried.stderr.decode(errors='replace').strip()}"
    return ""


@contextmanager
def networks(plan: Plan) -> Iterator[Networks]:
    """All three, until the block ends.

    Raises:
        Wrong: they cannot be made here; `why_not` may say why.
    """
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.settimeout(PATIENCE)
    with here, there:
        kept = subprocess.Popen(  # noqa: S603 - our own words
            [*unshare(), sys.executable, "-m", holder.__name__, str(there.fileno())],
            cwd=Path(__file__).parents[2],  # where the package is
            pass_fds=(there.fileno(),),
        )
        there.close()
        try:
            must(here.recv(100) == b"ready", "the holder of the networks did not start")
            made = Networks(here, kept.pid)
            made.build(plan)
            yield made
        finally:
            kept.kill()
            kept.wait()


def unshare() -> list[str]:
    """What starts a program in a network of its own."""
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *own_user, "--net", "--"]


def _enter(pid: int) -> list[str]:
    own_user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", "--target", str(pid), *own_user, "--net", "--"]
