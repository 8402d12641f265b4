"""Slopes from values alone: nudge the input a little and see how far the result moves.

Lesson 01 uses these functions to ask "if I nudge this number, how does the result change?";
lesson 02 is about them; later lessons check their own gradients with `check_gradient`.

Four schemes estimate f'(x) from values of f near x:

=========  ==============================  ===================  ========================
scheme     formula                         error, h -> 0        evaluations for n (*)
=========  ==============================  ===================  ========================
forward    (f(x + h) - f(x)) / h           O(h)                 n + 1
backward   (f(x) - f(x - h)) / h           O(h)                 n + 1
central    (f(x + h) - f(x - h)) / (2 h)   O(h^2)               2 n
complex    Im f(x + i h) / h               O(h^2), no rounding  n
=========  ==============================  ===================  ========================

(*) One more checks f; for "complex" five to nine more do.

Two promises hold everywhere: f gets copies, never the caller's own array, and a function that
cannot be differentiated this way is an error that says so, not a wrong number: it changes its
argument, forgets `return`, adds up the wrong axis, mixes elements or rows, is random, answers in
fewer digits than its argument has, or is another function for complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from course_utils._given import array, generator, one_of, whole

__all__ = [
    "SCHEMES",
    "GradientCheck",
    "check_gradient",
    "default_step",
    "derivative",
    "directional_derivative",
    "gradient",
    "hessian",
]

SCHEMES = ("forward", "backward", "central", "complex")

# Perturbed copies of x are evaluated in blocks of this size. About 1 MiB fits into the cache of
# most processors: the block is still there when f reads it, and memory stays bounded.
_BLOCK_BYTES = 2**20

Function = Callable[[Any], Any]


def default_step(scheme: str, dtype: DTypeLike = np.float64) -> float:
    """The step h that balances truncation against rounding for numbers near 1.

    A difference scheme of order p has a truncation error of about h^p, and rounding in f of
    about eps / h, where eps is the machine epsilon of `dtype`. The sum is smallest near
    h = eps^(1 / (p + 1)): eps^(1/2) for "forward" and "backward", eps^(1/3) for "central".
    The second differences of `hessian` divide by h^2, so that rounding is eps / h^2 and the best
    step eps^(1/4): scheme "second". (Press et al., Numerical Recipes, 3rd ed. 2007, section 5.7,
    equations 5.7.5 to 5.7.8.)

    The "complex" scheme subtracts nothing, so nothing cancels, and h may be so small that h^2
    vanishes beside 1: 1e-20 (Squire and Trapp, SIAM Review 40, 1998, equation 2).

    The functions of this module multiply this by ``max(1, |x|)``, because neighbouring
    floating-point numbers lie further apart where ``|x|`` is large, and use the step that is really
    taken, (x + h) - x, instead of h, because x + h is rounded.

    Parameters
    ----------
    scheme
        "forward", "backward", "central", "complex" or "second".
    dtype
        a real floating-point type of at least 32 bits.

    Raises
    ------
    ValueError
        the scheme is unknown.
    TypeError
        the dtype is not real floating point, or is float16.
    """
    eps = float(np.finfo(_real_dtype(dtype, "default_step")).eps)
    steps = {
        "forward": eps ** (1 / 2),
        "backward": eps ** (1 / 2),
        "central": eps ** (1 / 3),
        "complex": 1e-20,
        "second": eps ** (1 / 4),
    }
    return steps[one_of("default_step", "scheme", scheme, steps)]


def derivative(
    f: Function, x: ArrayLike, *, h: ArrayLike | None = None, scheme: str = "central"
) -> np.ndarray:
    """The derivative f'(x) of an elementwise function, at every element of x at once.

    Parameters
    ----------
    f
        takes an array of any shape and returns one of the same shape, element by element.
    x
        real floating-point numbers of any shape.
    h
        the step, in the units of x: a positive number or an array that broadcasts to x's shape.
        `default_step(scheme, x.dtype) * max(1, |x|)` if not given. What is divided by is the step
        as rounded by x + h.
    scheme
        "forward", "backward", "central" or "complex". The last needs an f that computes with
        complex numbers; np.abs and anything else that drops an imaginary part does not.

    Returns
    -------
    Array of x's shape (a scalar for a scalar x), computed in x's precision.

    Raises
    ------
    TypeError
        f is not callable, x is not real floating point (integers: x + h would be rounded away), or
        f returns None, text, or complex numbers for a real scheme.
    ValueError
        x is empty or has NaN or infinity, h is not positive or too small to change x, the scheme is
        unknown, f returns another shape, f changes its argument, or f returns real numbers for the
        complex scheme.
    """
    who = "derivative(f, x)"
    one_of(who, "scheme", scheme, SCHEMES)
    given, x = x, _checked_point(f, x, who)
    h = _checked_step(h, x, scheme, who)
    hint = (
        "; derivative needs an elementwise f. For a function with one value for all of x, "
        "such as a loss, use gradient(f, x)"
    )

    def value(point: np.ndarray) -> np.ndarray:
        before = point.copy()
        result = _call(f, point, x.shape, who, hint)
        _refuse_mutation(np.array_equal(point, before), who)
        return result

    if scheme == "complex":
        result = value(x + 1j * h)
        tiny = _checked_step(None, x, scheme, who)
        there = value(x + 1j * tiny)
        _refuse_another(
            lambda t: value(x + t * np.ones_like(x)), there.real, there.imag / tiny, x, who
        )
        return (result.imag / h)[()]
    upper, lower = _nodes(x, h, scheme, who)
    above, below = value(upper), value(lower)
    every_other = np.arange(x.size).reshape(x.shape) % 2 == 0
    mixed = value(np.where(every_other, upper, lower))
    if not _same(mixed, np.where(every_other, above, below), x.dtype):
        _refuse_chance(value(upper), above, x, who)
        raise ValueError(
            f"{who}: f mixes elements: what it returns for one changes when another is nudged{hint}"
        )
    _refuse_few_digits(np.stack([upper, lower]), np.stack([above, below]), who)
    _refuse_outside(f, given, above - below, who)
    _refuse_jump(value, x, upper, lower, above, below, who)
    return ((above - below) / (upper - lower))[()]


def gradient(
    f: Function,
    x: ArrayLike,
    *,
    h: ArrayLike | None = None,
    scheme: str = "central",
    batched: bool = False,
    max_bytes: int = _BLOCK_BYTES,
) -> np.ndarray:
    """All partial derivatives of a function with one value: the gradient of f at x.

    With ``batched=False``, f takes an array of x's shape and returns one number; it is called
    once for every perturbed copy of x (see the table at the top of this module).

    With ``batched=True``, f maps shape (..., n) to shape (...), as `lambda x: np.sum(x**2,
    axis=-1)` does. Then x may be one point (n,) or a whole field of points (..., n), and many
    perturbed copies go through f in one call, stacked in front: (m, ..., n) -> (m, ...). The
    copies are cut into blocks of at most `max_bytes`, so that a thousand coordinates or a
    million cost no more memory than a few. Blocks that fit into the processor's cache are by
    far the fastest. It pays for many points of few coordinates, and up to about a thousand
    coordinates; beyond that the evaluations themselves take the time (see benchmarks).

    Parameters
    ----------
    f
        the function, see above. It gets copies: it must use its argument, not a variable outside.
    x
        real floating-point numbers; any shape, or (..., n) if batched.
    h, scheme
        as for `derivative`.
    max_bytes
        upper limit of a block of copies; a block has at least one copy.

    Returns
    -------
    Array of x's shape.

    Raises
    ------
    TypeError, ValueError
        as for `derivative`, except that f must return one number, or one number for each point if
        batched.
    """
    who = "gradient(f, x)"
    one_of(who, "scheme", scheme, SCHEMES)
    given, x = x, _checked_point(f, x, who)
    h = _checked_step(h, x, scheme, who)
    points = _points(x, batched, who)
    size = points.shape[-1]
    centre = np.moveaxis(points, -1, 0)  # (n, ...): one row for each coordinate
    step = np.moveaxis(h.reshape(points.shape), -1, 0)

    coordinates = np.arange(size)
    if scheme == "complex":
        values = _values(
            f, x, coordinates[:, None], (centre + 1j * step)[:, None], batched, max_bytes, who
        )
        partials = values.imag / step
        _refuse_another_along(f, x, batched, max_bytes, who)
    else:
        upper, lower = _nodes(centre, step, scheme, who)
        # f(x) itself is needed once only: "coordinate 0 is replaced by its own value".
        here = {"forward": (upper, centre[:1]), "backward": (centre[:1], lower)}
        plus, minus = here.get(scheme, (upper, lower))
        columns = np.concatenate([coordinates[: len(plus)], coordinates[: len(minus)]])
        values = _values(
            f, x, columns[:, None], np.concatenate([plus, minus])[:, None], batched, max_bytes, who
        )
        partials = (values[: len(plus)] - values[len(plus) :]) / (upper - lower)
        _refuse_few_digits(np.concatenate([plus, minus]), values, who)
        _refuse_outside(f, given, values - values[:1], who)
    return np.moveaxis(partials, 0, -1).reshape(x.shape)[()]


def hessian(
    f: Function, x: ArrayLike, *, h: ArrayLike | None = None, batched: bool = False
) -> np.ndarray:
    """All second partial derivatives of f at x, from central differences of central differences.

    H[i, j] = (f(+h_i +h_j) - f(+h_i -h_j) - f(-h_i +h_j) + f(-h_i -h_j)) / (4 h_i h_j)
    (Abramowitz and Stegun 1964, equation 25.3.26), which for i = j is the second difference with
    the step 2 h. That takes 2 n (n + 1) evaluations, and leaves about half of the digits.

    Parameters
    ----------
    f, x, batched
        as for `gradient`.
    h
        as for `derivative`, with `default_step("second", x.dtype) * max(1, |x|)` if not given.

    Returns
    -------
    Symmetric array of shape `x.shape + x.shape`; (..., n, n) for x of shape (..., n) if batched.

    Raises
    ------
    TypeError, ValueError
        as for `gradient`.
    """
    who = "hessian(f, x)"
    given, x = x, _checked_point(f, x, who)
    h = _checked_step(h, x, "second", who)
    points = _points(x, batched, who)
    size = points.shape[-1]
    centre = np.moveaxis(points, -1, 0)
    step = np.moveaxis(h.reshape(points.shape), -1, 0)
    upper, _ = _nodes(centre, step, "central", who)
    step = upper - centre

    i, j = np.triu_indices(size)
    both = (i == j).reshape(-1, *[1] * (centre.ndim - 1))  # on the diagonal the steps add up
    shifted = np.concatenate(
        [
            np.stack(
                [centre[i] + (s + t * both) * step[i], centre[j] + (t + s * both) * step[j]], axis=1
            )
            for s, t in [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        ]
    )
    columns = np.tile(np.stack([i, j], axis=1), (4, 1))
    values = _values(f, x, columns, shifted, batched, _BLOCK_BYTES, who)
    _refuse_few_digits(shifted, values, who)
    _refuse_outside(f, given, values - values[:1], who)
    pp, pm, mp, mm = values.reshape(4, len(i), *values.shape[1:])
    second = np.moveaxis((pp - pm - mp + mm) / (4 * step[i] * step[j]), 0, -1)

    result = np.empty((*points.shape, size), second.dtype)
    result[..., i, j] = result[..., j, i] = second
    return result if batched else result.reshape(x.shape + x.shape)[()]


def directional_derivative(
    f: Function,
    x: ArrayLike,
    direction: ArrayLike,
    *,
    h: float | None = None,
    scheme: str = "central",
) -> float:
    """How fast f changes when x moves along `direction`: the slope of t -> f(x + t direction).

    It equals the dot product of the gradient with `direction`, for two evaluations instead of
    two for each coordinate. The direction is used as given; make it a unit vector to get the
    slope per unit of length.

    Parameters
    ----------
    f
        takes an array of x's shape and returns one number.
    x
        real floating-point numbers of any shape.
    direction
        finite real numbers of x's shape, not all zero.
    h
        the step in t, a positive number; by default the largest component of h * direction is
        `default_step(scheme, x.dtype) * max(1, |x|)`.
    scheme
        as for `derivative`.

    Raises
    ------
    TypeError, ValueError
        as for `gradient`, and if the direction is zero or has another shape.
    """
    who = "directional_derivative(f, x, direction)"
    one_of(who, "scheme", scheme, SCHEMES)
    given, x = x, _checked_point(f, x, who)
    along, scale = _along(direction, x, who)
    if h is None:
        h = default_step(scheme, x.dtype) * scale
    step = _checked_step(h, np.zeros((), x.dtype), scheme, who)
    if scheme != "complex" and np.array_equal(x + step * along, x):
        raise _step_too_small(step, x, who)

    def along_the_line(t: np.ndarray) -> np.ndarray:
        point = x + t * along
        before = point.copy()
        result = _call(f, point[()], (), who, _ONE_NUMBER)
        _refuse_mutation(np.array_equal(point, before), who)
        return result

    if scheme == "complex":
        result = along_the_line(1j * step)
        unit = 1 / np.max(np.abs(along))
        tiny = default_step(scheme, x.dtype) * unit
        there = along_the_line(1j * tiny)
        _refuse_another(
            lambda t: along_the_line(t * unit), there.real, there.imag / tiny * unit, x, who
        )
        return (result.imag / step)[()]
    upper, lower = _nodes(np.zeros((), x.dtype), step, scheme, who)
    above, below = along_the_line(upper), along_the_line(lower)
    _refuse_chance(along_the_line(upper), above, x, who)
    nudged = np.stack([x + upper * along, x + lower * along])
    _refuse_few_digits(nudged, np.stack([above, below]), who)
    _refuse_outside(f, given, above - below, who)
    return ((above - below) / (upper - lower))[()]


def _along(direction: ArrayLike, x: np.ndarray, who: str) -> tuple[np.ndarray, float]:
    """The direction, checked, and how many of it are as long as max(1, |x|)."""
    along = np.asarray(direction)
    if along.shape != x.shape:
        raise ValueError(
            f"{who}: direction has shape {along.shape}, but x has {x.shape}; "
            "a direction needs one component for each element of x"
        )
    if along.dtype.kind not in "iuf" or not np.all(np.isfinite(along)) or not np.any(along):
        raise ValueError(
            f"{who}: direction must have finite real numbers, not all zero, got {_brief(direction)}"
        )
    along = along.astype(x.dtype)
    with np.errstate(over="ignore", divide="ignore"):
        scale = max(1, np.max(np.abs(x))) / np.max(np.abs(along), initial=0.0)
    if not np.isfinite(scale):
        raise ValueError(
            f"{who}: direction is so short ({_brief(direction)}) that no step along it can be "
            "told from none; make it a unit vector"
        )
    return along, scale


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found.

    Attributes
    ----------
    relative_error
        the largest relative error.
    ok
        whether it is at most `threshold`.
    worst_index
        where it is: an index into `numerical` and `analytic`.
    numerical, analytic
        what was compared: the partial derivatives, in x's shape, or the slopes along random
        directions, of shape (directions,).
    """

    relative_error: float
    ok: bool
    worst_index: tuple[int, ...]
    numerical: np.ndarray
    analytic: np.ndarray
    threshold: float

    def __str__(self) -> str:
        error = f"largest relative error {self.relative_error:.0e}, threshold {self.threshold:.0e}"
        if self.ok:
            return f"✓ the gradient agrees with differences ({error})"
        where = ", ".join(str(i) for i in self.worst_index)
        return (
            f"✗ the gradient differs from differences ({error}): at [{where}] it says "
            f"{self.analytic[self.worst_index]:.3g}, differences say "
            f"{self.numerical[self.worst_index]:.3g}"
        )


