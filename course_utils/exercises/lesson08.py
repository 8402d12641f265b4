"""Exercises of lesson 08: the backward pass of a whole classifier, and inputs of one size."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["backward", "standardised"]


def _network(X, y, W1, b1, W2, b2):
    a = np.maximum(X @ W1 + b1, 0)
    scores = a @ W2 + b2
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return a, p / p.sum(axis=1, keepdims=True)


def _backward(
    X,
    y,
    a,
    p,
    W2,
    *,
    target=True,
    mean=True,
    mask=lambda d, a: d * (a > 0),
    weights=lambda W: W.T,
    sums=lambda d: d.sum(axis=0),
    scale=1.0,
):
    d_scores = p.copy()
    if target == "numbers":
        d_scores -= y
    elif target:
        d_scores[np.arange(len(y)), y] -= 1
    if mean:
        d_scores /= len(y)
    d_scores *= scale
    d_z = mask(d_scores @ weights(W2), a)
    return X.T @ d_z, sums(d_z), a.T @ d_scores, sums(d_scores)


def _wrong(**changes):
    return lambda *arguments: _backward(*arguments, **changes)


def _inputs(rng):
    """Four samples, three features, four units, four classes: a forgotten transpose still runs."""
    X = rng.uniform(-1, 1, (4, 3)).round(1)
    y = rng.integers(4, size=4)
    parts = [rng.uniform(-1, 1, shape).round(1) for shape in ((3, 4), 4, (4, 4), 4)]
    parts[1] = np.array([0.3, -0.2, 0.4, -0.3])  # so that some units are on and some are off
    a, p = _network(X, y, *parts)
    return X, y, a.round(3), p.round(4), parts[2]


backward = Exercise(
    "backward",
    reference=_backward,
    inputs=_inputs,
    mistakes={
        "target forgotten": (
            _wrong(target=False),
            "the targets are missing: the slope for the scores is p − y, with "
            "y = 1 for the right class.",
        ),
        "labels not one-hot": (
            _wrong(target="numbers"),
            "you take the number of the class away from every probability. "
            "The y of p − y is one-hot: 1 for the right class, 0 elsewhere.",
        ),
        "no mean": (
            _wrong(mean=False),
            "you add up over the samples. The loss is a mean: divide by their number.",
        ),
        "relu forgotten": (
            _wrong(mask=lambda d, a: d),
            "the ReLU is missing on the way back: where a unit is off, nothing passes.",
        ),
        "relu inverted": (
            _wrong(mask=lambda d, a: d * (a <= 0)),
            "the ReLU lets the wrong ones pass: those that are off.",
        ),
        "activation as slope": (
            _wrong(mask=lambda d, a: d * a),
            "you multiply by a. The slope of the ReLU is 1 where a > 0, and 0 elsewhere.",
        ),
        "no transpose": (
            _wrong(weights=lambda W: W),
            "W2 goes the wrong way: backwards it is its transpose.",
        ),
        "sign": (_wrong(scale=-1.0), "the sign is wrong: p − y, not y − p."),
        "half": (_wrong(scale=0.5), "half of what it should be."),
        "double": (_wrong(scale=2.0), "twice of what it should be: there is no square here."),
        "biases averaged": (
            _wrong(sums=lambda d: d.mean(axis=0)),
            "the biases' slopes are averaged. Add up over the samples; the mean "
            "is in the slope of the scores already.",
        ),
        "biases per sample": (
            _wrong(sums=lambda d: d.sum(axis=1)),
            "the biases' slopes are summed along the wrong axis: you have one "
            "for each sample. Add up over the samples.",
        ),
        "order": (
            lambda *given: (lambda r: (r[2], r[3], r[0], r[1]))(_backward(*given)),
            "the layers are in the wrong order: first W1 and b1, then W2 and b2.",
        ),
        "matrices first": (
            lambda *given: (lambda r: (r[0], r[2], r[1], r[3]))(_backward(*given)),
            "both matrices come first. The order is W1, b1, W2, b2.",
        ),
        "biases swapped": (
            lambda *given: (lambda r: (r[0], r[3], r[2], r[1]))(_backward(*given)),
            "the two biases are swapped.",
        ),
    },
)


def _standardised_inputs(rng):
    train = (rng.uniform(-5, 5, 2) + rng.uniform(1, 4, 2) * rng.normal(size=(5, 2))).round(1)
    return train, (rng.uniform(-3, 6, (3, 2))).round(1)


standardised = Exercise(
    "standardised",
    reference=lambda train, new: (new - train.mean(axis=0)) / train.std(axis=0),
    inputs=_standardised_inputs,
    mistakes={
        "own statistics": (
            lambda train, new: (new - new.mean(axis=0)) / new.std(axis=0),
            "you use mean and standard deviation of the new data. The network was "
            "trained with those of the training data: use the same.",
        ),
        "both together": (
            lambda train, new: (
                (new - np.concatenate([train, new]).mean(axis=0))
                / np.concatenate([train, new]).std(axis=0)
            ),
            "you take the statistics of both together. That lets the new data leak into "
            "the training.",
        ),
        "train given": (
            lambda train, new: (train - train.mean(axis=0)) / train.std(axis=0),
            "you give the training data back. Standardise the new data.",
        ),
        "one for all": (
            lambda train, new: (new - train.mean()) / train.std(),
            "you take one mean for all features. Each feature has its own: axis=0.",
        ),
        "one deviation": (
            lambda train, new: (new - train.mean(axis=0)) / train.std(),
            "you divide by one standard deviation for all features. Each feature has "
            "its own: axis=0.",
        ),
        "own deviation": (
            lambda train, new: (new - train.mean(axis=0)) / new.std(axis=0),
            "the mean is that of the training data, but the standard deviation is "
            "that of the new data. Take both from the training data.",
        ),
        "own mean": (
            lambda train, new: (new - new.mean(axis=0)) / train.std(axis=0),
            "the standard deviation is that of the training data, but the mean is that of "
            "the new data. Take both from the training data.",
        ),
        "per sample": (
            lambda train, new: ((new.T - new.mean(axis=1)) / new.std(axis=1)).T,
            "you go through each sample. Go through each feature: axis=0.",
        ),
        "variance": (
            lambda train, new: (new - train.mean(axis=0)) / train.var(axis=0),
            "you divide by the variance. Divide by its root.",
        ),
        "not divided": (
            lambda train, new: new - train.mean(axis=0),
            "the mean is taken away, but the size is left: divide by the standard deviation.",
        ),
        "not centred": (
            lambda train, new: new / train.std(axis=0),
            "the mean is left in: take it away first.",
        ),
        "range": (
            lambda train, new: (new - train.min(axis=0)) / (train.max(axis=0) - train.min(axis=0)),
            "this brings the range to 0 … 1. Asked for: mean 0, standard deviation 1.",
        ),
        "sample deviation": (
            lambda train, new: (new - train.mean(axis=0)) / train.std(axis=0, ddof=1),
            "you divide by N − 1 inside the standard deviation. Take NumPy's usual one.",
        ),
        "brackets": (
            lambda train, new: new - train.mean(axis=0) / train.std(axis=0),
            "brackets are missing: first take the mean away, then divide.",
        ),
    },
)
