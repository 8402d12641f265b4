"""Numerical gradients: one batched call against one call for each coordinate."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import approx_fprime

from benchmarks.timing import figure, slowdowns, table
from course_utils.differentiation import gradient

__all__ = ["FUNCTIONS", "contenders", "report"]

SAMPLES = 20


def element_loop(f: Callable, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """Central differences as textbooks write them: nudge one entry, evaluate, restore it."""
    grad = np.zeros_like(x)
    entries = np.nditer(x, flags=["multi_index"])
    while not entries.finished:
        i = entries.multi_index
        here = x[i]
        x[i] = here + h
        above = f(x)
        x[i] = here - h
        below = f(x)
        x[i] = here
        grad[i] = (above - below) / (2 * h)
        entries.iternext()
    return grad


def sum_of_squares(n: int, rng: np.random.Generator) -> Callable:
    """x₀² + … + xₙ₋₁²: next to nothing to compute, so that the calls themselves are measured."""
    return lambda x: (x * x).sum(axis=-1)


def network_loss(n: int, rng: np.random.Generator) -> Callable:
    """Mean squared error of a two-layer tanh network, a function of its n weights in one row."""
    inputs, width = next((n // k - 1, k) for k in range(int(n**0.5), 0, -1) if n % k == 0)
    data = rng.normal(size=(SAMPLES, inputs)) / np.sqrt(inputs)
    target = rng.normal(size=SAMPLES)

    def loss(w):
        first = w[..., : inputs * width].reshape(*w.shape[:-1], inputs, width)
        second = w[..., inputs * width :, None]
        prediction = (np.tanh(data @ first) @ second)[..., 0]
        return ((prediction - target) ** 2).mean(axis=-1)

    return loss


FUNCTIONS = {"sum of squares": sum_of_squares, "two-layer network": network_loss}


def contenders(f: Callable, x: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """The three ways to the gradient of f at x, ours first."""
    return {
        "batched": lambda: gradient(f, x, batched=True),
        "element loop": lambda: element_loop(f, x),
        "approx_fprime": lambda: approx_fprime(x, f),
    }


def bare_function(f: Callable, x: np.ndarray) -> Callable[[], object]:
    """f alone at 2n points, in blocks that fit into a cache: what no batching can go below."""
    rows = max(1, min(2 * x.size, 2**20 // x.nbytes))
    block = np.repeat(x[None], rows, axis=0)
    return lambda: [f(block) for _ in range(0, 2 * x.size, rows)]


def report(sizes=(100, 1_000, 10_000), rounds=5) -> str:
    """Measure and return the Markdown table.

    The last column is the loop's time over the time of the bare function: the most that any
    batching could gain. For large n it is small, since reading and writing 2n copies of n numbers
    takes longer than calling a function 2n times.

    Raises AssertionError if the ways do not arrive at the same gradient.
    """
    rows = []
    for title, make in FUNCTIONS.items():
        for n in sizes:
            rng = np.random.default_rng(0)
            f, x = make(n, rng), rng.normal(size=n)
            ways = contenders(f, x)
            found = {name: way() for name, way in ways.items()}
            size = np.abs(found["batched"]).max()
            for name, grad in found.items():
                off = np.abs(grad - found["batched"]).max() / size
                # approx_fprime takes forward differences: about half of the digits are right.
                assert off < 1e-3, f"{title}, n = {n}: {name} differs by {off:.0e}"
            ours = ways.pop("batched")
            slower = slowdowns(ours, ways | {"bare": bare_function(f, x)}, rounds)
            most = slower["element loop"] / slower.pop("bare")
            rows.append([title, f"{n:,}", *map(figure, slower.values()), figure(most)])
    head = [
        "function",
        "n",
        "element loop (2n calls)",
        "`approx_fprime` (n + 1 calls)",
        "loop ÷ bare function",
    ]
    return table(head, rows)
