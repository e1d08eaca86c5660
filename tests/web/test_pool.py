"""Kept connections: whose they are, how many, how long, and when they are never used again."""

import pytest

from tests.support.gateway import basic, running
from tests.support.raw_origin import OK, Line, Origin


def exchange(client: Line, far: Line, origin: Origin, *lines: str) -> None:
    client.send(origin.request("/", *lines))
    far.message()
    far.send(OK)
    assert client.message().status == 200


def fresh(client: Line, origin: Origin, *lines: str) -> Line:
    """An exchange for which the gateway must connect anew."""
    client.send(origin.request("/", *lines))
    far = origin.accept()
    far.message()
    far.send(OK)
    assert client.message().status == 200
    return far


def test_one_connection_serves_one_identity(anyio_backend: str) -> None:
    """Across client connections; the one used last is taken first."""
    with running(anyio_backend) as gateway, Origin() as origin:
        with gateway.connect() as client, fresh(client, origin) as far:
            for _ in range(3):
                exchange(client, far, origin)
            with gateway.connect() as other:
                exchange(other, far, origin)
        assert origin.is_left_alone()


def test_two_at_once_need_two(anyio_backend: str) -> None:
    with (
        running(anyio_backend) as gateway,
        Origin() as origin,
        gateway.connect() as one,
        gateway.connect() as two,
    ):
        one.send(origin.request("/1"))
        with origin.accept() as first:
            first.message()
            with fresh(two, origin) as second:
                first.send(OK)
                one.message()
                exchange(one, first, origin)
                exchange(two, first, origin)
                assert second.silent()


def test_names_share_nothing(anyio_backend: str) -> None:
    with (
        running(anyio_backend) as gateway,
        Origin() as origin,
        gateway.connect() as client,
        fresh(client, origin, basic("a", "")) as a,
        fresh(client, origin, basic("b", "")) as b,
    ):
        exchange(client, a, origin, basic("a", ""))
        exchange(client, b, origin, basic("b", ""))
        with fresh(client, origin) as nobody:
            exchange(client, nobody, origin)


def test_listeners_share_nothing(anyio_backend: str) -> None:
    settings = 'listen.addresses=["127.0.0.1:0", "127.0.0.1:0"]'
    with (
        running(anyio_backend, settings) as gateway,
        Origin() as origin,
        gateway.connect(gateway.addresses[0]) as one,
        gateway.connect(gateway.addresses[1]) as two,
        fresh(one, origin) as first,
        fresh(two, origin) as second,
    ):
        exchange(one, first, origin)
        exchange(two, second, origin)


def test_clients_of_a_shared_listener_share_nothing(anyio_backend: str) -> None:
    settings = ('listen.addresses=["0.0.0.0:0"]', 'listen.clients=["127.0.0.0/8"]')
    with running(anyio_backend, *settings) as gateway, Origin() as origin:
        address = "127.0.0.1:" + gateway.addresses[0].rpartition(":")[2]
        with (
            gateway.connect(address, source="127.0.0.2") as one,
            gateway.connect(address, source="127.0.0.3") as two,
            fresh(one, origin) as first,
            fresh(two, origin) as second,
        ):
            exchange(one, first, origin)
            exchange(two, second, origin)


def test_names_of_one_address_share_nothing(anyio_backend: str) -> None:
    """The key is what was asked for, not where it led."""
    settings = 'resolve.hosts."name.example"=["127.0.0.1"]'
    with (
        running(anyio_backend, settings) as gateway,
        Origin() as origin,
        gateway.connect() as client,
        fresh(client, origin) as by_address,
    ):
        client.send(origin.request().replace(b"http://127.0.0.1:", b"http://name.example:"))
        with origin.accept() as by_name:
            by_name.message()
            by_name.send(OK)
            client.message()
            assert by_address.silent()


EXTRA = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


