"""Exercises of lesson 06: one layer back, the size of first weights, and clipping a gradient."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["one_layer_back", "first_weights_std", "clipped"]


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _slope(z):
    return _sigmoid(z) * (1 - _sigmoid(z))


def _back_inputs(rng):
    # W is square, so that the forgotten transpose gives a wrong number and no error
    size, sign = rng.uniform(0.3, 2, (7, 3)), rng.choice([-1, 1], (7, 3))
    delta, W, z = np.split((size * sign).round(1), [2, 5])
    return delta, W, z


one_layer_back = Exercise(
    "one_layer_back",
    reference=lambda delta, W, z: delta @ W.T * _slope(z),
    inputs=_back_inputs,
    mistakes={
        "slope forgotten": (
            lambda delta, W, z: delta @ W.T,
            "the slope of the sigmoid is missing: δ goes through the layer's "
            "activation function, too.",
        ),
        "sigmoid for slope": (
            lambda delta, W, z: delta @ W.T * _sigmoid(z),
            "you multiply by the sigmoid itself. Its slope is asked for.",
        ),
        "slope of sigmoid of sigmoid": (
            lambda delta, W, z: delta @ W.T * _slope(_sigmoid(z)),
            "the sigmoid is applied twice: with a = sigmoid(z) the slope is a (1 − a).",
        ),
        "z for a": (
            lambda delta, W, z: delta @ W.T * z * (1 - z),
            "z (1 − z) is not the slope: it is a (1 − a), with a = sigmoid(z).",
        ),
        "tanh": (
            lambda delta, W, z: delta @ W.T * (1 - np.tanh(z) ** 2),
            "this is the slope of tanh. The layer has a sigmoid.",
        ),
        "no transpose": (
            lambda delta, W, z: delta @ W * _slope(z),
            "W goes the wrong way: forwards a is multiplied by W, backwards δ by its transpose.",
        ),
        "slope squared": (
            lambda delta, W, z: delta @ W.T * _slope(z) ** 2,
            "the slope comes in twice.",
        ),
        "weights only": (
            lambda delta, W, z: _slope(z) @ W.T * delta,
            "the order is wrong: first δ back through W, then times the slope at z.",
        ),
        "plus": (
            lambda delta, W, z: delta @ W.T + _slope(z),
            "the chain rule multiplies; you add.",
        ),
        "averaged": (
            lambda delta, W, z: delta @ W.T * _slope(z) / len(z),
            "you divide by the number of samples. δ holds that already.",
        ),
        "sign": (lambda delta, W, z: -(delta @ W.T) * _slope(z), "the sign is wrong."),
        "weights forgotten": (
            lambda delta, W, z: delta * _slope(z),
            "W is missing: δ comes back through the weights, too.",
        ),
        "quarter": (
            lambda delta, W, z: delta @ W.T * 0.25,
            "¼ is the largest slope, at z = 0. Take the slope at each z.",
        ),
        "half a slope": (
            lambda delta, W, z: delta @ W.T * (1 - _sigmoid(z)),
            "the slope is a (1 − a): the factor a is missing.",
        ),
    },
)


def _std(n_in, n_out, relu):
    return np.sqrt(2 / n_in) if relu else np.sqrt(2 / (n_in + n_out))


def _std_inputs(rng):
    n_in, n_out = rng.choice(np.arange(10, 200, 7), 2, replace=False)
    return int(n_in), int(n_out), bool(rng.random() < 0.5)


first_weights_std = Exercise(
    "first_weights_std",
    reference=_std,
    inputs=_std_inputs,
    mistakes={
        "xavier for all": (
            lambda n, m, a: np.sqrt(2 / (n + m)),
            "you use Xavier's rule for ReLU too. ReLU sets half of the numbers "
            "to 0: it needs He's.",
        ),
        "he for all": (
            lambda n, m, a: np.sqrt(2 / n),
            "you use He's rule for tanh too: it needs Xavier's.",
        ),
        "swapped": (
            lambda n, m, a: np.sqrt(2 / (n + m)) if a else np.sqrt(2 / n),
            "the rules are swapped: He's is for ReLU, Xavier's for tanh.",
        ),
        "variance": (
            lambda n, m, a: _std(n, m, a) ** 2,
            "this is the variance. The standard deviation is its root.",
        ),
        "outputs": (
            lambda n, m, a: np.sqrt(2 / m) if a else np.sqrt(2 / (n + m)),
            "He's rule counts the inputs of the layer, n_in, not its outputs.",
        ),
        "one for relu": (
            lambda n, m, a: np.sqrt(1 / n) if a else np.sqrt(2 / (n + m)),
            "for ReLU the 2 is missing: it makes up for the half that is set to 0.",
        ),
        "one for tanh": (
            lambda n, m, a: np.sqrt(2 / n) if a else np.sqrt(1 / (n + m)),
            "for tanh: 2/(n_in + n_out), which is 1 over the mean of both.",
        ),
        "inputs only": (
            lambda n, m, a: np.sqrt(2 / n) if a else np.sqrt(1 / n),
            "1/√n_in is right for the way forward alone. Take Xavier's, which looks at both ways.",
        ),
        "product": (
            lambda n, m, a: np.sqrt(2 / n) if a else np.sqrt(2 / (n * m)),
            "you multiply n_in by n_out. Add them.",
        ),
        "uniform": (
            lambda n, m, a: np.sqrt(3) * _std(n, m, a),
            "this is the border of the uniform draw, √3 times too large for a standard deviation.",
        ),
        "forwards for both": (
            lambda n, m, a: np.sqrt(1 / n),
            "1/√n_in looks at the way forward alone, and forgets that ReLU "
            "sets half of the numbers to 0.",
        ),
        "root below": (
            lambda n, m, a: 2 / np.sqrt(n if a else n + m),
            "the root is taken of the whole fraction, not of its lower part alone.",
        ),
        "root above": (
            lambda n, m, a: np.sqrt(2) / (n if a else n + m),
            "the root is taken of the whole fraction, not of the 2 alone.",
        ),
        "brackets": (
            lambda n, m, a: np.sqrt(2 / n) if a else np.sqrt(2 / n + m),
            "brackets are missing around n_in + n_out.",
        ),
        "inverse": (
            lambda n, m, a: 1 / _std(n, m, a),
            "upside down: more inputs, smaller weights.",
        ),
    },
)


def _clip(g, limit):
    length = np.linalg.norm(g)
    return g * (limit / length) if length > limit else g


def _clip_inputs(rng):
    g = (rng.uniform(1, 6, 4) * rng.choice([-1, 1], 4)).round(1)
    long = rng.random() < 0.7
    return g, round(float(np.linalg.norm(g) * (rng.uniform(0.3, 0.8) if long else 1.5)), 1)


clipped = Exercise(
    "clipped",
    reference=_clip,
    inputs=_clip_inputs,
    mistakes={
        "always": (
            lambda g, limit: g * (limit / np.linalg.norm(g)),
            "you change short gradients as well: they grow to the limit. Only a longer one is cut.",
        ),
        "each entry": (
            lambda g, limit: np.clip(g, -limit, limit),
            "you clip each entry. That turns the arrow; shorten it as a whole.",
        ),
        "square": (
            lambda g, limit: g * (limit / np.sum(g**2)) if np.sum(g**2) > limit else g,
            "this uses the squared length: the root is missing.",
        ),
        "sum of sizes": (
            lambda g, limit: g * (limit / np.abs(g).sum()) if np.abs(g).sum() > limit else g,
            "this uses the sum of the |g|. The length is the root of the sum of squares.",
        ),
        "largest": (
            lambda g, limit: g * (limit / np.abs(g).max()) if np.abs(g).max() > limit else g,
            "this uses the largest entry. The length counts them all.",
        ),
        "unit": (
            lambda g, limit: g / np.linalg.norm(g) if np.linalg.norm(g) > limit else g,
            "the result has length 1. It should have the length `limit`.",
        ),
        "divided": (
            lambda g, limit: g / limit if np.linalg.norm(g) > limit else g,
            "you divide by the limit. Multiply by limit ÷ length.",
        ),
        "zero": (
            lambda g, limit: 0 * g if np.linalg.norm(g) > limit else g,
            "you throw a long gradient away. Its direction is still good: shorten it.",
        ),
        "wrong way": (
            lambda g, limit: g * (limit / np.linalg.norm(g)) if np.linalg.norm(g) < limit else g,
            "you compare the wrong way round: short ones change, long ones stay.",
        ),
        "fraction upside down": (
            lambda g, limit: g * (np.linalg.norm(g) / limit) if np.linalg.norm(g) > limit else g,
            "the factor is upside down: limit ÷ length makes it shorter.",
        ),
        "times the limit": (
            lambda g, limit: g * limit if np.linalg.norm(g) > limit else g,
            "you multiply by the limit. Divide by the length, too.",
        ),
        "large entries": (
            lambda g, limit: np.minimum(g, limit),
            "you clip each entry. That turns the arrow; shorten it as a whole.",
        ),
        "unchanged": (lambda g, limit: g, "nothing is cut."),
    },
)
