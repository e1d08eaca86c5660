"""The benchmark: its load generator, its clocks, its sums, and that nothing is left of it."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from scripts.benchmark import machine, table, targets
from scripts.benchmark.anew import most_held, steps
from scripts.benchmark.bench import Outcome
from scripts.benchmark.load import FLAGS, SOURCE, Options, Result, build, load
from scripts.benchmark.peers import NONE, OURS, PEERS, ROOT, Peer
from scripts.benchmark.rounds import told
from scripts.benchmark.running import NotMeasured, running
from scripts.benchmark.targets import Target
from scripts.benchmark.workloads import WORKLOADS, Sample, chosen, names
from tests.support.process import Gateway, gateway
from tests.support.programs import PATIENCE, found, run

PRIVATE = 'policy.allow_private=["127.0.0.0/8"]'
SHORT = 0.05
# A proxy with a child that has ended, and one that lives in a process group of its own and has 50 MiB.
FAMILY = r"""
import socket, subprocess, sys, time
busy = "import time\nwhile time.process_time() < 0.3: pass"
subprocess.run([sys.executable, "-c", busy], check=True)
large = "import time; text = 'x' * (50 << 20); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", large], process_group=0)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""


@contextmanager
def all_files() -> Iterator[None]:
    """As many open files as the hard limit allows, as scripts/bench has them."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's cache in which the load generator is already built."""
    found("gcc")
    folder = tmp_path_factory.mktemp("cache")
    build(folder / "anongw" / "bench")
    return folder


@pytest.fixture(scope="module")
def program(cache: Path) -> Path:
    return build(cache / "anongw" / "bench")


@pytest.fixture(scope="module")
def ports() -> Iterator[int]:
    return machine.free_ports()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), PRIVATE) as one:
        yield one


def work(program: Path, ports: Iterator[int], **options: str | float) -> Result:
    with load(program, None, {"origin": next(ports), "seconds": SHORT, **options}) as tool:
        return tool.go()


# --- the load generator


def test_it_is_built_once(cache: Path, program: Path) -> None:
    made = program.stat().st_mtime_ns
    assert build(cache / "anongw" / "bench") == program
    assert program.stat().st_mtime_ns == made
    assert list(program.parent.iterdir()) == [program]


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    done = run(["gcc", *FLAGS, "-Werror", "-fsyntax-only", *sorted(SOURCE.glob("*.c"))], tmp_path)
    assert done.stderr == b""
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        *(
            (kind, "socks5")
            for kind in ("ping", "visit", "arrive", "down", "up", "both", "uneven", "stalled")
        ),
        *(("visit", protocol) for protocol in ("plain", "login", "connect")),
    ],
)
def test_tunnels(kind: str, protocol: str, program: Path, ports: Iterator[int], own: Gateway) -> None:
    proxy = 0 if protocol == "plain" else own.where[1]
    done = work(program, ports, work=kind, protocol=protocol, proxy=proxy, clients=6, targets=3, rate=500)
    assert (done.units > 0) == (kind in ("ping", "visit", "arrive", "uneven", "stalled"))
    # What `stalled` brings nobody counts, for nobody reads it.
    assert (done.bytes > 100) == (kind in ("down", "up", "both", "uneven"))
    assert (done.failures, done.reopened) == (0, 0)
    assert SHORT <= done.seconds < PATIENCE
    assert done.cpu > 0
    if done.units:
        assert 0 < done.p50 <= done.p99


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize(
    ("path", "upload", "each"),
    [("/length/1024", 0, 1024), ("/chunked/20000", 0, 32768), ("/length/0", 100_000, 100_000)],
)
def test_plain_http(  # noqa: PLR0913
    path: str, upload: int, each: int, *, through: bool, program: Path, ports: Iterator[int], own: Gateway
) -> None:
    """Every byte of a body is counted, and none but these."""
    proxy = own.where[1] if through else 0
    done = work(program, ports, work="http", protocol="http", proxy=proxy, path=path, upload=upload)
    assert done.units > 0
    assert done.reopened == 0
    # One exchange at the most was broken off by the end of the time.
    assert done.units * each <= done.bytes <= (done.units + 1) * each


def test_hops(program: Path, ports: Iterator[int]) -> None:
    port = next(ports)
    done = work(program, ports, work="visit", protocol="socks5", proxy=port, hops=f"{port},{next(ports)}")
    assert done.units > 0
    assert done.failures == 0


