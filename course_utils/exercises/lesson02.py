"""Exercises of lesson 02: the numerical gradient, and the relative error of a gradient check."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["numerical_gradient", "relative_error"]


def sum_of_squares(x):
    return np.sum(x**2)


def twisted(x):
    return x[0] ** 3 + np.sum(np.sin(x)) + np.prod(x)


def _central(f, x, h, up=1.0, down=1.0, width=2.0):
    x = np.array(x, dtype=float)
    steps = h * np.eye(len(x))
    return np.array([(f(x + up * s) - f(x - down * s)) / (width * h) for s in steps])


def _never_restored(f, x, h):
    nudged, slopes = np.array(x, dtype=float), []
    for i in range(len(x)):
        nudged[i] += h
        above = f(nudged)
        nudged[i] -= 2 * h
        slopes.append((above - f(nudged)) / (2 * h))
    return np.array(slopes)


def _drifting(f, x, h):
    x = np.array(x, dtype=float)
    steps = h * np.tril(np.ones((len(x), len(x))))
    return np.array([(f(x + s) - f(x - s)) / (2 * h) for s in steps])


def _whole_numbers(f, x, h):
    slopes = []
    for i in range(len(x)):
        above, below = np.array(x), np.array(x)
        above[i], below[i] = above[i] + h, below[i] - h
        slopes.append((f(above) - f(below)) / (2 * h))
    return np.array(slopes)


def _gradient_inputs(rng):
    n = rng.integers(2, 5)
    whole = rng.random() < 0.3
    x = rng.integers(1, 4, n) if whole else rng.uniform(-2, 2, n).round(2)
    return (sum_of_squares, twisted)[rng.integers(2)], x, round(rng.uniform(0.01, 0.2), 2)


numerical_gradient = Exercise(
    "numerical_gradient",
    reference=_central,
    inputs=_gradient_inputs,
    mistakes={
        "h not doubled": (
            lambda f, x, h: _central(f, x, h, width=1.0),
            "twice too large: from x − h to x + h you move by 2h.",
        ),
        "half times h": (
            lambda f, x, h: _central(f, x, h) * h**2,
            "`/ 2 * h` divides by 2 and then multiplies by h. Put brackets around "
            "what you divide by.",
        ),
        "brackets": (
            lambda f, x, h: np.array(
                [
                    f(np.array(x, float) + s) - f(np.array(x, float) - s) / (2 * h)
                    for s in h * np.eye(len(x))
                ]
            ),
            "brackets are missing: only the second value is divided.",
        ),
        "forward": (
            lambda f, x, h: _central(f, x, h, down=0.0, width=1.0),
            "this is the forward difference. Move to both sides.",
        ),
        "forward halved": (
            lambda f, x, h: _central(f, x, h, down=0.0),
            "you move to one side only, but divide by 2h.",
        ),
        "backward": (
            lambda f, x, h: _central(f, x, h, up=0.0, width=1.0),
            "this is the backward difference. Move to both sides.",
        ),
        "sign": (
            lambda f, x, h: -_central(f, x, h),
            "the difference is the wrong way round: the sign is wrong.",
        ),
        "not restored": (
            _never_restored,
            "one entry is not put back before the next is nudged, so later slopes "
            "are taken at another place. Start each time from a fresh copy.",
        ),
        "all at once": (
            lambda f, x, h: np.full(
                len(x), (f(np.array(x, float) + h) - f(np.array(x, float) - h)) / (2 * h)
            ),
            "you nudge all entries at once. Nudge one, and hold the others still.",
        ),
        "whole numbers": (
            _whole_numbers,
            "right for floats, but an array of whole numbers cuts the digits off: "
            "up, the nudge is lost; down, it becomes 1. "
            "Make your copies floats: `np.array(x, dtype=float)`.",
        ),
        "whole result": (
            lambda f, x, h: _central(f, x, h).astype(np.asarray(x).dtype),
            "your result is an array of whole numbers, so it cuts the slopes off: "
            "start from `np.zeros(len(x))`.",
        ),
        "copies before the loop": (
            _drifting,
            "your copies are made before the loop, so earlier nudges stay. "
            "Make fresh copies in each round.",
        ),
        "return in the loop": (
            lambda f, x, h: _central(f, x, h) * (np.arange(len(x)) == 0),
            "`return` is inside the loop, so it stops after the first entry. Move it to the left.",
        ),
        "one array": (
            lambda f, x, h: np.zeros(len(x)),
            "all slopes are 0. `below = above` makes no copy: it is one array.",
        ),
        "sum": (
            lambda f, x, h: np.sum(_central(f, x, h)),
            "you add the slopes up. The gradient keeps one for each entry.",
        ),
    },
)


def _ratio(a, n, size=np.maximum, join=np.max, absolute=np.abs):
    difference, scale = absolute(a - n), size(np.abs(a), np.abs(n))
    return join(np.where(scale > 0, difference / np.where(scale > 0, scale, 1), 0.0))


def _signed_size(a, n):
    size = np.maximum(a, n)
    return np.max(np.abs(a - n) / np.where(size > 0, size, 1))


def _error_inputs(rng):
    n = rng.integers(2, 6)
    analytic = rng.uniform(-3, 3, n).round(2)
    analytic[rng.integers(n)] = 0.0
    change = np.where(analytic == 0, 0, rng.uniform(-0.5, 0.5, n)).round(2)
    return analytic, analytic + change


relative_error = Exercise(
    "relative_error",
    reference=_ratio,
    inputs=_error_inputs,
    mistakes={
        "no absolute value": (
            lambda a, n: _ratio(a, n, absolute=lambda d: d),
            "take the absolute value of the difference: "
            "a large negative one is a large error, too.",
        ),
        "absolute error": (
            lambda a, n: np.max(np.abs(a - n)),
            "this is the absolute error. Divide it by the size of the numbers.",
        ),
        "mean": (
            lambda a, n: _ratio(a, n, join=np.mean),
            "you take the mean. One wrong entry would drown among many right ones.",
        ),
        "sum": (lambda a, n: _ratio(a, n, join=np.sum), "you add the errors up. Take the largest."),
        "not joined": (
            lambda a, n: _ratio(a, n, join=np.asarray),
            "you give back one error for each entry. Give back the largest.",
        ),
        "smaller size": (
            lambda a, n: _ratio(a, n, size=np.minimum),
            "divide by the larger of the two sizes, not by the smaller.",
        ),
        "analytic size": (
            lambda a, n: _ratio(a, n, size=lambda p, q: p),
            "you divide by the size of `analytic` alone. Take the larger of the two.",
        ),
        "numerical size": (
            lambda a, n: _ratio(a, n, size=lambda p, q: q),
            "you divide by the size of `numerical` alone. Take the larger of the two.",
        ),
        "sum of sizes": (
            lambda a, n: _ratio(a, n, size=np.add),
            "you divide by the sum of the sizes. Take the larger of the two.",
        ),
        "zero over zero": (
            lambda a, n: np.max(np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))),
            "where both are zero you divide 0 by 0, and the result is nan. "
            "Two zeros agree: their error is 0.",
        ),
        "one size for all": (
            lambda a, n: np.max(np.abs(a - n)) / np.max(np.maximum(np.abs(a), np.abs(n))),
            "you divide by the one largest number. Divide each entry by its own size first.",
        ),
        "size with sign": (
            _signed_size,
            "the sizes need absolute values: the larger of |a| and |n|.",
        ),
        "norms": (
            lambda a, n: np.linalg.norm(a - n) / np.maximum(np.linalg.norm(a), np.linalg.norm(n)),
            "you compare the lengths of whole vectors. A wrong small entry is lost in that. "
            "Compare entry by entry.",
        ),
    },
)
