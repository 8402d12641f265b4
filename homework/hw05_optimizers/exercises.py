"""Homework 05: a wrong step found and mended, two more rules, and how fast Nesterov's walk is."""

import numpy as np

from course_utils.exercises import Exercise
from course_utils.exercises import functions as f


def _vector(rng, low=0.2, high=2.0, n=3):
    """A few numbers of both signs, none near zero: each mistake must show on each input."""
    return (rng.uniform(low, high, n) * rng.choice([-1, 1], n)).round(1)


# ----------------------------------------------------------------------------- largest_gap


def _gaps(
    step,
    gradient,
    x,
    rate,
    mu,
    steps,
    *,
    ahead=lambda v, mu: mu * v,
    asked=lambda v, mu: 0,
    landing=lambda v, mu: mu * v,
    size=np.linalg.norm,
    forget=False,
    late=False,
):
    """How far the step's walk is from Nesterov's place ahead, after each step."""
    y, w, place, v, found = x, 0 * x, x, 0 * x, []
    for _ in range(steps):
        y, w = step(y, w, gradient(y + asked(w, mu)), rate, mu)
        w = 0 * w if forget else w
        new = mu * v - rate * gradient(place + ahead(v, mu))
        place = place + (v if late else new)
        v = new
        found.append(size(y - place - landing(v, mu)))
    return np.array(found)


def _gap_with(join=np.max, more=0, **changes):
    return lambda step, gradient, x, rate, mu, steps: join(
        _gaps(step, gradient, x, rate, mu, steps + more, **changes)
    )


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
    reference=_gap_with(),
    inputs=_gap_inputs,
    mistakes={
        "last": (
            _gap_with(lambda gaps: gaps[-1]),
            "this is the gap after the last step. The largest on the way is asked for.",
        ),
        "first": (
            _gap_with(lambda gaps: gaps[0]),
            "this is the gap after the first step. Go on, and keep the largest.",
        ),
        "sum": (_gap_with(np.sum), "you add the gaps up. Take the largest."),
        "mean": (_gap_with(np.mean), "this is the mean gap. Take the largest."),
        "smallest": (_gap_with(np.min), "this is the smallest gap. Take the largest."),
        "every gap": (_gap_with(np.array), "you give back all gaps. Take the largest of them."),
        "squared": (
            _gap_with(size=lambda d: np.sum(d**2)),
            "this is a squared distance: the root is missing.",
        ),
        "largest coordinate": (
            _gap_with(size=lambda d: np.max(np.abs(d))),
            "you take the largest coordinate. A distance counts them all.",
        ),
        "sum of sizes": (
            _gap_with(size=lambda d: np.sum(np.abs(d))),
            "you add up the sizes of the coordinates. A distance is the root of the "
            "sum of their squares.",
        ),
        "signed": (
            _gap_with(size=np.sum),
            "you add up the coordinates of the difference: their signs cancel.",
        ),
        "not ahead": (
            _gap_with(landing=lambda v, mu: 0),
            "you compare with θ itself. The step's x stands for the place ahead of θ.",
        ),
        "ahead by all of v": (
            _gap_with(landing=lambda v, mu: v),
            "the place that you compare with is ahead by v. It is ahead by μ times v.",
        ),
        "gradient behind": (
            _gap_with(ahead=lambda v, mu: 0),
            "the gradient in the definition is taken at θ. It belongs to the "
            "place ahead: that is the whole idea.",
        ),
        "gradient too far ahead": (
            _gap_with(ahead=lambda v, mu: v),
            "the gradient in the definition is taken at θ + v: too far. "
            "The place ahead has the factor μ.",
        ),
        "step asked ahead": (
            _gap_with(asked=lambda w, mu: mu * w),
            "the step gets the gradient of a place ahead of its x. Its x is the "
            "place ahead already.",
        ),
        "velocity lost": (
            _gap_with(forget=True),
            "the step gets v = 0 each time. It gives back a new v: hand that on.",
        ),
        "old velocity": (
            _gap_with(late=True),
            "θ moves with the old v. In the definition it moves with the new one.",
        ),
        "one too few": (_gap_with(more=-1), "one step is missing."),
        "one too many": (_gap_with(more=1), "that is one step too many."),
    },
)


