"""Samples -> medians, spread and ratios; a table for people and a record for machines."""

from collections.abc import Sequence
from math import inf
from statistics import median
from typing import Any

from scripts.benchmark.bench import Outcome
from scripts.benchmark.peers import NONE, OURS
from scripts.benchmark.workloads import BUSY, LOAD, Sample

# Of no proxy's rate: nearer to it, the load generator may be what is measured.
_NEAR = 0.9
LIMITED = "*"


def medians(samples: Sequence[Sample]) -> Sample:
    """Of each figure, over all rounds."""
    return {key: median(sample[key] for sample in samples) for key in (samples[0] if samples else ())}


def spread(samples: Sequence[Sample], key: str) -> float:
    """Half of what lies between the least round and the most, in % of the median."""
    values = [sample[key] for sample in samples]
    middle = median(values)
    return 50 * (max(values) - min(values)) / middle if middle else 0.0


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample], key: str) -> float | None:
    """Ours divided by theirs: the median of each round's, whose two were measured one after the other."""
    pairs = [
        (our[key], their[key])
        for our, their in zip(ours, theirs, strict=False)
        if key in our and their.get(key)
    ]
    return median(our / their for our, their in pairs) if pairs else None


def is_limited(samples: Sequence[Sample], bare: Sequence[Sample]) -> bool:
    """Whether the load generator, and not the proxy, may have set the rate."""
    here, there = medians(samples), medians(bare)
    if BUSY not in here:
        return False
    rate = next(key for key in here if key.endswith("/s"))
    return here[LOAD] > here[BUSY] or here[rate] > _NEAR * there.get(rate, inf)


def number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004


def section(outcome: Outcome) -> str:
    """The lines of one workload."""
    lines = [f"{outcome.workload.name}: {outcome.workload.title}"]
    if outcome.skipped:
        return "\n".join([*lines, f"  {outcome.skipped}"])
    rows = [_row(outcome, name) for name, samples in outcome.samples.items() if samples]
    header = _header(outcome)
    widths = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    for row in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return "\n".join([*lines, *(f"  {note}" for note in dict.fromkeys(outcome.notes))])


def _keys(outcome: Outcome) -> list[str]:
    """The figures that any peer has, in their order."""
    return list(
        dict.fromkeys(key for samples in outcome.samples.values() for one in samples[:1] for key in one)
    )


def _header(outcome: Outcome) -> list[str]:
    return ["", *_keys(outcome), *(f"ours/its {key}" for key in outcome.workload.compared)]


def _row(outcome: Outcome, name: str) -> list[str]:
    samples, ours = outcome.samples[name], outcome.samples.get(OURS, [])
    middle = medians(samples)
    cells = []
    for key in _keys(outcome):
        if key not in middle:
            cells.append("")
        elif key in outcome.workload.compared:
            cells.append(f"{number(middle[key])} ±{spread(samples, key):2.0f}%")
        else:
            cells.append(number(middle[key]))
    ratios = [None if name == OURS else ratio(ours, samples, key) for key in outcome.workload.compared]
    mark = LIMITED if is_limited(samples, outcome.samples.get(NONE, [])) else ""
    return [name + mark, *cells, *("" if one is None else f"{one:.2f}" for one in ratios)]


def chains(outcomes: Sequence[Outcome]) -> list[str]:
    """What hops cost: each peer's CPU through one and two, against its own direct dial."""
    found = {one.workload.name: one for one in outcomes if one.workload.hops is not None}
    direct = found.get("chain/direct")
    if direct is None:
        return []
    lines = []
    for name in direct.samples:
        costs = [
            f"{one.workload.name.partition('/')[2]} {times:.2f}"
            for one in found.values()
            if one is not direct
            and (times := ratio(one.samples.get(name, []), direct.samples[name], "CPU us")) is not None
        ]
        if costs:
            lines.append(f"{name}: CPU of a connection through hops, direct = 1: {', '.join(costs)}")
    return lines


def record(outcomes: Sequence[Outcome], about: dict[str, Any]) -> dict[str, Any]:
    """Everything, for a file."""
    return {**about, "workloads": {one.workload.name: _recorded(one) for one in outcomes}}


def _recorded(outcome: Outcome) -> dict[str, Any]:
    ours, bare = outcome.samples.get(OURS, []), outcome.samples.get(NONE, [])
    peers = {
        name: {
            "median": medians(samples),
            "spread %": {key: spread(samples, key) for key in medians(samples)},
            "ours/its": {key: ratio(ours, samples, key) for key in outcome.workload.compared},
            "load generator may be the limit": is_limited(samples, bare),
            "samples": samples,
        }
        for name, samples in outcome.samples.items()
    }
    return {
        "title": outcome.workload.title,
        "skipped": outcome.skipped,
        "notes": outcome.notes,
        "peers": peers,
    }
