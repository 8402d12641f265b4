"""Exercises of lesson 07: when to stop, the slope of a penalty, and the top eigenvalue."""

import numpy as np

from course_utils.exercises.edits import Edit
from course_utils.exercises.engine import Exercise

__all__ = ["best_epoch", "penalised", "top_eigenvalue"]


def _best_epoch(losses, patience):
    best = 0
    for t in range(1, len(losses)):
        if losses[t] < losses[best]:
            best = t
        elif t - best >= patience:
            break
    return best


def _never_anew(losses, patience):
    best = waited = 0
    for t in range(1, len(losses)):
        if losses[t] < losses[best]:
            best = t
        else:
            waited += 1
            if waited >= patience:
                break
    return best


def _loss_inputs(rng):
    """A curve in which every wrong rule stops elsewhere.

    Two rises are shorter than the patience, the third is as long. Behind it comes a lower loss,
    and later the lowest. In half of the curves an equal loss stands in the third rise, and some
    curves end before the patience does.
    """
    patience = int(rng.integers(2, 5))
    rises = [0.3 - 0.02 * np.arange(n) for n in (patience - 2, patience - 1, patience)]
    rises[2][0] = rng.choice([0.0, 0.4])
    losses = np.concatenate(
        [
            4 - 0.1 * np.arange(rng.integers(2, 5)),
            [3.5],
            3.5 + rises[0],
            [3.0],
            3.0 + rises[1],
            [2.5],
            2.5 + rises[2],
            [2.2],
            2.3 + 0.02 * np.arange(patience + 3),
            [1.5, 1.6],
        ]
    ).round(2)
    ends_early = rng.random() < 0.25
    return losses[: np.flatnonzero(losses == 2.5)[0] + 2] if ends_early else losses, patience


best_epoch = Exercise(
    "best_epoch",
    reference=_best_epoch,
    inputs=_loss_inputs,
    mistakes={
        "whole curve": (
            lambda losses, patience: int(np.argmin(losses)),
            "you take the lowest loss of the whole curve. The rule stops before it "
            "has seen all: it cannot know what comes later.",
        ),
        "where it stopped": Edit(
            "you give the epoch at which the rule stops. Give the best one it has seen until then.",
            ("return best", "return t"),
        ),
        "one too patient": Edit(
            "you wait one epoch too long: `patience` epochs in a row without a "
            "lower loss are enough to stop.",
            (">= patience", "> patience"),
        ),
        "one too impatient": Edit(
            "you stop one epoch too early: wait `patience` epochs after the best one.",
            (">= patience", ">= patience - 1"),
        ),
        "ties": Edit(
            "you take an equal loss for a lower one, and wait anew.",
            ("losses[t] < losses[best]", "losses[t] <= losses[best]"),
        ),
        "never counts anew": (
            _never_anew,
            "after a lower loss the waiting must start anew: the `patience` epochs are in a row.",
        ),
        "first": (
            lambda losses, patience: 0,
            "this is always epoch 0. Is `return` inside the loop?",
        ),
        "lowest loss": (
            lambda losses, patience: float(np.min(losses)),
            "you give a loss. The number of its epoch is asked for.",
        ),
        "against the last": Edit(
            "you compare with the epoch before. Compare with the best so far.",
            ("losses[t] < losses[best]", "losses[t] < losses[t - 1]"),
        ),
        "no patience": Edit(
            "you stop at the first rise. Wait `patience` epochs.",
            (">= patience", ">= 1"),
        ),
        "loss": Edit(
            "you give the loss. The number of its epoch is asked for.",
            ("return best", "return losses[best]"),
        ),
        "count from one": Edit(
            "one too many: epochs count from 0, like the entries of `losses`.",
            ("return best", "return best + 1"),
        ),
        "last": (
            lambda losses, patience: len(losses) - 1,
            "this is always the last epoch: nothing stops.",
        ),
        "patience": (lambda losses, patience: patience, "this is the patience itself."),
    },
)


def _numbers(rng, size=3):
    return (rng.uniform(0.3, 2, size) * rng.choice([-1, 1], size)).round(1)


