"""Homework 06: first weights that keep every direction, and slopes through blocks of layers."""

import numpy as np

from course_utils.exercises import Edit, Exercise


def _entries(rng, *shape, low=0.2, high=2.0):
    """Numbers of both signs with one decimal, none near zero."""
    return (rng.uniform(low, high, shape) * rng.choice([-1, 1], shape)).round(1)


# ------------------------------------------------------------------------------ orthogonal


def _upright(A):
    """Orthonormal columns, made one after another from those of A."""
    Q, R = np.linalg.qr(A)
    return Q * np.sign(np.diag(R))


def _orthogonal(A, gain, *, upright=_upright, wide=lambda A: A.shape[0] < A.shape[1]):
    return gain * (upright(A.T).T if wide(A) else upright(A))


def _orthogonal_with(upright):
    return lambda A, gain: _orthogonal(A, gain, upright=upright)


def _lengths_kept(A):
    Q, R = np.linalg.qr(A)
    return Q * np.diag(R)


def _neighbours_only(A):
    columns = []
    for column in A.T:
        if columns:
            column = column - (column @ columns[-1]) * columns[-1]
        columns.append(column / np.linalg.norm(column))
    return np.array(columns).T


def _first_only(A):
    first = A[:, 0] / np.linalg.norm(A[:, 0])
    columns = [first]
    for column in A.T[1:]:
        column = column - (column @ first) * first
        columns.append(column / np.linalg.norm(column))
    return np.array(columns).T


def _polar(A):
    U, _, V = np.linalg.svd(A, full_matrices=False)
    return U @ V


def _orthogonal_inputs(rng):
    """Wide, tall and square matrices, none with columns that nearly depend on each other."""
    shape = ((2, 2), (3, 2), (2, 3), (3, 3), (4, 3), (3, 4))[rng.integers(6)]
    A = rng.normal(size=shape).round(1)
    while np.linalg.svd(A)[1][-1] < 0.3:
        A = rng.normal(size=shape).round(1)
    return A, (0.5, 1.4, 2.0)[rng.integers(3)]


orthogonal = Exercise(
    "orthogonal",
    reference=_orthogonal,
    inputs=_orthogonal_inputs,
    mistakes={
        "signs left": (
            _orthogonal_with(lambda A: np.linalg.qr(A)[0]),
            "some columns point the wrong way: `qr` chooses the signs as it likes. The "
            "diagonal of R shows which.",
        ),
        "wide as tall": (
            lambda A, gain: gain * _upright(A),
            "wide matrices are wrong: their columns cannot all be at right angles. "
            "There it is the rows.",
        ),
        "not turned back": (
            lambda A, gain: gain * _upright(A.T if A.shape[0] < A.shape[1] else A),
            "a wide matrix comes back tall: turn it back.",
        ),
        "square by rows": (
            lambda A, gain: _orthogonal(A, gain, wide=lambda A: A.shape[0] <= A.shape[1]),
            "you begin with the rows of square matrices. Begin with rows only "
            "where there are more columns than rows.",
        ),
        "gain forgotten": (
            lambda A, gain: _orthogonal(A, 1.0),
            "the columns have length 1. They should have the length `gain`.",
        ),
        "gain squared": (
            lambda A, gain: _orthogonal(A, gain**2),
            "the columns have the length gain².",
        ),
        "gain below": (lambda A, gain: _orthogonal(A, 1 / gain), "you divide by the gain."),
        "root of the gain": (
            lambda A, gain: _orthogonal(A, np.sqrt(gain)),
            "the columns have the length √gain.",
        ),
        "length alone": (
            _orthogonal_with(lambda A: A / np.linalg.norm(A, axis=0)),
            "the lengths are right, but not the angles: the columns are not orthogonal.",
        ),
        "whole length": (
            lambda A, gain: gain * A / np.linalg.norm(A),
            "you divide A by one number. That changes no angle.",
        ),
        "largest stretch": (
            lambda A, gain: gain * A / np.linalg.norm(A, 2),
            "you divide A by its largest stretch. The other directions are still stretched less.",
        ),
        "root of the inputs": (
            lambda A, gain: gain * A / np.sqrt(A.shape[0]),
            "this keeps the size on the average, as Xavier's rule does. "
            "It has to keep every direction.",
        ),
        "lengths kept": (
            _orthogonal_with(_lengths_kept),
            "the angles are right, but the columns keep lengths of their own.",
        ),
        "neighbours only": (
            _orthogonal_with(_neighbours_only),
            "each column is at a right angle to the one before it, but not to all before it.",
        ),
        "first only": (
            _orthogonal_with(_first_only),
            "each column is at a right angle to the first, but not to all before it.",
        ),
        "polar": (
            _orthogonal_with(_polar),
            "these columns are orthogonal, but not made one after another from those of A: "
            "the first should still point along A's first.",
        ),
        "last first": (
            _orthogonal_with(lambda A: _upright(A[:, ::-1])[:, ::-1]),
            "you begin with the last column. Begin with the first.",
        ),
        "sign": (
            lambda A, gain: -_orthogonal(A, gain),
            "every column points the wrong way: the diagonal of R has to become positive.",
        ),
        "the other factor": (
            _orthogonal_with(lambda A: np.linalg.qr(A)[1]),
            "this is R, the triangle. Q is the other factor.",
        ),
    },
)


