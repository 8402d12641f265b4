"""Kinds of functions that cannot be differentiated from values alone, and kinds that seem so.

Rows are kinds of functions, columns the ways to differentiate; each meets each, and is refused with
the words of its kind, or gives the right number.
"""

import numpy as np
import pytest
import torch

from course_utils.differentiation import (
    check_gradient,
    derivative,
    directional_derivative,
    gradient,
    hessian,
)

X = np.array([1.3, 2.1, 0.4])
REAL = ("forward", "backward", "central")


def scheme_by_scheme(of):
    return {f"{of.__name__} {s}": lambda f, x=X, s=s: of(f, x, scheme=s) for s in REAL}


def along(f, x=X, scheme="central"):
    return directional_derivative(f, x, np.ones_like(x), scheme=scheme)


def rows(f, x=X, scheme="central"):
    return gradient(f, x, batched=True, scheme=scheme)


ONE_NUMBER = {
    **scheme_by_scheme(gradient),
    **scheme_by_scheme(along),
    "hessian": lambda f, x=X: hessian(f, x),
    "check": lambda f, x=X: check_gradient(f, np.zeros_like(x), x, directions=2),
}
EVERY_ROW = {**scheme_by_scheme(rows), "rows hessian": lambda f, x=X: hessian(f, x, batched=True)}
ELEMENTS = scheme_by_scheme(derivative)
COLUMNS = [(f"one {n}", c, np.sum) for n, c in ONE_NUMBER.items()]
COLUMNS += [(f"row {n}", c, lambda a: np.sum(a, axis=-1)) for n, c in EVERY_ROW.items()]
COLUMNS += [(f"each {n}", c, lambda a: a) for n, c in ELEMENTS.items()]
every_way = pytest.mark.parametrize(
    ("way", "reduced"), [pytest.param(c, r, id=n) for n, c, r in COLUMNS]
)


def random(reduced):
    rng = np.random.default_rng()
    return lambda x: reduced(x + rng.normal(scale=1e-6, size=np.shape(x)))


def counting(reduced):
    calls = []

    def f(x):
        calls.append(1)
        return reduced(x) + 1e-3 * len(calls)

    return f


def drifting(reduced):  # as the averages of batch normalisation do
    mean = np.zeros(())

    def f(x):
        nonlocal mean
        mean = 0.9 * mean + 0.1 * np.mean(x)
        return reduced(x - mean)

    return f


@every_way
@pytest.mark.parametrize("kind", [random, counting, drifting])
def test_what_is_no_function_of_its_argument_is_said(kind, way, reduced):
    with pytest.raises(ValueError, match=r"at one point: it is no function|mixes") as caught:
        way(kind(reduced))
    assert kind is not counting or "no function of its argument" in str(caught.value)


@every_way
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_an_answer_in_fewer_digits_is_said(dtype, way, reduced):
    with pytest.raises(TypeError, match=f"answers in {np.dtype(dtype)} to float64"):
        way(lambda x: reduced(np.sin(x)).astype(dtype))


@pytest.mark.parametrize("name", list(ONE_NUMBER))
def test_float32_inside_is_seen_in_the_numbers(name):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

    def f(x):
        return net(torch.tensor(x, dtype=torch.float32)).item()

    with pytest.raises(TypeError, match="float32's digits only"):
        ONE_NUMBER[name](f)


@every_way
def test_a_variable_outside_is_named(way, reduced):
    weights = X

    def f(argument):
        return reduced(np.sin(weights) + 0 * argument)

    with pytest.raises(ValueError, match="does not use its argument but weights"):
        way(f, weights)


@every_way
def test_a_constant_has_slope_zero(way, reduced):
    found = way(lambda x: reduced(0 * x + 0.1))
    assert np.all(getattr(found, "numerical", found) == 0)


@pytest.mark.parametrize("name", list(EVERY_ROW))
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.full(x.shape[:-1], x.sum()),
        lambda x: np.sum(x**2, axis=-1) - np.sum(x**2, axis=-1).mean(),
        lambda x: np.sum((x - x.mean(axis=tuple(range(x.ndim - 1)))) ** 2, axis=-1),
        lambda x: np.cumsum(np.sum(x, axis=-1)).reshape(x.shape[:-1]),
        lambda x: np.sum(x, axis=-1) - np.sum(x, axis=-1).max(),
    ],
)
def test_points_of_a_batch_that_are_mixed_are_seen(name, f):
    with pytest.raises(ValueError, match="mixes the points of a batch"):
        EVERY_ROW[name](f, np.random.default_rng(0).normal(size=(5, 3)))


