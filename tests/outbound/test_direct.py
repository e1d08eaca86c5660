"""The direct way out: judged before anything is looked up, judged again before anything is dialled."""

import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from anongw import config
from anongw.address import Address, Endpoint, parse_host
from anongw.config import Cidr, Rule
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.net.egress import ANYWHERE
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.outbound.direct import Direct
from anongw.policy import Policy
from tests.support.driven import driven

LAB = config.Policy(allow_private=(Cidr("127.0.0.0/8"), Cidr("::1/128")))


class Names:
    """A resolver that knows one name, and remembers what it was asked."""

    def __init__(self, *found: str, cached: bool = False) -> None:
        self._found = tuple(ipaddress.ip_address(one) for one in found)
        self._cached = cached
        self.asked: list[tuple[str, str]] = []

    def cached(self, name: str, identity: str) -> Sequence[Address] | None:
        if self._cached:
            self.asked.append((name, identity))
        return self._found if self._cached else None

    async def addresses(self, name: str, identity: str) -> Sequence[Address]:
        self.asked.append((name, identity))
        if not self._found:
            raise Refused(Reason.NAME_NOT_FOUND)
        return self._found


class _Mine(Policy):
    """One that takes 127.0.0.1 for a public address, as this machine's own may be."""

    def judge_address(self, address: Address, port: int, name: str | None) -> None:
        pass

    def may_use(self, address: Address) -> bool:
        return True


async def dial(policy: Policy, names: Names, target: Endpoint) -> Reason | str:
    """The address that was reached, or why none was."""
    outcome: list[Reason | str] = []
    dialer = Direct(policy, names, timeout=5, egress=ANYWHERE)

    async def carry(fiber: Fiber, _: Stream) -> None:
        flow = Flow("127.0.0.1:1080", identity="user alice")
        try:
            stream = await dialer.dial(target, flow, fiber)
        except Refused as refused:
            outcome.append(refused.reason)
        else:
            outcome.append(stream.sock.getpeername()[0])

    async with driven() as engine:
        flow = engine.flow(carry)
        await flow.over()
    assert len(outcome) == 1
    return outcome[0]


@asynccontextmanager
async def listening(host: str = "127.0.0.1") -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        sock.listen()
        sock.settimeout(0)
        yield sock


def saw_nobody(sock: socket.socket) -> bool:
    try:
        sock.accept()[0].close()
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("cached", [False, True])
async def test_a_name_is_looked_up_once(*, cached: bool) -> None:
    async with listening() as sock:
        names = Names("127.0.0.1", cached=cached)
        reached = await dial(Policy(LAB), names, Endpoint("a.example", sock.getsockname()[1]))
        assert reached == "127.0.0.1"
        assert names.asked == [("a.example", "user alice")]


async def test_an_address_is_not_looked_up() -> None:
    async with listening() as sock:
        names = Names()
        target = Endpoint(parse_host("127.0.0.1"), sock.getsockname()[1])
        assert await dial(Policy(LAB), names, target) == "127.0.0.1"
        assert not names.asked


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(
    "found",
    [("127.0.0.1",), ("10.0.0.1", "127.0.0.1"), ("::1",), ("::ffff:127.0.0.1",), ("64:ff9b::7f00:1",)],
)
async def test_rebinding(found: tuple[str, ...], *, cached: bool) -> None:
    async with listening() as sock:
        names = Names(*found, cached=cached)
        target = Endpoint("rebound.example", sock.getsockname()[1])
        assert await dial(Policy(config.Policy()), names, target) is Reason.REBINDING
        assert saw_nobody(sock)
        assert len(names.asked) == 1


def two_on_one_port(one: str, two: str) -> tuple[socket.socket, socket.socket]:
    """Listeners at two addresses; the kernel picks a port at the first that may be taken at the second."""
    while True:
        first, second = socket.socket(), socket.socket()
        try:
            first.bind((one, 0))
            second.bind((two, first.getsockname()[1]))
        except OSError:
            first.close()
            second.close()
            continue
        for sock in (first, second):
            sock.listen()
            sock.settimeout(0)
        return first, second


