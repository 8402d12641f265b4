"""Exercises of lesson 05: the steps of momentum, RMSprop and Adam, and when a ball is critical."""

import numpy as np

from course_utils.exercises import Edit, Exercise

__all__ = ["momentum_step", "critical_momentum", "rmsprop_step", "adam_step"]


def _vector(rng, low=0.2, high=2.0):
    """A few numbers of both signs, none near zero: each mistake must show on each input."""
    return (rng.uniform(low, high, 3) * rng.choice([-1, 1], 3)).round(1)


def _momentum(x, v, g, rate, mu):
    v_new = mu * v + g
    x_new = x - rate * v_new
    return x_new, v_new


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
        "old velocity": Edit(
            "x moves with the old v. Update v first, then move x with the new one.",
            ("rate * v_new", "rate * v"),
        ),
        "gradient only": Edit(
            "x moves along the gradient alone: v is computed, but not used.",
            ("rate * v_new", "rate * g"),
        ),
        "look-ahead": Edit(
            "this is Nesterov's step, which comes later. Here x moves by η v.",
            ("rate * v_new", "rate * (g + mu * v_new)"),
        ),
        "rate inside": Edit(
            "this is the textbook form, with η inside v. It is right too, "
            "but the formula above keeps η outside.",
            ("mu * v + g", "mu * v - rate * g"),
            ("x - rate * v_new", "x + v_new"),
        ),
        "rate twice": Edit(
            "the rate comes in twice: in v and in the step. Leave it out of v.",
            ("mu * v + g", "mu * v + rate * g"),
        ),
        "no rate": Edit("the step lacks the learning rate.", ("rate * v_new", "v_new")),
        "average": Edit(
            "you take an average of v and g, with 1 − μ. The formula adds the whole g.",
            ("mu * v + g", "mu * v + (1 - mu) * g"),
        ),
        "no friction": Edit("μ is missing: nothing slows v down.", ("mu * v + g", "v + g")),
        "friction on g": Edit(
            "μ stands at the gradient. It belongs to the old v.", ("mu * v + g", "v + mu * g")
        ),
        "uphill": Edit(
            "x moves uphill: v points along the gradient, so subtract η v.",
            ("x - rate * v_new", "x + rate * v_new"),
        ),
        "v minus g": Edit("the gradient has the wrong sign in v.", ("mu * v + g", "mu * v - g")),
        "old v back": Edit(
            "x is right, but you give the old v back. The next step needs the new one.",
            ("return x_new, v_new", "return x_new, v"),
        ),
        "order": Edit(
            "x and v are in the wrong order: return x, v.",
            ("return x_new, v_new", "return v_new, x_new"),
        ),
        "x only": Edit(
            "only x comes back. The next step needs v as well: return x, v.",
            ("return x_new, v_new", "return x_new"),
        ),
    },
)


def _critical(rate, curvature):
    product = rate * curvature
    root_mu = 1 - np.sqrt(product)
    return root_mu**2


