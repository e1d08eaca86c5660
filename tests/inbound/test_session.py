"""The facts of a connection: when a flow begins and ends, in whose name it goes, and who may be nobody."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from anongw.address import Endpoint, parse_host
from anongw.config import Identity, Limits, Route, Taken
from anongw.errors import Reason, Refused
from anongw.flow import Flow
from anongw.identities import Identities
from anongw.inbound.session import Rooms, Session
from anongw.net.engine import Engine
from anongw.net.fiber import Fiber
from anongw.net.pipes import Pipes
from anongw.net.stream import Stream
from anongw.route import Table
from anongw.users import Users, parse_hash
from anongw.web.deliver import Delivery
from anongw.web.exchange import Request, Response
from anongw.web.pool import Pool
from tests.support.driven import driven
from tests.support.gateway import user

HASHES = {"alice": parse_hash(user().partition('"')[2].removesuffix('"'))}
TARGET = Endpoint("a.example", 80)


class Nowhere:
    """A dialer that reaches nothing."""

    async def dial(self, target: Endpoint, flow: Flow, fiber: Fiber) -> Stream:
        raise Refused(Reason.HOST_UNREACHABLE)


async def unused(request: Request, fiber: Fiber) -> Response:
    raise AssertionError("no plain request is made here")


class Closed(list[Flow]):
    """The flows that are over, in their order."""


async def play(
    act: Callable[[Session], object],
    *,
    users: bool = False,
    by_destination: bool = False,
    safe_socks: Taken = "warn",
    identities: Identities | None = None,
) -> tuple[Session, Closed]:
    """Run `act`, or the coroutine that it returns, within a session."""
    closed = Closed()
    sessions: list[Session] = []
    idle = Engine()
    pool = Pool(idle, Limits())
    rooms = Rooms(
        limits=Limits(),
        users=Users(HASHES, 8) if users else None,
        routes=Table((Route(to="direct"),)),
        dialer=Nowhere(),
        handler=unused,
        delivery=Delivery(pool, Limits(), Pipes(0)),
        pipes=Pipes(0),
        rules=Identity(by_destination=by_destination),
        identities=identities or Identities(lambda: 0.0, bytes(32), 10),
        safe_socks=safe_socks,
        key=bytes(32),
        finished=closed.append,
        left=lambda _client: None,
    )

    async def carry(fiber: Fiber, stream: Stream) -> None:
        session = Session(Flow("127.0.0.1:1080"), lambda: rooms, local=True)
        session.fiber, session.client = fiber, stream
        sessions.append(session)
        acting = act(session)
        if acting is not None:
            await acting  # type: ignore[misc]

    async with driven() as engine:
        flow = engine.flow(carry)
        flow.peer.last()
        await flow.over()
    idle.shut()
    return sessions[0], closed


async def test_a_connection_that_never_asks_is_no_flow() -> None:
    _, closed = await play(lambda session: session.finish(Reason.CLIENT_GONE))
    assert closed == []


async def test_a_flow_ends_once_and_the_first_word_counts() -> None:
    def act(session: Session) -> None:
        session.begin("socks5")
        session.finish(Reason.FORBIDDEN)
        session.finish(None)
        session.finish(Reason.CLIENT_GONE)

    _, closed = await play(act)
    assert [flow.reason for flow in closed] == [Reason.FORBIDDEN]


async def test_each_request_is_a_flow_with_its_own_facts() -> None:
    def act(session: Session) -> None:
        session.begin("http")
        session.label(b"alice")
        session.aim(TARGET)
        session.client.received, session.client.sent = 100, 1000
        session.finish(None)
        session.begin("http")
        assert session.flow.user is None
        assert session.flow.target is None
        session.client.received, session.client.sent = 130, 1500
        session.finish(None)

    _, closed = await play(act)
    assert [(flow.sent, flow.received) for flow in closed] == [(100, 1000), (30, 500)]
    assert closed[0].number != closed[1].number
    assert {flow.listener for flow in closed} == {"127.0.0.1:1080"}


@pytest.mark.parametrize("by_destination", [False, True])
async def test_aiming_settles_the_identity(*, by_destination: bool) -> None:
    def act(session: Session) -> None:
        session.label(b"alice")
        session.aim(TARGET)

    session, _ = await play(act, by_destination=by_destination)
    assert session.flow.identity == ("user alice to a.example" if by_destination else "user alice")


async def test_a_flow_is_its_identitys_from_aiming_to_its_end() -> None:
    identities = Identities(lambda: 0.0, bytes(32), 10)

    def act(session: Session) -> None:
        session.begin("http")
        session.label(b"alice")
        session.aim(TARGET)
        session.client.received, session.client.sent = 100, 1000
        assert session.moved == 1100
        (alice,) = identities
        assert alice.live == {session}
        session.finish(None)
        assert not alice.live
        assert (alice.flows, alice.sent, alice.received, alice.ways) == (1, 100, 1000, {"direct"})
        session.begin("http")
        assert session.moved == 0
        session.finish(Reason.MALFORMED)
        assert alice.flows == 1, "a flow that never aimed is nobody's"

    await play(act, identities=identities)


async def test_labels_stay_apart() -> None:
    """Any bytes are a name, and no two of them are one."""
    names = [b"", b"a", b"A", b"\xff", b"\\xff", b"\\\\xff", b"\\", b"\\\\", "ü".encode(), b"\xfc", b"a\n"]
    labels = []

    def act(session: Session) -> None:
        for name in names:
            session.label(name)
            labels.append(session.flow.user)

    await play(act)
    assert len(set(labels)) == len(names)


@pytest.mark.parametrize(
    ("users", "allowed", "refused"),
    [(False, True, False), (False, False, True), (True, True, True), (True, False, True)],
)
async def test_who_may_be_nobody(*, users: bool, allowed: bool, refused: bool) -> None:
    def act(session: Session) -> None:
        if not refused:
            session.anonymous(allowed=allowed)
            return
        with pytest.raises(Refused) as raised:
            session.anonymous(allowed=allowed)
        assert raised.value.reason is Reason.AUTH_REQUIRED

    await play(act, users=users)


@pytest.mark.parametrize(
    ("name", "password", "users", "user_"),
    [
        (b"alice", b"secret", True, "alice"),
        (b"alice", b"wrong", True, None),
        (b"bob", b"secret", True, None),
        (b"", b"", True, None),
        (b"bob", b"anything", False, "bob"),
    ],
)
async def test_login(*, name: bytes, password: bytes, users: bool, user_: str | None) -> None:
    async def act(session: Session) -> None:
        with nullcontext() if user_ is not None else pytest.raises(Refused, match="auth-failed"):
            await session.login(name, password)
        assert session.flow.user == user_, "a name that was not proven is not even a label"

    session, _ = await play(act, users=users)
    assert session.flow.user == user_


async def test_a_dial_that_fails_has_aimed() -> None:
    target = Endpoint(parse_host("192.0.2.1"), 80)

    async def act(session: Session) -> None:
        with pytest.raises(Refused):
            await session.dial(target)

    session, _ = await play(act)
    assert session.flow.target == target


async def test_what_asks_by_address_is_noted_and_refused_where_names_alone_are_taken() -> None:
    target = Endpoint(parse_host("1.2.3.4"), 443)

    def noted(session: Session) -> None:
        session.by_address(target)
        assert session.flow.by_address

    def refused(session: Session) -> None:
        with pytest.raises(Refused, match="resolved-by-client"):
            session.by_address(target)
        assert session.flow.target == target, "a log with names says what was asked for"

    await play(noted)
    await play(refused, safe_socks="reject")


async def test_a_client_that_is_gone_gets_no_answer() -> None:
    async def act(session: Session) -> None:
        session.begin("socks5")
        await session.refuse(Refused(Reason.CLIENT_GONE), b"answer")

    session, closed = await play(act)
    assert session.client.sent == 0
    assert [flow.reason for flow in closed] == [Reason.CLIENT_GONE]
