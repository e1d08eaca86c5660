"""Real proxies from Debian, to be hops of a chain: each runs as long as its block, on ports of 127.0.0.1.

All let anybody, or USER, go to any port. As root they become `nobody`, so that they are the same whoever runs
the tests. `libnss_wrapper` answers libc in the machine's place: `names` (a name to its address) exist without
DNS, and dante's and sshd's users are nobody else's. A name that `names` lacks would be asked of the machine's
resolver, which no test may do: whatever needs such a name needs a `FakeHop`.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
import trustme

from tests.support.programs import PATIENCE, found, free_port, output, serving

USER: Final = "alice"
# With every character that a URL, Basic or a file of settings might stumble over.
PASSWORD: Final = "pa:ss@w%rd/"
# For tinyproxy, whose settings know letters, digits and `-._`.
PLAIN_PASSWORD: Final = "pass-word.1"
# `openssl passwd -6 -salt anongwtests 'pa:ss@w%rd/'`: PASSWORD for crypt(3).
_HASH: Final = (
    "$6$anongwtests$lI1AnFvjCGCovwVi/T5qQAbmDMcUp7D6o/ecSftYTOB.ITMa0O0vEyLoPFHGaQzOAC.sFuKmXTNDA2on.NqUN."
)

_AS_ROOT: Final = os.geteuid() == 0
_UID: Final = 65534 if _AS_ROOT else os.geteuid()
_GID: Final = 65534 if _AS_ROOT else os.getegid()
_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Upstream:
    """A proxy as anongw names it."""

    scheme: str
    port: int
    user: str = ""
    password: str = ""
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """With user and password, where it asks for them."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        return f"{self.scheme}://{login}{self.where}"

    @property
    def bare(self) -> str:
        """For somebody who knows no password."""
        return f"{self.scheme}://{self.where}"

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def place(self) -> tuple[str, int]:
        """For `connect`."""
        return self.host.strip("[]"), self.port

    def known_to(self, user: str, password: str) -> "Upstream":
        return replace(self, user=user, password=password)


@contextmanager
def microsocks(names: Mapping[str, str] = _NONE, *, login: bool = False) -> Iterator[Upstream]:
    """SOCKS5."""
    upstream = Upstream("socks5", free_port())
    words = ["microsocks", "-i", "127.0.0.1", "-p", str(upstream.port)]
    if login:
        upstream = upstream.known_to(USER, PASSWORD)
        words += ["-u", USER, "-P", PASSWORD]
    with _running(words, upstream.port, names):
        yield upstream


_DANTE = """
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: {method}
user.privileged: me
user.unprivileged: me
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
"""


@contextmanager
def dante(names: Mapping[str, str] = _NONE, *, login: bool = False) -> Iterator[Upstream]:
    """SOCKS5, and without a login SOCKS4 too."""
    upstream = Upstream("socks5", free_port())
    if login:
        upstream = upstream.known_to(USER, PASSWORD)
    files = {"config": _filled(_DANTE, port=str(upstream.port), method="username" if login else "none")}
    words = ["danted", "-f", "{folder}/config", "-p", "{folder}/pid"]
    with _running(words, upstream.port, names, files):
        yield upstream


_TINYPROXY = """
Listen 127.0.0.1
Port {port}
Timeout 600
MaxClients 1000
"""


@contextmanager
def tinyproxy(names: Mapping[str, str] = _NONE, *, login: bool = False) -> Iterator[Upstream]:
    """HTTP CONNECT. The password is PLAIN_PASSWORD."""
    upstream = Upstream("http", free_port())
    config = _TINYPROXY.format(port=upstream.port)
    if login:
        upstream = upstream.known_to(USER, PLAIN_PASSWORD)
        config += f"BasicAuth {USER} {PLAIN_PASSWORD}\n"
    with _running(["tinyproxy", "-d", "-c", "{folder}/config"], upstream.port, names, {"config": config}):
        yield upstream


