"""Logs name nobody, forge nothing and quote no exception."""

import io
import ipaddress
import logging
from collections.abc import Iterator

import pytest

from anongw import config
from anongw.address import Endpoint
from anongw.errors import Reason, Refused
from anongw.exposure import Exposure
from anongw.flow import Flow
from anongw.log import Counters, error, escape, finished, info, logger, setup, warning
from anongw.privacy import Privacy, setting

SECRETS = ("hunter2", "secret.example", "192.0.2.77", "alice")


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logger.remove()
    logger.configure(patcher=lambda _record: None)
    root.handlers[:] = handlers
    root.setLevel(level)


def log(level: config.Level = "debug", *, names: bool = False) -> io.StringIO:
    out = io.StringIO()
    setup(config.Log(level=level, names=names), out)
    return out


def flow(reason: Reason | None = None) -> Flow:
    return Flow(
        listener="127.0.0.1:1080",
        client=ipaddress.ip_address("192.0.2.77"),
        number=7,
        protocol="socks5",
        user="alice",
        identity="user alice",
        target=Endpoint("secret.example", 443),
        reason=reason,
        sent=10,
        received=2000,
    )


@pytest.mark.parametrize("reason", [None, *Reason])
def test_by_default_a_line_names_nobody(reason: Reason | None) -> None:
    out = log()
    finished(flow(reason), Privacy())
    line = out.getvalue()
    assert "flow 7 socks5" in line
    assert "10 B sent, 2000 B received, identity~" in line
    assert (reason.value if reason else "done") in line
    assert not [secret for secret in SECRETS if secret in line]


def test_at_info_a_flow_leaves_no_line_but_a_bug_does() -> None:
    out = log("info")
    finished(flow(), Privacy())
    finished(flow(Reason.FORBIDDEN), Privacy())
    assert out.getvalue() == ""
    finished(flow(Reason.INTERNAL), Privacy())
    assert "flow 7 socks5 internal" in out.getvalue()


def test_names_are_told_where_asked_for_and_a_warning_comes_first() -> None:
    out = log("info", names=True)
    finished(flow(), Privacy(names=True))
    warning, line = out.getvalue().splitlines()
    assert "WARNING" in warning
    assert "names are on" in warning
    assert "alice at 192.0.2.77 to secret.example:443" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_warning_comes_at_every_level(level: config.Level) -> None:
    assert "names are on" in log(level, names=True).getvalue()


def test_no_exception_is_quoted_and_no_local_variable_shown() -> None:
    out = log()
    password = "hunter2"
    try:
        int(f"no {password} at secret.example")
    except ValueError as error:
        logger.exception("a step failed")
        logger.opt(exception=error).error("again")
    assert out.getvalue().count("(ValueError)") == 2
    assert not [secret for secret in SECRETS if secret in out.getvalue()]
    assert "Traceback" not in out.getvalue()


def test_a_refusal_in_a_line_has_no_detail() -> None:
    out = log()
    logger.info("refused: {}", Refused(Reason.FORBIDDEN, "secret.example"))
    assert "refused: forbidden" in out.getvalue()
    assert "secret" not in out.getvalue()


@pytest.mark.parametrize("value", ["a\nb", "\x1b[31mred", "a\rb", "a\u2028b", "a\u202eb", "\x00", "a\x85b"])
def test_no_value_can_forge_a_line(value: str) -> None:
    out = log()
    logger.info("user {}", value)
    (line,) = out.getvalue().splitlines()
    assert line.isprintable()
    assert escape(value) in line


@pytest.mark.parametrize("value", ["{}", "{0}", "{record}", "<red>x</red>", "%s", "\\"])
def test_no_value_is_taken_for_a_template(value: str) -> None:
    out = log()
    logger.info("user {}", value)
    assert out.getvalue().rstrip("\n").endswith(f"user {value}")


def test_escaping_leaves_what_can_be_read() -> None:
    assert escape("grün 日本 a b") == "grün 日本 a b"
    assert escape("a\nb\x1b") == "a\\nb\\x1b"


class Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError("no space left on device")


def test_a_sink_that_fails_ends_nothing_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    setup(config.Log(names=True), Broken())
    logger.info("to {}", "secret.example")
    closed = io.StringIO()
    setup(config.Log(), closed)
    closed.close()
    logger.error("to {}", "secret.example")
    assert capfd.readouterr() == ("", "")


def test_it_goes_to_standard_error_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    setup(config.Log())
    logger.info("hello")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("INFO    hello\n")


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels(level: config.Level, lines: int) -> None:
    out = log(level)
    for say in (logger.debug, logger.info, logger.warning, logger.error):
        say("x")
    assert len(out.getvalue().splitlines()) == lines


def test_what_libraries_say_is_noted_without_its_words() -> None:
    out = log()
    library = logging.getLogger("h2.connection")
    library.debug("to %s", "secret.example")
    library.warning("to %s", "secret.example")
    try:
        int("hunter2")
    except ValueError:
        library.exception("to %s", "secret.example")
    first, second = out.getvalue().splitlines()
    assert "WARNING a message in test_what_libraries_say" in first
    assert "ERROR   ValueError in" in second
    assert "of h2.connection, words left out" in first
    assert not [secret for secret in SECRETS if secret in out.getvalue()]


def test_a_flow_that_never_asked_is_nobodys() -> None:
    out = log()
    finished(Flow("127.0.0.1:1080", number=7, protocol="socks5"), Privacy())
    assert out.getvalue().endswith("flow 7 socks5 done, 0 B sent, 0 B received, nobody yet\n")


def test_what_is_said_is_a_constant_sentence_with_gaps() -> None:
    out = log()
    info("{} and {}", 1, Reason.FORBIDDEN)
    warning("{}", setting("a {} of a config"))
    error("all is lost")
    lines = out.getvalue().splitlines()
    assert lines[0].endswith(" INFO    1 and forbidden")
    assert lines[1].endswith(" WARNING a {} of a config")
    assert lines[2].endswith(" ERROR   all is lost")


def test_counters_sum_and_name_nobody() -> None:
    out = log("info")
    counters = Counters()
    for reason in (None, None, Reason.FORBIDDEN, Reason.FORBIDDEN, Reason.INTERNAL):
        counters.finished(flow(reason))
    assert (counters.flows, counters.sent, counters.received, counters.bugs) == (5, 50, 10000, 1)
    assert counters.refused == {Reason.FORBIDDEN: 2, Reason.INTERNAL: 1}
    counters.summary()
    Counters().summary()
    first, second = out.getvalue().splitlines()
    assert first.endswith(
        "stopped: 5 flows, 50 B sent, 10000 B received, 0 unknown header lines dropped; "
        "refused: 2 forbidden, 1 internal"
    )
    assert second.endswith("refused: none")
    assert not [secret for secret in SECRETS if secret in f"{counters} {out.getvalue()}"]


def test_what_clients_give_away_is_counted_in_flows_and_bytes() -> None:
    counters = Counters()
    for port in (80, 80, 110, 443):
        one = flow()
        one.target = Endpoint("secret.example", port)
        counters.finished(one)
    assert counters.exposed == {Exposure.UNSCRUBBED: 2, Exposure.PLAINTEXT: 1}
    assert counters.unscrubbed == 2 * 2010