critical_momentum = Exercise(
    "critical_momentum",
    reference=_critical,
    inputs=lambda rng: (
        round(rng.uniform(0.1, 0.4), 2),
        round(rng.uniform(0.3, 1.8), 2),
    ),
    mistakes={
        "root of mu": Edit(
            "this is √μ. Square it once more.", ("return root_mu**2", "return root_mu")
        ),
        "no root": Edit(
            "the root of ηλ is missing: the border is ηλ = (1 − √μ)².",
            ("np.sqrt(product)", "product"),
        ),
        "plain": Edit(
            "this is the factor of plain descent, 1 − ηλ. Solve ηλ = (1 − √μ)² for μ.",
            ("np.sqrt(product)", "product"),
            ("return root_mu**2", "return root_mu"),
        ),
        "upper border": Edit(
            "this is the other border, ηλ = (1 + √μ)², where swinging turns into jumping.",
            ("1 - np.sqrt(product)", "1 + np.sqrt(product)"),
        ),
        "root of mu, upper": Edit(
            "the sign is wrong, and μ is the square: √μ = 1 − √(ηλ).",
            ("1 - np.sqrt(product)", "1 + np.sqrt(product)"),
            ("return root_mu**2", "return root_mu"),
        ),
        "rate alone": Edit("the curvature is missing.", ("rate * curvature", "rate")),
        "curvature alone": Edit("the rate is missing.", ("rate * curvature", "curvature")),
        "quotient": Edit(
            "you divide rate and curvature. What counts is their product ηλ.",
            ("rate * curvature", "rate / curvature"),
        ),
        "quotient, upside down": Edit(
            "you divide curvature and rate. What counts is their product ηλ.",
            ("rate * curvature", "curvature / rate"),
        ),
        "sum": Edit(
            "you add rate and curvature. What counts is their product ηλ.",
            ("rate * curvature", "rate + curvature"),
        ),
        "root of the rate": Edit(
            "the root holds the rate alone. It holds the product ηλ.",
            ("np.sqrt(product)", "np.sqrt(rate) * curvature"),
        ),
        "root of the curvature": Edit(
            "the root holds the curvature alone. It holds the product ηλ.",
            ("np.sqrt(product)", "rate * np.sqrt(curvature)"),
        ),
        "the other share": Edit(
            "this is 1 − μ: the share of the velocity that is lost.",
            ("return root_mu**2", "return 1 - root_mu**2"),
        ),
        "product": Edit(
            "this is ηλ itself: 1 − √μ is squared, but μ is asked for.",
            ("return root_mu**2", "return (1 - root_mu) ** 2"),
        ),
        "border of divergence": Edit(
            "this is where a step no longer comes closer, ηλ = 2(1 + μ).",
            ("return root_mu**2", "return product / 2 - 1"),
        ),
        "fourth root": Edit(
            "the root is taken of (1 − √(ηλ)): it has to be squared.",
            ("return root_mu**2", "return np.sqrt(root_mu + 0j).real"),
        ),
    },
)


