"""Exercises of lesson 05: the steps of momentum, RMSprop and Adam."""

import numpy as np

from course_utils.exercises.engine import Exercise

__all__ = ["momentum_step", "rmsprop_step", "adam_step"]


def _vector(rng, low=0.2, high=2.0):
    """A few numbers of both signs, none near zero: each mistake must show on each input."""
    return (rng.uniform(low, high, 3) * rng.choice([-1, 1], 3)).round(1)


def _momentum(x, v, g, rate, mu):
    v = mu * v + g
    return x - rate * v, v


def _with_v(v_of, x_of=lambda x, v, new, g, rate, mu: x - rate * new):
    def step(x, v, g, rate, mu):
        new = v_of(v, g, rate, mu)
        return x_of(x, v, new, g, rate, mu), new

    return step


def _right_v(v, g, rate, mu):
    return mu * v + g


momentum_step = Exercise(
    "momentum_step",
    reference=_momentum,
    inputs=lambda rng: (
        _vector(rng),
        _vector(rng),
        _vector(rng),
        round(rng.uniform(0.1, 0.3), 2),
        round(rng.uniform(0.5, 0.9), 2),
    ),
    mistakes={
        "old velocity": (
            _with_v(_right_v, lambda x, v, new, g, rate, mu: x - rate * v),
            "x moves with the old v. Update v first, then move x with the new one.",
        ),
        "gradient only": (
            _with_v(_right_v, lambda x, v, new, g, rate, mu: x - rate * g),
            "x moves along the gradient alone: v is computed, but not used.",
        ),
        "look-ahead": (
            _with_v(_right_v, lambda x, v, new, g, rate, mu: x - rate * (g + mu * new)),
            "this is Nesterov's step, which comes later. Here x moves by η v.",
        ),
        "rate inside": (
            _with_v(
                lambda v, g, rate, mu: mu * v - rate * g, lambda x, v, new, g, rate, mu: x + new
            ),
            "this is the textbook form, with η inside v. It is right too, "
            "but the formula above keeps η outside.",
        ),
        "rate twice": (
            _with_v(lambda v, g, rate, mu: mu * v + rate * g),
            "the rate comes in twice: in v and in the step. Leave it out of v.",
        ),
        "no rate": (
            _with_v(_right_v, lambda x, v, new, g, rate, mu: x - new),
            "the step lacks the learning rate.",
        ),
        "average": (
            _with_v(lambda v, g, rate, mu: mu * v + (1 - mu) * g),
            "you take an average of v and g, with 1 − μ. The formula adds the whole g.",
        ),
        "no friction": (
            _with_v(lambda v, g, rate, mu: v + g),
            "μ is missing: nothing slows v down.",
        ),
        "friction on g": (
            _with_v(lambda v, g, rate, mu: v + mu * g),
            "μ stands at the gradient. It belongs to the old v.",
        ),
        "uphill": (
            _with_v(_right_v, lambda x, v, new, g, rate, mu: x + rate * new),
            "x moves uphill: v points along the gradient, so subtract η v.",
        ),
        "v minus g": (
            _with_v(lambda v, g, rate, mu: mu * v - g),
            "the gradient has the wrong sign in v.",
        ),
        "old v back": (
            lambda x, v, *rest: (_momentum(x, v, *rest)[0], v),
            "x is right, but you give the old v back. The next step needs the new one.",
        ),
        "order": (lambda *a: _momentum(*a)[::-1], "x and v are in the wrong order: return x, v."),
        "x only": (
            lambda *a: _momentum(*a)[0],
            "only x comes back. The next step needs v as well: return x, v.",
        ),
    },
)


def _rmsprop(x, s, g, rate, rho, eps, *, keep=None, size=None, step=None):
    new = (keep or (lambda s, g, rho: rho * s + (1 - rho) * g**2))(s, g, rho)
    length = (size or (lambda s, new, eps: np.sqrt(new) + eps))(s, new, eps)
    return (step or (lambda x, g, rate, length: x - rate * g / length))(x, g, rate, length), new


