"""The proxies, each as its package brings it, and some as their documentation makes them anonymous."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.load import cache
from scripts.benchmark.peers import found
from scripts.benchmark.running import NotMeasured
from scripts.leaks.places import CLIENTS, GATEWAY, PORT

Command = Callable[[Path], Sequence[str]]


@dataclass(frozen=True)
class Peer:
    name: str
    command: Command
    # What a page or header that names it holds, in lower case.
    product: str
    http: bool = True
    socks: bool = False
    # How to get it, and its program.
    package: str = ""
    program: str = ""

    def missing(self) -> str:
        """Why it cannot be run here, or nothing."""
        try:
            _program(self.program or self.name)
        except NotMeasured as error:
            return f"{error}: {self.package}"
        return ""


def _program(name: str) -> str:
    """An installed program, or one in the benchmark's own virtual environment."""
    own = cache() / "venv" / "bin" / name
    return str(own) if own.exists() else found(name)


def _written(folder: Path, text: str) -> str:
    path = folder / "config"
    path.write_text(text)
    return str(path)


# What squid's own example of a configuration begins with, for these clients.
_SQUID = f"""
acl localnet src {CLIENTS}
acl SSL_ports port 443
acl Safe_ports port 80 443 1025-65535
http_access deny !Safe_ports
http_access allow localnet
http_access deny all
http_port {GATEWAY}:{PORT}
"""
# The recipe of its documentation for `request_header_access`, "standard", with its two switches.
_SQUID_RECIPE = """
via off
forwarded_for delete
request_header_access From deny all
request_header_access Referer deny all
request_header_access User-Agent deny all
reply_header_access Server deny all
reply_header_access WWW-Authenticate deny all
reply_header_access Link deny all
"""


def _squid(recipe: str) -> Command:
    def command(folder: Path) -> Sequence[str]:
        files = f"""
cache_log /dev/null
access_log none
pid_filename none
netdb_filename none
pinger_enable off
coredump_dir {folder}
shutdown_lifetime 0 seconds
"""
        # The name keeps its shared memory apart from another squid's.
        return [_program("squid"), "-N", "-n", "leaks", "-f", _written(folder, _SQUID + recipe + files)]

    return command


def _privoxy(folder: Path) -> Sequence[str]:
    config = f"""
confdir /etc/privoxy
logdir {folder}
actionsfile match-all.action
actionsfile default.action
actionsfile user.action
filterfile default.filter
listen-address {GATEWAY}:{PORT}
"""
    return [_program("privoxy"), "--no-daemon", _written(folder, config)]


def _tinyproxy(anonymous: str) -> Command:
    def command(folder: Path) -> Sequence[str]:
        config = f"""
Port {PORT}
Listen {GATEWAY}
Timeout 600
MaxClients 100
ViaProxyName "tinyproxy"
Allow {CLIENTS}
LogLevel Critical
{anonymous}
"""
        return [_program("tinyproxy"), "-d", "-c", _written(folder, config)]

    return command


_TINYPROXY_RECIPE = """
DisableViaHeader Yes
Anonymous "Host"
Anonymous "User-Agent"
"""


def _pproxy(_: Path) -> Sequence[str]:
    return [_program("pproxy"), "-l", f"http+socks5://{GATEWAY}:{PORT}"]


def _proxy_py(_: Path) -> Sequence[str]:
    return [_program("proxy"), "--hostname", GATEWAY, "--port", str(PORT), "--num-workers", "1"]


def _mitmproxy(mode: str) -> Command:
    def command(folder: Path) -> Sequence[str]:
        where = [f"--listen-host={GATEWAY}", f"--listen-port={PORT}", f"--mode={mode}"]
        return [_program("mitmdump"), "-q", "--set", f"confdir={folder}", *where]

    return command


def _dante(folder: Path) -> Sequence[str]:
    config = f"""
internal: {GATEWAY} port = {PORT}
external: out0
clientmethod: none
socksmethod: none
client pass {{ from: {CLIENTS} to: 0.0.0.0/0 }}
socks pass {{ from: {CLIENTS} to: 0.0.0.0/0 }}
"""
    return [_program("danted"), "-f", _written(folder, config), "-p", str(folder / "pid")]


def _microsocks(_: Path) -> Sequence[str]:
    return [_program("microsocks"), "-i", GATEWAY, "-p", str(PORT)]


def _anongw(folder: Path) -> Sequence[str]:
    """As it comes; the authority is the laboratory's, which has a resolver at each address that it asks."""
    config = f"""
[listen]
addresses = ["{GATEWAY}:{PORT}"]
clients = ["{CLIENTS}"]
[control]
socket = "off"
[resolve]
ca_file = "{folder}/laboratory.pem"
"""
    return [sys.executable, "-m", "anongw", "serve", "--config", _written(folder, config)]


PEERS = (
    Peer("anongw", _anongw, "anongw", socks=True, program=sys.executable),
    Peer("squid", _squid(""), "squid", package="apt install squid-openssl"),
    Peer("squid*", _squid(_SQUID_RECIPE), "squid", package="apt install squid-openssl", program="squid"),
    Peer("privoxy", _privoxy, "privoxy", package="apt install privoxy"),
    Peer("tinyproxy", _tinyproxy(""), "tinyproxy", package="apt install tinyproxy"),
    Peer(
        "tinyproxy*",
        _tinyproxy(_TINYPROXY_RECIPE),
        "tinyproxy",
        package="apt install tinyproxy",
        program="tinyproxy",
    ),
    Peer("pproxy", _pproxy, "pproxy", socks=True, package="pip install pproxy"),
    Peer("proxy.py", _proxy_py, "proxy.py", package="pip install proxy.py", program="proxy"),
    Peer(
        "mitmproxy", _mitmproxy("regular"), "mitmproxy", package="pip install mitmproxy", program="mitmdump"
    ),
    Peer(
        "mitmproxy SOCKS",
        _mitmproxy("socks5"),
        "mitmproxy",
        http=False,
        socks=True,
        package="pip install mitmproxy",
        program="mitmdump",
    ),
    Peer(
        "dante", _dante, "dante", http=False, socks=True, package="apt install dante-server", program="danted"
    ),
    Peer("microsocks", _microsocks, "microsocks", http=False, socks=True, package="apt install microsocks"),
)
# Not among them, and why.
LEFT_OUT = {"haproxy": "it connects to servers that its own file names, not to where a client asks"}


def chosen(words: Sequence[str]) -> list[Peer]:
    """Of these names; none: all.

    Raises:
        ValueError: there is none of that name.

    """
    known = {peer.name: peer for peer in PEERS}
    for word in words:
        if word not in known:
            raise ValueError(f"there is no peer {word}; there are: {', '.join(known)}")
    return [peer for peer in PEERS if not words or peer.name in words]