@pytest.mark.parametrize("extra", [b"\r\n", b"x", EXTRA])
def test_more_than_the_answer_in_one_segment(anyio_backend: str, extra: bytes) -> None:
    """Pipelined, so that the next request is there before the extra bytes could be noticed otherwise."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/1") + origin.request("/2"))
        with origin.accept() as far:
            far.message()
            far.send(OK + extra)
            assert client.message().body == b"ok"
            with origin.accept() as again:
                assert again.message().first == "GET /2 HTTP/1.1"
                assert far.gone()
                again.send(OK)
                assert client.message().body == b"ok"


def test_more_than_the_answer_ends_the_connection(anyio_backend: str) -> None:
    """At once, and not when somebody would have used it."""
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(OK + EXTRA)
            assert client.message().body == b"ok"
            assert far.gone()


def test_more_than_the_answer_left_in_the_kernel(anyio_backend: str) -> None:
    """The answer ends where one read ends; what follows has not been seen when the next request is there."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    length = 65536 - len(head % 65000)
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request("/1"))
        with origin.accept() as far:
            far.message()
            with gateway.frozen():
                far.send(head % length + bytes(length) + EXTRA)
                client.send(origin.request("/2"))
            assert client.message().body == bytes(length)
            with origin.accept() as again:
                assert again.message().first == "GET /2 HTTP/1.1"
                again.send(OK)
                assert client.message().body == b"ok"


@pytest.mark.parametrize("how", ["says something", "ends"])
def test_a_kept_connection_that_stirs_is_dropped(anyio_backend: str, how: str) -> None:
    with (
        running(anyio_backend) as gateway,
        Origin() as origin,
        gateway.connect() as client,
        fresh(client, origin) as far,
    ):
        if how == "ends":
            far.last()
        else:
            far.send(EXTRA)
        assert far.gone()
        # Not one that may be tried again: this one would fail if the dead connection were taken.
        client.send(origin.request("/2", "Content-Length: 1", method="POST") + b"x")
        with origin.accept() as again:
            assert again.message().body == b"x"
            again.send(OK)
            assert client.message().body == b"ok"


def test_a_connection_that_ended_unnoticed_is_not_used_for_a_post(anyio_backend: str) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        with fresh(client, origin) as far, gateway.frozen():
            client.send(origin.request("/2", method="POST"))
            far.close()
        with origin.accept() as again:
            assert again.message().first == "POST /2 HTTP/1.1"
            again.send(OK)
            assert client.message().body == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_an_origin_that_does_not_keep(anyio_backend: str, answer: bytes) -> None:
    with running(anyio_backend) as gateway, Origin() as origin, gateway.connect() as client:
        client.send(origin.request())
        with origin.accept() as far:
            far.message()
            far.send(answer)
            got = client.message()
            assert got.body == b"ok"
            assert "connection" not in got.headers, "the client's connection is another matter"
            assert far.gone()
        fresh(client, origin).close()


def test_limit_per_origin(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.upstream_kept_per_origin=1") as gateway,
        Origin() as origin,
        gateway.connect() as one,
        gateway.connect() as two,
    ):
        one.send(origin.request("/1"))
        two.send(origin.request("/2"))
        far = {}
        for _ in range(2):
            line = origin.accept()
            far[line.message().first.split()[1]] = line
        far["/1"].send(OK)
        one.message()
        far["/2"].send(OK)
        two.message()
        assert far["/2"].gone()
        exchange(two, far["/1"], origin)
        for line in far.values():
            line.close()


@pytest.mark.parametrize(
    "setting", ["limits.upstream_kept=0", "limits.upstream_kept_per_origin=0", "limits.upstream_idle=0s"]
)
def test_none_kept(anyio_backend: str, setting: str) -> None:
    with (
        running(anyio_backend, setting) as gateway,
        Origin() as origin,
        gateway.connect() as client,
        fresh(client, origin) as far,
    ):
        assert far.gone()
        fresh(client, origin).close()


def test_limit_in_all_drops_the_oldest(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.upstream_kept=2") as gateway,
        Origin() as origin,
        gateway.connect() as client,
    ):
        kept = [fresh(client, origin, basic(name, "")) for name in ("a", "b", "c")]
        assert kept[0].gone()
        exchange(client, kept[1], origin, basic("b", ""))
        exchange(client, kept[2], origin, basic("c", ""))
        for far in kept:
            far.close()


def test_a_kept_connection_expires(anyio_backend: str) -> None:
    with (
        running(anyio_backend, "limits.upstream_idle=300ms") as gateway,
        Origin() as origin,
        gateway.connect() as client,
        fresh(client, origin) as far,
    ):
        assert far.gone()