def check_gradient(
    f: Function,
    grad: Callable[[np.ndarray], ArrayLike] | ArrayLike,
    x: ArrayLike,
    *,
    directions: int | None = None,
    rng: np.random.Generator | None = None,
    threshold: float = 1e-6,
) -> GradientCheck:
    """Compare a gradient somebody derived with central differences.

    The relative error is ``|a - n| / max(|a|, |n|, floor)`` for the analytic value a and the
    numerical value n (the measure of Stanford's CS231n, Karpathy 2016, "Gradient checks"). The
    floor decides what counts as zero: a central difference cannot see changes below its own
    rounding, ``2 eps |f| / h``, so that a difference of that size never fails the check.

    A right gradient of a smooth function passes 1e-6 easily. At a kink (ReLU) differences and
    gradient honestly disagree: pass ``threshold=1e-4`` or move x.

    Parameters
    ----------
    f
        takes an array of x's shape and returns one number, computed in float64.
    grad
        function x -> gradient, or the gradient itself; x's shape.
    x
        float64 numbers of any shape.
    directions
        None compares every partial derivative: 2 x.size + 2 evaluations. A number k compares the
        slopes along k random directions of length 1 instead: 3 k + 1 evaluations, however large x
        is.
    rng
        where the random directions come from; `np.random.default_rng(0)` if not given.
    threshold
        largest relative error that passes.

    Raises
    ------
    TypeError
        x, or a value of f, is float32: a difference of two float32 values keeps three or four
        digits, too few to tell a wrong gradient from rounding.
    ValueError
        grad has another shape than x, or is not finite; directions is not positive.
    TypeError, ValueError
        as for `gradient`; rng is no generator, directions no whole number.
    """
    who = "check_gradient(f, grad, x)"
    given, x = x, _checked_point(f, x, who)
    if x.dtype == np.float32:
        raise TypeError(f"{who}: x is float32: {_TOO_FEW_DIGITS}")
    analytic = _derived(grad, x, who)
    here = _call(f, x.copy()[()], (), who, _ONE_NUMBER)
    if here.dtype == np.float32:
        raise TypeError(f"{who}: f returns float32: {_TOO_FEW_DIGITS}")

    if directions is None:
        numerical = np.asarray(gradient(f, x))
        step = _checked_step(None, x, "central", who)
    else:
        vectors = _random_directions(directions, x, rng, who)
        numerical = np.array([directional_derivative(f, x, v) for v in vectors])
        analytic = np.sum(vectors * analytic, axis=tuple(range(1, vectors.ndim)))
        step = default_step("central", x.dtype) * max(1.0, float(np.max(np.abs(x))))

    _refuse_outside(f, given, numerical, who)
    noise = 2 * np.finfo(x.dtype).eps * np.abs(here) / step
    scale = np.maximum(np.maximum(np.abs(analytic), np.abs(numerical)), noise / threshold)
    difference = np.abs(analytic - numerical)
    # 0 / 0: both are zero and f is too. They agree.
    error = np.divide(difference, scale, out=np.zeros_like(difference), where=difference != 0)
    worst = np.unravel_index(np.argmax(error), error.shape)
    relative_error = float(error[worst])
    return GradientCheck(
        relative_error=relative_error,
        ok=relative_error <= threshold,  # NaN: not ok
        worst_index=tuple(int(i) for i in worst),
        numerical=numerical,
        analytic=analytic,
        threshold=threshold,
    )


