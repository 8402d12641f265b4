"""Schedules: by how much to multiply the learning rate at step t.

Each function here returns a schedule, itself a function: ``schedule(t)`` is the factor of the
first rate at step t = 0, 1, 2, …, a whole number or an array of them. Arguments may be arrays
too, and broadcast against t. The formulas are those of ``torch.optim.lr_scheduler``::

    rate = 0.1 * cosine(T_max=100)(t)
    path = descend(surface, SGD(0.1), start, 100, schedule=warmup(10, cosine(90)))

Lessons 04 (a noise floor that decay removes) and 05 (schedules compared) use them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from course_utils._given import NOT_NEGATIVE, numbers, wholes

__all__ = ["constant", "step", "exponential", "cosine", "warmup"]

Schedule = Callable[[ArrayLike], np.ndarray]


def _factor(owner, name, value):
    return np.asarray(numbers(owner, name, value, NOT_NEGATIVE))


def _power(gamma, t):
    with np.errstate(under="ignore", over="ignore"):  # what vanishes is 0
        return gamma**t


def constant() -> Schedule:
    """Factor 1 at every step."""
    return lambda t: np.ones(wholes("t", t).shape)


def step(step_size: ArrayLike, gamma: ArrayLike = 0.1) -> Schedule:
    """Multiply the rate by `gamma` after every `step_size` steps: γ^⌊t / step_size⌋ (StepLR)."""
    step_size, gamma = wholes("step_size", step_size, 1), _factor("step", "gamma", gamma)
    return lambda t: _power(gamma, wholes("t", t) // step_size)


def exponential(gamma: ArrayLike) -> Schedule:
    """Multiply the rate by `gamma` after every step: γᵗ (ExponentialLR)."""
    gamma = _factor("exponential", "gamma", gamma)
    return lambda t: _power(gamma, wholes("t", t))


def cosine(T_max: ArrayLike, final: ArrayLike = 0.0) -> Schedule:
    """Half a cosine wave from 1 at t = 0 down to `final` at t = T_max (CosineAnnealingLR).

    final + (1 − final)(1 + cos(π t / T_max)) / 2: Loshchilov & Hutter (2017), eq. 5, without the
    restarts. Past T_max it rises again, as PyTorch's does: let T_max be the number of steps.
    """
    T_max, final = wholes("T_max", T_max, 1), _factor("cosine", "final", final)
    return lambda t: final + (1 - final) * (1 + np.cos(np.pi * wholes("t", t) / T_max)) / 2


def warmup(steps: ArrayLike, then: Schedule | None = None) -> Schedule:
    """Rise in equal parts for `steps` steps, then follow `then` (constant if none is given).

    The factor is (t + 1) / (steps + 1) while t < steps and then(t − steps) afterwards: no step is
    wasted on a rate of 0, and t = steps is the first at the full rate. Gradual warm-up: Goyal et
    al. (2017), section 2.2; PyTorch: LinearLR(start_factor=1/(steps + 1), total_iters=steps)
    followed by `then` in a SequentialLR.
    """
    steps = wholes("steps", steps)
    then = constant() if then is None else then
    if not callable(then):
        raise TypeError(f"then must be a schedule such as cosine(100), not {then!r}")

    def factor(t):
        t = wholes("t", t)
        after = then(np.maximum(t - steps, 0))
        return np.where(t < steps, (t + 1) / (steps + 1), after)

    return factor
