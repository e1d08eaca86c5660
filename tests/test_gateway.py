"""The whole gateway in this process: its listeners, each of its limits, its start and its end."""

import gc
import os
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import anyio
import pytest

from anongw.errors import StartError
from anongw.flow import Flow
from anongw.gateway import Gateway, serve
from anongw.inbound.session import Session
from anongw.net.fiber import Fiber
from anongw.net.stream import Stream
from anongw.privacy import ROTATE_EVERY, Privacy
from tests.support.backends import as_the_program
from tests.support.gateway import Running, basic, config, running, user
from tests.support.raw_origin import OK, Line, Origin, meanwhile
from tests.support.sockets import descriptors

SOCKS = b"\x05\x01\x00"
SHARED = ('listen.addresses=["0.0.0.0:0"]', 'listen.clients=["127.0.0.0/8"]')


def socks_to(origin: Origin) -> bytes:
    return SOCKS + b"\x05\x01\x00\x01\x7f\x00\x00\x01" + origin.port.to_bytes(2)


def loopback(gateway: Running) -> str:
    return "127.0.0.1:" + gateway.addresses[0].rpartition(":")[2]


def exchange(client: Line, origin: Origin) -> Line:
    """One exchange on a new connection to the origin, whose end is returned."""
    client.send(origin.request())
    far = origin.accept()
    far.message()
    far.send(OK)
    assert client.message().body == b"ok"
    return far


def tunnel(client: Line, origin: Origin) -> Line:
    client.send(socks_to(origin))
    assert client.exactly(12)[3] == 0
    return origin.accept()


# What it says of its own accord


def test_a_client_that_may_look_names_up_itself_is_warned_of_once_and_not_named(anyio_backend: str) -> None:
    by_address = SOCKS + b"\x05\x01\x00\x01\x01\x02\x03\x04\x01\xbb"
    with running(anyio_backend, 'route=[{to="refuse"}]') as gateway:
        for _ in range(3):
            with gateway.connect() as client:
                client.send(by_address)
                assert client.rest()[3] == 2
        gateway.stop()
        gateway.wait()
        said = "".join(gateway.log)
    assert said.count("a SOCKS client asks for addresses and not for names") == 1
    assert "1.2.3.4" not in said


async def test_the_key_of_an_hour_goes_though_nothing_is_said() -> None:
    hours = [5 * ROTATE_EVERY]
    privacy = Privacy(now=lambda: hours[0])
    gateway = Gateway(config(), privacy=privacy)
    before = {value for value in vars(privacy).values() if isinstance(value, bytes)}
    hours[0] += 2 * ROTATE_EVERY
    gateway.engine.sweep()
    gateway.close()
    assert before.isdisjoint(vars(privacy).values())


# Listeners


