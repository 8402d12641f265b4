"""Homework 02: what more one can learn about a function by asking it for a few values."""

import numpy as np

from course_utils.exercises import Exercise
from course_utils.exercises import functions as f

FIELDS = [f.circle, f.spiral, f.mixed]
CURVES = [f.wave, f.growth, f.bell]
LANDS = [f.valley, f.twisted, f.hills]
PAIRS = [
    (f.bowl, f.bowl_gradient),
    (f.valley, f.valley_gradient),
    (f.twisted, f.twisted_gradient),
    (f.hills, f.hills_gradient),
]


def _point(rng, n):
    """Numbers with one decimal between 0.3 and 1.9 in size: no slope of 0, no large power."""
    return (rng.uniform(0.3, 1.9, n) * rng.choice([-1, 1], n)).round(1)


def _nudge(rng):
    return round(rng.uniform(0.02, 0.2), 2)


# -------------------------------------------------------------------------- hessian_vector


def _hv(gradient, x, v, h):
    return (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)


def _hv_inputs(rng):
    n = rng.integers(2, 5)
    gradients = [f.valley_gradient, f.twisted_gradient, f.hills_gradient]
    return gradients[rng.integers(3)], _point(rng, n), _point(rng, n), _nudge(rng)


hessian_vector = Exercise(
    "hessian_vector",
    reference=_hv,
    inputs=_hv_inputs,
    mistakes={
        "forward": (
            lambda g, x, v, h: (g(x + h * v) - g(x)) / h,
            "this is the forward difference. Move to both sides: it is far more exact for "
            "one more gradient.",
        ),
        "backward": (
            lambda g, x, v, h: (g(x) - g(x - h * v)) / h,
            "this is the backward difference. Move to both sides.",
        ),
        "h not doubled": (
            lambda g, x, v, h: 2 * _hv(g, x, v, h),
            "twice too large: from x − hv to x + hv you move by 2h.",
        ),
        "forward halved": (
            lambda g, x, v, h: (g(x + h * v) - g(x)) / (2 * h),
            "you move to one side only, but divide by 2h.",
        ),
        "half times h": (
            lambda g, x, v, h: _hv(g, x, v, h) * h**2,
            "`/ 2 * h` divides by 2 and then multiplies by h. Put brackets around "
            "what you divide by.",
        ),
        "brackets": (
            lambda g, x, v, h: g(x + h * v) - g(x - h * v) / (2 * h),
            "brackets are missing: only the second gradient is divided.",
        ),
        "not divided": (
            lambda g, x, v, h: _hv(g, x, v, h) * 2 * h,
            "this is the change of the gradient. Divide it by how far you moved: 2h.",
        ),
        "sign": (
            lambda g, x, v, h: -_hv(g, x, v, h),
            "the difference is the wrong way round: the sign is wrong.",
        ),
        "v as the nudge": (
            lambda g, x, v, h: (g(x + v) - g(x - v)) / 2,
            "you move by all of v. Move by h v: what is asked is the change at x, and v is long.",
        ),
        "no direction": (
            lambda g, x, v, h: (g(x + h) - g(x - h)) / (2 * h),
            "you move all entries by h alike. Move along v.",
        ),
        "direction afterwards": (
            lambda g, x, v, h: (g(x + h) - g(x - h)) / (2 * h) * v,
            "you move all entries by h alike and multiply by v afterwards. Move along v.",
        ),
        "unit vector": (
            lambda g, x, v, h: _hv(g, x, v / np.linalg.norm(v), h),
            "you made v a unit vector. H times v is twice as long if v is.",
        ),
        "curvature": (
            lambda g, x, v, h: v @ _hv(g, x, v, h),
            "you multiplied by v once more: that is the curvature along v, one number. "
            "H times v is an array.",
        ),
        "gradient times v": (
            lambda g, x, v, h: g(x) * v,
            "this is the gradient times v. What is asked is how the gradient changes.",
        ),
        "divided by v": (
            lambda g, x, v, h: (g(x + h * v) - g(x - h * v)) / (2 * h * v),
            "you divide by the entries of v as well. The way back is 2h alone.",
        ),
    },
)


# ------------------------------------------------------------------------------ richardson


def _central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def _richardson(f, x, h):
    return (4 * _central(f, x, h / 2) - _central(f, x, h)) / 3


