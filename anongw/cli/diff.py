"""`anongw diff`: what the scrubber makes of a request or an answer. lines.py shows it.

A head is read as the gateway reads it, by its own parser and limits, and refused where it would be.
"""
# ruff: noqa: PLC0415, D301 (imports inside commands, so that --help starts at once; \b is how click keeps lines)

import re
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import click
import msgspec

from anongw.cli.ending import Failure, Wrong
from anongw.cli.options import as_sets, read, reads_config
from anongw.config import Config
from anongw.errors import Reason, Refused

if TYPE_CHECKING:
    from anongw.address import Address
    from anongw.web.difference import Line
    from anongw.wire.http1 import HeadLimits
    from anongw.wire.reader import Reader

# A head, and the beginning of a body that nobody looks at.
_INPUT_MOST: Final = 1 << 20
_STANDARD_INPUT: Final = "-"
_AUTHORITY: Final = re.compile(r"[^:]*://([^/?#]*)")

T = TypeVar("T")


@click.command()
@click.argument("source", metavar="[FILE|-|URL]", default=_STANDARD_INPUT)
@click.option("-X", "--method", metavar="METHOD", help="What a URL is asked with; GET, if not given.")
@click.option("-H", "--header", "headers", multiple=True, metavar="LINE", help="A header line, with a URL.")
@click.option("--identity", metavar="USER", help="Whose request it is, for [identities] with a persona.")
@click.option("--response", is_flag=True, help="Scrub an answer, and not a request.")
@click.option("--url", default="", metavar="URL", help="With --response and a FILE: what was asked for.")
@reads_config
@click.option("--json", "as_json", is_flag=True, help="JSON instead of columns.")
def diff(  # noqa: PLR0913, PLR0917 - one for each option
    source: str,
    method: str | None,
    headers: Sequence[str],
    url: str,
    identity: str | None,
    path: Path | None,
    chain_file: Path | None,
    sets: Sequence[str],
    *,
    response: bool,
    as_json: bool,
    **options: object,
) -> None:
    """Show a request as a program sends it, and what is sent on of it.

    Each line with what becomes of it, and why. Ends with 1 where the gateway would refuse it. A file without
    carriage returns is an editor's: its lines are ended as HTTP ends them.

    \b
      anongw diff http://example.org/ -H 'User-Agent: me/1.0' -H 'Cookie: a=b'
      anongw diff request.txt --profile strict
      curl -si http://example.org/ | anongw diff --response --url http://example.org/
    """
    config = read(path, (*as_sets(options), *sets), chain_file)
    by_url = "://" in source
    if headers and not by_url:
        raise Wrong("-H is for a URL: write the line into the file")
    if method and not by_url and not response:
        raise Wrong("-X is for a URL: the file says it in its first line")
    if url and (by_url or not response):
        raise Wrong("--url is for an answer in a file: what it answers")
    url, asked_with = source if by_url else url, method or "GET"
    if by_url:
        first = ("HTTP/1.1 200 OK",) if response else _asking(asked_with, url, headers)
        data = _composed(first, headers)
    else:
        data = _ended(_input(source))
    try:
        lines = _of_answer(config, data, url, asked_with) if response else _of_request(config, data, identity)
    except Refused as refused:
        _refuse(refused, answer=response, as_json=as_json)
    if as_json:
        click.echo(msgspec.json.encode({"refused": None, "lines": lines}))
        return
    from anongw.cli.lines import show

    show(lines)


# What is read


def _asking(method: str, url: str, headers: Sequence[str]) -> tuple[str, ...]:
    """How a request begins, as curl writes it; the lines of its own that nobody asked for are left out."""
    first = f"{method} {url} HTTP/1.1"
    named = any(line.lower().startswith("host:") for line in headers)
    found = None if named else _AUTHORITY.match(url)
    return (first, f"Host: {found[1]}") if found else (first,)


def _composed(first: Sequence[str], headers: Sequence[str]) -> bytes:
    return "\r\n".join([*first, *headers, "", ""]).encode("utf-8", "surrogateescape")


