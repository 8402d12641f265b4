"""Homework 01: slopes in a direction, walks under a constraint, and a chain by hand."""

import numpy as np

from course_utils.exercises import Exercise
from course_utils.exercises import functions as f

GRADIENTS = [f.bowl_gradient, f.valley_gradient, f.twisted_gradient, f.hills_gradient]
PAIRS = [
    (f.bowl, f.bowl_gradient),
    (f.valley, f.valley_gradient),
    (f.twisted, f.twisted_gradient),
    (f.hills, f.hills_gradient),
]


def _point(rng, n):
    """Numbers with one decimal between 0.3 and 1.9 in size: no slope of 0, no large power."""
    return (rng.uniform(0.3, 1.9, n) * rng.choice([-1, 1], n)).round(1)


def _unit(v):
    return v / np.linalg.norm(v)


# ------------------------------------------------------------------ directional_derivative


def _along(gradient, x, v):
    return gradient(x) @ v / np.linalg.norm(v)


directional_derivative = Exercise(
    "directional_derivative",
    reference=_along,
    inputs=lambda rng: (
        GRADIENTS[rng.integers(4)],
        _point(rng, n := rng.integers(2, 4)),
        _point(rng, n),
    ),
    mistakes={
        "not a unit vector": (
            lambda g, x, v: g(x) @ v,
            "a longer v gives a steeper slope here. The slope is for each unit "
            "of length: v is a direction only.",
        ),
        "divided twice": (
            lambda g, x, v: g(x) @ v / (v @ v),
            "you divide by the square of the length of v. The length itself is enough.",
        ),
        "largest": (
            lambda g, x, v: g(x) @ v / np.max(np.abs(v)),
            "you divide by the largest entry of v. Its length is the root of the sum of squares.",
        ),
        "sum": (
            lambda g, x, v: g(x) @ v / np.sum(np.abs(v)),
            "you divide by the sum of the entries' sizes. The length is the root of the sum "
            "of squares.",
        ),
        "cosine": (
            lambda g, x, v: g(x) @ v / np.linalg.norm(v) / np.linalg.norm(g(x)),
            "this is the cosine of the angle. How steep the land is has been divided out.",
        ),
        "length of the gradient": (
            lambda g, x, v: np.linalg.norm(g(x)),
            "this is the slope in the steepest direction. v has no say in it.",
        ),
        "divided by the gradient": (
            lambda g, x, v: g(x) @ v / np.linalg.norm(g(x)),
            "you divide by the length of the gradient. Divide by the length of v.",
        ),
        "divided by x": (
            lambda g, x, v: g(x) @ v / np.linalg.norm(x),
            "you divide by the length of x, the place. Divide by that of v.",
        ),
        "not added": (
            lambda g, x, v: g(x) * v / np.linalg.norm(v),
            "you give back one number for each entry. Add them up: the slope along v "
            "is one number.",
        ),
        "at v": (
            lambda g, x, v: g(v) @ v / np.linalg.norm(v),
            "you ask for the gradient at v. The place is x, v only the direction.",
        ),
        "at the end": (
            lambda g, x, v: g(x + v) @ v / np.linalg.norm(v),
            "you ask for the gradient at x + v. Stay at x.",
        ),
        "direction of x": (
            lambda g, x, v: g(x) @ x / np.linalg.norm(x),
            "you took x for the direction. It is the place.",
        ),
        "sign": (lambda g, x, v: -_along(g, x, v), "the sign is wrong: uphill is positive."),
        "size": (
            lambda g, x, v: abs(_along(g, x, v)),
            "downhill has a negative slope. Do not take the absolute value.",
        ),
    },
)


# ------------------------------------------------------------------------- tangent_plane


def _tangent(f, gradient, x, d):
    return f(x) + gradient(x) @ d


def _pair_and_step(rng):
    n = rng.integers(2, 4)
    return (*PAIRS[rng.integers(4)], _point(rng, n), (_point(rng, n) / 4).round(2))


