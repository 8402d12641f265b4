"""How wrong is a prediction, in one number, and which way does that number fall?

Every loss here answers both questions at once: its value, and its gradient with respect to the
prediction (the first argument), from which backpropagation starts::

    loss, grad = mse(prediction, target)
    loss, grad = cross_entropy(logits, labels, reduction="sum")

Names, conventions and reductions are those of ``torch.nn.functional``, except that classes are
always the last axis:

=======  ===========================================  =========================================
          loss                                         grad
=======  ===========================================  =========================================
"mean"   a number: the average over all entries,      of that number: a step does not grow with
         or for cross-entropy over all samples        the number of samples
"sum"    a number: their sum                          of that number
"none"   an array: the loss of each entry or sample   of each one's own loss
=======  ===========================================  =========================================

A prediction may be any finite number, ±10⁴ and beyond: no gradient is NaN, and a loss is infinite
only where it is too large to be written. A logit of −∞ rules a class out, as a mask does. float32
in is float32 out. What has the wrong shape is refused, because NumPy would broadcast it to a wrong
number without a word.

Lesson 03 writes these losses out, and breaks naive ones with `sigmoid`, `softmax`, `log_softmax`
and `logsumexp` beside them; lessons 04, 05, 07 and 08 train with them.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from course_utils._given import POSITIVE, array, number, one_of

__all__ = [
    "mse",
    "l1",
    "huber",
    "bce",
    "bce_with_logits",
    "cross_entropy",
    "sigmoid",
    "logsumexp",
    "softmax",
    "log_softmax",
]

# As in PyTorch: the largest −log p, and the smallest p (1 − p), that bce works with.
_LARGEST_SURPRISE = 100
_SMALLEST_SPREAD = float(np.float32(1e-12))  # PyTorch keeps it in single precision

Loss = tuple[np.ndarray, np.ndarray]


def _calm(function: Callable) -> Callable:
    """What vanishes is 0 and what is too large is ∞, whatever a reader has told `np.seterr`."""

    @wraps(function)
    def calm(*given: Any, **more: Any) -> Any:
        with np.errstate(under="ignore", over="ignore"):
            return function(*given, **more)

    return calm


# ---------------------------------------------------------------------------------------------
# Numbers: how far is the prediction from the target?
# ---------------------------------------------------------------------------------------------


@_calm
def mse(prediction: ArrayLike, target: ArrayLike, *, reduction: str = "mean") -> Loss:
    """Squared error: e² with e = prediction − target. There is no ½, so the gradient is 2e.

    Returns (loss, grad): a number (or, for "none", an array of prediction's shape), and the
    gradient with respect to prediction, in its shape and dtype. A square too large for the dtype
    is inf.

    Raises TypeError for predictions of integers or of another dtype than float32 and float64;
    ValueError for shapes that differ, no entries at all, NaN or infinity, an unknown reduction.

    Parameters
    ----------
    prediction
        floats of any shape
    target
        numbers of the same shape
    reduction
        "mean", "sum" or "none"
    """
    prediction, target = _pair("mse", prediction, target)
    e = prediction - target
    return _reduced("mse", e**2, 2 * e, reduction)


@_calm
def l1(prediction: ArrayLike, target: ArrayLike, *, reduction: str = "mean") -> Loss:
    """Absolute error: ``|e|`` with e = prediction − target, and sign(e) for its gradient.

    At e = 0 there is a kink; like PyTorch's, the gradient there is 0. Arguments, result and
    errors are those of `mse`.
    """
    prediction, target = _pair("l1", prediction, target)
    e = prediction - target
    return _reduced("l1", np.abs(e), np.sign(e), reduction)


@_calm
def huber(
    prediction: ArrayLike, target: ArrayLike, *, delta: float = 1.0, reduction: str = "mean"
) -> Loss:
    """Squared error near the target, absolute error far from it: an outlier pulls only so hard.

    With e = prediction − target::

        ½ e²               if |e| ≤ δ          gradient e
        δ (|e| − ½ δ)      otherwise           gradient ±δ

    Huber (1964), section 4. There is a ½ here, unlike in `mse`: for a large δ, huber is mse / 2.
    δ must be a finite number above 0; otherwise arguments, result and errors are those of `mse`.
    """
    prediction, target = _pair("huber", prediction, target)
    delta = number("huber", "delta", delta, POSITIVE)
    e = prediction - target
    slope = np.clip(e, -float(delta), float(delta))
    # With q = min(|e|, δ) both branches are q (|e| − q/2), and neither can overflow for nothing.
    return _reduced("huber", slope * (e - slope / 2), slope, reduction)


# ---------------------------------------------------------------------------------------------
# Yes or no: how surprised is the model by what happened?
# ---------------------------------------------------------------------------------------------


@_calm
def bce(prediction: ArrayLike, target: ArrayLike, *, reduction: str = "mean") -> Loss:
    """Binary cross-entropy of probabilities p: −y log p − (1 − y) log(1 − p).

    Returns (loss, grad) as `mse` does. At p = 0 and p = 1 a logarithm is −∞ and the slope too.
    PyTorch, and this function, take −100 for any logarithm below it, and for the gradient
    (p − y) / max(p (1 − p), 10⁻¹²): finite, and in the right direction, but no longer the slope
    of that clamped value, which is flat. `bce_with_logits` needs no such cure: prefer it.

    Raises what `mse` raises, and ValueError for predictions or targets outside [0, 1].

    Parameters
    ----------
    prediction
        floats between 0 and 1, of any shape: the probability of "yes"
    target
        of the same shape: 1 or True for yes, 0 or False for no, or a share between them
    """
    p, y = _pair("bce", prediction, target)
    _between_0_and_1("bce", "prediction", p, "; for logits use bce_with_logits")
    _between_0_and_1("bce", "target", y)
    with np.errstate(divide="ignore"):
        if_yes = np.minimum(-np.log(p), _LARGEST_SURPRISE)
        if_no = np.minimum(-np.log1p(-p), _LARGEST_SURPRISE)
    grad = (p - y) / np.maximum(p * (1 - p), _SMALLEST_SPREAD)
    return _reduced("bce", y * if_yes + (1 - y) * if_no, grad, reduction)


@_calm
def bce_with_logits(logits: ArrayLike, target: ArrayLike, *, reduction: str = "mean") -> Loss:
    """`bce` of sigmoid(logits), computed without ever forming the probability.

    −y log σ(z) − (1 − y) log(1 − σ(z)) = max(z, 0) − z y + log(1 + exp(−``|z|``)): the exponent is
    never positive, so nothing overflows, and no logarithm meets a 0. The gradient is σ(z) − y.

    Returns and raises what `mse` does, and ValueError for targets outside [0, 1].

    Parameters
    ----------
    logits
        floats of any shape, positive for "yes"
    target
        of the same shape, as in `bce`
    """
    z, y = _pair("bce_with_logits", logits, target, "logits")
    _between_0_and_1("bce_with_logits", "target", y)
    losses = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
    return _reduced("bce_with_logits", losses, sigmoid(z) - y, reduction)


# ---------------------------------------------------------------------------------------------
# One of many
# ---------------------------------------------------------------------------------------------


@_calm
def cross_entropy(logits: ArrayLike, target: ArrayLike, *, reduction: str = "mean") -> Loss:
    """Surprise at the right class, −log softmax(logits)[label]; the gradient is softmax − target.

    Returns (loss, grad): a number (for "none" an array of shape (...)), and the gradient with
    respect to logits, of shape (..., C) and logits' dtype; for label indices as for probabilities
    that are 1 at the label.

    Raises TypeError for logits of integers or of another dtype than float32 and float64, and for
    labels that are not integers; ValueError for shapes that do not fit, labels outside 0 … C − 1,
    probabilities outside [0, 1] or not summing to 1, no samples, NaN or infinity, an unknown
    reduction.

    Parameters
    ----------
    logits
        floats of shape (..., C), C ≥ 2; the softmax happens in here: do not apply it before.
        −∞ rules a class out (a mask); one in each row must be finite
    target
        the label of each sample, integers 0 … C − 1 of shape (...); or the probability of each
        class, numbers of shape (..., C) whose rows sum to 1 (to within 10⁻⁶)
    reduction
        "mean" (over the samples, whatever C), "sum" or "none"
    """
    logits = _floats("cross_entropy", "logits", logits, masks=True)
    target = _class_probabilities(logits, target)
    surprise = -log_softmax(logits)
    # A share of 0 costs nothing, however surprising: 0 · ∞ would be NaN.
    costs = np.multiply(target, surprise, out=np.zeros_like(surprise), where=target != 0)
    losses, grad = costs.sum(axis=-1), np.exp(-surprise) - target
    return _reduced("cross_entropy", losses, grad, reduction)


# ---------------------------------------------------------------------------------------------
# From logits to probabilities, whatever their size
# ---------------------------------------------------------------------------------------------


@_calm
def sigmoid(z: ArrayLike) -> np.ndarray:
    """1 / (1 + exp(−z)), element by element, for finite z of any shape and size.

    For a negative z it is written exp(z) / (1 + exp(z)): the exponent is never positive.
    """
    z = _numbers("sigmoid", z)
    small = np.exp(-np.abs(z))
    return (np.where(z >= 0, 1, small) / (1 + small))[()]


@_calm
def logsumexp(z: ArrayLike) -> np.ndarray:
    """log Σ exp(z) over the last axis, (..., C) → (...): a smooth maximum.

    Written max + log Σ exp(z − max), which is the same number; the largest exponent is 0.
    """
    z = _numbers("logsumexp", z, axis=True)
    largest = z.max(axis=-1, keepdims=True)
    return largest[..., 0] + np.log(np.exp(z - largest).sum(axis=-1))


@_calm
def log_softmax(z: ArrayLike) -> np.ndarray:
    """log softmax(z) = z − logsumexp(z) over the last axis, (..., C) → (..., C).

    In one step: the logarithm of a finished softmax is −∞ where that was rounded to 0.
    """
    z = _numbers("log_softmax", z, axis=True)
    z = z - z.max(axis=-1, keepdims=True)  # first, so that the small difference keeps its digits
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


@_calm
def softmax(z: ArrayLike) -> np.ndarray:
    """exp(z) / Σ exp(z) over the last axis, (..., C) → (..., C): positive shares that sum to 1.

    Computed from z − max, which changes nothing but the size of the exponents.
    """
    z = _numbers("softmax", z, axis=True)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ---------------------------------------------------------------------------------------------
# What every loss shares: the input is checked first, the losses are reduced last
# ---------------------------------------------------------------------------------------------


def _reduced(owner, losses, grad, reduction):
    one_of(owner, "reduction", reduction, ("mean", "sum", "none"))
    if reduction == "none":
        return losses[()], grad[()]
    if reduction == "sum":
        return losses.sum(), grad[()]
    return losses.mean(), (grad / losses.size)[()]


def _finite(owner, name, values, masks=False):
    if values.size == 0:
        raise ValueError(f"{owner}: {name} is empty, of shape {values.shape}; nothing to average")
    good = np.isfinite(values)
    if masks and values.ndim:  # a mask: −∞, but not everywhere
        allowed = (good | (values == -np.inf)).all() and good.any(axis=-1).all()
        hint = "; −∞ may rule classes out, but not all of a row"
    else:
        allowed, hint = good.all(), ""
    if not allowed:
        raise ValueError(
            f"{owner}: {name} has NaN or infinity; if it comes out of training, the run has "
            f"diverged: lower the learning rate{hint}"
        )


def _floats(owner, name, values, masks=False):
    """`values` as an array of float32 or float64, finite and not empty."""
    values = array(owner, name, values)
    if values.dtype.kind in "iub":
        raise TypeError(
            f"{owner}: {name} has dtype {values.dtype}, but its gradient is no whole number; "
            f"pass floats: np.asarray({name}, dtype=float)"
        )
    if values.dtype not in (np.float32, np.float64):
        raise TypeError(f"{owner}: {name} must be float32 or float64, not {values.dtype}")
    _finite(owner, name, values, masks)
    return values


def _numbers(owner, z, axis=False):
    """`z` as floats, with a last axis if one is asked for; whole numbers are welcome."""
    z = array(owner, "z", z)
    z = z.astype(np.float64) if z.dtype.kind in "iub" else z
    if axis and z.ndim == 0:
        raise ValueError(f"{owner}: z must have shape (..., C), one number for each class")
    return _floats(owner, "z", z, masks=axis)


def _target(owner, target, dtype):
    """`target` as finite numbers of `dtype`."""
    target = array(owner, "target", target)
    if target.dtype.kind not in "iufb":
        raise TypeError(f"{owner}: target must be an array of numbers, not of {target.dtype}")
    with np.errstate(over="ignore"):
        target = target.astype(dtype)
    _finite(owner, "target", target)
    return target


def _pair(owner, prediction, target, name="prediction"):
    """Both as arrays of the prediction's dtype and shape; NumPy never gets to broadcast them."""
    prediction = _floats(owner, name, prediction)
    target = _target(owner, target, prediction.dtype)
    if prediction.shape != target.shape:
        message = f"{owner}: {name} has shape {prediction.shape} but target {target.shape}"
        if prediction.size == target.size:
            message += f"; if they are in the same order: target.reshape({name}.shape)"
        try:
            pairs = np.broadcast_shapes(prediction.shape, target.shape)
            message += f". NumPy would have broadcast them to {pairs} without a word"
        except ValueError:
            pass
        raise ValueError(message)
    return prediction, target


def _between_0_and_1(owner, name, values, hint=""):
    outside = (values < 0) | (values > 1)
    if outside.any():
        raise ValueError(
            f"{owner}: {name} must be probabilities between 0 and 1, but one is "
            f"{values[outside][0]}{hint}"
        )


def _class_probabilities(logits, target):
    """The target of `cross_entropy`, checked, as probabilities of shape (..., C)."""
    owner, shape = "cross_entropy", logits.shape
    target = array(owner, "target", target)
    if logits.ndim == 0 or shape[-1] < 2:
        raise ValueError(
            f"{owner}: logits must have shape (..., C) with C ≥ 2 classes, not {shape}; "
            "for yes or no with one logit use bce_with_logits"
        )
    if target.shape == shape[:-1]:
        return _one_hot(owner, target, logits)
    if target.shape != shape:
        message = (
            f"{owner}: for logits of shape {shape} target must have shape {shape[:-1]} (labels) or "
            f"{shape} (probabilities), not {target.shape}"
        )
        if target.size == logits.size // shape[-1]:
            message += f"; if these are the labels in order: target.reshape({shape[:-1]})"
        raise ValueError(message)
    target = _target(owner, target, logits.dtype)
    _between_0_and_1(owner, "target", target)
    sums = target.sum(axis=-1, dtype=np.float64)
    wrong = np.abs(sums - 1) > 1e-6
    if wrong.any():
        raise ValueError(
            f"{owner}: each row of target must sum to 1, but one sums to {sums[wrong][0]:.6g}; "
            "divide by target.sum(axis=-1, keepdims=True)"
        )
    return target


def _one_hot(owner, labels, logits):
    classes = logits.shape[-1]
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"{owner}: labels must be integers, not {labels.dtype}; if they are whole numbers: "
            "target.astype(int)"
        )
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        raise ValueError(
            f"{owner}: target has the label {labels[outside][0]}, but logits for {classes} classes "
            f"allow 0 … {classes - 1}; labels that start at 1 need a − 1"
        )
    return (np.arange(classes) == labels[..., None]).astype(logits.dtype)
