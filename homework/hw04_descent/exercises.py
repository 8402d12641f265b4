"""Homework 04: rates that are found, weights, averages of a walk, and how noisy a batch is."""

import numpy as np

from course_utils.exercises import Exercise
from course_utils.exercises import functions as f

PAIRS = [
    (f.bowl, f.bowl_gradient),
    (f.valley, f.valley_gradient),
    (f.twisted, f.twisted_gradient),
    (f.hills, f.hills_gradient),
]


def _point(rng, n):
    """Numbers with one decimal between 0.3 and 1.9 in size: no slope of 0, no large power."""
    return (rng.uniform(0.3, 1.9, n) * rng.choice([-1, 1], n)).round(1)


# ---------------------------------------------------------------------------------- line_search


def _search(f, gradient, x, rate, shrink, share, enough=None, at_most=200):
    g = gradient(x)
    enough = enough or (lambda t: f(x - t * g) <= f(x) - share * t * (g @ g))
    for _ in range(at_most):
        if enough(rate):
            break
        rate = shrink * rate
    return rate


def _search_with(enough):
    """A wrong search: ``enough(f, x, g, t, share)`` says when a rate will do."""

    def wrong(f, gradient, x, rate, shrink, share):
        g = gradient(x)
        return _search(f, gradient, x, rate, shrink, share, lambda t: enough(f, x, g, t, share))

    return wrong


def _search_inputs(rng):
    return (
        *PAIRS[rng.integers(4)],
        _point(rng, rng.integers(2, 5)),
        (1.0, 2.0, 4.0)[rng.integers(3)],
        (0.7, 0.8, 0.9)[rng.integers(3)],
        (0.2, 0.3, 0.4)[rng.integers(3)],
    )


line_search = Exercise(
    "line_search",
    reference=_search,
    inputs=_search_inputs,
    mistakes={
        "any fall": (
            _search_with(lambda f, x, g, t, c: f(x - t * g) < f(x)),
            "any fall is enough for you, however small. It must be at least the share of "
            "what the slope promises.",
        ),
        "length not squared": (
            _search_with(lambda f, x, g, t, c: f(x - t * g) <= f(x) - c * t * np.linalg.norm(g)),
            "the slope promises a fall of t |∇f|², not t |∇f|: the step t ∇f is the longer the "
            "steeper it is.",
        ),
        "share forgotten": (
            _search_with(lambda f, x, g, t, c: f(x - t * g) <= f(x) - t * (g @ g)),
            "you ask for all that the slope promises. A valley gives less: ask for the share.",
        ),
        "rate forgotten": (
            _search_with(lambda f, x, g, t, c: f(x - t * g) <= f(x) - c * (g @ g)),
            "a short step may fall less than a long one: the fall that is asked for needs the "
            "factor t.",
        ),
        "unit step": (
            _search_with(
                lambda f, x, g, t, c: (
                    f(x - t * g / np.linalg.norm(g)) <= f(x) - c * t * np.linalg.norm(g)
                )
            ),
            "you walk along the unit vector. The step is t times the gradient itself.",
        ),
        "uphill asked": (
            _search_with(lambda f, x, g, t, c: f(x - t * g) <= f(x) + c * t * (g @ g)),
            "you allow a rise. The sign before the share is wrong.",
        ),
        "first rate": (
            lambda f, g, x, rate, shrink, share: rate,
            "the first rate is given back. Does your loop ever run?",
        ),
        "once": (
            lambda f, g, x, rate, shrink, share: _search(f, g, x, rate, shrink, share, at_most=1),
            "you shrink the rate once at the most. Go on until the fall is enough.",
        ),
        "one more": (
            lambda f, g, x, rate, shrink, share: shrink * _search(f, g, x, rate, shrink, share),
            "you shrink once more after the fall was enough.",
        ),
        "the place": (
            lambda f, g, x, rate, shrink, share: x - _search(f, g, x, rate, shrink, share) * g(x),
            "this is the place after the step. Give back the rate.",
        ),
        "halved": (
            lambda f, g, x, rate, shrink, share: _search(f, g, x, rate, 0.5, share),
            "you halve the rate. Multiply it by `shrink`.",
        ),
        "divided": (
            lambda f, g, x, rate, shrink, share: _search(f, g, x, rate, 1 - shrink, share),
            "you take `shrink` away. Multiply the rate by it.",
        ),
    },
)


