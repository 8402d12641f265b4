"""Learning curves: what learning rate, batch size and first weights do to a run, at a glance.

PyTorch is imported when the networks are trained, not before: the other explorers do without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from course_utils.data import digits, minibatches, split
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["learning_curves", "learning_curves_at", "LearningCurves"]

STEPS, VALIDATE_EVERY = 150, 5
TRAINING, VALIDATION = 500, 300  # numbers of digits
GUESS = math.log(10)  # the loss of whoever gives each of ten digits the same probability


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """What a training loop can print: of one run, or of a grid of them.

    Attributes
    ----------
    steps
        0 … 149, shape (150,).
    loss
        of the mini-batch, before each step, shape ``(*grid, 150)``.
    update
        length of the step ÷ length of all weights and biases, shape ``(*grid, 150)``.
    val_steps
        how many steps had been taken: 0, 5, … 150, shape (31,).
    val_loss, val_accuracy
        over the 300 validation digits, shape ``(*grid, 31)``.
    """

    steps: np.ndarray
    loss: np.ndarray
    update: np.ndarray
    val_steps: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray


def learning_curves_at(rate, batch_size: int, init, seed: int = 0) -> LearningCurves:
    """150 steps of plain gradient descent on 500 of the real digits, by a 64 → 32 → 32 → 10 ReLU
    network.

    rate is a number or an array, init a name in `networks.INITS` or an array of names; both
    broadcast to the grid, and all its networks are trained at once. They see the same
    mini-batches; digits, mini-batches and first weights are drawn by `seed`. A run that overflows
    is inf or NaN from there on.

    Raises ValueError for a rate that is not above 0, a batch_size outside 1 … 500, and an unknown
    init.
    """
    import torch

    from course_utils.networks import accuracy, cross_entropy, length, mlp

    rate, init = np.broadcast_arrays(np.asarray(rate, float), init)
    if not (rate > 0).all():
        raise ValueError(
            "learning_curves_at: a rate is a number above 0, for example 0.1, not "
            f"{rate[~(rate > 0)][0]}"
        )
    (X, y), (X_val, y_val), batches = _data(seed, batch_size)
    model = mlp(2, 32, "relu", init.ravel().tolist(), seed=seed).double()
    parameters = list(model.parameters())
    rates = torch.tensor(rate.ravel())
    seen, judged = [], []

    @torch.no_grad()
    def judge():
        logits = model(X_val)
        judged.append([cross_entropy(logits, y_val), accuracy(logits, y_val)])

    for k, batch in enumerate(batches):
        if k % VALIDATE_EVERY == 0:
            judge()
        losses = cross_entropy(model(X[batch]), y[batch])
        gradients = torch.autograd.grad(losses.sum(), parameters)  # no run meets another
        with torch.no_grad():
            seen.append([losses.detach(), rates * length(gradients, 1) / length(parameters, 1)])
            for parameter, gradient in zip(parameters, gradients):
                parameter -= rates.reshape(-1, *[1] * (gradient.ndim - 1)) * gradient
    judge()

    def on_grid(rows):
        return (
            np.moveaxis(np.array(column), 0, -1).reshape(*rate.shape, -1) for column in zip(*rows)
        )

    loss, update = on_grid(seen)
    val_loss, val_accuracy = on_grid(judged)
    val_steps = np.arange(0, STEPS + 1, VALIDATE_EVERY)
    return LearningCurves(np.arange(STEPS), loss, update, val_steps, val_loss, val_accuracy)


@in_own_style
def learning_curves(seed: int = 0) -> Explorer:
    """Choose learning rate, batch size and first weights, and read the curves of 150 steps."""
    rates = np.array([0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0])
    sizes, inits = [10, 50, 250], ["tiny", "he", "large"]
    fig, (training, validation, update) = _stage()

    every = "learning_rate batch_size init"
    found = [learning_curves_at(rates[:, None], size, inits, seed) for size in sizes]
    loss, val_loss, val_accuracy, step = (
        np.stack([getattr(one, name) for one in found], axis=1)
        for name in ("loss", "val_loss", "val_accuracy", "update")
    )
    return explorer(
        fig,
        {
            "learning_rate": Control(rates, "learning rate η", start=0.1, play=True),
            "batch_size": Control(sizes, "batch size B", start=50),
            "init": Control(inits, "first weights", start="he"),
        },
        {
            training: (found[0].steps, On(loss, every)),
            validation: (found[0].val_steps, On(val_loss, every)),
            update: (found[0].steps, On(step, every)),
        },
        says={
            "first": On(loss[..., 0], every),
            "val_loss": On(val_loss[..., -1], every),
            "read": On(np.round(100 * val_accuracy[..., -1]), every),
            "step": On(np.median(step, axis=-1), every),
            "what": On(_what(rates, loss, val_loss[..., -1]), every),
        },
        status="First loss {first} (a guess: 2.30); after 150 steps: validation loss {val_loss}, "
        "{read} % of digits read; median step {step} × weights. {what}",
        alt=fig.alt,
    )


def _stage():
    alt = (
        "Left: training and validation loss of a network against the number of steps, on a "
        "logarithmic axis, with the loss of a guess. Right: the length of each step as a share "
        "of the length of the weights, with the usual range from 0.001 to 0.01."
    )
    fig, [[losses, updates]] = figure(2, alt=alt, width=8.8, height=4.1)
    losses.axhline(GUESS, color=GREY, linestyle=":", linewidth=1.3, label="a guess: log 10 = 2.30")
    losses.set(yscale="log", ylim=(0.02, 60), ylabel="loss", title="does it learn?")
    losses.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    updates.axhspan(1e-3, 1e-2, color=GREEN, alpha=0.15, linewidth=0, label="usual: 0.001 … 0.01")
    updates.set(
        yscale="log", ylim=(1e-5, 10), ylabel="step ÷ weights", title="how far does it move?"
    )
    for axes in (losses, updates):
        axes.set(xlim=(-2, STEPS + 2), xlabel="steps taken")
    (training,) = losses.plot(
        [], [], color=BLUE, linestyle="-", linewidth=1.3, label="training (mini-batch)"
    )
    (validation,) = losses.plot(
        [], [], color=ORANGE, linestyle="--", linewidth=2.0, label="validation"
    )
    (update,) = updates.plot([], [], color=BLUE, linestyle="-", linewidth=1.5, label="each step")
    for axes in (losses, updates):
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, frameon=False, columnspacing=1
        )
    return fig, (training, validation, update)


def _data(seed, batch_size):
    """(X, y) of the training digits and of the validation digits, and the mini-batches."""
    import torch

    rng = np.random.default_rng(seed)
    X, y = digits()
    rest = len(X) - TRAINING - VALIDATION
    parts = split(rng, X, y, VALIDATION / len(X), rest / len(X))[:2]
    batches = []
    while len(batches) < STEPS:
        batches += minibatches(rng, TRAINING, batch_size)
    pairs = [(torch.as_tensor(images), torch.as_tensor(labels)) for images, labels in parts]
    return *pairs, batches[:STEPS]


def _what(rates, loss, error):
    """In words, how each run stands beside the best rate with its batch size and first weights.

    loss (rate, size, init, 150) is that of training, error (rate, size, init) the validation loss
    at the end.
    """
    gone = ~np.isfinite(loss)
    diverged = np.char.add("Too large: diverged at step ", gone.argmax(axis=-1).astype(str))
    error = np.where(np.isfinite(error), error, np.inf)
    best, best_rate = error.min(axis=0), rates[error.argmin(axis=0)]
    return np.select(
        [
            gone.any(axis=-1),
            best > GUESS / 2,
            error <= 1.5 * best,
            rates[:, None, None] < best_rate,
            error > 0.95 * GUESS,
        ],
        [
            diverged,
            "No rate gets far with this batch and these first weights",
            "About as good as any rate here",
            "Too small: a larger rate gets further",
            "Too large: it ends like a guess, where a smaller rate learns",
        ],
        "Too large: a smaller rate gets further",
    )
