"""The update rules that turn a gradient into a step.

Every optimizer is a formula with a memory. You make one, ask for its first memory, and step::

    opt = Adam(lr=0.01)
    state = opt.init(x)
    x, state = opt.step(x, grad, state)

Nothing is changed in place: ``x``, ``grad`` and ``state`` are as they were, the new ones are
returned. The rules, defaults and names are PyTorch's, and so are its conventions where they differ
from a paper's (each class says where). Notation: x parameters, g gradient, η = lr, μ = momentum,
t the number of the step, v and m the running averages.

Hyperparameters may be arrays. All rules work element by element, so ``SGD(lr=rates[:, None])``
moves a point of shape (n,) with every rate at once and returns points of shape (len(rates), n).

The rules stand in order of increasing complexity. What all of them share is said once, in `rule`:
a class is its docstring, its hyperparameters and `step`, the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from course_utils._given import (
    DECAY,
    FINITE,
    NOT_NEGATIVE,
    SHARE,
    array,
    floats,
    numbers,
    switch,
)

__all__ = ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW"]


# ---------------------------------------------------------------------------------------------
# What every rule shares: hyperparameters are checked once, points at every step
# ---------------------------------------------------------------------------------------------


def _zeros(optimizer, x):
    """Zeros in x's dtype, in x's shape grown to the shape of the hyperparameters' grid."""
    owner = type(optimizer).__name__
    x = floats(owner, "x", x)
    shape = x.shape
    fields = vars(optimizer) | dict(enumerate(getattr(optimizer, "betas", ())))
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            name = name if isinstance(name, str) else f"betas[{name}]"
            try:
                shape = np.broadcast_shapes(shape, value.shape)
            except ValueError:
                raise ValueError(
                    f"{owner}: {name} of shape {value.shape} does not broadcast against points "
                    f"of shape {shape}; give the hyperparameter a last axis of length 1 "
                    f"for the coordinates: {name}[..., None]"
                ) from None
    return np.zeros(shape, x.dtype)


def rule(memory: Sequence[str], **checks: Any) -> Callable[[type], type]:
    """Make a class of hyperparameters with a formula `step` into an optimizer.

    The class is a frozen dataclass whose hyperparameters are checked when it is made. `step` stays
    only its formula: its input is checked before, x's dtype is kept after.

    Parameters
    ----------
    memory
        the names of its running averages, zero before the first step.
    checks
        what each hyperparameter may be: a rule of `_given`, `betas` or `switch`.
    """

    def made(cls: type) -> type:
        def check(self) -> None:
            for name, allowed in checks.items():
                object.__setattr__(self, name, _checked(cls.__name__, name, self, allowed))
            if hasattr(self, "_together"):
                self._together()

        def init(self, x: np.ndarray) -> dict:
            """The memory before the first step, for points x of shape (..., n)."""
            return {"t": 0} | {name: _zeros(self, x) for name in memory}

        cls.__post_init__ = check
        cls.memory = tuple(memory)
        cls.init = vars(cls).get("init", init)
        cls.step = _with_care(cls.step)
        return dataclass(frozen=True, eq=False)(cls)

    return made


def _checked(owner: str, name: str, optimizer: Any, allowed: Any) -> Any:
    value = getattr(optimizer, name)
    if callable(allowed):  # betas, switch
        return allowed(owner, name, value)
    return numbers(owner, name, value, allowed)


def betas(owner: str, name: str, value: Any) -> tuple:
    """A pair of decay rates."""
    try:
        beta1, beta2 = value
    except (TypeError, ValueError):
        raise ValueError(
            f"{owner}: {name} must be a pair (β₁, β₂) such as (0.9, 0.999), not {value!r}"
        ) from None
    return numbers(owner, "betas[0]", beta1, DECAY), numbers(owner, "betas[1]", beta2, DECAY)