# ---------------------------------------------------------------------------- weighted_gradient


def _weighted(w, X, y, weights):
    return 2 * X.T @ (weights * (X @ w - y)) / np.sum(weights)


def _weighted_inputs(rng):
    n, d = rng.integers(3, 6), rng.integers(2, 4)
    return (
        _point(rng, d),
        _point(rng, n * d).reshape(n, d),
        _point(rng, n),
        rng.uniform(0.5, 4, n).round(1),
    )


weighted_gradient = Exercise(
    "weighted_gradient",
    reference=_weighted,
    inputs=_weighted_inputs,
    tolerance=1e-8,
    mistakes={
        "unweighted": (
            lambda w, X, y, a: 2 * X.T @ (X @ w - y) / len(y),
            "the weights have no effect.",
        ),
        "divided by the number": (
            lambda w, X, y, a: _weighted(w, X, y, a) * np.sum(a) / len(y),
            "you divide by the number of samples. "
            "A weighted mean is divided by the sum of the weights.",
        ),
        "not divided": (
            lambda w, X, y, a: _weighted(w, X, y, a) * np.sum(a),
            "you add up. A weighted mean is divided by the sum of the weights.",
        ),
        "two forgotten": (
            lambda w, X, y, a: _weighted(w, X, y, a) / 2,
            "half of what it should be: the slope of e² is 2e.",
        ),
        "sign": (
            lambda w, X, y, a: -_weighted(w, X, y, a),
            "the sign is wrong: the error is X w − y.",
        ),
        "weights squared": (
            lambda w, X, y, a: 2 * X.T @ (a**2 * (X @ w - y)) / np.sum(a),
            "the weights are squared. In the loss they stand outside the square.",
        ),
        "weights within": (
            lambda w, X, y, a: 2 * X.T @ (a * (a * (X @ w) - y)) / np.sum(a),
            "the weights act on the predictions. They act on the squared errors.",
        ),
        "roots": (
            lambda w, X, y, a: 2 * X.T @ (np.sqrt(a) * (X @ w - y)) / np.sum(a),
            "you weigh with the roots. (They belong to both X and y, so twice.)",
        ),
        "weights on one side": (
            lambda w, X, y, a: 2 * X.T @ (X @ w - y) / np.sum(a),
            "the weights divide, but they do not multiply the errors.",
        ),
        "error squared": (
            lambda w, X, y, a: 2 * X.T @ (a * (X @ w - y) ** 2) / np.sum(a),
            "the error is still squared. The slope of a square is not a square.",
        ),
        "x forgotten": (
            lambda w, X, y, a: np.full(len(w), 2 * np.sum(a * (X @ w - y)) / np.sum(a)),
            "a factor is missing: how much does X w grow with each weight w?",
        ),
        "not joined": (
            lambda w, X, y, a: 2 * X * (a * (X @ w - y))[:, None] / np.sum(a),
            "you give back a slope for each sample. Add them up.",
        ),
        "loss": (
            lambda w, X, y, a: np.sum(a * (X @ w - y) ** 2) / np.sum(a),
            "this is the loss itself. Its gradient is asked for.",
        ),
        "a step": (
            lambda w, X, y, a: w - _weighted(w, X, y, a),
            "you took a step. Give back the gradient itself.",
        ),
        "divided twice": (
            lambda w, X, y, a: _weighted(w, X, y, a) / len(y),
            "you divide by the number of samples, too. The sum of the weights is enough.",
        ),
    },
)


# ------------------------------------------------------------------------------------- averaged


def _averaged(path, start):
    result = np.array(path, dtype=float)
    for step in range(start, len(path)):
        result[step] = np.mean(path[start : step + 1], axis=0)
    return result


def _path_inputs(rng):
    steps = rng.integers(5, 9)
    return rng.uniform(-3, 3, (steps, 2)).round(1), int(rng.integers(1, 4))


