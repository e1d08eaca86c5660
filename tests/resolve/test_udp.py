"""UDP: what is believed, and what leads to TCP."""

import ipaddress

import pytest

from anongw.errors import Reason, Refused
from anongw.net.egress import ANYWHERE, Egress
from anongw.resolve import udp
from anongw.resolve.server import Server, parse_server
from anongw.wire.dns import Answer, Kind, Question
from tests.support.dns_script import Fault, always, first
from tests.support.dns_server import FakeDns, running

A = Question("a.example", Kind.A)


@pytest.fixture
def server() -> FakeDns:
    return FakeDns({"a.example": ("192.0.2.1",)})


async def ask(server: FakeDns, wait: float = 20, egress: Egress = ANYWHERE) -> Answer | None:
    async with running(server):
        target = parse_server(server.url("udp"))
        assert isinstance(target, Server)
        return await udp.ask(target, A, lambda: 4711, wait, egress)


async def test_a_question_and_its_answer(server: FakeDns) -> None:
    answer = await ask(server)
    assert answer is not None
    assert [str(address) for address in answer.addresses] == ["192.0.2.1"]
    assert server.seen[0].message.id == 4711


async def test_the_query_is_not_padded(server: FakeDns) -> None:
    await ask(server)
    assert len(server.seen[0].wire) < 64


@pytest.mark.parametrize("fault", [Fault.FORGED_ID, Fault.FORGED_QUESTION])
async def test_a_forged_answer_is_passed_over_and_the_true_one_taken(server: FakeDns, fault: Fault) -> None:
    server.script = always(fault)
    answer = await ask(server)
    assert answer is not None
    assert [str(address) for address in answer.addresses] == ["192.0.2.1"]


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.GARBAGE, Fault.WRONG_QUESTION])
async def test_no_answer_that_counts(server: FakeDns, fault: Fault) -> None:
    server.script = always(fault)
    assert await ask(server, 0.02) is None
    assert len(server.seen) == udp.TRIES


async def test_a_lost_question_is_sent_again(server: FakeDns) -> None:
    server.script = first(Fault.SILENCE)
    answer = await ask(server, 0.05)
    assert answer is not None
    assert answer.addresses


async def test_truncated(server: FakeDns) -> None:
    server.script = always(Fault.TRUNCATED)
    assert await ask(server) == Answer(truncated=True)


async def test_a_resolver_that_could_not_find_out(server: FakeDns) -> None:
    server.script = always(Fault.SERVFAIL)
    async with running(server):
        target = parse_server(server.url("udp"))
        assert isinstance(target, Server)
        with pytest.raises(Refused) as refused:
            await udp.ask(target, A, lambda: 1)
    assert refused.value.reason is Reason.RESOLVER_FAILED


async def test_a_question_leaves_from_where_it_is_told(server: FakeDns) -> None:
    assert await ask(server, egress=Egress("lo", [ipaddress.ip_address("127.0.0.2")]))
    assert server.peers == {"127.0.0.2"}


async def test_a_question_that_has_nowhere_to_leave_from(server: FakeDns) -> None:
    nowhere = Egress(source=[ipaddress.ip_address("192.0.2.7")])
    async with running(server):
        target = parse_server(server.url("udp"))
        assert isinstance(target, Server)
        with pytest.raises(Refused) as refused:
            await udp.ask(target, A, lambda: 1, egress=nowhere)
    assert refused.value.reason is Reason.EGRESS_GONE
    assert server.seen == []