richardson = Exercise(
    "richardson",
    reference=_richardson,
    inputs=lambda rng: (
        CURVES[rng.integers(3)],
        float(_point(rng, 1)[0]),
        round(rng.uniform(0.2, 0.6), 1),
    ),
    tolerance=1e-9,
    mistakes={
        "plain": (
            _central,
            "this is the central difference with h. Put it together with the one with h / 2.",
        ),
        "plain, half": (
            lambda f, x, h: _central(f, x, h / 2),
            "this is the central difference with h / 2. Put it together with the one with h.",
        ),
        "mean": (
            lambda f, x, h: (_central(f, x, h) + _central(f, x, h / 2)) / 2,
            "the mean of the two still has an error of second order. Which mixture has none?",
        ),
        "first order weights": (
            lambda f, x, h: 2 * _central(f, x, h / 2) - _central(f, x, h),
            "2 and −1 are for an error that halves with h. That of a central "
            "difference falls to a quarter.",
        ),
        "first order, forward": (
            lambda f, x, h: 2 * (f(x + h / 2) - f(x)) / (h / 2) - (f(x + h) - f(x)) / h,
            "you extrapolate forward differences. Take central ones, with weights that fit their "
            "error: it falls to a quarter.",
        ),
        "forward": (
            lambda f, x, h: (4 * (f(x + h / 2) - f(x)) / (h / 2) - (f(x + h) - f(x)) / h) / 3,
            "you use forward differences. Take central ones.",
        ),
        "weights swapped": (
            lambda f, x, h: (4 * _central(f, x, h) - _central(f, x, h / 2)) / 3,
            "the weights are swapped: the better of the two gets the 4.",
        ),
        "added": (
            lambda f, x, h: (4 * _central(f, x, h / 2) + _central(f, x, h)) / 5,
            "you add the two. Errors go away only where they are subtracted.",
        ),
        "added, by three": (
            lambda f, x, h: (4 * _central(f, x, h / 2) + _central(f, x, h)) / 3,
            "you add the two. The one with h has to be taken away.",
        ),
        "not divided": (
            lambda f, x, h: 3 * _richardson(f, x, h),
            "three times too large: the weights have to add up to 1.",
        ),
        "brackets": (
            lambda f, x, h: 4 * _central(f, x, h / 2) - _central(f, x, h) / 3,
            "brackets are missing: only the second part is divided by 3.",
        ),
        "double": (
            lambda f, x, h: (4 * _central(f, x, h) - _central(f, x, 2 * h)) / 3,
            "right, but with h and 2h. Use h and h / 2: nearer is more exact.",
        ),
        "fourth order weights": (
            lambda f, x, h: (16 * _central(f, x, h / 2) - _central(f, x, h)) / 15,
            "16 and −1 are for an error that falls to a sixteenth. "
            "That of a central difference falls to a quarter.",
        ),
        "width": (
            lambda f, x, h: (4 * (f(x + h / 2) - f(x - h / 2)) / (2 * h) - _central(f, x, h)) / 3,
            "with h / 2 you move by h from side to side, but you divide by 2h.",
        ),
        "sign": (lambda f, x, h: -_richardson(f, x, h), "the sign is wrong."),
    },
)


# ------------------------------------------------------------------------ complex_jacobian


def _jacobian(field, x, h):
    return np.stack([field(x + 1j * h * e).imag / h for e in np.eye(len(x))], axis=1)