# ------------------------------------------------------------------------- mean_square_after


def _mean_square(start, depth, n, std, slope):
    share = (1 + slope**2) / 2
    return start * (n * std**2 * share) ** depth


mean_square_after = Exercise(
    "mean_square_after",
    reference=_mean_square,
    inputs=lambda rng: (
        round(rng.uniform(0.5, 3), 1),
        int(rng.integers(2, 7)),
        int(rng.integers(10, 60)),
        round(rng.uniform(0.1, 0.3), 2),
        round(rng.uniform(0.1, 0.6), 2),
    ),
    tolerance=1e-9,
    mistakes={
        "ReLU": Edit(
            "this is ReLU: the slope of the negative side has no effect.",
            ("(1 + slope**2) / 2", "0.5"),
        ),
        "no activation": Edit(
            "this is a chain of layers without activation.",
            ("(1 + slope**2) / 2", "1.0"),
        ),
        "slope not squared": Edit(
            "you take the mean of the two slopes. A square grows with the square of the slope.",
            ("(1 + slope**2) / 2", "(1 + slope) / 2"),
        ),
        "mean slope squared": Edit(
            "you square the mean of the slopes. Take the mean of the squares.",
            ("(1 + slope**2) / 2", "((1 + slope) / 2) ** 2"),
        ),
        "negative alone": Edit(
            "only the negative side counts for you.",
            ("(1 + slope**2) / 2", "slope**2 / 2"),
        ),
        "both whole": Edit(
            "each number is positive or negative, not both: a half is missing.",
            ("(1 + slope**2) / 2", "1 + slope**2"),
        ),
        "brackets": Edit(
            "brackets are missing: the positive side has a share of one half, too.",
            ("(1 + slope**2) / 2", "1 + slope**2 / 2"),
        ),
        "slope on top": Edit(
            "you square 1 + slope. The sides have squares of their own.",
            ("(1 + slope**2) / 2", "(1 + slope) ** 2 / 2"),
        ),
        "He": Edit(
            "this holds for He's first weights. Use n and `std`.",
            ("n * std**2 * share", "1 + slope**2"),
        ),
        "std not squared": Edit(
            "`std` is a standard deviation. A mean square grows with its square.",
            ("std**2", "std"),
        ),
        "n forgotten": Edit(
            "n is missing: each unit adds up n terms.",
            ("n * std**2", "std**2"),
        ),
        "root of n": Edit(
            "you use √n. The squares of n terms add up to n times one of them.",
            ("n * std**2", "np.sqrt(n) * std**2"),
        ),
        "one layer": Edit(
            "this is the mean square after one layer.",
            (" ** depth", ""),
        ),
        "times depth": Edit(
            "you multiply by the depth. Each layer multiplies: a power.",
            (" ** depth", " * depth"),
        ),
        "one too few": Edit(
            "one layer is missing.",
            ("** depth", "** (depth - 1)"),
        ),
        "one too many": Edit(
            "that is one layer too many.",
            ("** depth", "** (depth + 1)"),
        ),
        "before the last activation": Edit(
            "this is the mean square before the last activation function. "
            "What comes after it is asked for.",
            ("** depth", "** depth / share"),
        ),
        "start forgotten": Edit(
            "this is the factor. Multiply it by the mean square at the start.",
            ("start * (", "("),
        ),
        "root": (
            lambda *given: np.sqrt(_mean_square(*given)),
            "this is the root of the mean square.",
        ),
        "start squared": Edit(
            "you square the start. It is a mean square already.",
            ("start *", "start**2 *"),
        ),
    },
)


