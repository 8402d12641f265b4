"""Homework 05: a wrong step found and mended, two more rules, and how fast Nesterov's walk is."""

import numpy as np

from course_utils.exercises import Edit, Exercise
from course_utils.exercises import functions as f


def _vector(rng, low=0.2, high=2.0, n=3):
    """A few numbers of both signs, none near zero: each mistake must show on each input."""
    return (rng.uniform(low, high, n) * rng.choice([-1, 1], n)).round(1)


# ----------------------------------------------------------------------------- largest_gap


def _largest_gap(step, gradient, x, rate, mu, steps):
    """How far the step's walk is from Nesterov's place ahead, at its worst."""
    y, w, place, v, gaps = x, 0 * x, x, 0 * x, []
    for _ in range(steps):
        y, w = step(y, w, gradient(y), rate, mu)
        v_new = mu * v - rate * gradient(place + mu * v)
        place = place + v_new
        v = v_new
        gaps.append(np.linalg.norm(y - place - mu * v))
    return np.max(gaps)


def _gap_inputs(rng):
    """Short walks on which the gap grows to the end, and longer ones on which it does not."""
    longer = rng.random() < 0.4
    return (
        (f.book_step, f.momentum_step)[rng.integers(2)],
        f.bowl_gradient,
        _vector(rng, n=rng.integers(2, 4)),
        round(rng.uniform(0.06, 0.14) if longer else rng.uniform(0.01, 0.02), 2),
        round(rng.uniform(0.5, 0.9), 2),
        int(rng.integers(6, 10) if longer else rng.integers(2, 4)),
    )


largest_gap = Exercise(
    "largest_gap",
    reference=_largest_gap,
    inputs=_gap_inputs,
    mistakes={
        "last": Edit(
            "this is the gap after the last step. The largest on the way is asked for.",
            ("np.max(gaps)", "gaps[-1]"),
        ),
        "first": Edit(
            "this is the gap after the first step. Go on, and keep the largest.",
            ("np.max(gaps)", "gaps[0]"),
        ),
        "sum": Edit("you add the gaps up. Take the largest.", ("np.max(gaps)", "np.sum(gaps)")),
        "mean": Edit("this is the mean gap. Take the largest.", ("np.max(gaps)", "np.mean(gaps)")),
        "smallest": Edit(
            "this is the smallest gap. Take the largest.", ("np.max(gaps)", "np.min(gaps)")
        ),
        "every gap": Edit(
            "you give back all gaps. Take the largest of them.", ("np.max(gaps)", "np.array(gaps)")
        ),
        "squared": Edit(
            "this is a squared distance: the root is missing.",
            ("np.linalg.norm(y - place - mu * v)", "np.sum((y - place - mu * v) ** 2)"),
        ),
        "largest coordinate": Edit(
            "you take the largest coordinate. A distance counts them all.",
            ("np.linalg.norm(y - place - mu * v)", "np.max(np.abs(y - place - mu * v))"),
        ),
        "sum of sizes": Edit(
            "you add up the sizes of the coordinates. A distance is the root of the "
            "sum of their squares.",
            ("np.linalg.norm(y - place - mu * v)", "np.sum(np.abs(y - place - mu * v))"),
        ),
        "signed": Edit(
            "you add up the coordinates of the difference: their signs cancel.",
            ("np.linalg.norm(y", "np.sum(y"),
        ),
        "not ahead": Edit(
            "you compare with θ itself. The step's x stands for the place ahead of θ.",
            ("y - place - mu * v", "y - place"),
        ),
        "ahead by all of v": Edit(
            "the place that you compare with is ahead by v. It is ahead by μ times v.",
            ("y - place - mu * v", "y - place - v"),
        ),
        "gradient behind": Edit(
            "the gradient in the definition is taken at θ. It belongs to the "
            "place ahead: that is the whole idea.",
            ("gradient(place + mu * v)", "gradient(place)"),
        ),
        "gradient too far ahead": Edit(
            "the gradient in the definition is taken at θ + v: too far. "
            "The place ahead has the factor μ.",
            ("gradient(place + mu * v)", "gradient(place + v)"),
        ),
        "step asked ahead": Edit(
            "the step gets the gradient of a place ahead of its x. Its x is the "
            "place ahead already.",
            ("gradient(y)", "gradient(y + mu * w)"),
        ),
        "velocity lost": Edit(
            "the step gets v = 0 each time. It gives back a new v: hand that on.",
            ("step(y, w, ", "step(y, 0 * x, "),
        ),
        "old velocity": Edit(
            "θ moves with the old v. In the definition it moves with the new one.",
            ("place + v_new", "place + v"),
        ),
        "one too few": Edit("one step is missing.", ("range(steps)", "range(steps - 1)")),
        "one too many": Edit("that is one step too many.", ("range(steps)", "range(steps + 1)")),
    },
)