complex_jacobian = Exercise(
    "complex_jacobian",
    reference=_jacobian,
    inputs=lambda rng: (
        FIELDS[rng.integers(3)],
        _point(rng, 2),
        (1e-3, 1e-30, 1e-100)[rng.integers(3)],
    ),
    tolerance=1e-12,
    mistakes={
        "transposed": (
            lambda g, x, h: _jacobian(g, x, h).T,
            "rows and columns are swapped: row i belongs to result i, column j to xⱼ.",
        ),
        "not divided": (
            lambda g, x, h: _jacobian(g, x, h) * h,
            "these are the imaginary parts themselves. Divide by h.",
        ),
        "real part": (
            lambda g, x, h: np.stack([g(x + 1j * h * e).real / h for e in np.eye(len(x))], axis=1),
            "you took the real part: that is the value. The slope is in the imaginary part.",
        ),
        "size": (
            lambda g, x, h: np.abs(_jacobian(g, x, h)),
            "the signs are lost. Take the imaginary part, not its size.",
        ),
        "real nudge": (
            lambda g, x, h: np.stack([(g(x + h * e) - g(x)) / h for e in np.eye(len(x))], axis=1),
            "this is a forward difference. The nudge has to be imaginary: 1j * h.",
        ),
        "central": (
            lambda g, x, h: np.stack(
                [(g(x + h * e) - g(x - h * e)) / (2 * h) for e in np.eye(len(x))], axis=1
            ),
            "this is a central difference. The nudge has to be imaginary: 1j * h.",
        ),
        "divided by two h": (
            lambda g, x, h: _jacobian(g, x, h) / 2,
            "half of what it should be: you moved by h, to one side.",
        ),
        "all at once": (
            lambda g, x, h: np.stack([g(x + 1j * h).imag / h] * len(x), axis=1),
            "you nudge all entries at once. One column, one entry.",
        ),
        "sum": (
            lambda g, x, h: _jacobian(g, x, h).sum(axis=1),
            "you add the columns up. Keep one for each entry of x.",
        ),
        "sum of rows": (
            lambda g, x, h: _jacobian(g, x, h).sum(axis=0),
            "you add the results' slopes up. Keep one row for each result.",
        ),
        "first result": (
            lambda g, x, h: _jacobian(g, x, h)[0],
            "only the first result is there. The field has several.",
        ),
        "sign": (lambda g, x, h: -_jacobian(g, x, h), "the sign is wrong."),
    },
)


# ------------------------------------------------------------------------ mixed_derivative


def _mixed(f, x, i, j, h, signs=(1, -1, -1, 1), width=4.0):
    e, d = h * np.eye(len(x))[i], h * np.eye(len(x))[j]
    corners = f(x + e + d), f(x + e - d), f(x - e + d), f(x - e - d)
    return sum(s * c for s, c in zip(signs, corners)) / (width * h**2)


def _mixed_inputs(rng):
    """Neighbours that act on each other: where the answer is 0, only rounding would be left."""
    n, land = rng.integers(2, 4), LANDS[rng.integers(3)]
    i = rng.integers(n - 1) if land is f.valley else 0
    i, j = rng.permutation([i, i + 1])
    if rng.random() < 0.3:
        j = i
    return land, _point(rng, n), int(i), int(j), _nudge(rng)


def _one_sided(f, x, i, j, h):
    e, d = h * np.eye(len(x))[i], h * np.eye(len(x))[j]
    return (f(x + e + d) - f(x + e) - f(x + d) + f(x)) / h**2


mixed_derivative = Exercise(
    "mixed_derivative",
    reference=_mixed,
    inputs=_mixed_inputs,
    parts={
        "i and j differ": lambda f, x, i, j, h: i != j,
        "i and j are the same": lambda f, x, i, j, h: i == j,
    },
    mistakes={
        "not by four": (
            lambda f, x, i, j, h: 4 * _mixed(f, x, i, j, h),
            "four times too large: each of the two differences is over 2h.",
        ),
        "by two": (
            lambda f, x, i, j, h: 2 * _mixed(f, x, i, j, h),
            "twice too large: each of the two differences is over 2h, so divide by 4h².",
        ),
        "h once": (
            lambda f, x, i, j, h: _mixed(f, x, i, j, h) * h,
            "you divide by h once. Two differences, so h².",
        ),
        "times h squared": (
            lambda f, x, i, j, h: _mixed(f, x, i, j, h) * h**4,
            "`/ 4 * h**2` divides by 4 and multiplies by h². Put brackets around "
            "what you divide by.",
        ),
        "signs": (
            lambda f, x, i, j, h: _mixed(f, x, i, j, h, signs=(1, 1, -1, -1)),
            "the signs do not alternate: + + for both up and both down, − for one up and "
            "one down. (As it is, xⱼ does not count.)",
        ),
        "signs of the other": (
            lambda f, x, i, j, h: _mixed(f, x, i, j, h, signs=(1, -1, 1, -1)),
            "the signs do not alternate: + for both up and both down, − for "
            "one up and one down. (As it is, xᵢ does not count.)",
        ),
        "sign": (lambda f, x, i, j, h: -_mixed(f, x, i, j, h), "the sign is wrong."),
        "two corners": (
            lambda f, x, i, j, h: _mixed(f, x, i, j, h, signs=(1, 0, 0, -1)),
            "two corners are missing: one up, the other down.",
        ),
        "all added": (
            lambda f, x, i, j, h: _mixed(f, x, i, j, h, signs=(1, 1, 1, 1)),
            "you add all four. A difference of differences has two minus signs.",
        ),
        "one-sided": (
            _one_sided,
            "these are forward differences. Move to both sides, in both directions.",
        ),
        "same twice": (
            lambda f, x, i, j, h: _mixed(f, x, i, i, h),
            "j does not count: you nudge xᵢ twice.",
        ),
        "second twice": (
            lambda f, x, i, j, h: _mixed(f, x, j, j, h),
            "i does not count: you nudge xⱼ twice.",
        ),
        "product": (
            lambda f, x, i, j, h: (
                (f(x + h * np.eye(len(x))[i]) - f(x - h * np.eye(len(x))[i]))
                * (f(x + h * np.eye(len(x))[j]) - f(x - h * np.eye(len(x))[j]))
                / (4 * h**2)
            ),
            "this is the product of two slopes. What is asked is how the one changes with the "
            "other's variable.",
        ),
        "three points": (
            lambda f, x, i, j, h: (
                (f(x + h * np.eye(len(x))[i]) - 2 * f(x) + f(x - h * np.eye(len(x))[j])) / h**2
            ),
            "f(x + h) − 2 f(x) + f(x − h) is for one variable, nudged twice. Two variables need "
            "four corners.",
        ),
        "one array": (
            lambda f, x, i, j, h: 0.0,
            "always 0: are all four places the same array? `b = a` makes no copy.",
        ),
    },
)