def _wrong_rmsprop(**changes):
    return lambda *arguments: _rmsprop(*arguments, **changes)


rmsprop_step = Exercise(
    "rmsprop_step",
    reference=_rmsprop,
    inputs=lambda rng: (
        _vector(rng),
        abs(_vector(rng)),
        _vector(rng),
        round(rng.uniform(0.1, 0.3), 2),
        round(rng.uniform(0.6, 0.9), 2),
        round(rng.uniform(0.1, 0.3), 2),
    ),
    mistakes={
        "adagrad": (
            _wrong_rmsprop(keep=lambda s, g, rho: s + g**2),
            "this is still AdaGrad: s only grows. Let it forget, with ρ.",
        ),
        "no 1 − rho": (
            _wrong_rmsprop(keep=lambda s, g, rho: rho * s + g**2),
            "the new g² counts fully. In an average the two shares add up to 1: ρ and 1 − ρ.",
        ),
        "shares swapped": (
            _wrong_rmsprop(keep=lambda s, g, rho: (1 - rho) * s + rho * g**2),
            "ρ and 1 − ρ are swapped: the old s keeps the share ρ.",
        ),
        "no square": (
            _wrong_rmsprop(keep=lambda s, g, rho: rho * s + (1 - rho) * np.abs(g)),
            "s averages |g|. It averages g², and the root comes later.",
        ),
        "old s": (
            _wrong_rmsprop(size=lambda s, new, eps: np.sqrt(s) + eps),
            "the step divides by the old s. Update s first.",
        ),
        "no root": (
            _wrong_rmsprop(size=lambda s, new, eps: new + eps),
            "the root is missing: s holds squares.",
        ),
        "eps inside": (
            _wrong_rmsprop(size=lambda s, new, eps: np.sqrt(new + eps)),
            "ε stands under the root. PyTorch adds it outside. (Keras puts it inside: "
            "conventions differ.)",
        ),
        "no eps": (
            _wrong_rmsprop(size=lambda s, new, eps: np.sqrt(new)),
            "ε is missing: what if a gradient is 0 from the start?",
        ),
        "no rate": (
            _wrong_rmsprop(step=lambda x, g, rate, length: x - g / length),
            "the step lacks the learning rate.",
        ),
        "uphill": (
            _wrong_rmsprop(step=lambda x, g, rate, length: x + rate * g / length),
            "x moves uphill: subtract.",
        ),
        "sign of g": (
            _wrong_rmsprop(step=lambda x, g, rate, length: x - rate / length),
            "the gradient itself is missing in the step.",
        ),
        "multiplied": (
            _wrong_rmsprop(step=lambda x, g, rate, length: x - rate * g * length),
            "you multiply by the root of s. Divide by it.",
        ),
        "eps beside": (
            lambda x, s, g, rate, rho, eps: (
                _rmsprop(x, s, g, rate, rho, 0.0)[0] + eps,
                _rmsprop(x, s, g, rate, rho, 0.0)[1],
            ),
            "ε is added to x, not to the root: put √s + ε in brackets.",
        ),
        "old s back": (
            lambda x, s, *rest: (_rmsprop(x, s, *rest)[0], s),
            "x is right, but you give the old s back. The next step needs the new one.",
        ),
        "order": (lambda *a: _rmsprop(*a)[::-1], "x and s are in the wrong order: return x, s."),
        "x only": (
            lambda *a: _rmsprop(*a)[0],
            "only x comes back. The next step needs s as well: return x, s.",
        ),
    },
)

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def _adam(
    x,
    m,
    v,
    g,
    t,
    rate,
    *,
    old=False,
    b1=BETA1,
    b2=BETA2,
    power=lambda t: t,
    correct_m=True,
    correct_v=True,
    root=np.sqrt,
    second=lambda g: g**2,
    push=None,
    sign=-1.0,
    eps_inside=False,
):
    new_m, new_v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * second(g)
    used_m, used_v = (m, v) if old else (new_m, new_v)
    m_hat = used_m / (1 - b1 ** power(t)) if correct_m else used_m
    v_hat = used_v / (1 - b2 ** power(t)) if correct_v else used_v
    size = np.sqrt(v_hat + EPS) if eps_inside else root(v_hat) + EPS
    top = m_hat if push is None else push(g, m_hat)
    return x + sign * rate * top / size, new_m, new_v