def test_listeners_of_every_kind(anyio_backend: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    settings = f'listen.addresses=["127.0.0.1:0", "[::1]:0", "unix:{path}"]'
    with running(anyio_backend, settings) as gateway, Origin() as origin:
        assert [one.rpartition(":")[0] for one in gateway.addresses] == ["127.0.0.1", "[::1]", "unix"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for address in gateway.addresses:
            with gateway.connect(address) as client:
                exchange(client, origin).close()
            with gateway.connect(address) as client, tunnel(client, origin) as far:
                far.send(b"hello")
                assert client.exactly(5) == b"hello"
    assert not path.exists()


def test_all_listeners_or_none(anyio_backend: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError) as raised:
            start(anyio_backend, f'listen.addresses=["unix:{path}", "127.0.0.1:{port}"]')
        assert str(raised.value) == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    assert not path.exists()
    assert descriptors() == before


def test_more_connections_than_files(anyio_backend: str) -> None:
    with pytest.raises(StartError, match=r"limits.connections = 100000000 needs \d+ open files .*ulimit -Hn"):
        start(anyio_backend, "limits.connections=100000000")


def start(backend: str, *settings: str) -> None:
    """Start, and stop at once; StartError comes through whatever it came out of."""

    async def run() -> None:
        stop = anyio.Event()
        await serve(config(*settings), ready=lambda _: stop.set(), stop=stop, signals=False)

    anyio.run(run, backend=backend, backend_options=as_the_program(backend))


# Who may connect


def test_the_allow_list(anyio_backend: str) -> None:
    settings = ('listen.addresses=["0.0.0.0:0"]', 'listen.clients=["127.0.0.2/32", "127.0.0.4/30"]')
    with running(anyio_backend, *settings) as gateway, Origin() as origin:
        for source, served in (("127.0.0.2", True), ("127.0.0.3", False), ("127.0.0.7", True)):
            with gateway.connect(loopback(gateway), source=source) as client:
                if served:
                    exchange(client, origin).close()
                else:
                    assert client.gone()


def test_connections_in_all(anyio_backend: str) -> None:
    settings = ("limits.connections=2", "limits.per_client=2")
    with (
        running(anyio_backend, *settings) as gateway,
        Origin() as origin,
        gateway.connect() as one,
        gateway.connect() as two,
    ):
        exchange(one, origin).close()
        exchange(two, origin).close()
        with gateway.connect() as third:
            assert third.gone()
        two.close()
        recovers(gateway)
    assert "too-many" in gateway.log[-1]


def test_connections_of_one_client(anyio_backend: str) -> None:
    with (
        running(anyio_backend, *SHARED, "limits.per_client=1") as gateway,
        Origin() as origin,
        gateway.connect(loopback(gateway), source="127.0.0.2") as one,
    ):
        exchange(one, origin).close()
        with gateway.connect(loopback(gateway), source="127.0.0.2") as another:
            assert another.gone()
        with gateway.connect(loopback(gateway), source="127.0.0.3") as other:
            exchange(other, origin).close()


def recovers(gateway: Running) -> None:
    """Room is made as soon as the gateway has noticed who left."""
    for _ in range(10_000):
        with gateway.connect() as client, suppress(ConnectionError):
            client.send(SOCKS)
            if not client.gone():
                return
    raise AssertionError("no room is made")


# Limits on time. The sweep looks every 0.25 s, so that values below it mean "at the next sweep".


def trickle(line: Line, data: bytes) -> bytes:
    """A byte at a time, with a little time for an answer after each; what came until the connection ended."""
    for place in range(len(data)):
        line.send(data[place : place + 1])
        if line.hears(0.02):
            return line.rest()
    raise AssertionError("all of it was taken")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET http://a.test/" + b"a" * 1000, b"HTTP/1.1 408 "),
        (b"POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n" + b"X: y\r\n" * 200, b"HTTP/1.1 408 "),
        (b"\x05\xff" + b"\x01" * 255, b""),
        (b"\x05\x01\x00\x03\xff" + b"a" * 255, b"\x05\x01\x00\x01"),
        (b"\x04\x01\x00\x50\x01\x02\x03\x04" + b"a" * 255, b"\x00\x5b"),
    ],
    ids=["request line", "header lines", "greeting", "request", "socks4"],
)
def test_slowloris(anyio_backend: str, sent: bytes, answer: bytes) -> None:
    with running(anyio_backend, "limits.handshake=400ms") as gateway, gateway.connect() as client:
        if answer.startswith(b"\x05"):
            client.send(SOCKS)
            assert client.exactly(2) == b"\x05\x00"
        assert trickle(client, sent).startswith(answer)


@pytest.mark.parametrize("sent", [b"", b"\x05", SOCKS, b"\x04", b"\r\n"])
def test_a_client_that_falls_silent_in_its_handshake(anyio_backend: str, sent: bytes) -> None:
    with running(anyio_backend, "limits.handshake=300ms") as gateway, gateway.connect() as client:
        client.send(sent)
        client.rest()