def test_tunnels_are_held_until_the_end(program: Path, ports: Iterator[int], own: Gateway) -> None:
    before = len(own.descriptors())
    options: Options = {"work": "hold", "protocol": "socks5", "proxy": own.where[1], "clients": 100}
    with load(program, None, {**options, "more": 50, "origin": next(ports)}) as tool:
        assert before + 200 <= len(own.descriptors()) < before + 300
        tool.go()
        assert len(own.descriptors()) >= before + 300
    deadline = time.monotonic() + PATIENCE
    while len(own.descriptors()) > before:
        assert time.monotonic() < deadline


def test_arrivals_do_not_wait_for_those_before_them(program: Path, ports: Iterator[int]) -> None:
    """A proxy that takes connections and says nothing: they pile up, as an open loop's must."""
    with socket.create_server(("127.0.0.1", 0), backlog=8192) as silent, all_files():
        port = silent.getsockname()[1]
        with pytest.raises(NotMeasured, match="the proxy is 4096 connections behind"):
            work(program, ports, work="arrive", protocol="socks5", proxy=port, rate=1e6, seconds=PATIENCE)


def test_a_proxy_that_does_not_work_gives_no_figure(
    program: Path, ports: Iterator[int], tmp_path: Path
) -> None:
    with pytest.raises(NotMeasured, match="nobody listens; 0 of 1 tunnels were open"):
        work(program, ports, work="ping", protocol="socks5", proxy=next(ports))
    with gateway(tmp_path) as forbidding:
        port = forbidding.where[1]
        with pytest.raises(NotMeasured, match="the proxy refuses; 0 of 2 tunnels"):
            work(program, ports, work="ping", protocol="socks5", proxy=port, clients=2)
        with pytest.raises(NotMeasured, match="the proxy refuses, again and again"):
            work(program, ports, work="visit", protocol="connect", proxy=port, seconds=PATIENCE)
        with pytest.raises(NotMeasured, match=r"the proxy answers: HTTP/1\.1 403 Forbidden"):
            work(program, ports, work="http", protocol="http", proxy=port)
    with pytest.raises(NotMeasured, match="visits arrive at a rate"):
        work(program, ports, work="arrive")
    with pytest.raises(NotMeasured, match="there is no work dance"):
        work(program, ports, work="dance")


# --- processes


def test_a_session_is_measured_whole_and_ended_whole(tmp_path: Path, ports: Iterator[int]) -> None:
    port = next(ports)
    command = [sys.executable, "-c", FAMILY, str(port)]
    with running(command, port, tmp_path, None) as one:
        assert len(machine.members(one.session)) == 2
        assert 0.3 < machine.cpu_seconds(one.session) < one.started * 2
        assert machine.descriptors(one.session) >= 7  # 0, 1 and 2 of both, and the listener
        deadline = time.monotonic() + PATIENCE
        while machine.memory_kib(one.session) < 50 << 10:
            assert time.monotonic() < deadline
    assert machine.members(one.session) == []


def test_a_proxy_that_does_not_start_says_why(tmp_path: Path, ports: Iterator[int]) -> None:
    command = ["sh", "-c", "echo one; echo no such option >&2; exit 3"]
    with (
        pytest.raises(NotMeasured, match=r"^it ended: no such option$"),
        running(command, next(ports), tmp_path, None),
    ):
        pass


def test_sockets_are_counted_for_each_process(tmp_path: Path, ports: Iterator[int]) -> None:
    port = next(ports)
    with running([sys.executable, "-c", FAMILY, str(port)], port, tmp_path, None) as one:
        # The listener; the child has none.
        assert sorted(machine.sockets(one.session).values()) == [0, 1]


def test_a_port_that_somebody_else_has_is_no_proxys(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(NotMeasured, match=f"somebody else listens on port {port}"),
            running(["sleep", "600"], port, tmp_path, None),
        ):
            pass


def test_ports_are_free_and_each_is_given_once() -> None:
    free = machine.free_ports()
    assert len({next(free) for _ in range(20)}) == 20


def test_a_peer_that_is_missing_is_named() -> None:
    assert (
        Peer("none such", (), lambda _: [], "none-server").missing()
        == "not installed: apt install none-server"
    )
    assert Peer("sh", (), lambda _: []).missing() == ""


# --- sums


def samples(*values: tuple[float, float]) -> list[Sample]:
    return [{"conn/s": rate, "CPU us": cpu, "busy %": 90.0, "load %": 50.0} for rate, cpu in values]


def test_medians_spread_and_ratio() -> None:
    ours, theirs = samples((100, 4), (300, 6), (200, 5)), samples((50, 8), (100, 12), (400, 10))
    assert table.medians(ours)["conn/s"] == 200
    assert table.medians([]) == {}
    assert table.spread(ours, "conn/s") == 50
    # Each round's own: 2, 3 and 0.5. The ratio of the medians would be the same here: 2.
    assert table.ratio(ours, theirs, "conn/s") == 2
    assert table.ratio(ours, theirs, "CPU us") == 0.5
    # A peer that broke off has fewer rounds; no proxy has no CPU.
    assert table.ratio(ours, theirs[:1], "conn/s") == 2
    assert table.ratio(ours, [{"conn/s": 1.0}], "CPU us") is None
    assert [table.number(value) for value in (0, 0.123, 12.34, 1234.5)] == ["0.00", "0.12", "12.3", "1,234"]


