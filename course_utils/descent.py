"""The loop: ask for the gradient, take a step, write down where you are.

`descend` runs one optimizer, or a whole grid of its settings at once, and returns every point on
the way. Explorers, races and phase diagrams are all made from that one array::

    path = descend(RAVINE, SGD(lr=0.9), start=[-7.0, 2.0], steps=100)       # (101, 2)
    path = descend(RAVINE, SGD(lr=rates[:, None]), RAVINE.start, 100)       # (101, len(rates), 2)
    losses = RAVINE(path)                                                   # (101, len(rates))

Lessons 04 and 05 use it, and all explorers of paths, from that of lesson 00 on.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import is_dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from course_utils._given import NOT_NEGATIVE, floats, generator, numbers, whole

__all__ = ["descend", "diverged_at", "FAR"]

# A run has diverged when a coordinate leaves ±FAR · max(1, largest coordinate of its start).
FAR = 1e6


def descend(
    surface,
    optimizer,
    start: ArrayLike,
    steps: int,
    *,
    schedule: Callable[[int], ArrayLike] | None = None,
    noise: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Walk down `surface` from `start` and return the whole path.

    Returns the path, of shape ``(steps + 1, *grid, n)`` and start's dtype: path[0] is the start,
    path[t] the point after t steps. The grid is what start's leading axes, the hyperparameters, the
    schedule and the noise broadcast to. It is one array of (steps + 1) · grid · n numbers: 800
    settings × 300 steps × 2 coordinates in float64 take 3.9 MB.

    Noise is drawn in the shape of `start`, once a step. So settings differ in their
    hyperparameters alone, and a run out of a grid equals the same run by itself; for independent
    runs give `start` a leading axis of that length.

    A run that has diverged (see `FAR`), or whose gradient is not finite, is NaN from that step
    on, without a warning.

    Raises TypeError or ValueError for a start of integers or with NaN, a negative or fractional
    number of steps, noise without rng, and a gradient of the wrong shape.

    Parameters
    ----------
    surface
        a `Surface`, anything with a method ``gradient``, or a gradient function: points (..., n) →
        gradients (..., n)
    optimizer
        from `course_utils.optimizers`, or anything with ``init(x)`` and ``step(x, grad, state)``;
        its hyperparameters may be arrays that broadcast against points: lr of shape (41, 1) walks
        41 paths
    start
        floats of shape (..., n)
    steps
        how many steps to take, at least 0
    schedule
        from `course_utils.schedules`: the factor of the optimizer's lr at step 0, 1, 2, …
    noise
        standard deviation of Gaussian noise added to each gradient, a number or an array that
        broadcasts against points: the stand-in for mini-batches
    rng
        the random generator that noise needs: ``np.random.default_rng(SEED)``
    """
    gradient = getattr(surface, "gradient", surface)
    if not callable(gradient):
        raise TypeError(
            f"descend: surface must be a Surface or a gradient function, not {surface!r}"
        )
    for method in ("init", "step"):
        if isinstance(optimizer, type) or not callable(getattr(optimizer, method, None)):
            raise TypeError(
                f"descend: optimizer must be an optimizer such as SGD(lr=0.1), not {optimizer!r}"
            )
    whole("descend", "steps", steps, least=0)
    if schedule is not None and not callable(schedule):
        raise TypeError(
            f"descend: schedule must be a schedule such as cosine({steps}), not {schedule!r}; "
            "for another rate give the optimizer another lr"
        )
    start = _start(start)
    noise = _noise(noise, rng)

    # Invalid and overflowing numbers are this function's business: they end as NaN in the path.
    with np.errstate(all="ignore"):
        x = np.broadcast_to(start, np.broadcast_shapes(start.shape, noise.shape))
        limit = FAR * np.maximum(1, np.abs(x).max(axis=-1, keepdims=True))
        state = optimizer.init(x)
        # No step tells the grid of a run of no steps; take one anyway, and drop it below.
        path = None
        for t in range(max(steps, 1)):
            g = _gradient(gradient, x)
            if rng is not None:
                g = g + (noise * rng.standard_normal(start.shape)).astype(x.dtype)
            now = optimizer if schedule is None else _at(optimizer, schedule(t))
            x, state = _stepped(now, x, g, state)
            x = np.where(np.all(np.abs(x) <= limit, axis=-1, keepdims=True), x, np.nan)
            if path is None:
                path = np.empty((steps + 1, *x.shape), x.dtype)
                path[0] = start
            if steps:
                path[t + 1] = x
    return path


def diverged_at(path: np.ndarray, axis: int = 0) -> np.ndarray:
    """When each run of a path ``(steps + 1, *grid, n)`` became NaN: a step, or −1: ``(*grid)``.

    `axis` is that of the steps, if it is not the first. Raises ValueError for an array that is no
    path.
    """
    path = np.asarray(path)
    if path.ndim < 2:
        raise ValueError(
            f"diverged_at: a path has shape (steps + 1, ..., n), but this has {path.shape}"
        )
    steps = np.moveaxis(path, axis, 0)
    lost = np.isnan(steps).any(axis=-1)
    return np.where(lost.any(axis=0), lost.argmax(axis=0), -1)


def _start(start):
    start = floats("descend", "start", start)
    if start.ndim == 0 or start.size == 0:
        raise ValueError(
            f"descend: start has shape {start.shape}, expected (..., n): "
            "one coordinate is [3.0], not 3.0"
        )
    if not np.isfinite(start).all():
        raise ValueError(f"descend: start must be finite, but it is {start}")
    return start


def _noise(noise, rng):
    """The standard deviation as an array; zero without noise."""
    if noise is None:
        if rng is not None:
            raise ValueError("descend: rng is given but noise is not; say how much noise")
        return np.zeros(())
    generator("descend", "with noise, rng", rng)
    return np.asarray(numbers("descend", "noise", noise, NOT_NEGATIVE))


def _gradient(gradient, x):
    """The gradient at x, in x's dtype; a copy of x is handed out, so that x stays as it is."""
    g = gradient(x.copy())
    if g is None:
        raise TypeError("descend: the gradient function returned None; is its return missing?")
    g = np.asarray(g)
    if g.dtype.kind not in "iuf":
        raise TypeError(f"descend: the gradient must be an array of numbers, not {g.dtype}")
    if g.shape != x.shape:
        raise ValueError(
            f"descend: the gradient has shape {g.shape} at points of shape {x.shape}, expected "
            "the same shape; a function for one point can be spread over a grid with "
            "np.apply_along_axis(gradient, -1, x)"
        )
    return g.astype(x.dtype, copy=False)


def _stepped(optimizer, x, g, state):
    """One step of an optimizer, which may be a reader's own."""
    try:
        x, state = optimizer.step(x, g, state)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            "descend: the optimizer changes x in place, which is the path itself; "
            "return a new x: x = x - lr * grad, not x -= …"
        ) from None
    except TypeError as error:
        error.add_note("descend: an optimizer's step gives back the new x and the new memory")
        raise
    return np.asarray(x), state


def _at(optimizer, factor):
    """The optimizer with its rate multiplied by `factor`, which broadcasts against points."""
    if not hasattr(optimizer, "lr"):
        raise TypeError(f"descend: a schedule needs an optimizer with lr, not {optimizer!r}")
    if is_dataclass(optimizer):
        return replace(optimizer, lr=optimizer.lr * factor)
    now = copy(optimizer)  # a reader's own class
    now.lr = optimizer.lr * factor
    return now
