"""Exercises of lesson 03: binary cross-entropy, and a log-softmax that does not overflow."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["binary_cross_entropy", "log_softmax"]


def _bce(p, y):
    return np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def _bce_inputs(rng):
    n = rng.integers(2, 7)
    y = rng.integers(0, 2, n)
    y[rng.integers(n)] = 1
    y[0] = 1 - y[-1]
    return rng.uniform(0.05, 0.95, n).round(2), y


binary_cross_entropy = Exercise(
    "binary_cross_entropy",
    reference=_bce,
    inputs=_bce_inputs,
    mistakes={
        "sign": (
            lambda p, y: -_bce(p, y),
            "the sign is wrong: the logarithm of a probability is negative, "
            "and the loss is minus that.",
        ),
        "sum": (lambda p, y: _bce(p, y) * len(p), "you add the examples up. Take their mean."),
        "not joined": (
            lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)),
            "you give back one loss for each example. Take their mean.",
        ),
        "only the ones": (
            lambda p, y: np.mean(-y * np.log(p)),
            "examples with target 0 cost nothing here. They need the term with 1 − y.",
        ),
        "only the zeros": (
            lambda p, y: np.mean(-(1 - y) * np.log(1 - p)),
            "examples with target 1 cost nothing here. They need the term with y.",
        ),
        "swapped": (
            lambda p, y: _bce(1 - p, y),
            "p and 1 − p are swapped: a target of 1 should cost −log p.",
        ),
        "targets and predictions swapped": (
            lambda p, y: np.mean(
                -(p * np.log(np.maximum(y, 1e-12)) + (1 - p) * np.log(np.maximum(1 - y, 1e-12)))
            ),
            "p and y have changed places: the logarithm is taken of the prediction.",
        ),
        "minus before one term": (
            lambda p, y: np.mean(-y * np.log(p) + (1 - y) * np.log(1 - p)),
            "the minus sign reaches one term alone. Put the two terms in brackets, "
            "and one minus before them.",
        ),
        "log p in both": (
            lambda p, y: -np.mean(y * np.log(p) + (1 - y) * np.log(p)),
            "both terms have log p. For a target of 0 the data have the probability 1 − p.",
        ),
        "no weight on the second": (
            lambda p, y: -np.mean(y * np.log(p) + np.log(1 - p)),
            "the second term counts for every example. It belongs to those with target 0.",
        ),
        "sigmoid first": (
            lambda p, y: _bce(1 / (1 + np.exp(-p)), y),
            "p is a probability already. Do not put it through a sigmoid.",
        ),
        "two means": (
            lambda p, y: -np.mean(np.log(p[y == 1])) - np.mean(np.log(1 - p[y == 0])),
            "you add the mean over the ones and the mean over the zeros. Take one mean over all.",
        ),
        "base two": (
            lambda p, y: _bce(p, y) / np.log(2),
            "you use the logarithm to base 2. Use the natural one, np.log.",
        ),
        "base ten": (
            lambda p, y: _bce(p, y) / np.log(10),
            "you use the logarithm to base 10. Use the natural one, np.log.",
        ),
        "log of the mean": (
            lambda p, y: -np.log(np.mean(np.where(y == 1, p, 1 - p))),
            "you average the probabilities and then take the logarithm. It is the other way round.",
        ),
        "squared error": (
            lambda p, y: np.mean((p - y) ** 2),
            "this is the squared error. Use the logarithms.",
        ),
        "one minus": (
            lambda p, y: np.mean(np.where(y == 1, 1 - p, p)),
            "this is how far p is from y, without a logarithm.",
        ),
    },
)


def _log_softmax(z):
    shifted = z - np.max(z, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _two_steps(z):
    return np.log(np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True))


def _shifted_two_steps(z):
    shares = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return np.log(shares / np.sum(shares, axis=-1, keepdims=True))


def _logits(rng):
    rows, size = rng.integers(2, 4), (2.0, 2000.0)[rng.integers(2)]
    z = rng.uniform(-size, size, (rows, 3)).round(1)
    return (z + rng.uniform(-1, 1, (rows, 1)).round(1) * size,)


log_softmax = Exercise(
    "log_softmax",
    reference=_log_softmax,
    inputs=_logits,
    mistakes={
        "two steps": (
            _two_steps,
            "exp of a large score is infinite, and infinity divided by infinity is nan. "
            "Subtract the largest score of each row first.",
        ),
        "log of a sum of large numbers": (
            lambda z: z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True)),
            "exp of a large score is still infinite here. "
            "Subtract the largest score of each row first.",
        ),
        "log of zero": (
            _shifted_two_steps,
            "nothing overflows now, but a small share is rounded to 0, and its log is "
            "−inf. Do not form the shares: log(exp(z) / s) = z − log(s).",
        ),
        "no axis": (
            lambda z: np.log(np.exp(z) / np.sum(np.exp(z))),
            "you sum over the whole array. Each row is a sample: axis=-1. "
            "And exp of a large score is infinite.",
        ),
        "all in one, shares": (
            lambda z: np.log(np.exp(z - np.max(z)) / np.sum(np.exp(z - np.max(z)))),
            "you sum over the whole array. Each row is a sample: axis=-1. "
            "And do not form the shares.",
        ),
        "shift only in the sum": (
            lambda z: _log_softmax(z) + np.max(z, axis=-1, keepdims=True),
            "the largest score is subtracted inside the sum alone. "
            "Subtract it from the z in front, too.",
        ),
        "plus": (
            lambda z: 2 * (z - np.max(z, axis=-1, keepdims=True)) - _log_softmax(z),
            "you add the logarithm of the sum. A quotient becomes a difference.",
        ),
        "divided": (
            lambda z: _log_softmax(z / np.max(z, axis=-1, keepdims=True)),
            "you divide by the largest score. That changes the shares. Subtract it.",
        ),
        "softmax": (
            lambda z: np.exp(_log_softmax(z)),
            "these are the shares themselves. Their logarithm is asked for.",
        ),
        "largest of all": (
            lambda z: (
                (z - np.max(z)) - np.log(np.sum(np.exp(z - np.max(z)), axis=-1, keepdims=True))
            ),
            "you subtract the largest score of the whole array. In a row of much "
            "smaller scores every exp is 0 then. Take the largest of each row.",
        ),
        "all in one": (
            lambda z: (z - np.max(z)) - np.log(np.sum(np.exp(z - np.max(z)))),
            "you sum over the whole array. Each row is a sample of its own: axis=-1.",
        ),
        "columns": (
            lambda z: _log_softmax(z.T).T,
            "you work down the columns. Each row is a sample: axis=-1.",
        ),
        "no sum": (
            lambda z: z - np.max(z, axis=-1, keepdims=True),
            "only the largest score is subtracted. Subtract the logarithm of the sum as well.",
        ),
        "mean in place of max": (
            lambda z: (
                z
                - np.mean(z, axis=-1, keepdims=True)
                - np.log(
                    np.sum(np.exp(z - np.mean(z, axis=-1, keepdims=True)), axis=-1, keepdims=True)
                )
            ),
            "you subtract the mean. What lies far above it still overflows. Subtract the largest.",
        ),
        "sign": (
            lambda z: -_log_softmax(z),
            "the sign is wrong: logarithms of shares are negative.",
        ),
    },
)
