"""Which server is asked: one of them, drawn by identity; another only when that one fails."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest

from anongw.address import Address
from anongw.errors import Reason, Refused
from anongw.net.task_stream import TaskStream
from anongw.resolve.choice import APART_MOST, Choice
from anongw.resolve.server import Server, parse_server
from anongw.resolve.upstream import HOLD_DOWN, Way
from anongw.wire.dns import Answer, Kind, Question
from tests.support.dns_script import Fault, always, first
from tests.support.dns_server import FakeDns, from_here, running

A = Question("a.example", Kind.A)
KEY = bytes(32)


class Two:
    """Two servers, a clock, and the choice between them."""

    def __init__(self) -> None:
        self.fakes = [FakeDns({"a.example": (f"192.0.2.{number}",)}) for number in (1, 2)]
        self.time = 0.0
        self.named: tuple[Server, ...] = ()
        self.apart = False
        self.dialled: list[str] = []  # in whose name

    async def dial(self, address: Address, port: int, identity: str) -> TaskStream:
        self.dialled.append(identity)
        return await from_here(address, port, identity)

    @asynccontextmanager
    async def choice(self, key: bytes | None = KEY, scheme: str = "tcp") -> AsyncIterator[Choice]:
        async with running(*self.fakes), anyio.create_task_group() as tasks:
            way = Way(
                dial=self.dial,
                datagrams=not self.apart,
                apart=self.apart,
                ca_file="",
                timeout=20,
                draw_id=partial(secrets.randbelow, 1 << 16),
                now=lambda: self.time,
            )
            servers = [parse_server(fake.url(scheme)) for fake in self.fakes]
            self.named = tuple(server for server in servers if isinstance(server, Server))
            yield Choice(lambda: self.named, key, way, tasks)
            tasks.cancel_scope.cancel()

    def heard(self) -> list[int]:
        return [len(fake.seen) for fake in self.fakes]


def server_of(answer: Answer) -> str:
    return str(answer.addresses[0])


async def test_an_identity_keeps_its_server_and_identities_are_spread() -> None:
    two = Two()
    async with two.choice() as choice:
        chosen = {str(n): {server_of(await choice.ask(A, str(n))) for _ in range(3)} for n in range(24)}
    assert all(len(servers) == 1 for servers in chosen.values())
    assert {server for servers in chosen.values() for server in servers} == {"192.0.2.1", "192.0.2.2"}


async def test_another_key_draws_anew() -> None:
    two = Two()
    drawn = []
    for key in (b"a" * 32, b"b" * 32):
        async with two.choice(key) as choice:
            ranks = [[choice._rank(server, str(n)) for server in two.named] for n in range(40)]
        drawn.append([rank[0] < rank[1] for rank in ranks])
    assert drawn[0] != drawn[1]


async def test_without_a_key_the_order_is_the_owners() -> None:
    two = Two()
    async with two.choice(None) as choice:
        assert {server_of(await choice.ask(A, str(n))) for n in range(8)} == {"192.0.2.1"}


async def test_only_one_hears_of_a_name() -> None:
    two = Two()
    async with two.choice(None) as choice:
        await choice.ask(A, "me")
    assert two.heard() == [1, 0]


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.GARBAGE, Fault.SERVFAIL, Fault.WRONG_QUESTION])
async def test_the_other_is_asked_when_the_first_one_fails(fault: Fault) -> None:
    two = Two()
    two.fakes[0].script = always(fault)
    async with two.choice(None) as choice:
        assert server_of(await choice.ask(A, "me")) == "192.0.2.2"


async def test_a_server_that_failed_is_asked_last_for_a_while() -> None:
    two = Two()
    two.fakes[0].script = first(Fault.GARBAGE)
    async with two.choice(None) as choice:
        assert server_of(await choice.ask(A, "me")) == "192.0.2.2"
        assert server_of(await choice.ask(A, "me")) == "192.0.2.2"
        assert two.heard() == [1, 2]
        two.time += HOLD_DOWN
        assert server_of(await choice.ask(A, "me")) == "192.0.2.1"


async def test_a_name_that_could_not_be_found_out_is_not_held_against_the_server() -> None:
    two = Two()
    two.fakes[0].script = first(Fault.SERVFAIL)
    async with two.choice(None) as choice:
        assert server_of(await choice.ask(A, "me")) == "192.0.2.2"
        assert server_of(await choice.ask(A, "me")) == "192.0.2.1"


async def test_where_all_fail_the_last_word_is_told_and_the_next_question_finds_them_again() -> None:
    two = Two()
    for fake in two.fakes:
        fake.script = first(Fault.GARBAGE)
    async with two.choice() as choice:
        with pytest.raises(Refused) as refused:
            await choice.ask(A, "me")
        assert refused.value.reason is Reason.RESOLVER_FAILED
        assert refused.value.detail.startswith("upstream-malformed")
        assert (await choice.ask(A, "me")).addresses
    assert sum(two.heard()) == 3


async def test_servers_that_are_replaced_are_left() -> None:
    two = Two()
    async with two.choice(None) as choice:
        await choice.ask(A, "me")
        two.named = two.named[1:]
        assert server_of(await choice.ask(A, "me")) == "192.0.2.2"
        await two.fakes[0].until(lambda: two.fakes[0].open == 0)


async def test_identities_that_are_apart_share_no_connection() -> None:
    two = Two()
    two.apart = True
    async with two.choice(None) as choice:
        for name in ("alice", "bob", "alice", "bob"):
            await choice.ask(A, name)
        assert two.dialled == ["alice", "bob"]
        assert two.fakes[0].open == 2


async def test_the_connections_of_one_that_is_forgotten_are_closed() -> None:
    two = Two()
    two.apart = True
    async with two.choice(None) as choice:
        for name in ("alice", "bob"):
            await choice.ask(A, name)
        choice.forget("alice")
        choice.forget("nobody")
        await two.fakes[0].until(lambda: two.fakes[0].open == 1)
        for name in ("alice", "bob"):
            await choice.ask(A, name)
        assert two.dialled == ["alice", "bob", "alice"]


async def test_everybodys_connection_is_nobodys_to_forget() -> None:
    two = Two()
    async with two.choice(None) as choice:
        await choice.ask(A, "alice")
        choice.forget("alice")
        choice.forget("")
        await choice.ask(A, "alice")
        assert len(two.dialled) == 1


async def test_of_too_many_that_are_apart_the_oldest_gives_way() -> None:
    two = Two()
    two.apart = True
    async with two.choice(None) as choice:
        for number in range(APART_MOST + 1):
            await choice.ask(A, str(number))
        await two.fakes[0].until(lambda: two.fakes[0].open == APART_MOST)
        await choice.ask(A, "0")
        await choice.ask(A, str(APART_MOST))
        assert two.dialled[-2:] == [str(APART_MOST), "0"]
