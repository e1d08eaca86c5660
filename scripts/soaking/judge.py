"""Counts -> what is wrong, and how memory went."""

from collections.abc import Mapping, Sequence
from statistics import mean

from scripts.soaking.gateway import Count

# By how much memory may grow from the first count to the last: what the allocator keeps here and there, in
# KiB, and in bytes for each connection. The least that can leak in each, an object, has 50 bytes or more.
_KEPT_MOST = 1536
_EACH_MOST = 10


def slope(counts: Sequence[Count]) -> float:
    """KiB for each connection, by least squares."""
    if len(counts) < 2:  # noqa: PLR2004 - a line takes two points
        return 0.0
    xs, ys = [one.connections for one in counts], [one.memory_kib for one in counts]
    x, y = mean(xs), mean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def growth(counts: Sequence[Count]) -> float:
    """KiB from the first to the last, along that line: one count that is high or low does little."""
    return slope(counts) * (counts[-1].connections - counts[0].connections)


def growth_most(counts: Sequence[Count]) -> float:
    """KiB by which it may have grown."""
    return _KEPT_MOST + _EACH_MOST * (counts[-1].connections - counts[0].connections) / 1024


def faults(before: Count, counts: Sequence[Count], status: Mapping[str, object]) -> list[str]:
    """What a soak leaves behind and must not, a sentence each.

    Args:
        before: of the gateway that nobody has used yet.
        counts: from the end of the warm-up on, each without a client.
        status: what the gateway says of itself after all of them.

    """
    found = []
    after = counts[-1].files
    for kind in sorted(after):
        # Pipes are kept, as many as there were transfers at once; they are bounded by limits.pipe_bytes.
        # Fewer may be: before, a module was still being read.
        more = after.get(kind, 0) - before.files.get(kind, 0)
        if kind != "pipe" and more > 0:
            found.append(f"{more} descriptors more than before: {kind}")
    grown = growth(counts)
    if grown > growth_most(counts):
        each = 1024 * slope(counts)
        found.append(f"memory grew by {grown:,.0f} KiB, {each:,.0f} bytes for each connection")
    wrong = {field: status.get(field) for field in ("bugs", "live") if status.get(field) != 0}
    return [*found, *(f"status says {field}: {value}" for field, value in wrong.items())]
