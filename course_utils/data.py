"""Something to learn from: real handwritten digits, and small worlds whose truth is known.

    X, y = digits()                                     # 1,797 images of 8 × 8 pixels, 10 classes
    X, y = moons(np.random.default_rng(SEED), 200)      # two half circles, as any number of points

Whatever is drawn at random is drawn from the generator you pass first: the same seed makes the
same data, and nothing here touches a hidden global state. Then

    (X, y), (X_val, y_val), (X_test, y_test) = split(rng, X, y)
    for batch in minibatches(rng, len(X), 32):          # one epoch
        ... X[batch], y[batch] ...

Lessons 03 and 04 use `line`, `digits` and `minibatches`; 05 and 06 classify `digits`, `moons` and
`spirals`; 07 fits a `noisy_curve` and splits; 08 uses all of it. Where
runs are compared (05, 07) `confidence_interval` says how sure the comparison is.
"""

from pathlib import Path

import numpy as np

__all__ = [
    "digits",
    "line",
    "noisy_curve",
    "moons",
    "spirals",
    "split",
    "minibatches",
    "confidence_interval",
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
    _source("line", rng, n, noise=noise)
    slope, intercept = _number("line", "slope", slope), _number("line", "intercept", intercept)
    x = rng.uniform(-1, 1, size=n)
    return x, slope * x + intercept + noise * rng.normal(size=n)


def noisy_curve(rng: np.random.Generator, n: int, noise: float = 0.3) -> Arrays:
    """n points around one wave: y = sin(πx) + noise · N(0, 1), x uniform in [−1, 1).

    Returns x (n,), not sorted, and y (n,). Raises what `line` raises.
    """
    _source("noisy_curve", rng, n, noise=noise)
    x = rng.uniform(-1, 1, size=n)
    return x, np.sin(np.pi * x) + noise * rng.normal(size=n)


# ---------------------------------------------------------------------------------------------
# Worlds whose truth is known: two classes in the plane
# ---------------------------------------------------------------------------------------------


def moons(rng: np.random.Generator, n: int, noise: float = 0.1) -> Arrays:
    """n points on two half circles that reach into each other; no straight line parts them.

    Class 0 lies on (cos t, sin t), class 1 on (1 − cos t, ½ − sin t), t uniform in [0, π); then
    noise · N(0, 1) is added to both coordinates.

    Returns X (n, 2) and labels y (n,), which alternate 0, 1, 0, 1, …: every even number of points
    from the front is balanced. Raises what `line` raises.
    """
    _source("moons", rng, n, noise=noise)
    y = np.arange(n) % 2
    t = rng.uniform(0, np.pi, size=n)
    side = 1 - 2 * y
    X = np.stack([y + side * np.cos(t), y / 2 + side * np.sin(t)], axis=-1)
    return X + noise * rng.normal(size=(n, 2)), y


def spirals(rng: np.random.Generator, n: int, noise: float = 0.02, turns: float = 1.5) -> Arrays:
    """n points on two spirals wound into each other: hard for a small network.

    At radius r, uniform in [0.1, 1), the arm of class y has the angle 2π · turns · r + π y; then
    noise · N(0, 1) is added to both coordinates. The arms are ½ / turns apart along a ray: with
    noise well below that the classes can be told apart.

    Returns X (n, 2) and labels y (n,), which alternate. Raises what `line` raises.
    """
    _source("spirals", rng, n, noise=noise)
    turns = _number("spirals", "turns", turns)
    y = np.arange(n) % 2
    r = rng.uniform(0.1, 1, size=n)
    angle = 2 * np.pi * turns * r + np.pi * y
    X = r[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return X + noise * rng.normal(size=(n, 2)), y


# ---------------------------------------------------------------------------------------------
# What training does with data
# ---------------------------------------------------------------------------------------------


def split(
    rng: np.random.Generator,
    X: np.ndarray,
    y: np.ndarray,
    validation: float = 0.2,
    test: float = 0.2,
    *,
    stratify: bool = False,
) -> tuple[Arrays, Arrays, Arrays]:
    """Shuffle samples into three parts: to learn from, to choose by, and to judge with at the end.

    X, y        arrays whose first axis counts the n samples
    validation  the share of samples for choosing: 0.2 of 100 are 20
    test        the share that is touched once, at the end; what remains is for training
    stratify    give each class (each value of y) about the same share of every part; a class of a
                handful of samples may still miss one

    Returns (X_train, y_train), (X_val, y_val), (X_test, y_test): copies, every sample in exactly
    one of them. A share of 0 makes an empty part.

    Raises TypeError or ValueError for an rng that is none, X and y of different lengths, shares
    outside [0, 1), a share that comes to no sample, and shares that leave none for training.
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"split: X has shape {X.shape} and y has {y.shape}; the first axis of both must count "
            "the same samples"
        )
    n = len(X)
    _source("split", rng, n)
    if stratify and y.ndim != 1:
        raise ValueError(f"split: stratify=True needs one label a sample, y (n,), not {y.shape}")
    sizes = _part("validation", validation, n), _part("test", test, n)
    if sum(sizes) >= n:
        raise ValueError(
            f"split: validation = {validation} and test = {test} leave none of {n} samples "
            "for training"
        )
    order = rng.permutation(n)
    if stratify:
        order = _spread(order, y)
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
    _source("minibatches", rng, n)
    _count("minibatches", "batch_size", batch_size)
    if batch_size > n:
        raise ValueError(
            f"minibatches: batch_size = {batch_size} but there are only n = {n} samples; the order "
            "is (rng, n, batch_size), and batch_size=n is the full batch"
        )
    order = rng.permutation(n)
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]


# ---------------------------------------------------------------------------------------------
# What a handful of runs says
# ---------------------------------------------------------------------------------------------

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


# ---------------------------------------------------------------------------------------------
# Checks
# ---------------------------------------------------------------------------------------------


def _source(owner, rng, n, noise=0.0):
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{owner}: the first argument must be a random generator, so that the draw can be "
            f"repeated: rng = np.random.default_rng(SEED), not {rng!r}"
        )
    _count(owner, "n", n)
    if _number(owner, "noise", noise) < 0:
        raise ValueError(f"{owner}: noise is a standard deviation, at least 0, not {noise}")


def _count(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{owner}: {name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{owner}: {name} must be at least 1, not {value}")


def _number(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{owner}: {name} must be one number, not {value!r}")
    if not np.isfinite(value):
        raise ValueError(f"{owner}: {name} must be finite, not {value}")
    return value


def _part(name, share, n):
    """How many of n samples a share is."""
    if not 0 <= _number("split", name, share) < 1:
        raise ValueError(
            f"split: {name} is a share of the samples, at least 0 and below 1, not {share}; "
            f"for k samples: {name}=k / {n}"
        )
    size = round(share * n)
    if share > 0 and size == 0:
        raise ValueError(f"split: {name} = {share} of {n} samples is none; 0 says so on purpose")
    return size


def _spread(order, y):
    """Reorder a shuffled `order` so that each class is spread evenly from its front to its end."""
    place = np.empty(len(order))
    for label in np.unique(y):
        members = np.flatnonzero(y[order] == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place, kind="stable")]
