"""Homework 07: choosing with folds, a penalty in closed form, dropout, and how sure a gain is."""

import numpy as np

from course_utils.exercises import Edit, Exercise

# ------------------------------------------------------------------------------- fold_errors


def _folds(x, y, folds, degree):
    errors = []
    for fold in range(np.max(folds) + 1):
        held = folds == fold
        line = np.polyfit(x[~held], y[~held], degree)
        error = np.polyval(line, x[held]) - y[held]
        errors.append(np.mean(error**2))
    return np.array(errors)


def _fold_inputs(rng):
    """Two or three folds of four points or five; no x twice."""
    k = rng.integers(2, 4)
    n = 4 * k + rng.integers(k)
    x = rng.choice(np.arange(-10, 11), n, replace=False) / 10
    return (
        x,
        rng.uniform(-2, 2, n).round(1),
        rng.permutation(np.arange(n) % k),
        int(rng.integers(1, 3)),
    )


fold_errors = Exercise(
    "fold_errors",
    reference=_folds,
    inputs=_fold_inputs,
    mistakes={
        "training error": Edit(
            "you judge each fit on the points it was fitted to. "
            "Judge it on the fold that was held out.",
            ("np.polyval(line, x[held]) - y[held]", "np.polyval(line, x[~held]) - y[~held]"),
        ),
        "fitted to all": Edit(
            "the fit has seen the fold that judges it: you fit to all points. Hold the fold out.",
            ("x[~held], y[~held]", "x, y"),
        ),
        "parts swapped": Edit(
            "the parts are swapped: you fit to one fold and judge on all others.",
            ("x[~held], y[~held]", "x[held], y[held]"),
            ("np.polyval(line, x[held]) - y[held]", "np.polyval(line, x[~held]) - y[~held]"),
        ),
        "fold alone": Edit(
            "you fit to the fold itself and judge on it. The other folds are there to learn from.",
            ("x[~held], y[~held]", "x[held], y[held]"),
        ),
        "root": Edit(
            "this is the root of the mean squared error. Leave the root out.",
            ("np.mean(error**2)", "np.sqrt(np.mean(error**2))"),
        ),
        "sum": Edit(
            "you add the squared errors up. Take the mean within each fold.",
            ("np.mean(error**2)", "np.sum(error**2)"),
        ),
        "absolute": Edit(
            "you take the size of the errors. Square them.",
            ("np.mean(error**2)", "np.mean(np.abs(error))"),
        ),
        "not squared": Edit(
            "the errors are not squared: too high and too low cancel.",
            ("np.mean(error**2)", "np.mean(error)"),
        ),
        "variance": Edit(
            "this is the variance of the errors: an error that all points of the fold "
            "share goes unseen.",
            ("np.mean(error**2)", "np.var(error)"),
        ),
        "worst": Edit(
            "this is the largest squared error of the fold. Take the mean.",
            ("np.mean(error**2)", "np.max(error**2)"),
        ),
        "one degree more": Edit(
            "the polynomial has one degree too many. Degree d has d + 1 "
            "coefficients; `np.polyfit` takes the degree.",
            (", degree)\n", ", degree + 1)\n"),
        ),
        "one degree less": Edit(
            "the polynomial has one degree too few.",
            (", degree)\n", ", degree - 1)\n"),
        ),
        "mean of all": Edit(
            "you take the mean over the folds. Give back one error for each.",
            ("np.array(errors)", "np.mean(errors)"),
        ),
        "divided by all": Edit(
            "you divide by the number of all points. Divide by those of the fold.",
            ("np.mean(error**2)", "np.sum(error**2) / len(x)"),
        ),
        "folds ignored": (
            lambda x, y, folds, degree: _folds(x, y, np.sort(folds), degree),
            "you cut the points in the order they came. `folds` says to which fold "
            "each point belongs.",
        ),
    },
)


# -------------------------------------------------------------------------------------- ridge


def _ridge(X, y, strength):
    n, d = X.shape
    middle, level = np.mean(X, axis=0), np.mean(y)
    matrix, right = (X - middle).T @ (X - middle) / n, (X - middle).T @ (y - level) / n
    w = np.linalg.solve(matrix + strength * np.eye(d), right)
    b = level - middle @ w
    return w, b


def _all_penalised(X, y, strength):
    wide = np.column_stack([X, np.ones(len(X))])
    found = np.linalg.solve(
        wide.T @ wide / len(X) + strength * np.eye(wide.shape[1]), wide.T @ y / len(X)
    )
    return found[:-1], found[-1]