_TOO_FEW_DIGITS = (
    "a difference of two float32 values keeps three or four digits only; check in "
    "float64, e.g. x.astype(np.float64), or model.double() in PyTorch"
)


def _derived(grad, x: np.ndarray, who: str) -> np.ndarray:
    """The gradient to be checked, in x's shape and dtype."""
    analytic = np.asarray(grad(x.copy()) if callable(grad) else grad)
    if analytic.dtype.kind not in "iuf" or analytic.shape != x.shape:
        raise ValueError(
            f"{who}: grad is {analytic.dtype} of shape {analytic.shape}, expected "
            f"real numbers of x's shape {x.shape}"
        )
    if not np.all(np.isfinite(analytic)):
        raise ValueError(f"{who}: grad has NaN or infinity: {_brief(analytic)}")
    return analytic.astype(x.dtype)


def _random_directions(directions, x: np.ndarray, rng, who: str) -> np.ndarray:
    """Random directions of length 1: (directions, *x.shape)."""
    directions = whole(who, "directions", directions)
    rng = np.random.default_rng(0) if rng is None else generator(who, "rng", rng)
    vectors = rng.standard_normal((directions, *x.shape))
    return vectors / np.sqrt(np.sum(vectors**2, axis=tuple(range(1, vectors.ndim)), keepdims=True))


