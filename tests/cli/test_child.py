"""The program behind `run`: when it starts, how it ends, which signals reach it; the gateway goes with it."""

import os
import signal
import sys
from collections.abc import Callable

import anyio
import pytest

from anongw.cli.child import beside
from anongw.config import Config


class Gateway:
    """A stand-in for `gateway.serve` that listens nowhere and remembers its end."""

    def __init__(self, *, error: Exception | None = None, dies: anyio.Event | None = None) -> None:
        self.ended = "not"
        self.signals: bool | None = None
        self._error = error
        self._dies = dies

    async def serve(
        self,
        _config: Config,
        *,
        ready: Callable[[tuple[str, ...]], None],
        stop: anyio.Event | None,
        signals: bool,
    ) -> None:
        self.signals = signals
        assert stop is not None
        if self._error:
            raise self._error
        ready(("unix:/run/a.sock", "127.0.0.1:4321"))
        try:
            if self._dies:
                await self._dies.wait()
                raise RuntimeError("a bug")
            await stop.wait()
            self.ended = "stopped"
        finally:
            self.ended = self.ended if self.ended == "stopped" else "cut"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


SLEEP = "import signal, time; print('up', flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 128 + 9),
        ("import os, signal; signal.signal(15, signal.SIG_DFL); os.kill(os.getpid(), 15)", 128 + 15),
    ],
)
async def test_it_ends_as_the_program_does(code: str, status: int) -> None:
    gateway = Gateway()
    assert await beside(gateway.serve, Config(), python(code), socks=False) == status
    assert gateway.ended == "stopped"
    assert gateway.signals is False, "signals are for the program"


async def test_no_such_program(capfd: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway()
    assert await beside(gateway.serve, Config(), ["/nowhere/at/all"], socks=False) == 127
    assert gateway.ended == "stopped"
    assert capfd.readouterr().err == "anongw: /nowhere/at/all: No such file or directory\n"


async def test_a_file_that_is_no_program(capfd: pytest.CaptureFixture[str]) -> None:
    assert await beside(Gateway().serve, Config(), ["/etc/passwd"], socks=False) == 126
    assert "Permission denied" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("socks", "proxy"), [(False, "http://127.0.0.1:4321"), (True, "socks5h://127.0.0.1:4321")]
)
async def test_the_program_sees_the_variables(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    socks: bool,  # noqa: FBT001
    proxy: str,
) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("https_proxy", "http://elsewhere:1")
    code = "import os; print([os.environ[k] for k in ('HTTP_PROXY', 'https_proxy', 'NO_PROXY', 'PATH')])"
    await beside(Gateway().serve, Config(), python(code), socks=socks)
    assert capfd.readouterr().out.strip() == str([proxy, proxy, "", os.environ["PATH"]])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_goes_on_to_the_program(
    capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    code = f"""
import signal, os, sys
signal.signal({int(number)}, lambda *_: sys.exit(33))
os.kill(os.getppid(), {int(number)})
while True: signal.pause()
"""
    with anyio.fail_after(20):
        assert await beside(Gateway().serve, Config(), python(code), socks=False) == 33


async def test_a_gateway_that_cannot_start_starts_no_program(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="in use"):
        await beside(Gateway(error=ValueError("in use")).serve, Config(), python("print('ran')"), socks=False)
    assert capfd.readouterr().out == ""


async def test_a_gateway_that_dies_takes_the_program_with_it() -> None:
    dies = anyio.Event()
    dies.set()
    with pytest.raises(RuntimeError, match="a bug"), anyio.fail_after(20):
        await beside(Gateway(dies=dies).serve, Config(), python(SLEEP), socks=False)