def _ridge_inputs(rng):
    """Features whose means are not 0, and enough rows for a fit without any penalty."""
    d = rng.integers(2, 4)
    n = d + rng.integers(3, 5)
    X = rng.uniform(-2, 2, (n, d)) + rng.uniform(0.5, 1.5, d)
    return X.round(1), rng.uniform(1, 5, n).round(1), (0.1, 0.2, 0.5, 2.0)[rng.integers(4)]


ridge = Exercise(
    "ridge",
    reference=_ridge,
    inputs=_ridge_inputs,
    mistakes={
        "no penalty": (
            lambda X, y, s: _ridge(X, y, 0.0),
            "these are the weights without any penalty.",
        ),
        "penalty of a sum": (
            lambda X, y, s: _ridge(X, y, s / len(y)),
            "the penalty is too weak: the loss is a mean of squares, and you "
            "added the strength to a sum of squares.",
        ),
        "penalty too strong": (
            lambda X, y, s: _ridge(X, y, s * len(y)),
            "the penalty is n times too strong: the loss is a mean already.",
        ),
        "half": (
            lambda X, y, s: _ridge(X, y, s / 2),
            "your penalty is half of strength · Σ w². Both squares have a slope with a 2.",
        ),
        "double": (
            lambda X, y, s: _ridge(X, y, 2 * s),
            "your penalty is twice strength · Σ w². Both squares have a slope with a 2.",
        ),
        "squared strength": (
            lambda X, y, s: _ridge(X, y, s**2),
            "the strength is squared. What is squared is the weights.",
        ),
        "intercept penalised": (
            _all_penalised,
            "b is penalised, too: it is pulled to 0, and all predictions with "
            "it. Only the weights cost.",
        ),
        "no intercept": Edit(
            "b is 0, and the weights pay for it: the line has to go through the origin.",
            ("np.mean(X, axis=0), np.mean(y)", "np.zeros(d), 0.0"),
        ),
        "mean as intercept": Edit(
            "your b is the mean of y. That is right only for features with "
            "mean 0: what does X w add on average?",
            ("level - middle @ w", "level"),
        ),
        "intercept on the wrong side": Edit(
            "b has the wrong sign before the part that comes from the means of X.",
            ("level - middle", "level + middle"),
        ),
        "intercept forgotten": Edit(
            "the weights are right, but b is 0.",
            ("level - middle @ w", "0.0"),
        ),
        "weights of raw features": Edit(
            "the weights are those of a line through the origin; b came too late for them.",
            (
                "(X - middle).T @ (X - middle) / n, (X - middle).T @ (y - level) / n",
                "X.T @ X / n, X.T @ y / n",
            ),
        ),
        "one for all": Edit(
            "you add the strength to every entry of the matrix. That punishes "
            "(Σ w)². Σ w² belongs on the diagonal.",
            ("strength * np.eye(d)", "np.full((d, d), strength)"),
        ),
        "shrunk afterwards": Edit(
            "you shrink all weights alike, after the fit. A penalty shrinks a weight the more, "
            "the less the data say about it.",
            ("matrix + strength * np.eye(d), right)", "matrix, right) / (1 + strength)"),
        ),
        "multiplied": Edit(
            "you multiply by the matrix. The equations have to be solved for w.",
            (
                "np.linalg.solve(matrix + strength * np.eye(d), right)",
                "(matrix + strength * np.eye(d)) @ right",
            ),
            ("middle @ w", "middle @ np.linalg.solve(matrix + strength * np.eye(d), right)"),
        ),
        "swapped": Edit(
            "the two are swapped: first w, then b.",
            ("return w, b", "return b, w"),
        ),
        "one array": Edit(
            "w and b are in one array. Give back two things: `return w, b`.",
            ("return w, b", "return np.append(w, b)"),
        ),
    },
)


# ------------------------------------------------------------------------- one_standard_error


def _spread(errors):
    return np.std(errors, axis=1, ddof=1) / np.sqrt(errors.shape[1])


def _simplest(errors):
    means = np.mean(errors, axis=1)
    best = np.argmin(means)
    spread = np.std(errors, axis=1, ddof=1) / np.sqrt(errors.shape[1])
    limit = means[best] + spread[best]
    return int(np.argmax(means <= limit)), limit


def _choose(choice):
    """A wrong degree, ``choice(means, limit, errors)``, beside the right limit."""

    def wrong(errors):
        limit = _simplest(errors)[1]
        return int(choice(np.mean(errors, axis=1), limit, errors)), limit

    return wrong


def _walk_down(means, limit, errors):
    degree = np.argmin(means)
    while degree > 0 and means[degree - 1] <= limit:
        degree -= 1
    return degree


