"""The surfaces' values, gradients and minima against autograd, closed forms and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from course_utils import surfaces
from course_utils.descent import descend, diverged_at
from course_utils.optimizers import SGD
from course_utils.surfaces import SURFACES, Surface

# Written again, in another form than in the module where there is one.
FORMULAS = {
    "bowl": lambda x, y: x * x + y * y,
    "ravine": lambda x, y: 0.05 * x * x + y * y,
    "Rosenbrock": lambda x, y: 1 - 2 * x + x**2 + 100 * y**2 - 200 * y * x**2 + 100 * x**4,
    "Beale": lambda x, y: sum(
        (c - x + x * y**k) ** 2 for k, c in enumerate((1.5, 2.25, 2.625), start=1)
    ),
    "Himmelblau": lambda x, y: (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2,
    "saddle": lambda x, y: (x - y) * (x + y),
    # The wells' heights, 0 and 2.1296, and where they are fix the polynomial.
    "double well": lambda x, y: (x + 1.2) ** 2 * (x * x - 2.4 * x + 1.84) + y * y,
    "plateau": lambda x, y: 1 - 1 / (1 + x * x + y * y),
}

every_surface = pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)


def random_points(surface, seed, shape=(50,)):
    low, high = surface.bounds.T
    return np.random.default_rng(seed).uniform(low, high, size=(*shape, len(low)))


def autograd(surface, x):
    """Value, gradient and Hessians of the independent formula at x (k, 2)."""
    x = torch.tensor(x, requires_grad=True)
    value = FORMULAS[surface.name](x[:, 0], x[:, 1])
    (grad,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    rows = [torch.autograd.grad(grad[:, i].sum(), x, retain_graph=True)[0] for i in range(2)]
    return value.detach().numpy(), grad.detach().numpy(), torch.stack(rows, 1).numpy()


@every_surface
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_value_and_gradient_match_autograd(surface, seed):
    x = random_points(surface, seed)
    value, grad, _ = autograd(surface, x)
    np.testing.assert_allclose(surface(x), value, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(surface.gradient(x), grad, rtol=1e-12, atol=1e-10)


@every_surface
def test_minima_have_zero_slope_and_curve_upwards(surface):
    minima = surface.minima
    if len(minima):
        np.testing.assert_allclose(surface.gradient(minima), 0, atol=1e-12)
        assert np.all(np.linalg.eigvalsh(autograd(surface, minima)[2]) > 0)
        assert np.all(np.diff(surface(minima)) >= -1e-12), "the lowest comes first"


@every_surface
def test_minima_are_all_there_are(surface):
    """A search from 60 random points finds every listed minimum and no other."""
    found = set()
    for start in random_points(surface, seed=0, shape=(60,)):
        end = minimize(
            surface,
            start,
            jac=surface.gradient,
            bounds=surface.bounds,
            tol=1e-12,
            options={"maxiter": 5000},
        )
        low, high = surface.bounds.T
        inside = np.all((end.x > low + 1e-6) & (end.x < high - 1e-6))
        if inside and np.abs(end.jac).max() < 1e-3:
            _, _, curvature = autograd(surface, end.x[None])
            if np.linalg.eigvalsh(curvature[0]).min() < 1e-6:
                continue  # a saddle, or a plain: no minimum
            distance = np.linalg.norm(surface.minima - end.x, axis=-1)
            assert distance.min() < 1e-3, f"a minimum at {end.x} that is not listed"
            found.add(int(distance.argmin()))
    assert found == set(range(len(surface.minima)))


def test_himmelblaus_minima_solve_their_quartic():
    x0 = np.roots([1, 0, -22, 1, 114])
    expected = sorted(zip(x0, 11 - x0**2, strict=True))
    listed = sorted(map(tuple, SURFACES["Himmelblau"].minima))
    np.testing.assert_allclose(listed, expected, rtol=1e-12)


def test_the_double_well_has_one_lower_well_and_a_pass():
    well = SURFACES["double well"]
    np.testing.assert_allclose(well(well.minima), [0, 2.1296], atol=1e-12)
    np.testing.assert_allclose(well.gradient([0.2, 0.0]), 0, atol=1e-15)
    assert well([0.2, 0.0]) > well(well.minima).max()


@every_surface
def test_a_grid_of_points_is_one_call(surface):
    x = random_points(surface, seed=1, shape=(4, 3))
    assert surface(x).shape == (4, 3)
    assert surface.gradient(x).shape == (4, 3, 2)
    np.testing.assert_allclose(surface(x)[2, 1], surface(x[2, 1]), rtol=1e-14)
    np.testing.assert_allclose(surface.gradient(x)[2, 1], surface.gradient(x[2, 1]), rtol=1e-14)


@every_surface
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_points_is_kept(surface, dtype):
    x = random_points(surface, seed=2).astype(dtype)
    assert surface(x).dtype == dtype
    assert surface.gradient(x).dtype == dtype


@every_surface
def test_whole_numbers_are_taken_as_floats(surface):
    np.testing.assert_array_equal(surface([1, 2]), surface([1.0, 2.0]))
    np.testing.assert_array_equal(surface.gradient([1, 2]), surface.gradient([1.0, 2.0]))


@every_surface
def test_a_complex_step_gives_the_gradient(surface):
    x, h = random_points(surface, seed=3), 1e-30
    for i in range(2):
        step = 1j * h * np.eye(2)[i]
        np.testing.assert_allclose(
            surface(x + step).imag / h, surface.gradient(x)[:, i], rtol=1e-10, atol=1e-10
        )


@every_surface
def test_rates_run_from_crawling_to_bouncing_and_the_default_is_safe(surface):
    low, high = surface.rates
    rates = np.array([low, surface.default_rate, high])[:, None]
    path = descend(surface, SGD(lr=rates), surface.start, 100)
    lost, losses = diverged_at(path), surface(path)
    assert lost[0] == lost[1] == -1
    assert np.all(np.diff(losses[:, :2], axis=0) <= 0), "always downhill, up to the default"
    fell = losses[0] - losses[-1]
    assert fell[0] < 0.99 * fell[1], "the low end is behind the default"
    bounced = lost[2] >= 0 or np.any(np.diff(losses[:, 2]) > 0) or len(surface.minima) == 0
    assert bounced, "the high end goes uphill somewhere"


@every_surface
def test_the_first_picture_stays_inside_the_window(surface):
    path = descend(surface, SGD(lr=surface.default_rate), surface.start, 100)
    low, high = surface.bounds.T
    assert np.all((path >= low) & (path <= high))


@pytest.mark.parametrize("x", [3.0, [1.0, 2.0, 3.0], np.zeros((2, 5))])
def test_points_of_the_wrong_shape_are_refused(x):
    for call in (surfaces.BOWL, surfaces.BOWL.gradient):
        with pytest.raises(ValueError, match=r"shape \(\.\.\., 2\).*np\.stack"):
            call(x)


def test_points_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match="points of numbers"):
        surfaces.BOWL(["a", "b"])


GOOD = dict(
    name="line",
    function=np.sum,
    gradient=np.ones_like,
    minima=np.empty((0, 1)),
    bounds=[[-1, 1]],
    start=[0],
    rates=(0.1, 1),
)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"bounds": [-1, 1]}, ValueError, r"bounds has shape \(2,\), expected \(1, 2\)"),
        ({"minima": [0.0]}, ValueError, r"minima has shape \(1,\), expected \(k, 1\)"),
        ({"start": 0.0}, ValueError, r"start has shape \(\), expected \(1,\)"),
        ({"start": [2]}, ValueError, "not inside the bounds"),
        ({"bounds": [[1, -1]]}, ValueError, "not inside the bounds"),
        ({"rates": (1, 0.1)}, ValueError, "0 < low < high"),
        ({"gradient": None}, TypeError, "must be callable"),
    ],
)
def test_a_surface_that_does_not_fit_together_is_refused(change, error, words):
    Surface(**GOOD)
    with pytest.raises(error, match=words):
        Surface(**(GOOD | change))


def test_what_is_known_about_a_surface_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        surfaces.BOWL.start[0] = 9


def test_every_surface_is_in_the_menu_under_its_name():
    listed = [s for s in vars(surfaces).values() if isinstance(s, Surface)]
    assert {s.name: s for s in listed} == SURFACES
    assert FORMULAS.keys() == SURFACES.keys()