tangent_plane = Exercise(
    "tangent_plane",
    reference=_tangent,
    inputs=_pair_and_step,
    mistakes={
        "change only": (
            lambda f, g, x, d: g(x) @ d,
            "this is the change of the height alone. Start from the height at x.",
        ),
        "the function itself": (
            lambda f, g, x, d: f(x + d),
            "this is f at the new place. The tangent plane predicts it from x alone.",
        ),
        "times the new place": (
            lambda f, g, x, d: f(x) + g(x) @ (x + d),
            "you multiply the slopes by the new place. Multiply them by the way to it.",
        ),
        "times x": (
            lambda f, g, x, d: f(x) + g(x) @ x,
            "you multiply the slopes by x. Multiply them by the way d.",
        ),
        "gradient at the new place": (
            lambda f, g, x, d: f(x) + g(x + d) @ d,
            "the slopes are those of the new place. A plane that touches at x has the slopes at x.",
        ),
        "gradient at d": (
            lambda f, g, x, d: f(x) + g(d) @ d,
            "you ask for the gradient at d. The plane touches at x.",
        ),
        "height at the new place": (
            lambda f, g, x, d: f(x + d) + g(x) @ d,
            "you start from the height at the new place. Start from the height at x.",
        ),
        "sign": (
            lambda f, g, x, d: f(x) - g(x) @ d,
            "the change has the wrong sign. A step along a positive slope leads up.",
        ),
        "from the new place": (
            lambda f, g, x, d: f(x + d) - g(x) @ d,
            "you go backwards from the new place. Go forwards from x.",
        ),
        "unit step": (
            lambda f, g, x, d: f(x) + _along(g, x, d),
            "you divide by the length of d. A longer step changes the height more.",
        ),
        "half": (
            lambda f, g, x, d: f(x) + g(x) @ d / 2,
            "half of the change is missing. (A half belongs to the term of second order.)",
        ),
        "not added": (
            lambda f, g, x, d: f(x) + g(x) * d,
            "you give back one number for each entry. The changes add up to one height.",
        ),
        "length": (
            lambda f, g, x, d: f(x) + np.linalg.norm(g(x)) * np.linalg.norm(d),
            "you act as if d were the steepest direction. What counts is ∇f · d.",
        ),
    },
)


# ---------------------------------------------------------------------------- step_to_level


def _to_level(f, gradient, x, level):
    g = gradient(x)
    return x + (level - f(x)) / (g @ g) * g


def _level_inputs(rng):
    function, gradient = PAIRS[rng.integers(4)]
    x = _point(rng, rng.integers(2, 4))
    return function, gradient, x, round(float(function(x)) + rng.uniform(-1, 1), 1)


