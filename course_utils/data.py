"""Something to learn from: real handwritten digits, and small worlds whose truth is known.

Two of them::

    X, y = digits()                                     # 1,797 images of 8 × 8 pixels, 10 classes
    x, y = line(np.random.default_rng(SEED), 200)       # a line with noise, as any number of points

Whatever is drawn at random is drawn from the generator you pass first: the same seed makes the
same data, and nothing here touches a hidden global state. Then::

    (X, y), (X_val, y_val), (X_test, y_test) = split(rng, X, y)
    for batch in minibatches(rng, len(X), 32):          # one epoch
        ... X[batch], y[batch] ...
"""

from pathlib import Path

import numpy as np

from course_utils._given import array, generator, number, whole

__all__ = [
    "digits",
    "line",
    "noisy_curve",
    "split",
    "minibatches",
]

Arrays = tuple[np.ndarray, np.ndarray]


# ---------------------------------------------------------------------------------------------
# Real data
# ---------------------------------------------------------------------------------------------


def digits() -> Arrays:
    """1,797 handwritten digits: images X (1797, 64) with pixels from 0 to 1, labels y (1797,).

    X is float64: ink in each of 8 × 8 pixels, row after row (``X[i].reshape(8, 8)`` is a
    picture), stored in steps of 1/16. y is int64, 0 … 9, 174 to 183 images of each. They stand in
    the order in which they were collected, so neighbours are often by the same hand: shuffle.

    They come with the package; nothing is downloaded. E. Alpaydin and C. Kaynak (1998), the test
    part of "Optical Recognition of Handwritten Digits", CC BY 4.0: see digits.md beside this file.
    """
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        images, labels = file["images"], file["labels"]
    return images.reshape(-1, 64) / 16, labels.astype(np.int64)


# ---------------------------------------------------------------------------------------------
# Worlds whose truth is known: numbers from numbers
# ---------------------------------------------------------------------------------------------


def line(
    rng: np.random.Generator,
    n: int,
    slope: float = 2.0,
    intercept: float = 1.0,
    noise: float = 0.3,
) -> Arrays:
    """n points around a line: y = slope · x + intercept + noise · N(0, 1), x uniform in [−1, 1).

    Returns x (n,) and y (n,). Raises TypeError or ValueError for an rng that is none, n below 1,
    a negative noise, or a slope, intercept or noise that is not one finite number.
    """
    _drawn("line", rng, n, noise=noise)
    slope, intercept = number("line", "slope", slope), number("line", "intercept", intercept)
    x = rng.uniform(-1, 1, size=n)
    return x, slope * x + intercept + noise * rng.normal(size=n)


def noisy_curve(rng: np.random.Generator, n: int, noise: float = 0.3) -> Arrays:
    """n points around one wave: y = sin(πx) + noise · N(0, 1), x uniform in [−1, 1).

    Returns x (n,), not sorted, and y (n,). Raises what `line` raises.
    """
    _drawn("noisy_curve", rng, n, noise=noise)
    x = rng.uniform(-1, 1, size=n)
    return x, np.sin(np.pi * x) + noise * rng.normal(size=n)


# ---------------------------------------------------------------------------------------------
# What training does with data
# ---------------------------------------------------------------------------------------------


def split(
    rng: np.random.Generator,
    X: np.ndarray,
    y: np.ndarray,
    validation: float = 0.2,
    test: float = 0.2,
) -> tuple[Arrays, Arrays, Arrays]:
    """Shuffle samples into three parts: to learn from, to choose by, and to judge with at the end.

    Returns (X_train, y_train), (X_val, y_val), (X_test, y_test): copies, every sample in exactly
    one of them. A share of 0 makes an empty part.

    Raises TypeError or ValueError for an rng that is none, X and y of different lengths, shares
    outside [0, 1), a share that comes to no sample, and shares that leave none for training.

    Parameters
    ----------
    rng
        the random generator that shuffles.
    X, y
        arrays whose first axis counts the n samples.
    validation
        the share of samples for choosing: 0.2 of 100 are 20.
    test
        the share that is touched once, at the end; what remains is for training.
    """
    X, y = array("split", "X", X), array("split", "y", y)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"split: X has shape {X.shape} and y has {y.shape}; the first axis of both must count "
            "the same samples"
        )
    n = len(X)
    _drawn("split", rng, n)
    sizes = _part("validation", validation, n), _part("test", test, n)
    if sum(sizes) >= n:
        raise ValueError(
            f"split: validation = {validation} and test = {test} leave none of {n} samples "
            "for training"
        )
    order = rng.permutation(n)
    cuts = np.cumsum(sizes)
    chosen, judged, learnt = np.split(order, cuts)
    return (X[learnt], y[learnt]), (X[chosen], y[chosen]), (X[judged], y[judged])


def minibatches(rng: np.random.Generator, n: int, batch_size: int) -> list[np.ndarray]:
    """One epoch: the numbers 0 … n − 1 in random order, cut into batches.

    Returns a list of ⌈n / batch_size⌉ index arrays of length batch_size; the last one is shorter
    if batch_size does not divide n. Each sample is in exactly one. Call it again for the next
    epoch: the same list again would be the same batches again.

    Raises TypeError or ValueError for an rng that is none and for batch_size not in 1 … n.
    """
    _drawn("minibatches", rng, n)
    whole("minibatches", "batch_size", batch_size)
    if batch_size > n:
        raise ValueError(
            f"minibatches: batch_size = {batch_size} but there are only n = {n} samples; the order "
            "is (rng, n, batch_size), and batch_size=n is the full batch"
        )
    order = rng.permutation(n)
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]


# ---------------------------------------------------------------------------------------------
# Checks
# ---------------------------------------------------------------------------------------------


def _part(name, share, n):
    """How many of n samples a share is."""
    if not 0 <= number("split", name, share) < 1:
        raise ValueError(
            f"split: {name} is a share of the samples, at least 0 and below 1, not {share}; "
            f"for k samples: {name}=k / {n}"
        )
    size = round(share * n)
    if share > 0 and size == 0:
        raise ValueError(f"split: {name} = {share} of {n} samples is none; 0 says so on purpose")
    return size


def _drawn(owner, rng, n, noise=0.0):
    generator(owner, "the first argument", rng)
    if whole(owner, "n", n) > 10**9:
        raise ValueError(f"{owner}: n = {n:.3g} numbers do not fit into memory; take fewer")
    if number(owner, "noise", noise) < 0:
        raise ValueError(f"{owner}: noise is a standard deviation, at least 0, not {noise}")