# -------------------------------------------------------------------------- mended_nesterov


def _nesterov(x, v, g, rate, mu):
    new = mu * v - rate * g
    return x + mu * new - rate * g, new


def _moved(move):
    """A wrong step: the velocity is right, the move is ``move(v, new, g, rate, mu)``."""

    def step(x, v, g, rate, mu):
        new = mu * v - rate * g
        return x + move(v, new, g, rate, mu), new

    return step


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
        "all of v": (
            _moved(lambda v, new, g, rate, mu: new - rate * g),
            "x moves by all of the new v, and by the gradient besides. A μ is missing.",
        ),
        "no gradient": (
            _moved(lambda v, new, g, rate, mu: mu * new),
            "x moves by μ v alone. From the old place ahead to the new one there is more.",
        ),
        "old v, once": (
            _moved(lambda v, new, g, rate, mu: mu * v - (1 + mu) * rate * g),
            "the old v has the factor μ. On its way it is slowed twice.",
        ),
        "new v, once": (
            _moved(lambda v, new, g, rate, mu: mu * new - (1 + mu) * rate * g),
            "the new v holds a part of the gradient already; with 1 + μ you count that twice.",
        ),
        "one gradient": (
            _moved(lambda v, new, g, rate, mu: mu * mu * v - rate * g),
            "the gradient comes in twice: in the velocity, and in the place ahead "
            "of it. One of them is missing.",
        ),
        "book, one gradient": (
            _moved(lambda v, new, g, rate, mu: mu * mu * new - rate * g),
            "you changed the factor of the gradient. Look at the v beside "
            "it: is it the one from before the step, or from after it?",
        ),
        "from the old place": (
            _moved(lambda v, new, g, rate, mu: new + mu * new),
            "you add the way to the place ahead, but x was ahead already "
            "before the step: take that way off first.",
        ),
        "PyTorch's": (
            _pytorch,
            "this is PyTorch's form, with the rate outside v. It is right, "
            "too, but here v holds the rate, as in the book.",
        ),
        "uphill": (
            _moved(lambda v, new, g, rate, mu: mu * new + rate * g),
            "the gradient has the wrong sign: it leads uphill.",
        ),
        "backwards": (
            _moved(lambda v, new, g, rate, mu: -mu * new - rate * g),
            "v has the wrong sign. It points downhill here: add it.",
        ),
        "old v back": (
            lambda x, v, *rest: (_nesterov(x, v, *rest)[0], v),
            "x is right, but you give the old v back. The next step needs the new one.",
        ),
        "order": (lambda *a: _nesterov(*a)[::-1], "x and v are in the wrong order: return x, v."),
        "x only": (
            lambda *a: _nesterov(*a)[0],
            "only x comes back. The next step needs v as well: return x, v.",
        ),
    },
)


# ----------------------------------------------------------------------------- amsgrad_step

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def _amsgrad(
    x,
    m,
    v,
    top,
    g,
    t,
    rate,
    *,
    peak=lambda top, v, t: np.maximum(top, v),
    used=lambda top, v: top,
    correct_m=True,
    correct_v=True,
    power=lambda t: t,
    root=np.sqrt,
    eps=EPS,
    sign=-1.0,
    kept=lambda m, v, top: (m, v, top),
):
    m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
    new_top = peak(top, v, t)
    m_hat = m / (1 - BETA1 ** power(t)) if correct_m else m
    size = used(new_top, v) / (1 - BETA2 ** power(t)) if correct_v else used(new_top, v)
    return (x + sign * rate * m_hat / (root(size) + eps), *kept(m, v, new_top))


