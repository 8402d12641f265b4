"""Homework 06: first weights that keep every direction, and slopes through blocks of layers."""

import numpy as np

from course_utils.exercises import Exercise


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


def _mean_square(start, depth, n, std, slope, *, share=lambda s: (1 + s**2) / 2):
    return start * (n * std**2 * share(slope)) ** depth


def _share(share):
    return lambda *given: _mean_square(*given, share=share)


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
        "ReLU": (
            _share(lambda s: 0.5),
            "this is ReLU: the slope of the negative side has no effect.",
        ),
        "no activation": (_share(lambda s: 1.0), "this is a chain of layers without activation."),
        "slope not squared": (
            _share(lambda s: (1 + s) / 2),
            "you take the mean of the two slopes. A square grows with the square of the slope.",
        ),
        "mean slope squared": (
            _share(lambda s: ((1 + s) / 2) ** 2),
            "you square the mean of the slopes. Take the mean of the squares.",
        ),
        "negative alone": (_share(lambda s: s**2 / 2), "only the negative side counts for you."),
        "both whole": (
            _share(lambda s: 1 + s**2),
            "each number is positive or negative, not both: a half is missing.",
        ),
        "brackets": (
            _share(lambda s: 1 + s**2 / 2),
            "brackets are missing: the positive side has a share of one half, too.",
        ),
        "slope on top": (
            _share(lambda s: (1 + s) ** 2 / 2),
            "you square 1 + slope. The sides have squares of their own.",
        ),
        "He": (
            lambda q, depth, n, std, s: q * (1 + s**2) ** depth,
            "this holds for He's first weights. Use n and `std`.",
        ),
        "std not squared": (
            lambda q, depth, n, std, s: q * (n * std * (1 + s**2) / 2) ** depth,
            "`std` is a standard deviation. A mean square grows with its square.",
        ),
        "n forgotten": (
            lambda q, depth, n, std, s: _mean_square(q, depth, 1, std, s),
            "n is missing: each unit adds up n terms.",
        ),
        "root of n": (
            lambda q, depth, n, std, s: _mean_square(q, depth, np.sqrt(n), std, s),
            "you use √n. The squares of n terms add up to n times one of them.",
        ),
        "one layer": (
            lambda q, depth, n, std, s: _mean_square(q, 1, n, std, s),
            "this is the mean square after one layer.",
        ),
        "times depth": (
            lambda q, depth, n, std, s: depth * _mean_square(q, 1, n, std, s),
            "you multiply by the depth. Each layer multiplies: a power.",
        ),
        "one too few": (
            lambda q, depth, n, std, s: _mean_square(q, depth - 1, n, std, s),
            "one layer is missing.",
        ),
        "one too many": (
            lambda q, depth, n, std, s: _mean_square(q, depth + 1, n, std, s),
            "that is one layer too many.",
        ),
        "before the last activation": (
            lambda q, depth, n, std, s: _mean_square(q, depth, n, std, s) / ((1 + s**2) / 2),
            "this is the mean square before the last activation function. "
            "What comes after it is asked for.",
        ),
        "start forgotten": (
            lambda q, depth, n, std, s: _mean_square(1.0, depth, n, std, s),
            "this is the factor. Multiply it by the mean square at the start.",
        ),
        "root": (
            lambda *given: np.sqrt(_mean_square(*given)),
            "this is the root of the mean square.",
        ),
        "start squared": (
            lambda q, *rest: _mean_square(q**2, *rest),
            "you square the start. It is a mean square already.",
        ),
    },
)


# ------------------------------------------------------------------------- residual_backward


def _residual(
    delta, a, W, V, *, skip=1.0, on=None, through_V=None, through_W=None, left=None, hidden=None
):
    z = a @ W
    relu = np.maximum(z, 0)
    behind = delta @ V.T if through_V is None else through_V(delta, V)
    inner = behind * ((z > 0) if on is None else on(z, a, delta))
    back = inner @ W.T if through_W is None else through_W(inner, W)
    dW = (a if left is None else left(a, relu)).T @ inner
    dV = (relu if hidden is None else hidden(z, a, relu)).T @ delta
    return skip * delta + back, dW, dV


def _wrong_residual(**changes):
    return lambda *given: _residual(*given, **changes)


