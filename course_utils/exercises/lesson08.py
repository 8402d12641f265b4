"""Exercises of lesson 08: the backward pass of a whole classifier, and inputs of one size."""

import numpy as np

from course_utils.exercises import Edit, Exercise

__all__ = ["backward", "standardised"]


def _network(X, y, W1, b1, W2, b2):
    a = np.maximum(X @ W1 + b1, 0)
    scores = a @ W2 + b2
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return a, p / p.sum(axis=1, keepdims=True)


def _backward(X, y, a, p, W2):
    d_scores = p.copy()
    d_scores[np.arange(len(y)), y] -= 1
    d_scores /= len(y)
    d_z = d_scores @ W2.T * (a > 0)
    dW1, db1 = X.T @ d_z, d_z.sum(axis=0)
    dW2, db2 = a.T @ d_scores, d_scores.sum(axis=0)
    return dW1, db1, dW2, db2


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
        "target forgotten": Edit(
            "the targets are missing: the slope for the scores is p − y, with "
            "y = 1 for the right class.",
            ("    d_scores[np.arange(len(y)), y] -= 1\n", ""),
        ),
        "labels not one-hot": Edit(
            "you take the number of the class away from every probability. "
            "The y of p − y is one-hot: 1 for the right class, 0 elsewhere.",
            ("d_scores[np.arange(len(y)), y] -= 1", "d_scores -= y"),
        ),
        "no mean": Edit(
            "you add up over the samples. The loss is a mean: divide by their number.",
            ("    d_scores /= len(y)\n", ""),
        ),
        "relu forgotten": Edit(
            "the ReLU is missing on the way back: where a unit is off, nothing passes.",
            (" * (a > 0)", ""),
        ),
        "relu inverted": Edit(
            "the ReLU lets the wrong ones pass: those that are off.",
            ("a > 0", "a <= 0"),
        ),
        "activation as slope": Edit(
            "you multiply by a. The slope of the ReLU is 1 where a > 0, and 0 elsewhere.",
            ("(a > 0)", "a"),
        ),
        "no transpose": Edit(
            "W2 goes the wrong way: backwards it is its transpose.",
            ("W2.T", "W2"),
        ),
        "sign": Edit(
            "the sign is wrong: p − y, not y − p.",
            ("/= len(y)", "/= -len(y)"),
        ),
        "half": Edit(
            "half of what it should be.",
            ("/= len(y)", "/= 2 * len(y)"),
        ),
        "double": Edit(
            "twice of what it should be: there is no square here.",
            ("/= len(y)", "/= len(y) / 2"),
        ),
        "biases averaged": Edit(
            "the biases' slopes are averaged. Add up over the samples; the mean "
            "is in the slope of the scores already.",
            ("d_z.sum(axis=0)", "d_z.mean(axis=0)"),
            ("d_scores.sum(axis=0)", "d_scores.mean(axis=0)"),
        ),
        "biases per sample": Edit(
            "the biases' slopes are summed along the wrong axis: you have one "
            "for each sample. Add up over the samples.",
            ("d_z.sum(axis=0)", "d_z.sum(axis=1)"),
            ("d_scores.sum(axis=0)", "d_scores.sum(axis=1)"),
        ),
        "order": Edit(
            "the layers are in the wrong order: first W1 and b1, then W2 and b2.",
            ("return dW1, db1, dW2, db2", "return dW2, db2, dW1, db1"),
        ),
        "matrices first": Edit(
            "both matrices come first. The order is W1, b1, W2, b2.",
            ("return dW1, db1, dW2, db2", "return dW1, dW2, db1, db2"),
        ),
        "biases swapped": Edit(
            "the two biases are swapped.",
            ("return dW1, db1, dW2, db2", "return dW1, db2, dW2, db1"),
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