@contextmanager
def privoxy(names: Mapping[str, str] = _NONE) -> Iterator[Upstream]:
    """HTTP CONNECT. It knows no logins."""
    upstream = Upstream("http", free_port())
    config = f"listen-address {upstream.where}\nconfdir {{folder}}\nlogdir {{folder}}\ntoggle 0\n"
    words = ["privoxy", "--no-daemon", "{folder}/config"]
    # It hears of SIGTERM when the next client comes.
    with _running(words, upstream.port, names, {"config": config}, at_once=True):
        yield upstream


_SQUID = """
http_port 127.0.0.1:{port}
https_port 127.0.0.1:{tls_port} tls-cert={folder}/server.pem
pid_filename none
cache_log {folder}/cache.log
access_log none
cache_store_log none
coredump_dir {folder}
cache deny all
cache_mem 8 MB
netdb_filename none
pinger_enable off
hosts_file {folder}/hosts
dns_nameservers 127.0.0.1
visible_hostname squid.test
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/users
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow {whom}
"""


@dataclass(frozen=True)
class Squid:
    plain: Upstream
    tls: Upstream  # its certificate is for 127.0.0.1, localhost and squid.test
    ca_file: Path


@contextmanager
def squid(names: Mapping[str, str] = _NONE, *, login: bool = False) -> Iterator[Squid]:
    """HTTP CONNECT, in plain and over TLS."""
    plain, tls = Upstream("http", free_port()), Upstream("https", free_port())
    whom = "known" if login else "all"
    if login:
        plain, tls = plain.known_to(USER, PASSWORD), tls.known_to(USER, PASSWORD)
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", "localhost", "squid.test").private_key_and_cert_chain_pem
    files = {
        "config": _filled(_SQUID, port=str(plain.port), tls_port=str(tls.port), whom=whom),
        "users": f"{USER}:{_HASH}\n",
        "ca.pem": ca.cert_pem.bytes().decode(),
        "server.pem": certificate.bytes().decode(),
    }
    # Its shared memory is named after its service, of which there may be many, and stays when it is killed.
    service = f"anongw{plain.port}"
    words = ["squid", "-N", "-n", service, "-f", "{folder}/config"]
    try:
        # The port for TLS is the last that it opens. Its own way to end takes a second.
        with _running(words, tls.port, names, files, at_once=True) as folder:
            yield Squid(plain, tls, folder / "ca.pem")
    finally:
        for left in Path("/dev/shm").glob(f"{service}-*"):
            left.unlink()


_SSHD = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding local
PidFile none
"""
_SSH = """
Host *
  IdentityFile {folder}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known
  BatchMode yes
  ExitOnForwardFailure yes
  ProxyCommand {sshd} -i -e -f {folder}/sshd_config
