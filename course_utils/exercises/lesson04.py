"""Exercises of lesson 04: one epoch of mini-batches, and a full gradient put together in chunks."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["one_epoch", "gradient_in_chunks"]


def _slope(w, x, y):
    return np.mean(2 * (w * x - y) * x)


def _epoch(w, x, y, batch_size, rate, slope=_slope, starts=None, asked_at=None, stop=None):
    for start in range(0, len(x), batch_size) if starts is None else starts(len(x), batch_size):
        part = slice(start, start + batch_size)
        w = w - rate * slope(w if asked_at is None else asked_at, x[part], y[part])
        if stop:
            break
    return w


def _wrong(**changes):
    return lambda w, x, y, batch_size, rate: _epoch(w, x, y, batch_size, rate, **changes)


def _epoch_inputs(rng):
    n, batch_size = rng.integers(5, 10), rng.integers(2, 4)
    n += n % batch_size == 0  # the last batch is smaller: what to do with it is the question
    return (
        round(rng.uniform(-2, 2), 1),
        rng.uniform(-2, 2, n).round(1),
        rng.uniform(-2, 2, n).round(1),
        int(batch_size),
        round(rng.uniform(0.05, 0.2), 2),
    )


one_epoch = Exercise(
    "one_epoch",
    reference=_epoch,
    inputs=_epoch_inputs,
    mistakes={
        "last batch dropped": (
            _wrong(starts=lambda n, b: range(0, n - b + 1, b)),
            "the last, smaller batch is left out. Every example belongs to the epoch.",
        ),
        "first batch only": (
            _wrong(stop=True),
            "only the first batch is used. Is `return` inside the loop?",
        ),
        "first batch again": (
            _wrong(starts=lambda n, b: [0] * len(range(0, n, b))),
            "every step uses the first batch. Move on: x[start:start + b].",
        ),
        "every example a start": (
            _wrong(starts=lambda n, b: range(n)),
            "the batches overlap: `start` must move on by the batch size.",
        ),
        "off by one": (
            lambda w, x, y, b, rate: _epoch_short(w, x, y, b, rate),
            "each batch lacks its last example: the end of a slice is left out already.",
        ),
        "slope asked once": (
            lambda w, x, y, b, rate: _epoch(w, x, y, b, rate, asked_at=w),
            "every slope is taken at the first w. Take it where w is now.",
        ),
        "sum": (
            _wrong(slope=lambda w, x, y: np.sum(2 * (w * x - y) * x)),
            "you add up over the batch. The loss is a mean, and so is its slope.",
        ),
        "two forgotten": (
            _wrong(slope=lambda w, x, y: np.mean((w * x - y) * x)),
            "the slope is half of what it should be: the slope of e² is 2e.",
        ),
        "x forgotten": (
            _wrong(slope=lambda w, x, y: np.mean(2 * (w * x - y))),
            "the slope lacks the factor x: how much does w · x grow with w?",
        ),
        "sign": (
            _wrong(slope=lambda w, x, y: -_slope(w, x, y)),
            "you walk uphill: subtract the slope.",
        ),
        "fixed divisor": (
            lambda w, x, y, b, rate: _epoch(
                w, x, y, b, rate, slope=lambda w, x, y: np.sum(2 * (w * x - y) * x) / b
            ),
            "the last batch is smaller, but you divide by the full batch size.",
        ),
        "no rate": (
            lambda w, x, y, b, rate: _epoch(w, x, y, b, 1.0),
            "the step lacks the learning rate.",
        ),
        "last batch only": (
            lambda w, x, y, b, rate: (
                w - rate * _slope(w, x[(len(x) - 1) // b * b :], y[(len(x) - 1) // b * b :])
            ),
            "only the last batch makes a step. Is the update inside the loop?",
        ),
        "single examples": (
            lambda w, x, y, b, rate: _epoch(w, x, y, 1, rate),
            "you take a step for each example. Take one for each batch.",
        ),
        "whole data each time": (
            lambda w, x, y, b, rate: _epoch(
                w, x, y, b, rate, slope=lambda w, *part: _slope(w, x, y)
            ),
            "every step looks at all data. Use the slices.",
        ),
        "full batch": (
            lambda w, x, y, b, rate: w - rate * _slope(w, x, y),
            "this is one step on all data. Take one step for each batch.",
        ),
    },
)


def _epoch_short(w, x, y, batch_size, rate):
    for start in range(0, len(x), batch_size):
        part = slice(start, max(start + 1, min(start + batch_size, len(x)) - 1))
        w = w - rate * _slope(w, x[part], y[part])
    return w


def _chunks(x, chunk):
    return [slice(start, start + chunk) for start in range(0, len(x), chunk)]


def _sums(w, x, y):
    return np.sum(2 * (w * x - y) * x)


def _chunk_inputs(rng):
    n, chunk = rng.integers(5, 11), rng.integers(2, 5)
    n += n % chunk == 0
    return (
        round(rng.uniform(-2, 2), 1),
        rng.uniform(-2, 2, n).round(1),
        rng.uniform(-2, 2, n).round(1),
        int(chunk),
    )


gradient_in_chunks = Exercise(
    "gradient_in_chunks",
    reference=lambda w, x, y, chunk: _slope(w, x, y),
    inputs=_chunk_inputs,
    tolerance=1e-9,
    mistakes={
        "mean of means": (
            lambda w, x, y, c: np.mean([_slope(w, x[p], y[p]) for p in _chunks(x, c)]),
            "you average the means of the chunks. The last chunk is smaller, so its "
            "examples count too much. Add up first, divide once at the end.",
        ),
        "sum": (
            lambda w, x, y, c: _sums(w, x, y),
            "you add up, but never divide by the number of examples.",
        ),
        "divided by chunk": (
            lambda w, x, y, c: _sums(w, x, y) / c,
            "you divide by the size of a chunk. Divide by the number of all examples.",
        ),
        "divided by chunks": (
            lambda w, x, y, c: _sums(w, x, y) / len(_chunks(x, c)),
            "you divide by the number of chunks. Divide by the number of all examples.",
        ),
        "sum of means": (
            lambda w, x, y, c: np.sum([_slope(w, x[p], y[p]) for p in _chunks(x, c)]),
            "you add up the means of the chunks. Add up the sums, "
            "then divide by the number of all examples.",
        ),
        "last chunk dropped": (
            lambda w, x, y, c: _sums(w, x[: len(x) // c * c], y[: len(x) // c * c]) / len(x),
            "the last, smaller chunk is left out.",
        ),
        "last chunk only": (
            lambda w, x, y, c: _sums(w, x[_chunks(x, c)[-1]], y[_chunks(x, c)[-1]]) / len(x),
            "only the last chunk is left: add with `total = total + …`, do not replace the total.",
        ),
        "first chunk only": (
            lambda w, x, y, c: _sums(w, x[:c], y[:c]) / len(x),
            "only the first chunk is used. Is `return` inside the loop?",
        ),
        "two forgotten": (
            lambda w, x, y, c: _slope(w, x, y) / 2,
            "half of what it should be: the slope of e² is 2e.",
        ),
        "x forgotten": (
            lambda w, x, y, c: np.mean(2 * (w * x - y)),
            "the factor x is missing: how much does w · x grow with w?",
        ),
        "loss": (
            lambda w, x, y, c: np.mean((w * x - y) ** 2),
            "this is the loss itself. Its slope is asked for.",
        ),
        "sign": (lambda w, x, y, c: -_slope(w, x, y), "the sign is wrong: the error is w x − y."),
    },
)
