"""Laws of numerical differentiation, against closed forms, PyTorch's autograd and SciPy."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_utils.differentiation import (
    SCHEMES,
    GradientCheck,
    check_gradient,
    default_step,
    derivative,
    directional_derivative,
    gradient,
    hessian,
)

REAL_SCHEMES = ("forward", "backward", "central")

number = st.floats(-2, 2, allow_nan=False, allow_subnormal=False)
coefficients = hnp.arrays(np.float64, 4, elements=number)
points = hnp.arrays(np.float64, st.integers(1, 6), elements=number)


def smooth(c, lib=np):
    """A random smooth elementwise function: a polynomial, a sine and an exponential."""
    return lambda x: c[0] * x + c[1] * x**3 + c[2] * lib.sin(2 * x) + lib.exp(c[3] * x / 2)


def smooth_slope(c, x):
    return c[0] + 3 * c[1] * x**2 + 2 * c[2] * np.cos(2 * x) + c[3] / 2 * np.exp(c[3] * x / 2)


def many_terms(c):
    """A random smooth function (..., n) -> (...), in which the coordinates are entangled."""

    def f(x):
        s = x.sum(-1)
        lib = torch if isinstance(x, torch.Tensor) else np
        return (
            c[0] * s**2
            + c[1] * lib.sin(x).sum(-1) * s
            + lib.exp(c[2] * s / 8)
            + c[3] * (x[..., 0] * x[..., -1])
        )

    return f


def autograd(f, x):
    t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    f(t).backward()
    return t.grad.numpy()


# --- accuracy --------------------------------------------------------------------------------


@given(c=coefficients, x=points)
@pytest.mark.parametrize(
    ("scheme", "digits"),
    [("forward", 1e-6), ("backward", 1e-6), ("central", 1e-9), ("complex", 1e-14)],
)
def test_default_step_reaches_the_accuracy_of_its_scheme(scheme, digits, c, x):
    got = derivative(smooth(c), x, scheme=scheme)
    size = 1 + np.abs(smooth_slope(c, x)) + np.abs(smooth(c)(x)) + 8 * np.max(np.abs(c))
    assert np.all(np.abs(got - smooth_slope(c, x)) <= digits * size)


@pytest.mark.parametrize(
    ("scheme", "digits"), [("forward", 5e-3), ("central", 2e-4), ("complex", 1e-6)]
)
def test_float32_stays_float32_and_keeps_the_digits_it_can(scheme, digits):
    x = np.linspace(-2, 2, 41, dtype=np.float32)
    got = derivative(np.sin, x, scheme=scheme)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.cos(x), atol=digits)


@given(c=coefficients, x=st.floats(-1, 1))
@pytest.mark.parametrize(
    ("scheme", "order"), [("forward", 1), ("backward", 1), ("central", 2), ("complex", 2)]
)
def test_halving_h_divides_the_error_by_two_to_the_order(scheme, order, c, x):
    f, exact = smooth(c), smooth_slope(c, x)
    h = 2e-3
    wide, narrow = (abs(derivative(f, x, h=s, scheme=scheme) - exact) for s in (h, h / 2))
    # Measurable only where truncation is far above rounding and the leading term of the error
    # (f'' or f''') is not near zero itself.
    second = 6 * c[1] * x - 4 * c[2] * np.sin(2 * x) + c[3] ** 2 / 4 * np.exp(c[3] * x / 2)
    third = 6 * c[1] - 8 * c[2] * np.cos(2 * x) + c[3] ** 3 / 8 * np.exp(c[3] * x / 2)
    assume(abs(second if order == 1 else third) > 1)
    assert np.log2(wide / narrow) == pytest.approx(order, abs=0.1)


@given(c=coefficients, x=points)
def test_gradient_equals_autograd(c, x):
    f = many_terms(c)
    exact = autograd(f, x)
    for batched in (False, True):
        for scheme, digits in [("forward", 1e-6), ("central", 1e-8), ("complex", 1e-13)]:
            got = gradient(f, x, scheme=scheme, batched=batched)
            np.testing.assert_allclose(got, exact, rtol=0, atol=digits * (20 + abs(f(x))))


@given(c=coefficients, x=points)
def test_forward_gradient_equals_scipy_approx_fprime_at_the_same_step(c, x):
    f, h = many_terms(c), 1e-6
    np.testing.assert_allclose(
        gradient(f, x, h=h, scheme="forward"),
        scipy.optimize.approx_fprime(x, f, h),
        rtol=0,
        atol=1e-7 * (1 + abs(f(x))),
    )


def test_derivative_equals_scipy_differentiate():
    differentiate = pytest.importorskip("scipy.differentiate")
    x = np.linspace(-1, 1, 9)
    c = [0.3, -1.2, 0.7, 1.1]
    np.testing.assert_allclose(
        derivative(smooth(c), x), differentiate.derivative(smooth(c), x).df, rtol=1e-8
    )


@given(c=coefficients, x=points)
def test_hessian_equals_autograd(c, x):
    f = many_terms(c)
    exact = torch.autograd.functional.hessian(f, torch.tensor(x)).numpy()
    for batched in (False, True):
        got = hessian(f, x, batched=batched)
        np.testing.assert_allclose(got, exact, rtol=0, atol=2e-6 * (20 + abs(f(x))))
        np.testing.assert_array_equal(got, got.T)


@given(c=coefficients, x=points, seed=st.integers(0, 99))
def test_directional_derivative_is_the_gradient_dotted_with_the_direction(c, x, seed):
    f = many_terms(c)
    v = np.random.default_rng(seed).normal(size=x.shape)
    expected = autograd(f, x) @ v
    for scheme, digits in [("forward", 1e-6), ("central", 1e-8), ("complex", 1e-13)]:
        got = directional_derivative(f, x, v, scheme=scheme)
        assert got == pytest.approx(expected, abs=digits * (50 + 5 * abs(f(x))))


def test_directional_derivative_is_linear_in_the_direction():
    f, x, v = many_terms([1, 1, 1, 1]), np.array([0.3, -1.0]), np.array([1, 2])
    assert directional_derivative(f, x, 3 * v) == pytest.approx(
        3 * directional_derivative(f, x, v), rel=1e-8
    )


@given(x=st.floats(1, 1e6))
def test_the_step_grows_with_x_so_that_large_arguments_keep_their_digits(x):
    assert derivative(np.log, x) == pytest.approx(1 / x, rel=1e-7)


def test_the_step_divided_by_is_the_step_taken():
    # x + h is rounded: at x = 3 a step of 1e-7 moves a float32 by 2.4e-7. Dividing by h itself
    # would give 2.4 for the slope of a straight line.
    x = np.float32(3)
    assert derivative(lambda x: x, x, h=1.5e-7, scheme="forward") == 1


def test_complex_step_does_not_cancel_where_differences_do():
    def error(**how):
        return abs(derivative(np.exp, 1.0, **how) - np.e)

    assert error(h=1e-14) > 1e-3
    assert error(h=1e-14, scheme="complex") < 1e-15


# --- shapes and the number of calls ----------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 1, 3)])
def test_any_shape_goes_in_and_the_same_comes_out(scheme, shape):
    x = np.random.default_rng(0).normal(size=shape)
    assert np.shape(derivative(np.sin, x, scheme=scheme)) == shape
    whole = gradient(lambda x: np.sum(np.sin(x)), x, scheme=scheme)
    np.testing.assert_allclose(whole, np.cos(x), atol=1e-7)
    assert np.shape(whole) == shape
    second = hessian(lambda x: np.sum(np.sin(x)), x)
    assert np.shape(second) == shape + shape
    np.testing.assert_allclose(second.reshape(x.size, -1), np.diag(-np.sin(x).ravel()), atol=1e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_batched_and_one_by_one_agree_to_the_last_bit(scheme, n):
    x = np.random.default_rng(n).normal(size=n)

    def f(x):  # a product is the same in any order of rows; a sum over an axis may not be
        return np.prod(x + 1, axis=-1)

    one_by_one = gradient(f, x, scheme=scheme)
    for max_bytes in (1, 100, 2**20):
        np.testing.assert_allclose(
            gradient(f, x, scheme=scheme, batched=True, max_bytes=max_bytes),
            one_by_one,
            rtol=1e-14,
        )


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3), (4, 5, 3)])
def test_a_field_of_points_gives_the_gradient_and_hessian_at_each(shape):
    x = np.random.default_rng(0).normal(size=shape)
    f = many_terms([0.5, -0.3, 0.7, 1.1])
    grads, hessians = gradient(f, x, batched=True), hessian(f, x, batched=True)
    assert hessians.shape == (*shape, shape[-1])
    for index in np.ndindex(shape[:-1]):
        np.testing.assert_allclose(grads[index], gradient(f, x[index]), rtol=1e-12)
        np.testing.assert_allclose(hessians[index], hessian(f, x[index]), rtol=1e-12, atol=1e-12)


def test_a_step_for_each_element_is_used_for_that_element():
    x, h = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.25, 0.125])
    expected = 2 * x + h  # the forward difference of x^2
    np.testing.assert_array_equal(derivative(np.square, x, h=h, scheme="forward"), expected)
    for batched in (False, True):
        np.testing.assert_array_equal(
            gradient(lambda x: np.sum(x**2, axis=-1), x, h=h, scheme="forward", batched=batched),
            expected,
        )


class Counter:
    """A function that counts how often it is called, and with how many numbers."""

    def __init__(self, f):
        self.f, self.calls, self.largest = f, 0, 0

    def __call__(self, x):
        self.calls += 1
        self.largest = max(self.largest, x.nbytes)
        return self.f(x)


def squares(x):
    return np.einsum("...i,...i", x, x)  # needs no memory of its own


@pytest.mark.parametrize(
    ("scheme", "calls"), [("forward", 8), ("backward", 8), ("central", 14), ("complex", 7)]
)
def test_one_by_one_costs_what_the_table_says(scheme, calls):
    f = Counter(squares)
    gradient(f, np.ones(7), scheme=scheme)
    checks = f.calls - calls
    assert 5 <= checks <= 9 if scheme == "complex" else checks == 1


def test_a_hessian_costs_two_n_times_n_plus_one_evaluations():
    f = Counter(squares)
    hessian(f, np.ones(5))
    assert f.calls == 2 * 5 * 6 + 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_field_of_5000_points_takes_few_calls(scheme):
    f = Counter(squares)
    x = np.random.default_rng(0).normal(size=(5000, 2))
    np.testing.assert_allclose(gradient(f, x, scheme=scheme, batched=True), 2 * x, atol=1e-6)
    assert f.calls <= (10 if scheme == "complex" else 3)


def test_ten_thousand_coordinates_take_three_calls_where_memory_allows():
    f = Counter(squares)
    x = np.random.default_rng(0).normal(size=10_000)
    got = gradient(f, x, batched=True, max_bytes=2**30)
    assert f.calls == 3
    assert f.largest <= 2**30
    np.testing.assert_allclose(got, 2 * x, atol=1e-5)


@pytest.mark.parametrize("max_bytes", [2**17, 2**20, 2**23])
def test_memory_stays_near_the_limit_however_many_coordinates(max_bytes):
    f = Counter(squares)
    x = np.random.default_rng(0).normal(size=4_000)  # all copies at once: 256 MB
    tracemalloc.start()
    try:
        gradient(f, x, batched=True, max_bytes=max_bytes)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f.largest <= max_bytes
    assert peak < 2 * max_bytes + 50 * x.nbytes


def test_a_block_never_has_as_many_copies_as_coordinates():
    # A square block is the one shape in which the wrong axis gives the right shape.
    seen = []

    def f(x):
        seen.append(x.shape)
        return squares(x)

    for n in range(2, 30):
        for scheme in SCHEMES:
            for max_bytes in (8 * n * n, 16 * n * n, 2**20):
                gradient(f, np.ones(n), scheme=scheme, batched=True, max_bytes=max_bytes)
                assert seen[0][0] != n, "the first block gives a wrong axis away"
                seen.clear()


# --- the caller's array ----------------------------------------------------------------------


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_f_never_sees_the_callers_array_and_x_is_never_changed(scheme, batched):
    x = np.array([1.0, 2.0, 3.0])
    before, seen = x.copy(), []

    def f(point):
        seen.append(point)
        return np.sum(point**2, axis=-1)

    gradient(f, x, scheme=scheme, batched=batched)
    hessian(f, x, batched=batched)
    directional_derivative(f, x, x, scheme=scheme)
    derivative(lambda p: seen.append(p) or p**2, x, scheme=scheme)
    check_gradient(f, lambda p: seen.append(p) or 2 * p, x)
    assert not any(np.shares_memory(x, point) for point in seen)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_f_may_return_a_view_of_its_argument(scheme):
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(derivative(lambda x: x, x, scheme=scheme), np.ones(3))
    for batched in (False, True):
        got = gradient(lambda x: x[..., 1], x, scheme=scheme, batched=batched, max_bytes=48)
        np.testing.assert_allclose(got, [0, 1, 0], atol=1e-10)


# --- bad input: each its own error ------------------------------------------------------------


def total(x):
    return np.sum(x**2, axis=-1)


CALLS = {
    "derivative": lambda f, x, **how: derivative(f, x, **how),
    "gradient": lambda f, x, **how: gradient(f, x, **how),
    "batched": lambda f, x, **how: gradient(f, x, batched=True, **how),
    "directional": lambda f, x, **how: directional_derivative(f, x, np.ones(np.shape(x)), **how),
    "hessian": lambda f, x: hessian(f, x),
    "check": lambda f, x: check_gradient(f, lambda x: 2 * x, x),
}
WITH_SCHEME = ["derivative", "gradient", "batched", "directional"]


@pytest.fixture(params=CALLS)
def call(request):
    return CALLS[request.param]


@pytest.mark.parametrize("x", [[1, 2], np.array([1, 2], np.uint8), [True, False]])
def test_integers_are_refused_because_x_plus_h_is_rounded_away(call, x):
    with pytest.raises(TypeError, match=r"x has integers.*astype\(float\)"):
        call(total, x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_point_that_is_not_finite_is_refused(call, bad):
    with pytest.raises(ValueError, match="NaN or infinity"):
        call(total, [1.0, bad])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1j, 2.0], 'complex.*scheme="complex"'),
        (["a"], "expected real floating-point"),
        ([None, 1.0], "expected real floating-point"),
        (np.ones(2, np.float16), "three significant digits"),
    ],
)
def test_other_types_of_x_are_refused(call, x, message):
    with pytest.raises(TypeError, match=message):
        call(total, x)


@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0)])
def test_nothing_has_no_derivative(call, shape):
    with pytest.raises(ValueError, match=r"x is empty \(shape"):
        call(total, np.ones(shape))


def test_the_value_of_f_in_the_place_of_f_is_refused(call):
    x = np.ones(2)
    with pytest.raises(TypeError, match=r"f is float64.*not its value, f\(x\)"):
        call(total(x), x)


def test_a_missing_return_is_named(call):
    with pytest.raises(TypeError, match="returned None; is its return statement missing"):
        call(lambda x: None, np.ones(2))


def test_values_that_are_no_numbers_are_refused(call):
    with pytest.raises(TypeError, match="expected numbers"):
        call(lambda x: "three", np.ones(2))
    with pytest.raises(ValueError, match="ragged list"):
        call(lambda x: [1.0, [2.0, 3.0]], np.ones(2))


@pytest.mark.parametrize("name", CALLS)
def test_a_complex_value_at_a_real_point_is_refused(name):
    f = np.emath.sqrt if name == "derivative" else lambda x: np.sum(np.emath.sqrt(x), axis=-1)
    with pytest.raises(TypeError, match="complex numbers for real x"):
        CALLS[name](f, -np.ones(2))


def test_derivative_refuses_a_sum_and_names_gradient():
    with pytest.raises(ValueError, match=r"shape \(\) .*expected shape \(3,\).*use gradient"):
        derivative(np.sum, np.ones(3))


@pytest.mark.parametrize("f", [np.sin, lambda x: x.sum(keepdims=True)])
def test_gradient_refuses_an_array_of_values_and_names_derivative(f):
    for go in (gradient, hessian):
        with pytest.raises(ValueError, match=r"expected shape \(\).*use derivative"):
            go(f, np.ones(3))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("n", [2, 3, 4, 8])
@pytest.mark.parametrize("wrong", ["total", "axis0", "first"])
def test_batched_refuses_a_function_that_mixes_up_the_axes(wrong, n, scheme):
    f = {
        "total": lambda x: np.sum(x**2),
        "axis0": lambda x: np.sum(x**2, axis=0),
        "first": lambda x: x[0] ** 2 + x[1] ** 2,
    }[wrong]
    for max_bytes in (8 * n * n, 16 * n * n, 2**20):
        # x[1] of a single copy is an IndexError inside f; the note explains it as well.
        with pytest.raises((ValueError, IndexError)) as caught:
            gradient(f, np.ones(n), scheme=scheme, batched=True, max_bytes=max_bytes)
        explained = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
        assert "f maps (..., n) to (...): did you forget axis=-1" in explained
    with pytest.raises(ValueError, match="axis=-1"):
        hessian(f, np.ones(n), batched=True)


def test_batched_refuses_a_single_number():
    with pytest.raises(ValueError, match=r"x has shape \(\.\.\., n\), got a single number"):
        gradient(total, 3.0, batched=True)


@pytest.mark.parametrize("name", ["gradient", "batched", "directional", "hessian", "check"])
@pytest.mark.parametrize("how", ["all", "first", "last"])
def test_a_function_that_changes_its_argument_is_refused(name, how):
    def f(x):
        value = total(x)
        if how == "all":
            x += 1
        else:
            x[..., {"first": 0, "last": -1}[how]] = 7
        return value

    with pytest.raises(ValueError, match="f changed its argument"):
        CALLS[name](f, np.ones(3))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_elementwise_function_that_changes_its_argument_is_refused(scheme):
    def f(x):
        x *= 2
        return x

    with pytest.raises(ValueError, match="f changed its argument"):
        derivative(f, np.ones(3), scheme=scheme)


@pytest.mark.parametrize("name", WITH_SCHEME)
def test_an_unknown_scheme_is_answered_with_the_known_ones(name):
    known = 'one of "forward", "backward", "central", "complex"; not \'middle\''
    with pytest.raises(ValueError, match=known):
        CALLS[name](total, np.ones(2), scheme="middle")


def test_second_differences_are_no_scheme_of_the_first_derivative():
    assert default_step("second") > default_step("central")
    with pytest.raises(ValueError, match="scheme must be one of .*; not 'second'"):
        derivative(np.sin, 1.0, scheme="second")
    with pytest.raises(ValueError, match="one of .*\"second\"; not 'middle'"):
        default_step("middle")


@pytest.mark.parametrize("name", WITH_SCHEME)
@pytest.mark.parametrize("h", [0, -1e-3, np.nan, np.inf, 1j, "small"])
def test_a_step_that_is_no_positive_number_is_refused(name, h):
    with pytest.raises(ValueError, match="expected a positive number"):
        CALLS[name](total, np.ones(2), h=h)


@pytest.mark.parametrize("name", WITH_SCHEME)
@pytest.mark.parametrize("scheme", REAL_SCHEMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_that_does_not_move_x_is_refused(name, scheme, dtype):
    h = 1e-9 if dtype == np.float32 else 1e-17
    with pytest.raises(ValueError, match=r"is too small: x \+ h == x in float"):
        CALLS[name](
            total if name != "derivative" else np.square, np.ones(2, dtype), h=h, scheme=scheme
        )


def test_a_step_that_underflows_is_refused_for_the_complex_scheme_too():
    with pytest.raises(ValueError, match="is too small"):
        derivative(np.sin, np.float32(1), h=1e-60, scheme="complex")
    assert derivative(np.sin, 1.0, h=1e-60, scheme="complex") == np.cos(1.0)


def test_a_step_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"h has shape \(2,\).*x's shape \(3,\)"):
        derivative(np.sin, np.ones(3), h=[1e-3, 1e-3])


@pytest.mark.parametrize("max_bytes", [0, -1, 1.5, None])
def test_a_memory_limit_that_is_no_positive_number_is_refused(max_bytes):
    with pytest.raises((TypeError, ValueError), match="max_bytes must be"):
        gradient(total, np.ones(3), batched=True, max_bytes=max_bytes)


@pytest.mark.parametrize("name", ["derivative", "gradient", "batched", "directional"])
def test_a_function_that_drops_the_imaginary_part_is_refused_by_the_complex_step(name):
    f = np.abs if name == "derivative" else lambda x: np.sum(np.abs(x), axis=-1)
    with pytest.raises(ValueError, match="imaginary part.*dropped"):
        CALLS[name](f, np.ones(2), scheme="complex")


def test_a_function_that_fails_on_complex_numbers_is_explained_by_a_note():
    with pytest.raises(TypeError) as caught:
        derivative(np.floor, np.ones(2), scheme="complex")
    what, fix = caught.value.__notes__
    assert "inside f, called with complex128 numbers of shape (2,)" in what
    assert 'use scheme="central"' in fix


def test_an_error_inside_f_comes_through_as_it_is():
    def f(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        gradient(f, np.ones(2))


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        ([1.0], r"shape \(1,\), but x has \(2,\)"),
        ([0, 0], "not all zero"),
        ([np.nan, 1], "finite"),
        ([1j, 0], "real numbers"),
    ],
)
def test_a_bad_direction_is_refused(direction, message):
    with pytest.raises(ValueError, match=message):
        directional_derivative(total, np.ones(2), direction)


def test_whole_numbers_are_allowed_as_the_value_of_f_and_as_a_direction():
    assert derivative(lambda x: np.where(x > 0, 1, 0), 3.0) == 0
    assert directional_derivative(total, np.array([1.0, 2.0]), [1, 0]) == pytest.approx(2)


# --- checking a gradient -----------------------------------------------------------------------


@given(c=coefficients, x=points)
@settings(max_examples=50)
def test_a_right_gradient_passes_by_coordinates_and_by_directions(c, x):
    f = many_terms(c)
    assert check_gradient(f, lambda x: autograd(f, x), x).ok
    assert check_gradient(f, autograd(f, x), x, directions=5).ok


@given(seed=st.integers(0, 999), n=st.integers(2, 8))
def test_one_wrong_component_is_found_and_named(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 2, n)
    wrong = int(rng.integers(n))
    analytic = 2 * x
    analytic[wrong] *= 1.01
    found = check_gradient(total, analytic, x)
    assert not found.ok
    assert found.worst_index == (wrong,)
    assert found.relative_error == pytest.approx(0.01 / 1.01, rel=1e-3)
    assert str(found).startswith("✗") and f"at [{wrong}]" in str(found)
    assert not check_gradient(total, analytic, x, directions=4, rng=rng).ok


def test_a_factor_of_two_and_a_flipped_sign_are_far_above_the_threshold():
    x = np.array([1.0, -2.0])
    assert check_gradient(total, lambda x: x, x).relative_error == pytest.approx(0.5)
    assert check_gradient(total, lambda x: -2 * x, x).relative_error == pytest.approx(2)


def test_two_zeros_agree_and_rounding_is_not_an_error():
    flat = check_gradient(lambda x: 0.0, np.zeros(2), np.ones(2))
    assert flat.ok and flat.relative_error == 0
    # At the minimum of a large function a difference sees rounding, where the truth is 0.
    high = check_gradient(lambda x: 1e6 / 3 + np.sum(np.cos(x)), np.zeros(3), np.zeros(3))
    assert high.ok
    # ... but a zero in the place of a slope is an error.
    assert not check_gradient(total, np.zeros(2), np.ones(2)).ok


def test_a_gradient_of_a_function_that_becomes_nan_does_not_pass():
    with np.errstate(invalid="ignore", divide="ignore"):
        assert not check_gradient(lambda x: np.sum(np.log(x - 1)), np.ones(2), np.ones(2)).ok


def test_random_directions_are_reproducible_and_cost_three_evaluations_each_and_one():
    f, x = Counter(squares), np.linspace(1, 2, 50)
    first = check_gradient(f, 2 * x, x, directions=3, rng=np.random.default_rng(7))
    assert f.calls == 10
    again = check_gradient(squares, 2 * x, x, directions=3, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(first.numerical, again.numerical)
    assert first.numerical.shape == first.analytic.shape == (3,)


def test_a_matrix_of_weights_is_checked_in_its_own_shape():
    x = np.random.default_rng(0).normal(size=(3, 4))
    grad = 3 * x**2
    grad[1, 2] += 1
    found = check_gradient(lambda w: np.sum(w**3), grad, x)
    assert found.worst_index == (1, 2)
    assert found.numerical.shape == (3, 4)
    assert isinstance(found, GradientCheck)


def test_float32_is_refused_because_it_cannot_tell_wrong_from_rounded():
    with pytest.raises(TypeError, match="x is float32.*check in float64"):
        check_gradient(total, lambda x: 2 * x, np.ones(2, np.float32))
    with pytest.raises(TypeError, match="f answers in float32.*compute in the argument"):
        check_gradient(lambda x: total(x.astype(np.float32)), lambda x: 2 * x, np.ones(2))


@pytest.mark.parametrize(
    ("grad", "message"),
    [
        (np.ones(3), r"shape \(3,\), expected.*\(2,\)"),
        ([1.0, np.inf], "NaN or infinity"),
        (None, "object"),
        ([1j, 1], "complex"),
    ],
)
def test_a_gradient_that_cannot_be_compared_is_refused(grad, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(total, grad, np.ones(2))


@pytest.mark.parametrize("directions", [0, -1, 2.0, True])
def test_a_number_of_directions_that_counts_nothing_is_refused(directions):
    with pytest.raises((TypeError, ValueError), match="directions must be"):
        check_gradient(total, np.ones(2) * 2, np.ones(2), directions=directions)


def test_directions_may_be_counted_by_numpy_and_come_from_a_generator_alone():
    assert check_gradient(total, np.ones(2) * 2, np.ones(2), directions=np.int64(2)).ok
    with pytest.raises(TypeError, match="rng must be a random generator"):
        check_gradient(total, np.ones(2) * 2, np.ones(2), directions=2, rng=0)


# --- the floor this module stands on -----------------------------------------------------------


def test_importing_differentiation_loads_numpy_only():
    code = (
        "import sys, course_utils.differentiation;"
        "print([m for m in ('torch','scipy','matplotlib','ipywidgets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