def _residual_with(change):
    return lambda *given: change(*_residual(*given), *given)


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
        "no skip": (
            _wrong_residual(skip=0.0),
            "the slope for a lacks the way past the layers: a is added to what comes out of them.",
        ),
        "skip alone": (
            _residual_with(lambda da, dW, dV, delta, a, W, V: (delta, dW, dV)),
            "the slope for a knows only the way past the layers. The way through them is missing.",
        ),
        "skip twice": (
            _wrong_residual(skip=2.0),
            "the way past the layers counts twice in the slope for a.",
        ),
        "skip in the block": (
            _residual_with(
                lambda da, dW, dV, delta, a, W, V: (
                    da - delta + ((a @ W > 0) * delta) @ W.T,
                    dW,
                    dV,
                )
            ),
            "you send the slope of the skip through W. It goes past the layers.",
        ),
        "no mask": (
            _wrong_residual(on=lambda z, a, delta: 1.0),
            "ReLU's slope is missing: where a unit is off, nothing comes back.",
        ),
        "mask of a": (
            _wrong_residual(on=lambda z, a, delta: a > 0),
            "ReLU is on where a W is positive, not where a is.",
        ),
        "mask of delta": (
            _wrong_residual(on=lambda z, a, delta: delta > 0),
            "you set negative slopes to 0. ReLU's slope depends on what went into "
            "it, not on what comes back.",
        ),
        "mask upside down": (
            _wrong_residual(on=lambda z, a, delta: z < 0),
            "the slopes pass where the units are off.",
        ),
        "values for mask": (
            _wrong_residual(on=lambda z, a, delta: np.maximum(z, 0)),
            "you multiply by ReLU itself. Its slope is 0 or 1.",
        ),
        "sign for mask": (
            _wrong_residual(on=lambda z, a, delta: np.sign(z)),
            "ReLU's slope is 0 where it is off, not −1.",
        ),
        "V not turned": (
            _wrong_residual(through_V=lambda delta, V: delta @ V),
            "V goes the wrong way: backwards it is its transpose.",
        ),
        "W not turned": (
            _wrong_residual(through_W=lambda inner, W: inner @ W),
            "W goes the wrong way in the slope for a: backwards it is its transpose.",
        ),
        "V forgotten": (
            _wrong_residual(through_V=lambda delta, V: delta),
            "the slope comes back to ReLU through V, too.",
        ),
        "W forgotten": (
            _wrong_residual(through_W=lambda inner, W: inner),
            "the slope comes back to a through W, too.",
        ),
        "W from ReLU": (
            _wrong_residual(left=lambda a, relu: relu),
            "the slope for W is made with ReLU's output. What went into W is a.",
        ),
        "V from z": (
            _wrong_residual(hidden=lambda z, a, relu: z),
            "the slope for V is made with a W. What went into V is ReLU of it.",
        ),
        "V from a": (
            _wrong_residual(hidden=lambda z, a, relu: a),
            "the slope for V is made with a. What went into V is ReLU's output.",
        ),
        "V from mask": (
            _wrong_residual(hidden=lambda z, a, relu: 1.0 * (z > 0)),
            "the slope for V is made with ReLU's slope. Take its output.",
        ),
        "averaged": (
            _residual_with(lambda da, dW, dV, delta, *rest: (da, dW / len(delta), dV / len(delta))),
            "you divide by the number of samples. delta holds that already.",
        ),
        "turned": (
            _residual_with(lambda da, dW, dV, *rest: (da, dW.T, dV.T)),
            "the slopes for W and V are turned: they have the shape and the order of the weights.",
        ),
        "swapped": (
            _residual_with(lambda da, dW, dV, *rest: (da, dV, dW)),
            "the slopes for W and V are swapped.",
        ),
        "a alone": (
            _residual_with(lambda da, dW, dV, *rest: da),
            "the slopes for W and V are missing: return three results.",
        ),
    },
)


# ----------------------------------------------------------------------- batch_norm_backward


def _normalised(z, eps, *, ddof=0, axis=0, size=None):
    spread = z.var(axis=axis, ddof=ddof, keepdims=True)
    length = np.sqrt(spread + eps) if size is None else size(spread, eps)
    return (z - z.mean(axis=axis, keepdims=True)) / length, length


def _batch_norm(
    delta,
    z,
    gamma,
    eps,
    *,
    by_mean=1.0,
    by_spread=1.0,
    third=None,
    scale=None,
    scores=None,
    **changes,
):
    unit, length = _normalised(z, eps, **changes)
    factor = gamma / length if scale is None else scale(gamma, length)
    other = unit if third is None else third(unit, z, length)
    dz = factor * (
        delta
        - by_mean * np.mean(delta, axis=0)
        - by_spread * other * np.mean(delta * other, axis=0)
    )
    used = unit if scores is None else scores(unit, z)
    return dz, np.sum(delta * used, axis=0), np.sum(delta, axis=0)


