"""Real proxies as hops, alone and three in a row, with curl and with clients that end only their own side.

One gateway has a chain for each case, and takes the one that its user's name stands for.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import asks, process, upstreams
from tests.support.config_file import Table, configured
from tests.support.nginx import HELLO, NAME, Nginx
from tests.support.programs import output
from tests.support.raw_origin import Line, Origin, meanwhile
from tests.support.upstreams import Upstream
from tests.whole.conftest import SETTINGS
from tests.whole.test_chain_certificates import pin

NAMES = {NAME: "127.0.0.1"}
MIB = 1 << 20
BANNER = b"SSH-2.0-banner\r\n"

ALONE = (
    "dante",
    "dante-login",
    "microsocks",
    "microsocks-login",
    "tinyproxy",
    "tinyproxy-login",
    "privoxy",
    "squid-login",
    "squid-tls",
    "squid-tls-pinned",
    "ssh",
    "ssh-socks4",
    "anongw",
    "anongw-http",
)
# dante's SOCKS4 knows no names: it is asked for addresses, and for other hops.
BY_ADDRESS = ("dante-socks4",)
MIXED = (
    ("anongw", "dante-socks4", "ssh"),
    ("dante-login", "squid-tls", "microsocks-login"),
    ("microsocks", "tinyproxy-login", "ssh"),
    ("privoxy", "dante-socks4", "squid-login"),
    ("anongw", "tinyproxy", "ssh-socks4"),
    ("squid-tls-pinned", "anongw-http", "dante-login"),
    ("squid-tls", "squid-tls-pinned", "squid-login"),
)
CHAINS = {
    "+".join(hops): hops
    for hops in (*((one,) for one in (*ALONE, *BY_ADDRESS)), *MIXED, *(tuple(reversed(one)) for one in MIXED))
}
NAMED = [chain for chain in CHAINS if chain not in BY_ADDRESS]
# The others end both sides when a client ends its own.
HALF_CLOSING = {"dante", "dante-login", "dante-socks4", "ssh", "ssh-socks4", "anongw", "anongw-http"}


class Peers(NamedTuple):
    """The gateway in front of them all."""

    gateway: process.Gateway

    def proxy(self, scheme: str, chain: str) -> str:
        return f"{scheme}://{label(chain)}:@{self.gateway.addresses[0]}"

    @contextmanager
    def tunnel(self, chain: str, host: str, port: int) -> Iterator[Line]:
        with Line(asks.dial(self.gateway.where)) as line:
            line.send(asks.socks5_login(label(chain).encode(), b"") + asks.socks5_request(host, port))
            granted = b"\x05\x02\x01\x00" + asks.socks5_reply(0)
            assert line.exactly(len(granted)) == granted
            yield line


def label(chain: str) -> str:
    """The user's name that stands for a chain."""
    return f"chain{list(CHAINS).index(chain)}"


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    with ExitStack() as stack:
        hops = dict(started(stack, tmp_path_factory.mktemp("peers")))
        chains = {label(chain): {"hop": [hops[hop] for hop in CHAINS[chain]]} for chain in CHAINS}
        routes = [{"identity": [name], "to": name} for name in chains]
        gateway = configured(
            tmp_path_factory.mktemp("gateway"),
            policy={"allow_private": ["127.0.0.0/8"]},
            chains=chains,
            route=[*routes, {"to": "refuse"}],
        )
        yield Peers(stack.enter_context(gateway))