def test_a_kept_client_that_asks_no_more(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.request=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        exchange(client, origin).close()
        assert client.rest() == b"", "no 408: it asked for nothing"


def test_an_origin_that_does_not_take_the_connection(anyio_backend: str) -> None:
    with running(anyio_backend, "limits.connect=300ms") as gateway, ExitStack() as stack:
        port = _full_listener(stack)
        with gateway.connect() as client:
            client.send(SOCKS + b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2))
            assert client.exactly(4) == b"\x05\x00\x05\x06"
        with gateway.connect() as client:
            client.send(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.message().status == 504


def _full_listener(stack: ExitStack) -> int:
    """A port whose queue is full: the kernel leaves further connections without any answer."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(3):
        filler = stack.enter_context(socket.socket())
        filler.settimeout(0)
        filler.connect_ex(listener.getsockname())
    port: int = listener.getsockname()[1]
    return port


def test_an_origin_that_does_not_answer(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.response=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            assert client.message().status == 504
            client.close()
            assert far.gone()


def test_interim_answers_buy_no_time(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.response=500ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            answer = trickle_interim(far, client)
            assert answer.startswith(b"HTTP/1.1 504")


def trickle_interim(far: Line, client: Line) -> bytes:
    for _ in range(30):
        far.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        if client.hears(0.05):
            return client.rest()
    raise AssertionError("it waited on")


def test_an_origin_that_stalls(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.stall=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            assert client.rest_until_reset().endswith(b"hello")
    assert "1 upstream-timeout" in gateway.log[-1]


def test_a_client_that_stalls_in_its_upload(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.stall=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        client.send(origin.request("/", "Content-Length: 10", method="PUT") + b"hello")
        with origin.accept() as far:
            far.head()
            assert client.message().status == 408
            client.close()
            assert far.rest() == b"hello"


def test_a_client_that_never_sends_the_body_it_promised(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.stall=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        client.send(origin.request("/", "Content-Length: 10", method="PUT"))
        with origin.accept() as far:
            far.head()
            assert client.message().status == 408


def test_a_client_that_does_not_read(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.stall=300ms") as gateway,
        Origin() as origin,
        gateway.connect(buffer=4096) as client,
    ):
        client.send(origin.request())
        with origin.accept() as far:
            far.message()

            def flood() -> None:
                far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                with pytest.raises(ConnectionError):
                    far.send(bytes(100_000_000))

            with meanwhile(flood):
                pass
        client.rest_until_reset()
    assert "1 idle-timeout" in gateway.log[-1]


def test_an_idle_tunnel(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.idle=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
        tunnel(client, origin) as far,
    ):
        assert client.rest_until_reset() == b""
        assert far.gone()


def test_what_moves_is_not_idle(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.idle=1s") as gateway,
        Origin() as origin,
        gateway.connect() as client,
        tunnel(client, origin) as far,
    ):
        for _ in range(5):
            far.send(b"x")
            assert client.exactly(1) == b"x"
            assert not client.hears(0.4)


@pytest.mark.parametrize("kind", ["tunnel", "download", "kept", "handshake"])
def test_the_whole_life(anyio_backend: str, kind: str) -> None:
    with (
        running(anyio_backend, "limits.whole=600ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
        ExitStack() as stack,
    ):
        if kind == "tunnel":
            stack.enter_context(tunnel(client, origin))
        elif kind == "download":
            client.send(origin.request())
            far = stack.enter_context(origin.accept())
            far.message()
            far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        elif kind == "kept":
            stack.enter_context(exchange(client, origin))
        else:
            client.send(b"GET ")
        try:
            client.rest()
        except ConnectionResetError:
            assert kind in {"tunnel", "download"}


@pytest.mark.parametrize("asks", ["connects", "looks up"])
@pytest.mark.parametrize("how", [Line.close, Line.reset], ids=["close", "reset"])
def test_a_client_that_leaves_while_the_gateway(
    anyio_backend: str, asks: str, how: Callable[[Line], None]
) -> None:
    """The one place that there is goes to the next client, long before the limits for these waits."""
    with ExitStack() as outside, Origin() as silent:
        settings = (
            "limits.connections=1",
            "limits.per_client=1",
            "limits.half_closed=300ms",
            f'resolve.servers=["tcp://{silent.authority}"]',
        )
        port = _full_listener(outside)
        with running(anyio_backend, *settings) as gateway, ExitStack() as stack:
            client = gateway.connect()
            client.send(SOCKS)
            if asks == "connects":
                client.send(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2))
                client.exactly(2)
            else:
                client.send(b"\x05\x01\x00\x03\x09a.example\x00\x50")
                stack.enter_context(silent.accept())
            how(client)
            recovers(gateway)


# The end


def accepts_no_more(gateway: Running) -> None:
    for _ in range(1000):
        try:
            gateway.connect().close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            continue  # it closed while this one waited in its queue
    raise AssertionError("it accepts")


def test_a_stop_lets_transfers_finish(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.shutdown=10s") as gateway,
        Origin() as origin,
        gateway.connect() as idle,
        gateway.connect() as busy,
        exchange(idle, origin) as kept,
    ):
        busy.send(origin.request("/busy"))
        assert kept.message().first == "GET /busy HTTP/1.1"
        kept.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        busy.head()
        gateway.stop()
        assert idle.rest() == b"", "an idle kept connection ends at once"
        accepts_no_more(gateway)
        kept.send(b"world")
        assert busy.rest() == b"helloworld"
        gateway.wait()


def test_a_stop_lets_an_answer_begin_and_says_it_is_the_last(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.shutdown=10s") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            gateway.stop()
            accepts_no_more(gateway)
            far.send(OK)
            answer = client.message()
            assert (answer.body, answer.headers["connection"]) == (b"ok", "close")
            assert client.rest() == b""
        gateway.wait()


def test_a_stop_lets_a_moving_tunnel_move(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.shutdown=10s") as gateway,
        Origin() as origin,
        gateway.connect() as client,
        tunnel(client, origin) as far,
    ):
        gateway.stop()
        for _ in range(20):
            far.send(b"x")
            assert client.exactly(1) == b"x"
        far.last()
        assert client.rest() == b""
        client.last()
        assert far.rest() == b""
        gateway.wait()


def test_a_stop_does_not_wait_for_ever(anyio_backend: str) -> None:
    """What still moves is reset: it must not look whole."""
    with (
        running(anyio_backend, "limits.shutdown=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
        gateway.connect() as other,
        gateway.connect() as waiting,
    ):
        client.send(origin.request())
        with origin.accept() as far, tunnel(other, origin) as beyond:
            far.message()
            far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            client.head()
            waiting.send(origin.request("/waiting"))
            with origin.accept() as third:
                third.message()
                gateway.stop()
                assert client.rest_until_reset() == b"hello"
                assert other.rest_until_reset() == b""
                assert waiting.message().status == 503
                assert beyond.gone()
        gateway.wait()


# Counting, and what is left behind


def test_every_flow_is_counted_once(anyio_backend: str) -> None:
    with running(anyio_backend, user(), "limits.handshake=2s") as gateway, Origin() as origin:
        for use in USES:
            use(gateway, origin)
    assert gateway.log[-1].startswith(f"stopped: {FLOWS} flows, ")
    _, _, refused = gateway.log[-1].strip().partition("refused: ")
    assert sorted(refused.split(", ")) == sorted(REFUSED)
    assert len([line for line in gateway.log if line.startswith("flow ")]) == FLOWS
    assert not [line for line in gateway.log if "bug" in line]


def _never_asks(gateway: Running, _: Origin) -> None:
    with gateway.connect() as client:
        client.last()
        assert client.gone()


def _three_requests(gateway: Running, origin: Origin) -> None:
    """Two are served and one is challenged, on one connection: three flows."""
    with gateway.connect() as client:
        client.send(origin.request("/", basic("alice", "secret")))
        with origin.accept() as far:
            far.message()
            far.send(OK)
            client.message()
            client.send(origin.request())
            assert client.message().status == 407
            client.send(origin.request("/", basic("alice", "secret")))
            far.message()
            far.send(OK)
            client.message()


def _private(gateway: Running, _: Origin) -> None:
    with gateway.connect() as client:
        line = basic("alice", "secret")
        client.send(f"CONNECT 10.0.0.1:1 HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode())
        assert client.message().status == 403
        client.last()
        client.rest()


def _wrong_password(gateway: Running, _: Origin) -> None:
    with gateway.connect() as client:
        client.send(b"\x05\x01\x02\x01\x01a\x01b")
        assert client.exactly(4) == b"\x05\x02\x01\x01"


def _tunnel(gateway: Running, origin: Origin) -> None:
    with gateway.connect() as client:
        client.send(origin.connect(basic("alice", "secret")))
        with origin.accept() as far:
            client.head()
            far.close()
            assert client.rest() == b""


def _leaves(gateway: Running, origin: Origin) -> None:
    with gateway.connect() as client:
        client.send(origin.request("/", basic("alice", "secret")))
        with origin.accept() as far:
            far.message()
            client.reset()
            assert far.gone()


def _breaks_off(gateway: Running, origin: Origin) -> None:
    with gateway.connect() as client:
        client.send(origin.request("/", basic("alice", "secret")))
        with origin.accept() as far:
            far.message()
            far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok")
        client.rest_until_reset()


def _malformed(gateway: Running, _: Origin) -> None:
    with gateway.connect() as client:
        client.send(b"GET http://a.test/ HTTP/1.1\r\nHost: a\nb\r\n\r\n")
        assert client.message().status == 400


def _probes(gateway: Running, _: Origin) -> None:
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.gone()


USES: list[Callable[[Running, Origin], None]] = [
    *(_never_asks, _three_requests, _private, _wrong_password, _tunnel),
    *(_leaves, _breaks_off, _malformed, _probes),
]
FLOWS = 10
REFUSED = [
    *("1 auth-required", "1 private-target", "1 auth-failed", "1 client-gone"),
    *("1 upstream-closed", "1 malformed", "1 probe"),
]


def test_200_mixed_connections_leave_no_descriptor(anyio_backend: str) -> None:
    with running(anyio_backend, user()) as gateway, Origin() as origin:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
        for turn in range(200):
            USES[turn % len(USES)](gateway, origin)
        with gateway.connect() as last:
            last.send(SOCKS)
            # Each look is also a turn of the engine, at the end of which it closes what it gave up.
            for _ in range(1000):
                if len(os.listdir("/proc/self/fd")) == before + 2:  # noqa: PTH208 - as above
                    break
                _never_asks(gateway, origin)
            else:
                raise AssertionError("descriptors were left open")


def test_a_flow_that_is_over_leaves_nothing_to_the_garbage_collector(anyio_backend: str) -> None:
    gc.collect()
    gc.disable()  # it would find what we look for before we do
    try:
        with running(anyio_backend) as gateway, Origin() as origin:
            with gateway.connect() as client:
                exchange(client, origin).close()
            with gateway.connect() as client:
                client.send(SOCKS + b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01")
                assert client.rest()[3] == 5
            with gateway.connect() as client, tunnel(client, origin) as far:
                client.close()
                assert far.rest() == b""
            gateway.stop()
            gateway.wait()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = {type(one).__name__ for one in gc.garbage if isinstance(one, Fiber | Session | Stream | Flow)}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
