"""The eleven patients of lesson 08: training runs that went wrong, each in one place, if at all.

How they are met::

    print(examine("A"))                      # the symptoms of patient A
    plots.chart(examine("A"), healthy(), alt="…")
    heal("A", "scale the inputs")            # one of TREATMENTS

**If you are a learner: read no further before the end of lesson 08.** The illnesses stand below.

All runs train the same small network on the same real digits, by `one_epoch`, the loop of every
lesson. A healthy run has the default `Settings`; an illness changes one of them, and its treatment
changes that one back. Hence a wrong treatment changes nothing: what it sets was in order. Some
treatments heal more than one patient, and one patient is well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from course_utils._given import one_of
from course_utils.data import digits, minibatches, split
from course_utils.networks import MLP, accuracy, length, mlp

__all__ = [
    "TREATMENTS",
    "ILLNESSES",
    "PATIENTS",
    "Settings",
    "Chart",
    "examine",
    "healthy",
    "is_well",
    "heal",
    "one_epoch",
    "chart_of",
]

TREATMENTS = {
    "biases at zero": "Let every bias of the hidden layers start at 0.",
    "clear the gradients": "Call `zero_grad()` in each step, before `backward()`.",
    "give the loss logits": "Hand the network's raw scores to `cross_entropy`.",
    "leave it alone": "Change nothing: the run is well.",
    "measure in evaluation mode": "Call `model.eval()` before, and `model.train()` behind it.",
    "pair images and labels": "Put each label beside the image it was written for.",
    "random first weights": "Draw the first weights at random, as large as He et al. advise.",
    "scale the inputs": "Bring every pixel between 0 and 1.",
    "separate the data": "Validate on images that are not in the training data.",
    "smaller learning rate": "Take the learning rate of the healthy run.",
}


@dataclass(frozen=True)
class Settings:
    """What a run depends on; the defaults are healthy."""

    learning_rate: float = 0.2
    clear_gradients: bool = True
    softmax_before_loss: bool = False  # cross_entropy takes the softmax itself
    full_ink: float = 1.0  # the number that stands for a black pixel
    first_weights: float | None = None  # a number for all of them; None draws them at random
    weights_scale: float = 1.0  # times the size that He et al. advise
    first_bias: float = 0.0
    validate_on_training_data: bool = False
    labels_late_by: int = 0  # image k has the label of image k − labels_late_by
    measure_in_training_mode: bool = False
    dropout: float = 0.0  # no illness


ILLNESSES = {
    "learning rate too high": {"learning_rate": 5.0},
    "gradients never cleared": {"clear_gradients": False},
    "softmax twice": {"softmax_before_loss": True},
    "inputs not scaled": {"full_ink": 255.0},
    "all first weights equal": {"first_weights": 0.03},
    "dead ReLUs": {"first_bias": -2.0},
    "training data in the validation data": {"validate_on_training_data": True},
    "labels out of step": {"labels_late_by": 1},
    "first weights too small": {"weights_scale": 0.01},
    "measured in training mode": {"measure_in_training_mode": True, "dropout": 0.2},
    "none": {},
}

PATIENTS = {
    "A": "all first weights equal",
    "B": "training data in the validation data",
    "C": "gradients never cleared",
    "D": "softmax twice",
    "E": "labels out of step",
    "F": "learning rate too high",
    "G": "inputs not scaled",
    "H": "dead ReLUs",
    "I": "measured in training mode",
    "J": "none",
    "K": "first weights too small",
}

_SETTINGS_TREATED = {
    "biases at zero": ["first_bias"],
    "clear the gradients": ["clear_gradients"],
    "give the loss logits": ["softmax_before_loss"],
    "leave it alone": [],
    "measure in evaluation mode": ["measure_in_training_mode"],
    "pair images and labels": ["labels_late_by"],
    "random first weights": ["first_weights", "weights_scale"],
    "scale the inputs": ["full_ink"],
    "separate the data": ["validate_on_training_data"],
    "smaller learning rate": ["learning_rate"],
}

EPOCHS, BATCH_SIZE = 30, 20
# Few digits to learn from and many to judge by: an honest run loses 6 to 12 % of accuracy from
# training to new digits, and chance moves the accuracy of a judge by 1 %.  So a leak shows.
TRAINING, VALIDATION = 200, 800
STEPS_ON_TEN = 100


# ------------------------------------------------------------------ the run


def one_epoch(
    model: MLP,
    optimizer: torch.optim.Optimizer,
    settings: Settings,
    X: Tensor,
    y: Tensor,
    batches: Iterable,
) -> tuple[list[float], list[float]]:
    """Take one step on each of the `batches`, which index X (N, 64) and y (N,).

    Returns the loss before each step, and the length of each step as a share of the length of
    all weights and biases.
    """
    losses, updates = [], []
    model.train()
    for batch in batches:
        logits = model(X[batch])
        if settings.softmax_before_loss:
            logits = logits.softmax(-1)
        loss = functional.cross_entropy(logits, y[batch])
        if settings.clear_gradients:
            optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        updates.append(
            settings.learning_rate
            * float(length(p.grad for p in model.parameters()))
            / float(length(p.detach() for p in model.parameters()))
        )
        optimizer.step()
    return losses, updates


def _newborn(settings, seed):
    """A network of 64 → 32 → 32 → 10 that has seen nothing, and plain gradient descent for it."""
    model = mlp(2, 32, "relu", "he", dropout=settings.dropout, seed=seed).double()
    with torch.no_grad():
        for weight in model.weights:
            weight *= settings.weights_scale
        if settings.first_weights is not None:
            for weight in model.weights:
                weight.fill_(settings.first_weights)
        for bias in model.biases[:-1]:
            bias.fill_(settings.first_bias)
    return model, torch.optim.SGD(model.parameters(), lr=settings.learning_rate)


def _data(settings, rng):
    """(X, y) three times: to train on, to validate with, and new digits for the very end."""
    X, y = digits()
    new = len(X) - TRAINING - VALIDATION
    parts = split(rng, settings.full_ink * X, y, VALIDATION / len(X), new / len(X))
    (X_train, y_train), (X_val, y_val), unseen = parts
    y_train, y_val = (np.roll(labels, settings.labels_late_by) for labels in (y_train, y_val))
    if settings.validate_on_training_data:
        X_val, y_val = X_train, y_train
    return [
        (torch.as_tensor(images), torch.as_tensor(labels))
        for images, labels in [(X_train, y_train), (X_val, y_val), unseen]
    ]


# ------------------------------------------------------------------ the chart


@dataclass(frozen=True, eq=False, repr=False)
class Chart:
    """The symptoms of a run. Arrays that follow training have a value before it and one after
    each epoch, shape (epochs + 1,).

    Attributes
    ----------
    first_loss
        loss before the first step; blind guessing among ten has log 10 = 2.30.
    steps
        how many steps had been taken.
    loss, accuracy
        over all training data.
    val_accuracy
        over the validation data.
    new_accuracy
        after training, over digits that nobody has touched before.
    update
        length of a step ÷ length of all weights; of the very first step, then the mean of each
        epoch.
    dead
        share of the hidden units that are 0 for every training image.
    units
        how many of the 64 hidden units have weights of their own, after training.
    one_batch
        the loss of a network that gets ten training digits only, at each of 100 steps and after
        them, shape (101,).
    """

    first_loss: float
    steps: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    val_accuracy: np.ndarray
    new_accuracy: float
    update: np.ndarray
    dead: np.ndarray
    units: int
    one_batch: np.ndarray

    def __repr__(self) -> str:
        percent = "{:.0f} % → {:.0f} %".format
        return "\n".join(
            [
                f"first loss                 {self.first_loss:.3g}",
                f"loss, training             {self.loss[0]:.3g} → {self.loss[-1]:.2g}",
                f"accuracy, training         {percent(*100 * self.accuracy[[0, -1]])}",
                f"accuracy, validation       {percent(*100 * self.val_accuracy[[0, -1]])}",
                f"accuracy, new digits       {100 * self.new_accuracy:.0f} %",
                f"loss, ten digits alone     {self.one_batch[0]:.3g} → {self.one_batch[-1]:.2g}",
                f"step ÷ weights             first {self.update[0]:.2g}, "
                f"in the boldest epoch {self.update[1:].max():.2g}",
                f"dead hidden units          {percent(*100 * self.dead[[0, -1]])}",
                f"different hidden units     {self.units} of 64",
            ]
        )


@lru_cache(maxsize=256)
def chart_of(settings: Settings, seed: int = 0) -> Chart:
    """The chart of a run with these `settings`: for patients of your own."""
    with torch.random.fork_rng(devices=[]):  # a reader's own torch.manual_seed stays in force
        torch.manual_seed(seed)  # of dropout
        return _run(settings, seed)


def _run(settings, seed):
    rng = np.random.default_rng(seed)
    (X, y), validation, new = _data(settings, rng)
    model, optimizer = _newborn(settings, seed)
    seen, update = [_measure(model, settings, X, y, validation)], []
    for _ in range(EPOCHS):
        _, ratios = one_epoch(
            model, optimizer, settings, X, y, minibatches(rng, len(X), BATCH_SIZE)
        )
        update += [np.mean(ratios)] if update else [ratios[0], np.mean(ratios)]
        seen.append(_measure(model, settings, X, y, validation))
    loss, train_accuracy, val_accuracy, dead = np.transpose(seen)

    pupil, optimizer = _newborn(settings, seed)
    ten = X[:10], y[:10]
    one_batch, _ = one_epoch(pupil, optimizer, settings, *ten, [slice(None)] * STEPS_ON_TEN)
    one_batch.append(_measure(pupil, settings, *ten, ten)[0])

    model.eval()
    with torch.no_grad():
        chart = Chart(
            first_loss=float(loss[0]),
            steps=np.arange(EPOCHS + 1) * math.ceil(len(X) / BATCH_SIZE),
            loss=loss,
            accuracy=train_accuracy,
            val_accuracy=val_accuracy,
            new_accuracy=float(accuracy(model(new[0]), new[1])),
            update=np.array(update),
            dead=dead,
            units=_units(model),
            one_batch=np.array(one_batch),
        )
    for value in vars(chart).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)  # the next caller gets the same chart
    return chart


@torch.no_grad()
def _measure(model, settings, X, y, validation):
    """Loss and accuracy in training, accuracy in validation, share of dead units."""
    layers: list[tuple[Tensor, Tensor]] = []
    model.train(settings.measure_in_training_mode)
    logits = model(X, layers)
    shown = logits.softmax(-1) if settings.softmax_before_loss else logits
    dead = torch.cat([(a == 0).all(0) for _, a in layers])
    return [
        float(functional.cross_entropy(shown, y)),
        float(accuracy(logits, y)),
        float(accuracy(model(validation[0]), validation[1])),
        float(dead.double().mean()),
    ]


def _units(model):
    """The number of different columns in the weights of the hidden layers, to six decimals."""
    return sum(
        torch.unique(weight.round(decimals=6), dim=1).shape[1] for weight in model.weights[:-1]
    )


# ------------------------------------------------------------------ the clinic


def examine(patient: str, seed: int = 0, treatment: str | None = None) -> Chart:
    """The chart of a patient, "A" to "K", after a treatment if one is given.

    `seed` decides which digits are learnt from, the first weights and the mini-batches. Raises
    ValueError for a patient or a treatment that there is not.
    """
    return chart_of(_settings(patient, treatment), seed)


def healthy(seed: int = 0) -> Chart:
    """The chart of a run without an illness, for comparison."""
    return chart_of(Settings(), seed)


def is_well(chart: Chart) -> bool:
    """Whether a run is in order: four conditions, the same for everyone.

    It reads 85 % of new digits; it can learn ten digits by heart, to a loss below 0.1 in 100
    steps; its first loss is within 0.5 of log 10; and the accuracy that validation promises is
    within 4 % of what new digits give.
    """
    return not _symptoms(chart)


def heal(patient: str, treatment: str, seed: int = 0) -> None:
    """Treat a patient, and print how the run was before, how it is now, and whether it is well.

    `...` in place of a treatment prints "not done yet". Raises what `examine` raises.
    """
    if treatment is ...:
        _settings(patient, None)
        print("not done yet")
        return
    before, after = examine(patient, seed), examine(patient, seed, treatment)
    print(f"Before: {_state(before)}")
    alone = not _SETTINGS_TREATED[treatment]
    same = "no number has changed" + ("" if alone else ", so that was in order before")
    print(f"After:  {same if after is before else _state(after)}")
    if _symptoms(after):
        print(f"✗ still ill: {_symptoms(after)[0]}")
    elif _symptoms(before):
        print("✓ healed")
    else:
        print("✓ so it is: it was well before" if alone else "✗ it was well before you came")


def _settings(patient, treatment):
    one_of("examine", "patient", patient, PATIENTS)
    settings = replace(Settings(), **ILLNESSES[PATIENTS[patient]])
    if treatment is None:
        return settings
    one_of("examine", "treatment", treatment, TREATMENTS)
    names = _SETTINGS_TREATED[treatment]
    return replace(settings, **{name: getattr(Settings(), name) for name in names})


def _state(chart):
    return (
        f"{100 * chart.new_accuracy:.0f} % of new digits right, "
        f"{100 * chart.val_accuracy[-1]:.0f} % in validation"
    )


def _symptoms(chart):
    """What is wrong with a run, in words. Comparisons are such that NaN counts as ill."""
    gap = chart.val_accuracy[-1] - chart.new_accuracy
    found = {
        f"it reads {100 * chart.new_accuracy:.0f} % of new digits": chart.new_accuracy >= 0.85,
        f"ten digits alone are learnt to a loss of {chart.one_batch[-1]:.2g} only": chart.one_batch[
            -1
        ]
        < 0.1,
        f"the first loss is {chart.first_loss:.3g}, not near log 10 = 2.30": abs(
            chart.first_loss - math.log(10)
        )
        < 0.5,
        f"validation promises {100 * abs(gap):.0f} % {'more' if gap > 0 else 'less'} accuracy than "
        "new digits give": abs(gap) < 0.04,
    }
    return [symptom for symptom, well in found.items() if not well]
