import numpy as np
import pytest
from numpy.polynomial import legendre

from course_utils.explorers import polynomial, polynomial_at, polynomial_data


@pytest.fixture(scope="module")
def shown():
    return polynomial()


def rms(difference):
    return np.sqrt(np.mean(difference**2))


@pytest.mark.parametrize("degree", [0, 1, 3, 7])
@pytest.mark.parametrize("points", [12, 100])
def test_polynomial_at_is_numpys_polyfit_with_its_errors_on_all_three_data_sets(degree, points):
    fit = polynomial_at(degree, 0.3, points, seed=4)
    parts = polynomial_data(0.3, points, seed=4)
    expected = np.polyfit(*parts[0], degree)
    for (x, y), error in zip(parts, [fit.training, fit.validation, fit.test]):
        np.testing.assert_allclose(fit(x), np.polyval(expected, x), rtol=1e-7, atol=1e-9)
        assert error == pytest.approx(rms(np.polyval(expected, x) - y), rel=1e-7)


def test_with_more_coefficients_than_points_it_takes_the_smallest_that_fit():
    fit = polynomial_at(15, 0.3, 8)
    (x, y), *_ = polynomial_data(0.3, 8)
    smallest = np.linalg.pinv(legendre.legvander(x, 15)) @ y
    np.testing.assert_allclose(fit.coefficients, smallest, rtol=1e-8, atol=1e-12)
    assert fit.training < 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_the_training_error_never_rises_with_the_degree(seed):
    for points in (8, 20):
        errors = [polynomial_at(degree, 0.3, points, seed).training for degree in range(16)]
        assert (np.diff(errors) < 1e-9).all()


def test_more_noise_moves_the_same_points_and_more_points_leave_the_judges_alone():
    calm, loud = polynomial_data(0.1, 12), polynomial_data(0.2, 12)
    for (x, y), (other, z) in zip(calm, loud):
        np.testing.assert_array_equal(x, other)
        np.testing.assert_allclose(z - np.sin(np.pi * x), 2 * (y - np.sin(np.pi * x)), atol=1e-15)
    for few, many in zip(polynomial_data(0.1, 8)[1:], polynomial_data(0.1, 40)[1:]):
        np.testing.assert_array_equal(few, many)
    (x, _), (x_val, _), (x_test, _) = calm
    assert len(x_val) == 30 and len(x_test) == 1000
    assert len({*x, *x_val, *x_test}) == 12 + 1030  # no point is in two of them


def test_a_negative_degree_is_refused():
    with pytest.raises(ValueError, match="0, 1, 2, …, not -1"):
        polynomial_at(-1, 0.3, 12)


def test_the_explorer_shows_what_the_pure_function_gives(shown):
    rng = np.random.default_rng(0)
    for _ in range(25):
        at = {name: values[rng.integers(len(values))] for name, values in shown.controls.items()}
        at["degree"] = int(at["degree"])
        fit, frame, said = polynomial_at(**at), shown.frame(**at), shown.status(**at)
        exact = np.linspace(-1, 1, 241)
        xs, ys = frame["polynomial"]
        inside = np.abs(fit(exact)) < 5
        np.testing.assert_allclose(xs[inside], exact[inside], atol=1e-3)
        np.testing.assert_allclose(ys[inside], fit(exact)[inside], atol=2e-3)
        parts = polynomial_data(at["noise"], at["points"])
        for name, (x, y) in zip(["training points", "validation points"], parts):
            drawn = np.column_stack(frame[name])
            drawn = drawn[np.isfinite(drawn[:, 0])]
            np.testing.assert_allclose(drawn, np.column_stack([x, y]), atol=2e-3)
        for name, error in [
            ("training", fit.training),
            ("validation", fit.validation),
            ("test", fit.test),
        ]:
            if 1e-4 < error < 1e4:
                x, y = np.ravel(frame[f"{name} error here"])
                assert x == pytest.approx(at["degree"], abs=0.01)
                assert y == pytest.approx(error, rel=0.01)
                assert frame[name][1][at["degree"]] == pytest.approx(error, rel=0.01)
            if 1e-9 < error:
                told = said.replace("training error", "training").split(f"{name} ")[1]
                assert float(told.split(",")[0].split(";")[0].replace("−", "-")) == (
                    pytest.approx(error, rel=0.006)
                )
        assert np.allclose(frame["noise"][1], at["noise"], rtol=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_the_words_for_a_fit_are_true(seed):
    shown = polynomial(seed)
    for points in shown.controls["points"]:
        for noise in shown.controls["noise"]:
            unseen = [polynomial_at(d, noise, points, seed).validation for d in range(16)]
            for degree in range(16):
                said = shown.status(degree=degree, noise=noise, points=points)
                if degree + 1 == points:
                    assert "as many coefficients as points" in said and "error 0," in said
                elif degree + 1 > points:
                    assert "more coefficients than points" in said and "error 0," in said
                elif "too simple" in said:
                    assert min(unseen[degree + 1 : points - 1]) < unseen[degree] / 1.25
                elif "memorises" in said:
                    assert min(unseen[:degree]) < unseen[degree] / 1.25
                else:
                    assert "about as good" in said
                    assert unseen[degree] <= 1.25 * min(unseen[: points - 1])


@pytest.mark.parametrize("seed", range(10))
def test_degree_0_is_too_simple_and_degree_10_memorises_twelve_points(seed):
    small, right, large = (polynomial_at(degree, 0.3, 12, seed) for degree in (0, 3, 10))
    assert right.test < small.test and right.test < large.test
    assert large.training < right.training < small.training


def test_both_ends_of_every_control_draw_and_say_something_else(shown):
    for control, values in shown.controls.items():
        said = {shown.status(**{control: value}) for value in (values[0], values[-1])}
        drawn = {repr(shown.frame(**{control: value})) for value in (values[0], values[-1])}
        assert len(said) == len(drawn) == 2