def test_the_load_generator_as_the_limit_is_marked() -> None:
    bare: list[Sample] = [{"conn/s": 1000.0, "load %": 99.0}]
    proxied: Sample = {"p50 us": 5000.0, "conn/s": 500.0, "busy %": 90.0, "load %": 50.0}
    assert not table.is_limited([proxied], bare)
    assert not table.is_limited([proxied], [])
    assert table.is_limited([{**proxied, "load %": 95.0}], bare)
    assert table.is_limited([{**proxied, "conn/s": 950.0}], bare)
    assert not table.is_limited(bare, bare)


def test_failures_and_closed_connections_are_told() -> None:
    good = Result(units=10, bytes=0, seconds=1, cpu=1, failures=0, reopened=0, p50=1, p99=1)
    assert told("x", [good, good]) == []
    bad = msgspec.structs.replace(good, failures=2, reopened=3)
    assert told("x", [good, bad, bad]) == [
        "x: 4 of 34 connections failed",
        "x: closed its connection 6 times in 30 requests",
    ]


def outcome(name: str, **cpu: float) -> Outcome:
    workload = next(one for one in WORKLOADS if one.name == name)
    return Outcome(workload, {peer: samples((100, value)) for peer, value in cpu.items()})


def test_the_table() -> None:
    one = outcome("connect/socks5", anongw=50, microsocks=100)
    one.samples[NONE] = [{"conn/s": 1000.0, "load %": 99.0}]
    one.notes += ["dante: not measured: it ended", "dante: not measured: it ended"]
    assert table.section(one).splitlines() == [
        "connect/socks5: SOCKS5: a new connection, 64 B each way, close; 32 at a time",
        "                  conn/s     CPU us  busy %  load %  ours/its conn/s  ours/its CPU us",
        "  anongw        100 ± 0%  50.0 ± 0%    90.0    50.0",
        "  microsocks    100 ± 0%   100 ± 0%    90.0    50.0             1.00             0.50",
        "  no proxy    1,000 ± 0%                       99.0             0.10",
        "  dante: not measured: it ended",
    ]
    skipped = Outcome(one.workload, skipped="skipped: no chains")
    assert table.section(skipped).splitlines()[1:] == ["  skipped: no chains"]
    recorded = table.record([one], {"rounds": 1})
    assert json.loads(json.dumps(recorded))["workloads"]["connect/socks5"]["peers"]["microsocks"][
        "ours/its"
    ] == {
        "conn/s": 1,
        "CPU us": 0.5,
    }


def test_hops_are_set_against_the_direct_dial() -> None:
    direct, one, two = (
        outcome("chain/direct", anongw=100, v2ray=200),
        outcome("chain/one", anongw=150, v2ray=300),
        outcome("chain/two", anongw=210),
    )
    assert table.chains([direct, one, two]) == [
        "anongw: CPU of a connection through hops, direct = 1: one 1.50, two 2.10",
        "v2ray: CPU of a connection through hops, direct = 1: one 1.50",
    ]
    assert table.chains([one, two]) == []


def verdicts(outcomes: list[Outcome], *wanted: Target) -> list[tuple[float | None, str]]:
    return [(one.value, one.verdict) for one in targets.judged(outcomes, wanted)]


def test_targets_are_held_against_the_best_peer() -> None:
    one = outcome("http/small", anongw=50, squid=100, privoxy=125)
    cost = Target("http/small", "CPU us", 0.5, ("squid", "privoxy"))
    assert verdicts([one], cost) == [(0.5, "reached")]
    assert verdicts([outcome("http/small", anongw=51, squid=100, privoxy=125)], cost) == [
        (0.51, "not reached")
    ]
    # One of them is enough; none is not.
    assert verdicts([outcome("http/small", anongw=50, privoxy=125)], cost) == [(0.4, "reached")]
    assert verdicts([outcome("http/small", anongw=50)], cost) == [(None, "not measured")]
    assert verdicts([outcome("http/small", squid=50)], cost) == [(None, "not measured")]
    assert verdicts([], cost) == []


