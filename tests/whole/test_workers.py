"""Several workers are one gateway: to clients, to hops, to their user, and in how they live and die."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from anongw.lab.hop_script import Fault, Manner, Phase
from tests.support import asks, outside
from tests.support.asks import SOCKS5
from tests.support.fake_hop import FakeHop
from tests.support.gateway import user
from tests.support.process import PROGRAM
from tests.support.raw_origin import Line
from tests.support.workers import Workers, children, descriptors, until, workers

ORIGIN = "127.0.0.9"
BLOCK = bytes(range(256)) * 256


@pytest.fixture(scope="module")
def origin() -> Iterator[outside.Origin]:
    with outside.Origin(outside.listening(ORIGIN)) as one:
        yield one


def serve(running: Workers, origin: outside.Origin) -> None:
    asks.served(running.where, ORIGIN, origin.port)


def tunnel(running: Workers, origin: outside.Origin) -> socket.socket:
    return asks.tunnel(running.where, SOCKS5, ORIGIN, origin.port)


def tunnels_of_each(running: Workers, origin: outside.Origin, stack: ExitStack) -> dict[int, socket.socket]:
    """One tunnel of every worker, by its process."""
    found: dict[int, socket.socket] = {}
    while len(found) < len(running.pids):
        client = stack.enter_context(tunnel(running, origin))
        found.setdefault(running.owner(client), client)
    return found


def said_back(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return asks.exactly(client, len(data))


def keep_moving(client: socket.socket) -> None:
    """Until the gateway ends it."""
    with suppress(OSError, AssertionError):
        while True:
            said_back(client, b"and on and on")


def heard(client: socket.socket, count: int) -> bytes:
    """So many bytes; none of them where the gateway closes instead."""
    try:
        return client.recv(count)
    except ConnectionResetError:
        return b""


def answered(client: socket.socket, count: int) -> bytes:
    """So many bytes, or those until the gateway closes."""
    data = b""
    while len(data) < count and (piece := heard(client, count - len(data))):
        data += piece
    return data


def refuses(running: Workers) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(running.where) != 0


# Who gets what


def test_connections_are_spread_one_after_the_other_and_all_at_once(
    origin: outside.Origin, tmp_path: Path
) -> None:
    """The figure itself is the benchmark's; here nobody may be left without."""
    with workers(tmp_path) as running:
        for _ in range(80):
            serve(running, origin)
        until(lambda: sum(running.flows()) == 80)
        one_by_one = running.flows()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: serve(running, origin), range(200)))
        until(lambda: sum(running.flows()) == 280)
        at_once = [now - before for now, before in zip(running.flows(), one_by_one, strict=True)]
    assert min(one_by_one) >= 16, one_by_one
    assert min(at_once) >= 40, at_once


def test_limits_hold_for_all_together(origin: outside.Origin, tmp_path: Path) -> None:
    limits = ("limits.connections=8", "limits.per_client=6")
    with workers(tmp_path, *limits) as running, ExitStack() as stack:
        for source, fit in (("127.0.0.1", 6), ("127.0.0.2", 2)):
            inside = 0
            for _ in range(12):
                client = stack.enter_context(asks.dial(running.where, source))
                client.sendall(asks.SOCKS5_NONE)
                inside += heard(client, 2) != b""
            assert inside == fit, source
        status = running.status()
        assert status["live"] == 8
        assert status["refused"] == {"too-many": 16}