step_to_level = Exercise(
    "step_to_level",
    reference=_to_level,
    inputs=_level_inputs,
    mistakes={
        "length not squared": (
            lambda f, g, x, c: x + (c - f(x)) / np.linalg.norm(g(x)) * g(x),
            "the step is too long by the length of the gradient. Along the "
            "unit vector ∇f / |∇f| the slope is |∇f|: divide by the two.",
        ),
        "not divided": (
            lambda f, g, x, c: x + (c - f(x)) * g(x),
            "the missing height is not divided by anything. Where the land is steep, "
            "a short step is enough.",
        ),
        "sign": (
            lambda f, g, x, c: x - (c - f(x)) / (g(x) @ g(x)) * g(x),
            "the step goes the wrong way: if the level is higher than f(x), go uphill.",
        ),
        "step alone": (
            lambda f, g, x, c: _to_level(f, g, x, c) - x,
            "this is the step. Give back the place it leads to.",
        ),
        "level alone": (
            lambda f, g, x, c: x + c / (g(x) @ g(x)) * g(x),
            "you climb by the level itself. Climb by what is missing from f(x) to the level.",
        ),
        "height alone": (
            lambda f, g, x, c: x - f(x) / (g(x) @ g(x)) * g(x),
            "you go to the level 0. Go to `level`.",
        ),
        "entry by entry": (
            lambda f, g, x, c: x + (c - f(x)) / g(x),
            "each entry makes up for all of the missing height by itself. "
            "Together they go too far.",
        ),
        "entry by entry, shared": (
            lambda f, g, x, c: x + (c - f(x)) / g(x) / len(x),
            "each entry makes up for an equal share, flat or steep. Go "
            "along the gradient: steep entries move more.",
        ),
        "at half": (
            lambda f, g, x, c: x + (c - f(x)) / (2 * (g(x) @ g(x))) * g(x),
            "you go half of the way.",
        ),
        "sum": (
            lambda f, g, x, c: x + (c - f(x)) / np.sum(g(x)) * np.ones(len(x)),
            "you move all entries alike. Go along the gradient.",
        ),
        "length of x": (
            lambda f, g, x, c: x + (c - f(x)) / (x @ x) * g(x),
            "you divide by the length of x. Divide by the square of the gradient's.",
        ),
    },
)


# -------------------------------------------------------------------- steepest_within_plane


def _within(gradient, x, n):
    g = gradient(x)
    return -_unit(g - (g @ n) / (n @ n) * n)


steepest_within_plane = Exercise(
    "steepest_within_plane",
    reference=_within,
    inputs=lambda rng: (GRADIENTS[rng.integers(4)], _point(rng, 3), _point(rng, 3)),
    mistakes={
        "free": (
            lambda g, x, n: -_unit(g(x)),
            "this is the steepest direction of all. It leaves the plane: take away the part "
            "of the gradient along n first.",
        ),
        "uphill": (lambda g, x, n: -_within(g, x, n), "this leads uphill."),
        "not a unit vector": (
            lambda g, x, n: -(g(x) - (g(x) @ n) / (n @ n) * n),
            "the direction is right, its length is not 1. Divide by the length, last of all.",
        ),
        "uphill, not a unit vector": (
            lambda g, x, n: g(x) - (g(x) @ n) / (n @ n) * n,
            "this leads uphill, and its length is not 1.",
        ),
        "n not a unit vector": (
            lambda g, x, n: -_unit(g(x) - (g(x) @ n) * n),
            "you take the part along n as if n had the length 1. It need not have.",
        ),
        "n divided once": (
            lambda g, x, n: -_unit(g(x) - (g(x) @ n) / np.linalg.norm(n) * n),
            "the part along n comes out too long by the length of n: make both n's "
            "in it unit vectors.",
        ),
        "along n": (
            lambda g, x, n: -_unit((g(x) @ n) / (n @ n) * n),
            "you kept the part along n, and threw the rest away. It is the other way round.",
        ),
        "added": (
            lambda g, x, n: -_unit(g(x) + (g(x) @ n) / (n @ n) * n),
            "you added the part along n. Take it away.",
        ),
        "unit first": (
            lambda g, x, n: -(_unit(g(x)) - (_unit(g(x)) @ n) / (n @ n) * n),
            "you made a unit vector before you took the part along n away. "
            "After that its length is no longer 1.",
        ),
        "largest entry zero": (
            lambda g, x, n: -_unit(np.where(np.abs(n) == np.abs(n).max(), 0.0, g(x))),
            "you set one entry to 0. The plane lies askew: take away the part "
            "along n from all entries.",
        ),
        "subtract n": (
            lambda g, x, n: -_unit(g(x) - n),
            "you take n away as it is. Take away the part of the gradient along n: "
            "(g · n) / (n · n) times n.",
        ),
        "cross": (
            lambda g, x, n: -_unit(np.cross(g(x), n)),
            "the cross product with n lies in the plane, but along a level line. "
            "Take away the part along n.",
        ),
        "at n": (lambda g, x, n: _within(g, n, x), "x and n have changed places."),
        "part of x": (
            lambda g, x, n: -_unit(g(x) - (x @ n) / (n @ n) * n),
            "you take away the part of x along n. It is the gradient that must stay in the plane.",
        ),
    },
)