def _with_care(step):
    """`step` with its input checked and x's dtype kept."""

    @wraps(step)
    def checked(self, x: np.ndarray, grad: np.ndarray, state: dict) -> tuple[np.ndarray, dict]:
        owner = type(self).__name__
        x, grad = floats(owner, "x", x), array(owner, "grad", grad)
        if grad.dtype.kind not in "iuf":
            raise TypeError(f"{owner}: grad must be an array of numbers, not {grad!r}")
        if grad.shape != x.shape:
            raise ValueError(
                f"{owner}: grad has shape {grad.shape} but x has shape {x.shape}; "
                "there must be one derivative for each entry of x"
            )
        _own_memory(self, x, state)
        with np.errstate(under="ignore"):  # what vanishes is 0, whatever `np.seterr` was told
            new_x, new_state = step(self, x, grad, state)
            steps = new_state.pop("t")
            # Arrays of hyperparameters are float64: compute with them, then round to x's dtype.
            memory = {name: np.asarray(value, x.dtype) for name, value in new_state.items()}
            return np.asarray(new_x, x.dtype), {"t": steps} | memory

    checked.__doc__ = "One step from x (..., n) along grad (..., n): the new x and the new memory."
    return checked


def _own_memory(optimizer, x, state):
    """Refuse a memory that is another optimizer's, or that of another x."""
    owner, start = type(optimizer).__name__, "start with state = opt.init(x)"
    if not isinstance(state, dict):
        raise TypeError(f"{owner}: state must be the memory that `init` or `step` gave; {start}")
    known = {"t", *optimizer.memory}
    if state.keys() != known:
        raise ValueError(
            f"{owner}: this memory holds {', '.join(state)}, but {owner}'s has "
            f"{', '.join(sorted(known))}: it is another optimizer's; {start}"
        )
    for name in optimizer.memory:
        shape = np.shape(state[name])
        if shape[-x.ndim :] != x.shape and not _grows(shape, x.shape):
            raise ValueError(
                f"{owner}: the memory {name} has shape {shape}, but x has {x.shape}: it is that of "
                f"other parameters; {start}"
            )


def _grows(memory, x):
    """Whether a memory is that of points which a grid of settings makes more of."""
    if not memory or not x or memory[-1] != x[-1]:
        return False
    try:
        return np.broadcast_shapes(memory, x) in (memory, x)
    except ValueError:
        return False


# ---------------------------------------------------------------------------------------------
# The rules
# ---------------------------------------------------------------------------------------------


@rule(
    ["v"],
    lr=NOT_NEGATIVE,
    momentum=NOT_NEGATIVE,
    dampening=FINITE,
    weight_decay=NOT_NEGATIVE,
    nesterov=switch,
)
class SGD:
    """Gradient descent, with momentum and Nesterov's look-ahead if asked for.

    Each step::

        v ← μ v + (1 − dampening) g        (the first step: v ← g)
        x ← x − η v                        (nesterov: x ← x − η (g + μ v))

    Robbins & Monro (1951); momentum: Polyak (1964); both forms: Sutskever et al. (2013),
    eqs. 1–4. There η stands inside v; in PyTorch, and here, it multiplies v, which makes the
    same path for a constant η and another one when η changes on the way. `weight_decay` λ adds
    λ x to the gradient. Nesterov needs momentum > 0 and dampening = 0.

    Raises ValueError or TypeError for a hyperparameter out of its range.
    """

    lr: ArrayLike = 1e-3
    momentum: ArrayLike = 0.0
    dampening: ArrayLike = 0.0
    weight_decay: ArrayLike = 0.0
    nesterov: bool = False

    def _together(self):
        if self.nesterov and (np.any(self.momentum == 0) or np.any(self.dampening != 0)):
            raise ValueError(
                "SGD: nesterov=True needs momentum > 0 and dampening = 0, but "
                f"momentum = {self.momentum} and dampening = {self.dampening}"
            )

    def step(self, x, grad, state):
        mu = self.momentum
        g = grad + self.weight_decay * x
        v = np.where(state["t"] == 0, g, mu * state["v"] + (1 - self.dampening) * g)
        # Without momentum PyTorch keeps no v at all, so that dampening has no effect either.
        direction = g + mu * v if self.nesterov else np.where(mu == 0, g, v)
        return x - self.lr * direction, {"t": state["t"] + 1, "v": v}


