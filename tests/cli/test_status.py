"""`anongw status` and `anongw reload`: which gateway they ask, what they print, how they fail."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner, Result

from anongw.cli import main
from anongw.control import Command, Control, Declined, Reloaded
from anongw.net.engine import Engine
from anongw.wire.control import ANSWER_MOST, Fields, ask
from tests.cli.test_tables import FULL
from tests.support.backends import as_the_program
from tests.support.raw_origin import PATIENCE, meanwhile


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run-time folder, as a log-in session has one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def full(_: Fields) -> Fields:
    return {"status": FULL}


@contextmanager
def serving(backend: str, port: int = 1080, setting: str = "auto", **commands: Command) -> Iterator[Path]:
    """The control socket of a gateway, in a thread."""
    with start_blocking_portal(backend, as_the_program(backend)) as portal:
        stop = portal.call(anyio.Event)

        async def serve(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            async with anyio.create_task_group() as tasks:
                engine = Engine()
                await tasks.start(engine.run)
                control = Control(engine, {"status": full} | commands)
                task_status.started(control.listen(setting, [f"127.0.0.1:{port}"]))
                await stop.wait()
                control.close()
                tasks.cancel_scope.cancel()

        done, path = portal.start_task(serve)
        try:
            yield Path(path)
        finally:
            portal.call(stop.set)
            done.result(PATIENCE)


def failed(result: Result, *lines: str, status: int = 1) -> None:
    assert result.stderr.splitlines() == [f"anongw: {line}" for line in lines]
    assert result.stdout == ""
    assert result.exit_code == status


# What is printed


def test_tables(anyio_backend: str) -> None:
    with serving(anyio_backend):
        found = invoke("status")
    assert found.exit_code == 0
    assert found.stderr == ""
    for part in ("anongw 1.2.3", "socks5://a.example:1080", "40 hop-auth"):
        assert part in found.stdout


def test_json_is_one_line(anyio_backend: str) -> None:
    with serving(anyio_backend):
        found = invoke("status", "--json")
    assert found.exit_code == 0
    (line,) = found.stdout.splitlines()
    assert msgspec.json.decode(line, type=type(FULL)) == FULL


def test_a_reload_says_what_changed(anyio_backend: str) -> None:
    async def reload(_: Fields) -> Fields:
        return {
            "reloaded": Reloaded(
                generation=2, changed=("limits.idle", "a\x1b[1m"), restart=("listen.backlog",)
            )
        }

    with serving(anyio_backend, reload=reload):
        found = invoke("reload")
    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        *("reloaded: config 2", "changed:", "  limits.idle", "  a\\x1b[1m"),
        *("only after a restart:", "  listen.backlog"),
    ]


def test_a_reload_of_the_same_config(anyio_backend: str) -> None:
    with serving(anyio_backend, reload=lambda _: {"reloaded": Reloaded(generation=3)}):
        found = invoke("reload")
    assert found.stdout.splitlines() == ["reloaded: config 3", "nothing has changed"]


def test_a_reload_of_a_config_with_faults(anyio_backend: str) -> None:
    def reload(_: Fields) -> Fields:
        faults = ("a.toml:3: limits.idle: bad", "a.toml:7: chains.tor: \x1b[2J")
        raise Declined("nothing is changed, for the config has faults", faults)

    with serving(anyio_backend, reload=reload):
        lines = ("nothing is changed, for the config has faults", "a.toml:3: limits.idle: bad")
        failed(invoke("reload"), *lines, "a.toml:7: chains.tor: \\x1b[2J")


@pytest.mark.parametrize("command", ["status", "reload"])
@pytest.mark.parametrize("told", [{}, {"status": {"flows": 1}, "reloaded": []}])
def test_a_gateway_of_another_version(anyio_backend: str, command: str, told: Fields) -> None:
    def old(_: Fields) -> Fields:
        return told

    with serving(anyio_backend, status=old, reload=old):
        failed(invoke(command), "the gateway is of another version than this program: restart it")


def test_watching_goes_on_until_ctrl_c(anyio_backend: str) -> None:
    flows = iter(range(1000))

    def status(_: Fields) -> Fields:
        return {"status": {"flows": next(flows)}}

    code = "from anongw.cli import main; main()"
    with (
        serving(anyio_backend, status=status),
        subprocess.Popen(
            [sys.executable, "-c", code, "status", "--watch", "--json", "--every", "0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert [json.loads(line)["flows"] for line in lines] == [0, 1, 2]
    assert errors == b""
    assert process.returncode == 0


def test_watching_ends_with_the_gateway(anyio_backend: str) -> None:
    with ExitStack() as gateway:
        gateway.enter_context(serving(anyio_backend))
        with subprocess.Popen(
            [sys.executable, "-m", "anongw", "status", "--watch", "--every", "0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout
                assert process.stdout.readline().startswith("gateway")
                gateway.close()
                _, errors = process.communicate(timeout=20)
            finally:
                process.kill()
    # Where it is caught in the middle of a question, it says that instead.
    assert errors.startswith(
        ("anongw: no gateway listens at ", "anongw: no answer from ", "anongw: stopping")
    )
    assert errors.count("\n") == 1
    assert process.returncode == 1


# Which gateway is asked


def test_none_runs(runtime: Path) -> None:
    lines = (
        f"no gateway of yours has its socket in {runtime}/anongw",
        "start one with `anongw serve`, or name its control.socket: --control PATH",
    )
    for command in ("status", "reload"):
        failed(invoke(command), *lines)
    # Neither a file that its gateway left behind nor any other is one.
    (runtime / "anongw").mkdir(mode=0o700)
    (runtime / "anongw" / "control-2.sock").touch()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(runtime / "anongw" / "control-1.sock"))
    failed(invoke("status"), *lines)


def test_several_run(anyio_backend: str) -> None:
    with serving(anyio_backend, 1) as one, serving(anyio_backend, 2) as two:
        lines = ("several gateways run: choose one", f"  --control {one}", f"  --control {two}")
        failed(invoke("status"), *lines, status=2)
        assert invoke("status", "--control", str(two)).exit_code == 0
    with serving(anyio_backend, 2):
        assert invoke("status").exit_code == 0


def test_one_that_is_elsewhere(anyio_backend: str, tmp_path: Path) -> None:
    with serving(anyio_backend, setting=str(tmp_path / "c")) as path:
        assert invoke("status").exit_code == 1
        assert invoke("status", "--control", str(path)).exit_code == 0


def test_a_folder_that_others_could_use_is_not_looked_into(anyio_backend: str) -> None:
    with serving(anyio_backend) as path:
        path.parent.chmod(0o755)
        assert "no gateway of yours has its socket in" in invoke("status").stderr
        path.parent.chmod(0o700)
        assert invoke("status").exit_code == 0


def test_one_whose_queue_is_full_runs(runtime: Path) -> None:
    (runtime / "anongw").mkdir(mode=0o700)
    path = runtime / "anongw" / "control-1.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        failed(invoke("status"), f"cannot ask {path}: Resource temporarily unavailable")


# How it fails


def test_nobody_is_there(tmp_path: Path) -> None:
    path = tmp_path / "c"
    failed(invoke("status", "--control", str(path)), f"no gateway listens at {path}")
    path.touch()
    failed(invoke("status", "--control", str(path)), f"no gateway listens at {path}")
    long = tmp_path / ("a" * 108)
    failed(invoke("status", "--control", str(long)), f"cannot ask {long}: AF_UNIX path too long")


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(PATIENCE)
        listener.bind(str(path))
        listener.listen()
        yield listener


def test_no_answer_in_time(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with listening(path):
        found = invoke("status", "--control", str(path), "--timeout", "0.2")
        failed(found, f"no answer from {path} within 0.2 s")


def test_an_answer_that_trickles(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with listening(path) as listener:

        def trickle() -> None:
            peer, _ = listener.accept()
            with peer, suppress(BrokenPipeError):
                while True:
                    peer.send(b" ")

        with meanwhile(trickle):
            found = invoke("status", "--control", str(path), "--timeout", "0.2")
    failed(found, f"no answer from {path} within 0.2 s")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "no answer from {}: only its own user and root may ask a gateway"),
        (b'{"ok":true,"st', "no answer from {}: only its own user and root may ask a gateway"),
        (b"HTTP/1.1 200 OK\r\n", "no answer that can be read from {}: is it a gateway's control.socket?"),
        (b" " * ANSWER_MOST, "no answer that can be read from {}: is it a gateway's control.socket?"),
        (b'{"ok":false,"error":"too-many"}\n', "too-many"),
    ],
    ids=["silence", "half", "other", "too long", "no"],
)
def test_an_answer_that_is_none(tmp_path: Path, said: bytes, why: str) -> None:
    path = tmp_path / "c"
    with listening(path) as listener:

        def speak() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(PATIENCE)
                assert peer.recv(999) == ask("status")
                peer.sendall(said)

        with meanwhile(speak):
            found = invoke("status", "--control", str(path))
    failed(found, why.format(path))


@pytest.mark.parametrize("command", ["status", "reload"])
@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_timeout_that_is_none(command: str, seconds: str) -> None:
    assert invoke(command, "--timeout", seconds).exit_code == 2


@pytest.mark.parametrize("command", ["status", "reload"])
def test_help(command: str) -> None:
    found = invoke(command, "--help")
    assert found.exit_code == 0
    assert "\\b" not in found.stdout
    for part in ("--control", "--timeout", f"anongw {command}"):
        assert part in found.stdout
