"""The control socket: whom it serves, what it says and does not say, each of its limits, and how it ends."""

import os
import shutil
import socket
import stat
import tempfile
import time
import typing
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path

import anyio
import msgspec
import pytest

from anongw.address import Endpoint
from anongw.control import (
    Bounds,
    ChainStatus,
    Command,
    Control,
    Declined,
    Forgotten,
    HopStatus,
    IdentityStatus,
    MemberStatus,
    Reloaded,
    Renewed,
    RouteStatus,
    Status,
    is_private,
    make_private,
    own_folder,
)
from anongw.errors import Reason, Refused
from anongw.exposure import Exposure
from anongw.flow import Flow
from anongw.log import Counters
from anongw.wire.control import Answer, Fields, answer, ask
from tests.support.driven import DrivenEngine, driven
from tests.support.feed import feed
from tests.support.sockets import Peer

LISTENERS = ("127.0.0.1:1080",)
ROOT, NOBODY = 0, 65534
SHORT = 0.3  # seconds; a limit below the sweep's interval means "at the next sweep"
LINE = len(ask("status"))


class Room:
    """An engine, a control socket, and clients of it."""

    def __init__(self, engine: DrivenEngine, control: Control, path: str) -> None:
        self.engine = engine
        self.control = control
        self.path = path

    def connect(self) -> Peer:
        sock = socket.socket(socket.AF_UNIX)
        self.engine.sockets.append(sock)
        sock.connect(self.path)
        sock.settimeout(0)
        return Peer(sock)

    async def ask(self, peer: Peer, line: bytes) -> Answer:
        await peer.send(line)
        return await self.answer(peer)

    async def answer(self, peer: Peer) -> Answer:
        data = b""
        while not data.endswith(b"\n"):
            data += await peer.exactly(1)
        return read(data)


def read(line: bytes) -> Answer:
    found = feed(answer, line)
    assert found.value is not None, line
    assert found.rest == b""
    return found.value


def refused(error: Reason) -> Answer:
    return Answer(ok=False, fields={"error": error.value})


def status(_: Fields) -> Fields:
    return {"up": 1}


async def slow(_: Fields) -> Fields:
    await anyio.lowlevel.checkpoint()
    return {"done": True}


@asynccontextmanager
async def room(tmp_path: Path, bounds: Bounds | None = None, **commands: Command) -> AsyncIterator[Room]:
    async with driven() as engine:
        control = Control(engine, {"status": status, "slow": slow, **commands}, bounds)
        yield Room(engine, control, control.listen(str(tmp_path / "c.sock"), LISTENERS))
        control.close()
        engine.end_flows(Refused(Reason.STOPPING))
        assert control.live == 0


# What is asked and answered


async def test_a_connection_asks_several_times(tmp_path: Path) -> None:
    async with room(tmp_path) as served:
        peer = served.connect()
        for _ in range(3):
            assert await served.ask(peer, ask("status")) == Answer(ok=True, fields={"up": 1})
            assert await served.ask(peer, ask("slow")) == Answer(ok=True, fields={"done": True})
        assert served.control.live == 1
        peer.close()
        await served.engine.drained()
        assert served.control.live == 0


async def test_a_command_gets_the_rest_of_its_request(tmp_path: Path) -> None:
    async def later(arguments: Fields) -> Fields:
        return {"got": arguments}

    async with room(tmp_path, now=lambda arguments: {"got": arguments}, later=later) as served:
        peer = served.connect()
        for name in ("now", "later"):
            line = b'{"n": [1], "command": "%s", "m": "x"}\n' % name.encode()
            assert (await served.ask(peer, line)).fields == {"got": {"n": [1], "m": "x"}}


async def test_requests_in_pieces_and_several_at_once(tmp_path: Path) -> None:
    async with room(tmp_path) as served:
        peer = served.connect()
        for byte in ask("status"):
            await peer.send(bytes((byte,)))
            await served.engine.at_rest()
        assert (await served.answer(peer)).ok
        await peer.send(ask("slow") + ask("status") + ask("slow"))
        assert [(await served.answer(peer)).fields for _ in range(3)] == [
            {"done": True},
            {"up": 1},
            {"done": True},
        ]


async def test_a_client_that_says_its_last_is_answered(tmp_path: Path) -> None:
    async with room(tmp_path) as served:
        peer = served.connect()
        await peer.send(ask("slow"))
        peer.last()
        assert read(await peer.rest()).ok