@rule(
    ["s"],
    lr=NOT_NEGATIVE,
    lr_decay=NOT_NEGATIVE,
    weight_decay=NOT_NEGATIVE,
    initial_accumulator_value=NOT_NEGATIVE,
    eps=NOT_NEGATIVE,
)
class Adagrad:
    """Divide each coordinate's rate by the size of all the gradients it has met.

    Each step::

        s ← s + g²
        x ← x − η / (1 + (t − 1) lr_decay) · g / (√s + ε)

    Duchi, Hazan & Singer (2011), eq. 1, the diagonal form; `lr_decay`, ε and the start of s at
    `initial_accumulator_value` are PyTorch's. `weight_decay` λ adds λ x to the gradient.

    Raises ValueError or TypeError for a hyperparameter out of its range.
    """

    lr: ArrayLike = 1e-2
    lr_decay: ArrayLike = 0.0
    weight_decay: ArrayLike = 0.0
    initial_accumulator_value: ArrayLike = 0.0
    eps: ArrayLike = 1e-10

    def init(self, x: np.ndarray) -> dict:
        """The memory before the first step, for points x of shape (..., n)."""
        zeros = _zeros(self, x)
        return {"t": 0, "s": (zeros + self.initial_accumulator_value).astype(zeros.dtype)}

    def step(self, x, grad, state):
        t = state["t"] + 1
        g = grad + self.weight_decay * x
        s = state["s"] + g**2
        rate = self.lr / (1 + (t - 1) * self.lr_decay)
        return x - rate * g / (np.sqrt(s) + self.eps), {"t": t, "s": s}


@rule(["s", "d"], lr=NOT_NEGATIVE, rho=SHARE, eps=NOT_NEGATIVE, weight_decay=NOT_NEGATIVE)
class Adadelta:
    """Step as far as the recent steps went, for each unit of the recent gradients' size.

    Each step::

        s ← ρ s + (1 − ρ) g²
        δ = √(d + ε) / √(s + ε) · g        (d: the running average of δ²)
        d ← ρ d + (1 − ρ) δ²
        x ← x − η δ

    Zeiler (2012), algorithm 1 and eq. 14. Zeiler has no rate; PyTorch adds η = 1. The first step
    has d = 0, so that its size is set by ε: about √(ε / (1 − ρ)), whatever the gradient.
    `weight_decay` λ adds λ x to the gradient.

    Raises ValueError or TypeError for a hyperparameter out of its range.
    """

    lr: ArrayLike = 1.0
    rho: ArrayLike = 0.9
    eps: ArrayLike = 1e-6
    weight_decay: ArrayLike = 0.0

    def step(self, x, grad, state):
        rho, eps = self.rho, self.eps
        g = grad + self.weight_decay * x
        s = rho * state["s"] + (1 - rho) * g**2
        delta = np.sqrt(state["d"] + eps) / np.sqrt(s + eps) * g
        d = rho * state["d"] + (1 - rho) * delta**2
        return x - self.lr * delta, {"t": state["t"] + 1, "s": s, "d": d}


