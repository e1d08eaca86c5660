"""Leak 15 for hops: their passwords, wherever they stand, are told to the hop and are written nowhere.

Planted in a URL, in the environment and in a file; then hops take them, refuse them, and quote them back;
chains have bugs; files are wrong and are read again. Whatever the programs write is searched.
"""

import base64
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from anongw.lab.hop_script import Fault, Manner, Phase
from tests.support import asks, outside
from tests.support.asks import WAYS
from tests.support.config_file import Table, configured, write
from tests.support.fake_hop import FakeHop, certified
from tests.support.faulty import IN_A_CHAIN
from tests.support.process import PROGRAM, ROOT, Gateway
from tests.support.programs import PATIENCE

USER = "canary-account"
VARIABLE = "CANARY_PASSWORD"
# By the place where each stands, which is its chain's name too.
PASSWORDS = {"url": 'canary:u@r/l%"', "environment": "canary environment", "file": "canary-fïle"}
LEVELS = ("debug", "info", "warning", "error")


def spellings(password: str) -> Iterator[str]:
    """How it could be written by somebody who did not mean to."""
    yield password
    yield quote(password, safe="")
    yield quote(password)
    yield repr(password)[1:-1]
    yield base64.b64encode(f"{USER}:{password}".encode()).decode()
    yield password.encode().hex()


def is_clean(*texts: str) -> bool:
    """No password is in what was written, and no piece of one: each has its own sign."""
    return not any(
        word in text for password in PASSWORDS.values() for word in spellings(password) for text in texts
    )