# ------------------------------------------------------------------------- residual_backward


def _residual(delta, a, W, V):
    z = a @ W
    relu = np.maximum(z, 0)
    inner = delta @ V.T * (z > 0)
    da = delta + inner @ W.T
    dW, dV = a.T @ inner, relu.T @ delta
    return da, dW, dV


def _residual_inputs(rng):
    """Square weights, so that a forgotten transpose gives numbers; no score near ReLU's corner."""
    samples = rng.integers(2, 4)
    while True:
        a, W = _entries(rng, samples, 3), _entries(rng, 3, 3)
        z = a @ W
        if np.min(np.abs(z)) > 0.1 and np.min(z) < 0 < np.max(z):
            return _entries(rng, samples, 3), a, W, _entries(rng, 3, 3)


residual_backward = Exercise(
    "residual_backward",
    reference=_residual,
    inputs=_residual_inputs,
    mistakes={
        "no skip": Edit(
            "the slope for a lacks the way past the layers: a is added to what comes out of them.",
            ("delta + inner", "inner"),
        ),
        "skip alone": Edit(
            "the slope for a knows only the way past the layers. The way through them is missing.",
            ("delta + inner @ W.T", "delta"),
        ),
        "skip twice": Edit(
            "the way past the layers counts twice in the slope for a.",
            ("delta + inner", "2 * delta + inner"),
        ),
        "skip in the block": Edit(
            "you send the slope of the skip through W. It goes past the layers.",
            ("delta + inner @ W.T", "(inner + (z > 0) * delta) @ W.T"),
        ),
        "no mask": Edit(
            "ReLU's slope is missing: where a unit is off, nothing comes back.",
            (" * (z > 0)", ""),
        ),
        "mask of a": Edit(
            "ReLU is on where a W is positive, not where a is.",
            ("z > 0", "a > 0"),
        ),
        "mask of delta": Edit(
            "you set negative slopes to 0. ReLU's slope depends on what went into "
            "it, not on what comes back.",
            ("z > 0", "delta > 0"),
        ),
        "mask upside down": Edit(
            "the slopes pass where the units are off.",
            ("z > 0", "z < 0"),
        ),
        "values for mask": Edit(
            "you multiply by ReLU itself. Its slope is 0 or 1.",
            ("(z > 0)", "relu"),
        ),
        "sign for mask": Edit(
            "ReLU's slope is 0 where it is off, not −1.",
            ("(z > 0)", "np.sign(z)"),
        ),
        "V not turned": Edit(
            "V goes the wrong way: backwards it is its transpose.",
            ("V.T", "V"),
        ),
        "W not turned": Edit(
            "W goes the wrong way in the slope for a: backwards it is its transpose.",
            ("W.T", "W"),
        ),
        "V forgotten": Edit(
            "the slope comes back to ReLU through V, too.",
            ("delta @ V.T", "delta"),
        ),
        "W forgotten": Edit(
            "the slope comes back to a through W, too.",
            ("inner @ W.T", "inner"),
        ),
        "W from ReLU": Edit(
            "the slope for W is made with ReLU's output. What went into W is a.",
            ("a.T @ inner", "relu.T @ inner"),
        ),
        "V from z": Edit(
            "the slope for V is made with a W. What went into V is ReLU of it.",
            ("relu.T @ delta", "z.T @ delta"),
        ),
        "V from a": Edit(
            "the slope for V is made with a. What went into V is ReLU's output.",
            ("relu.T @ delta", "a.T @ delta"),
        ),
        "V from mask": Edit(
            "the slope for V is made with ReLU's slope. Take its output.",
            ("relu.T @ delta", "(1.0 * (z > 0)).T @ delta"),
        ),
        "averaged": Edit(
            "you divide by the number of samples. delta holds that already.",
            (
                "a.T @ inner, relu.T @ delta",
                "a.T @ inner / len(delta), relu.T @ delta / len(delta)",
            ),
        ),
        "turned": Edit(
            "the slopes for W and V are turned: they have the shape and the order of the weights.",
            ("return da, dW, dV", "return da, dW.T, dV.T"),
        ),
        "swapped": Edit(
            "the slopes for W and V are swapped.",
            ("return da, dW, dV", "return da, dV, dW"),
        ),
        "a alone": Edit(
            "the slopes for W and V are missing: return three results.",
            ("return da, dW, dV", "return da"),
        ),
    },
)