def test_a_users_budget_is_one_for_all_together(origin: outside.Origin, tmp_path: Path) -> None:
    budget = ("identities.alice.connections=3", "identities.alice.bytes_a_day=1MiB")
    told = asks.socks5_login(b"alice", b"x") + asks.socks5_request(ORIGIN, origin.port)

    def admitted(stack: ExitStack) -> list[socket.socket]:
        """Of ten, which both workers have some of."""
        clients = [stack.enter_context(asks.dial(running.where)) for _ in range(10)]
        for client in clients:
            client.sendall(told)
        return [client for client in clients if answered(client, 14)[5:6] == b"\0"]

    with workers(tmp_path, user("alice", "x"), *budget) as running:
        with ExitStack() as stack:
            inside = admitted(stack)
            assert len(inside) == 3
            while True:
                try:
                    said_back(inside[0], BLOCK)
                except (OSError, AssertionError):
                    break
            # Its bytes are spent, and whatever else it has is over as well.
            assert all(Line(client).gone() for client in inside[1:])
        with ExitStack() as stack:
            assert admitted(stack) == []


def test_a_worker_that_is_full_leaves_the_next_to_the_others(origin: outside.Origin, tmp_path: Path) -> None:
    """Each may have so few files open that one alone could not take them."""
    few = ("sh", "-c", 'ulimit -n 128 && exec "$@"', "sh", *PROGRAM)
    settings = ("limits.upstream_kept=2", "limits.pipe_bytes=0")
    with workers(tmp_path, *settings, program=few) as running, ExitStack() as stack:
        clients = [stack.enter_context(tunnel(running, origin)) for _ in range(44)]
        assert all(said_back(client, b"in") == b"in" for client in clients)
        assert running.status()["refused"] == {}
        assert len({running.owner(client) for client in clients}) == 2


# Life and death


def test_one_is_killed_and_the_others_do_not_notice(origin: outside.Origin, tmp_path: Path) -> None:
    with workers(tmp_path, count=3) as running, ExitStack() as stack:
        before = running.pids
        mine = tunnels_of_each(running, origin, stack)
        victim, *others = mine
        for pid in others:
            mine[pid].sendall(BLOCK)
        os.kill(victim, signal.SIGKILL)
        assert Line(mine[victim]).gone()
        for pid in others:
            assert asks.exactly(mine[pid], len(BLOCK)) == BLOCK
            assert said_back(mine[pid], BLOCK) == BLOCK
        until(lambda: victim not in running.pids and len(running.pids) == 3)
        assert set(before) - set(running.pids) == {victim}
        until(lambda: len(running.status()["workers"]) == 3)
        tunnels_of_each(running, origin, stack)  # the new one serves
        assert running.status()["replaced"] == 1
        assert "worker" in running.gateway.errors
        assert "signal 9" in running.gateway.errors


def test_one_that_is_told_to_end_does_so_in_its_own_time(origin: outside.Origin, tmp_path: Path) -> None:
    with workers(tmp_path) as running, ExitStack() as stack:
        victim = next(iter(tunnels_of_each(running, origin, stack)))
        os.kill(victim, signal.SIGTERM)
        until(lambda: victim not in running.pids and len(running.pids) == 2)
        until(lambda: len(running.status()["workers"]) == 2)
        assert "status 0" in running.gateway.errors


