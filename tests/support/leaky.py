"""anongw with one part replaced, so that it leaks: `python -m tests.support.leaky SIN serve ...`.

A test sees by it that `anongw audit` would notice. Each sin is a function that replaces what it must before
the gateway starts; nothing of it is in the product.
"""
# ruff: noqa: ANN401 - what is replaced has the types of what it replaces

import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

import dns.message
import httptools
from loguru import logger

from anongw import log, route
from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.net import tls
from anongw.net.connect import connect
from anongw.outbound import hop
from anongw.outbound.chain import Chain
from anongw.outbound.isolation import Isolation
from anongw.web import scrub
from anongw.web.clean import Clean
from anongw.web.exchange import Request
from anongw.wire import http1, socks5
from anongw.wire.http1 import Framing, Kind

FAR = ("198.51.100.53", 53)  # somebody whom no config here names
RESOLVER = ("9.9.9.9", 53)


def _put(where: Any, name: str, part: Any) -> None:
    """In the place of what is there."""
    setattr(where, name, part)


def edges() -> None:
    """An address is connected to past the chain."""
    dial = Chain.dial

    async def past(self: Chain, target: Endpoint, flow: Any, fiber: Any) -> Any:
        if isinstance(target.host, str):
            return await dial(self, target, flow, fiber)
        return await connect(fiber, [target.host], target.port)

    _put(Chain, "dial", past)


def questions() -> None:
    """A name that goes to the exit is asked of the resolver here as well."""
    dial = Chain.dial

    async def and_ask(self: Chain, target: Endpoint, flow: Any, fiber: Any) -> Any:
        if isinstance(target.host, str):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(dns.message.make_query(target.host, "A").to_wire(), RESOLVER)
        return await dial(self, target, flow, fiber)

    _put(Chain, "dial", and_ask)


def names() -> None:
    """What is said to a hop in TLS is said in the clear."""

    async def bare(_fiber: Any, stream: Any, *_: Any, **__: Any) -> Any:
        return stream

    _put(hop, "secure", bare)


def client() -> None:
    _adds(lambda request: (b"X-Forwarded-For", str(request.flow.client).encode()))


def login() -> None:
    _adds(lambda request: (b"X-Authenticated-User", (request.flow.user or "").encode()))


def gateway() -> None:
    _adds(lambda _: (b"Via", f"1.1 {socket.gethostname()} (anongw/0.1.0)".encode()))


def _adds(line: Callable[[Request], tuple[bytes, bytes]]) -> None:
    made = Clean.__init__

    def with_line(self: Clean, rules: Any, following: Any, *others: Any) -> None:
        async def after_scrubbing(request: Request, fiber: Any) -> Any:
            request.headers = [*request.headers, line(request)]
            request.ready = http1.build_lines(request.headers)
            return await following(request, fiber)

        made(self, rules, after_scrubbing, *others)

    _put(Clean, "__init__", with_line)


def headers() -> None:
    """The client's lines pass, but for those that would break the exchange."""
    request = scrub.request

    def unscrubbed(lines: http1.Headers, *rest: Any) -> Any:
        made = request(lines, *rest)
        ours = {name.lower() for name, _ in made.headers} | {b"connection", b"proxy-authorization"}
        passed = [line for line in lines if line[0].lower() not in ours]
        return scrub.Scrubbed([*made.headers, *passed], 0)

    _put(scrub, "request", unscrubbed)


def hops() -> None:
    """The first hop is shown the login of the last one."""
    right = Isolation.login
    seen: list[Any] = []

    def of_another(self: Isolation, member: Any, identity: str) -> Any:
        found = right(self, member, identity)
        if found not in seen:
            seen.append(found)
        return seen[(seen.index(found) + 1) % len(seen)]

    _put(Isolation, "login", of_another)


def answers() -> None:
    """BND.ADDR says where the gateway goes out (RFC 1928 section 6 asks for that)."""
    kept = socks5.reply

    def honest(code: socks5.Reply, kind: socks5.AddressType = socks5.AddressType.IPV4) -> bytes:
        if code is not socks5.Reply.SUCCEEDED or kind is not socks5.AddressType.IPV4:
            return kept(code, kind)
        return b"\x05\x00\x00\x01" + socket.inet_aton("20.77.0.1") + b"\x10\x00"

    _put(socks5, "reply", honest)


def logs() -> None:
    finished = log.finished

    def with_names(flow: Any, *rest: Any, **more: Any) -> None:
        logger.info("{} went to {}", flow.user, flow.target)
        finished(flow, *rest, **more)

    _put(log, "finished", with_names)


def identities() -> None:
    """Everybody is one."""
    _put(route, "identify", lambda *_: "everybody")


def smuggling() -> None:
    """Two lengths are let pass, and what is behind the head is taken for another request."""
    strict = httptools.HttpRequestParser

    def lenient(fields: Any) -> Any:
        parser = strict(fields)
        parser.set_dangerous_leniencies(lenient_chunked_length=True)
        return parser

    _put(http1, "HttpRequestParser", lenient)
    _put(http1, "_request_framing", lambda *_: Framing(Kind.NONE))


def strangers() -> None:
    """No certificate is verified."""
    verified = tls.trust

    def unverified(*words: Any) -> Any:
        found = verified(*words)
        found.context.check_hostname = False
        found.context.verify_mode = ssl.CERT_NONE
        return found

    _put(tls, "trust", unverified)


def ended() -> None:
    """Something of the gateway's outlives it, and goes on talking for a while."""
    if os.fork():
        return
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.01)
    until = time.monotonic() + 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while time.monotonic() < until:
            sock.sendto(b"still here", FAR)
            time.sleep(0.02)
    os._exit(0)


def served() -> None:
    """Nothing leaks, because nothing works."""

    async def never(*_: Any) -> Any:
        raise Refused(Reason.FORBIDDEN)

    _put(Chain, "dial", never)


SINS: dict[str, Callable[[], None]] = {
    sin.__name__: sin
    for sin in (
        edges,
        questions,
        names,
        client,
        login,
        headers,
        hops,
        gateway,
        answers,
        logs,
        identities,
        smuggling,
        strangers,
        ended,
        served,
    )
}


def main() -> None:
    """Sin, and then be a gateway."""
    SINS[sys.argv[1]]()
    from anongw.cli import main as anongw

    anongw(sys.argv[2:], prog_name="anongw")


if __name__ == "__main__":
    main()
