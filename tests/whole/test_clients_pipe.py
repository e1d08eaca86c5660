"""Programs that carry their standard input and output through a proxy, and ssh, which starts one of them.

The server speaks first, so its banner may come in one packet with the gateway's own answer.
"""

from pathlib import Path

import pytest

from tests.support.nginx import NAME
from tests.support.programs import output, run
from tests.support.raw_origin import Origin, meanwhile

BANNER = b"SSH-2.0-banner\r\n"
# {host} and {port}: the gateway's. {target}: the origin's port.
PIPES = {
    "ncat by SOCKS5": "ncat --proxy-type socks5 --proxy {host}:{port} origin.example {target}",
    "ncat by SOCKS4a": "ncat --proxy-type socks4 --proxy {host}:{port} origin.example {target}",
    "ncat by CONNECT": "ncat --proxy-type http --proxy {host}:{port} origin.example {target}",
    "socat by SOCKS4a": "socat - SOCKS4A:{host}:origin.example:{target},socksport={port}",
    "socat by CONNECT": "socat - PROXY:{host}:origin.example:{target},proxyport={port}",
}


@pytest.mark.parametrize("pipe", PIPES)
def test_what_is_piped_arrives_and_the_answer_too(pipe: str, address: str, tmp_path: Path) -> None:
    """The client ends its side first and still hears everything."""
    host, _, port = address.rpartition(":")
    with Origin() as raw:

        def answer() -> None:
            with raw.accept() as line:
                line.send(BANNER)
                assert line.rest() == b"all of the input"
                line.send(b"an answer after its end")

        command = PIPES[pipe].format(host=host, port=port, target=raw.port).split()
        with meanwhile(answer):
            said = output(command, tmp_path, data=b"all of the input")
    assert said == BANNER + b"an answer after its end"


def test_ssh(address: str, tmp_path: Path) -> None:
    command = f"ProxyCommand=ncat --proxy-type socks5 --proxy {address} %h %p"
    with Origin() as raw:

        def answer() -> None:
            with raw.accept() as line:
                line.send(BANNER)
                assert line.until(b"\r\n").startswith(b"SSH-2.0-OpenSSH")

        with meanwhile(answer):
            done = run(["ssh", "-F", "none", "-p", str(raw.port), "-o", command, f"x@{NAME}"], tmp_path)
    assert done.returncode == 255, "it was refused a session, of course"
