"""Names to addresses, whole: over a fake server on loopback."""

import contextlib
import ipaddress
from pathlib import Path
from typing import Any

import anyio
import pytest

from anongw.address import Address
from anongw.config import Resolve
from anongw.errors import Reason, Refused
from anongw.net.egress import Egress
from anongw.net.task_stream import TaskStream, connect
from anongw.resolve.resolver import NO_CERTIFICATES, Resolver
from anongw.resolve.system import ResolvConf
from anongw.resolve.zones import PRIVATE_SUFFIXES
from tests.support.dns_names import RECORDS, Clock, lookup, public, refusal, resolver
from tests.support.dns_script import Fault, always, first
from tests.support.dns_server import FakeDns, running


@pytest.fixture
def server() -> FakeDns:
    return FakeDns(RECORDS)


# What comes out


@pytest.mark.parametrize(
    ("family", "name", "addresses"),
    [
        ("any", "both.example", ["2001:db8::1", "192.0.2.", "192.0.2."]),
        ("prefer-ipv4", "both.example", ["192.0.2.", "2001:db8::1", "192.0.2."]),
        ("ipv4", "both.example", ["192.0.2.", "192.0.2."]),
        ("ipv6", "both.example", ["2001:db8::1"]),
        ("any", "alias.example", ["2001:db8::1", "192.0.2.", "192.0.2."]),
        ("any", "v4.example", ["192.0.2.4"]),
        ("any", "v6.example", ["2001:db8::6"]),
        ("any", "mixed.example", ["192.0.2.9"]),
    ],
)
async def test_addresses_in_the_order_to_try_them(
    server: FakeDns, family: str, name: str, addresses: list[str]
) -> None:
    async with running(server):
        asked = resolver(server, family=family)
        async with running(asked):
            found = await lookup(asked, name)
    assert len(found) == len(addresses)
    assert all(one.startswith(start) for one, start in zip(found, addresses, strict=True))


@pytest.mark.parametrize(
    ("family", "kinds"),
    [("any", ["A", "AAAA"]), ("prefer-ipv4", ["A", "AAAA"]), ("ipv4", ["A"]), ("ipv6", ["AAAA"])],
)
async def test_only_the_families_in_use_are_asked_for(server: FakeDns, family: str, kinds: list[str]) -> None:
    async with running(server):
        asked = resolver(server, family=family)
        async with running(asked):
            await lookup(asked, "both.example")
    assert sorted(seen.kind for seen in server.seen) == kinds


@pytest.mark.parametrize(
    ("name", "family", "reason"),
    [
        ("unknown.example", "any", Reason.NAME_NOT_FOUND),
        ("v4.example", "ipv6", Reason.NAME_NOT_FOUND),
        ("rebind.example", "any", Reason.REBINDING),
    ],
)
async def test_refusals_are_remembered(server: FakeDns, name: str, family: str, reason: Reason) -> None:
    async with running(server):
        asked = resolver(server, family=family)
        async with running(asked):
            assert await refusal(asked, name) is reason
            count = len(server.seen)
            assert await refusal(asked, name) is reason
            with pytest.raises(Refused):
                asked.cached(name, "me")
    assert len(server.seen) == count


async def test_a_failure_is_not_remembered(server: FakeDns) -> None:
    async with running(server):
        server.script = first(Fault.SERVFAIL, 2)
        asked = resolver(server)
        async with running(asked):
            assert await refusal(asked, "v4.example") is Reason.RESOLVER_FAILED
            assert await lookup(asked, "v4.example") == ["192.0.2.4"]


# Who is never asked


@pytest.mark.parametrize(
    "name", [*(f"host.{suffix}" for suffix in sorted(PRIVATE_SUFFIXES)), "printer", "localhost"]
)
async def test_a_private_name_is_asked_of_nobody(server: FakeDns, name: str) -> None:
    async with running(server):
        asked = resolver(server)
        async with running(asked):
            assert await refusal(asked, name) is Reason.PRIVATE_NAME
            with pytest.raises(Refused) as refused:
                asked.cached(name, "me")
    assert refused.value.reason is Reason.PRIVATE_NAME
    assert server.seen == []
    assert server.connections == 0


async def test_a_zone_has_its_own_server_and_the_longest_suffix_wins() -> None:
    public_server, lab, deep = (FakeDns(RECORDS) for _ in range(3))
    deep.records["x.deep.lab.internal"] = ("192.0.2.78",)
    async with running(public_server, lab, deep):
        zones = {
            "internal": "udp://192.0.2.1",
            ".Lab.Internal.": lab.url("tcp"),
            "deep.lab.internal": deep.url("tcp"),
        }
        asked = resolver(public_server, zones=zones)
        async with running(asked):
            assert await lookup(asked, "printer.lab.internal") == ["192.0.2.77"]
            assert await lookup(asked, "x.deep.lab.internal") == ["192.0.2.78"]
            assert await lookup(asked, "v4.example") == ["192.0.2.4"]
    names = [{seen.name for seen in server.seen} for server in (public_server, lab, deep)]
    assert names == [{"v4.example"}, {"printer.lab.internal"}, {"x.deep.lab.internal"}]


