"""One resolver: its connection, what ends it, and what a failure costs."""

import ipaddress
import subprocess
import sys

import anyio
import pytest
import trustme

from anongw.errors import Reason, Refused
from anongw.net import tls
from anongw.net.egress import Egress
from anongw.resolve.server import Scheme
from anongw.resolve.upstream import HOLD_DOWN, preload
from anongw.wire.dns import Kind, Question
from tests.support.dns_script import Fault, always, first
from tests.support.dns_server import FakeDns, asking

A = Question("a.example", Kind.A)
B = Question("b.example", Kind.A)
SCHEMES = ["tcp", "tls", "https"]


@pytest.fixture
def server(ca: trustme.CA) -> FakeDns:
    return FakeDns({"a.example": ("192.0.2.1",), "b.example": ("192.0.2.2",)}, ca=ca)


@pytest.mark.parametrize("scheme", ["udp", *SCHEMES])
async def test_by_every_scheme(server: FakeDns, ca_file: str, scheme: str) -> None:
    async with asking(server, scheme, ca_file) as upstream:
        assert [str(address) for address in (await upstream.ask(A)).addresses] == ["192.0.2.1"]
    assert server.seen[0].transport == {"https": "h2"}.get(scheme, scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_nothing_is_connected_before_the_first_question(
    server: FakeDns, ca_file: str, scheme: str
) -> None:
    async with asking(server, scheme, ca_file) as upstream:
        await anyio.wait_all_tasks_blocked()
        assert server.connections == 0
        async with anyio.create_task_group() as tasks:  # and then once, for all who come at once
            for question in (A, B, A, B):
                tasks.start_soon(upstream.ask, question)
        assert server.connections == 1


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_connection_that_ended_is_opened_again(server: FakeDns, ca_file: str, scheme: str) -> None:
    server.script = first(Fault.CLOSE)
    async with asking(server, scheme, ca_file) as upstream:
        assert (await upstream.ask(A)).addresses
        assert not upstream.resting
    assert (len(server.seen), server.connections) == (2, 2)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_second_end_in_a_row_is_a_failure(server: FakeDns, ca_file: str, scheme: str) -> None:
    server.script = first(Fault.CLOSE, 2)
    async with asking(server, scheme, ca_file) as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
        assert refused.value.reason is Reason.UPSTREAM_CLOSED
        assert upstream.resting
        assert (await upstream.ask(A)).addresses
        assert not upstream.resting


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_an_idle_connection_is_closed_and_opened_again(
    server: FakeDns, ca_file: str, scheme: str
) -> None:
    async with asking(server, scheme, ca_file, idle=0.01) as upstream:
        await upstream.ask(A)
        await server.until(lambda: server.open == 0)
        assert (await upstream.ask(B)).addresses
    assert server.connections == 2


@pytest.mark.parametrize("scheme", ["udp", *SCHEMES])
async def test_a_stuck_server_costs_its_timeout(server: FakeDns, ca_file: str, scheme: str) -> None:
    server.script = always(Fault.SILENCE)
    async with asking(server, scheme, ca_file, seconds=0.3) as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
        assert refused.value.reason is Reason.UPSTREAM_TIMEOUT
        assert upstream.resting


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_connection_that_went_silent_is_not_used_again(
    server: FakeDns, ca_file: str, scheme: str
) -> None:
    async with asking(server, scheme, ca_file, seconds=0.3) as upstream:
        await upstream.ask(A)
        server.script = first(Fault.SILENCE)
        with pytest.raises(Refused):
            await upstream.ask(A)
        assert (await upstream.ask(A)).addresses
    assert server.connections == 2


@pytest.mark.parametrize("scheme", ["udp", *SCHEMES])
async def test_a_server_that_could_not_find_out_has_not_failed(
    server: FakeDns, ca_file: str, scheme: str
) -> None:
    server.script = always(Fault.SERVFAIL)
    async with asking(server, scheme, ca_file) as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
        assert (refused.value.reason, refused.value.detail) == (Reason.RESOLVER_FAILED, "SERVFAIL")
        assert not upstream.resting


@pytest.mark.parametrize("scheme", ["udp", *SCHEMES])
async def test_a_name_that_cannot_be_asked_is_not_its_fault(
    server: FakeDns, ca_file: str, scheme: str
) -> None:
    async with asking(server, scheme, ca_file) as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(Question("a..example", Kind.A))
        assert refused.value.reason is Reason.MALFORMED
        assert not upstream.resting
        assert (await upstream.ask(A)).addresses


@pytest.mark.parametrize("scheme", ["udp", *SCHEMES])
async def test_by_every_scheme_from_where_it_is_told(server: FakeDns, ca_file: str, scheme: str) -> None:
    egress = Egress("lo", [ipaddress.ip_address("127.0.0.2")])
    async with asking(server, scheme, ca_file, egress=egress) as upstream:
        assert (await upstream.ask(A)).addresses
    assert server.peers == {"127.0.0.2"}


@pytest.mark.parametrize("scheme", ["udp", *SCHEMES])
async def test_with_nowhere_to_leave_from_nothing_is_asked_and_no_server_blamed(
    server: FakeDns, ca_file: str, scheme: str
) -> None:
    nowhere = Egress(source=[ipaddress.ip_address("192.0.2.7")])
    async with asking(server, scheme, ca_file, egress=nowhere) as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
        assert refused.value.reason is Reason.EGRESS_GONE
        assert not upstream.resting
    assert (server.seen, server.connections) == ([], 0)


@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.SILENCE, Fault.GARBAGE, Fault.WRONG_QUESTION])
async def test_where_udp_does_not_do_tcp_is_asked(server: FakeDns, fault: Fault) -> None:
    server.script = always(fault, transport="udp")
    async with asking(server, "udp") as upstream:
        assert (await upstream.ask(A)).addresses
    assert server.seen[-1].transport == "tcp"


