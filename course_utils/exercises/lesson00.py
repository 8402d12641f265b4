"""Exercises of lesson 00: one step downhill, and the whole walk."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["step_downhill", "walk_downhill"]


def _walk(start, slope_at, learning_rate, steps):
    position = start
    for _ in range(steps):
        position = position - learning_rate * slope_at(position)
    return position


def _walk_uphill(start, slope_at, learning_rate, steps):
    return _walk(start, lambda position: -slope_at(position), learning_rate, steps)


def _slope_asked_once(start, slope_at, learning_rate, steps):
    return start - steps * learning_rate * slope_at(start)


def _each_round_from_start(start, slope_at, learning_rate, steps):
    position = start
    for _ in range(steps):
        position = start - learning_rate * slope_at(position)
    return position


def _path(start, slope_at, learning_rate, steps):
    return np.array([_walk(start, slope_at, learning_rate, k) for k in range(steps + 1)])


def bowl_slope(position):
    return 2 * position


def wavy_slope(position):
    return position + np.sin(3 * position)


def _step_inputs(rng):
    n = rng.integers(1, 4)
    return (
        rng.uniform(-3, 3, n).round(2),
        rng.uniform(-3, 3, n).round(2),
        round(rng.uniform(0.05, 0.9), 2),
    )


def _walk_inputs(rng):
    return (
        rng.uniform(-3, 3, rng.integers(1, 4)).round(2),
        bowl_slope if rng.random() < 0.5 else wavy_slope,
        round(rng.uniform(0.05, 0.3), 2),
        int(rng.integers(2, 6)),
    )


step_downhill = Exercise(
    "step_downhill",
    reference=lambda position, slope, learning_rate: position - learning_rate * slope,
    inputs=_step_inputs,
    mistakes={
        "sign": (
            lambda p, s, r: p + r * s,
            "you add the slope. The slope points uphill, so this walks uphill.",
        ),
        "no rate": (
            lambda p, s, r: p - s,
            "you leave out the learning rate: every step is as long as the slope.",
        ),
        "only the change": (
            lambda p, s, r: -r * s,
            "you give back the step itself. Where does the walker stand after it?",
        ),
        "only the length": (
            lambda p, s, r: r * s,
            "you give back the step itself (and it points uphill). "
            "Where does the walker stand after it?",
        ),
        "divided": (
            lambda p, s, r: p - s / r,
            "you divide by the learning rate: a small rate then makes a huge step.",
        ),
        "sign of slope only": (
            lambda p, s, r: p - r * np.sign(s),
            "you use only the sign of the slope. Steep ground should make a longer step.",
        ),
        "brackets": (
            lambda p, s, r: (p - s) * r,
            "you multiply the position by the learning rate, too. "
            "Only the slope is multiplied: mind the brackets.",
        ),
        "no slope": (
            lambda p, s, r: p - r,
            "you leave out the slope: every step is the same, steep ground or flat.",
        ),
        "rate subtracted": (
            lambda p, s, r: p - s - r,
            "you subtract the learning rate, too. The slope is multiplied by it.",
        ),
        "sign lost": (
            lambda p, s, r: p - r * np.abs(s),
            "you drop the sign of the slope. "
            "Where it is negative, the walker must go the other way.",
        ),
        "slopes added": (
            lambda p, s, r: p - r * np.sum(s),
            "you add up the slopes of all directions. "
            "Each entry of `slope` moves its own entry of `position`.",
        ),
        "turned around": (
            lambda p, s, r: r * s - p,
            "you subtract the position from the step: it is the other way round.",
        ),
    },
)

walk_downhill = Exercise(
    "walk_downhill",
    reference=_walk,
    inputs=_walk_inputs,
    mistakes={
        "slope asked once": (
            _slope_asked_once,
            "you ask for the slope once, at the start, and use it for every step. "
            "It changes as the walker moves: ask again inside the loop.",
        ),
        "one step": (
            lambda x, f, r, n: _walk(x, f, r, 1),
            "your result is that of one step. Either `return` is inside the loop, "
            "or each round starts again from `start`.",
        ),
        "from the start": (
            _each_round_from_start,
            "every step sets off from `start` again. Set off from where the walker is now.",
        ),
        "whole path": (_path, "you give back the whole path. Give back the last position alone."),
        "slope at the end": (
            lambda x, f, r, n: f(_walk(x, f, r, n)),
            "you give back the slope at the end. Where does the walker stand?",
        ),
        "no step": (
            lambda x, f, r, n: x,
            "you give back the start: is the new position assigned to `position`?",
        ),
        "one too few": (lambda x, f, r, n: _walk(x, f, r, n - 1), "you take one step too few."),
        "one too many": (lambda x, f, r, n: _walk(x, f, r, n + 1), "you take one step too many."),
        "uphill": (_walk_uphill, "you add the slope: this walks uphill."),
        "no rate": (
            lambda x, f, r, n: _walk(x, f, 1.0, n),
            "you leave out the learning rate: every step is as long as the slope.",
        ),
    },
)
