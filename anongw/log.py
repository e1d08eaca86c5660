"""What is said, and what is never said.

Rules: by default no line bears a destination, a client's address, a user's name or a credential; `log.names`
lifts that for all but credentials and says so at the start. The text of an exception is never written, for it
may quote what it failed on: its type is. What a stranger chose is escaped, so that it cannot forge a line.

At the level "info" a flow that ends as both sides wished leaves no line: when somebody used the network, and
how much, is a diary too. Refusals are counted; `debug` shows each flow by its number.
"""

import logging
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from loguru import logger

from anongw import config
from anongw.errors import Reason
from anongw.exposure import Exposure, exposures
from anongw.flow import Flow

if TYPE_CHECKING:
    import loguru

__all__ = ["Counters", "RouteCount", "escape", "finished", "label", "logger", "setup"]


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
    if settings.names:
        # At whatever level shows at all.
        level = "ERROR" if settings.level == "error" else "WARNING"
        logger.log(
            level, "names are on: this log says who went where. Keep it safe, or leave out --log-names"
        )


def finished(flow: Flow, *, names: bool) -> None:
    """One line about a closed flow; `names` is `log.names`."""
    level = "INFO" if names else "DEBUG"
    if flow.reason is Reason.INTERNAL:
        level = "ERROR"
    logger.log(
        level,
        "flow {} {} {}, {} B sent, {} B received{}",
        flow.number,
        flow.protocol or "unknown",
        flow.reason.value if flow.reason else "done",
        flow.sent,
        flow.received,
        f", {flow.user or '-'} at {flow.client or 'unix'} to {flow.target or '-'}" if names else "",
    )


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
            route = self.routes.setdefault(flow.route, RouteCount())
            route.flows += 1
            route.sent += flow.sent
            route.received += flow.received
        if flow.reason is not None:
            self.refused[flow.reason] += 1
            self.bugs += flow.reason is Reason.INTERNAL

    def summary(self) -> str:
        """One line for the end."""
        refused = ", ".join(f"{count} {reason.value}" for reason, count in self.refused.most_common())
        return (
            f"{self.flows} flows, {self.sent} B sent, {self.received} B received, "
            f"{self.headers_dropped} unknown header lines dropped; refused: {refused or 'none'}"
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
        message = f"{message} ({record['exception'].type.__name__})"
    record["message"] = escape(message)


class _Foreign(logging.Handler):
    """What libraries say, by standard logging: who and where, for the words may name someone."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        what = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "a message"
        logger.log(level, "{} in {} of {}, words left out", what, record.funcName, record.name)