# ----------------------------------------------------------------------- batch_norm_backward


def _batch_norm(delta, z, gamma, eps):
    length = np.sqrt(z.var(axis=0) + eps)
    unit = (z - z.mean(axis=0)) / length
    by_mean = np.mean(delta, axis=0)
    by_spread = unit * np.mean(delta * unit, axis=0)
    dz = gamma / length * (delta - by_mean - by_spread)
    dgamma, dbeta = np.sum(delta * unit, axis=0), np.sum(delta, axis=0)
    return dz, dgamma, dbeta


def _batch_norm_inputs(rng):
    shape = int(rng.integers(3, 5)), 2
    return (
        _entries(rng, *shape),
        (3 * _entries(rng, *shape) + 2).round(1),
        _entries(rng, shape[1], low=0.5),
        round(rng.uniform(0.1, 0.9), 1),
    )


batch_norm_backward = Exercise(
    "batch_norm_backward",
    reference=_batch_norm,
    inputs=_batch_norm_inputs,
    mistakes={
        "both constant": Edit(
            "you take mean and spread for fixed numbers. They move with z, too.",
            ("delta - by_mean - by_spread", "delta"),
        ),
        "spread constant": Edit(
            "you take the spread for a fixed number. It moves with z, too.",
            (" - by_spread", ""),
        ),
        "mean constant": Edit(
            "you take the mean for a fixed number. It moves with z, too.",
            (" - by_mean", ""),
        ),
        "plus": Edit(
            "the ways through mean and spread have the wrong sign: they take away.",
            ("- by_mean - by_spread", "+ by_mean + by_spread"),
        ),
        "plus at the mean": Edit(
            "the way through the mean has the wrong sign.",
            ("- by_mean", "+ by_mean"),
        ),
        "plus at the spread": Edit(
            "the way through the spread has the wrong sign.",
            ("- by_spread", "+ by_spread"),
        ),
        "sums": Edit(
            "you add up over the samples on the ways through mean and spread. Each sample "
            "has a share of one n-th in them.",
            ("np.mean(delta, axis=0)", "np.sum(delta, axis=0)"),
            ("np.mean(delta * unit", "np.sum(delta * unit"),
        ),
        "spread twice": Edit(
            "the way through the spread counts twice: the root halves the 2 of the square.",
            ("by_spread = unit", "by_spread = 2 * unit"),
        ),
        "spread half": Edit(
            "the way through the spread counts half: the square has the slope 2.",
            ("by_spread = unit", "by_spread = 0.5 * unit"),
        ),
        "third with z": Edit(
            "the way through the spread is made with z. Take the normalised z.",
            ("unit * np.mean(delta * unit", "z * np.mean(delta * z"),
        ),
        "third not divided": Edit(
            "the way through the spread is made with z minus its mean. Divide that by the root.",
            ("unit * np.mean(delta * unit", "unit * length * np.mean(delta * unit * length"),
        ),
        "gamma forgotten": Edit(
            "γ is missing in the slope for z: it multiplied on the way forwards.",
            ("gamma / length *", "1 / length *"),
        ),
        "root forgotten": Edit(
            "the slope for z is not divided by the root of the variance.",
            ("gamma / length *", "gamma *"),
        ),
        "variance": Edit(
            "you divide by the variance. Divide by its root.",
            ("gamma / length *", "gamma / length**2 *"),
        ),
        "multiplied": Edit(
            "you multiply by the root of the variance. Divide by it.",
            ("gamma / length *", "gamma * length *"),
        ),
        "n minus one": Edit(
            "your variance divides by n − 1. Batch normalisation divides by n.",
            ("z.var(axis=0)", "z.var(axis=0, ddof=1)"),
        ),
        "eps outside": Edit(
            "ε stands outside the root. It belongs under it.",
            ("np.sqrt(z.var(axis=0) + eps)", "np.sqrt(z.var(axis=0)) + eps"),
        ),
        "no eps": Edit(
            "ε is missing under the root.",
            ("np.sqrt(z.var(axis=0) + eps)", "np.sqrt(z.var(axis=0))"),
        ),
        "over units": Edit(
            "mean and variance run over the units. They run over the samples: axis=0.",
            ("z.var(axis=0)", "z.var(axis=1, keepdims=True)"),
            ("z.mean(axis=0)", "z.mean(axis=1, keepdims=True)"),
        ),
        "gamma with z": Edit(
            "the slope for γ is made with z. What γ multiplies is the normalised z.",
            ("np.sum(delta * unit", "np.sum(delta * z"),
        ),
        "gamma with centred": Edit(
            "the slope for γ is made with z minus its mean. What γ multiplies is the normalised z.",
            ("np.sum(delta * unit", "np.sum(delta * (z - z.mean(axis=0))"),
        ),
        "averaged": Edit(
            "you average for γ and β. One γ acts on all samples: add up.",
            (
                "np.sum(delta * unit, axis=0), np.sum(delta, axis=0)",
                "np.mean(delta * unit, axis=0), np.mean(delta, axis=0)",
            ),
        ),
        "not added up": Edit(
            "the slopes for γ and β are not added up over the samples.",
            ("np.sum(delta * unit, axis=0), np.sum(delta, axis=0)", "delta * unit, delta"),
        ),
        "swapped": Edit(
            "the slopes for γ and β are swapped.",
            ("return dz, dgamma, dbeta", "return dz, dbeta, dgamma"),
        ),
        "z alone": Edit(
            "the slopes for γ and β are missing: return three results.",
            ("return dz, dgamma, dbeta", "return dz"),
        ),
    },
)


