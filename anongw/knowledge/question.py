"""What is asked: a target as a person writes it, and how a client would ask for it."""

import enum
import re
from dataclasses import dataclass

from anongw.address import Endpoint, parse_host, parse_port
from anongw.config import Config, Spoken, is_loopback, parse_listen
from anongw.errors import Refused
from anongw.flow import Flow
from anongw.route import identify
from anongw.wire.target import DEFAULT_PORTS

_WRITTEN = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>\[[^\[\]]*\]|[^\[\]:/?#@]*)(?::(?P<port>[0-9]*))?(?P<rest>[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)


class Unanswerable(ValueError):
    """A question that makes no sense. The text says which part of it, and how to write it."""


class Content(enum.Enum):
    """What the client says to its target."""

    UNKNOWN = "unknown"  # a tunnel may carry anything
    PLAIN = "plain"  # HTTP
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Question:
    """One connection. `user` is whom the client says it is; no listener: the config's first."""

    target: Endpoint
    protocol: Spoken = "socks5"
    content: Content = Content.UNKNOWN
    user: str | None = None
    listener: str = ""


def question(
    target: str, *, protocol: Spoken | None = None, user: str | None = None, listener: str = ""
) -> Question:
    """Read `example.org:443` or a URL, which also says what is spoken, and so how clients ask for it.

    Raises:
        Unanswerable: it is neither, or cannot be asked for by this protocol.
    """
    parts = _WRITTEN.fullmatch(target)
    scheme = (parts["scheme"] or "").lower() if parts else ""
    if not parts or not (scheme or (parts["port"] and not parts["rest"])):
        raise _unread(target)
    try:
        port = parse_port(parts["port"]) if parts["port"] else DEFAULT_PORTS[scheme]
        endpoint = Endpoint(parse_host(parts["host"]), port)
    except Refused:
        raise _unread(target) from None
    usual: dict[str, Spoken] = {"http": "http", "https": "connect", "": "socks5"}
    spoken = protocol or usual[scheme]
    if spoken == "http" and scheme == "https":
        raise Unanswerable(
            "https:// is asked for by CONNECT or SOCKS: the protocol http is for http:// alone"
        )
    # What is asked for as plain HTTP is plain HTTP, whatever its port.
    content = {"http": Content.PLAIN, "https": Content.TLS}.get(
        "http" if spoken == "http" else scheme, Content.UNKNOWN
    )
    return Question(endpoint, spoken, content, user, listener)


def _unread(target: str) -> Unanswerable:
    return Unanswerable(f'{target!r} is no target: write "example.org:443", IPv6 in brackets, or a URL')


@dataclass(frozen=True, slots=True)
class Asked:
    """A question put to one config."""

    config: Config
    question: Question
    listener: str  # in the spelling that flows bear
    shared: bool  # others than this machine's programs reach the listener
    flow: Flow
    identity: str  # for a person to read

    @property
    def target(self) -> Endpoint:
        return self.question.target


def put(config: Config, asked: Question) -> Asked:
    """Make the flow that the gateway would make.

    Raises:
        Unanswerable: the config has no such listener.
    """
    known = {_spelt(text): parse_listen(text) for text in config.listen.addresses}
    listener = _spelt(asked.listener or config.listen.addresses[0])
    if listener not in known:
        raise Unanswerable(f"there is no listener {listener}; known here: {', '.join(known)}")
    where = known[listener]
    shared = isinstance(where, Endpoint) and not is_loopback(where)
    flow = Flow(
        listener, shared=shared, number=0, protocol=asked.protocol, user=asked.user, target=asked.target
    )
    flow.identity = identify(flow, config.identity)
    # Whose address it is on a shared listener, no question says.
    whose = flow.identity if asked.user is not None or not shared else "each client address for itself"
    return Asked(config, asked, listener, shared, flow, whose)


def _spelt(text: str) -> str:
    """A listener as flows name it."""
    try:
        where = parse_listen(text)
    except ValueError as error:
        raise Unanswerable(str(error)) from None
    return str(where) if isinstance(where, Endpoint) else f"unix:{where}"