# --- evaluating f ---------------------------------------------------------------------------

_ONE_NUMBER = (
    "; f must return one number. For a function that acts element by element use derivative(f, x)"
)


def _values(
    f: Function,
    x: np.ndarray,
    columns: np.ndarray,
    shifted: np.ndarray,
    batched: bool,
    max_bytes: int,
    who: str,
) -> np.ndarray:
    """f at copies of x in which a few coordinates are replaced: shape (rows, ...).

    Row r has ``shifted[r, k]`` in the place of coordinate ``columns[r, k]``; columns has shape
    (rows, k) and shifted (rows, k, ...).
    """
    results = []
    for rows in _blocks(x, shifted, batched, max_bytes, who):
        new = shifted[rows]
        old = x if batched else x.reshape(-1)
        copies = np.repeat(old[None].astype(new.dtype, copy=False), len(new), axis=0)
        places = (np.arange(len(new))[:, None], ..., columns[rows])
        copies[places] = new
        replaced = np.count_nonzero(copies != old)
        if batched:
            hint = (
                "; with batched=True f maps (..., n) to (...): did you forget axis=-1, or "
                "write x[0] for x[..., 0]?"
            )
            result = _call(f, copies, copies.shape[:-1], who, hint)
        else:
            result = np.array(
                [_call(f, c.reshape(x.shape)[()], (), who, _ONE_NUMBER) for c in copies]
            )
        unchanged = np.array_equal(copies[places], new)
        _refuse_mutation(unchanged and np.count_nonzero(copies != old) == replaced, who)
        if not results and not np.iscomplexobj(result):  # one of them by itself, once
            middle = len(copies) // 2
            one = copies[middle].reshape(-1, x.shape[-1])[:1].copy() if batched else None
            alone = copies[middle].reshape(x.shape)[()] if one is None else one
            shape = () if one is None else (1,)
            there = result[middle].reshape(-1)[:1].reshape(shape)
            again = _call(f, alone.copy(), shape, who, "")
            if not _same(again, there, x.dtype):
                _refuse_chance(_call(f, alone.copy(), shape, who, ""), again, x, who)
                if batched:
                    raise ValueError(
                        f"{who}: with batched=True f mixes the points of a batch: what it returns "
                        "for one of them depends on the others; sum and average over axis=-1 alone"
                    )
                _refuse_chance(again, there, x, who)
        results.append(result)
    return np.concatenate(results)


