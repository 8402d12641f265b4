"""Homework 03: losses that the lesson did not have, their slopes, and nothing that overflows."""

import numpy as np

from course_utils.exercises import Exercise


def _softmax(z):
    shares = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return shares / np.sum(shares, axis=-1, keepdims=True)


def _log_softmax(z):
    z = z - np.max(z, axis=-1, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))


def _scores(rng):
    """Scores (samples, classes), and a label for each sample."""
    n, classes = rng.integers(2, 5), rng.integers(3, 5)
    return rng.uniform(-3, 3, (n, classes)).round(1), rng.integers(0, classes, n)


# -------------------------------------------------------------------------------- log_sigmoid


def _log_sigmoid(z):
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def _sizes_of_z(rng):
    """One kind of size in a call: the error that counts is relative to the largest result."""
    low, high = ((20, 60), (20, 60), (-2000, -800), (-5, 5))[rng.integers(4)]
    return (rng.uniform(low, high, rng.integers(2, 5)).round(1),)


log_sigmoid = Exercise(
    "log_sigmoid",
    reference=_log_sigmoid,
    inputs=_sizes_of_z,
    tolerance=1e-12,
    parts={
        "z is between −5 and 5": lambda z: np.max(np.abs(z)) <= 5,
        "z is large": lambda z: np.min(z) > 5,
        "z is below −800": lambda z: np.max(z) < -5,
    },
    mistakes={
        "two steps": (
            lambda z: np.log(1 / (1 + np.exp(-z))),
            "for z = −2000 this is −inf, for z = 40 it is 0: exp overflows, "
            "and 1 + exp(−40) is 1. Treat the two signs apart; look up np.log1p.",
        ),
        "log1p alone": (
            lambda z: -np.log1p(np.exp(-z)),
            "exact for large z, but exp(−z) is infinite for z = −2000. "
            "Only take exp of what is not positive.",
        ),
        "other side": (
            lambda z: z - np.log1p(np.exp(z)),
            "exact for negative z, but exp(z) is infinite for z = 2000. "
            "Only take exp of what is not positive.",
        ),
        "log in place of log1p": (
            lambda z: np.minimum(z, 0) - np.log(1 + np.exp(-np.abs(z))),
            "nothing overflows, but 1 + 10⁻²⁰ is 1: for large z the result "
            "is 0 and loses all digits. Look up np.log1p.",
        ),
        "clipped": (
            lambda z: np.log(np.maximum(1 / (1 + np.exp(-z)), 1e-12)),
            "clipping hides the infinity: far below 0 the right result is about z.",
        ),
        "sigmoid": (
            lambda z: 1 / (1 + np.exp(-z)),
            "this is the sigmoid itself. Its logarithm is asked for.",
        ),
        "sign": (
            lambda z: -_log_sigmoid(z),
            "the sign is wrong: the logarithm of a probability is not above 0.",
        ),
        "mirrored": (
            lambda z: _log_sigmoid(-z),
            "this is the log of 1 − σ(z): z has the wrong sign.",
        ),
        "cut off": (
            lambda z: np.minimum(z, 0.0),
            "this is the limit for large |z|. Near 0 a term is missing.",
        ),
        "all negative": (
            lambda z: -np.abs(z) - np.log1p(np.exp(-np.abs(z))),
            "for positive z you subtract z, too. σ(z) is near 1 there, and its log near 0.",
        ),
        "sum": (
            lambda z: np.sum(_log_sigmoid(z)),
            "you add the results up. Give back one for each entry.",
        ),
        "mean": (
            lambda z: np.mean(_log_sigmoid(z)),
            "you take the mean. Give back one result for each entry.",
        ),
    },
)


# ------------------------------------------------------------------------------------- pinball


def _pinball(prediction, target, q, above=None, below=None):
    error = target - prediction
    above, below = q if above is None else above, 1 - q if below is None else below
    loss = np.where(error > 0, above * error, -below * error)
    slope = np.where(error > 0, -above, below) * (error != 0)
    return np.mean(loss), slope / len(error)


def _pinball_with(change):
    """A wrong answer made from the right one."""
    return lambda p, y, q: change(*_pinball(p, y, q), p, y, q)


def _pinball_inputs(rng):
    n = rng.integers(3, 7)
    return (
        rng.uniform(-3, 3, n).round(1),
        rng.uniform(-3, 3, n).round(1) + 0.05,
        (0.1, 0.25, 0.8, 0.9)[rng.integers(4)],
    )


