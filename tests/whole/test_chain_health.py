"""Pools: who is left alone and for how long, who keeps which exit; all of it as the hops see it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from anongw.lab.hop_script import Cut, Fault, Manner, Phase
from tests.support import asks, outside
from tests.support.asks import SOCKS5
from tests.support.config_file import configured
from tests.support.fake_hop import FakeHop, Place
from tests.support.raw_origin import Line
from tests.support.sockets import reset

NAME = "origin.example"
HOLD = 2.5  # seconds
HEALTH = {"failures": 3, "hold": f"{HOLD:.1f}s", "hold_most": "10m", "successes": 2}
CLOSES = Fault(Phase.REPLY, Manner.CLOSE)


class World:
    """A pool of fakes, the origin behind it, and the gateway in front."""

    def __init__(self, where: Place, origin: outside.Origin, hops: list[FakeHop]) -> None:
        self.where = where
        self.origin = origin
        self.hops = hops

    @property
    def seen(self) -> list[int]:
        """How many connections each member has had."""
        return [len(hop.seen) for hop in self.hops]

    def served(self, user: str = "") -> int:
        """A good request, in somebody's name; the member that it went through."""
        before = self.seen
        said = asks.socks5_request(NAME, self.origin.port)
        said = asks.socks5_login(user.encode(), b"") + said if user else asks.SOCKS5_NONE + said
        with asks.dial(self.where) as sock:
            sock.sendall(said + b"ping")
            granted = (b"\x05\x02\x01\x00" if user else b"\x05\x00") + asks.socks5_reply(0)
            assert asks.exactly(sock, len(granted) + 4) == granted + b"ping"
        grown = [place for place, (was, now) in enumerate(zip(before, self.seen, strict=True)) if now > was]
        return next(place for place in grown if self.hops[place].seen[-1].payload)  # others have failed

    def tunnel(self) -> Line:
        return Line(asks.tunnel(self.where, SOCKS5, NAME, self.origin.port))

    def until(self, true: Callable[[], bool]) -> None:
        """Ask again and again, until something has come true."""
        end = time.monotonic() + asks.PATIENCE
        while not true():
            assert time.monotonic() < end, self.seen


@contextmanager
def world(folder: Path, count: int, **pool: object) -> Iterator[World]:
    with outside.on_loopback({}) as (origin, _), ExitStack() as stack:
        hops = [stack.enter_context(FakeHop(names={NAME: (origin.host, origin.port)})) for _ in range(count)]
        hop = {"urls": [one.url for one in hops], **pool}
        with configured(
            folder, chains={"lab": {"hop": [hop], "health": HEALTH}}, route=[{"to": "lab"}]
        ) as gateway:
            yield World(gateway.where, origin, hops)


def test_one_that_fails_is_left_alone_and_comes_back(tmp_path: Path) -> None:
    with world(tmp_path, 2) as here:
        first, _ = here.hops
        first.fault = CLOSES
        began = time.monotonic()
        assert [here.served() for _ in range(9)] == [1] * 9
        assert here.seen == [3, 9], "down after three failures in a row"
        first.fault = None
        here.until(lambda: here.served() == 0)
        assert time.monotonic() - began >= HOLD
        assert [here.served() for _ in range(5)] == [0] * 5, "the first that is up is everybody's"


def test_one_that_fails_again_is_left_alone_at_once(tmp_path: Path) -> None:
    with world(tmp_path, 2) as here:
        here.hops[0].fault = CLOSES
        here.until(lambda: here.served() == 1 and here.seen[0] == 4)
        assert [here.served() for _ in range(5)] == [1] * 5
        assert here.seen[0] == 4, "one failure is enough after a hold"


@pytest.mark.parametrize("manner", [Manner.CLOSE, Manner.RESET])
def test_a_relay_that_dies_early_counts(manner: Manner, tmp_path: Path) -> None:
    with world(tmp_path, 2) as here:
        here.hops[0].cut = Cut(0, manner)
        for _ in range(3):
            with here.tunnel() as line:
                assert line.gone()
        assert [here.served() for _ in range(3)] == [1] * 3
        assert here.seen == [3, 3]