def _wrong_amsgrad(**changes):
    return lambda *given: _amsgrad(*given, **changes)


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
        "Adam": (
            _wrong_amsgrad(used=lambda top, v: v),
            "the step divides by v, as Adam does: `top` is computed, but not used.",
        ),
        "Adam, top left": (
            _wrong_amsgrad(peak=lambda top, v, t: top, used=lambda top, v: v),
            "this is Adam: `top` is neither brought up to date nor used.",
        ),
        "old top": (
            _wrong_amsgrad(peak=lambda top, v, t: top),
            "`top` stays as it was. It grows where the new v is larger.",
        ),
        "smaller": (
            _wrong_amsgrad(peak=lambda top, v, t: np.minimum(top, v)),
            "you keep the smaller of `top` and v. A large gradient must not be forgotten.",
        ),
        "sum": (
            _wrong_amsgrad(peak=lambda top, v, t: top + v),
            "you add v to `top`. Take the larger of the two.",
        ),
        "all coordinates": (
            _wrong_amsgrad(peak=lambda top, v, t: np.full_like(v, max(top.max(), v.max()))),
            "one largest number is used for all. Each coordinate has a `top` of its own.",
        ),
        "top of corrected": (
            _wrong_amsgrad(
                peak=lambda top, v, t: np.maximum(top, v / (1 - BETA2**t)),
                used=lambda top, v: top * 1.0,
                correct_v=False,
            ),
            "`top` holds corrected averages. It compares v as it is; the correction comes after.",
        ),
        "corrected twice": (
            _wrong_amsgrad(peak=lambda top, v, t: np.maximum(top, v / (1 - BETA2**t))),
            "v is corrected before `top` is taken, and again afterwards.",
        ),
        "top as v": (
            _wrong_amsgrad(kept=lambda m, v, top: (m, top, top)),
            "you give `top` back as v. v is an average that forgets: keep it apart.",
        ),
        "no correction": (
            _wrong_amsgrad(correct_m=False, correct_v=False),
            "the averages are used as they are (the paper does that). Correct both "
            "for their start at 0.",
        ),
        "m uncorrected": (
            _wrong_amsgrad(correct_m=False),
            "m is used without the correction for its start at 0.",
        ),
        "top uncorrected": (
            _wrong_amsgrad(correct_v=False),
            "`top` is used without the correction for the start at 0.",
        ),
        "no power": (
            _wrong_amsgrad(power=lambda t: 1),
            "the correction forgets t: it is β to the power t.",
        ),
        "t off by one": (
            _wrong_amsgrad(power=lambda t: t + 1),
            "the power is one too large: the first step has t = 1.",
        ),
        "no root": (_wrong_amsgrad(root=lambda v: v), "the root is missing: v holds squares."),
        "no eps": (
            _wrong_amsgrad(eps=0.0),
            "ε is missing below the fraction bar (mind the brackets).",
        ),
        "uphill": (_wrong_amsgrad(sign=1.0), "x moves uphill: subtract."),
        "no rate": (
            lambda x, m, v, top, g, t, rate: _amsgrad(x, m, v, top, g, t, 1.0),
            "the step lacks the learning rate.",
        ),
        "old top back": (
            lambda x, m, v, top, *rest: (*_amsgrad(x, m, v, top, *rest)[:3], top),
            "x is right, but you give the old `top` back.",
        ),
        "no top back": (
            lambda *a: _amsgrad(*a)[:3],
            "`top` does not come back. The next step needs it: return x, m, v, top.",
        ),
        "x only": (
            lambda *a: _amsgrad(*a)[0],
            "only x comes back. The next step needs the others as well: return x, m, v, top.",
        ),
    },
)


# -------------------------------------------------------------------------------- lion_step


def _lion(
    x,
    m,
    g,
    rate,
    decay,
    *,
    b1=0.9,
    b2=0.99,
    mix=None,
    push=np.sign,
    keep=None,
    shrink=lambda x, rate, decay: rate * decay * x,
    sign=-1.0,
):
    c = b1 * m + (1 - b1) * g if mix is None else mix(x, m, g, decay)
    new = b2 * m + (1 - b2) * g if keep is None else keep(m, g, c)
    return x + sign * rate * push(c) - shrink(x, rate, decay), new