async def test_a_zones_private_answers_need_to_be_allowed_too(server: FakeDns) -> None:
    server.records["nas.lab.internal"] = ("10.0.0.1",)
    async with running(server):
        asked = resolver(server, servers=("tcp://192.0.2.1",), zones={"lab.internal": server.url("tcp")})
        async with running(asked):
            assert await refusal(asked, "nas.lab.internal") is Reason.REBINDING


async def test_fixed_hosts_are_asked_of_nobody_and_may_be_private(server: FakeDns) -> None:
    hosts = {"Printer.": ("10.0.0.7", "fd00::7"), "v4.example": ("10.0.0.8",)}
    async with running(server):
        asked = resolver(server, hosts=hosts)
        async with running(asked):
            assert await lookup(asked, "printer") == ["fd00::7", "10.0.0.7"]
            assert asked.cached("v4.example", "anybody") == (ipaddress.ip_address("10.0.0.8"),)
        only6 = resolver(server, hosts=hosts, family="ipv6")
        assert only6.cached("printer", "me") == (ipaddress.ip_address("fd00::7"),)
        assert await refusal(only6, "v4.example") is Reason.NAME_NOT_FOUND
    assert server.seen == []


@pytest.mark.parametrize(
    "more",
    [
        {"servers": ("https://dns.quad9.net",)},
        {"zones": {"lab.internal": "192.168.1.1"}},
        {"zones": {"": "udp://192.168.1.1"}},
        {"zones": {"192.168.1.1": "udp://192.168.1.1"}},
        {"hosts": {"printer": ("not an address",)}},
        {"hosts": {"not a name": ("192.0.2.1",)}},
    ],
)
def test_settings_that_mean_nothing(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"write|named"):
        Resolver(Resolve(**more), allow_private=public)


# What is remembered, and for whom


async def test_an_answer_lives_for_its_ttl(server: FakeDns) -> None:
    clock = Clock()
    async with running(server):
        asked = resolver(server, now=clock)
        async with running(asked):
            assert asked.cached("v4.example", "me") is None
            await lookup(asked, "v4.example")
            assert len(server.seen) == 2
            clock.time += 59
            await lookup(asked, "v4.example")
            assert asked.cached("v4.example", "me") is not None
            assert len(server.seen) == 2
            clock.time += 1
            assert asked.cached("v4.example", "me") is None
            await lookup(asked, "v4.example")
            assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("name", "ttl", "soa", "lives"),
    [
        ("v4.example", 100_000, 30, 3600),  # the cap
        ("v4.example", 0, 30, 0),
        ("unknown.example", 60, 30, 30),  # the SOA's minimum (RFC 2308)
        ("unknown.example", 60, 100_000, 300),  # the cap for a "no"
        ("unknown.example", 60, None, 0),  # no SOA, no cache
        ("rebind.example", 100_000, 30, 300),  # a lie
    ],
)
async def test_lives(server: FakeDns, name: str, ttl: int, soa: int | None, lives: int) -> None:
    clock = Clock()
    server.ttl, server.negative_ttl = ttl, soa
    async with running(server):
        asked = resolver(server, now=clock)
        async with running(asked):

            async def queries() -> int:
                before = len(server.seen)
                with contextlib.suppress(Refused):
                    await asked.addresses(name, "me")
                return len(server.seen) - before

            assert await queries() == 2
            clock.time += lives - 1
            assert await queries() == (0 if lives else 2)
            clock.time += 1
            assert await queries() == 2


# The race


async def test_a_late_aaaa_is_not_waited_for_but_learnt(server: FakeDns) -> None:
    server.script = always(Fault.HOLD, kind="AAAA")
    async with running(server):
        asked = resolver(server)
        async with running(asked):
            assert sorted(await lookup(asked, "both.example")) == ["192.0.2.1", "192.0.2.2"]
            server.released.set()
            while len(asked.cached("both.example", "me") or ()) < 3:
                await anyio.lowlevel.checkpoint()


async def test_a_late_a_is_waited_for(server: FakeDns) -> None:
    server.script = always(Fault.HOLD, kind="A")
    async with running(server):
        asked = resolver(server)
        async with running(asked), anyio.create_task_group() as tasks:

            async def ask() -> None:
                assert len(await lookup(asked, "both.example")) == 3

            tasks.start_soon(ask)
            await server.until(lambda: len(server.seen) == 2)
            server.released.set()


