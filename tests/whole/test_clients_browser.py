"""Chromium and Firefox, by SOCKS and by HTTP: a page, what belongs to it, fetch and WebSocket."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support import asks
from tests.support.nginx import NAME
from tests.support.process import Gateway
from tests.support.programs import started
from tests.support.raw_origin import Line
from tests.support.site import Site, site

Browser = Callable[[str, str, str, Path], AbstractContextManager[None]]

_PIXEL = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA=")
_PAGE = b"""<!doctype html><title>t</title><link rel=stylesheet href=/style.css><img src=/image.gif>
<p>a page</p><script src=/script.js></script>"""
# Told once everything is there: how large the image is, what the style made, what fetch and WebSocket heard.
_SCRIPT = b"""
addEventListener("load", async () => {
  const fetched = await (await fetch("/data.json", {headers: {"X-Requested-With": "x"}})).json();
  const socket = new WebSocket(`ws://${location.host}/socket`);
  socket.onopen = () => socket.send("over the socket");
  socket.onmessage = (message) => fetch("/told?" + new URLSearchParams({
    image: document.images[0].naturalWidth, style: getComputedStyle(document.body).marginTop,
    fetched: fetched.word, socket: message.data, seen: navigator.userAgent}));
});
"""
PAGES = {
    "/": ("text/html", _PAGE),
    "/style.css": ("text/css", b"body { margin-top: 33px; background: url(/background.gif) }"),
    "/script.js": ("text/javascript", _SCRIPT),
    "/image.gif": ("image/gif", _PIXEL),
    "/background.gif": ("image/gif", _PIXEL),
    "/data.json": ("application/json", b'{"word": "fetched"}'),
}
TOLD = "image=1&style=33px&fetched=fetched&socket=over+the+socket"


@pytest.fixture
def pages() -> Iterator[Site]:
    with site(PAGES) as one:
        yield one


@contextmanager
def chromium(scheme: str, address: str, url: str, folder: Path) -> Iterator[None]:
    """One that has been told to open the page; without `<-loopback>` it would go there directly."""
    switches = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]
    switches += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={folder}/p",
    ]
    switches += [f"--proxy-server={scheme}://{address}", "--proxy-bypass-list=<-loopback>"]
    with started(["chromium", *switches, url], folder, folder / "chromium.log"):
        yield


@contextmanager
def firefox(scheme: str, address: str, url: str, folder: Path) -> Iterator[None]:
    """As the README says to set it: SOCKS v5 with the names resolved by the proxy, or HTTP for everything."""
    host, _, port = address.rpartition(":")
    kinds = ("http", "ssl") if scheme == "http" else ("socks",)
    settings: dict[str, object] = {"network.proxy.type": 1, "network.proxy.socks_remote_dns": True}
    settings |= {f"network.proxy.{kind}": host for kind in kinds}
    settings |= {f"network.proxy.{kind}_port": int(port) for kind in kinds}
    profile = folder / "profile"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command: list[str | Path] = ["firefox-esr", "--headless", "--no-remote", "--profile", profile, url]
    with started(command, folder, folder / "firefox.log"):
        yield


@pytest.mark.parametrize("browser", [chromium, firefox])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_page_and_all_that_belongs_to_it(
    scheme: str, browser: Browser, pages: Site, address: str, tmp_path: Path
) -> None:
    # The gateway alone knows the name, so whoever arrives came by it.
    with browser(scheme, address, f"http://{NAME}:{pages.server_port}/", tmp_path):
        told = pages.wait_for("/told?")
    assert TOLD in told.path
    assert {seen.path for seen in pages.seen} >= {*PAGES, "/socket"}
    assert {seen.headers["host"] for seen in pages.seen} == {f"{NAME}:{pages.server_port}"}
    if scheme == "http":
        # Scrubbed, all but the WebSocket: that goes by CONNECT, and nothing inside a tunnel is touched.
        for seen in pages.seen:
            if seen.path != "/socket":
                assert "Chrome" not in str(seen.headers), seen
                assert "Firefox" in seen.headers["user-agent"]
                assert not [name for name in seen.headers if name.startswith(("sec-ch", "proxy"))]


def test_a_websocket_by_plain_http(own: Gateway, pages: Site) -> None:
    """RFC 6455 §1.2's handshake in absolute form, then frames both ways, one of them sent early."""
    frame = bytes((0x81, 0x85)) + bytes(4) + b"hello"  # a mask of zeros
    upgrade = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13")
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    with Line(asks.dial(own.where)) as client:
        client.send(asks.get(NAME, pages.server_port, *upgrade, key, path="/socket") + frame)
        head = client.head()
        assert head.status == 101
        assert head.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3
        assert client.exactly(7) == b"\x81\x05hello"
        client.last()
        assert client.rest() == b""