averaged = Exercise(
    "averaged",
    reference=_averaged,
    inputs=_path_inputs,
    mistakes={
        "from the beginning": (
            lambda p, s: _averaged(p, 0),
            "you average from the first step on. Leave the way there, before `start`, out.",
        ),
        "all replaced": (
            lambda p, s: np.concatenate([p[:s], np.tile(p[s:].mean(0), (len(p) - s, 1))]),
            "every average knows the future. Step t averages what was there until t.",
        ),
        "one too few": (
            lambda p, s: np.array([q if t <= s else p[s:t].mean(0) for t, q in enumerate(p)]),
            "the average at step t lacks step t itself: the end of a slice is left out.",
        ),
        "one late": (
            lambda p, s: _averaged(p, s + 1),
            "the average begins a step late: step `start` belongs to it.",
        ),
        "one early": (
            lambda p, s: _averaged(p, s - 1),
            "the average begins a step early: it starts with step `start`.",
        ),
        "last two": (
            lambda p, s: np.array(
                [q if t <= s else (p[t] + p[t - 1]) / 2 for t, q in enumerate(p)]
            ),
            "you average the last two steps. Average all since `start`.",
        ),
        "average of averages": (
            lambda p, s: _halving(p, s),
            "you average the last average and the new step, half and half. "
            "Old steps fade away; here all count alike.",
        ),
        "wrong count": (
            lambda p, s: np.array(
                [q if t < s else p[s : t + 1].sum(0) / (t + 1) for t, q in enumerate(p)]
            ),
            "you divide by the number of all steps. Divide by the number since `start`.",
        ),
        "sums": (
            lambda p, s: np.array([q if t < s else p[s : t + 1].sum(0) for t, q in enumerate(p)]),
            "these are sums. Divide by how many steps there are in them.",
        ),
        "one number": (
            lambda p, s: np.array(
                [q if t < s else np.full(2, p[s : t + 1].mean()) for t, q in enumerate(p)]
            ),
            "you average the coordinates with each other. Average over steps: axis=0.",
        ),
        "last alone": (
            lambda p, s: p[s:].mean(0),
            "this is the last average alone. Give back the whole path.",
        ),
        "cut off": (
            lambda p, s: _averaged(p, s)[s:],
            "the steps before `start` are gone. Leave them in, as they are.",
        ),
        "zeros before": (
            lambda p, s: _averaged(p, s) * (np.arange(len(p)) >= s)[:, None],
            "the steps before `start` are 0. Leave them as they are.",
        ),
        "unchanged": (lambda p, s: p.copy(), "nothing is averaged."),
    },
)


def _halving(path, start):
    result = np.array(path, dtype=float)
    for step in range(start + 1, len(path)):
        result[step] = (result[step - 1] + path[step]) / 2
    return result


# ---------------------------------------------------------------------------------- batch_noise


def _noise(slopes, size, ddof=0, correct=True, root=True):
    n = len(slopes)
    variance = np.var(slopes, ddof=ddof) / size * ((n - size) / (n - 1) if correct else 1)
    return np.sqrt(variance) if root else variance


def _noise_inputs(rng):
    n = int(rng.integers(5, 12))
    return rng.uniform(-3, 3, n).round(1), int(rng.integers(2, n - 1))


batch_noise = Exercise(
    "batch_noise",
    reference=_noise,
    inputs=_noise_inputs,
    tolerance=1e-8,
    mistakes={
        "with replacement": (
            lambda g, b: _noise(g, b, correct=False),
            "this is for samples drawn with replacement. Here no sample comes "
            "twice in a batch: a batch of all has no noise.",
        ),
        "variance": (
            lambda g, b: _noise(g, b, root=False),
            "this is the variance. Its root is asked for.",
        ),
        "sample variance": (
            lambda g, b: _noise(g, b, ddof=1),
            "you divide by N − 1 in the variance as well. The N slopes are all "
            "there are: divide by N.",
        ),
        "n not n - 1": (
            lambda g, b: _noise(g, b, correct=False) * np.sqrt((len(g) - b) / len(g)),
            "the factor is (N − B) / (N − 1), not (N − B) / N.",
        ),
        "root of size": (
            lambda g, b: np.std(g) / b * np.sqrt((len(g) - b) / (len(g) - 1)),
            "the noise falls with the root of B, not with B.",
        ),
        "size forgotten": (
            lambda g, b: np.std(g) * np.sqrt((len(g) - b) / (len(g) - 1)),
            "B does not divide: the mean of B slopes is less noisy than one.",
        ),
        "multiplied": (
            lambda g, b: _noise(g, b) * b,
            "this is the noise of the sum of a batch. A batch takes the mean.",
        ),
        "factor not rooted": (
            lambda g, b: np.std(g) / np.sqrt(b) * (len(g) - b) / (len(g) - 1),
            "the factor belongs to the variance: under the root.",
        ),
        "one": (lambda g, b: np.std(g), "this is the noise of a single slope."),
        "mean": (
            lambda g, b: np.mean(g),
            "this is the mean. How far batches stray from it is asked for.",
        ),
        "number of all": (
            lambda g, b: _noise(g, b) * np.sqrt(b / len(g)),
            "you divide by N. What falls with the size of a batch is divided by B.",
        ),
        "around zero": (
            lambda g, b: _noise(g, b) * np.sqrt(np.mean(g**2)) / np.std(g),
            "you take the mean of the squares. Take the mean slope away first.",
        ),
        "factor upside down": (
            lambda g, b: _noise(g, b, correct=False) * np.sqrt((len(g) - 1) / (len(g) - b)),
            "the factor is upside down: a larger batch has less noise.",
        ),
    },
)