def _wrong_lion(**changes):
    return lambda *given: _lion(*given, **changes)


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
        "no sign": (
            _wrong_lion(push=lambda c: c),
            "x moves by the mixture itself. Only its sign counts.",
        ),
        "unit length": (
            _wrong_lion(push=lambda c: c / np.linalg.norm(c)),
            "you shorten the mixture to length 1. Take the sign of each entry.",
        ),
        "sign of g": (
            _wrong_lion(mix=lambda x, m, g, decay: g),
            "this takes the sign of the gradient alone: m has no say.",
        ),
        "sign of old m": (
            _wrong_lion(mix=lambda x, m, g, decay: m),
            "this takes the sign of the old m: the gradient has no say.",
        ),
        "sign of new m": (
            _wrong_lion(mix=lambda x, m, g, decay: 0.99 * m + 0.01 * g),
            "this takes the sign of the new m. The mixture for the step has a decay "
            "of its own, β₁.",
        ),
        "mean of signs": (
            _wrong_lion(
                mix=lambda x, m, g, decay: 0.9 * np.sign(m) + 0.1 * np.sign(g), push=lambda c: c
            ),
            "you mix signs. Mix first, then take the sign.",
        ),
        "betas swapped": (
            _wrong_lion(b1=0.99, b2=0.9),
            "β₁ and β₂ are swapped: 0.9 mixes for the step, 0.99 for m.",
        ),
        "mixture kept": (
            _wrong_lion(keep=lambda m, g, c: c),
            "you give the mixture back as m. m has a slower decay of its own, β₂.",
        ),
        "m of mixture": (
            _wrong_lion(keep=lambda m, g, c: 0.99 * c + 0.01 * g),
            "m is made of the mixture. Make it of the old m and g.",
        ),
        "m of signs": (
            _wrong_lion(keep=lambda m, g, c: 0.99 * m + 0.01 * np.sign(c)),
            "m averages signs. It averages gradients.",
        ),
        "shares swapped": (
            _wrong_lion(b1=0.1),
            "β₁ and 1 − β₁ are swapped in the mixture: m has the larger share.",
        ),
        "no decay": (
            _wrong_lion(shrink=lambda x, rate, decay: 0.0),
            "the weights do not decay: λ has no effect.",
        ),
        "decay in the gradient": (
            lambda x, m, g, rate, decay: _lion(x, m, g + decay * x, rate, 0.0),
            "you add λx to the gradient. There the sign swallows it: it must shrink x directly.",
        ),
        "decay in the sign": (
            _wrong_lion(
                mix=lambda x, m, g, decay: 0.9 * m + 0.1 * g + decay * x,
                shrink=lambda x, rate, decay: 0.0,
                keep=lambda m, g, c: 0.99 * m + 0.01 * g,
            ),
            "λx stands within the sign: close the bracket before it.",
        ),
        "decay without rate": (
            _wrong_lion(shrink=lambda x, rate, decay: decay * x),
            "the decay lacks the rate: x shrinks by η λ x.",
        ),
        "growth": (
            _wrong_lion(shrink=lambda x, rate, decay: -rate * decay * x),
            "x grows: the decay has the wrong sign.",
        ),
        "same decay for all": (
            _wrong_lion(shrink=lambda x, rate, decay: rate * decay * np.sign(x)),
            "all weights shrink by the same amount. They shrink in proportion to x.",
        ),
        "uphill": (_wrong_lion(sign=1.0), "x moves uphill: subtract."),
        "old m back": (
            lambda x, m, *rest: (_lion(x, m, *rest)[0], m),
            "x is right, but you give the old m back.",
        ),
        "order": (lambda *a: _lion(*a)[::-1], "x and m are in the wrong order: return x, m."),
        "x only": (
            lambda *a: _lion(*a)[0],
            "only x comes back. The next step needs m as well: return x, m.",
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
