"""`anongw identity` against a running gateway, as hops, origins and clients see it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import asks, outside
from tests.support.config_file import Table, configured
from tests.support.fake_hop import FakeHop
from tests.support.gateway import basic
from tests.support.process import PATIENCE, PROGRAM, ROOT, Gateway
from tests.support.raw_origin import Line
from tests.support.workers import until, workers

ALICE, BOB = b"alice", b"bob"
TARGET = "127.0.0.9"
HOPS = 3


class World:
    """A gateway with a pool that keeps identities apart, and the origin behind it."""

    def __init__(self, folder: Path, hops: list[FakeHop], origin: outside.Origin) -> None:
        self.folder = folder
        self.hops = hops
        self.origin = origin
        self.running: Gateway

    def tunnel(self, user: bytes) -> Line:
        """One that works."""
        line = Line(asks.dial(self.running.where))
        line.send(asks.socks5_login(user, b"") + asks.socks5_request(TARGET, self.origin.port))
        granted = b"\x05\x02\x01\x00" + asks.socks5_reply(0)
        assert line.exactly(len(granted)) == granted
        self.echo(line)
        return line

    def echo(self, line: Line) -> None:
        line.send(b"still here")
        assert line.exactly(10) == b"still here"

    def get(self, user: bytes) -> None:
        """A plain request, after which the connection to the origin is kept."""
        code = basic(user.decode(), "").encode()
        with Line(asks.dial(self.running.where)) as line:
            line.send(asks.get(TARGET, self.origin.port, code))
            assert line.message().status == 200

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "identity", *words, "--control", str(self.folder / "control")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def done(self, *words: str) -> str:
        found = self.say(*words)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.done("list", "--json"))
        return found

    def met(self) -> set[tuple[int, str | None, str | None]]:
        """Which hop was told which login."""
        return {
            (number, seen.user, seen.password) for number, hop in enumerate(self.hops) for seen in hop.seen
        }


@contextmanager
def world(folder: Path, *settings: str, identities: Table | None = None) -> Iterator[World]:
    with outside.Origin(outside.listening(TARGET)) as origin, ExitStack() as stack:
        hops = [stack.enter_context(FakeHop()) for _ in range(HOPS)]
        made = World(folder, hops, origin)
        pool = {"urls": [hop.url for hop in hops], "strategy": "random", "sticky": "1h", "isolation": "auth"}
        with configured(
            folder,
            f"control.socket={folder}/control",
            'policy.allow_private=["127.0.0.9/32"]',
            *settings,
            chains={"pool": {"hop": [pool]}},
            identities=identities or {},
        ) as made.running:
            yield made


def test_new_is_for_what_begins_afterwards(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        with made.tunnel(ALICE) as old:
            (alice,) = made.met()
            other = made.tunnel(BOB)
            first = made.met()
            assert made.done("new", "alice").startswith("a new epoch for 1 identities\n1 flows keep")
            made.echo(old)
            made.echo(other)
            with other, made.tunnel(ALICE):
                pass
        fresh = made.met() - first
        ((hop, user, password),) = fresh
        assert hop != alice[0], "another exit"
        assert {user, password}.isdisjoint(part for one in first for part in one), "and another login there"
        with made.tunnel(BOB), made.tunnel(ALICE):
            pass
        assert made.met() - first == fresh, "and both stay so"


@pytest.mark.parametrize("lines", [(), (basic("alice", "").encode(),)], ids=["nobody", "alice"])
def test_the_next_request_of_a_kept_connection_is_of_the_new_epoch(
    tmp_path: Path, lines: tuple[bytes, ...]
) -> None:
    """Whatever the connection remembers of the requests before it. One epoch has HOPS logins at most."""
    with world(tmp_path) as made, Line(asks.dial(made.running.where)) as line:
        for epoch in range(1, HOPS + 2):
            for _ in range(2):
                line.send(asks.get(TARGET, made.origin.port, *lines))
                assert line.message().status == 200
            assert len(made.origin.heard) == len(made.met()) == epoch
            made.done("new", "all")


def test_forget_ends_and_wipes_one_and_no_other(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        for user in (ALICE, BOB):
            made.get(user)
            made.get(user)
        assert len(made.origin.heard) == 2, "each has a kept connection"
        with made.tunnel(ALICE) as alice, made.tunnel(BOB) as bob:
            before = made.met()
            said = made.done("forget", "alice")
            assert said.startswith("forgotten: 1 identities, 1 connections ended, 1 kept ones closed")
            assert "what remains:" in said
            assert alice.gone()
            made.echo(bob)
        made.get(ALICE)
        made.get(BOB)
        assert len(made.met() - before) == 1, "alice's, who is somebody else to the hops"


def test_all_are_forgotten(tmp_path: Path) -> None:
    with world(tmp_path) as made, made.tunnel(ALICE) as alice, made.tunnel(BOB) as bob:
        before = made.met()
        assert "forgotten: 2 identities, 2 connections ended" in made.done("forget", "all")
        assert alice.gone()
        assert bob.gone()
        assert made.listed() == []
        with made.tunnel(ALICE), made.tunnel(BOB):
            assert len(made.met() - before) == 2


def test_a_list_is_of_pseudonyms_by_which_they_can_be_meant(tmp_path: Path) -> None:
    with world(tmp_path) as made, made.tunnel(ALICE):
        made.get(BOB)
        alice, bob = made.listed()
        assert (alice["live"], bob["live"], bob["flows"], bob["ways"]) == (1, 0, 1, ["pool"])
        made.done("new", str(bob["name"]))
        epochs = {one["name"]: one["epoch"] for one in made.listed()}
        assert epochs == {alice["name"]: 1, bob["name"]: 2}
        nobody = made.say("forget", "carol")
        assert nobody.returncode == 1
        assert "nobody of that name is known" in nobody.stderr


def test_with_names_on_a_list_has_names(tmp_path: Path) -> None:
    with world(tmp_path, "log.names=true") as made, made.tunnel(ALICE):
        assert [one["name"] for one in made.listed()] == ["user alice"]


def test_an_identity_has_a_way_and_a_budget_of_its_own(tmp_path: Path) -> None:
    own = {"alice": {"to": "refuse"}, "bob": {"connections": 1, "bytes_a_day": "1KiB"}}
    with world(tmp_path, identities=own) as made:
        where = made.running.where
        refused = b"\x05\x02\x01\x00" + asks.socks5_reply(2)

        def asked(user: bytes) -> bytes:
            return asks.exchange(
                where, asks.socks5_login(user, b"") + asks.socks5_request(TARGET, made.origin.port)
            )

        assert asked(ALICE) == refused
        with made.tunnel(BOB) as bob:
            assert asked(BOB) == refused, "a second connection"
            bob.send(bytes(2000))
            bob.rest_until_reset()  # ended by what it has spent
        assert asked(BOB) == refused, "and no more today"
        with made.tunnel(b"carol"):
            pass


def test_all_workers_are_told_and_those_that_are_forked_later(tmp_path: Path) -> None:
    with outside.Origin(outside.listening(TARGET)) as origin, ExitStack() as stack:
        hops = [stack.enter_context(FakeHop()) for _ in range(HOPS)]
        made = World(tmp_path, hops, origin)
        chain = tmp_path / "pool.toml"
        urls = ", ".join(f'"{hop.url}"' for hop in hops)
        chain.write_text(f'[[hop]]\nurls = [{urls}]\nstrategy = "random"\nisolation = "auth"\n')
        running = stack.enter_context(workers(tmp_path, arguments=("--chain", str(chain))))
        made.running = running.gateway

        def of_each(user: bytes) -> list[Line]:
            """Tunnels, of every worker one at least."""
            found = [stack.enter_context(made.tunnel(user))]
            while len({running.owner(one.sock) for one in found}) < len(running.pids):
                found.append(stack.enter_context(made.tunnel(user)))
            return found

        alice, bob = of_each(ALICE), of_each(BOB)
        assert sorted(one["live"] for one in made.listed()) == sorted(map(len, (alice, bob)))
        first = made.met()
        assert len(first) == 2
        said = made.done("new", "alice")
        assert said.startswith(f"a new epoch for 1 identities\n{len(alice)} flows keep")
        alice += of_each(ALICE)
        (fresh,) = made.met() - first
        victim = running.pids[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in running.pids and len(running.pids) == 2)
        until(lambda: len(running.status()["workers"]) == 2)
        of_each(ALICE)
        assert made.met() - first == {fresh}, "one epoch for all, also in a worker that was forked since"
        counted = {hop: len(hop.seen) for hop in hops}
        of_each(ALICE)
        began = {(seen.user, seen.password) for hop in hops for seen in hop.seen[counted[hop] :]}
        assert began == {fresh[1:]}, "and none goes back to the one before"
        assert "forgotten: 1 identities" in made.done("forget", "alice")
        assert [one["epoch"] for one in made.listed()] == [1], "bob's alone"
        for line in of_each(BOB):
            made.echo(line)
        made.done("forget", "all")
        assert made.listed() == []
        assert made.say("new", "carol").returncode == 1
