"""The real proxies that chains are tried with, each alone: what they do is theirs, and not anongw's doing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.support import asks, upstreams
from tests.support.outside import BODY, Origin, listening
from tests.support.programs import output, run
from tests.support.raw_origin import Line
from tests.support.upstreams import PASSWORD, USER, Upstream

NAME = "origin.example"
NAMES = {NAME: "127.0.0.9"}
# curl's statuses: SOCKS failed, and an answer to CONNECT that is no success.
REFUSED = {"socks5": 97, "http": 22, "https": 22}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin(listening("127.0.0.9")) as one:
        yield one


def curl(proxy: str, host: str, origin: Origin, *words: str | Path) -> Sequence[str | Path]:
    """Through a tunnel (`-p`), with the name left to the proxy."""
    proxy = proxy.replace("socks5://", "socks5h://")
    return ["curl", "-qsSf", "-p", "-x", proxy, *words, f"http://{host}:{origin.port}/"]


def is_a_hop(upstream: Upstream, origin: Origin, folder: Path, *words: str | Path) -> None:
    """It carries addresses and names, for those who may."""
    for host in ("127.0.0.9", NAME):
        assert output(curl(upstream.url, host, origin, *words), folder) == BODY
    if upstream.user:
        wrong = upstream.known_to(USER, "wrong").url
        for proxy in (upstream.bare, wrong):
            done = run(curl(proxy, NAME, origin, *words), folder)
            assert done.returncode == REFUSED[upstream.scheme], done.stderr


def logging_in(upstream: Upstream, user: bytes, password: bytes) -> Line:
    """A SOCKS5 client that has offered its login alone, and said it when it was asked."""
    line = Line(asks.dial(upstream.place))
    said = asks.socks5_login(user, password)
    line.send(said[:3])
    assert line.exactly(2) == b"\x05\x02"
    line.send(said[3:])
    return line


@pytest.mark.parametrize(
    "upstream",
    [
        partial(upstreams.microsocks, NAMES),
        partial(upstreams.microsocks, NAMES, login=True),
        partial(upstreams.dante, NAMES),
        partial(upstreams.dante, NAMES, login=True),
        partial(upstreams.tinyproxy, NAMES),
        partial(upstreams.tinyproxy, NAMES, login=True),
        partial(upstreams.privoxy, NAMES),
    ],
    ids=["microsocks", "microsocks-login", "dante", "dante-login", "tinyproxy", "tinyproxy-login", "privoxy"],
)
def test_hop(
    upstream: Callable[[], AbstractContextManager[Upstream]], origin: Origin, tmp_path: Path
) -> None:
    with upstream() as one:
        is_a_hop(one, origin, tmp_path)
    assert run(curl(one.url, NAME, origin), tmp_path).returncode == 7, "it has ended"


@pytest.mark.parametrize("login", [False, True])
def test_squid(origin: Origin, tmp_path: Path, *, login: bool) -> None:
    with upstreams.squid(NAMES, login=login) as one:
        is_a_hop(one.plain, origin, tmp_path)
        is_a_hop(one.tls, origin, tmp_path, "--proxy-cacert", one.ca_file)
        unknown = run(curl(one.tls.url, NAME, origin), tmp_path)
        assert unknown.returncode == 60, "its certificate is its own"
        assert list(Path("/dev/shm").glob(f"anongw{one.plain.port}-*")), "its name there is known"
    assert not list(Path("/dev/shm").glob(f"anongw{one.plain.port}-*"))


def test_several_squids(origin: Origin, tmp_path: Path) -> None:
    with upstreams.squid(NAMES) as one, upstreams.squid(NAMES) as other:
        for squid in (one, other):
            assert output(curl(squid.plain.url, NAME, origin), tmp_path) == BODY


@pytest.mark.parametrize("scheme", ["socks5", "socks4a"])
def test_ssh(scheme: str, origin: Origin, tmp_path: Path) -> None:
    with upstreams.ssh(NAMES) as one:
        for host in ("127.0.0.9", NAME):
            proxy = f"{scheme}://{one.where}"
            assert output(curl(proxy, host, origin), tmp_path) == BODY


def test_dante_speaks_socks4(origin: Origin, tmp_path: Path) -> None:
    with upstreams.dante(NAMES) as one:
        assert output(curl(f"socks4://{one.where}", "127.0.0.9", origin), tmp_path) == BODY


def test_tor_tells_streams_apart() -> None:
    """By what a client says of itself, in each of the ways that it knows."""
    with upstreams.tor() as tor:
        # A refusal of an address of its own machine comes without a circuit.
        for token in (b"one", b"other"):
            with logging_in(tor.socks, b"<torS0X>0", token) as line:
                assert line.exactly(2) == b"\x01\x00"
                line.send(asks.socks5_request("127.0.0.9", 80))
                assert line.rest() == asks.socks5_reply(1)
            stream = tor.stream()
            assert stream["target"] == "127.0.0.9:80"
            assert (stream["SOCKS_USERNAME"], stream["SOCKS_PASSWORD"]) == ("<torS0X>0", token.decode())
            assert "SOCKS_PASSWORD" in stream["ISO_FIELDS"].split(",")
        heard = asks.exchange(tor.socks.place, asks.socks5("127.0.0.9", 80))
        assert heard == b"\x05\x00" + asks.socks5_reply(1)
        assert "SOCKS_PASSWORD" not in tor.stream()
        for field in (b"Tor-Stream-Isolation: one", b"Proxy-Authorization: Basic dG9yLWlzbzpvbmU="):
            heard = asks.exchange(tor.http.place, asks.connect("127.0.0.9", 80, field))
            assert heard.startswith(b"HTTP/1.0 500 ")
            assert b"\r\nTor-Request-Failed: c-tor/PRIVATE_ADDR\r\n" in heard
            stream = tor.stream()
            assert stream["CLIENT_PROTOCOL"] == "HTTPCONNECT"
            said = stream.get("SOCKS_USERNAME", "") + stream.get("SOCKS_PASSWORD", "")
            assert said in (r"one\001\377\001\377", "Basic dG9yLWlzbzpvbmU=")


def test_tor_refuses_a_name_soon() -> None:
    with upstreams.tor() as tor:
        heard = asks.exchange(tor.socks.place, asks.socks5(NAME, 80))
        assert heard == b"\x05\x00" + asks.socks5_reply(6)
        assert tor.stream()["target"] == f"{NAME}:80"


def test_tor_refuses_a_format_that_it_does_not_know() -> None:
    with upstreams.tor() as tor, logging_in(tor.socks, b"<torS0X>9", b"token") as line:
        assert line.rest() == asks.socks5_reply(1), "to a login, which has another answer"


def test_awkward_passwords_are_written_for_urls() -> None:
    one = Upstream("socks5", 1080).known_to(USER, PASSWORD)
    assert one.url == "socks5://alice:pa%3Ass%40w%25rd%2F@127.0.0.1:1080"