async def test_what_is_allowed_of_several_is_used() -> None:
    """The private ones are left out, not tried."""
    private, allowed = two_on_one_port("127.0.0.1", "127.0.0.2")
    with private, allowed:
        policy = Policy(config.Policy(allow_private=(Cidr("127.0.0.2/32"),)))
        names = Names("127.0.0.1", "127.0.0.2")
        assert await dial(policy, names, Endpoint("a.example", private.getsockname()[1])) == "127.0.0.2"
        assert saw_nobody(private)
        assert not saw_nobody(allowed)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("localhost", Reason.PRIVATE_NAME),
        ("printer", Reason.PRIVATE_NAME),
        ("printer.local", Reason.PRIVATE_NAME),
        ("metadata.google.internal", Reason.PRIVATE_NAME),
        ("denied.example", Reason.FORBIDDEN),
        ("below.denied.example", Reason.FORBIDDEN),
    ],
)
async def test_policy_speaks_before_the_resolver(host: str, reason: Reason) -> None:
    async with listening() as sock:
        settings = config.Policy(deny=(Rule("denied.example"),), allow_private=(Cidr("127.0.0.0/8"),))
        names = Names("127.0.0.1")
        assert await dial(Policy(settings), names, Endpoint(host, sock.getsockname()[1])) is reason
        assert not names.asked
        assert saw_nobody(sock)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (config.Policy(), Reason.PRIVATE_TARGET),
        (config.Policy(allow_private=LAB.allow_private, deny=(Rule("127.0.0.0/8"),)), Reason.FORBIDDEN),
        (config.Policy(allow_private=LAB.allow_private, deny=(Rule("*"),)), Reason.FORBIDDEN),
        (config.Policy(allow_private=LAB.allow_private, allow=(Rule("192.0.2.0/24"),)), Reason.FORBIDDEN),
    ],
)
async def test_a_refused_target_sees_nobody(settings: config.Policy, reason: Reason) -> None:
    async with listening() as sock:
        target = Endpoint(parse_host("127.0.0.1"), sock.getsockname()[1])
        assert await dial(Policy(settings), Names(), target) is reason
        assert saw_nobody(sock)


async def test_a_denied_address_behind_a_name() -> None:
    async with listening() as sock:
        settings = config.Policy(allow_private=LAB.allow_private, deny=(Rule("127.0.0.1/32"),))
        target = Endpoint("a.example", sock.getsockname()[1])
        assert await dial(Policy(settings), Names("127.0.0.1"), target) is Reason.FORBIDDEN
        assert saw_nobody(sock)


async def test_own_listeners_by_name() -> None:
    async with listening() as sock:
        port = sock.getsockname()[1]
        policy = Policy(LAB, [Endpoint(parse_host("127.0.0.1"), port)])
        assert await dial(policy, Names("127.0.0.1"), Endpoint("a.example", port)) is Reason.OWN_LISTENER
        assert saw_nobody(sock)


async def test_an_unknown_name() -> None:
    assert await dial(Policy(LAB), Names(), Endpoint("a.example", 80)) is Reason.NAME_NOT_FOUND


async def test_this_machine_by_a_public_address() -> None:
    """The very address that we would come from: refused unseen, unless `allow_private` names it."""
    async with listening() as sock:
        target = Endpoint(parse_host("127.0.0.1"), sock.getsockname()[1])
        assert await dial(_Mine(config.Policy()), Names(), target) is Reason.OWN_LISTENER
        assert await dial(_Mine(config.Policy()), Names("127.0.0.1"), Endpoint("a.example", target.port)) is (
            Reason.OWN_LISTENER
        )
        assert saw_nobody(sock)
        assert saw_nobody(sock), "not even an empty connection"
        assert await dial(_Mine(LAB), Names(), target) == "127.0.0.1"