def test_none_outlives_a_parent_that_is_killed(origin: outside.Origin, tmp_path: Path) -> None:
    with workers(tmp_path) as running, ExitStack() as stack:
        pids = running.pids
        mine = tunnels_of_each(running, origin, stack)
        running.gateway.process.kill()
        running.gateway.process.wait()
        assert all(Line(client).gone() for client in mine.values())
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        assert refuses(running)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_what_moves_come_to_its_end(
    number: signal.Signals, origin: outside.Origin, tmp_path: Path
) -> None:
    with workers(tmp_path) as running, ExitStack() as stack:
        mine = tunnels_of_each(running, origin, stack)
        for client in mine.values():
            client.sendall(BLOCK)
            assert asks.exactly(client, len(BLOCK) // 2) == BLOCK[: len(BLOCK) // 2]
        running.gateway.process.send_signal(number)
        for client in mine.values():
            assert asks.exactly(client, len(BLOCK) // 2) == BLOCK[len(BLOCK) // 2 :]
        for client in mine.values():
            client.close()
        assert running.gateway.wait() == 0
        assert re.search(r"stopped: \d+ flows, \d{6,} B sent", running.gateway.errors)


def test_a_second_signal_waits_for_nobody(origin: outside.Origin, tmp_path: Path) -> None:
    with (
        workers(tmp_path, "limits.shutdown=10m") as running,
        ExitStack() as stack,
        ThreadPoolExecutor(2) as pool,
    ):
        for client in tunnels_of_each(running, origin, stack).values():
            pool.submit(keep_moving, client)
        running.gateway.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(running))
        assert running.gateway.stop() == 0


def test_a_hang_up_ends_one_that_has_no_file(tmp_path: Path) -> None:
    with workers(tmp_path) as running:
        assert running.gateway.stop(signal.SIGHUP) == 0


def test_a_socket_file_lives_as_long_as_the_parent(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with workers(tmp_path, listen=f"unix:{path}") as running:
        for pid in running.pids:
            os.kill(pid, signal.SIGTERM)
        until(lambda: running.status()["replaced"] == 2)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(asks.PATIENCE)
            client.connect(str(path))
            client.sendall(asks.SOCKS5_NONE)
            assert asks.exactly(client, 2) == asks.SOCKS5_NONE_CHOSEN
        assert running.gateway.stop() == 0
    assert not path.exists()
    assert not (tmp_path / "control").exists()


# One gateway to its user


def test_the_status_is_of_all(origin: outside.Origin, tmp_path: Path) -> None:
    with workers(tmp_path) as running, ExitStack() as stack:
        tunnels_of_each(running, origin, stack)
        for _ in range(20):
            serve(running, origin)
        until(lambda: running.status()["flows"] == 20)
        status = running.status()
        assert status["live"] == sum(worker["live"] for worker in status["workers"]) >= 2
        assert sum(worker["flows"] for worker in status["workers"]) == 20
        assert [worker["number"] for worker in status["workers"]] == [1, 2]
        assert {route["name"]: route["flows"] for route in status["routes"]} == {"direct": 20}
        shown = running.ask("status").stdout
        assert re.search(r"workers\s+2", shown), shown


def test_a_reload_is_everybodys_or_nobodys(origin: outside.Origin, tmp_path: Path) -> None:
    file = tmp_path / "anongw.toml"
    lines = [f'policy.allow_private = ["{ORIGIN}/32"]', "[[route]]", 'to = "{}"']

    def write(to: str) -> None:
        file.write_text("\n".join(lines).format(to))

    def refused() -> list[bool]:
        """Of ten in a row, which both workers have some of."""
        found = []
        for _ in range(10):
            with asks.dial(running.where) as client:
                client.sendall(asks.socks5(ORIGIN, origin.port))
                found.append(asks.exactly(client, 12) != SOCKS5.granted)
        return found

    write("direct")
    with workers(tmp_path, arguments=("--config", str(file))) as running, ExitStack() as stack:
        old = tunnels_of_each(running, origin, stack)
        write("refuse")
        assert "route" in running.ask("reload").stdout
        assert all(refused())
        assert all(said_back(client, b"on") == b"on" for client in old.values())
        write("nowhere")
        done = running.ask("reload")
        assert done.returncode == 1
        assert f"{file}:3: route[0].to" in done.stderr
        assert all(refused())
        assert running.status()["generation"] == 2
        write("direct")
        running.gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "reloaded, changed: route" in running.gateway.errors)
        until(lambda: not any(refused()))
        os.kill(running.pids[0], signal.SIGKILL)
        until(lambda: len(running.status()["workers"]) == 2)
        assert not any(refused()), "one that comes later goes by the same config"


def test_lines_of_the_log_are_whole(origin: outside.Origin, tmp_path: Path) -> None:
    with workers(tmp_path, "log.level=debug") as running:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: serve(running, origin), range(200)))
        until(lambda: sum(running.flows()) == 200)
        lines = running.gateway.errors.splitlines()
    flow = re.compile(r"\S+ \S+ DEBUG   worker [12]: flow \d+ socks5 done, \d+ B sent, \d+ B received, (\S+)")
    whose = [found[1] for line in lines if (found := flow.fullmatch(line))]
    assert len(whose) == 200, lines
    assert len(set(whose)) == 1, "a name has one pseudonym, whichever says it"