async def test_an_unknown_command_names_those_that_there_are(tmp_path: Path) -> None:
    async with room(tmp_path) as served:
        peer = served.connect()
        found = await served.ask(peer, ask("stop"))
        assert found.fields == {"error": "there is no such command; known here: slow, status"}
        assert (await served.ask(peer, ask("status"))).ok


async def test_a_command_that_declines(tmp_path: Path) -> None:
    async def reload(_: Fields) -> Fields:
        raise Declined("the config cannot be used", ("a.toml:3: limits.idle: bad",))

    async with room(tmp_path, reload=reload) as served:
        peer = served.connect()
        found = await served.ask(peer, ask("reload"))
        faults = ["a.toml:3: limits.idle: bad"]
        assert found == Answer(ok=False, fields={"error": "the config cannot be used", "faults": faults})
        assert (await served.ask(peer, ask("status"))).ok


async def test_a_bug_in_a_command_is_counted_and_told_nobody(tmp_path: Path) -> None:
    def now(_: Fields) -> Fields:
        raise LookupError("hunter2")

    async def later(_: Fields) -> Fields:
        raise LookupError("hunter2")

    def unspeakable(_: Fields) -> Fields:
        return {"x": object()}

    async with room(tmp_path, now=now, later=later, unspeakable=unspeakable) as served:
        served.engine.expected_bugs = 3
        peer = served.connect()
        for name in ("now", "later", "unspeakable"):
            assert await served.ask(peer, ask(name)) == refused(Reason.INTERNAL)
        assert [type(bug) for bug in served.engine.seen] == [LookupError, LookupError, TypeError]
        assert (await served.ask(peer, ask("status"))).ok


@pytest.mark.parametrize("line", [b"status\n", b"[]\n", b"\n", b'{"command":1}\n', b"GET / HTTP/1.1\r\n\r\n"])
async def test_what_is_no_request_is_answered_and_ends_the_connection(tmp_path: Path, line: bytes) -> None:
    async with room(tmp_path) as served:
        peer = served.connect()
        await peer.send(line + ask("status"))
        assert await served.answer(peer) == refused(Reason.MALFORMED)
        assert await rest(peer) == b""


async def rest(peer: Peer) -> bytes:
    """Everything until its end. Whoever was still sending sees a reset, behind what it was told."""
    data = b""
    try:
        while piece := await peer.receive():
            data += piece
    except ConnectionResetError:
        pass
    return data


# Limits


async def test_a_line_over_its_limit(tmp_path: Path) -> None:
    async with room(tmp_path, Bounds(line=LINE)) as served:
        peer = served.connect()
        assert (await served.ask(peer, ask("status"))).ok
        assert await served.ask(peer, b" " + ask("status") + b" " * 9999) == refused(Reason.TOO_LARGE)
        assert await rest(peer) == b""


@pytest.mark.parametrize("sent", [b"", ask("status")[:5], ask("status")])
async def test_a_client_that_asks_too_slowly(tmp_path: Path, sent: bytes) -> None:
    async with room(tmp_path, Bounds(request=SHORT)) as served:
        peer = served.connect()
        await peer.send(sent)
        *answers, last, _ = (await peer.rest()).split(b"\n")
        assert read(last + b"\n") == refused(Reason.HANDSHAKE_TIMEOUT)
        assert len(answers) == (sent == ask("status")), "it was answered, and then asked no more"


async def test_a_trickle_is_too_slow_too(tmp_path: Path) -> None:
    async with room(tmp_path, Bounds(request=SHORT, line=1 << 30)) as served:
        peer = served.connect()
        with pytest.raises(BrokenPipeError):
            await trickle(peer)
        assert read(await rest(peer)) == refused(Reason.HANDSHAKE_TIMEOUT)


async def trickle(peer: Peer) -> None:
    """A byte and another, until the connection ends."""
    while True:
        await peer.send(b" ")
        await anyio.lowlevel.checkpoint()