"""


@contextmanager
def ssh(names: Mapping[str, str] = _NONE) -> Iterator[Upstream]:
    """`ssh -D`: SOCKS5 and SOCKS4a. Its server is its child (`sshd -i`), ends with it and needs no port."""
    upstream = Upstream("socks5", free_port())
    files = {"sshd_config": _SSHD, "config": _filled(_SSH, sshd=found("sshd"))}

    def keys(folder: Path) -> None:
        for name in ("host", "key"):
            output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], folder)
        (folder / "known").write_text(f"sshd.test {(folder / 'host.pub').read_text()}")

    words = ["ssh", "-F", "{folder}/config", "-N", "-D", upstream.where, "me@sshd.test"]
    with _running(words, upstream.port, names, files, keys):
        yield upstream


# It never reaches Tor: all that it sends goes through a proxy at a port where nobody answers.
_TOR = """
DataDirectory {folder}/data
SocksPort 127.0.0.1:{socks} IsolateSOCKSAuth
HTTPTunnelPort 127.0.0.1:{http}
ControlPort 127.0.0.1:{control}
CookieAuthentication 0
Socks5Proxy 127.0.0.1:1
SocksTimeout 1
ClientOnly 1
Log notice stdout
"""


class Tor:
    """Tor without a network. An address of this machine is refused at once, all else within two seconds."""

    def __init__(self, socks: Upstream, http: Upstream, control: socket.socket) -> None:
        self.socks = socks
        self.http = http
        self._events = control.makefile("r", encoding="ascii", newline="\r\n")
        control.sendall(b"AUTHENTICATE\r\nSETEVENTS STREAM\r\n")
        for _ in range(2):
            assert self._events.readline() == "250 OK\r\n"

    def stream(self) -> dict[str, str]:
        """The next stream that a client asks for: its `target`, and what else Tor tells of it.

        Streams that differ in SOCKS_USERNAME or SOCKS_PASSWORD share no circuit. With HTTP the one is what
        Proxy-Authorization says, and the other is made of Tor-Stream-Isolation.
        """
        while line := self._events.readline():
            # 650 STREAM id status circuit target key=value ... ; the only space in a value is Basic's.
            words = line.replace('"Basic ', '"Basic\0').split()
            if words[1] == "STREAM" and words[3] == "NEW" and "PURPOSE=USER" in words:
                told = dict(word.split("=", 1) for word in words[6:])
                return {
                    "target": words[5],
                    **{key: value.strip('"').replace("\0", " ") for key, value in told.items()},
                }
        raise AssertionError("Tor has ended")

    def close(self) -> None:
        self._events.close()


@contextmanager
def tor() -> Iterator[Tor]:
    socks, http, port = Upstream("socks5", free_port()), Upstream("http", free_port()), free_port()
    config = _filled(_TOR, socks=str(socks.port), http=str(http.port), control=str(port))
    words = ["tor", "--defaults-torrc", "{folder}/none", "--ignore-missing-torrc", "-f", "{folder}/config"]
    # The control port is the last that it opens.
    with (
        _running(words, port, _NONE, {"config": config}, at_once=True),
        socket.socket() as control,
    ):
        control.settimeout(PATIENCE)
        control.connect(("127.0.0.1", port))
        one = Tor(socks, http, control)
        try:
            yield one
        finally:
            one.close()


@contextmanager
def _running(  # noqa: PLR0913
    words: Sequence[str],
    port: int,
    names: Mapping[str, str],
    files: Mapping[str, str] = _NONE,
    prepare: Callable[[Path], None] = lambda _: None,
    *,
    at_once: bool = False,
) -> Iterator[Path]:
    """A program that accepts on the port, and its folder. `at_once`: it gets no time to end by itself."""
    if not list(Path("/usr/lib").glob("*/libnss_wrapper.so")):
        pytest.skip("libnss_wrapper is not installed")
    wrapped = {
        "hosts": "".join(f"{address} {name}\n" for name, address in names.items()),
        "passwd": f"me:x:{_UID}:{_GID}::{{folder}}:/bin/sh\n{USER}:x:{_UID}:{_GID}::/:/bin/false\n",
        "group": f"me:x:{_GID}:\n",
        "shadow": f"{USER}:{_HASH}:19000:0:99999:7:::\n",
    }
    # pytest's own folders are closed to `nobody`.
    with tempfile.TemporaryDirectory(prefix="anongw-hop-") as name:
        folder = Path(name)
        for file, text in {**wrapped, **files}.items():
            (folder / file).write_text(_filled(text, folder=name))
        prepare(folder)
        told = [f"NSS_WRAPPER_{file.upper()}={folder / file}" for file in wrapped]
        command = ["env", "LD_PRELOAD=libnss_wrapper.so", *told, found(words[0])]
        if _AS_ROOT:
            command = ["setpriv", f"--reuid={_UID}", f"--regid={_GID}", "--clear-groups", "--", *command]
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, _UID, _GID)
        with serving(
            [*command, *(_filled(word, folder=name) for word in words[1:])], port, folder
        ) as process:
            try:
                yield folder
            finally:
                if at_once:
                    process.kill()


def _filled(text: str, **values: str) -> str:
    """What `format` does, without a meaning for other braces."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
