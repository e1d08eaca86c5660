"""The personas against what the installed programs really send over plain HTTP.

A program's own request must come out of the scrubber as it went in, but for the platform in Firefox's
User-Agent: then its record here is the record of that program, in value, order and case.

Firefox is sent to a name that is not loopback, through a small SOCKS server that is also the origin: for
127.0.0.1 and localhost it behaves as if the connection were secure (`br`, Sec-Fetch-*). A newer program than
the one that a record is pinned to fails here, and that is what this file is for: capture again, then change
`anongw/web/persona.py`.
"""

import contextlib
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anongw.address import Endpoint
from anongw.web import persona, scrub
from anongw.web.rules import Rules
from anongw.wire.http1 import NO_BODY, Framing, Headers, Kind

SECONDS = 60  # for a browser to start and load one page; it takes about 7
NAME = "persona.example"
PAGE = b"""<!doctype html><title>t</title><link rel=icon href=data:,>
<link rel=stylesheet href=/style><img src=/image><script src=/script></script>
<form method=post action=/form><input name=a value=b></form>
<script>
document.cookie = "a=b";
onload = async () => {
  await fetch("/fetch");
  const xhr = new XMLHttpRequest();
  xhr.open("GET", "/xhr");
  xhr.onloadend = () => {
    const ws = new WebSocket("ws://" + location.host + "/ws", "chat");
    ws.onerror = () => document.forms[0].submit();
  };
  xhr.send();
};
</script>"""
TYPES = {b"/style": b"text/css", b"/script": b"text/javascript", b"/image": b"image/svg+xml"}
BODIES = {
    b"/": PAGE,
    b"/style": b"p { color: red }",
    b"/script": b"1",
    b"/image": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
}


class Recorder:
    """An origin that remembers every head, word for word; spoken to directly or as a SOCKS5 server."""

    def __init__(self) -> None:
        self.heads: dict[bytes, bytes] = {}  # path -> the first head for it
        self.heard = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def wait_for(self, path: bytes) -> bool:
        with self.heard:
            return self.heard.wait_for(lambda: path in self.heads, SECONDS)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # the other side was first
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:  # no more are added
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            try:
                if connection.recv(1, socket.MSG_PEEK) == b"\x05":
                    reader.read(2 + reader.peek(2)[1])
                    connection.sendall(b"\x05\x00")
                    reader.read(4)
                    reader.read(reader.read(1)[0] + 2)  # a name, by `socks_remote_dns`
                    connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
                while head := self._head(reader.readline):
                    self._answer(connection, head, reader.read)
            except (OSError, IndexError):
                pass  # gone

    @staticmethod
    def _head(line: Callable[[], bytes]) -> bytes:
        head = b""
        while (read := line()).strip():
            head += read
        return head

    def _answer(self, connection: socket.socket, head: bytes, read: Callable[[int], bytes]) -> None:
        path = head.split(b" ")[1]
        if length := re.search(rb"(?i)\ncontent-length: (\d+)", head):
            read(int(length[1]))
        body = BODIES.get(path, b"ok")
        kind = TYPES.get(path, b"text/html")
        # A body to the end of the connection would keep its thread; chunked uploads are not read, so close.
        last = b"Connection: close\r\n" if b"chunked" in head or path == b"/ws" else b""
        with self.heard:
            self.heads.setdefault(path, head)
            self.heard.notify_all()
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b"
            % (kind, len(body), last, body)
        )
        if last:
            connection.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


def read_head(head: bytes) -> tuple[bytes, Headers]:
    """The method and the lines of a recorded head."""
    first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    parts = [line.split(b": ", 1) for line in lines]
    return first.split(b" ")[0], [(name, value) for name, value in parts]


def through_the_scrubber(method: bytes, lines: Headers, origin: Endpoint) -> Headers:
    values = {name.lower(): value for name, value in lines}
    framing = NO_BODY
    if b"content-length" in values:
        framing = Framing(Kind.LENGTH, int(values[b"content-length"]))
    if b"transfer-encoding" in values:
        framing = Framing(Kind.CHUNKED)
    about = scrub.Outgoing(method, origin, framing, websocket=b"upgrade" in values)
    return scrub.request(lines, about, Rules()).headers


# --- Firefox

