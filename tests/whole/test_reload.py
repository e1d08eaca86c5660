"""A gateway is given other files: what runs goes on, what begins goes by them, and faults change nothing."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import asks, outside, process
from tests.support.asks import SOCKS5
from tests.support.fake_hop import FakeHop
from tests.support.gateway import user
from tests.support.process import PROGRAM, ROOT, Gateway
from tests.support.programs import PATIENCE

ORIGIN = "127.0.0.9"


class Scene:
    """A gateway with a config of its own, a hop that it may be told of, and an origin."""

    def __init__(self, folder: Path, hop: FakeHop, origin: outside.Origin) -> None:
        self.folder = folder
        self.hop = hop
        self.origin = origin
        self.gateway: Gateway

    def write(self, to: str, *more: str) -> None:
        """The config, with one route; `more` are lines of it."""
        lines = [
            *more,
            f'policy.allow_private = ["{ORIGIN}/32"]',
            f'chains.one.hop = [{{ url = "{self.hop.url}" }}]',
            "[[route]]",
            f'to = "{to}"',
        ]
        (self.folder / "anongw.toml").write_text("\n".join(lines))

    def ask(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, command, "--control", str(self.folder / "control"), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def reload(self) -> str:
        done = self.ask("reload")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.ask("status", "--json").stdout)
        return found

    @property
    def went(self) -> int:
        """How many connections the hop was asked for."""
        return len(self.hop.asked)


@contextmanager
def scene(folder: Path, to: str, *settings: str) -> Iterator[Scene]:
    with outside.Origin(outside.listening(ORIGIN)) as origin, FakeHop() as hop:
        made = Scene(folder, hop, origin)
        made.write(to)
        control = f"control.socket={folder}/control"
        arguments = ("--config", str(folder / "anongw.toml"))
        with process.gateway(folder, control, *settings, arguments=arguments) as made.gateway:
            yield made


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, "direct") as made:
        yield made


def test_a_tunnel_keeps_its_way_and_the_next_takes_the_new_one(running: Scene) -> None:
    where, port = running.gateway.where, running.origin.port
    with asks.tunnel(where, SOCKS5, ORIGIN, port) as old:
        running.write("one")
        assert "route" in running.reload()
        asks.served(where, ORIGIN, port)
        assert running.went == 1
        old.sendall(b"still here")
        assert asks.exactly(old, 10) == b"still here"
        running.write("refuse")
        running.reload()
        old.sendall(b"and again!")
        assert asks.exactly(old, 10) == b"and again!"
    assert running.went == 1


def test_a_kept_connection_does_not_outlive_its_way(running: Scene) -> None:
    """Neither the client's, on which the next request takes the new way, nor the origin's."""
    port = running.origin.port
    with asks.dial(running.gateway.where) as client:
        for _ in range(2):
            client.sendall(asks.get(ORIGIN, port))
            asks.exactly(client, len(outside.ANSWER))
        assert len(running.origin.heard) == 1
        running.write("one")
        running.reload()
        client.sendall(asks.get(ORIGIN, port))
        asks.exactly(client, len(outside.ANSWER))
        assert running.went == 1
        assert len(running.origin.heard) == 2


def test_what_was_cleaned_before_counts_no_more(running: Scene) -> None:
    """The same bytes on the same connection, by other rules."""
    request = asks.get(ORIGIN, running.origin.port, b"Cookie: a=b")
    with asks.dial(running.gateway.where) as client:
        for _ in range(2):
            client.sendall(request)
            asks.exactly(client, len(outside.ANSWER))
        assert running.origin.everything.count(b"Cookie: a=b") == 2
        running.write("direct", 'scrub.profile = "strict"')
        running.reload()
        client.sendall(request)
        asks.exactly(client, len(outside.ANSWER))
        assert len(running.origin.heard) == 2
        assert running.origin.everything.count(b"Cookie: a=b") == 2


def test_what_is_wrong_changes_nothing_and_is_said_with_its_place(running: Scene) -> None:
    running.write("nowhere")
    done = running.ask("reload")
    assert done.returncode == 1
    assert f"{running.folder}/anongw.toml:4: route[0].to" in done.stderr
    assert done.stdout == ""
    (running.folder / "anongw.toml").write_text("not = [toml")
    assert "anongw.toml:1: not TOML" in running.ask("reload").stderr
    asks.served(running.gateway.where, ORIGIN, running.origin.port)
    assert running.went == 0
    assert running.status()["generation"] == 1


def test_a_file_that_was_emptied_does_not_lead_out_directly(tmp_path: Path) -> None:
    """As an editor leaves it for a moment: what was behind a chain stays there."""
    with scene(tmp_path, "one") as running:
        (tmp_path / "anongw.toml").write_text(f'policy.allow_private = ["{ORIGIN}/32"]')
        done = running.ask("reload")
        assert done.returncode == 1
        assert "would go out directly" in done.stderr
        running.gateway.process.send_signal(signal.SIGHUP)
        _until(lambda: "would go out directly" in running.gateway.errors)
        asks.served(running.gateway.where, ORIGIN, running.origin.port)
        assert running.went == 1
        running.write("direct")  # that is meant
        running.reload()
        asks.served(running.gateway.where, ORIGIN, running.origin.port)
        assert running.went == 1


def test_nothing_new_is_nothing_changed(running: Scene) -> None:
    assert "nothing has changed" in running.reload()
    assert running.status()["generation"] == 1


def test_users_and_limits_change_and_listeners_do_not(running: Scene) -> None:
    where, port = running.gateway.where, running.origin.port
    running.write("direct", user(), "limits.idle = '3h'", "listen.backlog = 7")
    said = running.reload()
    assert "users" in said
    assert "limits.idle" in said
    assert said.index("only after a restart") < said.index("listen.backlog")
    with asks.dial(where) as client:
        client.sendall(b"\x05\x01\x00")
        assert asks.exactly(client, 2) == b"\x05\xff"
    running.write("direct")
    running.reload()
    asks.served(where, ORIGIN, port)


def test_hup_does_the_same(running: Scene) -> None:
    running.write("one")
    running.gateway.process.send_signal(signal.SIGHUP)
    _until(lambda: "reloaded, changed: route" in running.gateway.errors)
    asks.served(running.gateway.where, ORIGIN, running.origin.port)
    assert running.went == 1
    running.write("nowhere")
    running.gateway.process.send_signal(signal.SIGHUP)
    _until(lambda: "anongw.toml:4: route[0].to" in running.gateway.errors)
    asks.served(running.gateway.where, ORIGIN, running.origin.port)
    assert running.went == 2


def test_hup_ends_a_gateway_that_has_no_file(tmp_path: Path) -> None:
    with process.gateway(tmp_path) as running:
        assert running.stop(signal.SIGHUP) == 0


def test_many_reloads_leave_nothing_behind(running: Scene) -> None:
    where, port = running.gateway.where, running.origin.port
    asks.served(where, ORIGIN, port)
    before = len(running.gateway.descriptors())
    for number in range(8):
        running.write("direct" if number % 2 else "one")
        running.reload()
        asks.served(where, ORIGIN, port)
    assert running.status()["generation"] == 9
    _until(lambda: len(running.gateway.descriptors()) <= before + 1)


def test_the_status_counts_and_names_nobody(running: Scene) -> None:
    running.write("one")
    running.reload()
    for _ in range(3):
        asks.served(running.gateway.where, ORIGIN, running.origin.port)
    status = running.status()
    routes = {route["name"]: route["flows"] for route in status["routes"]}  # type: ignore[attr-defined]
    assert routes["one"] == 3
    text = running.ask("status").stdout + json.dumps(status)
    assert ORIGIN not in text
    assert str(running.origin.port) not in text
    assert running.hop.upstream.bare in text


def test_the_control_socket_is_its_users_alone(running: Scene) -> None:
    assert (running.folder / "control").stat().st_mode & 0o777 == 0o600
    assert (running.folder / "control").stat().st_uid == os.geteuid()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