# ------------------------------------------------------------------------------------ best_rate


def _rate(curvatures):
    low, high = np.min(curvatures), np.max(curvatures)
    return 2 / (low + high), (high - low) / (high + low)


def _rate_with(make):
    return lambda c: make(np.min(c), np.max(c), *_rate(c))


best_rate = Exercise(
    "best_rate",
    reference=_rate,
    inputs=lambda rng: (rng.uniform(0.2, 9, rng.integers(3, 6)).round(1),),
    tolerance=1e-8,
    mistakes={
        "edge": (
            _rate_with(lambda low, high, rate, factor: (2 / high, 1.0)),
            "2 / largest is the border to divergence: there the steepest direction swings "
            "for ever.",
        ),
        "edge, factor right": (
            _rate_with(lambda low, high, rate, factor: (2 / high, factor)),
            "2 / largest is the border to divergence, not the best rate.",
        ),
        "largest alone": (
            _rate_with(lambda low, high, rate, factor: (1 / high, 1 - low / high)),
            "1 / largest is safe, but there is better: let the flattest and the "
            "steepest direction shrink alike.",
        ),
        "smallest": (
            _rate_with(lambda low, high, rate, factor: (1 / low, high / low - 1)),
            "1 / smallest diverges in the steep directions.",
        ),
        "one over the sum": (
            _rate_with(lambda low, high, rate, factor: (rate / 2, factor)),
            "the rate is half of the best.",
        ),
        "mean": (
            lambda c: (1 / np.mean(c), np.max(np.abs(1 - c / np.mean(c)))),
            "you use the mean of all curvatures. Only the flattest and the steepest count.",
        ),
        "sum of all": (
            lambda c: (2 / np.sum(c), _rate(c)[1]),
            "you add up all curvatures. Only the flattest and the steepest count.",
        ),
        "first and last": (
            lambda c: (2 / (c[0] + c[-1]), abs(c[-1] - c[0]) / (c[0] + c[-1])),
            "you take the first and the last. They need not be the extremes.",
        ),
        "factor as condition": (
            _rate_with(lambda low, high, rate, factor: (rate, high / low)),
            "the condition number is no factor: a factor below 1 is what the "
            "distance is multiplied by.",
        ),
        "factor of the other": (
            _rate_with(lambda low, high, rate, factor: (rate, 1 - factor)),
            "this is the share that a step takes away. The factor is what is left.",
        ),
        "factor squared": (
            _rate_with(lambda low, high, rate, factor: (rate, factor**2)),
            "this is how the height shrinks. The distance shrinks with its root.",
        ),
        "negative factor": (
            _rate_with(lambda low, high, rate, factor: (rate, -factor)),
            "a factor is a size: the sign says only that the walk swings.",
        ),
        "swapped": (
            _rate_with(lambda low, high, rate, factor: (factor, rate)),
            "the two are swapped: first the rate, then the factor.",
        ),
        "momentum's": (
            _rate_with(
                lambda low, high, rate, factor: (
                    4 / (np.sqrt(low) + np.sqrt(high)) ** 2,
                    (np.sqrt(high) - np.sqrt(low)) / (np.sqrt(high) + np.sqrt(low)),
                )
            ),
            "these are the values with momentum. Plain descent has no roots in them.",
        ),
        "geometric": (
            _rate_with(lambda low, high, rate, factor: (1 / np.sqrt(low * high), factor)),
            "you take the geometric mean of the two. At the best rate 1 − ηλ has the same size "
            "for both.",
        ),
        "rate alone": (lambda c: _rate(c)[0], "the factor is missing."),
    },
)