def _own_spread(means, limit, errors):
    return np.argmax(means - _spread(errors) <= np.min(means))


def _error_inputs(rng):
    """Errors that fall and stay about level, often with a bump between good degrees.

    Three shortcuts that are right for most tables lead astray in three of four: only there
    would they be seen. No two degrees have the same mean: the best must not hang on rounding.
    """
    trap = rng.integers(4)
    while True:
        degrees, folds = rng.integers(5, 8), rng.integers(3, 6)
        level = 0.5 + 1.5 * rng.uniform(0.2, 0.5) ** np.arange(degrees)
        level += rng.uniform(0, 0.2, degrees)
        if trap == 0:
            level[-4:] = 0.55, 1.0, 0.55, 0.5
        errors = (level[:, None] + rng.uniform(-0.3, 0.3, (degrees, folds))).round(2)
        means, (right, limit) = np.mean(errors, axis=1), _simplest(errors)
        best, last = np.argmin(means), np.flatnonzero(means <= limit)[-1]
        walked, own = _walk_down(means, limit, errors), _own_spread(means, limit, errors)
        astray = (right < walked < best, own != right, best < last, True)[trap]
        if astray and np.min(np.diff(np.sort([*means, limit]))) > 1e-3:
            return (errors,)


one_standard_error = Exercise(
    "one_standard_error",
    reference=_simplest,
    inputs=_error_inputs,
    mistakes={
        "best": (
            _choose(lambda means, limit, errors: np.argmin(means)),
            "this is the degree with the smallest mean. The rule takes the lowest degree "
            "that keeps the limit.",
        ),
        "highest": (
            _choose(lambda means, limit, errors: np.flatnonzero(means <= limit)[-1]),
            "you take the highest degree that keeps the limit. The rule wants the simplest model.",
        ),
        "walked down": (
            _choose(_walk_down),
            "you walk down from the best and stop at the first bump. A still lower "
            "degree may keep the limit again.",
        ),
        "nearest to the limit": (
            _choose(lambda means, limit, errors: np.argmin(np.abs(means - limit))),
            "you take the degree whose mean lies nearest to the limit. The lowest one that is not "
            "above it is asked for.",
        ),
        "own spread": (
            _choose(_own_spread),
            "you take away the standard error of each degree itself. The limit is one number: it "
            "belongs to the best degree.",
        ),
        "from one": Edit(
            "you count the degrees from 1. The first row is degree 0.",
            ("int(np.argmax(means <= limit))", "int(np.argmax(means <= limit)) + 1"),
        ),
        "standard deviation": Edit(
            "you add the standard deviation of the folds. Their mean strays less: divide by the "
            "root of their number.",
            (" / np.sqrt(errors.shape[1])", ""),
        ),
        "divided by the number": Edit(
            "you divide by the number of folds. Divide by its root.",
            ("np.sqrt(errors.shape[1])", "errors.shape[1]"),
        ),
        "divided by the degrees": Edit(
            "you divide by the root of the number of degrees. The mean is over the folds.",
            ("errors.shape[1]", "len(errors)"),
        ),
        "ddof": Edit(
            "the standard deviation is a bit too small: from k numbers one estimates it with "
            "k − 1 (`ddof=1`).",
            (", ddof=1", ""),
        ),
        "variance": Edit(
            "you add the variance of the mean. Take its root.",
            ("np.std", "np.var"),
            ("np.sqrt(errors.shape[1])", "errors.shape[1]"),
        ),
        "two": Edit(
            "you allow two standard errors. The rule allows one.",
            ("+ spread", "+ 2 * spread"),
        ),
        "no room": Edit(
            "the limit is the smallest mean itself. Add one standard error.",
            (" + spread[best]", ""),
        ),
        "all errors": Edit(
            "the standard deviation runs over the whole table. Take that of the best degree's row.",
            ("np.std(errors, axis=1, ddof=1)", "np.std(errors, ddof=1)"),
            ("spread[best]", "spread"),
        ),
        "median": Edit(
            "you take the median. Take the mean.",
            ("np.mean", "np.median"),
        ),
        "wrong axis": (
            lambda errors: _simplest(errors.T),
            "you take means over the degrees. A row is a degree: average along the row.",
        ),
        "swapped": (
            lambda errors: _simplest(errors)[::-1],
            "the two are swapped: first the degree, then the limit.",
        ),
        "degree alone": (lambda errors: _simplest(errors)[0], "the limit is missing."),
    },
)


# ------------------------------------------------------------------------------------ dropout


