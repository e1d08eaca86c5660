"""A web site for browsers: pages with sub-resources and a WebSocket, and a memory of every request.

A page's script reports what came of it by fetching a path, so a test waits for the report and for no time.
"""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.support.programs import PATIENCE

_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class Seen(NamedTuple):
    path: str
    headers: dict[str, str]  # lower-case names


class Site(ThreadingHTTPServer):
    """`pages`: a path to its media type and content."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pages: dict[str, tuple[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.seen: list[Seen] = []
        self._changed = threading.Condition()

    def saw(self, one: Seen) -> None:
        with self._changed:
            self.seen.append(one)
            self._changed.notify_all()

    def wait_for(self, start: str) -> Seen:
        """The first request whose path begins so, once it has come."""

        def found() -> Seen | None:
            return next((one for one in self.seen if one.path.startswith(start)), None)

        with self._changed:
            self._changed.wait_for(found, PATIENCE)
        one = found()
        assert one is not None, f"{start} was not asked for, but {[seen.path for seen in self.seen]}"
        return one


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: Site

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.saw(Seen(self.path, headers))
        if headers.get("upgrade", "").lower() == "websocket":
            self._echo(headers["sec-websocket-key"])
            return
        media_type, content = self.server.pages.get(self.path, ("text/plain", b"nothing here"))
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _echo(self, key: str) -> None:
        """RFC 6455: accept, then send the one short text message back, unmasked."""
        digest = hashlib.sha1(key.encode() + _WEBSOCKET_GUID, usedforsecurity=False).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        length = self.rfile.read(2)[1] & 0x7F
        mask, masked = self.rfile.read(4), self.rfile.read(length)
        text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
        self.wfile.write(bytes((0x81, length)) + text)
        self.rfile.read()  # until the client closes
        self.close_connection = True


@contextmanager
def site(pages: dict[str, tuple[str, bytes]]) -> Iterator[Site]:
    with Site(pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