@rule(
    ["s", "m", "v"],
    lr=NOT_NEGATIVE,
    alpha=SHARE,
    eps=NOT_NEGATIVE,
    weight_decay=NOT_NEGATIVE,
    momentum=NOT_NEGATIVE,
    centered=switch,
)
class RMSprop:
    """Divide the gradient by the running size of recent gradients.

    Each step::

        s ← α s + (1 − α) g²
        v ← μ v + g / (√s + ε)
        x ← x − η v

    Tieleman & Hinton (2012), lecture 6.5. `centered` takes √(s − m²) with m the running average
    of g: Graves (2013), eqs. 38–41, where ε stands under the root; in PyTorch, and here, it is
    added outside. (For gradients that hardly change, s − m² is a difference of equal numbers
    and rounding may make it negative: the step is NaN, as in PyTorch.) `weight_decay` λ adds λ x
    to the gradient.

    Raises ValueError or TypeError for a hyperparameter out of its range.
    """

    lr: ArrayLike = 1e-2
    alpha: ArrayLike = 0.99
    eps: ArrayLike = 1e-8
    weight_decay: ArrayLike = 0.0
    momentum: ArrayLike = 0.0
    centered: bool = False

    def step(self, x, grad, state):
        alpha = self.alpha
        g = grad + self.weight_decay * x
        s = alpha * state["s"] + (1 - alpha) * g**2
        m = alpha * state["m"] + (1 - alpha) * g
        size = np.sqrt(s - m**2 if self.centered else s)
        v = self.momentum * state["v"] + g / (size + self.eps)
        return x - self.lr * v, {"t": state["t"] + 1, "s": s, "m": m, "v": v}


def _adam(self, x, g, state):
    """The part that Adam and AdamW share: Kingma & Ba (2015), algorithm 1."""
    beta1, beta2 = self.betas
    t = state["t"] + 1
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * g**2
    v_max = np.maximum(state["v_max"], v) if self.amsgrad else v
    m_hat = m / (1 - beta1**t)
    v_hat = v_max / (1 - beta2**t)
    x = x - self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
    return x, {"t": t, "m": m, "v": v, "v_max": v_max}


@rule(
    ["m", "v", "v_max"],
    lr=NOT_NEGATIVE,
    betas=betas,
    eps=NOT_NEGATIVE,
    weight_decay=NOT_NEGATIVE,
    amsgrad=switch,
)
class Adam:
    """Momentum for the direction, RMSprop for the size, both corrected for starting at zero.

    Each step::

        m ← β₁ m + (1 − β₁) g              m̂ = m / (1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²             v̂ = v / (1 − β₂ᵗ)
        x ← x − η m̂ / (√v̂ + ε)

    Kingma & Ba (2015), algorithm 1. `amsgrad` puts the largest v so far in place of v: Reddi et
    al. (2018), algorithm 2; PyTorch takes the maximum before the correction. `weight_decay` λ
    adds λ x to the gradient, so that it is rescaled like the rest of it; AdamW differs there.

    Raises ValueError or TypeError for a hyperparameter out of its range.
    """

    lr: ArrayLike = 1e-3
    betas: tuple[ArrayLike, ArrayLike] = (0.9, 0.999)
    eps: ArrayLike = 1e-8
    weight_decay: ArrayLike = 0.0
    amsgrad: bool = False

    def step(self, x, grad, state):
        return _adam(self, x, grad + self.weight_decay * x, state)


@rule(
    ["m", "v", "v_max"],
    lr=NOT_NEGATIVE,
    betas=betas,
    eps=NOT_NEGATIVE,
    weight_decay=NOT_NEGATIVE,
    amsgrad=switch,
)
class AdamW:
    """Adam with the weight decay beside the gradient instead of inside it.

    Each step::

        x ← (1 − η λ) x, then Adam's step with the bare gradient

    Loshchilov & Hutter (2019), algorithm 2; as in PyTorch η is the whole rate, schedule
    included. Each weight shrinks by the same share, however large its gradients were.

    Raises ValueError or TypeError for a hyperparameter out of its range.
    """

    lr: ArrayLike = 1e-3
    betas: tuple[ArrayLike, ArrayLike] = (0.9, 0.999)
    eps: ArrayLike = 1e-8
    weight_decay: ArrayLike = 1e-2
    amsgrad: bool = False

    def step(self, x, grad, state):
        return _adam(self, (1 - self.lr * self.weight_decay) * x, grad, state)
