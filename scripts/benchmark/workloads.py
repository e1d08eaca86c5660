"""What is measured: the workloads, who can take part, what the load generator does, and which figures tell.

`figures` are in the order in which they are shown. Of these, `compared` are set against ours: the ratio is
ours divided by the peer's, so that a rate wants to be above 1, and a cost below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scripts.benchmark.load import Options, Result
from scripts.benchmark.peers import TARGETS, WORKERS, Way
from scripts.benchmark.running import NotMeasured

Sample = dict[str, float]


@dataclass(frozen=True)
class Cost:
    """What a run cost the proxy."""

    # Seconds.
    cpu: float
    # KiB of memory that it has more than before.
    grown: float


Figures = Callable[[Result, Cost | None], Sample]

# How to ask for a tunnel where any will do: the first that a peer speaks.
TUNNEL: tuple[Way, ...] = ("socks5", "connect", "plain")
SOCKS5: tuple[Way, ...] = ("socks5", "plain")
LOGIN: tuple[Way, ...] = ("login",)
CONNECT: tuple[Way, ...] = ("connect",)
HTTP: tuple[Way, ...] = ("http",)

BUSY, LOAD = "busy %", "load %"
BODY = 100_000_000
# Connections held by `idle`, one step after the other, where the limit on open files allows.
HELD, HELD_QUICK = (5000, 9000), (500, 1000)
# What of its own rate a proxy is given by `half`, and how many wait at once while that rate is found.
HALF, AT_ONCE = 0.5, 32
# Tunnels of which is counted who has them.
SPREAD = 1000
# Downloads of which nobody reads in `stalled`; BULK_BESIDE in generator/work.c.
STALLED = 4


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    ways: tuple[Way, ...]
    figures: Figures
    compared: tuple[str, ...]
    options: Options = field(default_factory=dict)
    kind: Literal["run", "half", "idle", "spread", "start", "import"] = "run"
    # Whether it is about one gateway of several processes, with no other proxy beside it.
    of_workers: bool = False
    # How many SOCKS5 hops the proxy dials through; only for proxies that can. None: no chain is meant.
    hops: int | None = None


def _some(count: int) -> None:
    if count == 0:
        raise NotMeasured("nothing was done in a whole round")


def _shares(result: Result, cost: Cost | None) -> Sample:
    """How busy the proxy's core was with it, and the load generator's with that."""
    busy = {} if cost is None else {BUSY: 100 * cost.cpu / result.seconds}
    return {**busy, LOAD: 100 * result.cpu / result.seconds}


def _each(rate: str) -> Figures:
    """Units in a second, and what each costs."""

    def figures(result: Result, cost: Cost | None) -> Sample:
        _some(result.units)
        each = {} if cost is None else {"CPU us": 1e6 * cost.cpu / result.units}
        waits = {"p50 us": result.p50, "p99 us": result.p99}
        return {rate: result.units / result.seconds, **each, **waits, **_shares(result, cost)}

    return figures


def _bulk(result: Result, cost: Cost | None) -> Sample:
    _some(result.bytes)
    each = {} if cost is None else {"CPU s/GB": 1e9 * cost.cpu / result.bytes}
    return {"MB/s": result.bytes / result.seconds / 1e6, **each, **_shares(result, cost)}


def _first_byte(result: Result, cost: Cost | None) -> Sample:
    _some(result.units)
    each = {} if cost is None else {"CPU us": 1e6 * cost.cpu / result.units}
    return {"p50 us": result.p50, "p99 us": result.p99, **each}


def _uneven(result: Result, cost: Cost | None) -> Sample:
    _some(result.units)
    rates = {"exchanges/s": result.units / result.seconds, "MB/s": result.bytes / result.seconds / 1e6}
    return {"p50 us": result.p50, "p99 us": result.p99, **rates, **_shares(result, cost)}


def _stalled(result: Result, cost: Cost | None) -> Sample:
    _some(result.units)
    grown = {} if cost is None else {"KiB each stalled": cost.grown / STALLED}
    rate = {"exchanges/s": result.units / result.seconds}
    return {"p50 us": result.p50, "p99 us": result.p99, **rate, **grown, **_shares(result, cost)}


def _nothing(_result: Result, _cost: Cost | None) -> Sample:
    return {}


def _tunnels(way: str, ways: tuple[Way, ...]) -> list[Workload]:
    return [
        Workload(
            f"bulk/{way}-{work}",
            f"bulk {work} through {way.upper()}, 4 connections",
            ways,
            _bulk,
            ("MB/s", "CPU s/GB"),
            {"work": work, "clients": 4},
        )
        for work in ("down", "up", "both")
    ]


def _connections(
    name: str, title: str, ways: tuple[Way, ...], hops: int | None = None, *, of_workers: bool = False
) -> Workload:
    return Workload(
        name,
        f"{title}: a new connection, 64 B each way, close; {AT_ONCE} at a time",
        ways,
        _each("conn/s"),
        ("conn/s", "CPU us"),
        {"work": "visit", "clients": AT_ONCE, "targets": TARGETS},
        of_workers=of_workers,
        hops=hops,
    )


def _bodies(name: str, title: str, options: Options) -> Workload:
    return Workload(
        f"http/{name}",
        f"plain HTTP, {title}, 1 connection",
        HTTP,
        _bulk,
        ("MB/s", "CPU s/GB"),
        {"work": "http", "clients": 1, **options},
    )


WORKLOADS = (
    *_tunnels("socks5", SOCKS5),
    *_tunnels("connect", (*CONNECT, "plain")),
    Workload(
        "pingpong",
        "64 B to and fro on 32 kept tunnels",
        TUNNEL,
        _each("exchanges/s"),
        ("exchanges/s", "CPU us"),
        {"work": "ping", "clients": 32},
    ),
    _connections("connect/socks5", "SOCKS5", SOCKS5),
    _connections("connect/login", "SOCKS5 with user and password", LOGIN),
    _connections("connect/connect", "CONNECT", CONNECT),
    Workload(
        "http/small",
        "plain HTTP, answers of 1 KiB, 32 kept connections",
        HTTP,
        _each("requests/s"),
        ("requests/s", "CPU us"),
        {"work": "http", "clients": 32, "path": "/length/1024"},
    ),
    Workload(
        "http/differing",
        "the same, but no request and no answer is like one before",
        HTTP,
        _each("requests/s"),
        ("requests/s", "CPU us"),
        {"work": "http", "clients": 32, "path": "/other/length/1024"},
    ),
    _bodies("down", "bodies of 100 MB down", {"path": f"/length/{BODY}"}),
    _bodies("up", "bodies of 100 MB up", {"path": "/length/0", "upload": BODY}),
    _bodies("chunked", "bodies of 100 MB down in chunks of 16 KiB", {"path": f"/chunked/{BODY}"}),
    Workload(
        "idle",
        "memory (PSS) for each idle tunnel; the same for those of the second step; what stays when all are"
        " closed, and what more the same takes when it is done again",
        TUNNEL,
        _nothing,
        ("KiB each",),
        {"work": "hold"},
        kind="idle",
    ),
    Workload(
        "latency",
        "time to the first byte through an idle proxy: a new connection every 2 ms",
        TUNNEL,
        _first_byte,
        ("p50 us", "p99 us"),
        {"work": "visit", "clients": 1, "targets": TARGETS, "pause": 2000},
    ),
    Workload(
        "half",
        "time to the first byte at half load: arrivals by chance, half as many as it serves of 32 at a time",
        TUNNEL,
        _each("conn/s"),
        ("p99 us",),
        {"work": "arrive", "targets": TARGETS},
        kind="half",
    ),
    Workload(
        "uneven",
        "64 B to and fro on 8 tunnels while 4 others carry bulk",
        TUNNEL,
        _uneven,
        ("p99 us",),
        {"work": "uneven", "clients": 12},
    ),
    Workload(
        "stalled",
        f"64 B to and fro on 8 tunnels while nobody reads what {STALLED} others bring",
        TUNNEL,
        _stalled,
        ("p99 us",),
        {"work": "stalled", "clients": 8 + STALLED},
    ),
    Workload("start", "from the start until it accepts", TUNNEL, _nothing, ("ms",), kind="start"),
    Workload(
        "import", "loading the gateway's modules, over an empty Python", TUNNEL, _nothing, (), kind="import"
    ),
    _connections(
        "workers/cost",
        f"one process and {WORKERS}, SOCKS5, all on one core: what counts is CPU",
        ("socks5",),
        of_workers=True,
    ),
    Workload(
        "workers/spread",
        f"how {SPREAD:,} tunnels that are kept lie over {WORKERS} processes, which have all cores",
        ("socks5",),
        _nothing,
        (),
        {"work": "hold", "clients": SPREAD},
        kind="spread",
        of_workers=True,
    ),
    _connections("chain/direct", "SOCKS5, no hop", ("socks5",), hops=0),
    _connections("chain/one", "SOCKS5 through one hop", ("socks5",), hops=1),
    _connections("chain/two", "SOCKS5 through two hops", ("socks5",), hops=2),
)


def chosen(words: Sequence[str]) -> list[Workload]:
    """The workloads of these names or groups, in their own order; none: all.

    Raises:
        ValueError: a word names none.
    """
    for word in words:
        if not any(_is_named(workload, word) for workload in WORKLOADS):
            raise ValueError(f"there is no workload {word}; there are: {', '.join(names())}")
    return [one for one in WORKLOADS if not words or any(_is_named(one, word) for word in words)]


def names() -> list[str]:
    return [workload.name for workload in WORKLOADS]


def _is_named(workload: Workload, word: str) -> bool:
    return workload.name == word or workload.name.startswith(f"{word}/")
