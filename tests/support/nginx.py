"""nginx as an origin, in plain and behind TLS: files to download and a folder to upload to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.programs import free_port, serving

# What the gateway is told about where they are (`resolve.hosts`).
NAME = "origin.example"

_CONFIG = """
daemon off; master_process off; worker_processes 1;
pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  types {{ text/html html; text/css css; text/javascript js; image/png png; }}
  default_type application/octet-stream;
  log_format seen '$request_method $request_uri $status $http_user_agent';
  access_log {folder}/access.log seen;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 0; sendfile on; keepalive_timeout 60;
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    root {folder}/www;
    location /up/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
    location /login/ {{ auth_basic "files"; auth_basic_user_file {folder}/users; }}
    location /moved {{ return 302 /hello.txt; }}
    location /small/ {{ client_max_body_size 1k; dav_methods PUT; }}
  }}
}}
"""
HELLO = b"hello from the origin\n"


@dataclass(frozen=True)
class Nginx:
    folder: Path
    port: int
    tls_port: int

    @property
    def files(self) -> Path:
        return self.folder / "www"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def url(self) -> str:
        return f"http://{NAME}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://{NAME}:{self.tls_port}"

    def log(self) -> str:
        """A line for each request: method, URI, status, User-Agent."""
        return (self.folder / "access.log").read_text()


@contextmanager
def nginx(folder: Path) -> Iterator[Nginx]:
    """One that has `/hello.txt`, takes uploads below `/up/` and asks for alice:secret below `/login/`."""
    one = Nginx(folder, free_port(), free_port())
    (one.files / "login").mkdir(parents=True)
    (one.files / "up").mkdir()
    (one.files / "hello.txt").write_bytes(HELLO)
    (one.files / "login" / "hello.txt").write_bytes(HELLO)
    (folder / "users").write_text("alice:{PLAIN}secret\n")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(one.ca_file)
    ca.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    config = _CONFIG.format(folder=folder, plain=one.port, tls=one.tls_port)
    (folder / "nginx.conf").write_text(config)
    with serving(["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf"], one.port, folder):
        yield one