def _rmsprop(x, s, g, rate, rho, eps):
    s_new = rho * s + (1 - rho) * g**2
    x_new = x - rate * g / (np.sqrt(s_new) + eps)
    return x_new, s_new


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
        "adagrad": Edit(
            "this is still AdaGrad: s only grows. Let it forget, with ρ.",
            ("rho * s + (1 - rho) * g**2", "s + g**2"),
        ),
        "no 1 − rho": Edit(
            "the new g² counts fully. In an average the two shares add up to 1: ρ and 1 − ρ.",
            ("(1 - rho) * g**2", "g**2"),
        ),
        "shares swapped": Edit(
            "ρ and 1 − ρ are swapped: the old s keeps the share ρ.",
            ("rho * s + (1 - rho) * g**2", "(1 - rho) * s + rho * g**2"),
        ),
        "no square": Edit(
            "s averages |g|. It averages g², and the root comes later.", ("g**2", "np.abs(g)")
        ),
        "old s": Edit(
            "the step divides by the old s. Update s first.", ("np.sqrt(s_new)", "np.sqrt(s)")
        ),
        "no root": Edit(
            "the root is missing: s holds squares.", ("np.sqrt(s_new) + eps", "s_new + eps")
        ),
        "eps inside": Edit(
            "ε stands under the root. PyTorch adds it outside. (Keras puts it inside: "
            "conventions differ.)",
            ("(np.sqrt(s_new) + eps)", "np.sqrt(s_new + eps)"),
        ),
        "no eps": Edit(
            "ε is missing: what if a gradient is 0 from the start?",
            ("(np.sqrt(s_new) + eps)", "np.sqrt(s_new)"),
        ),
        "no rate": Edit("the step lacks the learning rate.", ("x - rate * g", "x - g")),
        "uphill": Edit("x moves uphill: subtract.", ("x - rate * g", "x + rate * g")),
        "sign of g": Edit("the gradient itself is missing in the step.", ("rate * g /", "rate /")),
        "multiplied": Edit(
            "you multiply by the root of s. Divide by it.", ("rate * g /", "rate * g *")
        ),
        "eps beside": Edit(
            "ε is added to x, not to the root: put √s + ε in brackets.",
            ("(np.sqrt(s_new) + eps)", "np.sqrt(s_new) + eps"),
        ),
        "old s back": Edit(
            "x is right, but you give the old s back. The next step needs the new one.",
            ("return x_new, s_new", "return x_new, s"),
        ),
        "order": Edit(
            "x and s are in the wrong order: return x, s.",
            ("return x_new, s_new", "return s_new, x_new"),
        ),
        "x only": Edit(
            "only x comes back. The next step needs s as well: return x, s.",
            ("return x_new, s_new", "return x_new"),
        ),
    },
)

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def _adam(x, m, v, g, t, rate):
    m_new = BETA1 * m + (1 - BETA1) * g
    v_new = BETA2 * v + (1 - BETA2) * g**2
    m_hat = m_new / (1 - BETA1**t)
    v_hat = v_new / (1 - BETA2**t)
    x_new = x - rate * m_hat / (np.sqrt(v_hat) + EPS)
    return x_new, m_new, v_new


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
        "no correction": Edit(
            "m and v are used as they are: m̂ and v̂ are missing.",
            ("m_new / (1 - BETA1**t)", "m_new"),
            ("v_new / (1 - BETA2**t)", "v_new"),
        ),
        "m uncorrected": Edit(
            "m is used without its correction: m̂.", ("m_new / (1 - BETA1**t)", "m_new")
        ),
        "v uncorrected": Edit(
            "v is used without its correction: v̂.", ("v_new / (1 - BETA2**t)", "v_new")
        ),
        "no power": Edit(
            "the correction forgets t: it is β to the power t.",
            ("BETA1**t", "BETA1"),
            ("BETA2**t", "BETA2"),
        ),
        "t off by one": Edit(
            "the power is one too large: the first step has t = 1.",
            ("BETA1**t", "BETA1 ** (t + 1)"),
            ("BETA2**t", "BETA2 ** (t + 1)"),
        ),
        "betas swapped": Edit(
            "β₁ and β₂ are swapped: m has 0.9, v has 0.999.",
            ("BETA1 * m + (1 - BETA1) * g", "BETA2 * m + (1 - BETA2) * g"),
            ("BETA2 * v + (1 - BETA2) * g**2", "BETA1 * v + (1 - BETA1) * g**2"),
            ("m_new / (1 - BETA1**t)", "m_new / (1 - BETA2 ** t)"),
            ("v_new / (1 - BETA2**t)", "v_new / (1 - BETA1 ** t)"),
        ),
        "same beta": Edit(
            "v uses β₁. It has a decay of its own, β₂.",
            ("BETA2 * v + (1 - BETA2)", "BETA1 * v + (1 - BETA1)"),
            ("v_new / (1 - BETA2**t)", "v_new / (1 - BETA1 ** t)"),
        ),
        "no square": Edit("v averages |g|. It averages g².", ("g**2", "np.abs(g)")),
        "no root": Edit("the root of v̂ is missing.", ("np.sqrt(v_hat) + EPS", "v_hat + EPS")),
        "eps inside": Edit(
            "ε stands under the root. Add it outside.",
            ("(np.sqrt(v_hat) + EPS)", "np.sqrt(v_hat + EPS)"),
        ),
        "no eps": Edit(
            "ε is missing below the fraction bar (in √v̂ + ε, mind the brackets).",
            ("(np.sqrt(v_hat) + EPS)", "np.sqrt(v_hat)"),
        ),
        "times t": Edit(
            "the correction multiplies by t. It is β to the *power* t: `**`.",
            ("BETA1**t", "BETA1 * t"),
            ("BETA2**t", "BETA2 * t"),
        ),
        "no rate": Edit("the step lacks the learning rate.", ("rate * m_hat", "m_hat")),
        "gradient for m": Edit(
            "x moves along g: m̂ is computed, but not used.", ("rate * m_hat", "rate * g")
        ),
        "old averages": Edit(
            "the step uses m and v as they were before this step. Update them first.",
            ("m_new / (1", "m / (1"),
            ("v_new / (1", "v / (1"),
        ),
        "uphill": Edit("x moves uphill: subtract.", ("x - rate", "x + rate")),
        "corrected kept": Edit(
            "you give m̂ and v̂ back. The next step needs m and v, without the correction.",
            ("return x_new, m_new, v_new", "return x_new, m_hat, v_hat"),
        ),
        "x only": Edit(
            "only x comes back. The next step needs m and v as well: return x, m, v.",
            ("return x_new, m_new, v_new", "return x_new"),
        ),
    },
)