class World:
    """A hop for each password, that takes it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        self.origin = stack.enter_context(outside.Origin(outside.listening("127.0.0.9")))
        self.hops: dict[str, FakeHop] = {}
        for name, password in PASSWORDS.items():
            hop = FakeHop(
                "http" if name == "file" else "socks5",
                users={USER: password},
                tls=certified(ca, "127.0.0.1") if name == "file" else None,
                names={f"target.{name}.example": (self.origin.host, self.origin.port)},
            )
            self.hops[name] = stack.enter_context(hop)
        (folder / "password").touch(0o600)
        (folder / "password").write_text(PASSWORDS["file"] + "\n")
        bare = {name: hop.upstream.bare for name, hop in self.hops.items()}
        self.write("url", {"url": self.hops["url"].url})
        self.write("environment", {"url": bare["environment"], "user": USER, "password_env": VARIABLE})
        self.write(
            "file", {"url": bare["file"], "user": USER, "password_file": "password", "ca_file": "ca.pem"}
        )
        self.chains = {name: f"{name}.toml" for name in PASSWORDS}
        self.routes = [
            *({"target": [f"{name}.example"], "to": name} for name in PASSWORDS),
            {"to": "url"},
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, VARIABLE: PASSWORDS["environment"]}

    def write(self, name: str, hop: Table) -> Path:
        return write(self.folder / f"{name}.toml", hop=[hop])

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """A command of anongw, to its end; all that it wrote is clean."""
        done = subprocess.run(
            [*PROGRAM, *map(str, words)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert is_clean(done.stdout, done.stderr), done
        return done

    def ask(self, gateway: Gateway, host: str) -> list[bytes]:
        """In every protocol; what each was told."""
        heard = []
        for way in WAYS:
            with asks.dial(gateway.where) as sock:
                sock.sendall(way.ask(host, self.origin.port))
                sock.shutdown(socket.SHUT_WR)
                heard.append(asks.rest(sock))
        return heard


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, tmp_path)


def quoting(hop: FakeHop, password: str) -> Iterator[Fault]:
    """A hop that says its password to whoever comes, where anything can be said; and other refusals."""
    if hop.protocol == "http":
        words = base64.b64encode(f"{USER}:{password}".encode()).decode()
        line = f"HTTP/1.1 407 not {password} {words}\r\nX: {password}\r\n\r\n"
        yield Fault(Phase.REPLY, says=line.encode())
        yield Fault(Phase.REPLY, says=line.replace("HTTP/1.1 407", "").encode())
    else:
        yield Fault(Phase.METHOD, says=password.encode())
        yield Fault(Phase.LOGIN, says=b"\x01\x01")
        yield Fault(Phase.LOGIN, says=password.encode())
        bound = password.encode() + b".example"
        yield Fault(Phase.REPLY, says=b"\x05\x00\x00\x03" + bytes((len(bound),)) + bound + b"\0\0")
    yield Fault(Phase.REPLY, Manner.CLOSE)


@pytest.mark.parametrize("level", LEVELS)
def test_a_gateway_writes_no_password(level: str, world: World) -> None:
    control = world.folder / "control"
    with configured(
        world.folder,
        f"log.level={level}",
        "log.names=true",
        f"control.socket={control}",
        "limits.upstream_kept=0",
        program=(sys.executable, "-m", "tests.support.faulty"),
        environment=world.environment,
        chains=world.chains,
        route=world.routes,
    ) as gateway:
        for name, hop in world.hops.items():
            host = f"target.{name}.example"
            told = world.ask(gateway, host)
            assert [(one.user, one.password) for one in hop.seen] == [(USER, PASSWORDS[name])] * len(WAYS)
            for fault in quoting(hop, PASSWORDS[name]):
                hop.fault = fault
                told += world.ask(gateway, host)
            told += world.ask(gateway, IN_A_CHAIN)
            assert is_clean(b" ".join(told).decode("latin-1"))
        for words in (("status",), ("status", "--json")):
            done = world.run(*words, "--control", control)
            assert done.returncode == 0, done.stderr
            assert world.hops["url"].upstream.bare in done.stdout
        assert is_clean(Path(f"/proc/{gateway.pid}/cmdline").read_bytes().decode())
        world.write("url", {"url": world.hops["url"].url, "password_env": "canary-none"})
        done = world.run("reload", "--control", control)
        assert done.returncode != 0
        world.write("url", {"url": world.hops["file"].url, "ca_file": "ca.pem"})
        done = world.run("reload", "--control", control)
        assert done.returncode == 0, done.stderr
    assert "a bug ended a flow: ValueError" in gateway.errors
    assert ("hop-auth" in gateway.errors) == (level in ("debug", "info"))
    assert is_clean(gateway.output, gateway.errors), gateway.errors
    assert "canary" not in gateway.output + gateway.errors


def test_commands_write_no_password(world: World) -> None:
    path = write(world.folder / "anongw.toml", chains=world.chains, route=world.routes)
    done = world.run("check", "--config", path)
    assert done.returncode == 0, done.stderr
    for name, password in PASSWORDS.items():
        chain, hop = world.folder / f"{name}.toml", world.hops[name]
        assert world.run("check", "--chain", chain).returncode == 0
        for words in ((), ("--json",)):
            assert world.run("chain", "test", chain, *words).returncode == 0
        for fault in quoting(hop, password):
            hop.fault = fault
            world.run("chain", "test", chain, "--target", f"target.{name}.example:{world.origin.port}")
        assert password in {one.password for one in hop.seen}


PASSWORD = "canary-password"
# Each with the password in the line that is wrong, or in the place of something else.
WRONG = {
    "a port": f'url = "socks5://{USER}:{PASSWORD}@127.0.0.1:99999"',
    "a scheme": f'url = "ftp://{USER}:{PASSWORD}@127.0.0.1:1"',
    "no place at all": f'url = "{PASSWORD}"',
    "a sign that is not encoded": f'url = "socks5://{USER}:{PASSWORD}@x@127.0.0.1:1"',
    "a slash in it": f'url = "socks5://{USER}:{PASSWORD}/x@127.0.0.1:1"',
    "a path": f'url = "socks5://{USER}:x@127.0.0.1:1/{PASSWORD}"',
    "the host and password swapped": f'url = "socks5://127.0.0.1:1@{USER}:{PASSWORD}"',
    "a password where none can be": f'url = "socks4://{USER}:{PASSWORD}@127.0.0.1:1"',
    "a control character": f'url = "socks5://{USER}:{PASSWORD}%00@127.0.0.1:1"',
    "two passwords": f'url = "socks5://{USER}:{PASSWORD}@127.0.0.1:1"\npassword_env = "HOME"',
    "a variable": f'url = "socks5://{USER}@127.0.0.1:1"\npassword_env = "{PASSWORD}"',
    "an unknown key": f'url = "socks5://127.0.0.1:1"\npassword = "{PASSWORD}"',
    "a table in its place": f'url = {{ "{PASSWORD}" = 1 }}',
    "a list": f'url = ["socks5://{USER}:{PASSWORD}@127.0.0.1:1"]',
    "no TOML": f'url = "socks5://{USER}:{PASSWORD}@127.0.0.1:1',
    "a pool": f'urls = ["socks5://{USER}:{PASSWORD}@127.0.0.1:99999"]',
    "a login beside isolation": f'url = "socks5://{USER}:{PASSWORD}@127.0.0.1:1"\nisolation = "tor"',
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_wrong_is_not_quoted(what: str, tmp_path: Path) -> None:
    chain = tmp_path / "lab.toml"
    chain.write_text(f"[[hop]]\n{WRONG[what]}\n")
    commands = (("serve", "--chain", str(chain)), ("chain", "test", str(chain)))
    for words in commands:
        done = subprocess.run([*PROGRAM, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        assert "lab.toml" in done.stderr
