"""curl, by every protocol that it knows, against nginx: what people type first."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import nginx, process
from tests.support.gateway import user
from tests.support.nginx import HELLO, Nginx
from tests.support.programs import output, run
from tests.support.raw_origin import OK, Origin, meanwhile
from tests.whole.conftest import SETTINGS

SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")
# The ways that differ within the gateway: a tunnel by SOCKS, one by CONNECT, and exchanges of plain HTTP.
WAYS = {"socks": ["-x", "socks5h://{}"], "connect": ["-p", "-x", "http://{}"], "plain": ["-x", "http://{}"]}


def curl(way: str, address: str, *arguments: str | Path) -> list[str | Path]:
    """Told nothing of itself (`-q`: no .curlrc), and of failures (`-f`)."""
    proxy: Sequence[str] = WAYS.get(way) or ["-x", f"{way}://{{}}"]
    return ["curl", "-qsSf", *(word.format(address) for word in proxy), *arguments]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_get(scheme: str, origin: Nginx, address: str, tmp_path: Path) -> None:
    # What resolves by itself gets an address: curl's own look-up must find the name.
    own_lookup = ["--resolve", f"{nginx.NAME}:{origin.port}:127.0.0.1"]
    assert output(curl(scheme, address, *own_lookup, f"{origin.url}/hello.txt"), tmp_path) == HELLO


@pytest.mark.parametrize("option", ["--socks4a", "--socks5-hostname", "--proxy"])
def test_the_options_of_the_manual(option: str, origin: Nginx, address: str, tmp_path: Path) -> None:
    assert output(["curl", "-qsSf", option, address, f"{origin.url}/hello.txt"], tmp_path) == HELLO


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tls(scheme: str, origin: Nginx, address: str, tmp_path: Path) -> None:
    own_lookup = ["--resolve", f"{nginx.NAME}:{origin.tls_port}:127.0.0.1"]
    command = curl(scheme, address, *own_lookup, "--cacert", origin.ca_file, f"{origin.tls_url}/hello.txt")
    assert output(command, tmp_path) == HELLO


@pytest.mark.parametrize("way", WAYS)
def test_several_urls_use_one_connection(way: str, origin: Nginx, address: str, tmp_path: Path) -> None:
    urls = [f"{origin.url}/hello.txt?{number}" for number in range(20)]
    seen = output(curl(way, address, "-w", "%{num_connects}\n", *urls), tmp_path)
    assert seen == (HELLO + b"1\n") + (HELLO + b"0\n") * 19


@pytest.mark.parametrize("way", WAYS)
def test_head(way: str, origin: Nginx, address: str, tmp_path: Path) -> None:
    # Twice on one connection: whoever waited for a body after the first would hang.
    url = f"{origin.url}/hello.txt"
    answer = output(curl(way, address, "-I", url, url), tmp_path)
    assert answer.count(b"\r\nContent-Length: %d\r\n" % len(HELLO)) == 2


@pytest.mark.parametrize("way", WAYS)
def test_ranges_and_resume(way: str, origin: Nginx, address: str, tmp_path: Path) -> None:
    content = os.urandom(1 << 20)
    (origin.files / "resume.bin").write_bytes(content)
    url = f"{origin.url}/resume.bin"
    assert output(curl(way, address, "-r", "1000-1999", url), tmp_path) == content[1000:2000]
    part = tmp_path / "part"
    part.write_bytes(content[:400_000])
    output(curl(way, address, "-C", "-", "-o", part, url), tmp_path)
    assert part.read_bytes() == content


@pytest.mark.parametrize("framing", [[], ["-H", "Transfer-Encoding: chunked"]], ids=["length", "chunked"])
@pytest.mark.parametrize("way", WAYS)
def test_upload(way: str, framing: list[str], origin: Nginx, address: str, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 64
    (tmp_path / "content").write_bytes(content)
    name = f"up/{way}-{len(framing)}"
    url = f"{origin.url}/{name}"
    output(curl(way, address, *framing, "-T", tmp_path / "content", url), tmp_path)
    stored = (origin.files / name).read_bytes()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()
    (origin.files / name).unlink()


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_upload_is_heard_of(way: str, origin: Nginx, address: str, tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(bytes(64 << 20))
    url = f"{origin.url}/small/x"
    command = curl(
        way, address, "-T", tmp_path / "content", "-w", "%{http_code}", "-o", tmp_path / "said", url
    )
    assert run(command, tmp_path).stdout == b"413"


def test_expect_is_answered_here(address: str, tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"c" * 2_000_000)
    # Ten minutes: without an interim answer, the test's own patience ends it.
    waits = ["-H", "Expect: 100-continue", "--expect100-timeout", "600"]
    with Origin() as raw:

        def answer() -> None:
            with raw.accept() as line:
                message = line.message()
                assert "expect" not in message.headers
                assert message.body == b"c" * 2_000_000
                line.send(OK)

        with meanwhile(answer):
            command = curl("plain", address, *waits, "-T", tmp_path / "content", f"http://{raw.authority}/")
            assert output(command, tmp_path) == b"ok"


def test_log_in_and_redirect_at_the_origin(origin: Nginx, address: str, tmp_path: Path) -> None:
    login = curl("plain", address, "-u", "alice:secret", f"{origin.url}/login/hello.txt")
    assert output(login, tmp_path) == HELLO
    assert run(curl("plain", address, f"{origin.url}/login/hello.txt"), tmp_path).returncode == 22
    assert output(curl("plain", address, "-L", f"{origin.url}/moved"), tmp_path) == HELLO


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
def test_a_name_that_nobody_knows(scheme: str, address: str, tmp_path: Path) -> None:
    done = run(curl(scheme, address, "http://nobody.internal/"), tmp_path)
    assert done.returncode in (22, 97), done.stderr
    assert done.stdout == b""


def test_proxy_user_is_a_label_and_stays_here(origin: Nginx, address: str, tmp_path: Path) -> None:
    with Origin() as raw:

        def answer() -> None:
            with raw.accept() as line:
                assert "alice" not in str(head := line.head())
                assert not [name for name in head.headers if name.startswith("proxy")]
                line.send(OK)

        for way in WAYS:
            with meanwhile(answer):
                command = curl(way, address, "--proxy-user", "alice:x", f"http://{raw.authority}/")
                assert output(command, tmp_path) == b"ok"


def test_the_origin_sees_a_persona(origin: Nginx, address: str, tmp_path: Path) -> None:
    output(curl("plain", address, "-A", "tell-tale/1.0", f"{origin.url}/hello.txt?persona"), tmp_path)
    (line,) = [line for line in origin.log().splitlines() if "?persona" in line]
    assert line.endswith(" curl/7.88.1")


def test_listeners_of_every_kind(origin: Nginx, tmp_path: Path) -> None:
    more = ["--listen", "[::1]:0", "--listen", f"unix:{tmp_path}/socket"]
    with process.gateway(tmp_path, *SETTINGS, arguments=more) as own:
        four, six, path = own.addresses
        assert six.startswith("[::1]:")
        for where in (four, six, f"localhost{path.removeprefix('unix:')}"):
            assert output(curl("socks5h", where, f"{origin.url}/hello.txt"), tmp_path) == HELLO
        for where in (four, six):
            assert output(curl("plain", where, f"{origin.url}/hello.txt"), tmp_path) == HELLO


@pytest.mark.parametrize("way", WAYS)
def test_users(way: str, origin: Nginx, tmp_path: Path) -> None:
    """None, wrong and right; what the origin asks for itself is another matter, and passes."""
    refused = 97 if way == "socks" else 22  # curl's words for a SOCKS failure, and for a status like 407
    with process.gateway(tmp_path, *SETTINGS, user("alice", "right")) as own:
        login = ["-u", "alice:secret", f"{origin.url}/login/hello.txt"]
        for words in ([], ["--proxy-user", "alice:wrong"], ["--proxy-user", "bob:right"]):
            assert run(curl(way, own.addresses[0], *words, *login), tmp_path).returncode == refused
        for _ in range(2):
            right = curl(way, own.addresses[0], "--proxy-user", "alice:right", *login)
            assert output(right, tmp_path) == HELLO
        four = curl("socks4a", own.addresses[0], "--proxy-user", "alice:right", *login)
        assert run(four, tmp_path).returncode == 97