def test_targets_are_held_against_ourselves_and_against_no_proxy() -> None:
    plain, login = outcome("connect/socks5", anongw=100), outcome("connect/login", anongw=120)
    beside = Target("connect/login", "CPU us", 1.15, beside="connect/socks5")
    assert verdicts([plain, login], beside) == [(1.2, "not reached")]
    assert verdicts([login], beside) == [(None, "not measured")]
    latency = Outcome(plain.workload, {OURS: [{"p50 us": 300.0}], NONE: [{"p50 us": 160.0}]})
    over = Target("connect/socks5", "p50 us", 150, over_bare=True)
    assert verdicts([latency], over) == [(140, "reached")]
    del latency.samples[NONE]
    assert verdicts([latency], over) == [(None, "not measured")]


def test_a_rate_that_falls_short_may_be_the_load_generators() -> None:
    one = outcome("connect/socks5", anongw=50, microsocks=50)
    faster = Target("connect/socks5", "conn/s", 2, ("microsocks",))
    assert verdicts([one], faster) == [(1, "not reached")]
    one.samples[NONE] = [{"conn/s": 105.0, "load %": 99.0}]
    assert verdicts([one], faster) == [(1, "the load generator may be the limit")]
    # A cost is the proxy's own, whoever set the rate.
    assert verdicts([one], Target("connect/socks5", "CPU us", 0.5, ("microsocks",))) == [(1, "not reached")]
    assert targets.lines(targets.judged([one], [faster])) == [
        "connect/socks5  conn/s  at least 2 x microsocks  1.00  the load generator may be the limit",
        "0 of 1 targets reached",
    ]


def test_every_target_is_of_a_workload_and_of_peers_that_take_part() -> None:
    workloads = {one.name: one for one in WORKLOADS}
    peers = {one.name: one for one in PEERS}
    for target in targets.TARGETS:
        workload = workloads[target.workload]
        assert not target.beside or target.beside in workloads
        for peer in (target.ours, *target.peers):
            assert set(peers[peer].ways) & set(workload.ways), target


def test_workloads_are_chosen_by_name_or_group() -> None:
    assert [one.name for one in chosen(["pingpong", "connect"])] == [
        "pingpong",
        "connect/socks5",
        "connect/login",
        "connect/connect",
    ]
    assert [one.name for one in chosen([])] == names()
    with pytest.raises(ValueError, match="there is no workload conn; there are: bulk/socks5-down, "):
        chosen(["conn"])


def test_held_tunnels_keep_to_the_limit_on_open_files() -> None:
    assert most_held(1024) == 212
    assert most_held(20000) == 9700
    assert steps((5000, 9000), 9700) == (5000, 9000)
    assert steps((5000, 9000), 900) == (500, 900)


# --- all of it


def bench(*words: str) -> list[str]:
    return [sys.executable, "-m", "scripts.benchmark", "--peers", OURS, "--rounds", "1", *words]


def test_a_small_run(cache: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    only = "connect/login,idle,half,stalled,workers/spread"
    done = subprocess.run(
        [*bench("--quick", "--only", only, "--seconds", "0.05", "--targets", "--json"), str(report)],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(report.read_text())
    assert found["missing"] == {}
    for name in only.split(","):
        workload = found["workloads"][name]
        assert workload["notes"] == []
        assert f"\n{name}: " in done.stdout
        assert (NONE in workload["peers"]) == (name in ("connect/login", "half", "stalled"))
        if name == "workers/spread":
            assert workload["skipped"] == "skipped: no gateway of several processes among the peers"
            continue
        figures = workload["peers"][OURS]["median"]
        # Memory may stay as it was.
        assert all(value > 0 for key, value in figures.items() if "grown" not in key and "stalled" not in key)
    assert {one["workload"] for one in found["targets"]} == set(only.split(","))
    assert all(f"\n{one['workload']}  " in done.stdout for one in found["targets"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_an_interrupted_run(number: signal.Signals, cache: Path, tmp_path: Path) -> None:
    mark = f"BENCH_TEST={tmp_path}"
    name, _, value = mark.partition("=")
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "TMPDIR": str(tmp_path), name: value}
    process = subprocess.Popen(
        bench("--only", "pingpong", "--seconds", "600"), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not {"bench", "gateway", "load"} <= set(marked(mark).values()):
            assert time.monotonic() < deadline
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
        assert marked(mark) == {}
        assert list(tmp_path.iterdir()) == []
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def marked(mark: str) -> dict[int, str]:
    """What runs with this in its environment: the benchmark, a gateway, a load generator."""
    ours = {b"scripts.benchmark": "bench", b"serve": "gateway", b"work=ping": "load"}
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, words = (
                (folder / name).read_bytes().split(b"\0") for name in ("environ", "cmdline")
            )
        except OSError:
            continue
        if mark.encode() in environment:
            found[int(folder.name)] = next((ours[word] for word in words if word in ours), "other")
    return found
