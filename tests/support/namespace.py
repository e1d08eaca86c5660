"""Three networks of our own: a client's, the gateway's and the outside, joined by two virtual cables.

    client 10.77.0.2 --- 10.77.0.1 gateway 20.0.0.1 --- 20.0.0.11, .53, .80, ... outside
                                   2a00:20::1         2a00:20::11, ::53, ::80
                                   20.1.0.1 --- 20.1.0.254 (the second cable, where a test lays it)
                                   2a00:21::1   2a00:21::fe

What those outside say to each other passes the outside's own loopback, from address to address.

They live as long as one holder process does, which `unshare` starts in a new network namespace (and, for an
ordinary user, in a user namespace). It makes sockets in each of them and hands them out; the gateway itself
is started beside it by `nsenter`. Whatever has no route of its own goes outside, where the tests listen.

Run as a program, this file is the holder.
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

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
CABLE_INSIDE, CABLE_OUTSIDE = "in0", "out0"  # the gateway's ends
LOOPBACK = "lo"  # every network has its own
# A second way outside, which the routing table takes only where the first does not lead.
CABLE_SECOND = "out1"
GATEWAY_SECOND, GATEWAY_SECOND_6 = "20.1.0.1", "2a00:21::1"
ROUTER_SECOND, ROUTER_SECOND_6 = "20.1.0.254", "2a00:21::fe"

_CLONE_NEWNET = 0x40000000  # sched.h
_ALL_FRAMES = 0x0003  # ETH_P_ALL, if_ether.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_FRAMES_KEPT = 32 << 20  # bytes


class Networks:
    """The test's side of the holder."""

    def __init__(self, control: socket.socket, holder: subprocess.Popen[bytes]) -> None:
        self._control = control
        self._holder = holder
        self._asking = threading.Lock()  # the hops' threads ask, too
        self.prefix = _enter(holder.pid)  # put in front of a program that is to run beside the gateway

    def listener(self, host: str, port: int = 0) -> socket.socket:
        """A listening socket outside."""
        wanted = {"where": "outside", "host": host, "kind": socket.SOCK_STREAM, "port": port, "reuse": True}
        sock = self._ask(wanted)
        sock.listen(100)
        return sock

    def outgoing(self, host: str, host_6: str) -> Callable[[str], socket.socket]:
        """For one outside who goes on from these addresses: what makes a TCP socket toward another."""
        return lambda target: self._socket(
            "outside", host_6 if ":" in target else host, socket.SOCK_STREAM, 0
        )

    def datagrams(self, host: str, port: int = 0) -> socket.socket:
        """A UDP socket outside."""
        return self._socket("outside", host, socket.SOCK_DGRAM, port)

    def client(self) -> socket.socket:
        """A TCP socket of the client's, not connected yet."""
        return self._socket("client", CLIENT, socket.SOCK_STREAM, 0)

    def frames(self, cable: str, where: str = "gateway") -> socket.socket:
        """All that passes one of the gateway's interfaces (or another network's), from now on."""
        return self._ask({"where": where, "frames": cable})

    @contextmanager
    def second_cable(self) -> Iterator[None]:
        """It is there until the block ends, or until the test has cut it."""
        self._control.send(json.dumps({"second": True}).encode())
        said = self._control.recv(4096)
        assert said == b"laid", said.decode()
        try:
            yield
        finally:
            if CABLE_SECOND in self.ip("-brief", "link"):
                self.cut()

    def cut(self) -> None:
        """Take the second cable away, with its interface, addresses and routes."""
        self.ip("link", "del", CABLE_SECOND)

    def ip(self, *words: str) -> str:
        """Run it in the gateway's network; what it says."""
        done = subprocess.run([*self.prefix, "ip", *words], check=True, capture_output=True, text=True)
        return done.stdout

    def _socket(self, where: str, host: str, kind: int, port: int) -> socket.socket:
        return self._ask({"where": where, "host": host, "kind": kind, "port": port})

    def _ask(self, wanted: dict[str, object]) -> socket.socket:
        with self._asking:
            self._control.send(json.dumps(wanted).encode())
            said, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        assert descriptors, said.decode()
        return socket.socket(fileno=descriptors[0])


def why_not() -> str:
    """Why namespaces cannot be made here; "" if they can."""
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    tried = subprocess.run([*unshare(), "true"], capture_output=True, check=False)
    if tried.returncode:
        # Where an ordinary user may not: Debian before 11 has the switch
        # kernel.unprivileged_userns_clone, Ubuntu from 24.04 kernel.apparmor_restrict_unprivileged_userns.
        return f"no network namespaces: {tried.stderr.decode(errors='replace').strip()}"
    return ""


