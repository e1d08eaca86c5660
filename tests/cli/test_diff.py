"""`anongw diff` as a person types it: what it reads, what it shows, what it refuses and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from anongw.cli import main

REQUEST = (
    b"GET http://example.org/a HTTP/1.1\r\nHost: example.org\r\nUser-Agent: me/1.0\r\nCookie: a=b\r\n\r\n"
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAlt-Svc: h3\r\nETag: x\r\n\r\nok"


def invoke(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["diff", *arguments], input=stdin)


def told(*arguments: str, stdin: bytes = b"") -> list[tuple[str, list[str], str | None]]:
    found = invoke(*arguments, "--json", stdin=stdin)
    assert found.exit_code == 0, found.stderr
    fields: dict[str, Any] = json.loads(found.stdout)
    assert list(fields) == ["refused", "lines"]
    assert fields["refused"] is None
    assert all(list(line) == ["mark", "received", "sent", "why"] for line in fields["lines"])
    return [(line["mark"], line["received"], line["sent"]) for line in fields["lines"]]


FIRST = ("set", ["GET http://example.org/a HTTP/1.1"], "GET /a HTTP/1.1")
HOST = ("kept", ["Host: example.org"], "Host: example.org")
AGENT = ("set", ["User-Agent: me/1.0"], "User-Agent: curl/7.88.1")
TYPE: tuple[str, list[str], str] = ("set", [], "Accept: */*")
COOKIE = ("kept", ["Cookie: a=b"], "Cookie: a=b")


def test_help_says_what_it_is_for() -> None:
    found = invoke("--help")
    assert found.exit_code == 0
    assert "\\b" not in found.output
    for option in (
        "--method",
        "-X",
        "--header",
        "-H",
        "--response",
        "--url",
        "--identity",
        "--json",
        "--config",
        "--profile",
    ):
        assert option in found.output


def test_it_is_shown_side_by_side_with_reasons() -> None:
    found = invoke(stdin=REQUEST)
    assert found.exit_code == 0
    assert found.stderr == ""
    lines = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert lines[0] == "received sent why"
    assert "User-Agent: me/1.0 set User-Agent: curl/7.88.1 the persona's record: curl" in lines


@pytest.mark.parametrize(
    "by", ["standard input", "-", "file", "an editor's file", "an editor's file, no end"]
)
def test_a_request_from_wherever_it_is(by: str, tmp_path: Path) -> None:
    wanted = [FIRST, HOST, AGENT, TYPE, COOKIE]
    if by == "standard input":
        assert told(stdin=REQUEST) == wanted
        return
    if by == "-":
        assert told("-", stdin=REQUEST) == wanted
        return
    data = REQUEST if by == "file" else REQUEST.replace(b"\r", b"")
    file = tmp_path / "request.txt"
    file.write_bytes(data.rstrip(b"\n") if by.endswith("no end") else data)
    assert told(str(file)) == wanted


def test_a_body_is_nobodys_business() -> None:
    data = b"POST http://example.org/a HTTP/1.1\nHost: x\nContent-Length: 5\n\na\n\nb\n"
    assert ("kept", ["Content-Length: 5"], "Content-Length: 5") in told(stdin=data)


def test_a_request_by_arguments() -> None:
    arguments = ("http://example.org/a", "-H", "User-Agent: me/1.0", "--header", "Cookie: a=b")
    assert told(*arguments) == [FIRST, HOST, AGENT, TYPE, COOKIE]
    assert told(*arguments, "-X", "PUT")[0] == (
        "set",
        ["PUT http://example.org/a HTTP/1.1"],
        "PUT /a HTTP/1.1",
    )
    other = told("http://example.org:8080/a?b", "-H", "host: c")
    assert other[:2] == [
        ("set", ["GET http://example.org:8080/a?b HTTP/1.1"], "GET /a?b HTTP/1.1"),
        ("set", ["host: c"], "Host: example.org:8080"),
    ]


@pytest.mark.parametrize(
    ("arguments", "agent"),
    [
        ((), "curl/7.88.1"),
        (("--identity", "alice"), "Mozilla/5.0 (Windows"),
        (("-H", "Proxy-Authorization: Basic YWxpY2U6"), "Mozilla/5.0 (Windows"),
        (("--identity", "bob", "-H", "Proxy-Authorization: Basic YWxpY2U6"), "curl/7.88.1"),
    ],
)
def test_whose_request_it_is(arguments: tuple[str, ...], agent: str) -> None:
    found = invoke("http://example.org/", "--set", "identities.alice.persona=browser", *arguments)
    assert f"User-Agent: {agent}" in found.output


def test_the_config_counts(tmp_path: Path) -> None:
    arguments = ("http://example.org/a", "-H", "Cookie: a=b")
    assert ("dropped", ["Cookie: a=b"], None) in told(*arguments, "--profile", "strict")
    config = tmp_path / "a.toml"
    config.write_text('[[scrub.rules]]\nhost = "example.org"\nset = { "X-Mine" = "1" }\n')
    assert ("set", [], "X-Mine: 1") in told(*arguments, "--config", str(config))
    assert ("set", [], "X-Mine: 1") not in told("http://other.example/", "--config", str(config))


def test_an_answer(tmp_path: Path) -> None:
    wanted = [
        ("kept", ["HTTP/1.1 200 OK"], "HTTP/1.1 200 OK"),
        ("dropped", ["Alt-Svc: h3"], None),
        ("kept", ["ETag: x"], "ETag: x"),
        ("kept", ["Content-Length: 2"], "Content-Length: 2"),
    ]
    assert told("--response", stdin=ANSWER) == wanted
    rule = ("--set", 'scrub.rules=[{host="example.org", drop=["ETag"]}]')
    assert told("--response", *rule, stdin=ANSWER) == wanted
    ruled = told("--response", "--url", "http://example.org/", *rule, stdin=ANSWER)
    assert ruled[2] == ("dropped", ["ETag: x"], None)
    by_arguments = told("http://example.org/", "--response", *rule, "-H", "ETag: x", "-H", "Server: y")
    assert by_arguments[1:] == [
        ("dropped", ["ETag: x"], None),
        ("kept", ["Server: y"], "Server: y"),
        ("set", [], "Transfer-Encoding: chunked"),
    ]
    # The answer to a HEAD has the length of what it has not.
    head = told("--response", "-X", "HEAD", stdin=ANSWER.removesuffix(b"ok"))
    assert head[-1] == ("kept", ["Content-Length: 2"], "Content-Length: 2")
    switched = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    assert ("kept", ["Upgrade: websocket"], "Upgrade: websocket") in told("--response", stdin=switched)


GET = b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"


@pytest.mark.parametrize(
    ("data", "options", "words", "status"),
    [
        (GET + b"A b: c\r\n\r\n", (), "this request: malformed (", 400),
        (GET + b"Host: b\r\n\r\n", (), "this request: malformed (Host)", 400),
        (GET + b"Content-Type: a\r\nContent-Type: b\r\n\r\n", (), "malformed (two values", 400),
        (GET + b"X-A: b\n\r\n", (), "this request: malformed (bare LF)", 400),
        (GET, (), "malformed (it ends in the middle of its head)", 400),
        (GET + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", (), "malformed", 400),
        (GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n", (), "unsupported-encoding", 501),
        (GET + b"Destination: http://b.test/\r\n\r\n", (), "forbidden (a Destination on another", 403),
        (GET + b"Proxy-Authorization: Digest a\r\n\r\n", (), "auth-failed (not Basic)", 407),
        (GET + b"X-A: b\r\n" * 101 + b"\r\n", (), "too-large (more than 100 header lines)", 431),
        (
            GET + b"X-A: b\r\n\r\n",
            ("--set", "limits.header_bytes=40"),
            "too-large (a head over 40 bytes)",
            431,
        ),
        (b"TRACE http://a.test/ HTTP/1.1\r\nHost: a\r\n\r\n", (), "unsupported-command", 501),
        (b"GET https://a.test/ HTTP/1.1\r\nHost: a\r\n\r\n", (), "unsupported-protocol", 501),
        (b"CONNECT a.test HTTP/1.1\r\nHost: a\r\n\r\n", (), "malformed", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", (), "malformed", 400),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", (), "probe; its client is answered by silence", None),
        (b"HTTP/1.1 407 Who\r\n\r\n", ("--response",), "this answer: upstream-malformed (a far 407)", 502),
        (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", ("--response",), "this answer: upstream-malformed", 502),
        (b"nonsense\r\n\r\n", ("--response",), "this answer: upstream-malformed (status line)", 502),
    ],
)
def test_what_the_gateway_refuses_is_refused(
    data: bytes, options: tuple[str, ...], words: str, status: int | None
) -> None:
    found = invoke(*options, stdin=data)
    assert found.exit_code == 1
    assert found.stdout == ""
    assert words in found.stderr
    assert found.stderr.startswith("anongw: the gateway refuses this ")
    assert status is None or f"answered with {status}" in found.stderr
    fields = json.loads(invoke(*options, "--json", stdin=data).stdout)
    assert fields["lines"] == []
    assert list(fields["refused"]) == ["reason", "detail", "status"]
    assert fields["refused"]["status"] == status
    assert fields["refused"]["reason"] in found.stderr


@pytest.mark.parametrize(
    ("arguments", "data", "words"),
    [
        ((), b"", "there is nothing to read"),
        ((), b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", "CONNECT makes a tunnel"),
        ((), b"a" * ((1 << 20) + 1), "is longer than 1048576 bytes"),
        (("/nowhere",), b"", "/nowhere: cannot be read: No such file or directory"),
        (("/",), b"", "/: cannot be read: Is a directory"),
        (("-H", "A: b"), GET, "-H is for a URL"),
        (("-X", "PUT"), GET, "-X is for a URL"),
        (("--url", "http://a.test/"), GET, "--url is for an answer in a file"),
        (
            ("http://a.test/", "--response", "--url", "http://b.test/"),
            b"",
            "--url is for an answer in a file",
        ),
        (("--response", "--url", "https://a.test/"), ANSWER, "only what is asked for as http://HOST/"),
        (("--profile", "none"), GET, "scrub.profile"),
    ],
)
def test_what_makes_no_sense_ends_with_2(arguments: tuple[str, ...], data: bytes, words: str) -> None:
    found = invoke(*arguments, stdin=data)
    assert found.exit_code == 2
    assert words in found.stderr
    assert found.stdout == ""