@pytest.mark.parametrize("scheme", REAL)
@pytest.mark.parametrize(
    "f", [np.cumsum, np.sort, lambda x: x / x.sum(), lambda x: x[::-1], lambda x: x - x.mean()]
)
def test_elements_that_are_mixed_are_seen(scheme, f):
    with pytest.raises(ValueError, match="mixes elements"):
        derivative(f, np.array([2.0, 1.0]), scheme=scheme)


COMPLEX = {
    "gradient": lambda f, x: gradient(lambda z: np.sum(f(z)), x, scheme="complex"),
    "rows": lambda f, x: rows(lambda z: np.sum(f(z), axis=-1), x, scheme="complex"),
    "along": lambda f, x: along(lambda z: np.sum(f(z)), x, scheme="complex"),
    "derivative": lambda f, x: derivative(f, x, scheme="complex"),
}


@pytest.mark.parametrize("way", COMPLEX)
@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.log, [-1.0, 2.0]),
        (np.sqrt, [-1.0, 2.0]),
        (np.arccos, [2.0, 0.5]),
        (np.arcsin, [-3.0, 0.5]),
        (np.arctanh, [1.5, 0.5]),
        (lambda z: z**0.3, [-2.0, 1.0]),
        (lambda z: z * np.conj(z), [1.3, 2.1]),
        (lambda z: np.exp(np.conj(z)), [1.3, 2.1]),
        (lambda z: np.abs(z) + 0 * z, [1.3, 2.1]),
    ],
)
def test_another_function_for_complex_numbers_is_seen(way, f, x):
    with pytest.raises(ValueError, match="domain of the real function|for complex numbers"):
        COMPLEX[way](f, np.array(x))


@pytest.mark.parametrize(
    ("f", "slope", "x"),
    [
        (lambda x: np.sin(1e9 * x), lambda x: 1e9 * np.cos(1e9 * x), [0.3]),
        (lambda x: 1e-20 * np.exp(x), lambda x: 1e-20 * np.exp(x), [1.0, 2.0]),
        (lambda x: x**3, lambda x: 3 * x**2, [1e8, -3e7]),
        (lambda x: x**2, lambda x: 2 * x, [0.0]),
        (lambda x: np.where(x.real > 0, x, 0 * x), lambda x: 1.0 * (x > 0), [0.0, 1.0, -1.0]),
        (lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2)), [5.0, 0.1]),
    ],
)
def test_right_slopes_are_not_refused(f, slope, x):
    x = np.array(x)
    found = derivative(f, x, scheme="complex")
    np.testing.assert_allclose(found, slope(x), rtol=1e-12)


@pytest.mark.parametrize(
    ("f", "x", "word"),
    [
        (lambda x: 1 / x, 0.0, "hole"),
        (np.sign, 0.0, "jumps"),
        (lambda x: np.where(x > 1, x, x + 3), 1.0, "jumps"),
        (lambda x: np.log(np.abs(x)), 0.0, None),
        (np.tanh, 0.0, None),
        (lambda x: np.tanh(1e4 * x), 0.0, None),
        (np.abs, 0.0, None),
        (np.cbrt, 8.0, None),
    ],
)
def test_a_hole_or_a_jump_has_no_slope(f, x, word):
    with np.errstate(all="ignore"):
        if word is None:
            assert np.isfinite(derivative(f, x))
            return
        with pytest.raises(ValueError, match=word):
            derivative(f, x)


def test_rounding_is_no_chance():
    """Sums in another order give other last digits: no reason to refuse."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(500, 300)), rng.normal(size=500)
    found = gradient(
        lambda w: np.sum((w @ A.T - b) ** 2, axis=-1), rng.normal(size=300), batched=True
    )
    assert found.shape == (300,)
    truth = A @ np.ones(300)
    at_the_minimum = gradient(lambda w: np.sum((A @ w - truth) ** 2), np.ones(300))
    assert np.max(np.abs(at_the_minimum)) < 1e-6
