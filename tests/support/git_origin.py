"""git's own HTTP server program behind Python's: clone, fetch and push, with whatever framing git chooses."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.support.programs import PATIENCE, found, run

_CHUNK_LINE_MOST: Final = 1024


class GitServer(ThreadingHTTPServer):
    """Serves the bare repositories below `folder`. `seen`: the head of each request."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.seen: list[dict[str, str]] = []
        self.git = found("git")


class _Handler(BaseHTTPRequestHandler):
    """RFC 3875, as much of it as `git http-backend` wants."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server: GitServer

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        self._backend(b"")

    def do_POST(self) -> None:
        self._backend(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = bytearray()
        while size := int(self.rfile.readline(_CHUNK_LINE_MOST), 16):
            body += self.rfile.read(size)
            self.rfile.readline(_CHUNK_LINE_MOST)
        self.rfile.readline(_CHUNK_LINE_MOST)
        return bytes(body)

    def _backend(self, body: bytes) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        url = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.server.folder),
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "somebody",  # without one a push is refused
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            [self.server.git, "http-backend"],
            input=body,
            env=environment,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    with GitServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def repository(folder: Path, *, branches: int) -> Path:
    """A bare repository `repo.git`; many branches make a client's wants long enough to be compressed."""
    work = folder / "work"
    work.mkdir()
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main"]
    script = "\n".join(f"git {' '.join(identity)} {line}" for line in _history(branches))
    (work / "payload").write_bytes(os.urandom(3 << 20))
    done = run(["sh", "-ec", script], work)
    assert done.returncode == 0, done.stderr.decode()
    bare = folder / "repo.git"
    done = run(["git", "clone", "-q", "--bare", work, bare], work)
    assert done.returncode == 0, done.stderr.decode()
    return bare


def _history(branches: int) -> Iterator[str]:
    yield "init -q"
    yield "add payload"
    yield "commit -q -m payload"
    for number in range(branches):
        yield f"checkout -q -b branch-{number} main"
        yield f"commit -q --allow-empty -m {number}"
    yield "checkout -q main"