pinball = Exercise(
    "pinball",
    reference=_pinball,
    inputs=_pinball_inputs,
    mistakes={
        "sides swapped": (
            lambda p, y, q: _pinball(p, y, 1 - q),
            "the two sides are swapped: a prediction that is too low costs q for "
            "each unit, one that is too high 1 − q.",
        ),
        "q on both sides": (
            lambda p, y, q: _pinball(p, y, q, q, q),
            "both sides cost q. A prediction that is too high costs 1 − q.",
        ),
        "equal sides": (
            lambda p, y, q: _pinball(p, y, q, 1.0, 1.0),
            "this is the absolute error. The two sides have weights, q and 1 − q.",
        ),
        "sign of the slope": (
            _pinball_with(lambda loss, slope, p, y, q: (loss, -slope)),
            "the slope is that for the target. Raise the prediction: does a "
            "prediction that is too low cost more then, or less?",
        ),
        "slope not averaged": (
            _pinball_with(lambda loss, slope, p, y, q: (loss, slope * len(p))),
            "the loss is a mean, and so is its slope: divide by the number of samples.",
        ),
        "slope summed": (
            _pinball_with(lambda loss, slope, p, y, q: (loss, np.sum(slope))),
            "you add the slopes up. Each prediction has one of its own.",
        ),
        "sum": (
            _pinball_with(lambda loss, slope, p, y, q: (loss * len(p), slope * len(p))),
            "you add the samples up. The loss is their mean.",
        ),
        "loss summed": (
            _pinball_with(lambda loss, slope, p, y, q: (loss * len(p), slope)),
            "you add the losses up. Take their mean.",
        ),
        "loss not joined": (
            lambda p, y, q: (np.maximum(q * (y - p), (q - 1) * (y - p)), _pinball(p, y, q)[1]),
            "you give back a loss for each sample. Take their mean.",
        ),
        "squared": (
            lambda p, y, q: (
                np.mean(np.where(y > p, q, 1 - q) * (y - p) ** 2),
                np.where(y > p, q, 1 - q) * 2 * (p - y) / len(p),
            ),
            "the error is squared. That gives an expectile; a quantile needs the size of "
            "the error.",
        ),
        "slope with error": (
            _pinball_with(lambda loss, slope, p, y, q: (loss, slope * np.abs(p - y))),
            "the slope still holds the error. A straight line has the same slope everywhere.",
        ),
        "minimum": (
            lambda p, y, q: (
                np.mean(np.minimum(q * (y - p), (q - 1) * (y - p))),
                _pinball(p, y, q)[1],
            ),
            "you take the smaller of the two lines. The loss is the larger one.",
        ),
        "swapped": (
            _pinball_with(lambda loss, slope, p, y, q: (slope, loss)),
            "the two are swapped: first the loss, then its slopes.",
        ),
        "doubled": (
            _pinball_with(lambda loss, slope, p, y, q: (2 * loss, 2 * slope)),
            "twice too large.",
        ),
    },
)


# -------------------------------------------------------------------------------- focal_loss


def _focal(z, y, gamma):
    log_p = _log_sigmoid(np.where(y == 1, z, -z))
    return np.mean(-((1 - np.exp(log_p)) ** gamma) * log_p)


def _focal_inputs(rng):
    n = rng.integers(3, 7)
    y = rng.integers(0, 2, n)
    y[0] = 1 - y[-1]
    return rng.uniform(-4, 4, n).round(1), y, (0.5, 1.0, 2.0, 3.0)[rng.integers(4)]


def _focal_parts(z, y):
    p = np.exp(_log_sigmoid(z))
    return p, np.where(y == 1, p, 1 - p)


