"""The sockets by which clients and `anongw status` come in: bound once, all of them or none.

Workers have those of the process that they were forked from. Only who has bound a Unix socket takes its file
away.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass

from anongw import log
from anongw.config import Config
from anongw.control import bind_control
from anongw.errors import StartError
from anongw.net.listen import bind, spell
from anongw.privacy import setting


@dataclass(frozen=True, slots=True)
class Openings:
    """What is open. `control` is None where there is none."""

    listeners: tuple[socket.socket, ...]
    control: socket.socket | None

    @property
    def names(self) -> tuple[str, ...]:
        """The listeners' addresses, with their real ports."""
        return tuple(map(spell, self.listeners))

    def close(self) -> None:
        """For the process that has bound them: nobody comes in any more."""
        for sock in (*self.listeners, *([self.control] if self.control else [])):
            if sock.family == socket.AF_UNIX:
                with suppress(OSError):
                    os.unlink(sock.getsockname())  # noqa: PTH108 - pathlib would only wrap it
            sock.close()


def open_all(config: Config) -> Openings:
    """Bind what a config names.

    Raises:
        StartError: one of them cannot be had; none is open.
    """
    listeners: list[socket.socket] = []
    try:
        for spelling in config.listen.addresses:
            # One by one, so that those before one that cannot be had are closed.
            listeners += [_bound(spelling, config.listen.backlog)]
        return Openings(tuple(listeners), _control(config.control.socket, tuple(map(spell, listeners))))
    except BaseException:
        Openings(tuple(listeners), None).close()
        raise


def _bound(spelling: str, backlog: int) -> socket.socket:
    try:
        return bind(spelling, backlog)
    except OSError as error:
        raise StartError(f"cannot listen on {spelling}: {error.strerror}") from None


def _control(wanted: str, names: tuple[str, ...]) -> socket.socket | None:
    try:
        return bind_control(wanted, names)
    except OSError as error:
        if wanted != "auto":
            raise StartError(f"control.socket: {error.strerror}") from None
        # Nobody asked for one, and whoever is in its way must not keep a gateway from starting.
        why = setting(error.strerror or "it cannot be had")
        log.warning("no control socket, so no `anongw status`: {}", why)
        return None