def _dropout(a, draws, p, slopes):
    kept = (draws >= p) / (1 - p)
    return kept * a, kept * slopes


def _dropout_then(change):
    """A wrong answer: ``change(a, kept, p, slopes)``, where `kept` is 1 or 0."""
    return lambda a, draws, p, slopes: change(a, (draws >= p).astype(float), p, slopes)


def _dropout_inputs(rng):
    """Draws that are never p itself, and that drop one activation at least, not all."""
    while True:
        shape = 2, rng.integers(2, 5)
        draws, p = rng.integers(0, 100, shape) / 100 + 0.005, (0.2, 0.3, 0.4)[rng.integers(3)]
        if 0 < np.sum(draws < p) < draws.size:
            return (
                rng.uniform(0.2, 3, shape).round(1),
                draws.round(3),
                p,
                (rng.uniform(0.2, 2, shape) * rng.choice([-1, 1], shape)).round(1),
            )


dropout = Exercise(
    "dropout",
    reference=_dropout,
    inputs=_dropout_inputs,
    mistakes={
        "swapped sides": (
            lambda a, u, p, g: ((u < p) * a / (1 - p), (u < p) * g / (1 - p)),
            "you keep what should be dropped: dropped is where the draw is below p.",
        ),
        "p kept": (
            lambda a, u, p, g: _dropout(a, u, 1 - p, g),
            "you treat p as the chance of being kept. It is the chance of being dropped.",
        ),
        "not scaled": (
            _dropout_then(lambda a, m, p, g: (m * a, m * g)),
            "what is kept is not scaled up: on average the next layer gets less than "
            "when nothing is dropped.",
        ),
        "scaled by p": (
            _dropout_then(lambda a, m, p, g: (m * a / p, m * g / p)),
            "you divide by the chance of being dropped. Divide by that of being kept.",
        ),
        "scaled down": (
            _dropout_then(lambda a, m, p, g: (m * a * (1 - p), m * g * (1 - p))),
            "you make what is kept smaller. It stands in for what is dropped, so it has to grow.",
        ),
        "share that was kept": (
            _dropout_then(lambda a, m, p, g: (m * a / np.mean(m), m * g / np.mean(m))),
            "you divide by the share that happened to be kept. Divide by the chance of being "
            "kept: it is the same each time.",
        ),
        "tested": (
            lambda a, u, p, g: (a, g),
            "nothing is dropped. That is right when the network is tested; here it is trained.",
        ),
        "average": (
            lambda a, u, p, g: ((1 - p) * a, (1 - p) * g),
            "all are made smaller, none is dropped. The draws have to count.",
        ),
        "slope not dropped": (
            _dropout_then(lambda a, m, p, g: (m * a / (1 - p), g)),
            "the slopes come back unchanged. An activation that was dropped "
            "cannot change the loss.",
        ),
        "slope not scaled": (
            _dropout_then(lambda a, m, p, g: (m * a / (1 - p), m * g)),
            "the slopes are dropped, but a factor is missing: what was the activation divided by?",
        ),
        "slope scaled alone": (
            _dropout_then(lambda a, m, p, g: (m * a / (1 - p), g / (1 - p))),
            "the slopes have the factor, but none is dropped. An activation that was dropped "
            "cannot change the loss.",
        ),
        "slope times activation": (
            _dropout_then(lambda a, m, p, g: (m * a / (1 - p), m * a * g / (1 - p))),
            "the slopes are multiplied by the activations. The output is a straight line in each "
            "activation: what is its slope?",
        ),
        "slope without slopes": (
            _dropout_then(lambda a, m, p, g: (m * a / (1 - p), m / (1 - p))),
            "these are the slopes of the output. The chain rule has one more factor: `slopes`.",
        ),
        "scaled twice back": (
            _dropout_then(lambda a, m, p, g: (m * a / (1 - p), m * g / (1 - p) ** 2)),
            "on the way back you scale twice. Once forward, once back.",
        ),
        "one draw a row": (
            lambda a, u, p, g: _dropout(a, u[:, :1], p, g),
            "the first draw of a row decides for all of it. Each activation has a draw of its own.",
        ),
        "half": (
            lambda a, u, p, g: ((u >= 0.5) * a / (1 - p), (u >= 0.5) * g / (1 - p)),
            "you drop half of the activations. The chance is p.",
        ),
        "swapped": (
            lambda a, u, p, g: _dropout(a, u, p, g)[::-1],
            "the two are swapped: first the output, then the slopes.",
        ),
        "output alone": (lambda a, u, p, g: _dropout(a, u, p, g)[0], "the slopes are missing."),
    },
)