focal_loss = Exercise(
    "focal_loss",
    reference=_focal,
    inputs=_focal_inputs,
    mistakes={
        "plain": (
            lambda z, y, g: _focal(z, y, 0.0),
            "this is binary cross-entropy. The factor (1 − p)^γ is missing.",
        ),
        "weight on the right ones": (
            lambda z, y, g: np.mean(-(_focal_parts(z, y)[1] ** g) * np.log(_focal_parts(z, y)[1])),
            "the weight is p^γ: it favours what is known already. It should be small where p is "
            "near 1.",
        ),
        "only the ones": (
            lambda z, y, g: np.mean(
                (y == 1) * -((1 - _focal_parts(z, y)[0]) ** g) * np.log(_focal_parts(z, y)[0])
            ),
            "samples with target 0 cost nothing. For them the probability of the "
            "right answer is 1 − σ(z).",
        ),
        "log p in both": (
            lambda z, y, g: np.mean(
                -((1 - _focal_parts(z, y)[0]) ** g) * np.log(_focal_parts(z, y)[0])
            ),
            "the target is not used: p must be the probability of the right "
            "answer, σ(z) for 1, and 1 − σ(z) for 0.",
        ),
        "weight of one class": (
            lambda z, y, g: np.mean(
                -((1 - _focal_parts(z, y)[0]) ** g) * np.log(_focal_parts(z, y)[1])
            ),
            "the weight is that of target 1 for all samples. For target 0 it is σ(z)^γ.",
        ),
        "multiplied": (
            lambda z, y, g: np.mean(
                -g * (1 - _focal_parts(z, y)[1]) * np.log(_focal_parts(z, y)[1])
            ),
            "γ multiplies. It is a power.",
        ),
        "targets swapped": (
            lambda z, y, g: _focal(z, 1 - y, g),
            "the targets 0 and 1 are swapped.",
        ),
        "sum": (lambda z, y, g: _focal(z, y, g) * len(z), "you add up. Take the mean."),
        "not joined": (
            lambda z, y, g: -((1 - _focal_parts(z, y)[1]) ** g) * np.log(_focal_parts(z, y)[1]),
            "you give back a loss for each sample. Take their mean.",
        ),
        "sign": (lambda z, y, g: -_focal(z, y, g), "the sign is wrong: a loss is not negative."),
        "logits as probabilities": (
            lambda z, y, g: _focal(np.exp(_log_sigmoid(z)), y, g),
            "you put the scores through the sigmoid twice.",
        ),
        "power of all": (
            lambda z, y, g: (
                np.mean(-(((1 - _focal_parts(z, y)[1]) * np.log(_focal_parts(z, y)[1])) ** 1)) ** g
            ),
            "the power reaches too far: it belongs to 1 − p of each sample alone.",
        ),
        "normalised": (
            lambda z, y, g: _focal(z, y, g) / np.mean((1 - _focal_parts(z, y)[1]) ** g),
            "you divide by the sum of the weights. The focal loss does not.",
        ),
        "base two": (
            lambda z, y, g: _focal(z, y, g) / np.log(2),
            "you use the logarithm to base 2. Use the natural one.",
        ),
    },
)


# --------------------------------------------------------------------- smoothed_cross_entropy


def _smoothed(z, labels, eps):
    targets = (1 - eps) * np.eye(z.shape[1])[labels] + eps / z.shape[1]
    return np.mean(-np.sum(targets * _log_softmax(z), axis=1))


def _targets(make):
    """A wrong loss: ``make(onehot, eps, classes)`` gives wrong targets."""

    def wrong(z, labels, eps):
        classes = z.shape[1]
        return np.mean(-np.sum(make(np.eye(classes)[labels], eps, classes) * _log_softmax(z), 1))

    return wrong


smoothed_cross_entropy = Exercise(
    "smoothed_cross_entropy",
    reference=_smoothed,
    inputs=lambda rng: (*_scores(rng), (0.1, 0.2, 0.4)[rng.integers(3)]),
    mistakes={
        "hard": (_targets(lambda t, e, k: t), "the labels are not smoothed: ε has no effect."),
        "others alone": (
            _targets(lambda t, e, k: (1 - e) * t + e / (k - 1) * (1 - t)),
            "you spread ε over the other classes alone. It is spread over all, the right one too.",
        ),
        "not divided": (
            _targets(lambda t, e, k: (1 - e) * t + e),
            "every class gets all of ε. It is shared out: the targets add up to 1.",
        ),
        "nothing taken": (
            _targets(lambda t, e, k: t + e / k),
            "the right class keeps all of its 1. The targets must add up to 1.",
        ),
        "nothing given": (
            _targets(lambda t, e, k: (1 - e) * t),
            "ε is taken from the right class, but nobody gets it. The targets must add up to 1.",
        ),
        "swapped": (_targets(lambda t, e, k: e * t + (1 - e) / k), "ε and 1 − ε are swapped."),
        "uniform": (
            _targets(lambda t, e, k: np.full_like(t, 1 / k)),
            "all classes have the same target: the label has no effect.",
        ),
        "sum": (
            lambda z, y, e: _smoothed(z, y, e) * len(z),
            "you add the samples up. Take their mean.",
        ),
        "mean over all": (
            lambda z, y, e: _smoothed(z, y, e) / z.shape[1],
            "you take the mean over classes as well. Add up over the classes, "
            "take the mean over the samples.",
        ),
        "not joined": (
            lambda z, y, e: (
                -np.sum(
                    ((1 - e) * np.eye(z.shape[1])[y] + e / z.shape[1]) * _log_softmax(z), axis=1
                )
            ),
            "you give back a loss for each sample. Take their mean.",
        ),
        "sign": (
            lambda z, y, e: -_smoothed(z, y, e),
            "the sign is wrong: the logarithm of a share is not above 0.",
        ),
        "shares": (
            lambda z, y, e: np.mean(
                -np.sum(((1 - e) * np.eye(z.shape[1])[y] + e / z.shape[1]) * _softmax(z), axis=1)
            ),
            "you use the shares themselves. Take their logarithm.",
        ),
        "softmax twice": (
            lambda z, y, e: _smoothed(_softmax(z), y, e),
            "you take the softmax twice.",
        ),
        "scores": (
            lambda z, y, e: np.mean(
                -np.sum(((1 - e) * np.eye(z.shape[1])[y] + e / z.shape[1]) * z, axis=1)
            ),
            "you use the scores themselves. Take the logarithm of their softmax.",
        ),
        "no axis": (
            lambda z, y, e: np.mean(
                -np.sum(
                    ((1 - e) * np.eye(z.shape[1])[y] + e / z.shape[1])
                    * (z - np.log(np.sum(np.exp(z)))),
                    axis=1,
                )
            ),
            "the softmax runs over the whole array. Each row is a sample: axis=-1.",
        ),
        "loss smoothed": (
            lambda z, y, e: (1 - e) * _smoothed(z, y, 0.0) + e,
            "you add ε to the loss. What is smoothed is the targets.",
        ),
    },
)


