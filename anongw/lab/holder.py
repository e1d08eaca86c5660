"""The process that keeps the networks: `python -m anongw.lab.holder DESCRIPTOR`, under `unshare --net`.

It is born in the gateway's network, makes the other two, and then does what it is told over a Unix socket,
one message of JSON each: make a socket in one of the networks and hand it over, run `ip` there, lay a cable,
write a kernel setting. Between two messages it stands in the gateway's network, where `nsenter` finds it.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

GATEWAY: Final = "gateway"
OTHERS: Final = ("client", "outside")
MESSAGE_MOST: Final = 1 << 17  # bytes

_CLONE_NEWNET = 0x40000000  # sched.h
_ALL_FRAMES = 0x0003  # ETH_P_ALL, if_ether.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_FRAMES_KEPT = 32 << 20  # bytes


class Holder:
    """The networks, each by an open descriptor of its own."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._spaces = {GATEWAY: _this_network()}
        for name in OTHERS:
            self._call(self._libc.unshare, _CLONE_NEWNET)
            self._spaces[name] = _this_network()
        self._enter(GATEWAY)

    def serve(self, control: socket.socket) -> None:
        """Until the other side has closed."""
        control.send(b"ready")
        while said := control.recv(MESSAGE_MOST):
            wanted: dict[str, Any] = json.loads(said)
            self._enter(wanted["where"])
            sock: socket.socket | None = None
            answer: dict[str, str] = {}
            try:
                if "kind" in wanted or "frames" in wanted:
                    sock = _made(wanted)
                else:
                    answer["said"] = self._done(wanted)
            except OSError as error:
                answer["error"] = str(error)
            finally:
                self._enter(GATEWAY)
            with sock or socket.socket(socket.AF_UNIX) as given:
                handed = [given.fileno()] if sock is not None else []
                socket.send_fds(control, [json.dumps(answer).encode()], handed)

    def _done(self, wanted: dict[str, Any]) -> str:
        if "cable" in wanted:
            near, far, name = wanted["cable"]
            space = f"/proc/{os.getpid()}/fd/{self._spaces[name]}"
            _ip([f"link add {near} type veth peer name {far}", f"link set {far} netns {space}"])
            return ""
        if "write" in wanted:
            path, text = wanted["write"]
            Path(path).write_text(text)
            return ""
        return _ip(wanted["ip"])

    def _enter(self, name: str) -> None:
        self._call(self._libc.setns, self._spaces[name], _CLONE_NEWNET)

    def _call(self, function: Callable[..., int], *args: int) -> None:
        if function(*args):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _this_network() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _ip(lines: list[str]) -> str:
    """Several commands by one process; what they say."""
    done = subprocess.run(
        ["ip", "-batch", "-"],  # noqa: S607 - where it lies differs between systems
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")
    return done.stdout


def _made(wanted: dict[str, Any]) -> socket.socket:
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
    try:
        if wanted.get("reuse"):
            # Who is back listens on the port where its old connections may be in TIME-WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(wanted["port"])))
    except OSError:
        sock.close()
        raise
    return sock


def main() -> None:
    """Serve on the descriptor that the command line names."""
    with socket.socket(fileno=int(sys.argv[1])) as control:
        Holder().serve(control)


if __name__ == "__main__":
    main()
