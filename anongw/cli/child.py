"""The program behind `anongw run`: started once its gateway listens, and outlived by it for no moment."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import anyio
import anyio.abc

from anongw.cli.hints import reachable, variables
from anongw.config import Config

# As shells have it (POSIX, Shell Command Language 2.8.2).
CANNOT_RUN: Final = 126
NOT_FOUND: Final = 127
SIGNALLED: Final = 128

_FORWARDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
# A terminal sends these to the whole foreground group, so the program has had its own already.
_FROM_KEYS = (signal.SIGINT, signal.SIGQUIT)


class Serve(Protocol):
    """What this file needs of `gateway.serve`."""

    def __call__(
        self,
        config: Config,
        /,
        *,
        ready: Callable[[tuple[str, ...]], None],
        stop: anyio.Event | None,
        signals: bool,
    ) -> Awaitable[None]: ...


async def beside(serve: Serve, config: Config, command: Sequence[str], *, socks: bool) -> int:
    """Run a gateway and, once it listens, a command behind it; the command's status as a shell would give it.

    Raises:
        Exception: whatever the gateway failed with, itself and not in a group; the command is killed then.
    """
    listening = anyio.Event()
    bound: list[str] = []
    failures: list[Exception] = []
    stop = anyio.Event()
    status = CANNOT_RUN

    def ready(addresses: tuple[str, ...]) -> None:
        bound.extend(addresses)
        listening.set()

    async def gateway() -> None:
        try:
            await serve(config, ready=ready, stop=stop, signals=False)
        except Exception as error:  # noqa: BLE001 (raised again below, outside of the group)
            failures.append(error)
        if not stop.is_set():  # nothing may go out any more, least of all past us
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(gateway)
        await listening.wait()
        status = await _run(command, os.environ | variables(reachable(bound), socks=socks))
        stop.set()
    if failures:
        raise failures[0]
    return status


async def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    with anyio.open_signal_receiver(*_FORWARDED) as signals:
        try:
            process = await anyio.open_process(command, stdin=None, stdout=None, stderr=None, env=environment)
        except OSError as error:
            print(f"anongw: {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 (a command's own output)
            return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        async with process, anyio.create_task_group() as group:
            group.start_soon(_forward, signals, process)
            status = await process.wait()
            group.cancel_scope.cancel()
    return status if status >= 0 else SIGNALLED - status


async def _forward(signals: AsyncIterator[signal.Signals], process: anyio.abc.Process) -> None:
    async for number in signals:
        if number in _FROM_KEYS and _has_terminal():
            continue
        with suppress(ProcessLookupError):  # it has just ended
            process.send_signal(number)


def _has_terminal() -> bool:
    """Whether we are in the foreground of a terminal, where Ctrl-C reaches the program without us."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