def test_a_client_that_leaves_early_does_not(tmp_path: Path) -> None:
    with world(tmp_path, 2) as here:
        for place in range(6):
            line = here.tunnel()
            if place % 2:
                line.sock.close()
            else:
                reset(line.sock)
        here.hops[0].until(lambda: here.hops[0].live == 0)
        assert [here.served() for _ in range(3)] == [0] * 3


def test_a_target_that_cannot_be_reached_costs_nobody_his_name(tmp_path: Path) -> None:
    with world(tmp_path, 2) as here:
        here.hops[0].fault = Fault(Phase.REPLY, says=asks.socks5_reply(5))
        for _ in range(6):
            heard = asks.exchange(here.where, SOCKS5.ask(NAME, here.origin.port))
            assert heard == SOCKS5.refused("connection-refused")
        here.hops[0].fault = None
        assert here.served() == 0
        assert here.seen == [7, 0]


def test_where_all_are_down_each_is_tried_all_the_same(tmp_path: Path) -> None:
    with world(tmp_path, 2) as here:
        for hop in here.hops:
            hop.fault = CLOSES
        for _ in range(6):
            heard = asks.exchange(here.where, SOCKS5.ask(NAME, here.origin.port))
            assert heard == SOCKS5.refused("hop-closed")
        assert here.seen == [6, 6]
        here.hops[1].fault = None
        assert here.served() == 1, "at once, and not when its time is over"


@pytest.mark.parametrize("strategy", ["round-robin", "random", "least-used"])
def test_an_identity_keeps_its_exit(strategy: str, tmp_path: Path) -> None:
    names = [f"user{number}" for number in range(8)]
    with world(tmp_path, 4, strategy=strategy) as here:
        exits = {name: here.served(name) for name in names}
        assert [{name: here.served(name) for name in names} for _ in range(3)] == [exits] * 3
        assert len(set(exits.values())) > 1, "not everybody has the same"
        # It moves when it fails for the identity itself, and then stays where it moved to.
        moved = names[0]
        here.hops[exits[moved]].fault = CLOSES
        other = here.served(moved)
        assert other != exits[moved]
        here.hops[exits[moved]].fault = None
        assert [here.served(moved) for _ in range(3)] == [other] * 3
        assert [here.served(name) for name in names[1:]] == [exits[name] for name in names[1:]]


def test_rotation_by_count(tmp_path: Path) -> None:
    with world(tmp_path, 3, strategy="round-robin", sticky_count=2) as here:
        exits = [here.served("alice") for _ in range(8)]
    pairs = list(zip(exits[::2], exits[1::2], strict=True))
    assert all(one == other for one, other in pairs)
    assert all(pair != following for pair, following in pairwise(pairs))
    assert {one for one, _ in pairs[:3]} == {0, 1, 2}


def test_rotation_by_connection(tmp_path: Path) -> None:
    with world(tmp_path, 3, strategy="round-robin", sticky="0s") as here:
        assert [here.served("alice") for _ in range(6)] == [0, 1, 2, 0, 1, 2]
        here.hops[1].fault = CLOSES
        assert [here.served("alice") for _ in range(9)].count(1) == 0
        assert here.seen[1] == 2 + 3


def test_several_in_a_row_of_one_pool(tmp_path: Path) -> None:
    """`pick`: each connection goes through that many different members, in any order."""
    with world(tmp_path, 3, strategy="random", pick=2, sticky="0s") as here:
        orders: set[tuple[int, int]] = set()
        while len(orders) < 6:
            before = here.seen
            here.served()
            grown = [place for place in range(3) if here.seen[place] > before[place]]
            assert len(grown) == 2
            (exit_,) = (place for place in grown if here.hops[place].seen[-1].host == NAME)
            (entry,) = (place for place in grown if place != exit_)
            assert here.hops[entry].seen[-1].target == here.hops[exit_].place
            orders.add((entry, exit_))