# One gateway to hops


def test_an_identity_has_one_exit_and_one_token_whoever_carries_it(
    origin: outside.Origin, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        hops = [stack.enter_context(FakeHop()) for _ in range(3)]
        urls = ", ".join(f'"{hop.url}"' for hop in hops)
        chain = tmp_path / "pool.toml"
        chain.write_text(f'[[hop]]\nurls = [{urls}]\nstrategy = "random"\nisolation = "auth"\n')
        running = stack.enter_context(workers(tmp_path, arguments=("--chain", str(chain))))
        for user in (b"anna", b"bert", b"carl", b"dora"):
            before = [len(hop.seen) for hop in hops]
            for _ in range(12):
                told = asks.socks5_login(user, b"x") + asks.socks5_request(ORIGIN, origin.port)
                with asks.dial(running.where) as client:
                    client.sendall(told)
                    asks.exactly(client, 2 + 2 + 10)
            new = [hop.seen[start:] for hop, start in zip(hops, before, strict=True)]
            assert sorted(map(len, new)) == [0, 0, 12], "one exit"
            assert len({(seen.user, seen.password) for hop in new for seen in hop}) == 1, "one token"
        until(lambda: sum(running.flows()) == 48)
        assert min(running.flows()) > 0, "both have carried some"
        tokens = {seen.user for hop in hops for seen in hop.seen}
        assert len(tokens) == 4


def test_what_one_learns_of_a_hop_all_know(origin: outside.Origin, tmp_path: Path) -> None:
    """A fail-over whose first member is dead: three failures in all put it down, not three for each."""
    with FakeHop() as dead, FakeHop() as well, ExitStack() as stack:
        dead.fault = Fault(Phase.ACCEPT, Manner.CLOSE)
        chain = tmp_path / "two.toml"
        hold = '[health]\nhold = "10m"\nhold_most = "10m"\n'
        chain.write_text(f'{hold}[[hop]]\nurls = ["{dead.url}", "{well.url}"]\n')
        running = stack.enter_context(workers(tmp_path, arguments=("--chain", str(chain))))
        for _ in range(20):
            serve(running, origin)
        assert len(dead.seen) == 3
        assert len(well.asked) == 20
        until(lambda: sum(running.flows()) == 20)
        assert min(running.flows()) > 0
        (position,) = running.status()["chains"][0]["hops"]
        assert [member["state"] for member in position["members"]] == ["down", "up"]
        assert position["members"][1]["dials"] == 20


# What they have of each other


def test_workers_share_what_they_listen_on_and_nothing_else(tmp_path: Path) -> None:
    with workers(tmp_path, count=3) as running:
        os.kill(running.pids[0], signal.SIGKILL)
        until(lambda: len(running.status()["workers"]) == 3)
        sockets = [{link for link in descriptors(pid) if link.startswith("socket:")} for pid in running.pids]
        both = [one & other for place, one in enumerate(sockets) for other in sockets[:place]]
        assert {len(common) for common in both} == {2}, "the listener and the control socket"
        counts = {len(descriptors(pid)) for pid in running.pids}
        assert len(counts) == 1, "one that came later has no more than the first"


def test_nothing_of_it_is_seen_in_a_list_of_processes(tmp_path: Path) -> None:
    with workers(tmp_path) as running:
        parent = Path(f"/proc/{running.gateway.pid}")
        for pid in running.pids:
            for name in ("cmdline", "environ"):
                assert Path(f"/proc/{pid}/{name}").read_bytes() == (parent / name).read_bytes()
            assert children(pid) == []