# --------------------------------------------------------------------------- chain_backward


def _chain(w, v, x, y):
    h = np.tanh(w * x)
    delta = 2 * (v * h - y)
    return delta * v * (1 - h**2) * x, delta * h


def _with(change):
    """A wrong backward pass, made from the right one and what it is made of."""

    def wrong(w, v, x, y):
        h = np.tanh(w * x)
        return change(*_chain(w, v, x, y), h, w, v, x, y)

    return wrong


chain_backward = Exercise(
    "chain_backward",
    reference=_chain,
    inputs=lambda rng: tuple(_point(rng, 4).tolist()),
    tolerance=1e-8,
    mistakes={
        "tanh not differentiated": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / (1 - h**2), dv)),
            "for w, the way back goes through tanh: its slope 1 − h² is missing.",
        ),
        "slope of tanh at h": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / (1 - h**2) * (1 - np.tanh(h) ** 2), dv)),
            "you take the slope of tanh at h. In terms of h it is 1 − h²: h is the tanh already.",
        ),
        "slope as of sigmoid": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / (1 + h) * h, dv)),
            "h (1 − h) is the slope of the sigmoid. That of tanh is 1 − h².",
        ),
        "one minus h": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / (1 + h), dv)),
            "the slope of tanh is 1 − h², not 1 − h.",
        ),
        "x forgotten": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / x, dv)),
            "for w, the last link is missing: how much does w · x grow with w?",
        ),
        "v forgotten": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / v, dv)),
            "for w, one link is missing: how much does v · h grow with h?",
        ),
        "h forgotten": (
            _with(lambda dw, dv, h, w, v, x, y: (dw, dv / h)),
            "for v, the last link is missing: how much does v · h grow with v?",
        ),
        "x for v": (
            _with(lambda dw, dv, h, w, v, x, y: (dw, dv / h * x)),
            "for v you multiply by x. The number that v meets is h.",
        ),
        "slope of tanh for v": (
            _with(lambda dw, dv, h, w, v, x, y: (dw, dv * (1 - h**2))),
            "v comes after tanh: the way back to v does not go through it.",
        ),
        "w for x": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / x * w, dv)),
            "for w you multiply by w. How much does w · x grow with w?",
        ),
        "two forgotten": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / 2, dv / 2)),
            "both are half of what they should be. What is the slope of a square?",
        ),
        "sign": (
            _with(lambda dw, dv, h, w, v, x, y: (-dw, -dv)),
            "both signs are wrong. Is your error ŷ − y, or y − ŷ?",
        ),
        "swapped": (
            _with(lambda dw, dv, h, w, v, x, y: (dv, dw)),
            "the two are swapped: first the slope for w, then the one for v.",
        ),
        "error forgotten": (
            _with(lambda dw, dv, h, w, v, x, y: (v * (1 - h**2) * x, h)),
            "these are the slopes of ŷ. The loss is its distance to y, squared: "
            "one link more, 2 (ŷ − y).",
        ),
        "squared error": (
            _with(lambda dw, dv, h, w, v, x, y: (dw / 2 * (v * h - y), dv / 2 * (v * h - y))),
            "the error is still squared. The slope of e² is 2e.",
        ),
        "no tanh": (
            lambda w, v, x, y: (2 * (v * w * x - y) * v * x, 2 * (v * w * x - y) * w * x),
            "there is no tanh in your chain.",
        ),
        "a step": (
            _with(lambda dw, dv, h, w, v, x, y: (w - dw, v - dv)),
            "you took a step. Give back the slopes themselves.",
        ),
    },
)