def _blocks(
    x: np.ndarray, shifted: np.ndarray, batched: bool, max_bytes: int, who: str
) -> Iterator[slice]:
    """Cut the rows of `shifted` so that as many copies of x take at most max_bytes."""
    copies = whole(who, "max_bytes", max_bytes) // (x.size * shifted.itemsize)
    rows = max(1, min(len(shifted), copies))
    # A block of n copies of n numbers is square, and then a function that adds up the wrong axis
    # returns the right shape. Any other number of copies gives it away.
    if batched and rows == x.shape[-1] > 1:
        rows -= 1
    return (slice(start, start + rows) for start in range(0, len(shifted), rows))


def _call(
    f: Function, point: np.ndarray, shape: tuple[int, ...], who: str, hint: str
) -> np.ndarray:
    """f(point) as an array of its own, checked: the type goes with the point's, the shape fits."""
    complex_step = np.iscomplexobj(point)
    try:
        result = f(point)
    except Exception as error:
        error.add_note(
            f"{who}: this happened inside f, called with {point.dtype} numbers of "
            f"shape {np.shape(point)}{hint}"
        )
        if complex_step:
            error.add_note('If f cannot compute with complex numbers, use scheme="central"')
        raise
    if result is None:
        raise TypeError(f"{who}: f returned None; is its return statement missing?")
    try:
        values = np.array(result)  # a copy: f may return a view of its argument
    except ValueError:
        raise ValueError(f"{who}: f returned a ragged list, which is no array{hint}") from None
    if values.dtype.kind not in "biufc":
        raise TypeError(
            f"{who}: f returned {type(result).__name__} of type {values.dtype}, expected numbers"
        )
    if values.shape != shape:
        raise ValueError(
            f"{who}: f returned shape {values.shape} for an argument of shape "
            f"{np.shape(point)}, expected shape {shape}{hint}"
        )
    if complex_step and values.dtype.kind != "c":
        raise ValueError(
            f'{who}: with scheme="complex" f gets x + ih, but it returned real '
            f"numbers ({values.dtype}): the imaginary part, which carries the "
            "derivative, was dropped. np.abs, .real and float() do that; rewrite "
            'them or use scheme="central"'
        )
    if values.dtype.kind in "fc" and np.finfo(values.dtype).eps > np.finfo(point.dtype).eps:
        raise TypeError(
            f"{who}: f answers in {values.dtype} to {point.dtype} numbers, so that a difference "
            "keeps few digits or none; compute in the argument's precision (model.double() in "
            "PyTorch), or pass x in f's"
        )
    if not complex_step and values.dtype.kind == "c":
        raise TypeError(
            f"{who}: f returned complex numbers for real x; differences need a real "
            "function. Is there a root or power of a negative number?"
        )
    return values.astype(np.float64) if values.dtype.kind in "biu" else values


