"""Counts -> what is wrong, and how memory went."""

from collections.abc import Mapping, Sequence
from statistics import mean

from scripts.soaking.gateway import Count

# KiB by which memory may grow from the first count to the last: what the allocator keeps here and there. A
# leak of one flow's record in each connection is more after 2,000 of them.
GROWTH_MOST = 1536.0


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


def faults(before: Count, counts: Sequence[Count], status: Mapping[str, object]) -> list[str]:
    """What a soak leaves behind and must not, a sentence each.

    Args:
        before: of the gateway that nobody has used yet.
        counts: from the end of the warm-up on, each without a client.
        status: what the gateway says of itself after all of them.

    """
    found = []
    after = counts[-1].files
    for kind in sorted(before.files | after):
        # Pipes are kept, as many as there were transfers at once; they are bounded by limits.pipe_bytes.
        more = after.get(kind, 0) - before.files.get(kind, 0)
        if kind != "pipe" and more != 0:
            found.append(f"{abs(more)} descriptors {'more' if more > 0 else 'less'} than before: {kind}")
    grown = growth(counts)
    if grown > GROWTH_MOST:
        each = 1024 * slope(counts)
        found.append(f"memory grew by {grown:,.0f} KiB, {each:,.0f} bytes for each connection")
    wrong = {field: status.get(field) for field in ("bugs", "live") if status.get(field) != 0}
    return [*found, *(f"status says {field}: {value}" for field, value in wrong.items())]