PREFERENCES = {
    "network.proxy.type": 1,
    "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_remote_dns": True,
    "intl.locale.requested": "en-US",
    # A plain http:// address stays one, and the browser has no errands of its own.
    "dom.security.https_first": False,
    "dom.security.https_first_schemeless": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.region.update.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "",
    "toolkit.telemetry.server": "",
}


@pytest.fixture(scope="module")
def firefox(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, bytes]:
    """What Firefox ESR sends, by path."""
    program = shutil.which("firefox-esr")
    if not program:
        pytest.skip("firefox-esr is not installed")
    profile = tmp_path_factory.mktemp("profile")
    preferences = PREFERENCES | {"network.proxy.socks_port": recorder.port}
    text = "".join(
        f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in preferences.items()
    )
    Path(profile, "user.js").write_text(text, "utf-8")
    process = subprocess.Popen(
        [program, "--headless", "--no-remote", "--profile", str(profile), f"http://{NAME}/"],
        env={**os.environ, "HOME": str(profile), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert recorder.wait_for(b"/form"), f"the page was not done in {SECONDS} s: {sorted(recorder.heads)}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: the browser and its content processes
        process.wait()
    return recorder.heads


def windows(lines: Headers) -> Headers:
    """The same lines as Firefox on Windows sends them."""
    return [
        (
            name,
            re.sub(rb"\(.*?; rv:", b"(Windows NT 10.0; Win64; x64; rv:", value)
            if name == b"User-Agent"
            else value,
        )
        for name, value in lines
    ]


@pytest.mark.parametrize("path", [b"/", b"/style", b"/image", b"/script", b"/xhr", b"/ws", b"/form"])
def test_a_request_of_firefox_is_the_browser_record(firefox: dict[bytes, bytes], path: bytes) -> None:
    method, lines = read_head(firefox[path])
    out = through_the_scrubber(method, lines, Endpoint(NAME, 80))
    if path == b"/image":  # its urgency depends on where it stands on the page
        urgency = dict(lines)[b"Priority"]
        assert re.fullmatch(rb"u=[456](, i)?", urgency)
        out = [(name, urgency if name == b"Priority" else value) for name, value in out]
    assert out == windows(lines)


def test_fetch_differs_from_the_record_as_written_there(firefox: dict[bytes, bytes]) -> None:
    method, lines = read_head(firefox[b"/fetch"])
    out = through_the_scrubber(method, lines, Endpoint(NAME, 80))
    assert dict(out) | {b"Priority": b"u=4"} == dict(windows(lines))


@pytest.mark.parametrize(
    ("path", "record"),
    [
        (b"/", persona.BROWSER.page),
        (b"/image", persona.BROWSER.image),
        (b"/style", persona.BROWSER.style),
        (b"/fetch", persona.BROWSER.anything),
        (b"/xhr", persona.BROWSER.anything),
    ],
)
def test_accept_is_pinned_for_each_class(
    firefox: dict[bytes, bytes], path: bytes, record: persona.Lines
) -> None:
    assert dict(read_head(firefox[path])[1])[b"Accept"] == record[b"accept"]


# --- curl


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-H", "Accept: application/json"],
        ["-d", "a=b"],
        ["-F", "a=b"],
        ["-I"],
        ["-r", "0-1"],
        ["-u", "a:b", "-b", "c=d", "-e", "{url}"],
        ["-u", "a:b", "-b", "c=d", "-e", "{url}", "-r", "2-", "-d", "x"],
        ["-T", "-"],
    ],
    ids=" ".join,
)
def test_a_request_of_curl_is_the_tool_record(recorder: Recorder, arguments: list[str]) -> None:
    program = shutil.which("curl")
    if not program:
        pytest.skip("curl is not installed")
    recorder.heads.pop(b"/curl", None)
    url = f"http://127.0.0.1:{recorder.port}/curl"
    filled = [argument.format(url=url) for argument in arguments]
    subprocess.run(
        [program, "-q", "-s", "--noproxy", "*", "-m", "10", *filled, url],
        input=b"x",
        stdout=subprocess.DEVNULL,
        check=False,  # the answer does not matter
        timeout=SECONDS,
    )
    method, lines = read_head(recorder.heads[b"/curl"])
    # Expect is the gateway's to answer.
    lines = [line for line in lines if line[0] != b"Expect"]
    origin = Endpoint(ipaddress.IPv4Address("127.0.0.1"), recorder.port)
    assert through_the_scrubber(method, lines, origin) == lines
