"""The proxies, and the least that each must be told: no logs, no filters, no caches, no limit that it meets.

A peer is started anew for each workload, for the one way in which it is asked there.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anongw.users import hash_password
from scripts.benchmark.load import cache
from scripts.benchmark.running import NotMeasured

# How a tunnel is asked for: "login" is SOCKS5 with a password, "plain" needs no asking, "http" is no tunnel.
Way = Literal["socks5", "login", "connect", "http", "plain"]

ROOT = Path(__file__).resolve().parents[2]
OURS = "anongw"
NONE = "no proxy"
# The gateway as several processes: how many, and its name then.
WORKERS = 2
OURS_SHARED = f"{OURS} x{WORKERS}"
USER, PASSWORD = "bench", "pass"  # as in generator/client.c
# The origin has so many addresses, from 127.0.0.2 on: each gives a proxy ports of its own in TIME-WAIT.
TARGETS = 16
_FILES = 20000
# It takes uvloop where it finds it; later versions of that no longer make a loop unasked.
_PPROXY = ("pproxy==2.7.9", 'uvloop==0.19.0; python_version < "3.13"')
# Debian keeps servers where an ordinary user's PATH does not look.
_PATHS = ("/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Setup:
    """What a peer is started for."""

    folder: Path
    port: int
    origin: int
    way: Way
    # The ports of the SOCKS5 hops that it shall dial through.
    hops: tuple[int, ...] = ()

    def file(self, text: str) -> str:
        path = self.folder / "config"
        path.write_text(text)
        return str(path)


def found(name: str) -> str:
    """The path of an installed program."""
    path = shutil.which(name) or next((path for at in _PATHS if (path := shutil.which(name, path=at))), None)
    if path is None:
        raise NotMeasured("not installed")
    return path


@dataclass(frozen=True)
class Peer:
    name: str
    ways: tuple[Way, ...]
    command: Callable[[Setup], Sequence[str]]
    # Debian's package; its program, if that has another name.
    package: str = ""
    program: str = ""
    chains: bool = False
    workers: int = 1
    find: Callable[[str], str] = found

    def missing(self) -> str:
        """Why it cannot be measured here, or nothing."""
        try:
            self.find(self.program or self.name)
        except NotMeasured as error:
            return f"{error}: apt install {self.package}" if self.package else str(error)
        return ""

    def version(self) -> str:
        """As Debian counts, or nothing where it knows of none."""
        query = ["dpkg-query", "-W", "-f", "${Version}", self.package]
        try:
            return subprocess.run(query, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return ""


def _anongw(setup: Setup) -> Sequence[str]:
    more: list[str] = []
    if setup.way == "login":
        more += ["--config", setup.file(f'[users]\n{USER} = "{hash_password(PASSWORD)}"\n')]
    if setup.hops:
        chain = "".join(f'[[hop]]\nurl = "socks5://127.0.0.1:{port}"\n' for port in setup.hops)
        more += ["--chain", setup.file(chain)]
    return [
        *(sys.executable, "-m", "anongw", "serve", "--listen", f"127.0.0.1:{setup.port}"),
        *("--allow-private", "127.0.0.0/8", "--set", "log.level=warning", *more),
    ]


def _shared(setup: Setup) -> Sequence[str]:
    return [*_anongw(setup), "--workers", str(WORKERS)]


def serve_knows(option: str) -> bool:
    """Whether the gateway that is measured has it."""
    command = [sys.executable, "-m", "anongw", "serve", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return option in done.stdout


def _with_workers(_: str) -> str:
    if not serve_knows("--workers"):
        raise NotMeasured("`anongw serve` has no --workers")
    return sys.executable


def _microsocks(setup: Setup) -> Sequence[str]:
    login = ["-u", USER, "-P", PASSWORD] if setup.way == "login" else []
    # It cannot be told to keep quiet.
    quiet = ["sh", "-c", 'exec "$@" 2>/dev/null', "sh"]
    return [*quiet, found("microsocks"), "-i", "127.0.0.1", "-p", str(setup.port), *login]


def _haproxy(setup: Setup) -> Sequence[str]:
    servers = "\n".join(f"  server s{host} 127.0.0.{2 + host}:{setup.origin}" for host in range(TARGETS))
    config = f"""
defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen bench
  bind 127.0.0.1:{setup.port}
  balance roundrobin
{servers}
"""
    return [found("haproxy"), "-db", "-q", "-f", setup.file(config)]


def _dante(setup: Setup) -> Sequence[str]:
    config = f"""