def _refuse_mutation(unchanged: bool, who: str) -> None:
    if not unchanged:
        raise ValueError(
            f"{who}: f changed its argument, so it computes something else each "
            "time it is called with the same array; write x = x + 1, not x += 1, "
            "and copy before x[i] = ..."
        )


def _same(a: np.ndarray, b: np.ndarray, dtype: np.dtype) -> bool:
    """Equal but for rounding, which no difference of default step would see."""
    a, b = np.asarray(a), np.asarray(b)
    finite = np.isfinite(b)
    size = max(1.0, float(np.max(np.abs(b), initial=0.0, where=finite)))
    room = np.finfo(dtype).eps ** 0.75 * size
    with np.errstate(invalid="ignore"):
        return bool(np.all((a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= room)))


def _refuse_chance(again: np.ndarray, before: np.ndarray, x: np.ndarray, who: str) -> None:
    """Refuse an f that gives two values at one point."""
    if _same(again, before, x.dtype):
        return
    first, second = (np.asarray(value).reshape(-1) for value in (before, again))
    worst = int(np.argmax(np.abs(np.nan_to_num(first - second))))
    raise ValueError(
        f"{who}: f gave {first[worst]:.6g} and then {second[worst]:.6g} at one point: it is no "
        "function of its argument alone. Is it random (dropout, fresh noise), or does it count its "
        "calls? Draw noise once, before, and call model.eval()"
    )


def _bits(values: np.ndarray) -> np.ndarray:
    """How many binary digits each float64 has, from the first 1 to the last; 0 for 0."""
    mantissas = np.abs(np.frexp(values)[0] * 2.0**53).astype(np.int64)
    lowest = np.frexp((mantissas & -mantissas).astype(float))[1] - 1
    return np.where(mantissas == 0, 0, 53 - lowest)