class Endless:
    """A command that never comes to its end."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.cancelled = anyio.Event()

    async def run(self, _: Fields) -> Fields:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
        return {}


async def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    endless = Endless()
    async with room(tmp_path, Bounds(command=SHORT), endless=endless.run) as served:
        peer = served.connect()
        await peer.send(ask("endless"))
        assert read(await peer.rest()) == refused(Reason.IDLE_TIMEOUT)
        assert endless.cancelled.is_set()


async def test_a_client_that_does_not_read(tmp_path: Path) -> None:
    async with room(tmp_path, Bounds(command=SHORT), much=lambda _: {"x": "y" * (8 << 20)}) as served:
        peer = served.connect()
        await peer.send(ask("much"))
        await served.engine.next_turn()
        await served.engine.drained()
        assert b"\n" not in await peer.rest(), "half an answer has no end"


async def test_more_clients_than_fit_are_told(tmp_path: Path) -> None:
    async with room(tmp_path, Bounds(connections=2)) as served:
        peers = [served.connect(), served.connect()]
        for peer in peers:
            assert (await served.ask(peer, ask("status"))).ok
        third = served.connect()
        assert read(await third.rest()) == refused(Reason.TOO_MANY)
        peers.pop().close()
        while served.control.live == 2:
            await served.engine.next_turn()
        assert (await served.ask(served.connect(), ask("status"))).ok


async def test_a_flood_of_requests_leaves_the_others_their_turns(tmp_path: Path) -> None:
    def busy(_: Fields) -> Fields:
        until = time.perf_counter() + 0.003  # more than the share of a flow that never waits
        while time.perf_counter() < until:
            pass
        return {}

    async with room(tmp_path, busy=busy) as served:
        peer = served.connect()
        await served.engine.at_rest()
        before = served.engine.turns
        await peer.send(ask("busy") * 30)
        for _ in range(30):
            assert (await served.answer(peer)).ok
        assert served.engine.turns - before >= 30


# Who is served


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def being(user: int) -> Iterator[None]:
    before = os.geteuid()
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(before)


async def test_another_user_is_not_served_even_where_the_files_mode_would_let_it() -> None:
    # Root becomes `nobody`; anybody else asks a socket that serves root alone.
    is_root = os.geteuid() == ROOT
    bounds = Bounds() if is_root else Bounds(users=frozenset({ROOT}))
    other = NOBODY if is_root else os.geteuid()
    with open_to_all() as folder:
        async with room(folder, bounds) as served:
            os.chmod(served.path, 0o666)  # noqa: PTH101 - as in net/listen.py
            with being(other):
                peer = served.connect()
            await peer.send(ask("status"))
            assert await rest(peer) == b""
            assert served.control.live == 0


async def test_root_and_oneself_are_served(tmp_path: Path) -> None:
    with being(NOBODY if os.geteuid() == ROOT else os.geteuid()):
        assert Bounds().users == {ROOT, os.geteuid()}
    async with room(tmp_path, Bounds(users=frozenset({os.geteuid()}))) as served:
        assert (await served.ask(served.connect(), ask("status"))).ok


async def test_the_file_is_its_users_alone_and_goes_with_its_gateway(tmp_path: Path) -> None:
    async with room(tmp_path) as served:
        assert stat.S_IMODE(os.lstat(served.path).st_mode) == 0o600
        served.control.close()
        with pytest.raises(FileNotFoundError):
            os.lstat(served.path)
        served.control.close()


# The end


async def test_a_stop_ends_those_who_rest_and_lets_the_others_have_their_answer(tmp_path: Path) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def long(_: Fields) -> Fields:
        begun.set()
        await go_on.wait()
        return {"done": True}

    async with room(tmp_path, long=long) as served:
        resting, busy = served.connect(), served.connect()
        await served.ask(resting, ask("status"))
        await busy.send(ask("long") + ask("status"))
        await begun.wait()
        served.control.close()
        served.engine.stopping = True
        served.engine.end_flows(Refused(Reason.STOPPING), quiet_for=2.0)
        assert read(await resting.rest()) == refused(Reason.STOPPING)
        with pytest.raises(FileNotFoundError):
            served.connect()
        go_on.set()
        assert await served.answer(busy) == Answer(ok=True, fields={"done": True})
        assert await rest(busy) == b"", "and no other"
        await served.engine.drained()


async def test_at_the_end_a_command_is_cancelled_and_its_client_told(tmp_path: Path) -> None:
    endless = Endless()
    async with room(tmp_path, endless=endless.run) as served:
        peer = served.connect()
        await peer.send(ask("endless"))
        await endless.begun.wait()
        served.engine.end_flows(Refused(Reason.STOPPING))
        assert read(await peer.rest()) == refused(Reason.STOPPING)
        assert endless.cancelled.is_set()


async def test_a_command_whose_client_leaves_is_cancelled(tmp_path: Path) -> None:
    endless = Endless()
    async with room(tmp_path, endless=endless.run) as served:
        peer = served.connect()
        await peer.send(ask("endless"))
        await endless.begun.wait()
        peer.close()
        await endless.cancelled.wait()
        await served.engine.drained()


# Where it is


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run-time folder, as a log-in session has one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


async def test_off_is_off(runtime: Path) -> None:
    async with driven() as engine:
        control = Control(engine, {})
        assert control.listen("off", LISTENERS) == ""
        assert not engine.on_sweep, "it has no listener"
        control.close()


async def test_two_gateways_of_one_user(runtime: Path) -> None:
    gateways = (
        *(("127.0.0.1:1080",), ("127.0.0.1:1081",), ("127.0.0.2:1080",), ("[::1]:1080",)),
        *(("unix:/run/a.sock",), ("unix:/run/b.sock",), ("unix:/run/a.sock", "127.0.0.1:1082")),
    )
    async with driven() as engine:
        controls = [Control(engine, {}) for _ in gateways]
        paths = [control.listen("auto", names) for control, names in zip(controls, gateways, strict=True)]
        assert len(set(paths)) == len(gateways)
        assert paths[0] == str(runtime / "anongw" / "control-1080.sock")
        assert stat.S_IMODE((runtime / "anongw").lstat().st_mode) == 0o700
        assert {path.name for path in (runtime / "anongw").iterdir()} == {Path(path).name for path in paths}
        for control in controls:
            control.close()
    assert list((runtime / "anongw").iterdir()) == []


async def test_a_stale_file_is_replaced_and_a_living_one_is_not(runtime: Path) -> None:
    path = runtime / "anongw" / "control-1080.sock"
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with driven() as engine:
        first, second = Control(engine, {}), Control(engine, {})
        assert first.listen("auto", LISTENERS) == str(path)
        with pytest.raises(OSError, match=f"cannot listen on {path}: Address already in use"):
            second.listen("auto", LISTENERS)
        second.close()
        assert path.is_socket()
        first.close()


async def test_a_path_that_cannot_be_had(tmp_path: Path) -> None:
    async with driven() as engine:
        control = Control(engine, {})
        for path, why in (
            (tmp_path / "no" / "c", "No such file or directory"),
            (tmp_path / ("a" * 108), "too long"),
        ):
            with pytest.raises(OSError, match=f"cannot listen on {path}: .*{why}"):
                control.listen(str(path), LISTENERS)


def of_another(tmp_path: Path) -> Path:
    """A folder with the right mode and another owner."""
    if os.geteuid() != ROOT:
        return Path("/root")
    folder = tmp_path / "another"
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    return folder


def test_a_folder_that_somebody_else_could_use_is_refused(tmp_path: Path) -> None:
    (good := tmp_path / "good").mkdir(mode=0o700)
    make_private(good)
    make_private(tmp_path / "new")
    assert is_private(tmp_path / "new")
    (tmp_path / "link").symlink_to(good)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch(mode=0o700)
    shared = [tmp_path / f"mode {mode:o}" for mode in (0o710, 0o701, 0o770, 0o755, 0o1700, 0o500)]
    for folder in shared:
        folder.mkdir()
        folder.chmod(int(folder.name.split()[1], 8))
    bad = [*shared, of_another(tmp_path), *(tmp_path / name for name in ("link", "dangling", "file"))]
    for folder in bad:
        with pytest.raises(PermissionError, match=f"{folder} is no folder that only its user can use"):
            make_private(folder)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(OSError, match=f"cannot make {tmp_path}/no/such: No such file or directory"):
        make_private(tmp_path / "no" / "such")


async def test_auto_takes_no_folder_that_is_not_its_own(runtime: Path) -> None:
    (runtime / "anongw").mkdir(mode=0o700)
    (runtime / "anongw").chmod(0o755)
    async with driven() as engine:
        with pytest.raises(PermissionError, match="only its user"):
            Control(engine, {}).listen("auto", LISTENERS)
    assert list((runtime / "anongw").iterdir()) == []


def test_the_folder(tmp_path: Path) -> None:
    (session := tmp_path / "session").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(session)
    assert own_folder({"XDG_RUNTIME_DIR": str(session)}, tmp_path) == session / "anongw"
    own = tmp_path / f"anongw-{os.geteuid()}"
    assert own_folder({}, tmp_path) == own
    for elsewhere in ("", "session", tmp_path / "none", tmp_path / "link", of_another(tmp_path)):
        assert own_folder({"XDG_RUNTIME_DIR": str(elsewhere)}, tmp_path) == own
    session.chmod(0o750)
    assert own_folder({"XDG_RUNTIME_DIR": str(session)}, tmp_path) == own
    assert own_folder({}).parent == Path("/tmp")


# What is said


SECRETS = ("hunter2", "secret.example", "192.0.2.77", "alice", "203.0.113.5")
# The only text that a gateway's state holds: its own version, what its config calls things, and why.
TEXT = {
    *("Status.version", "Status.listeners", "RouteStatus.name", "ChainStatus.name", "HopStatus.strategy"),
    *("MemberStatus.label", "MemberStatus.state", "Status.refused", "Status.exposed"),
}
# Of the other answers: pseudonyms, routes, and sentences of ours.
OTHER_TEXT = {"IdentityStatus.name", "IdentityStatus.ways", "Forgotten.remains"}


def texts(kind: object, place: str) -> Iterator[str]:
    """Every place below a type that can hold text. A type that is not known here fails."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            yield from texts(field.type, f"{kind.__name__}.{field.name}")
    elif typing.get_args(kind) and typing.get_origin(kind) is not typing.Literal:
        for inner in typing.get_args(kind):
            yield from texts(inner, place)
    elif kind in (str, Reason, Exposure) or typing.get_origin(kind) is typing.Literal:
        yield place
    else:
        assert kind in (int, float, type(None), ...), f"{place} holds {kind}"


