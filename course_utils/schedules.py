"""Schedules: by how much to multiply the learning rate at step t.

Each function here returns a schedule, itself a function: ``schedule(t)`` is the factor of the
first rate at step t = 0, 1, 2, …, a whole number or an array of them. Arguments may be arrays
too, and broadcast against t. The formulas are those of ``torch.optim.lr_scheduler``.

    rate = 0.1 * cosine(T_max=100)(t)
    path = descend(surface, SGD(0.1), start, 100, schedule=warmup(10, cosine(90)))

Lessons 04 (a noise floor that decay removes) and 05 (schedules compared) use them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["constant", "step", "exponential", "cosine", "warmup"]

Schedule = Callable[[ArrayLike], np.ndarray]


def _steps(t, least=0, name="t"):
    """`t` as an array of whole numbers that are at least `least`."""
    t = np.asarray(t)
    if t.dtype.kind not in "iu":
        raise TypeError(
            f"{name} counts steps and must be a whole number or an array of them "
            f"(np.arange, not np.linspace), not {t.dtype}"
        )
    if np.any(t < least):
        raise ValueError(f"{name} must be at least {least}, but {name} = {t.min()}")
    return t


def _factor(value, name):
    value = np.asarray(value)
    if value.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a number or an array of numbers, not {value.dtype}")
    if not np.all((value >= 0) & np.isfinite(value)):
        raise ValueError(f"{name} must be finite and at least 0, but {name} = {value}")
    return value.astype(np.float64)


def constant() -> Schedule:
    """Factor 1 at every step."""
    return lambda t: np.ones(_steps(t).shape)


def step(step_size: ArrayLike, gamma: ArrayLike = 0.1) -> Schedule:
    """Multiply the rate by `gamma` after every `step_size` steps: γ^⌊t / step_size⌋ (StepLR)."""
    step_size, gamma = _steps(step_size, 1, "step_size"), _factor(gamma, "gamma")
    return lambda t: gamma ** (_steps(t) // step_size)


def exponential(gamma: ArrayLike) -> Schedule:
    """Multiply the rate by `gamma` after every step: γᵗ (ExponentialLR)."""
    gamma = _factor(gamma, "gamma")
    return lambda t: gamma ** _steps(t)


def cosine(T_max: ArrayLike, final: ArrayLike = 0.0) -> Schedule:
    """Half a cosine wave from 1 at t = 0 down to `final` at t = T_max (CosineAnnealingLR).

    final + (1 − final)(1 + cos(π t / T_max)) / 2: Loshchilov & Hutter (2017), eq. 5, without the
    restarts. Past T_max it rises again, as PyTorch's does: let T_max be the number of steps.
    """
    T_max, final = _steps(T_max, 1, "T_max"), _factor(final, "final")
    return lambda t: final + (1 - final) * (1 + np.cos(np.pi * _steps(t) / T_max)) / 2


def warmup(steps: ArrayLike, then: Schedule | None = None) -> Schedule:
    """Rise in equal parts for `steps` steps, then follow `then` (constant if none is given).

    The factor is (t + 1) / (steps + 1) while t < steps and then(t − steps) afterwards: no step is
    wasted on a rate of 0, and t = steps is the first at the full rate. Gradual warm-up: Goyal et
    al. (2017), section 2.2; PyTorch: LinearLR(start_factor=1/(steps + 1), total_iters=steps)
    followed by `then` in a SequentialLR.
    """
    steps = _steps(steps, 0, "steps")
    then = constant() if then is None else then
    if not callable(then):
        raise TypeError(f"then must be a schedule such as cosine(100), not {then!r}")

    def factor(t):
        t = _steps(t)
        after = then(np.maximum(t - steps, 0))
        return np.where(t < steps, (t + 1) / (steps + 1), after)

    return factor
