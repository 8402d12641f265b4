"""Times compared side by side: alternating, and the median of several rounds."""

from collections.abc import Callable
from statistics import median
from time import perf_counter

__all__ = ["slowdowns", "figure", "table"]

# A call that takes less is repeated until this many seconds have gone by.
_LEAST = 0.02


def _seconds(call: Callable[[], object]) -> float:
    """Mean seconds of one call."""
    count, begin = 0, perf_counter()
    while (elapsed := perf_counter() - begin) < _LEAST or not count:
        call()
        count += 1
    return elapsed / count


def slowdowns(
    ours: Callable[[], object], others: dict[str, Callable[[], object]], rounds: int
) -> dict[str, float]:
    """How many times longer each of the others takes than ours: the median over the rounds.

    In each round everyone runs once, one after the other, so that a machine which slows down for
    a while slows everybody down. All run once beforehand: first calls fill caches.
    """
    ours()
    for other in others.values():
        other()
    ratios = {name: [] for name in others}
    for _ in range(rounds):
        reference = _seconds(ours)
        for name, other in others.items():
            ratios[name].append(_seconds(other) / reference)
    return {name: median(values) for name, values in ratios.items()}


def figure(ratio: float) -> str:
    """A ratio to two significant digits; timing knows no more."""
    return f"{float(f'{ratio:.2g}'):,g} ×"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])