def test_a_state_has_no_room_for_names() -> None:
    assert set(texts(Status, "Status")) == TEXT
    others = {place for kind in (IdentityStatus, Renewed, Forgotten) for place in texts(kind, kind.__name__)}
    assert others == OTHER_TEXT


def filled(counters: Counters) -> Status:
    member = MemberStatus(
        label="socks5://hop.example:1080", state="trying", live=1, dials=9, failures=2, latency=1.5
    )
    return Status(
        version="0",
        generation=1,
        uptime=1.5,
        listeners=LISTENERS,
        flows=counters.flows,
        live=1,
        routes=(RouteStatus(name="direct", flows=1, sent=counters.sent, received=counters.received),),
        refused=dict(counters.refused),
        chains=(ChainStatus(name="tor", hops=(HopStatus(strategy="random", members=(member,)),)),),
        kept=1,
        cached=2,
        headers_dropped=counters.headers_dropped,
        scrubbed=0.5,
        scrubbable=0.6,
        exposed=dict(counters.exposed),
        bugs=counters.bugs,
    )


async def test_a_state_names_nobody_and_is_read_back(tmp_path: Path) -> None:
    counters = Counters()
    for reason in (None, *Reason):
        counters.finished(
            Flow(
                listener="127.0.0.1:1080",
                client=ip_address("192.0.2.77"),
                user="alice",
                identity="user alice hunter2",
                target=Endpoint("secret.example" if reason else ip_address("203.0.113.5"), 443),
                protocol="socks5",
                reason=reason,
            )
        )
    state = filled(counters)
    async with room(tmp_path, state=lambda _: {"status": state}) as served:
        peer = served.connect()
        await peer.send(ask("state"))
        peer.last()
        said = await peer.rest()
    assert not [secret for secret in SECRETS if secret in said.decode()]
    assert msgspec.convert(read(said).fields["status"], Status) == state


def test_what_came_of_a_reload_is_read_back() -> None:
    reloaded = Reloaded(generation=2, changed=("limits.idle",), restart=("listen.addresses",))
    assert msgspec.convert(msgspec.to_builtins(reloaded), Reloaded) == reloaded


@pytest.mark.parametrize(
    "label",
    [
        *("socks5://alice:hunter2@host:1", "socks5://alice@host:1", "socks5://host:1\n", "alice:hunter2"),
        *("socks5://host:1/x", "socks5://host:1?x", "socks5://host:1#x", "socks5://host", "", "direct@"),
    ],
)
def test_a_label_that_could_hold_a_login_cannot_be_made(label: str) -> None:
    with pytest.raises(ValueError, match="without a login") as raised:
        MemberStatus(label=label, state="up", live=0, dials=0, failures=0)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "label", ["direct", "socks5://a.test:1080", "https://[2001:db8::1]:443", "http://192.0.2.1:1"]
)
def test_labels(label: str) -> None:
    assert MemberStatus(label=label, state="up", live=0, dials=0, failures=0).label == label