# ------------------------------------------------------------------------- bootstrap_interval


def _bootstrap(first, second, rows):
    gains = second - first
    means = np.mean(gains[rows], axis=1)
    return np.quantile(means, 0.025), np.quantile(means, 0.975)


def _normal(first, second, rows):
    means = np.mean((second - first)[rows], axis=1)
    return np.mean(means) - 1.96 * np.std(means), np.mean(means) + 1.96 * np.std(means)


def _sides(first, second, rows):
    ends = [_bootstrap(np.zeros_like(one), one, rows) for one in (first, second)]
    return ends[1][0] - ends[0][1], ends[1][1] - ends[0][0]


def _classic(first, second, rows):
    gains = second - first
    half = 1.96 * np.std(gains, ddof=1) / np.sqrt(len(gains))
    return np.mean(gains) - half, np.mean(gains) + half


def _run_inputs(rng):
    n, hard = rng.integers(4, 7), rng.uniform(0.6, 0.9)
    first = (hard + rng.uniform(-0.1, 0.1, n)).round(2)
    gain = (rng.uniform(-0.02, 0.06, n)).round(2)
    gain[0] = gain[-1] + 0.05
    return first, (first + gain).round(2), rng.integers(0, n, (30, n))


bootstrap_interval = Exercise(
    "bootstrap_interval",
    reference=_bootstrap,
    inputs=_run_inputs,
    mistakes={
        "sign": Edit(
            "you subtract the second from the first. A gain of the second is asked for.",
            ("second - first", "first - second"),
        ),
        "without resampling": Edit(
            "these are quantiles of the gains of single runs. How far does their mean stray? "
            "Use `rows`.",
            ("np.mean(gains[rows], axis=1)", "gains"),
        ),
        "normal": (
            _normal,
            "you go 1.96 standard deviations to both sides. Take the quantiles of "
            "the resampled means themselves.",
        ),
        "classic": (
            _classic,
            "this is the interval of lesson 05, without `rows`. Take the "
            "quantiles of the resampled means.",
        ),
        "extremes": Edit(
            "these are the smallest and the largest mean: an interval that grows with "
            "the number of draws.",
            ("0.025", "0.0"),
            ("0.975", "1.0"),
        ),
        "percent": Edit(
            "0.025 and 0.975 are shares, and `np.percentile` wants per cent. Both ends "
            "lie at the lower edge.",
            ("0.025", "0.00025"),
            ("0.975", "0.00975"),
        ),
        "ninety": Edit(
            "you leave out 5 % at each end. That is an interval of 90 %.",
            ("0.025", "0.05"),
            ("0.975", "0.95"),
        ),
        "one-sided": Edit(
            "you leave out 5 %, all of it above. Leave out the same at both ends.",
            ("0.025", "0.0"),
            ("0.975", "0.95"),
        ),
        "wide": Edit(
            "this is an interval of 99 %.",
            ("0.025", "0.005"),
            ("0.975", "0.995"),
        ),
        "quartiles": Edit(
            "this is an interval of 50 %: 0.25 is not 0.025.",
            ("0.025", "0.25"),
            ("0.975", "0.75"),
        ),
        "median": Edit(
            "you take the median of each draw. Take its mean.",
            ("np.mean", "np.median"),
        ),
        "sums": Edit(
            "you add the gains of a draw up. Take their mean.",
            ("np.mean", "np.sum"),
        ),
        "wrong axis": Edit(
            "you average over the draws. A row is one draw: average along the row.",
            ("axis=1", "axis=0"),
        ),
        "second resampled": Edit(
            "only the second is resampled: run i of the one is compared with another run of the "
            "other.",
            ("gains[rows]", "second[rows] - first"),
        ),
        "two intervals": (
            _sides,
            "you made an interval for each method and compared their ends. That "
            "ignores that the runs come in pairs, and is far too wide.",
        ),
        "second alone": Edit(
            "the first is not taken away.",
            ("second - first", "second"),
        ),
        "relative": Edit(
            "you divide by the first. The gain is the difference.",
            ("second - first", "(second - first) / first"),
        ),
        "middle and half": (
            lambda a, b, rows: (
                sum(_bootstrap(a, b, rows)) / 2,
                np.ptp(_bootstrap(a, b, rows)) / 2,
            ),
            "these are the middle and half of the width. Give back the two ends.",
        ),
        "swapped": (
            lambda a, b, rows: _bootstrap(a, b, rows)[::-1],
            "the two are swapped: first the lower end, then the upper one.",
        ),
    },
)