@contextmanager
def networks() -> Iterator[Networks]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.settimeout(20)
    with here, there:
        holder = subprocess.Popen(
            [*unshare(), sys.executable, "-m", "tests.support.namespace", str(there.fileno())],
            cwd=ROOT,
            pass_fds=(there.fileno(),),
        )
        try:
            ready = here.recv(100)
            assert ready == b"ready", "the holder did not start"
            yield Networks(here, holder)
        finally:
            holder.kill()
            holder.wait()


def unshare() -> list[str]:
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *own_user, "--net", "--"]


def _enter(pid: int) -> list[str]:
    own_user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", "--target", str(pid), *own_user, "--net", "--"]


# The holder


class _Holder:
    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._spaces = {"gateway": _this_network()}
        for name in ("client", "outside"):
            self._call(self._libc.unshare, _CLONE_NEWNET)
            self._spaces[name] = _this_network()

    def build(self) -> None:
        self._enter("gateway")
        self._cable(CABLE_INSIDE, "eth0", "client")
        self._cable(CABLE_OUTSIDE, "eth1", "outside")
        self._set_up(CABLE_INSIDE, f"{GATEWAY_INSIDE}/24")
        self._set_up(CABLE_OUTSIDE, f"{GATEWAY_OUTSIDE}/24", f"{GATEWAY_OUTSIDE_6}/64")
        self._enter("client")
        # Apart from everybody else's, so that a port of the client's is never another's by chance.
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("20000 29999")
        self._set_up("eth0", f"{CLIENT}/24")
        self._enter("outside")
        outside = [f"{one}/24" for one in (_ROUTER, RESOLVER, ORIGIN, REFUSING, *HOPS)]
        outside_6 = [f"{one}/64" for one in (_ROUTER_6, RESOLVER_6, ORIGIN_6, *HOPS_6)]
        self._set_up("eth1", *outside, *outside_6)
        self._enter("gateway")
        _ip(f"route add default via {_ROUTER}")
        _ip(f"-6 route add default via {_ROUTER_6}")

    def second(self) -> None:
        """Answers may come by another cable than the questions went: no filter on the way back."""
        self._enter("gateway")
        self._cable(CABLE_SECOND, "eth2", "outside")
        _do_not_filter()
        self._set_up(CABLE_SECOND, f"{GATEWAY_SECOND}/24", f"{GATEWAY_SECOND_6}/64")
        self._enter("outside")
        _do_not_filter()
        self._set_up("eth2", f"{ROUTER_SECOND}/24", f"{ROUTER_SECOND_6}/64")
        self._enter("gateway")
        _ip(f"route add default via {ROUTER_SECOND} metric 5000")
        _ip(f"-6 route add default via {ROUTER_SECOND_6} metric 5000")

    def serve(self, control: socket.socket) -> None:
        control.send(b"ready")
        while said := control.recv(4096):
            wanted = json.loads(said)
            if "second" in wanted:
                self.second()
                control.send(b"laid")
                continue
            self._enter(wanted["where"])
            try:
                sock = _make(wanted)
            except OSError as error:
                control.send(str(error).encode())
                continue
            finally:
                self._enter("gateway")  # where `nsenter` finds us
            with sock:
                socket.send_fds(control, [b"made"], [sock.fileno()])

    def _cable(self, near: str, far: str, name: str) -> None:
        """From the network that we are in to another one."""
        space = f"/proc/{os.getpid()}/fd/{self._spaces[name]}"
        _ip(f"link add {near} type veth peer name {far}")
        _ip(f"link set {far} netns {space}")

    def _set_up(self, device: str, *addresses: str) -> None:
        _ip("link set lo up")
        _ip(f"link set {device} up")
        for address in addresses:
            # nodad: an IPv6 address may be used at once.
            _ip(f"addr add {address} dev {device}" + (" nodad" if ":" in address else ""))

    def _enter(self, name: str) -> None:
        self._call(self._libc.setns, self._spaces[name], _CLONE_NEWNET)

    def _call(self, function: Callable[..., int], *args: int) -> None:
        if function(*args):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _this_network() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _do_not_filter() -> None:
    """RFC 3704: strict reverse paths would drop what comes by the cable that routes do not prefer."""
    for device in Path("/proc/sys/net/ipv4/conf").iterdir():
        (device / "rp_filter").write_text("0")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def _make(wanted: dict[str, str | int]) -> socket.socket:
    if "frames" in wanted:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _FRAMES_KEPT)
        except PermissionError:  # it is not root's namespace: what net.core.rmem_max allows
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _FRAMES_KEPT)
        sock.bind((str(wanted["frames"]), _ALL_FRAMES))
        return sock
    host = str(wanted["host"])
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, int(wanted["kind"]))
    if "reuse" in wanted:
        # A hop that is back listens on the port where its old connections may be in TIME-WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, int(wanted["port"])))
    return sock


def _hold(descriptor: int) -> None:
    holder = _Holder()
    holder.build()
    with socket.socket(fileno=descriptor) as control:
        holder.serve(control)


if __name__ == "__main__":
    _hold(int(sys.argv[1]))