internal: 127.0.0.1 port = {setup.port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""
    return [found("danted"), "-f", setup.file(config), "-p", str(setup.folder / "pid")]


def _squid(setup: Setup) -> Sequence[str]:
    config = f"""
http_port 127.0.0.1:{setup.port}
http_access allow all
cache deny all
access_log none
cache_log /dev/null
cache_store_log none
netdb_filename none
pid_filename none
client_db off
pinger_enable off
coredump_dir {setup.folder}
dns_nameservers 127.0.0.1
max_filedescriptors {_FILES}
shutdown_lifetime 0 seconds
"""
    # A name of its own keeps its shared memory apart from another squid's.
    return [found("squid"), "-N", "-n", f"bench{setup.port}", "-f", setup.file(config)]


def _privoxy(setup: Setup) -> Sequence[str]:
    config = f"""
listen-address 127.0.0.1:{setup.port}
confdir {setup.folder}
toggle 0
max-client-connections {_FILES}
keep-alive-timeout 300
socket-timeout 300
connection-sharing 1
"""
    return [found("privoxy"), "--no-daemon", setup.file(config)]


def _tinyproxy(setup: Setup) -> Sequence[str]:
    config = f"""
Port {setup.port}
Listen 127.0.0.1
Timeout 600
MaxClients {_FILES}
LogLevel Critical
"""
    return [found("tinyproxy"), "-d", "-c", setup.file(config)]


def _v2ray(setup: Setup) -> Sequence[str]:
    inbound: dict[str, object] = {"listen": "127.0.0.1", "port": setup.port}
    if setup.way in ("http", "connect"):
        inbound |= {"protocol": "http", "settings": {"timeout": 0}}
    else:
        login = {"auth": "password", "accounts": [{"user": USER, "pass": PASSWORD}]}
        inbound |= {"protocol": "socks", "settings": login if setup.way == "login" else {"auth": "noauth"}}
    outbounds: list[dict[str, object]] = []
    for number, port in enumerate(setup.hops):
        hop: dict[str, object] = {"protocol": "socks", "tag": f"hop{number}"}
        hop["settings"] = {"servers": [{"address": "127.0.0.1", "port": port}]}
        if number > 0:
            hop["proxySettings"] = {"tag": f"hop{number - 1}"}
        outbounds.insert(0, hop)  # the first outbound is where all goes
    config = {
        "log": {"loglevel": "none"},
        "inbounds": [inbound],
        "outbounds": outbounds or [{"protocol": "freedom"}],
        "policy": {"levels": {"0": {"connIdle": 3600}}},
    }
    return [found("v2ray"), "-config", setup.file(json.dumps(config))]


def _pproxy(setup: Setup) -> Sequence[str]:
    scheme = "http" if setup.way in ("http", "connect") else "socks5"
    login = f"#{USER}:{PASSWORD}" if setup.way == "login" else ""
    through = "__".join(f"socks5://127.0.0.1:{port}" for port in setup.hops)
    return [
        *(_installed("pproxy"), "-l", f"{scheme}://127.0.0.1:{setup.port}{login}"),
        *(["-r", through] if through else []),
    ]


def _installed(name: str) -> str:
    """Such as pproxy, in a virtual environment of the benchmark's own, installed there the first time."""
    folder = cache() / "venv"
    program = folder / "bin" / name
    if not program.exists():
        print(f"installing {_PPROXY[0]} into {folder}, this once", file=sys.stderr)
        python = [str(folder / "bin" / "python"), "-I", "-m"]
        pip = ["pip", "install", "-q", "--disable-pip-version-check", "--root-user-action=ignore"]
        try:
            for words in (
                [sys.executable, "-I", "-m", "venv", "--clear", str(folder)],
                [*python, *pip, *_PPROXY],
            ):
                subprocess.run(words, check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise NotMeasured(f"cannot be installed: {error.stderr.decode().strip()[-200:]}") from error
    return str(program)


PEERS = (
    Peer(OURS, ("socks5", "login", "connect", "http"), _anongw, chains=True, find=lambda _: sys.executable),
    Peer(OURS_SHARED, ("socks5",), _shared, workers=WORKERS, find=_with_workers),
    Peer("microsocks", ("socks5", "login"), _microsocks, "microsocks"),
    Peer("haproxy", ("plain",), _haproxy, "haproxy"),
    Peer("dante", ("socks5",), _dante, "dante-server", program="danted"),
    Peer("squid", ("connect", "http"), _squid, "squid-openssl"),
    Peer("privoxy", ("connect", "http"), _privoxy, "privoxy"),
    Peer("tinyproxy", ("connect", "http"), _tinyproxy, "tinyproxy"),
    Peer("v2ray", ("socks5", "login", "connect", "http"), _v2ray, "v2ray", chains=True),
    Peer("pproxy", ("socks5", "login", "connect", "http"), _pproxy, chains=True, find=_installed),
)