penalised = Exercise(
    "penalised",
    reference=lambda g, w, l1, l2: g + l1 * np.sign(w) + l2 * w,
    inputs=lambda rng: (
        _numbers(rng),
        _numbers(rng),
        round(rng.uniform(0.1, 0.5), 2),
        round(rng.uniform(0.6, 0.9), 2),
    ),
    mistakes={
        "l1 without sign": (
            lambda g, w, l1, l2: g + l1 + l2 * w,
            "the slope of |w| is +1 or −1, as w is above or below 0: the sign is missing.",
        ),
        "l1 as size": (
            lambda g, w, l1, l2: g + l1 * np.abs(w) + l2 * w,
            "you add λ₁ |w|, the penalty itself. Its slope is asked for.",
        ),
        "l2 doubled": (
            lambda g, w, l1, l2: g + l1 * np.sign(w) + 2 * l2 * w,
            "the L2 part is twice too large: the penalty is half of λ₂ w².",
        ),
        "l2 as square": (
            lambda g, w, l1, l2: g + l1 * np.sign(w) + l2 * w**2 / 2,
            "you add the L2 penalty itself. Its slope is asked for.",
        ),
        "l2 halved": (
            lambda g, w, l1, l2: g + l1 * np.sign(w) + l2 * w / 2,
            "the L2 part is half of what it should be: the slope of w² is 2w, and ½ makes w of it.",
        ),
        "l2 as w squared": (
            lambda g, w, l1, l2: g + l1 * np.sign(w) + l2 * w**2,
            "the L2 part grows like w². The slope of ½ w² does not.",
        ),
        "both penalties": (
            lambda g, w, l1, l2: g + l1 * np.abs(w) + l2 * w**2 / 2,
            "you add the penalties themselves. Their slopes are asked for.",
        ),
        "both penalties, no half": (
            lambda g, w, l1, l2: g + l1 * np.abs(w) + l2 * w**2,
            "you add the penalties themselves. Their slopes are asked for.",
        ),
        "both penalties summed": (
            lambda g, w, l1, l2: g + l1 * np.abs(w).sum() + l2 * (w**2).sum() / 2,
            "you add the penalties themselves, one number for all weights. "
            "Each weight has a slope of its own.",
        ),
        "w for both": (
            lambda g, w, l1, l2: g + (l1 + l2) * w,
            "both parts have the slope of ½ w². That of |w| is +1 or −1, however large w is.",
        ),
        "sign of g": (
            lambda g, w, l1, l2: g + l1 * np.sign(g) + l2 * w,
            "you take the sign of the gradient. The penalty is on the weights.",
        ),
        "l1 minus": (
            lambda g, w, l1, l2: g - l1 * np.sign(w) + l2 * w,
            "the L1 part has the wrong sign.",
        ),
        "swapped": (lambda g, w, l1, l2: g + l2 * np.sign(w) + l1 * w, "λ₁ and λ₂ are swapped."),
        "minus": (
            lambda g, w, l1, l2: g - l1 * np.sign(w) - l2 * w,
            "the penalties have the wrong sign. They are added to the loss, "
            "so their slopes are added too.",
        ),
        "no gradient": (
            lambda g, w, l1, l2: l1 * np.sign(w) + l2 * w,
            "the gradient of the loss itself is missing.",
        ),
        "l1 forgotten": (lambda g, w, l1, l2: g + l2 * w, "the L1 part is missing."),
        "l2 forgotten": (lambda g, w, l1, l2: g + l1 * np.sign(w), "the L2 part is missing."),
        "sign for both": (
            lambda g, w, l1, l2: g + (l1 + l2) * np.sign(w),
            "both parts have the slope of |w|. That of ½ w² is w.",
        ),
        "step": (
            lambda g, w, l1, l2: w - g - l1 * np.sign(w) - l2 * w,
            "you made a step with rate 1. Only the gradient is asked for.",
        ),
    },
)


def _power(H, v, steps, unit=lambda v: v / np.linalg.norm(v), end=lambda H, v: v @ H @ v):
    for _ in range(steps):
        v = unit(H @ v)
    return end(H, v)


def _power_inputs(rng):
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    values = np.array([rng.choice([-1, 1]) * rng.uniform(4, 6), rng.uniform(-2, 2), 0.5])
    H = (Q * values @ Q.T).round(2)
    return (H + H.T) / 2, _numbers(rng), int(rng.integers(3, 6))


top_eigenvalue = Exercise(
    "top_eigenvalue",
    reference=_power,
    inputs=_power_inputs,
    mistakes={
        "length": (
            lambda H, v, steps: _power(H, v, steps, end=lambda H, v: np.linalg.norm(H @ v)),
            "you give the length of Hv. It is never negative, but an eigenvalue can be: "
            "take v · Hv.",
        ),
        "not normalised": (
            lambda H, v, steps: _power(H, v, steps, unit=lambda v: v),
            "v is never divided by its length, so it grows without end.",
        ),
        "too long at the end": (
            lambda H, v, steps: (lambda w: w @ H @ w)(
                H @ _power(H, v, steps - 1, end=lambda H, v: v)
            ),
            "the last v is not divided by its length.",
        ),
        "divided by sum": (
            lambda H, v, steps: _power(H, v, steps, unit=lambda v: v / v.sum()),
            "you divide by the sum of the entries. Divide by the length.",
        ),
        "divided by largest": (
            lambda H, v, steps: _power(H, v, steps, unit=lambda v: v / np.abs(v).max()),
            "you divide by the largest entry. Divide by the length.",
        ),
        "vector": (
            lambda H, v, steps: _power(H, v, steps, end=lambda H, v: v),
            "this is the direction v. The eigenvalue is asked for: v · Hv.",
        ),
        "start only": (
            lambda H, v, steps: (lambda u: u @ H @ u)(v / np.linalg.norm(v)),
            "H is never applied to v: this is the curvature along the first direction.",
        ),
        "divided by number": (
            lambda H, v, steps: _power(H, v, steps, unit=lambda v: v / len(v)),
            "`len(v)` is the number of entries. Divide by the length of the "
            "arrow, the root of the sum of its squares.",
        ),
        "divided by square": (
            lambda H, v, steps: _power(H, v, steps, unit=lambda v: v / (v @ v)),
            "you divide by the square of the length: the root is missing.",
        ),
        "one step less": (
            lambda H, v, steps: _power(H, v, steps - 1),
            "one step is missing: multiply and divide `steps` times, and take v · Hv after that.",
        ),
        "by NumPy": (
            lambda H, v, steps: max(np.linalg.eigvalsh(H), key=abs),
            "this is the exact eigenvalue. Give what `steps` steps from v make of it.",
        ),
        "by NumPy, largest": (
            lambda H, v, steps: np.linalg.eigvalsh(H).max(),
            "this is the exact eigenvalue, and not always the one of largest "
            "size. Give what `steps` steps from v make of it.",
        ),
        "one step more": (lambda H, v, steps: _power(H, v, steps + 1), "one step too many."),
        "one step": (
            lambda H, v, steps: _power(H, v, 1),
            "only one step is made. Is `return` inside the loop?",
        ),
        "squared": (
            lambda H, v, steps: _power(H, v, steps, end=lambda H, v: v @ v),
            "v · v is always 1. Put H in between.",
        ),
    },
)
