"""The control protocol: a line of JSON for a request, a line of JSON for its answer.

    {"command": "status"}                          {"ok": true, "status": {...}}
    {"command": "reload"}                          {"ok": false, "error": "...", "faults": ["..."]}
    {"command": "forget", "name": "alice"}         {"ok": true, "forgotten": {...}}

A connection may ask several times, one after the other. Readers are generators over a Reader; what is written
is a plain function's bytes.

Rules: a line has a limit, its newline included; what is no JSON object with the one key that it must have is
refused. JSON escapes every control character, so that no value can end its line.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from anongw.errors import Reason, Refused
from anongw.wire.reader import Reader

Fields = Mapping[str, object]

# Bytes of an answer that a client reads: a status has 200 for each member of a chain, and some chains have
# thousands.
ANSWER_MOST = 8 << 20


@dataclass(frozen=True, slots=True)
class Request:
    command: str
    arguments: Fields


@dataclass(frozen=True, slots=True)
class Answer:
    ok: bool
    fields: Fields  # an answer that is not ok has its "error" here


def request(reader: Reader, most: int) -> Generator[None, None, Request]:
    """What the client wants.

    Raises:
        Refused: MALFORMED, or TOO_LARGE for a line of more than `most` bytes.
        EOFError: the client closed.
    """
    fields = yield from _line(reader, most)
    command = fields.pop("command", None)
    if not isinstance(command, str):
        _malformed("no command")
    return Request(command, fields)


def answer(reader: Reader, most: int = ANSWER_MOST) -> Generator[None, None, Answer]:
    """What the gateway says.

    Raises:
        Refused: MALFORMED, or TOO_LARGE for a line of more than `most` bytes.
        EOFError: the gateway closed.
    """
    fields = yield from _line(reader, most)
    ok = fields.pop("ok", None)
    if not isinstance(ok, bool) or not (ok or isinstance(fields.get("error"), str)):
        _malformed("neither done nor an error")
    return Answer(ok, fields)


def ask(command: str, **arguments: str) -> bytes:
    return _written({"command": command, **arguments})


def done(fields: Fields) -> bytes:
    """The answer to a command that was carried out."""
    return _written({"ok": True, **fields})


def failed(error: str, faults: tuple[str, ...] = ()) -> bytes:
    """The answer to one that was not; `faults` where there is a list of what is wrong."""
    return _written({"ok": False, "error": error} | ({"faults": faults} if faults else {}))


def _written(fields: Fields) -> bytes:
    return msgspec.json.encode(fields) + b"\n"


def _line(reader: Reader, most: int) -> Generator[None, None, dict[str, object]]:
    line = yield from reader.until(b"\n", most)
    try:
        fields: dict[str, object] = msgspec.json.decode(line, type=dict[str, object])
    except (ValueError, RecursionError):  # bytes that are no UTF-8 among them; lists in lists in lists
        _malformed("no JSON object")
    return fields


def _malformed(detail: str) -> NoReturn:
    raise Refused(Reason.MALFORMED, detail)