def _adam_without_eps(x, m, v, g, t, rate):
    m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
    return x - rate * (m / (1 - BETA1**t)) / np.sqrt(v / (1 - BETA2**t)), m, v


def _adam_times_t(x, m, v, g, t, rate):
    m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
    return x - rate * (m / (1 - BETA1 * t)) / (np.sqrt(v / (1 - BETA2 * t)) + EPS), m, v


def _wrong_adam(**changes):
    return lambda *arguments: _adam(*arguments, **changes)


adam_step = Exercise(
    "adam_step",
    reference=_adam,
    # tiny gradients, so that the place of ε shows; t from 2 on, so that a lacking power shows
    inputs=lambda rng: (
        _vector(rng),
        1e-5 * _vector(rng),
        1e-11 * abs(_vector(rng)),
        1e-5 * _vector(rng),
        int(rng.integers(2, 9)),
        round(rng.uniform(0.1, 0.3), 2),
    ),
    tolerance=1e-7,
    mistakes={
        "no correction": (
            _wrong_adam(correct_m=False, correct_v=False),
            "m and v are used as they are: m̂ and v̂ are missing.",
        ),
        "m uncorrected": (_wrong_adam(correct_m=False), "m is used without its correction: m̂."),
        "v uncorrected": (_wrong_adam(correct_v=False), "v is used without its correction: v̂."),
        "no power": (
            _wrong_adam(power=lambda t: 1),
            "the correction forgets t: it is β to the power t.",
        ),
        "t off by one": (
            _wrong_adam(power=lambda t: t + 1),
            "the power is one too large: the first step has t = 1.",
        ),
        "betas swapped": (
            _wrong_adam(b1=BETA2, b2=BETA1),
            "β₁ and β₂ are swapped: m has 0.9, v has 0.999.",
        ),
        "same beta": (_wrong_adam(b2=BETA1), "v uses β₁. It has a decay of its own, β₂."),
        "no square": (_wrong_adam(second=np.abs), "v averages |g|. It averages g²."),
        "no root": (_wrong_adam(root=lambda v: v), "the root of v̂ is missing."),
        "eps inside": (_wrong_adam(eps_inside=True), "ε stands under the root. Add it outside."),
        "no eps": (
            lambda x, m, v, g, t, rate: _adam_without_eps(x, m, v, g, t, rate),
            "ε is missing below the fraction bar (in √v̂ + ε, mind the brackets).",
        ),
        "times t": (
            lambda x, m, v, g, t, rate: _adam_times_t(x, m, v, g, t, rate),
            "the correction multiplies by t. It is β to the *power* t: `**`.",
        ),
        "no rate": (
            lambda x, m, v, g, t, rate: _adam(x, m, v, g, t, 1.0),
            "the step lacks the learning rate.",
        ),
        "gradient for m": (
            _wrong_adam(push=lambda g, m_hat: g),
            "x moves along g: m̂ is computed, but not used.",
        ),
        "old averages": (
            _wrong_adam(old=True),
            "the step uses m and v as they were before this step. Update them first.",
        ),
        "uphill": (_wrong_adam(sign=1.0), "x moves uphill: subtract."),
        "corrected kept": (
            lambda x, m, v, g, t, rate: (
                _adam(x, m, v, g, t, rate)[0],
                (BETA1 * m + (1 - BETA1) * g) / (1 - BETA1**t),
                (BETA2 * v + (1 - BETA2) * g**2) / (1 - BETA2**t),
            ),
            "you give m̂ and v̂ back. The next step needs m and v, without the correction.",
        ),
        "x only": (
            lambda *a: _adam(*a)[0],
            "only x comes back. The next step needs m and v as well: return x, m, v.",
        ),
    },
)