# -------------------------------------------------------------------------- mended_nesterov


def _nesterov(x, v, g, rate, mu):
    v_new = mu * v - rate * g
    x_new = x + mu * v_new - rate * g
    return x_new, v_new


def _pytorch(x, v, g, rate, mu):
    v = mu * v + g
    return x - rate * (g + mu * v), v


mended_nesterov = Exercise(
    "mended_nesterov",
    reference=_nesterov,
    inputs=lambda rng: (
        _vector(rng),
        _vector(rng),
        _vector(rng),
        round(rng.uniform(0.1, 0.3), 2),
        round(rng.uniform(0.5, 0.9), 2),
    ),
    mistakes={
        "the book's": (
            f.book_step,
            "this is still the step of the book. Write down by how much "
            "the place ahead moves, and see which v that needs.",
        ),
        "momentum": (f.momentum_step, "this is momentum without looking ahead."),
        "all of v": Edit(
            "x moves by all of the new v, and by the gradient besides. A μ is missing.",
            ("mu * v_new - rate * g", "v_new - rate * g"),
        ),
        "no gradient": Edit(
            "x moves by μ v alone. From the old place ahead to the new one there is more.",
            ("mu * v_new - rate * g", "mu * v_new"),
        ),
        "old v, once": Edit(
            "the old v has the factor μ. On its way it is slowed twice.",
            ("mu * v_new - rate * g", "mu * v - (1 + mu) * rate * g"),
        ),
        "new v, once": Edit(
            "the new v holds a part of the gradient already; with 1 + μ you count that twice.",
            ("mu * v_new - rate * g", "mu * v_new - (1 + mu) * rate * g"),
        ),
        "one gradient": Edit(
            "the gradient comes in twice: in the velocity, and in the place ahead "
            "of it. One of them is missing.",
            ("mu * v_new - rate * g", "mu * mu * v - rate * g"),
        ),
        "book, one gradient": Edit(
            "you changed the factor of the gradient. Look at the v beside "
            "it: is it the one from before the step, or from after it?",
            ("mu * v_new - rate * g", "mu * mu * v_new - rate * g"),
        ),
        "from the old place": Edit(
            "you add the way to the place ahead, but x was ahead already "
            "before the step: take that way off first.",
            ("mu * v_new - rate * g", "v_new + mu * v_new"),
        ),
        "PyTorch's": (
            _pytorch,
            "this is PyTorch's form, with the rate outside v. It is right, "
            "too, but here v holds the rate, as in the book.",
        ),
        "uphill": Edit(
            "the gradient has the wrong sign: it leads uphill.",
            ("mu * v_new - rate * g", "mu * v_new + rate * g"),
        ),
        "backwards": Edit(
            "v has the wrong sign. It points downhill here: add it.",
            ("mu * v_new - rate * g", "-mu * v_new - rate * g"),
        ),
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


# ----------------------------------------------------------------------------- amsgrad_step

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def _amsgrad(x, m, v, top, g, t, rate):
    m_new = BETA1 * m + (1 - BETA1) * g
    v_new = BETA2 * v + (1 - BETA2) * g**2
    top_new = np.maximum(top, v_new)
    m_hat = m_new / (1 - BETA1**t)
    size = top_new / (1 - BETA2**t)
    x_new = x - rate * m_hat / (np.sqrt(size) + EPS)
    return x_new, m_new, v_new, top_new


amsgrad_step = Exercise(
    "amsgrad_step",
    reference=_amsgrad,
    # tiny gradients, so that ε shows; v above `top` in some coordinates and below in others
    inputs=lambda rng: (
        _vector(rng),
        1e-5 * _vector(rng),
        1e-11 * abs(_vector(rng)),
        1e-11 * abs(_vector(rng)),
        1e-5 * _vector(rng),
        int(rng.integers(2, 9)),
        round(rng.uniform(0.1, 0.3), 2),
    ),
    tolerance=1e-7,
    mistakes={
        "Adam": Edit(
            "the step divides by v, as Adam does: `top` is computed, but not used.",
            ("size = top_new", "size = v_new"),
        ),
        "Adam, top left": Edit(
            "this is Adam: `top` is neither brought up to date nor used.",
            ("np.maximum(top, v_new)", "top"),
            ("size = top_new", "size = v_new"),
        ),
        "old top": Edit(
            "`top` stays as it was. It grows where the new v is larger.",
            ("np.maximum(top, v_new)", "top"),
        ),
        "smaller": Edit(
            "you keep the smaller of `top` and v. A large gradient must not be forgotten.",
            ("np.maximum", "np.minimum"),
        ),
        "sum": Edit(
            "you add v to `top`. Take the larger of the two.",
            ("np.maximum(top, v_new)", "top + v_new"),
        ),
        "all coordinates": Edit(
            "one largest number is used for all. Each coordinate has a `top` of its own.",
            ("np.maximum(top, v_new)", "np.full_like(v_new, max(top.max(), v_new.max()))"),
        ),
        "top of corrected": Edit(
            "`top` holds corrected averages. It compares v as it is; the correction comes after.",
            ("np.maximum(top, v_new)", "np.maximum(top, v_new / (1 - BETA2 ** t))"),
            ("size = top_new / (1 - BETA2**t)", "size = top_new"),
        ),
        "corrected twice": Edit(
            "v is corrected before `top` is taken, and again afterwards.",
            ("np.maximum(top, v_new)", "np.maximum(top, v_new / (1 - BETA2 ** t))"),
        ),
        "top as v": Edit(
            "you give `top` back as v. v is an average that forgets: keep it apart.",
            ("return x_new, m_new, v_new, top_new", "return x_new, m_new, top_new, top_new"),
        ),
        "no correction": Edit(
            "the averages are used as they are (the paper does that). Correct both "
            "for their start at 0.",
            ("m_new / (1 - BETA1**t)", "m_new"),
            ("top_new / (1 - BETA2**t)", "top_new"),
        ),
        "m uncorrected": Edit(
            "m is used without the correction for its start at 0.",
            ("m_new / (1 - BETA1**t)", "m_new"),
        ),
        "top uncorrected": Edit(
            "`top` is used without the correction for the start at 0.",
            ("top_new / (1 - BETA2**t)", "top_new"),
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
        "no root": Edit(
            "the root is missing: v holds squares.",
            ("np.sqrt(size)", "size"),
        ),
        "no eps": Edit(
            "ε is missing below the fraction bar (mind the brackets).",
            ("(np.sqrt(size) + EPS)", "np.sqrt(size)"),
        ),
        "uphill": Edit(
            "x moves uphill: subtract.",
            ("x - rate", "x + rate"),
        ),
        "no rate": Edit(
            "the step lacks the learning rate.",
            ("rate * m_hat", "m_hat"),
        ),
        "old top back": Edit(
            "x is right, but you give the old `top` back.",
            ("return x_new, m_new, v_new, top_new", "return x_new, m_new, v_new, top"),
        ),
        "no top back": Edit(
            "`top` does not come back. The next step needs it: return x, m, v, top.",
            ("return x_new, m_new, v_new, top_new", "return x_new, m_new, v_new"),
        ),
        "x only": Edit(
            "only x comes back. The next step needs the others as well: return x, m, v, top.",
            ("return x_new, m_new, v_new, top_new", "return x_new"),
        ),
    },
)


# -------------------------------------------------------------------------------- lion_step


MIX, KEEP = 0.9, 0.99


def _lion(x, m, g, rate, decay):
    c = MIX * m + (1 - MIX) * g
    m_new = KEEP * m + (1 - KEEP) * g
    x_new = x - rate * np.sign(c) - rate * decay * x
    return x_new, m_new


def _lion_inputs(rng):
    """Gradients from 0.05 to 300 times as large as m: then it shows whose sign is taken."""
    m, n = _vector(rng, n=4), 4
    g = (
        abs(m)
        * rng.choice([0.05, 2, 30, 300], n)
        * rng.uniform(0.8, 1.2, n)
        * rng.choice([-1, 1], n)
    ).round(2)
    return (
        _vector(rng, 0.5, 3, n),
        m,
        g,
        round(rng.uniform(0.05, 0.3), 2),
        round(rng.uniform(0.1, 0.9), 1),
    )


lion_step = Exercise(
    "lion_step",
    reference=_lion,
    inputs=_lion_inputs,
    mistakes={
        "no sign": Edit(
            "x moves by the mixture itself. Only its sign counts.",
            ("np.sign(c)", "c"),
        ),
        "unit length": Edit(
            "you shorten the mixture to length 1. Take the sign of each entry.",
            ("np.sign(c)", "c / np.linalg.norm(c)"),
        ),
        "sign of g": Edit(
            "this takes the sign of the gradient alone: m has no say.",
            ("np.sign(c)", "np.sign(g)"),
        ),
        "sign of old m": Edit(
            "this takes the sign of the old m: the gradient has no say.",
            ("np.sign(c)", "np.sign(m)"),
        ),
        "sign of new m": Edit(
            "this takes the sign of the new m. The mixture for the step has a decay "
            "of its own, β₁.",
            ("np.sign(c)", "np.sign(m_new)"),
        ),
        "mean of signs": Edit(
            "you mix signs. Mix first, then take the sign.",
            ("np.sign(c)", "(0.9 * np.sign(m) + 0.1 * np.sign(g))"),
        ),
        "betas swapped": Edit(
            "β₁ and β₂ are swapped: 0.9 mixes for the step, 0.99 for m.",
            ("MIX * m + (1 - MIX) * g", "KEEP * m + (1 - KEEP) * g"),
            ("m_new = KEEP * m + (1 - KEEP) * g", "m_new = MIX * m + (1 - MIX) * g"),
        ),
        "mixture kept": Edit(
            "you give the mixture back as m. m has a slower decay of its own, β₂.",
            ("return x_new, m_new", "return x_new, c"),
        ),
        "m of mixture": Edit(
            "m is made of the mixture. Make it of the old m and g.",
            ("KEEP * m + (1 - KEEP) * g", "0.99 * c + 0.01 * g"),
        ),
        "m of signs": Edit(
            "m averages signs. It averages gradients.",
            ("KEEP * m + (1 - KEEP) * g", "0.99 * m + 0.01 * np.sign(c)"),
        ),
        "shares swapped": Edit(
            "β₁ and 1 − β₁ are swapped in the mixture: m has the larger share.",
            ("MIX * m + (1 - MIX) * g", "0.1 * m + 0.9 * g"),
        ),
        "no decay": Edit(
            "the weights do not decay: λ has no effect.",
            (" - rate * decay * x", ""),
        ),
        "decay in the gradient": (
            lambda x, m, g, rate, decay: _lion(x, m, g + decay * x, rate, 0.0),
            "you add λx to the gradient. There the sign swallows it: it must shrink x directly.",
        ),
        "decay in the sign": Edit(
            "λx stands within the sign: close the bracket before it.",
            ("np.sign(c) - rate * decay * x", "np.sign(c + decay * x)"),
        ),
        "decay without rate": Edit(
            "the decay lacks the rate: x shrinks by η λ x.",
            ("- rate * decay * x", "- decay * x"),
        ),
        "growth": Edit(
            "x grows: the decay has the wrong sign.",
            ("- rate * decay * x", "+ rate * decay * x"),
        ),
        "same decay for all": Edit(
            "all weights shrink by the same amount. They shrink in proportion to x.",
            ("rate * decay * x", "rate * decay * np.sign(x)"),
        ),
        "uphill": Edit(
            "x moves uphill: subtract.",
            ("x - rate * np", "x + rate * np"),
        ),
        "old m back": Edit(
            "x is right, but you give the old m back.",
            ("return x_new, m_new", "return x_new, m"),
        ),
        "order": Edit(
            "x and m are in the wrong order: return x, m.",
            ("return x_new, m_new", "return m_new, x_new"),
        ),
        "x only": Edit(
            "only x comes back. The next step needs m as well: return x, m.",
            ("return x_new, m_new", "return x_new"),
        ),
    },
)


# ----------------------------------------------------------------------- convergence_factor


def _both_roots(h, mu, p=None, q=None):
    """The roots of r² − p r + q for each ηλ in `h`; those of Nesterov's walk if not given."""
    p = (1 + mu) * (1 - h) if p is None else p
    q = mu * (1 - h) if q is None else q
    root = np.sqrt((p**2 - 4 * q).astype(complex))
    return np.array([(p + root) / 2, (p - root) / 2])


def _factor(curvatures, rate, mu):
    return np.max(np.abs(_both_roots(rate * curvatures, mu)))


def _factor_with(make):
    """A wrong answer: ``make(roots, h, mu)``, roots of shape (2, curvatures)."""
    return lambda c, rate, mu: make(_both_roots(rate * c, mu), rate * c, mu)


def _abs_discriminant(roots, h, mu):
    p, q = (1 + mu) * (1 - h), mu * (1 - h)
    root = np.sqrt(np.abs(p**2 - 4 * q))
    return np.max(np.abs([(p + root) / 2, (p - root) / 2]))


convergence_factor = Exercise(
    "convergence_factor",
    reference=_factor,
    inputs=lambda rng: (
        rng.uniform(0.2, 6, rng.integers(2, 5)).round(1),
        round(rng.uniform(0.03, 0.5), 2),
        round(rng.uniform(0.1, 0.8), 2),
    ),
    mistakes={
        "no momentum": (
            _factor_with(lambda r, h, mu: np.max(np.abs(1 - h))),
            "this is the factor of plain descent: μ has no effect.",
        ),
        "heavy ball": (
            _factor_with(lambda r, h, mu: np.max(np.abs(_both_roots(h, mu, 1 + mu - h, mu)))),
            "this is the factor of momentum without looking ahead. "
            "Nesterov's 1 − ηλ multiplies both terms.",
        ),
        "steepest alone": (
            _factor_with(lambda r, h, mu: np.max(np.abs(r[:, np.argmax(h)]))),
            "only the steepest direction counts for you. Often the flattest one is the slowest.",
        ),
        "flattest alone": (
            _factor_with(lambda r, h, mu: np.max(np.abs(r[:, np.argmin(h)]))),
            "only the flattest direction counts for you. At a high rate the "
            "steepest one runs away.",
        ),
        "mean curvature": (
            lambda c, rate, mu: _factor(np.array([np.mean(c)]), rate, mu),
            "you use the mean curvature. The walk is as slow as its slowest direction.",
        ),
        "fastest": (
            _factor_with(lambda r, h, mu: np.min(np.max(np.abs(r), axis=0))),
            "this is the fastest direction. The walk is as slow as its slowest one.",
        ),
        "smaller root": (
            _factor_with(lambda r, h, mu: np.max(np.min(np.abs(r), axis=0))),
            "this is the smaller of the two r. In the long run the larger wins.",
        ),
        "real part": (
            _factor_with(lambda r, h, mu: np.max(np.abs(r.real))),
            "the imaginary part is lost. What shrinks is the size |r|.",
        ),
        "not the size": (
            _factor_with(lambda r, h, mu: np.max(r.real)),
            "you take the largest real part, with its sign. Take the size |r|.",
        ),
        "absolute discriminant": (
            _factor_with(_abs_discriminant),
            "a negative number under the root becomes positive for you. "
            "Then r is complex: let it be.",
        ),
        "product": (
            _factor_with(lambda r, h, mu: np.max(np.abs(np.prod(r, axis=0)))),
            "this is the product of the two r. What is asked is the larger.",
        ),
        "root of the product": (
            _factor_with(lambda r, h, mu: np.max(np.sqrt(np.abs(np.prod(r, axis=0))))),
            "the root of the product is right where r is complex alone.",
        ),
        "root of mu": (
            _factor_with(lambda r, h, mu: np.sqrt(mu)),
            "√μ belongs to momentum without looking ahead, and to good rates alone.",
        ),
        "not halved": (
            _factor_with(lambda r, h, mu: 2 * np.max(np.abs(r))),
            "twice too large: the formula for r divides by 2.",
        ),
        "sign of the constant": (
            _factor_with(lambda r, h, mu: np.max(np.abs(_both_roots(h, mu, q=-mu * (1 - h))))),
            "a sign is wrong: with everything on one side, r² − … r + ….",
        ),
        "squared": (
            _factor_with(lambda r, h, mu: np.max(np.abs(r)) ** 2),
            "this is how the height shrinks. The distance shrinks with |r|.",
        ),
        "each direction": (
            _factor_with(lambda r, h, mu: np.max(np.abs(r), axis=0)),
            "you give back a factor for each direction. The slowest one is asked for.",
        ),
        "sum": (
            _factor_with(lambda r, h, mu: np.max(np.abs(r).sum(axis=0))),
            "you add the sizes of the two r. Take the larger.",
        ),
    },
)
