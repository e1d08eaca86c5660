"""The event loops that tests run on. The program itself has asyncio's with the engine beneath it."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from anongw.net.loop import Loop

Options = dict[str, Any]
# As anyio's fixture has it.
Backend = str | tuple[str, Options]

BENEATH: Backend = ("asyncio", {"loop_factory": Loop})


def as_the_program(backend: str) -> Options:
    """The options with which the program would run on it."""
    return {"loop_factory": Loop} if backend == "asyncio" else {}


def run_on(backend: Backend, work: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
    name, options = (backend, {}) if isinstance(backend, str) else backend
    anyio.run(work, *args, backend=name, backend_options=options)
