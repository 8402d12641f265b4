"""Exercises of lesson 04: one epoch of mini-batches, and a full gradient put together in chunks."""

import numpy as np

from course_utils.exercises import Edit, Exercise

__all__ = ["one_epoch", "gradient_in_chunks"]


def _slope(w, x, y):
    return np.mean(2 * (w * x - y) * x)


def _epoch(w, x, y, batch_size, rate):
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        slope = np.mean(2 * (w * x[part] - y[part]) * x[part])
        w = w - rate * slope
    return w


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
        "last batch dropped": Edit(
            "the last, smaller batch is left out. Every example belongs to the epoch.",
            ("len(x), batch_size)", "len(x) - batch_size + 1, batch_size)"),
        ),
        "first batch only": Edit(
            "only the first batch is used. Is `return` inside the loop?",
            ("    return w", "        return w"),
        ),
        "first batch again": Edit(
            "every step uses the first batch. Move on: x[start:start + b].",
            ("slice(start, start + batch_size)", "slice(0, batch_size)"),
        ),
        "every example a start": Edit(
            "the batches overlap: `start` must move on by the batch size.",
            ("range(0, len(x), batch_size)", "range(len(x))"),
        ),
        "off by one": Edit(
            "each batch lacks its last example: the end of a slice is left out already.",
            ("start + batch_size", "max(start + 1, min(start + batch_size, len(x)) - 1)"),
        ),
        "slope asked once": Edit(
            "every slope is taken at the first w. Take it where w is now.",
            ("    for start", "    first = w\n    for start"),
            ("(w * x[part]", "(first * x[part]"),
        ),
        "sum": Edit(
            "you add up over the batch. The loss is a mean, and so is its slope.",
            ("np.mean", "np.sum"),
        ),
        "two forgotten": Edit(
            "the slope is half of what it should be: the slope of e² is 2e.", ("2 * (w", "(w")
        ),
        "x forgotten": Edit(
            "the slope lacks the factor x: how much does w · x grow with w?", (" * x[part])", ")")
        ),
        "sign": Edit("you walk uphill: subtract the slope.", ("w - rate", "w + rate")),
        "fixed divisor": Edit(
            "the last batch is smaller, but you divide by the full batch size.",
            ("np.mean", "np.sum"),
            (" * x[part])", " * x[part]) / batch_size"),
        ),
        "no rate": Edit("the step lacks the learning rate.", ("rate * slope", "slope")),
        "last batch only": Edit(
            "only the last batch makes a step. Is the update inside the loop?",
            ("        w = w - rate * slope", "    w = w - rate * slope"),
        ),
        "single examples": Edit(
            "you take a step for each example. Take one for each batch.",
            ("len(x), batch_size)", "len(x))"),
            ("start + batch_size", "start + 1"),
        ),
        "whole data each time": Edit(
            "every step looks at all data. Use the slices.",
            ("slice(start, start + batch_size)", "slice(None)"),
        ),
        "full batch": (
            lambda w, x, y, b, rate: w - rate * _slope(w, x, y),
            "this is one step on all data. Take one step for each batch.",
        ),
    },
)


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