def _refuse_few_digits(points: np.ndarray, values: np.ndarray, who: str) -> None:
    """Refuse an f that computes in float32 inside: its float64 values end in zeros.

    No other smooth function of points with many digits has values of 17 to 24 binary digits alone;
    constants, counts and steps have fewer, or all.
    """
    if points.dtype != np.float64 or np.max(_bits(points)) <= 32:
        return
    values = values[np.isfinite(values)].astype(np.float64)
    bits = _bits(values[values != np.round(values)])
    if bits.size and 16 < np.max(bits) <= 24:
        raise TypeError(
            f"{who}: f's values have float32's digits only, as what `.item()` makes of a float32 "
            "tensor, and a difference of two keeps three or four digits of them: compute in "
            "float64 (model.double() in PyTorch)"
        )


def _refuse_jump(value, x, upper, lower, above, below, who: str) -> None:
    """Refuse a point at which f jumps or has a hole: a difference across it says nothing."""
    with np.errstate(all="ignore"):
        across = np.abs(above - below)
        large = across > 0.5 * np.maximum(np.abs(above), np.abs(below))
        if not np.any(large):
            return
        here = value(x)
        holes = large & ~np.isfinite(here)
        if np.any(holes):
            raise ValueError(
                f"{who}: f has a hole at x = {x[holes].flat[0]:.6g}: there it is "
                f"{here[holes].flat[0]}; a slope needs a point inside f's domain"
            )
        near = np.abs(value(x + (upper - x) / 16) - value(x + (lower - x) / 16))
    jumps = large & (near > 0.5 * across)
    if np.any(jumps):
        raise ValueError(
            f"{who}: f jumps at x = {x[jumps].flat[0]:.6g}, by {across[jumps].flat[0]:.3g} however "
            "small the step: it has no slope there (where it is only steep, give a smaller h)"
        )


