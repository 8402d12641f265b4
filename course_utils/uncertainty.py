"""What a handful of runs says, and how sure it is."""

from __future__ import annotations

import numpy as np

__all__ = ["confidence_interval", "plus_minus"]

# The 97.5 % points of Student's t distribution with 1, 2, … 19 degrees of freedom.
_STUDENT = [
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
    2.120,
    2.110,
    2.101,
    2.093,
]


def confidence_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of runs and half the width of its 95 % interval: mean ± half.

    values: n independent results (n, ...), 2 to 20 of them. half is t · s / √n, with s the sample
    standard deviation and t from Student's distribution (Student 1908). It supposes that results
    scatter about like a normal distribution; if they do, such an interval misses the true mean in
    one experiment of twenty.

    Raises ValueError for fewer than 2 results or more than 20.
    """
    values = np.asarray(values, float)
    n = len(values) if values.ndim else 0
    if not 2 <= n <= 20:
        raise ValueError(f"confidence_interval: it takes 2 to 20 results, not {n}")
    half = _STUDENT[n - 2] * values.std(axis=0, ddof=1) / np.sqrt(n)
    return values.mean(axis=0), half


def plus_minus(values: np.ndarray, digits: int = 3) -> str:
    """The interval of n results (n,), written as mean ± half: "0.072 ± 0.012".

    digits: how many behind the point. Raises what `confidence_interval` raises.
    """
    mean, half = confidence_interval(values)
    return f"{mean:.{digits}f} ± {half:.{digits}f}".replace("-", "−")
