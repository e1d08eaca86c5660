"""Python's requests and httpx, and wget: by HTTP and by SOCKS, to plain and TLS origins."""

import io
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests

from tests.support.nginx import HELLO, Nginx
from tests.support.programs import PATIENCE, output, run

SCHEMES = ("http", "socks5h")
CONTENT = os.urandom(1 << 20) * 4


@pytest.fixture(params=SCHEMES)
def proxy(request: pytest.FixtureRequest, address: str) -> str:
    return f"{request.param}://{address}"


@pytest.fixture
def session(proxy: str, origin: Nginx) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.proxies = {"http": proxy, "https": proxy}
        session.verify = str(origin.ca_file)
        session.trust_env = False
        yield session


@pytest.fixture
def client(proxy: str, origin: Nginx) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=origin.ca_file)
    with httpx.Client(proxy=proxy, verify=context, trust_env=False, timeout=PATIENCE) as client:
        yield client


def pieces() -> Iterator[bytes]:
    """A body of unknown length goes in chunks."""
    stream = io.BytesIO(CONTENT)
    while piece := stream.read(100_000):
        yield piece


def test_requests(session: requests.Session, origin: Nginx) -> None:
    for url in (origin.url, origin.tls_url):
        for _ in range(3):  # kept connections
            assert session.get(f"{url}/hello.txt", timeout=PATIENCE).content == HELLO
        assert session.head(f"{url}/hello.txt", timeout=PATIENCE).headers["Content-Length"] == str(len(HELLO))
        assert session.get(f"{url}/absent", timeout=PATIENCE).status_code == 404
    for name, body in (("length", CONTENT), ("chunked", pieces())):
        url = f"{origin.url}/up/requests-{name}"
        assert session.put(url, data=body, timeout=PATIENCE).status_code in (201, 204)
        assert session.get(url, timeout=PATIENCE).content == CONTENT


def test_httpx(client: httpx.Client, origin: Nginx) -> None:
    for url in (origin.url, origin.tls_url):
        for _ in range(3):
            assert client.get(f"{url}/hello.txt").content == HELLO
        assert client.head(f"{url}/hello.txt").headers["Content-Length"] == str(len(HELLO))
        assert client.get(f"{url}/absent").status_code == 404
    for name, body in (("length", CONTENT), ("chunked", pieces())):
        url = f"{origin.url}/up/httpx-{name}"
        assert client.put(url, content=body).status_code in (201, 204)
        assert client.get(url).content == CONTENT


async def test_httpx_async(address: str, origin: Nginx) -> None:
    async with httpx.AsyncClient(proxy=f"http://{address}", trust_env=False, timeout=PATIENCE) as client:
        assert (await client.get(f"{origin.url}/hello.txt")).content == HELLO


def test_wget(address: str, origin: Nginx, tmp_path: Path) -> None:
    proxies = [
        "-e",
        f"http_proxy={address}",
        "-e",
        f"https_proxy={address}",
        f"--ca-certificate={origin.ca_file}",
    ]
    for url in (origin.url, origin.tls_url):
        assert output(["wget", "-q", "-O", "-", *proxies, f"{url}/hello.txt"], tmp_path) == HELLO
    assert run(["wget", "-q", *proxies, f"{origin.url}/absent"], tmp_path).returncode == 8
    mirrored = ["wget", "-q", *proxies, "-c", "-O", "resumed", f"{origin.url}/hello.txt"]
    (tmp_path / "resumed").write_bytes(HELLO[:5])
    output(mirrored, tmp_path)
    assert (tmp_path / "resumed").read_bytes() == HELLO