# -------------------------------------------------------------------------- find_wrong_slopes


def _numeric(f, x, h):
    return np.array([(f(x + s) - f(x - s)) / (2 * h) for s in h * np.eye(len(x))])


def _flags(f, claimed, x, h, limit=1e-3, size=np.maximum, numeric=_numeric):
    slopes = numeric(f, x, h)
    return np.abs(claimed - slopes) > limit * size(np.abs(claimed), np.abs(slopes))


def _claim_inputs(rng):
    function, gradient = PAIRS[rng.integers(4)]
    x = _point(rng, rng.integers(3, 6))
    claimed = gradient(x.copy())
    for index in rng.choice(len(x), rng.integers(0, 3), replace=False):
        kind = rng.integers(4)
        claimed[index] = (-claimed[index], 1.01 * claimed[index], 0.0, claimed[index] - 0.3)[kind]
    return function, claimed, x, 1e-5


find_wrong_slopes = Exercise(
    "find_wrong_slopes",
    reference=_flags,
    inputs=_claim_inputs,
    mistakes={
        "right ones": (
            lambda f, c, x, h: ~_flags(f, c, x, h),
            "you mark the right slopes. Mark the wrong ones.",
        ),
        "places": (
            lambda f, c, x, h: np.flatnonzero(_flags(f, c, x, h)),
            "you give back the places. Give back True or False for each entry.",
        ),
        "any": (
            lambda f, c, x, h: bool(np.any(_flags(f, c, x, h))),
            "you say whether there is a wrong one. Say it for each entry.",
        ),
        "all": (
            lambda f, c, x, h: not np.any(_flags(f, c, x, h)),
            "you say whether all are right. Say for each entry whether it is wrong.",
        ),
        "errors": (
            lambda f, c, x, h: (
                np.abs(c - _numeric(f, x, h)) / np.maximum(np.abs(c), np.abs(_numeric(f, x, h)))
            ),
            "these are the relative errors. Compare them with 10⁻³.",
        ),
        "no absolute value": (
            lambda f, c, x, h: (
                c - _numeric(f, x, h) > 1e-3 * np.maximum(np.abs(c), np.abs(_numeric(f, x, h)))
            ),
            "a slope that is claimed too small slips through: take the absolute "
            "value of the difference.",
        ),
        "too lenient": (
            lambda f, c, x, h: _flags(f, c, x, h, limit=0.1),
            "an error of one per cent slips through: the limit is 10⁻³.",
        ),
        "first only": (
            lambda f, c, x, h: _flags(f, c, x, h) & (np.arange(len(x)) == 0),
            "only the first entry is looked at. Is `return` inside the loop?",
        ),
        "never": (lambda f, c, x, h: np.zeros(len(x), bool), "you mark no slope at all."),
        "always": (
            lambda f, c, x, h: np.ones(len(x), bool),
            "you mark every slope, and many are right. Are your numerical slopes divided "
            "by 2h? And no numerical slope is exact: allow a relative error of 10⁻³.",
        ),
    },
)