# ---------------------------------------------------------------------- unit_variance_factors


def _factors(X, weights, *, spread=np.std, bend=np.tanh, use=True, chain=True, measure=None):
    a, found = X, []
    for W in weights:
        z = a @ W
        found.append(1 / spread(z if measure is None else measure(a, W, z)))
        if chain:
            a = bend(found[-1] * z if use else z)
    return np.array(found)


def _factors_with(**changes):
    return lambda *given: _factors(*given, **changes)


unit_variance_factors = Exercise(
    "unit_variance_factors",
    reference=_factors,
    inputs=lambda rng: (
        _entries(rng, rng.integers(4, 6), 3),
        [_entries(rng, 3, 3) for _ in range(rng.integers(2, 4))],
    ),
    mistakes={
        "unscaled": (
            _factors_with(use=False),
            "the next layer gets what the weights made before they were scaled. "
            "Go on with the scaled ones.",
        ),
        "upside down": (
            lambda *given: 1 / _factors(*given),
            "these are the standard deviations. By what must W be multiplied?",
        ),
        "upside down, used": (
            _factors_with(spread=lambda z: 1 / np.std(z)),
            "you multiply by the standard deviation. Divide by it.",
        ),
        "variance": (
            _factors_with(spread=np.var),
            "you divide by the variance. What is multiplied by c has c² times the variance.",
        ),
        "root of the deviation": (
            _factors_with(spread=lambda z: np.sqrt(np.std(z))),
            "you take the root of the standard deviation. It is a root already.",
        ),
        "mean square": (
            _factors_with(spread=lambda z: np.sqrt(np.mean(z**2))),
            "you make the mean square 1. A variance is measured from the mean.",
        ),
        "mean size": (
            _factors_with(spread=lambda z: np.mean(np.abs(z))),
            "you make the mean size 1. It is the standard deviation that becomes 1.",
        ),
        "largest": (
            _factors_with(spread=lambda z: np.max(np.abs(z))),
            "you divide by the largest number. Divide by the standard deviation.",
        ),
        "after the activation": (
            _factors_with(measure=lambda a, W, z: np.tanh(z)),
            "you measure after tanh. Measure what goes into it.",
        ),
        "input": (
            _factors_with(measure=lambda a, W, z: a),
            "you measure what goes into the layer. Measure what W makes of it.",
        ),
        "weights": (
            _factors_with(measure=lambda a, W, z: W),
            "you measure the weights. Measure what they make of the data.",
        ),
        "weights, by inputs": (
            _factors_with(measure=lambda a, W, z: np.sqrt(len(W)) * W),
            "this is 1 / (√n · std of W), which is right on the average. Measure what W makes of "
            "these data.",
        ),
        "each from X": (
            _factors_with(chain=False),
            "every layer gets X. Each gets what the one before it gives.",
        ),
        "no activation": (_factors_with(bend=lambda z: z), "tanh is missing between the layers."),
        "ReLU": (
            _factors_with(bend=lambda z: np.maximum(z, 0)),
            "you use ReLU between the layers. These have tanh.",
        ),
        "sigmoid": (
            _factors_with(bend=lambda z: 1 / (1 + np.exp(-z))),
            "you use the sigmoid between the layers. These have tanh.",
        ),
        "n minus one": (
            _factors_with(spread=lambda z: np.std(z, ddof=1)),
            "your standard deviation divides by n − 1. Divide by n.",
        ),
        "mean of units": (
            _factors_with(spread=lambda z: np.mean(np.std(z, axis=0))),
            "you average the standard deviations of the units. Take one over all "
            "numbers of the layer.",
        ),
        "mean of samples": (
            _factors_with(spread=lambda z: np.mean(np.std(z, axis=1))),
            "you average the standard deviations of the samples. Take one over "
            "all numbers of the layer.",
        ),
        "together": (
            lambda *given: np.cumprod(_factors(*given)),
            "you multiply the factors up. Each layer has one of its own.",
        ),
        "last alone": (
            lambda *given: _factors(*given)[-1],
            "this is the factor of the last layer alone.",
        ),
        "activated scale": (
            lambda X, weights: _activated_scale(X, weights),
            "you scale after tanh. The weights are scaled, so tanh gets the scaled numbers.",
        ),
    },
)


def _activated_scale(X, weights):
    a, found = X, []
    for W in weights:
        found.append(1 / np.std(a @ W))
        a = found[-1] * np.tanh(a @ W)
    return np.array(found)