async def test_an_answer_truncated_on_a_stream_is_none(server: FakeDns) -> None:
    server.script = always(Fault.TRUNCATED)
    async with asking(server, "udp") as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
    assert refused.value.reason is Reason.UPSTREAM_MALFORMED


async def test_a_certificate_of_another_name_is_refused(ca: trustme.CA, ca_file: str) -> None:
    server = FakeDns({}, ca=ca, certificate_name="evil.example")
    server._name = "dns.example"
    for scheme in ("tls", "https"):
        async with asking(server, scheme, ca_file) as upstream:
            with pytest.raises(Refused) as refused:
                await upstream.ask(A)
        assert refused.value.reason is Reason.TLS_FAILED
    assert server.seen == []


async def test_a_certificate_for_the_address_itself(ca: trustme.CA, ca_file: str) -> None:
    server = FakeDns({"a.example": ("192.0.2.1",)}, ca=ca, certificate_name="127.0.0.1")
    async with asking(server, "https", ca_file) as upstream:
        assert (await upstream.ask(A)).addresses


async def test_the_systems_certificates_do_not_vouch_for_our_own_authority(server: FakeDns) -> None:
    async with asking(server, "tls", "") as upstream:
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
    assert refused.value.reason is Reason.TLS_FAILED


async def test_nobody_there(server: FakeDns) -> None:
    async with asking(server, "tcp") as upstream:
        pass
    async with anyio.create_task_group() as tasks:
        upstream = type(upstream)(upstream.server, upstream._way, tasks)
        with pytest.raises(Refused) as refused:
            await upstream.ask(A)
    assert refused.value.reason is Reason.CONNECTION_REFUSED


async def test_an_asker_that_leaves_does_not_end_the_opening_for_the_others(
    server: FakeDns, ca_file: str
) -> None:
    got = []
    async with asking(server, "https", ca_file) as upstream:

        async def ask() -> None:
            got.append(await upstream.ask(B))

        async with anyio.create_task_group() as stayer, anyio.create_task_group() as leaver:
            leaver.start_soon(upstream.ask, A)
            await anyio.lowlevel.checkpoint()
            stayer.start_soon(ask)
            await anyio.lowlevel.checkpoint()
            leaver.cancel_scope.cancel()
    assert len(got) == 1
    assert server.connections == 1


def test_the_hold_down_is_short() -> None:
    assert 1 <= HOLD_DOWN <= 60


def test_preload(ca_file: str) -> None:
    tls.trust.cache_clear()
    assert preload((Scheme.HTTPS, Scheme.TLS), ca_file) is False
    assert tls.trust.cache_info().currsize == 2
    with pytest.raises(Refused):
        preload((Scheme.TLS,), "/nowhere/ca.pem")


@pytest.mark.parametrize("module", ["dns.message", "h2.connection", "loguru", "certifi"])
def test_the_start_does_not_pay_for(module: str) -> None:
    code = f"import sys, anongw.resolve.resolver; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
