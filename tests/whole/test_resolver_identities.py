"""Nothing that the resolver learns or asks crosses identities; and nobody's leaving disturbs another."""

import contextlib
from pathlib import Path

import anyio
import hypothesis.strategies as st
import pytest
import trustme
from hypothesis import given, settings

from anongw.errors import Refused
from tests.support.dns_names import RECORDS, lookup, resolver
from tests.support.dns_script import Fault, always, first
from tests.support.dns_server import FakeDns, running


@pytest.fixture
def server() -> FakeDns:
    return FakeDns(RECORDS)


async def test_identities_share_neither_cache_nor_questions_in_flight(server: FakeDns) -> None:
    server.script = always(Fault.HOLD)
    async with running(server):
        asked = resolver(server, family="ipv4")
        async with running(asked):
            async with anyio.create_task_group() as tasks:
                for identity in ("a", "b", "a", "b", "c"):
                    tasks.start_soon(asked.addresses, "v4.example", identity)
                await server.until(lambda: len(server.seen) == 3)
                await anyio.wait_all_tasks_blocked()
                server.released.set()
            assert len(server.seen) == 3
            assert asked.cached("v4.example", "d") is None
    assert server.connections == 1  # but the connection, which shows our address anyway


async def test_one_question_in_flight_survives_those_who_leave(server: FakeDns) -> None:
    server.script = first(Fault.HOLD)
    got: list[list[str]] = []
    async with running(server):
        asked = resolver(server, family="ipv4")
        async with running(asked):

            async def ask() -> None:
                got.append(await lookup(asked, "v4.example"))

            async with anyio.create_task_group() as stayer, anyio.create_task_group() as leaver:
                leaver.start_soon(asked.addresses, "v4.example", "me")
                await server.until(lambda: len(server.seen) == 1)
                stayer.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                leaver.cancel_scope.cancel()
                server.released.set()
    assert got == [["192.0.2.4"]]
    assert len(server.seen) == 1


async def test_when_all_have_left_the_question_is_given_up(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = FakeDns(RECORDS, ca=ca)
    server.script = always(Fault.HOLD)
    async with running(server):
        asked = resolver(server, "https", family="ipv4", ca_file=str(tmp_path / "ca.pem"))
        async with running(asked):
            async with anyio.create_task_group() as leavers:
                for _ in range(3):
                    leavers.start_soon(asked.addresses, "v4.example", "me")
                await server.until(lambda: len(server.seen) == 1)
                leavers.cancel_scope.cancel()
            await server.until(lambda: server.cancelled == [1])


async def test_so_many_questions_at_once_and_no_more(server: FakeDns) -> None:
    server.script = always(Fault.HOLD)
    async with running(server):
        asked = resolver(server, family="ipv4", queries_most=2)
        async with running(asked), anyio.create_task_group() as tasks:
            for identity in "abcd":
                tasks.start_soon(asked.addresses, "v4.example", identity)
            await server.until(lambda: len(server.seen) == 2)
            await anyio.wait_all_tasks_blocked()
            assert len(server.seen) == 2
            server.released.set()
    assert len(server.seen) == 4


# Many identities, many names, in any order: each looks a name up for itself.

identities = st.sampled_from(["", "a", "b", "alice", "alice ", "a\0b", "é"])
names = st.sampled_from(["both.example", "v4.example", "v6.example", "unknown.example", "rebind.example"])


@settings(max_examples=25, deadline=None, database=None)
@given(st.lists(st.tuples(identities, names), min_size=1, max_size=12))
def test_nothing_crosses_identities(asks: list[tuple[str, str]]) -> None:
    async def run() -> list[str]:
        server = FakeDns(RECORDS)
        async with running(server):
            asked = resolver(server, family="ipv4")
            async with running(asked):
                for identity, name in asks:
                    with contextlib.suppress(Refused):
                        await asked.addresses(name, identity)
        return sorted(seen.name for seen in server.seen)

    # Exactly one query for each pair: none saved by another identity, none asked twice.
    assert anyio.run(run) == sorted(name for _, name in set(asks))