def _input(source: str) -> bytes:
    try:
        if source == _STANDARD_INPUT:
            if sys.stdin.isatty():
                raise Wrong("name a file or a URL, or have a request on standard input")
            data = sys.stdin.buffer.read(_INPUT_MOST + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(_INPUT_MOST + 1)
    except OSError as error:
        raise Wrong(f"{source}: cannot be read: {error.strerror}") from None
    if len(data) > _INPUT_MOST:
        raise Wrong(f"{source}: is longer than {_INPUT_MOST} bytes: no head is")
    return data


def _ended(data: bytes) -> bytes:
    """What an editor wrote, with its lines and its end as they are on the wire."""
    if b"\r" in data or not data:
        return data
    head, _, body = data.partition(b"\n\n")
    return head.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n\r\n" + body


def _parsed(codec: Generator[None, None, T | None]) -> T:
    """What a codec makes of all that there is."""
    head: T | None = None
    try:
        while True:
            next(codec)
    except EOFError:
        raise Refused(Reason.MALFORMED, "it ends in the middle of its head") from None
    except StopIteration as done:
        head = done.value
    if head is None:
        raise Wrong("there is nothing to read")
    return head


# What becomes of it


def _of_request(config: Config, data: bytes, identity: str | None) -> "tuple[Line, ...]":
    from anongw.inbound.http import credentials, judge_form
    from anongw.web.difference import of_request
    from anongw.web.records import compile_personas
    from anongw.web.rules import compile_rules
    from anongw.wire import http1
    from anongw.wire.target import authority

    head = _parsed(http1.request_head(*_read_by(config, data)))
    judge_form(head)
    named = credentials(head)
    if identity is None and named is not None:
        identity = named[0].decode("utf-8", "backslashreplace")
    if head.method == b"CONNECT":
        authority(head.target)
        raise Wrong(
            "CONNECT makes a tunnel: what goes through it is passed as it is, and nothing is scrubbed"
        )
    return of_request(head, compile_rules(config.scrub), compile_personas(config).get(identity or ""))


def _of_answer(config: Config, data: bytes, url: str, method: str) -> "tuple[Line, ...]":
    from anongw.web.difference import of_response
    from anongw.web.rules import compile_rules
    from anongw.wire import http1
    from anongw.wire.target import absolute

    host: str | Address = ""  # what only rules for every host are about
    if url:
        try:
            host = absolute(url.encode("utf-8", "surrogateescape"))[1].host
        except Refused:
            raise Wrong("only what is asked for as http://HOST/ is scrubbed") from None
    head = _parsed(http1.response_head(*_read_by(config, data), method.encode("utf-8", "surrogateescape")))
    # Who shows a 101 had asked for one.
    switched = head.status == http1.SWITCHING_PROTOCOLS
    return of_response(head, compile_rules(config.scrub), host, websocket=switched)


def _read_by(config: Config, data: bytes) -> "tuple[Reader, HeadLimits]":
    from anongw.wire.http1 import HeadLimits
    from anongw.wire.reader import Reader

    reader = Reader()
    reader.feed(data)
    reader.feed_eof()
    return reader, HeadLimits(config.limits.header_bytes, config.limits.header_lines)


def _refuse(refused: Refused, *, answer: bool, as_json: bool) -> NoReturn:
    """Say what the gateway would: to the client a number or nothing, here the reason as well."""
    from anongw.inbound.http import STATUS
    from anongw.log import escape

    silent = refused.reason is Reason.PROBE
    status = None if silent else STATUS[refused.reason]
    if as_json:
        told = {"reason": refused.reason.value, "detail": refused.detail, "status": status}
        click.echo(msgspec.json.encode({"refused": told, "lines": []}))
    detail = f" ({escape(refused.detail)})" if refused.detail else ""
    what = "answer" if answer else "request"
    said = "by silence: write the whole URL, as in GET http://HOST/PATH" if silent else f"with {status}"
    raise Failure(
        f"the gateway refuses this {what}: {refused.reason.value}{detail}; its client is answered {said}"
    )
