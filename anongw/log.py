"""What is said, and what is never said.

Rules: a line is a constant sentence with gaps, and what fills them is a number, a Reason, or went through
`privacy.py`, which lets no name pass. So by default no line bears a destination, a client's address, a user's
name or a credential; `log.names` lifts that for all but credentials and says so at the start. The text of an
exception is never written, for it may quote what it failed on: its type is. What a stranger chose is escaped,
so that it cannot forge a line.

At the level "info" a flow leaves no line: when somebody used the network, and how much, is a diary too.
Refusals are counted; `debug` shows each flow by its number, and its identity by a pseudonym of this hour.
"""

import logging
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, LiteralString, TextIO

from loguru import logger

from anongw import config
from anongw.errors import Reason
from anongw.exposure import Exposure, exposures
from anongw.flow import Flow
from anongw.privacy import Kind, Privacy, Shown, counts, kind_of, setting

if TYPE_CHECKING:
    import loguru

__all__ = [
    "Counters",
    "Part",
    "RouteCount",
    "error",
    "escape",
    "finished",
    "info",
    "label",
    "logger",
    "setup",
    "warning",
]

Part = Shown | int | float | Reason


@dataclass(slots=True)
class _Set:
    """What `setup` was told."""

    flows: bool = True  # lines about flows are written at all


_set = _Set()


def setup(settings: config.Log, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error), in our form, and nowhere else."""
    out = sys.stderr if stream is None else stream

    def write(line: str) -> None:
        # A full disk or a closed pipe ends no connection, and nobody is told: loguru's own way is to print
        # the record, all of it, to standard error.
        try:
            out.write(line)
            out.flush()
        except (OSError, ValueError):
            pass

    logger.remove()
    # Loguru's defaults print the values of local variables under an exception.
    logger.add(
        write,
        level=settings.level.upper(),
        format=_template,
        backtrace=False,
        diagnose=False,
        colorize=False,
        catch=False,
    )
    logger.configure(patcher=_patch)
    logging.basicConfig(handlers=[_Foreign()], level=logging.WARNING, force=True)
    _set.flows = settings.level == "debug" or (settings.names and settings.level == "info")
    if settings.names:
        # At whatever level shows at all.
        level = "ERROR" if settings.level == "error" else "WARNING"
        logger.log(
            level, "names are on: this log says who went where. Keep it safe, or leave out --log-names"
        )


def info(template: LiteralString, *parts: Part) -> None:
    """Say how it fares. `template` is a constant with a {} for each part."""
    _say("INFO", template, parts)


def warning(template: LiteralString, *parts: Part) -> None:
    """Say what a person should look at; as `info`."""
    _say("WARNING", template, parts)


def error(template: LiteralString, *parts: Part) -> None:
    """Say what went wrong; as `info`."""
    _say("ERROR", template, parts)


def finished(flow: Flow, privacy: Privacy) -> None:
    """One line about a closed flow, where such lines are written; always about one that a bug ended."""
    bug = flow.reason is Reason.INTERNAL
    if not _set.flows and not bug:
        return
    level = "ERROR" if bug else "INFO" if privacy.names else "DEBUG"
    parts: tuple[Part, ...] = (
        flow.number,
        setting(flow.protocol or "unknown"),
        flow.reason or setting("done"),
        flow.sent,
        flow.received,
    )
    template: LiteralString = "flow {} {} {}, {} B sent, {} B received"
    if not privacy.names:
        _say(level, template + ", {}", (*parts, _whose(flow, privacy)))
        return
    names = (
        privacy.say(Kind.USER, flow.user or "-"),
        privacy.say(Kind.CLIENT, str(flow.client or "unix")),
        privacy.say(Kind.TARGET, str(flow.target or "-")),
    )
    _say(level, template + ", {} at {} to {}", (*parts, *names))


def _whose(flow: Flow, privacy: Privacy) -> Shown:
    return privacy.say(Kind.IDENTITY, flow.identity) if flow.identity else setting("nobody yet")


def _say(level: str, template: str, parts: tuple[Part, ...]) -> None:
    logger.log(level, template, *(one.value if isinstance(one, Reason) else one for one in parts))


def escape(text: str) -> str:
    """Every control character, line separator and direction mark as its escape: one line stays one line."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


@dataclass(slots=True)
class RouteCount:
    """What went one way. Sizes are in bytes."""

    flows: int = 0
    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class Counters:
    """How the gateway fares, since its start: sums over all flows, so that they name nobody."""

    flows: int = 0
    sent: int = 0  # bytes, client to upstream
    received: int = 0  # bytes, upstream to client
    scrubbed: int = 0  # of these bytes, those that passed as plain HTTP
    unscrubbed: int = 0  # and those in tunnels to port 80, which could have
    headers_dropped: int = 0  # request header lines that no list knew
    bugs: int = 0  # flows that ended because of an error of ours
    refused: Counter[Reason] = field(default_factory=Counter)
    exposed: Counter[Exposure] = field(default_factory=Counter)  # flows that gave such a thing away
    routes: dict[str, RouteCount] = field(default_factory=dict)  # by a chain's name, "direct" or "refuse"

    def finished(self, flow: Flow) -> None:
        self.flows += 1
        self.sent += flow.sent
        self.received += flow.received
        if flow.protocol == "http":
            self.scrubbed += flow.sent + flow.received
        for exposure in exposures(flow):
            self.exposed[exposure] += 1
            if exposure is Exposure.UNSCRUBBED:
                self.unscrubbed += flow.sent + flow.received
        if flow.route:
            route = self.routes.get(flow.route)
            if route is None:
                route = self.routes[flow.route] = RouteCount()
            route.flows += 1
            route.sent += flow.sent
            route.received += flow.received
        if flow.reason is not None:
            self.refused[flow.reason] += 1
            self.bugs += flow.reason is Reason.INTERNAL

    def summary(self) -> None:
        """Say it all in one line, at the end."""
        info(
            "stopped: {} flows, {} B sent, {} B received, {} unknown header lines dropped; refused: {}",
            *(self.flows, self.sent, self.received, self.headers_dropped, counts(self.refused)),
        )


def label(text: str) -> None:
    """Begin every line of this process with a text: which of several it is."""
    logger.configure(extra={"label": text})


def _template(record: "loguru.Record") -> str:
    # A function, because loguru adds the exception to a format that is a string.
    label: str = record["extra"].get("label", "")
    return f"{{time:YYYY-MM-DD HH:mm:ss}} {{level.name: <7}} {label}{{message}}\n"


def _patch(record: "loguru.Record") -> None:
    message = record["message"]
    if record["exception"] is not None and record["exception"].type is not None:
        message = f"{message} ({kind_of(record['exception'].type)})"
    record["message"] = escape(message)


class _Foreign(logging.Handler):
    """What libraries say, by standard logging: who and where, for the words may name someone."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        raised = record.exc_info[0] if record.exc_info else None
        what = kind_of(raised) if raised else setting("a message")
        where = (setting(record.funcName or "-"), setting(record.name))
        _say(level, "{} in {} of {}, words left out", (what, *where))
