"""What a closed connection leaves behind: nothing. What stayed alive would be there twice in a crowd."""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from anongw.flow import Flow
from anongw.inbound.session import Session
from anongw.net.fiber import Fiber
from anongw.net.relay import Relay
from anongw.net.stream import Stream
from tests.support import asks
from tests.support.gateway import Running, running
from tests.support.raw_origin import Origin

FLOWS = 8
OURS = (Fiber, Flow, Relay, Session, Stream)


@contextmanager
def collecting(gateway: Running) -> Iterator[Counter[str]]:
    """What of a connection only the garbage collector finds in what ends within the block."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        with gateway.frozen():
            gc.collect()
            found.update(type(one).__name__ for one in gc.garbage if isinstance(one, OURS))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("ending", ["last", "reset"])
@pytest.mark.parametrize("way", asks.TUNNELS, ids=lambda way: way.name)
def test_a_closed_tunnel_is_freed_at_once(anyio_backend: str, way: asks.Way, ending: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin:
        host, port = origin.authority.split(":")
        with collecting(gateway) as found:
            for _ in range(FLOWS):
                with gateway.connect() as client:
                    client.send(way.ask(host, int(port)))
                    assert client.exactly(len(way.granted)) == way.granted
                    with origin.accept() as far:
                        client.send(b"ping")
                        assert far.exactly(4) == b"ping"
                        getattr(far, ending)()
                        if ending == "last":
                            client.last()
                            assert client.rest() == b""
                        else:
                            assert client.rest_until_reset() == b""
    assert not found


def test_a_closed_http_client_is_freed_at_once(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, collecting(gateway) as found:
        for _ in range(FLOWS):
            with gateway.connect() as client:
                client.send(origin.request("/", "Connection: close"))
                with origin.accept() as far:
                    far.head()
                    far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
                    assert client.rest().endswith(b"\r\n\r\nhi")
    assert not found


def test_a_refused_client_is_freed_at_once(anyio_backend: str) -> None:
    with running(anyio_backend, "policy.allow_private=[]") as gateway, collecting(gateway) as found:
        for _ in range(FLOWS):
            for way in asks.WAYS:
                with gateway.connect() as client:
                    client.send(way.ask("127.0.0.1", 9))
                    client.last()
                    assert client.rest() == way.refused("private-target")
    assert not found
