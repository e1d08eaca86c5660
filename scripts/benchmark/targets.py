"""What the gateway's speed is meant to come to, each held against what was measured in this run.

Most are ratios to a peer in the same round, so that a machine's own speed and its other programs hit both. A
rate that the load generator may have limited says nothing where it falls short: that is told as such, and the
CPU time beside it is what counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scripts.benchmark.bench import Outcome
from scripts.benchmark.peers import NONE, OURS, OURS_SHARED
from scripts.benchmark.table import is_limited, medians, number, ratio

Verdict = Literal["reached", "not reached", "the load generator may be the limit", "not measured"]
# More of these is better; of every other figure less is.
_WANTED = ("/s", "least share %")


@dataclass(frozen=True)
class Target:
    workload: str
    figure: str
    bound: float
    # Ours divided by that of the best of these peers; none: the figure itself.
    peers: tuple[str, ...] = ()
    # Ours divided by ours in this other workload.
    beside: str = ""
    # Ours less that of no proxy.
    over_bare: bool = False
    # Whose figure it is.
    ours: str = OURS

    @property
    def at_least(self) -> bool:
        return self.figure.endswith(_WANTED)

    @property
    def wanted(self) -> str:
        """In words, such as "at least 1.2 x haproxy"."""
        sign = "at least" if self.at_least else "at most"
        if self.peers:
            return f"{sign} {self.bound:g} x {' or '.join(self.peers)}"
        if self.beside:
            return f"{sign} {self.bound:g} x {self.beside}"
        return f"{sign} {self.bound:,g}{' over no proxy' if self.over_bare else ''}"


_BETTER = ("squid", "privoxy")

TARGETS = (
    *(
        target
        for way in ("socks5", "connect")
        for work in ("down", "up", "both")
        for target in (
            Target(f"bulk/{way}-{work}", "MB/s", 1.2, ("haproxy",)),
            *([Target(f"bulk/{way}-{work}", "MB/s", 3, ("microsocks",))] if way == "socks5" else []),
            Target(f"bulk/{way}-{work}", "CPU s/GB", 0.5, ("haproxy",)),
        )
    ),
    Target("pingpong", "exchanges/s", 1.0, ("haproxy",)),
    Target("pingpong", "CPU us", 1.1, ("haproxy",)),
    Target("connect/socks5", "CPU us", 1.0, ("microsocks",)),
    Target("connect/socks5", "conn/s", 2, ("pproxy",)),
    Target("connect/login", "CPU us", 1.15, beside="connect/socks5"),
    Target("connect/connect", "CPU us", 1.15, beside="connect/socks5"),
    *(
        target
        for name in ("http/small", "http/differing")
        for target in (Target(name, "requests/s", 2, _BETTER), Target(name, "CPU us", 0.5, _BETTER))
    ),
    Target("http/down", "MB/s", 1.5, _BETTER),
    Target("http/up", "MB/s", 1.5, _BETTER),
    Target("http/chunked", "MB/s", 1.0, _BETTER),
    Target("idle", "KiB each", 2),
    Target("idle", "KiB each more", 2),
    # Noise of the allocator; what each of 9,000 tunnels left behind would be more.
    Target("idle", "MiB grown", 1),
    Target("workers/spread", "least share %", 40, ours=OURS_SHARED),
    Target("workers/cost", "CPU us", 1.1, (OURS,), ours=OURS_SHARED),
    Target("latency", "p50 us", 150, over_bare=True),
    Target("half", "p99 us", 1000),
    Target("start", "ms", 400),
    Target("import", "ms", 250),
    Target("chain/one", "CPU us", 1.6, beside="chain/direct"),
    Target("uneven", "p99 us", 5000),
    Target("stalled", "p99 us", 5000),
    # One chunk a direction.
    Target("stalled", "KiB each stalled", 128),
)


@dataclass(frozen=True)
class Judged:
    target: Target
    value: float | None
    verdict: Verdict


def judged(outcomes: Sequence[Outcome], targets: Sequence[Target] = TARGETS) -> list[Judged]:
    """All targets whose workload was asked for, in their order."""
    found = {one.workload.name: one for one in outcomes}
    return [_judged(found, target) for target in targets if target.workload in found]


def _judged(found: Mapping[str, Outcome], target: Target) -> Judged:
    outcome = found[target.workload]
    value = _value(found, target)
    if value is None:
        return Judged(target, None, "not measured")
    if value >= target.bound if target.at_least else value <= target.bound:
        return Judged(target, value, "reached")
    bare = outcome.samples.get(NONE, [])
    is_rate = target.figure.endswith("/s") and is_limited(outcome.samples[target.ours], bare)
    return Judged(target, value, "the load generator may be the limit" if is_rate else "not reached")


def _value(found: Mapping[str, Outcome], target: Target) -> float | None:
    ours = found[target.workload].samples.get(target.ours, [])
    if not ours or target.figure not in ours[0]:
        return None
    if target.beside:
        other = found.get(target.beside)
        return ratio(ours, other.samples.get(target.ours, []), target.figure) if other else None
    samples = found[target.workload].samples
    if target.peers:
        ratios = [ratio(ours, samples.get(peer, []), target.figure) for peer in target.peers]
        known = [one for one in ratios if one is not None]
        # Against the best of them: the ratio that is hardest to reach.
        worst: Callable[[Sequence[float]], float] = min if target.at_least else max
        return worst(known) if known else None
    middle = medians(ours)[target.figure]
    if target.over_bare:
        bare = samples.get(NONE, [])
        return middle - medians(bare)[target.figure] if bare else None
    return middle


def lines(results: Sequence[Judged]) -> list[str]:
    """A table for people."""
    rows = [
        (
            one.target.workload,
            one.target.figure,
            one.target.wanted,
            "" if one.value is None else number(one.value),
            one.verdict,
        )
        for one in results
    ]
    widths = [max((len(row[at]) for row in rows), default=0) for at in range(4)]
    table = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]) for row in rows]
    reached = sum(one.verdict == "reached" for one in results)
    return [*table, f"{reached} of {len(results)} targets reached"]


def record(results: Sequence[Judged]) -> list[dict[str, Any]]:
    """The same for a file."""
    return [
        {
            "workload": one.target.workload,
            "figure": one.target.figure,
            "wanted": one.target.wanted,
            "found": one.value,
            "verdict": one.verdict,
        }
        for one in results
    ]