def _refuse_outside(f: Function, given: Any, differences: np.ndarray, who: str) -> None:
    """Refuse an f that ignores its argument for the variable outside that x was given by."""
    if not isinstance(given, np.ndarray | list) or np.any(differences):
        return
    code = getattr(f, "__code__", None)
    if code is None:
        return
    space = getattr(f, "__globals__", {})
    used = {name: space[name] for name in code.co_names if name in space}
    cells = getattr(f, "__closure__", None) or ()
    for name, cell in zip(code.co_freevars, cells):
        try:
            used[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name, value in used.items():
        if value is given:
            raise ValueError(
                f"{who}: f does not use its argument but {name} from outside, which nobody nudges, "
                "so that its value never changes; use the argument in its place"
            )


def _refuse_another(
    line: Callable[[Any], np.ndarray], real: np.ndarray, slope: np.ndarray, x: np.ndarray, who: str
) -> None:
    """Refuse an f that is another function for complex numbers than for real ones.

    ``line(t)`` is f at a distance of t from x (in the coordinate that moves most); `real` and
    `slope` are what the complex step found there. Outside f's domain (a root of −1) the real part
    is another. Where f takes a conjugate, the slope is: it has to agree, roughly, with one of
    several plain differences (at a kink with that to one side).
    """
    with np.errstate(all="ignore"):
        whole = line(0j)  # a real point, as a complex number
        here = whole.real
        _refuse_chance(line(0j).real, here, x, who)
        if not _same(real, here, np.dtype(np.float32)) or np.any(whole.imag):
            raise ValueError(
                f'{who}: with scheme="complex" f is {_brief(whole)} at x itself, where a real '
                "function has no value: x lies outside the domain of the real function"
            )
        eps = float(np.finfo(x.dtype).eps)
        unit = np.maximum(1, np.abs(x)).max()
        agrees = ~np.isfinite(here)
        for h in np.array([eps ** (1 / 3), eps**0.5, eps ** (2 / 3)]) * unit:
            above, below = line(h + 0j).real, line(-h + 0j).real
            room = 0.02 * np.abs(slope) + 50 * eps * np.maximum(np.abs(here), eps) / h
            for difference in ((above - below) / (2 * h), (above - here) / h, (here - below) / h):
                agrees = agrees | (np.abs(difference - slope) <= room)
            if np.all(agrees):
                return
    raise ValueError(
        f'{who}: with scheme="complex" the slope comes out as {_brief(slope)}, but differences do '
        "not say so: f is another function for complex numbers. np.conj, np.abs, np.vdot and .real "
        'do that; rewrite them (x * x for abs(x)**2), or use scheme="central"'
    )


def _refuse_another_along(
    f: Function, x: np.ndarray, batched: bool, max_bytes: int, who: str
) -> None:
    """`_refuse_another` along one direction, which every coordinate has a part in."""
    rng = np.random.default_rng(0)
    along = rng.uniform(0.5, 1, x.shape[-1:] if batched else x.shape)
    along = np.broadcast_to(along, x.shape).astype(x.dtype)

    def line(t: Any) -> np.ndarray:
        return _call(f, (x + t * along)[()], x.shape[:-1] if batched else (), who, "")

    tiny = default_step("complex", x.dtype) * np.maximum(1, np.abs(x)).max()
    there = line(1j * tiny)
    _refuse_another(line, there.real, there.imag / tiny, x, who)


def _nodes(x: np.ndarray, h: np.ndarray, scheme: str, who: str) -> tuple[np.ndarray, np.ndarray]:
    """The upper and the lower point of a difference. Their distance is the step really taken."""
    upper = x if scheme == "backward" else x + h
    lower = x if scheme == "forward" else x - h
    stuck = (upper == x) & (scheme != "backward") | (lower == x) & (scheme != "forward")
    if np.any(stuck):
        raise _step_too_small(h[stuck][0], x[stuck], who)
    return upper, lower


# --- checking what was given ----------------------------------------------------------------


def _checked_point(f: Function, x: ArrayLike, who: str) -> np.ndarray:
    """x as an array of its own."""
    if not callable(f):
        raise TypeError(
            f"{who}: f is {type(f).__name__}, which cannot be called; pass the "
            "function itself, f, and not its value, f(x)"
        )
    x = np.array(array(who, "x", x))
    _real_dtype(x.dtype, who)
    if x.size == 0:
        raise ValueError(f"{who}: x is empty (shape {x.shape}); there is nothing to differentiate")
    if not np.all(np.isfinite(x)):
        raise ValueError(f"{who}: x has NaN or infinity: {_brief(x)}; a slope needs a finite point")
    return x


def _real_dtype(dtype: DTypeLike, who: str) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype.kind in "biu":
        raise TypeError(
            f"{who}: x has integers ({dtype}), so x + h is rounded away; "
            "pass x.astype(float), or 3.0 for 3"
        )
    if dtype.kind == "c":
        raise TypeError(
            f"{who}: x is complex ({dtype}); derivatives are taken at real points. "
            'For the complex step pass a real x and scheme="complex"'
        )
    if dtype.kind != "f":
        raise TypeError(f"{who}: x is an array of {dtype}, expected real floating-point numbers")
    if dtype.itemsize < 4:
        raise TypeError(
            f"{who}: x is {dtype}, which has three significant digits: a difference "
            "leaves none; pass x.astype(np.float32) or better np.float64"
        )
    return dtype


def _checked_step(h: ArrayLike | None, x: np.ndarray, scheme: str, who: str) -> np.ndarray:
    """A positive step for each element of x, in x's precision."""
    if h is None:
        step = default_step(scheme, x.dtype) * np.maximum(1, np.abs(x))
        return np.asarray(step, x.dtype)
    given = np.asarray(h)
    if given.dtype.kind not in "iuf" or not np.all(np.isfinite(given)) or np.any(given <= 0):
        raise ValueError(
            f"{who}: h is {_brief(h)}, expected a positive number; "
            'for a step to the left use scheme="backward"'
        )
    try:
        step = np.broadcast_to(given, x.shape).astype(x.dtype)
    except ValueError:
        raise ValueError(
            f"{who}: h has shape {given.shape}, which does not broadcast to x's shape {x.shape}"
        ) from None
    if np.any(step == 0):
        raise _step_too_small(given.reshape(-1)[0], x, who)
    return step


def _step_too_small(h: ArrayLike, x: np.ndarray, who: str) -> ValueError:
    near = np.max(np.abs(x))
    return ValueError(
        f"{who}: h = {float(h):.3g} is too small: x + h == x in {x.dtype} for "
        f"|x| = {near:.3g}, where numbers are {np.spacing(near):.1g} apart; "
        "leave h out to get a good step"
    )


def _points(x: np.ndarray, batched: bool, who: str) -> np.ndarray:
    """x as points (..., n)."""
    if not batched:
        return x.reshape(-1)
    if x.ndim == 0:
        raise ValueError(
            f"{who}: with batched=True x has shape (..., n), got a single number; "
            "use derivative(f, x), or x of shape (1,)"
        )
    return x


def _brief(value: object) -> str:
    """A value on one line, for a message."""
    with np.printoptions(precision=3, threshold=6, edgeitems=2):
        text = " ".join(str(np.asarray(value)).split())
    return text if len(text) <= 60 else text[:57] + "..."