# ----------------------------------------------------------------------- temperature_slope


def _temperature(z, labels, T):
    wrong = _softmax(z / T) - np.eye(z.shape[1])[labels]
    return np.mean(-np.sum(wrong * z, axis=1)) / T**2


temperature_slope = Exercise(
    "temperature_slope",
    reference=_temperature,
    inputs=lambda rng: (*_scores(rng), (0.5, 1.5, 2.0, 4.0)[rng.integers(4)]),
    tolerance=1e-8,
    mistakes={
        "for the share 1 / T": (
            lambda z, y, T: -(T**2) * _temperature(z, y, T),
            "this is the slope for 1 / T. How does 1 / T change with T?",
        ),
        "divided once": (
            lambda z, y, T: T * _temperature(z, y, T),
            "1 / T has the slope −1 / T², not −1 / T.",
        ),
        "sign": (
            lambda z, y, T: -_temperature(z, y, T),
            "the sign is wrong: as T grows, z / T moves towards 0.",
        ),
        "sign, divided once": (
            lambda z, y, T: -T * _temperature(z, y, T),
            "sign and power are wrong: what is the slope of 1 / T?",
        ),
        "no temperature in the shares": (
            lambda z, y, T: _temperature(z, y, 1.0) / T**2,
            "the shares are those for T = 1. They are softmax(z / T).",
        ),
        "targets forgotten": (
            lambda z, y, T: np.mean(-np.sum(_softmax(z / T) * z, axis=1)) / T**2,
            "the targets are missing: the slope for a score is p − y.",
        ),
        "shares forgotten": (
            lambda z, y, T: np.mean(np.sum(np.eye(z.shape[1])[y] * z, axis=1)) / T**2,
            "the shares are missing: the slope for a score is p − y.",
        ),
        "scores forgotten": (
            lambda z, y, T: (
                np.mean(-np.sum((_softmax(z / T) - np.eye(z.shape[1])[y]) ** 2, axis=1)) / T**2
            ),
            "you multiply p − y by itself. Multiply it by the scores: how much does z / T "
            "change with T?",
        ),
        "sum": (
            lambda z, y, T: _temperature(z, y, T) * len(z),
            "you add the samples up. The loss is their mean, and so is its slope.",
        ),
        "mean over all": (
            lambda z, y, T: _temperature(z, y, T) / z.shape[1],
            "you take the mean over classes as well. T acts through all of them: add up.",
        ),
        "not joined": (
            lambda z, y, T: -np.sum((_softmax(z / T) - np.eye(z.shape[1])[y]) * z, axis=1) / T**2,
            "you give back a slope for each sample. Take their mean.",
        ),
        "loss": (
            lambda z, y, T: np.mean(-np.sum(np.eye(z.shape[1])[y] * _log_softmax(z / T), axis=1)),
            "this is the loss itself. Its slope is asked for.",
        ),
        "scaled scores": (
            lambda z, y, T: _temperature(z, y, T) / T,
            "you multiply by z / T and divide by T² besides. One of the T is too many.",
        ),
        "multiplied": (
            lambda z, y, T: _temperature(z * T * T, y, T) / T**2,
            "you multiply the scores by T. Divide them by it.",
        ),
    },
)
