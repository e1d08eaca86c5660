"""A real resolver, Debian's unbound, asked by every transport: a codec on the other side that is not ours."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import trustme

from anongw.config import Resolve
from anongw.errors import Reason, Refused
from anongw.resolve.resolver import Resolver
from tests.support.dns_server import running

CONFIG = """
server:
  interface: 127.0.0.1@{plain}
  interface: 127.0.0.1@{tls}
  interface: 127.0.0.1@{https}
  tls-port: {tls}
  https-port: {https}
  tls-service-key: {folder}/server.pem
  tls-service-pem: {folder}/server.pem
  directory: {folder}
  pidfile: ""
  chroot: ""
  username: ""
  use-syslog: no
  do-daemonize: no
  module-config: "iterator"
  num-threads: 1
  local-zone: "example." static
  local-data: "example. 300 IN SOA ns.example. root.example. 1 2 3 4 30"
  local-data: "both.example. 60 IN A 192.0.2.1"
  local-data: "both.example. 60 IN AAAA 2001:db8::1"
  local-data: "v4.example. 60 IN A 192.0.2.4"
  local-data: "many.example. 60 IN TXT x"
{many}
remote-control:
  control-enable: no
"""
# More than 1232 octets of addresses: over UDP the answer is cut, and TCP must bring the rest.
MANY = "\n".join(f'  local-data: "many.example. 60 IN A 192.0.2.{number}"' for number in range(1, 121))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def unbound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """The server's address by each scheme, and the CA file that vouches for it."""
    program = shutil.which("unbound")
    if program is None:
        pytest.skip("unbound is not installed")
    folder: Path = tmp_path_factory.mktemp("unbound")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert("dns.example").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    plain, tls, https = free_port(), free_port(), free_port()
    config = CONFIG.format(plain=plain, tls=tls, https=https, folder=folder, many=MANY)
    (folder / "unbound.conf").write_text(config)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [program, "-d", "-c", str(folder / "unbound.conf")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            until_open(process, https, folder / "log")
            yield (
                {
                    "udp": f"udp://127.0.0.1:{plain}",
                    "tcp": f"tcp://127.0.0.1:{plain}",
                    "tls": f"tls://127.0.0.1:{tls}#dns.example",
                    "https": f"https://127.0.0.1:{https}/dns-query#dns.example",
                },
                str(folder / "ca.pem"),
            )
        finally:
            process.terminate()


def until_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Its ports are opened before it says anything, so a connection is the only sign."""
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):  # noqa: TID251 - an address
            return
    pytest.fail(f"unbound did not start: {log.read_text()}")


@pytest.mark.parametrize("scheme", ["udp", "tcp", "tls", "https"])
async def test_by_every_transport(unbound: tuple[dict[str, str], str], scheme: str) -> None:
    servers, ca_file = unbound
    settings = Resolve(servers=(servers[scheme],), ca_file=ca_file)
    asked = Resolver(settings, allow_private=lambda _: True)
    async with running(asked):
        both = await asked.addresses("both.example", "me")
        assert [str(address) for address in both] == ["2001:db8::1", "192.0.2.1"]
        assert [str(address) for address in await asked.addresses("v4.example", "me")] == ["192.0.2.4"]
        with pytest.raises(Refused) as refused:
            await asked.addresses("unknown.example", "me")
        assert refused.value.reason is Reason.NAME_NOT_FOUND
        assert len(await asked.addresses("many.example", "me")) > 30


@pytest.mark.parametrize("scheme", ["tcp", "tls", "https"])
async def test_many_at_once(unbound: tuple[dict[str, str], str], scheme: str) -> None:
    servers, ca_file = unbound
    settings = Resolve(servers=(servers[scheme],), ca_file=ca_file, family="ipv4")
    asked = Resolver(settings, allow_private=lambda _: True)
    async with running(asked), anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(asked.addresses, "v4.example", f"identity {number}")


async def test_the_name_on_the_certificate_counts(unbound: tuple[dict[str, str], str]) -> None:
    servers, ca_file = unbound
    for scheme in ("tls", "https"):
        wrong = servers[scheme].replace("#dns.example", "#other.example")
        asked = Resolver(Resolve(servers=(wrong,), ca_file=ca_file), allow_private=lambda _: True)
        async with running(asked):
            with pytest.raises(Refused) as refused:
                await asked.addresses("v4.example", "me")
        assert refused.value.reason is Reason.RESOLVER_FAILED
        assert "tls-failed" in refused.value.detail
