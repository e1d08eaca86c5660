"""What the gateway itself tells: the lines of its clients, its log, its control socket."""

import pytest

from anongw.knowledge import Fact, Learns
from tests.support.knowledge import ask, config, learns, letters

CLIENTS = 'listen.clients=["192.0.2.0/24"]'
Y, N = Learns.YES, Learns.NO


@pytest.mark.parametrize(
    ("listen", "rows", "gateway"),
    [
        ('["127.0.0.1:1080"]', 0, N),
        ('["[::1]:1080"]', 0, N),
        ('["unix:/run/a.sock"]', 0, N),
        ('["0.0.0.0:1080"]', 1, N),
        ('["192.0.2.9:1080"]', 1, Y),
        # The question is about the first; status names all.
        ('["127.0.0.1:1080", "192.0.2.9:1080"]', 0, Y),
    ],
)
def test_listeners(listen: str, rows: int, gateway: Learns) -> None:
    found = ask(config(f"listen.addresses={listen}", CLIENTS), "example.org:443")
    assert sum(row.name == "line from the client" for row in found.rows) == rows
    assert learns(found, "control socket", Fact.GATEWAY_ADDRESS) is gateway


@pytest.mark.parametrize(
    ("target", "options", "row"),
    [
        ("example.org:443", {}, "yyynppny"),
        ("1.2.3.4:443", {}, "yynyppny"),
        ("https://example.org/", {}, "yyynnnny"),
        ("http://example.org/", {}, "yyynyyny"),
        ("10.0.0.1:443", {}, "yynyppny"),  # refused, and asked for in the clear all the same
    ],
)
def test_the_line_from_a_client(target: str, options: dict[str, str], row: str) -> None:
    made = config('listen.addresses=["0.0.0.0:1080"]', CLIENTS, "scrub.profile=strict")
    assert letters(ask(made, target, **options))["line from the client"] == row


def test_no_control_socket_no_row() -> None:
    rows = letters(ask(config("control.socket=off"), "example.org:443"))
    assert "control socket" not in rows
    assert "log file" in rows


@pytest.mark.parametrize(
    ("sets", "row"),
    [
        ((), "nnnnnnnn"),
        (("log.level=debug",), "nnnnnnny"),
        (("log.level=warning",), "nnnnnnnn"),
        (("log.names=true",), "ynynnnny"),
        (("log.names=true", "log.level=debug"), "ynynnnny"),
        (("log.names=true", "log.level=warning"), "nnnnnnnn"),
    ],
)
@pytest.mark.parametrize("target", ["example.org:443", "printer.local:80"])
def test_the_log(sets: tuple[str, ...], row: str, target: str) -> None:
    assert letters(ask(config(*sets), target))["log file"] == row
