"""What leaves the machine while the ways out change: reloads, stops and kills in mid-stream, and probes.

A flow keeps the way that it began with, and whatever begins later takes the new one; nothing takes a third.
See tests/support/chain_scene.py for the networks and the judgement on every packet.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from anongw.lab.hop_script import Fault, Manner, Phase
from anongw.lab.passed import Passed
from tests.support import asks, namespace, outside
from tests.support.asks import CONNECT, HTTP, SOCKS5, WAYS
from tests.support.chain_scene import DIRECT_NAME, NAME, PLAIN_NAME, Scene, scene
from tests.support.fake_hop import FakeHop, Place
from tests.support.namespace import GATEWAY_INSIDE, HOPS, ORIGIN
from tests.support.process import PATIENCE, Gateway
from tests.support.raw_origin import Line

CLIENT = b"client-of-all"
HASTY = {"hop_timeout": "1s", "timeout": "1s"}
HANGS = Fault(Phase.ACCEPT, Manner.HANG)
EVERY = 0.6
PROBE = {"target": "probed.example:443", "every": "600ms"}

pytestmark = pytest.mark.skipif(bool(namespace.why_not()), reason=namespace.why_not() or "namespaces work")


@pytest.fixture(scope="module")
def networks() -> Iterator[namespace.Networks]:
    with namespace.networks() as made:
        yield made


class Running:
    """A download and a tunnel that have begun and are not over."""

    def __init__(self, world: Scene, stack: ExitStack, word: str) -> None:
        self._word = word.encode()
        self._tunnel = stack.enter_context(world.tunnel(CLIENT, SOCKS5, DIRECT_NAME))
        # An origin that the test plays.
        with world.networks.listener(ORIGIN) as listener:
            listener.settimeout(asks.PATIENCE)
            port = listener.getsockname()[1]
            self._client = Line(stack.enter_context(world.asking(CLIENT, HTTP, ORIGIN, port=port)))
            self._origin = stack.enter_context(Line(listener.accept()[0]))
        self.to_origin: Place = (ORIGIN, port)
        self._origin.until(b"\r\n\r\n")
        self._origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        self._client.until(b"half")
        self.goes_on()

    def goes_on(self) -> None:
        self._tunnel.sendall(self._word)
        assert asks.exactly(self._tunnel, len(self._word)) == self._word

    def ends(self) -> None:
        """The download comes to its end, and its connection is not kept for another."""
        self._origin.send(b"half")
        assert self._client.exactly(4) == b"half"
        assert self._origin.gone()


# Reloads


def by_signal(running: Gateway, _control: Path) -> bool:
    """Whether the config was taken."""
    before = len(running.errors)
    os.kill(running.pid, signal.SIGHUP)
    until = time.monotonic() + PATIENCE
    while "reloaded, " not in (said := running.errors[before:]):
        assert time.monotonic() < until, "it says nothing"
        time.sleep(0.01)
    return "not reloaded" not in said


def by_control(_running: Gateway, control: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(control))
        sock.sendall(b'{"command": "reload"}\n')
        said: bool = json.loads(sock.makefile("rb").readline())["ok"]
        return said


@pytest.mark.parametrize("reload", [by_signal, by_control])
def test_a_reload_moves_what_comes_after_it_and_nothing_else(
    reload: Callable[[Gateway, Path], bool], networks: namespace.Networks, tmp_path: Path
) -> None:
    control = tmp_path / "control"
    with scene(networks) as world:
        lab, other = world.chain("lab", "socks5", "http"), world.chain("other", "https")
        opens: dict[str, set[Place]] = {
            "direct": {world.to_origin},
            "lab": {lab.first},
            "other": {other.first},
        }
        path = world.write(tmp_path, [{"to": "direct"}])
        with world.gateway(path, f"control.socket={control}") as running, ExitStack() as stack:
            kept = stack.enter_context(world.connected())
            begun: dict[str, Running] = {}
            before = ""
            for to in ("direct", "lab", "other", "direct", "refuse", "lab"):
                silent = [(stack.enter_context(world.connected()), way) for way in WAYS]
                if begun:
                    world.write(tmp_path, [{"to": to}])
                    assert reload(running, control)
                    keep_their_ways(world, begun, opens, closed=opens.get(before, set()))
                before = to
                if to == "refuse":
                    world.refuses(*((CLIENT, way, DIRECT_NAME) for way in WAYS))
                    judge(world.passed(), set())
                    continue
                # Of a client that was served before, so that it could have a kept connection again; and of
                # those that had come, but asked for nothing.
                world.get(kept, CLIENT, DIRECT_NAME)
                judge(world.passed(), opens[to])
                world.get(kept, CLIENT, DIRECT_NAME)
                judge(world.passed(), set())
                for sock, way in silent:
                    world.serves(sock, CLIENT, way, DIRECT_NAME)
                judge(world.passed(), opens[to])
                if to not in begun:
                    begun[to] = Running(world, stack, f"the word of {to}")
                    judge(world.passed(), opens[to] | ({begun[to].to_origin} if to == "direct" else set()))
            for one in begun.values():
                one.ends()
            judge(world.passed(), set())


def judge(passed: Passed, opened: set[Place]) -> None:
    """Only who goes directly has a name looked up."""
    assert passed.opened == opened
    direct = any(host == ORIGIN for host, _ in opened)
    assert passed.asked <= ({DIRECT_NAME} if direct else set())


def keep_their_ways(
    world: Scene, begun: dict[str, Running], opens: dict[str, set[Place]], closed: set[Place]
) -> None:
    """Flows that have begun, after a reload. It itself has `closed` what was kept for others to come."""
    for one in begun.values():
        one.goes_on()
    passed = world.passed()
    judge(passed, set())
    assert passed.closed == closed
    for to in begun:
        expected = opens[to] if to != "other" else set()  # it is spoken to in TLS
        assert passed.out_readers(f"the word of {to}".encode()) == expected


@pytest.mark.parametrize("reload", [by_signal, by_control])
def test_a_config_that_is_wrong_changes_nothing(
    reload: Callable[[Gateway, Path], bool], networks: namespace.Networks, tmp_path: Path
) -> None:
    control = tmp_path / "control"
    with scene(networks) as world:
        lab = world.chain("lab", "socks5")
        path = world.write(tmp_path, [{"to": "lab"}])
        good = path.read_text()
        with world.gateway(path, f"control.socket={control}") as running:
            for wrong in ('route = [{to = "lab"}]', good.replace("socks5", "socks6"), good + "x", None):
                if wrong is None:
                    path.unlink()
                else:
                    path.write_text(wrong)
                assert not reload(running, control)
                for way in WAYS:
                    world.carries(CLIENT, way, PLAIN_NAME if way is HTTP else NAME)
                judge(world.passed(), {lab.first})


def test_a_dial_that_is_under_way_is_not_moved_by_a_reload(
    networks: namespace.Networks, tmp_path: Path
) -> None:
    with scene(networks) as world:
        lab = world.chain("lab", "socks5", **HASTY)
        lab.hops[0].fault = HANGS
        path = world.write(tmp_path, [{"to": "lab"}])
        with world.gateway(path) as running, ExitStack() as stack:
            socks = [stack.enter_context(world.asking(CLIENT, way, ORIGIN)) for way in WAYS]
            lab.hops[0].until(lambda: len(lab.hops[0].seen) == len(WAYS))
            world.write(tmp_path, [{"to": "direct"}])
            assert by_signal(running, tmp_path)
            for sock in socks:
                assert outside.BODY not in asks.rest(sock)
            judge(world.passed(), {lab.first})
            world.carries(CLIENT, CONNECT, ORIGIN)
            judge(world.passed(), {world.to_origin})


def test_what_one_route_keeps_is_not_for_another(networks: namespace.Networks, tmp_path: Path) -> None:
    """One user, one origin and two listeners, of which only one leads through the chain."""
    listeners = [f"{GATEWAY_INSIDE}:1080", f"{GATEWAY_INSIDE}:1081"]
    with scene(networks) as world:
        lab = world.chain("lab", "socks5")
        path = world.write(tmp_path, [{"listener": listeners[:1], "to": "lab"}, {"to": "direct"}])
        with world.gateway(path, f"listen.addresses={json.dumps(listeners)}"), ExitStack() as stack:
            socks = [stack.enter_context(world.connected(number)) for number in (0, 1)]
            for opened in ([{lab.first}, {world.to_origin}], [set[Place](), set[Place]()]):
                for sock, expected in zip(socks, opened, strict=True):
                    world.get(sock, CLIENT, DIRECT_NAME)
                    judge(world.passed(), expected)


# Ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("killed", [False, True], ids=["hops-live", "hops-die"])
def test_an_end_in_mid_stream_sends_nothing_elsewhere(
    number: signal.Signals, networks: namespace.Networks, tmp_path: Path, *, killed: bool
) -> None:
    """With `direct` among the routes, so that there would be a way."""
    with scene(networks) as world:
        lab, stuck = world.chain("lab", "socks5", "https"), world.chain("stuck", "socks5", **HASTY)
        stuck.hops[0].fault = HANGS
        routes = [
            {"identity": [stuck.client.decode()], "to": "stuck"},
            {"identity": ["nobody"], "to": "direct"},
        ]
        path = world.write(tmp_path, [*routes, {"to": "lab"}])
        with world.gateway(path) as running, ExitStack() as stack:
            one = Running(world, stack, "a word")
            waiting = [stack.enter_context(world.asking(stuck.client, way, ORIGIN)) for way in WAYS]
            stuck.hops[0].until(lambda: len(stuck.hops[0].seen) == len(WAYS))
            os.kill(running.pid, number)
            _until_it_listens_no_more(world)
            if killed:
                for hop in (*lab.hops, *stuck.hops):
                    stack.enter_context(hop.away())
            elif number == signal.SIGTERM:
                one.goes_on()
                one.ends()
            for sock in waiting:
                assert outside.BODY not in asks.rest(sock)
            assert running.wait() == (0 if number == signal.SIGTERM else -signal.SIGKILL)
            judge(world.passed(), {lab.first, stuck.first})


def _until_it_listens_no_more(world: Scene) -> None:
    with suppress(ConnectionRefusedError):
        while True:
            # One that has come to a listener that ends.
            with suppress(ConnectionResetError), world.connected():
                pass


# Probes


def test_probes_go_through_the_chain_at_times_of_their_own(
    networks: namespace.Networks, tmp_path: Path
) -> None:
    """To every member, dead ones too; there are none without a target, and none of a chain that is gone."""
    with scene(networks) as world:
        members = tuple(_member(world, word) for word in ("first", "second", "third"))
        tables = [{"urls": [hop.url for hop in members], "isolation": "auth"}]
        world.lay("watched", members, tables, probe=PROBE)
        world.lay("watched-later", (later := _member(world, "later"),), [{"url": later.url}], probe=PROBE)
        quiet = world.chain("quiet", "socks5", probe={"every": "100ms"})
        routes = [{"identity": [quiet.client.decode()], "to": "quiet"}]
        path = world.write(tmp_path, [*routes, {"to": "watched"}])
        *alive, dead = members
        with dead.away(), world.gateway(path, meanwhile={later.place}) as running:
            for hop in alive:
                _until_probed(hop, 5)
            passed = world.passed()
            world.carries(CLIENT, CONNECT, NAME)
            world.write(tmp_path, [*routes, {"to": "watched-later"}])
            assert by_signal(running, tmp_path)
            world.passed()
            _until_probed(later, 3)
            judge(world.passed(), {later.place})
    judge(passed, {hop.place for hop in members})
    assert passed.between == {(HOPS[0], world.to_origin)}
    assert passed.readers(b"probed.example") == {hop.place for hop in alive}
    gaps = _gaps(passed)
    assert max(gaps) - min(gaps) > EVERY / 3, "a clock to be known by"
    # The client's among them.
    tokens = [one.user for hop in alive for one in hop.seen if one.user]
    assert len(set(tokens)) == len(tokens) > 10


def _member(world: Scene, word: str) -> FakeHop:
    hop = world.hop(f"probed-{word}", "socks5", names={"probed.example": world.to_origin})
    hop.users = {}
    return hop


def _until_probed(hop: FakeHop, times: int) -> None:
    hop.until(lambda: len([one for one in hop.seen if one.port]) >= times)


def _gaps(passed: Passed) -> list[float]:
    """Seconds between two connections to the same hop."""
    times: dict[Place, list[float]] = {}
    for packet in passed.outward:
        if packet.sent and packet.opens:
            times.setdefault(packet.link[2:], []).append(packet.at)
    return [after - before for some in times.values() for before, after in pairwise(some)]
