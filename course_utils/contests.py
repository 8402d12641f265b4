"""One small network on the digits, trained by any rule at many learning rates at once.

Rules are not compared at one common rate: each is tried at the same list of rates, chosen on
validation data, and measured on test data, which neither training nor choice has seen. Lesson 05
uses this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from course_utils._given import number, whole
from course_utils.data import digits, minibatches, split
from course_utils.networks import with_slopes

__all__ = ["Result", "on_digits"]

HIDDEN = 32
SHAPES = [(64, HIDDEN), (1, HIDDEN), (HIDDEN, 10), (1, 10)]
COUNTS = [a * b for a, b in SHAPES]
SPREAD = [np.sqrt(2 / 64), 0, np.sqrt(1 / HIDDEN), 0]  # He's for the ReLUs; biases start at 0
WORST = 1e3  # the loss of a run whose numbers overflowed


@dataclass(frozen=True)
class Result:
    """What became of one rule.

    Attributes
    ----------
    rates
        (R,): those that were tried.
    validation
        (R,): mean loss of the runs on their validation data, 1,000 where one has overflowed.
    rate
        the rate with the lowest of these.
    test, accuracy
        (runs,): loss, and share of digits read, on test data at that rate.
    """

    rates: np.ndarray
    validation: np.ndarray
    rate: float
    test: np.ndarray
    accuracy: np.ndarray


@with_slopes
def on_digits(
    rules: Mapping[str, Callable],
    rates: ArrayLike,
    *,
    seed: int = 0,
    runs: int = 5,
    epochs: int = 6,
    batch_size: int = 64,
) -> dict[str, Result]:
    """Train 64 → 32 ReLU → 10 with each rule, at each rate, in each run; cross-entropy.

    A run has a split of the digits and first weights of its own; all rules meet the same runs and
    the same mini-batches, so their results can be compared run by run. All networks of a rule learn
    at once: their weights stand in one float64 array (rates, runs, 2410).

    Parameters
    ----------
    rules
        ``{name: rule}``, a rule being called with an array of rates, such as ``Adam``, and giving
        an optimizer of `course_utils.optimizers`, or one with the same methods.
    rates
        (R,), positive: the same for all rules.
    seed
        of splits, first weights and mini-batches.

    Raises
    ------
    TypeError
        A rule cannot be called.
    ValueError
        There is no rate or one is not positive, or a count is not a whole number of 1 or more.
    """
    for name, rule in rules.items():
        if not callable(rule):
            raise TypeError(f"on_digits: rule {name!r} must be called with a rate, such as Adam")
    rates = np.atleast_1d(np.asarray(rates, float))
    for rate in rates:
        number("on_digits", "a rate", rate)
    if rates.size == 0 or np.any(rates <= 0):
        raise ValueError(f"on_digits: rates must be one or more positive numbers, not {rates}")
    for name, value in {"runs": runs, "epochs": epochs, "batch_size": batch_size}.items():
        whole("on_digits", name, value)
    rng = np.random.default_rng(seed)
    parts = zip(*(split(rng, *digits()) for _ in range(runs)))
    first = rng.normal(size=(runs, sum(COUNTS))) * np.repeat(SPREAD, COUNTS)
    first = np.broadcast_to(first, (rates.size, *first.shape))
    data = [[torch.tensor(np.stack(arrays)) for arrays in zip(*part)] for part in parts]
    return {
        name: _learn(rule(rates[:, None, None]), rates, first, data, seed, epochs, batch_size)
        for name, rule in rules.items()
    }


def _learn(optimizer, rates, theta, data, seed, epochs, batch_size):
    (X, y), validation, (X_test, y_test) = data
    memory, order = optimizer.init(theta), np.random.default_rng(seed)
    with np.errstate(all="ignore"):  # the largest rates overflow: that is a result
        for _ in range(epochs):
            for batch in minibatches(order, X.shape[1], batch_size):
                slope = _gradient(theta, X[:, batch], y[:, batch])
                theta, memory = optimizer.step(theta, slope, memory)
    theta = torch.tensor(theta)
    loss = _loss(theta, *validation).mean(dim=-1).numpy()
    loss = np.nan_to_num(loss, nan=WORST, posinf=WORST)
    best = theta[int(loss.argmin())]
    hits = (_scores(best, X_test).argmax(dim=-1) == y_test).double().mean(dim=-1)
    test = _loss(best, X_test, y_test).numpy()
    return Result(rates, loss, float(rates[loss.argmin()]), test, hits.numpy())


def _scores(theta: Tensor, X: Tensor) -> Tensor:
    parts = torch.split(theta, COUNTS, dim=-1)
    W1, b1, W2, b2 = (p.reshape(*theta.shape[:-1], *shape) for p, shape in zip(parts, SHAPES))
    return torch.relu(X @ W1 + b1) @ W2 + b2


def _loss(theta: Tensor, X: Tensor, y: Tensor) -> Tensor:
    log_p = torch.log_softmax(_scores(theta, X), dim=-1)
    return -torch.take_along_dim(log_p, y[..., None].expand(*log_p.shape[:-1], 1), -1).mean(
        (-2, -1)
    )


def _gradient(theta: np.ndarray, X: Tensor, y: Tensor) -> np.ndarray:
    weights = torch.tensor(theta, requires_grad=True)
    return torch.autograd.grad(_loss(weights, X, y).sum(), weights)[0].numpy()