def started(stack: ExitStack, folder: Path) -> Iterator[tuple[str, Table]]:
    """Each as a chain's file has it."""

    def hop(upstream: Upstream, scheme: str = "", **keys: object) -> Table:
        url = upstream.url
        return {"url": scheme + url[url.index(":") :] if scheme else url, **keys}

    dante = stack.enter_context(upstreams.dante(NAMES))
    yield "dante", hop(dante)
    yield "dante-socks4", hop(dante, "socks4")
    yield "dante-login", hop(stack.enter_context(upstreams.dante(NAMES, login=True)))
    yield "microsocks", hop(stack.enter_context(upstreams.microsocks(NAMES)))
    yield "microsocks-login", hop(stack.enter_context(upstreams.microsocks(NAMES, login=True)))
    yield "tinyproxy", hop(stack.enter_context(upstreams.tinyproxy(NAMES)))
    yield "tinyproxy-login", hop(stack.enter_context(upstreams.tinyproxy(NAMES, login=True)))
    yield "privoxy", hop(stack.enter_context(upstreams.privoxy(NAMES)))
    squid = stack.enter_context(upstreams.squid(NAMES, login=True))
    yield "squid-login", hop(squid.plain)
    yield "squid-tls", hop(squid.tls, ca_file=str(squid.ca_file))
    yield "squid-tls-pinned", hop(squid.tls, pin=pin(squid.ca_file.with_name("server.pem").read_bytes()))
    ssh = stack.enter_context(upstreams.ssh(NAMES))
    yield "ssh", hop(ssh)
    yield "ssh-socks4", hop(ssh, "socks4")
    host, port = stack.enter_context(process.gateway(folder, *SETTINGS)).where
    yield "anongw", {"url": f"socks5://{host}:{port}"}
    yield "anongw-http", {"url": f"http://{host}:{port}"}


@pytest.mark.parametrize("chain", NAMED)
def test_curl(chain: str, peers: Peers, origin: Nginx, tmp_path: Path) -> None:
    """Plain HTTP in requests of its own, in a tunnel, and TLS; the name is the last hop's to look up."""
    plain, secret = f"{origin.url}/hello.txt", f"{origin.tls_url}/hello.txt"
    asked: Sequence[tuple[str, Sequence[str | Path]]] = (
        ("http", [plain]),
        ("http", ["-p", plain]),
        ("http", ["--cacert", origin.ca_file, secret]),
        ("socks5h", [plain]),
        ("socks5h", ["--cacert", origin.ca_file, secret]),
        ("socks4a", [plain]),
    )
    for scheme, words in asked:
        command = ["curl", "-qsSf", "-x", peers.proxy(scheme, chain), *words]
        assert output(command, tmp_path) == HELLO, (scheme, words)


@pytest.mark.parametrize("chain", NAMED)
def test_large(chain: str, peers: Peers, origin: Nginx, tmp_path: Path) -> None:
    content = hashlib.shake_256(chain.encode()).digest(MIB) * 24
    digest = hashlib.sha256(content).digest()
    there, here = origin.files / "up" / label(chain), tmp_path / "content"
    here.write_bytes(content)
    url = f"{origin.url}/up/{there.name}"
    output(["curl", "-qsSf", "-x", peers.proxy("socks5h", chain), "-T", here, url], tmp_path)
    assert hashlib.sha256(there.read_bytes()).digest() == digest
    heard = output(["curl", "-qsSf", "-x", peers.proxy("http", chain), url], tmp_path)
    assert hashlib.sha256(heard).digest() == digest
    there.unlink()


@pytest.mark.parametrize("chain", CHAINS)
def test_a_server_that_speaks_first_and_a_client_that_ends_first(chain: str, peers: Peers) -> None:
    whole = HALF_CLOSING.issuperset(CHAINS[chain])
    host = NAMES[NAME] if chain in BY_ADDRESS else NAME
    with Origin() as raw:

        def answer() -> None:
            with raw.accept() as line:
                line.send(BANNER)
                assert line.exactly(4) == b"ping"
                line.send(b"pong")
                if whole:
                    assert line.rest() == b"all of it"
                    line.send(b"an answer after its end")
                else:
                    assert line.gone()

        with meanwhile(answer), peers.tunnel(chain, host, raw.port) as client:
            assert client.until(b"\n") == BANNER
            client.send(b"ping")
            assert client.exactly(4) == b"pong"
            if whole:
                client.send(b"all of it")
                client.last()
                assert client.rest() == b"an answer after its end"
            else:
                client.last()
                assert client.gone()


def test_by_address(peers: Peers, origin: Nginx, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{origin.port}/hello.txt"
    for chain in ("dante-socks4", "dante", "privoxy", "ssh-socks4"):
        for scheme in ("http", "socks5h", "socks4a"):
            assert output(["curl", "-qsSf", "-x", peers.proxy(scheme, chain), url], tmp_path) == HELLO
