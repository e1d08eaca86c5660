"""What can be learnt at the gateway itself: from its clients' lines, its log and its control socket."""

from collections.abc import Iterator

from anongw.address import Endpoint
from anongw.config import Config, is_loopback, parse_listen
from anongw.knowledge.glimpse import Glimpse, no, nothing, yes
from anongw.knowledge.table import Cell, Fact, Party, Row

_LISTENERS = "listen.addresses"
# Levels at which a flow's line is written: with names, and without.
_WITH_NAMES = frozenset(("debug", "info"))
_WITHOUT = frozenset(("debug",))


def in_front(see: Glimpse) -> Iterator[Row]:
    """The line between a client and a listener that others reach; on this machine there is none."""
    if not see.asked.shared:
        return
    content = see.content()
    cells = nothing(_LISTENERS, "said behind the gateway only") | {
        Fact.CLIENT_ADDRESS: yes(_LISTENERS, "it is one end of this line"),
        Fact.GATEWAY_ADDRESS: yes(_LISTENERS, "it is one end of this line"),
        **_target(see, _LISTENERS, "no listener has TLS, so that clients ask in the clear"),
        Fact.CONTENT: content,
        Fact.LOGIN: content,  # before anything is scrubbed
        Fact.TIMING: yes(_LISTENERS, "carries the stream"),
    }
    yield Row(party=Party.CLIENT_LINE, name="line from the client", cells=cells)


def at_home(see: Glimpse) -> Iterator[Row]:
    """What the gateway itself tells."""
    config = see.asked.config
    yield Row(party=Party.LOG, name="log file", cells=_log(see, config))
    if config.control.socket != "off":
        yield Row(party=Party.CONTROL, name="control socket", cells=_control(config))


def _log(see: Glimpse, config: Config) -> dict[Fact, Cell]:
    level = config.log.level
    if not config.log.names:
        cells = nothing("log.names", "its lines name nobody")
        if level in _WITHOUT:
            cells[Fact.TIMING] = yes("log.level", "a line for each connection, by number and pseudonym")
        return cells
    if level not in _WITH_NAMES:
        return nothing("log.level", f"connections have no line at level {level}")
    return nothing("log", "is never written") | {
        Fact.CLIENT_ADDRESS: yes("log.names", "a line for each connection: user, client and target"),
        **_target(see, "log.names", "a line for each connection: user, client and target"),
        Fact.TIMING: yes("log.names", "a line for each connection, when it ends"),
    }


def _control(config: Config) -> dict[Fact, Cell]:
    cells = nothing("control.socket", "tells sums, states and pseudonyms, to this user and root")
    cells[Fact.TIMING] = yes("control.socket", "counts and sizes of each route, as they grow")
    if any(_is_shown(text) for text in config.listen.addresses):
        cells[Fact.GATEWAY_ADDRESS] = yes(_LISTENERS, "names the listeners")
    return cells


def _is_shown(text: str) -> bool:
    """Whether a listener's address is one by which others know this machine."""
    where = parse_listen(text)
    if not isinstance(where, Endpoint) or isinstance(where.host, str):
        return False
    return not is_loopback(where) and not where.host.is_unspecified


def _target(see: Glimpse, by: str, why: str) -> dict[Fact, Cell]:
    """The target as the client says it."""
    if see.named:
        return {Fact.NAME: yes(by, why), Fact.ADDRESS: no("target", "the target is a name")}
    return {Fact.NAME: no("target", "the target is an address"), Fact.ADDRESS: yes(by, why)}