async def test_an_aaaa_that_fails_costs_nothing_but_itself(server: FakeDns) -> None:
    server.script = always(Fault.SERVFAIL, kind="AAAA")
    async with running(server):
        asked = resolver(server)
        async with running(asked):
            assert sorted(await lookup(asked, "both.example")) == ["192.0.2.1", "192.0.2.2"]


# The machine's own, no network, the end


async def test_system(server: FakeDns, tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    async with running(server):
        conf = ResolvConf(path, int(server.url("udp").rpartition(":")[2]))
        asked = Resolver(Resolve(servers=("system",)), allow_private=public, resolv_conf=conf)
        async with running(asked):
            assert await refusal(asked, "v4.example") is Reason.RESOLVER_FAILED
            path.write_text("nameserver 127.0.0.1\n")
            assert await lookup(asked, "v4.example") == ["192.0.2.4"]
            server.script = always(Fault.TRUNCATED, transport="udp")
            assert await lookup(asked, "v6.example") == ["2001:db8::6"]
    assert [seen.transport for seen in server.seen] == ["udp", "udp", "udp", "udp", "tcp", "tcp"]


async def test_without_a_network_it_starts_and_later_it_answers(server: FakeDns) -> None:
    network = False

    async def dial(address: Address, port: int, _identity: str) -> TaskStream:
        if not network:
            raise Refused(Reason.NETWORK_UNREACHABLE)
        return await connect(address, port, 20)

    async with running(server):
        asked = Resolver(Resolve(servers=(server.url("tcp"),)), allow_private=public, dial=dial)
        async with running(asked):
            assert await refusal(asked, "v4.example") is Reason.RESOLVER_FAILED
            network = True
            assert await lookup(asked, "v4.example") == ["192.0.2.4"]


async def test_somebody_elses_way_out_carries_no_udp(server: FakeDns) -> None:
    dialled: list[int] = []

    async def dial(address: Address, port: int, _identity: str) -> TaskStream:
        dialled.append(port)
        return await connect(address, port, 20)

    async with running(server):
        asked = Resolver(Resolve(servers=(server.url("udp"),)), allow_private=public, dial=dial)
        async with running(asked):
            assert await lookup(asked, "v4.example") == ["192.0.2.4"]
    assert {seen.transport for seen in server.seen} == {"tcp"}
    assert len(dialled) == 1


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_it_asks_from_where_it_is_told_or_nobody(server: FakeDns, scheme: str) -> None:
    async with running(server):
        here, gone = (
            Resolver(
                Resolve(servers=(server.url(scheme),)),
                allow_private=public,
                egress=Egress("lo", [ipaddress.ip_address(source)]),
            )
            for source in ("127.0.0.2", "192.0.2.7")
        )
        async with running(here, gone):
            with pytest.raises(Refused) as refused:
                await gone.addresses("v4.example", "me")
            assert refused.value.reason is Reason.EGRESS_GONE
            assert refused.value.detail.endswith("egress-gone: 192.0.2.7 is no address of this machine")
            assert server.seen == []
            assert await lookup(here, "v4.example") == ["192.0.2.4"]
    assert server.peers == {"127.0.0.2"}


async def test_before_and_after_its_life_it_asks_nobody(server: FakeDns) -> None:
    async with running(server):
        asked = resolver(server)
        assert await refusal(asked, "v4.example") is Reason.STOPPING
        async with running(asked):
            assert await lookup(asked, "v4.example") == ["192.0.2.4"]
        assert await lookup(asked, "v4.example") == ["192.0.2.4"]  # from the cache
        assert await refusal(asked, "both.example") is Reason.STOPPING


async def test_its_end_reaches_those_who_wait(server: FakeDns) -> None:
    server.script = always(Fault.HOLD)
    reasons: list[Reason] = []
    async with running(server):
        asked = resolver(server)
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                reasons.append(await refusal(asked, "v4.example"))

            async with running(asked):
                tasks.start_soon(ask)
                await server.until(lambda: len(server.seen) == 2)
    assert reasons == [Reason.STOPPING]


def test_preload(ca_file: str) -> None:
    assert Resolver(Resolve(ca_file=ca_file), allow_private=public).preload() == ()
    assert "ca-certificates" in NO_CERTIFICATES
    zoned = Resolve(servers=("system",), zones={"lab.internal": "tls://192.0.2.1"}, ca_file="/nowhere/ca.pem")
    with pytest.raises(Refused):
        Resolver(zoned, allow_private=public).preload()