def _wrong_batch_norm(**changes):
    return lambda *given: _batch_norm(*given, **changes)


def _batch_norm_with(change):
    return lambda *given: change(*_batch_norm(*given), *given)


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
        "both constant": (
            _wrong_batch_norm(by_mean=0.0, by_spread=0.0),
            "you take mean and spread for fixed numbers. They move with z, too.",
        ),
        "spread constant": (
            _wrong_batch_norm(by_spread=0.0),
            "you take the spread for a fixed number. It moves with z, too.",
        ),
        "mean constant": (
            _wrong_batch_norm(by_mean=0.0),
            "you take the mean for a fixed number. It moves with z, too.",
        ),
        "plus": (
            _wrong_batch_norm(by_mean=-1.0, by_spread=-1.0),
            "the ways through mean and spread have the wrong sign: they take away.",
        ),
        "plus at the mean": (
            _wrong_batch_norm(by_mean=-1.0),
            "the way through the mean has the wrong sign.",
        ),
        "plus at the spread": (
            _wrong_batch_norm(by_spread=-1.0),
            "the way through the spread has the wrong sign.",
        ),
        "sums": (
            lambda delta, z, gamma, eps: _batch_norm(
                delta, z, gamma, eps, by_mean=len(z), by_spread=len(z)
            ),
            "you add up over the samples on the ways through mean and spread. Each sample "
            "has a share of one n-th in them.",
        ),
        "spread twice": (
            _wrong_batch_norm(by_spread=2.0),
            "the way through the spread counts twice: the root halves the 2 of the square.",
        ),
        "spread half": (
            _wrong_batch_norm(by_spread=0.5),
            "the way through the spread counts half: the square has the slope 2.",
        ),
        "third with z": (
            _wrong_batch_norm(third=lambda unit, z, length: z),
            "the way through the spread is made with z. Take the normalised z.",
        ),
        "third not divided": (
            _wrong_batch_norm(third=lambda unit, z, length: unit * length),
            "the way through the spread is made with z minus its mean. Divide that by the root.",
        ),
        "gamma forgotten": (
            _wrong_batch_norm(scale=lambda gamma, length: 1 / length),
            "γ is missing in the slope for z: it multiplied on the way forwards.",
        ),
        "root forgotten": (
            _wrong_batch_norm(scale=lambda gamma, length: gamma),
            "the slope for z is not divided by the root of the variance.",
        ),
        "variance": (
            _wrong_batch_norm(scale=lambda gamma, length: gamma / length**2),
            "you divide by the variance. Divide by its root.",
        ),
        "multiplied": (
            _wrong_batch_norm(scale=lambda gamma, length: gamma * length),
            "you multiply by the root of the variance. Divide by it.",
        ),
        "n minus one": (
            _wrong_batch_norm(ddof=1),
            "your variance divides by n − 1. Batch normalisation divides by n.",
        ),
        "eps outside": (
            _wrong_batch_norm(size=lambda spread, eps: np.sqrt(spread) + eps),
            "ε stands outside the root. It belongs under it.",
        ),
        "no eps": (
            _wrong_batch_norm(size=lambda spread, eps: np.sqrt(spread)),
            "ε is missing under the root.",
        ),
        "over units": (
            lambda delta, z, gamma, eps: _batch_norm(delta, z, gamma, eps, axis=1),
            "mean and variance run over the units. They run over the samples: axis=0.",
        ),
        "gamma with z": (
            _wrong_batch_norm(scores=lambda unit, z: z),
            "the slope for γ is made with z. What γ multiplies is the normalised z.",
        ),
        "gamma with centred": (
            _wrong_batch_norm(scores=lambda unit, z: z - z.mean(axis=0)),
            "the slope for γ is made with z minus its mean. What γ multiplies is the normalised z.",
        ),
        "averaged": (
            _batch_norm_with(
                lambda dz, dg, db, delta, *rest: (dz, dg / len(delta), db / len(delta))
            ),
            "you average for γ and β. One γ acts on all samples: add up.",
        ),
        "not added up": (
            _batch_norm_with(
                lambda dz, dg, db, delta, z, gamma, eps: (dz, delta * _normalised(z, eps)[0], delta)
            ),
            "the slopes for γ and β are not added up over the samples.",
        ),
        "swapped": (
            _batch_norm_with(lambda dz, dg, db, *rest: (dz, db, dg)),
            "the slopes for γ and β are swapped.",
        ),
        "z alone": (
            _batch_norm_with(lambda dz, dg, db, *rest: dz),
            "the slopes for γ and β are missing: return three results.",
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
