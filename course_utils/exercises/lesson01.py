"""Exercises of lesson 01: the slope by nudging, and the gradient of the loss of a line."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["slope", "line_gradient"]


def square(x):
    return x**2


def cube(x):
    return x**3


def wave(x):
    return np.sin(x)


def _slope_inputs(rng):
    f = (square, cube, wave)[rng.integers(3)]
    return f, round(rng.uniform(0.5, 3.0), 1), round(rng.uniform(0.05, 0.4), 2)


slope = Exercise(
    "slope",
    reference=lambda f, x, h: (f(x + h) - f(x)) / h,
    inputs=_slope_inputs,
    mistakes={
        "not divided": (
            lambda f, x, h: f(x + h) - f(x),
            "you give back the change of the result. The slope is the change for each "
            "unit of the nudge: divide by something.",
        ),
        "divided by x": (
            lambda f, x, h: (f(x + h) - f(x)) / x,
            "you divide by x, the place. The run of the secant is the nudge.",
        ),
        "divided by x + h": (
            lambda f, x, h: (f(x + h) - f(x)) / (x + h),
            "you divide by x + h, the nudged place. The run of the secant is the nudge alone.",
        ),
        "no brackets": (
            lambda f, x, h: f(x + h) - f(x) / h,
            "brackets are missing: only f(x) is divided, not the whole change.",
        ),
        "sign": (
            lambda f, x, h: (f(x) - f(x + h)) / h,
            "the difference is the wrong way round: a function that rises gets a negative slope.",
        ),
        "two h": (
            lambda f, x, h: (f(x + h) - f(x)) / (2 * h),
            "you divide by 2h, but you moved by h only. (2h belongs to a difference "
            "from x − h to x + h.)",
        ),
        "central": (
            lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
            "this is the difference from x − h to x + h. It is a good one, and lesson 02 "
            "is about it. Here the nudge goes from x to x + h.",
        ),
        "backward": (
            lambda f, x, h: (f(x) - f(x - h)) / h,
            "this is the slope from x − h to x. Here the nudge goes from x to x + h.",
        ),
        "upside down": (
            lambda f, x, h: h / (f(x + h) - f(x)),
            "it is upside down: you divide the run by the rise.",
        ),
        "no difference": (
            lambda f, x, h: f(x + h) / h,
            "the rise is a difference: take away the result before the nudge.",
        ),
        "multiplied": (
            lambda f, x, h: (f(x + h) - f(x)) * h,
            "you multiply by the nudge. The slope is the change for each unit of it.",
        ),
        "only for squares": (
            lambda f, x, h: 2 * x,
            "this is the slope of x² alone. `f` can be any function: call it.",
        ),
        "secant of squares": (
            lambda f, x, h: 2 * x + h,
            "this fits x² alone. `f` can be any function: call it.",
        ),
        "own nudge": (
            lambda f, x, h: (f(x + 1e-6) - f(x)) / 1e-6,
            "you use a nudge of your own. Use `h`.",
        ),
        "nudge of the result": (
            lambda f, x, h: (f(x) + h - f(x)) / h,
            "you add h to the result. Add it to x, before f is called.",
        ),
    },
)


def _line_gradient(w, b, x, y):
    error = w * x + b - y
    return np.mean(2 * error * x), np.mean(2 * error)


def _both(change):
    """A wrong gradient made from the right one."""

    def wrong(w, b, x, y):
        return change(*_line_gradient(w, b, x, y), x)

    return wrong


def _line_inputs(rng):
    n = rng.integers(2, 6)
    return (
        round(rng.uniform(-2, 2), 1),
        round(rng.uniform(-2, 2), 1),
        rng.uniform(-3, 3, n).round(1),
        rng.uniform(-3, 3, n).round(1),
    )


line_gradient = Exercise(
    "line_gradient",
    reference=_line_gradient,
    inputs=_line_inputs,
    tolerance=1e-8,  # finer than nudging can be
    mistakes={
        "sign": (
            _both(lambda dw, db, x: (-dw, -db)),
            "both signs are the wrong way round. Is your error ŷ − y, or y − ŷ?",
        ),
        "two forgotten": (
            _both(lambda dw, db, x: (dw / 2, db / 2)),
            "both are half of what they should be. What is the slope of a square?",
        ),
        "two forgotten for w": (
            _both(lambda dw, db, x: (dw / 2, db)),
            "the derivative for w is half as large as it should be.",
        ),
        "two forgotten for b": (
            _both(lambda dw, db, x: (dw, db / 2)),
            "the derivative for b is half as large as it should be.",
        ),
        "sign of w": (_both(lambda dw, db, x: (-dw, db)), "the sign is wrong for w."),
        "sign of b": (_both(lambda dw, db, x: (dw, -db)), "the sign is wrong for b."),
        "sum for w": (
            _both(lambda dw, db, x: (dw * len(x), db)),
            "you add up the examples for w and average them for b. Both are means.",
        ),
        "sum for b": (
            _both(lambda dw, db, x: (dw, db * len(x))),
            "you average the examples for w and add them up for b. Both are means.",
        ),
        "error squared": (
            lambda w, b, x, y: (
                np.mean(2 * (w * x + b - y) ** 2 * x),
                np.mean(2 * (w * x + b - y) ** 2),
            ),
            "the error is still squared. The slope of a square is not a square.",
        ),
        "w in place of x": (
            lambda w, b, x, y: (np.mean(2 * (w * x + b - y)) * w, np.mean(2 * (w * x + b - y))),
            "for w you multiply by w. If w grows by a bit, by how much does w · x grow?",
        ),
        "b in place of 1": (
            lambda w, b, x, y: (np.mean(2 * (w * x + b - y) * x), np.mean(2 * (w * x + b - y)) * b),
            "for b you multiply by b. But b is added, not multiplied.",
        ),
        "a step": (
            lambda w, b, x, y: (
                w - _line_gradient(w, b, x, y)[0],
                b - _line_gradient(w, b, x, y)[1],
            ),
            "you took a step. Give back the gradient itself.",
        ),
        "list": (
            lambda w, b, x, y: list(_line_gradient(w, b, x, y)),
            "the numbers are right. Give back two numbers with a comma between them, "
            "not a list or an array.",
        ),
        "sum": (
            _both(lambda dw, db, x: (dw * len(x), db * len(x))),
            "you add the examples up. The loss is their mean, and so is its gradient.",
        ),
        "sum without two": (
            _both(lambda dw, db, x: (dw * len(x) / 2, db * len(x) / 2)),
            "you add the examples up where the loss takes the mean, "
            "and the 2 from the square is missing.",
        ),
        "swapped": (
            _both(lambda dw, db, x: (db, dw)),
            "the two are swapped: first the derivative for w, then the one for b.",
        ),
        "x forgotten": (
            lambda w, b, x, y: (np.mean(2 * (w * x + b - y)),) * 2,
            "the derivative for w lacks a factor. If w grows by a bit, "
            "by how much does w · x grow?",
        ),
        "x in both": (
            lambda w, b, x, y: (np.mean(2 * (w * x + b - y) * x),) * 2,
            "the derivative for b has a factor too many. If b grows by a bit, "
            "by how much does w · x + b grow?",
        ),
        "mean too early": (
            lambda w, b, x, y: (
                np.mean(2 * (w * x + b - y)) * np.mean(x),
                np.mean(2 * (w * x + b - y)),
            ),
            "you take the means of errors and inputs before you multiply. "
            "Multiply example by example, then take the mean.",
        ),
        "not averaged": (
            lambda w, b, x, y: (2 * (w * x + b - y) * x, 2 * (w * x + b - y)),
            "you give back one number for each example. "
            "The loss is a mean over the examples, and so is its gradient.",
        ),
        "bias forgotten": (
            lambda w, b, x, y: (np.mean(2 * (w * x - y) * x), np.mean(2 * (w * x - y))),
            "the prediction lacks the intercept b.",
        ),
    },
)
