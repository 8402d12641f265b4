import math
import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import approx_fprime
from scipy.stats import linregress

from course_utils import explorers
from course_utils.explorers import (
    compass,
    compass_at,
    learning_rate,
    learning_rate_at,
    likelihood,
    likelihood_at,
    line_fit,
    line_fit_at,
    precision,
    precision_at,
    secant,
    secant_at,
    valley_walk,
    valley_walk_at,
)
from course_utils.surfaces import BOWL, HIMMELBLAU

X = np.linspace(0.4, 4.8, 9)
Y = 0.8 * X + 0.9 + np.random.default_rng(0).normal(0, 0.5, 9)


@pytest.fixture(scope="module")
def explorer():
    return {
        "valley_walk": valley_walk(),
        "secant": secant(np.square, -0.5, 4.5, start=3.0),
        "compass": compass(BOWL),
        "line_fit": line_fit(X, Y),
    }


NAMES = ["valley_walk", "secant", "compass", "line_fit"]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_picture_shows_every_artist(explorer, name):
    shown = explorer[name]
    for artist, (xs, ys) in shown.frame().items():
        assert np.isfinite(xs).any() and np.isfinite(ys).any(), artist


@pytest.mark.parametrize("name", NAMES)
def test_both_ends_of_every_control_draw_and_say_something_else(explorer, name):
    shown = explorer[name]
    for control, values in shown.controls.items():
        said = {shown.status(**{control: value}) for value in (values[0], values[-1])}
        drawn = {repr(shown.frame(**{control: value})) for value in (values[0], values[-1])}
        assert len(said) == len(drawn) == 2 or control == "angle"


def test_valley_walk_is_pytorchs_gradient_descent():
    path = valley_walk_at(HIMMELBLAU, 1.5, -0.7, 0.01, steps=30)
    x = torch.tensor([1.5, -0.7], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.01)
    expected = [x.detach().numpy().copy()]
    for _ in range(30):
        optimizer.zero_grad()
        ((x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2).backward()
        optimizer.step()
        expected.append(x.detach().numpy().copy())
    np.testing.assert_allclose(path, expected, rtol=1e-12, atol=1e-12)


def test_valley_walk_shows_the_path_up_to_the_chosen_step(explorer):
    shown = explorer["valley_walk"]
    rng = np.random.default_rng(1)
    for _ in range(20):
        at = {name: values[rng.integers(len(values))] for name, values in shown.controls.items()}
        path = valley_walk_at(HIMMELBLAU, at["x0"], at["x1"], at["learning_rate"], at["step"])
        xs, ys = shown.frame(**at)["path"]
        assert len(xs) == at["step"] + 1
        here = np.isfinite(path).all(1) & (np.abs(path) < 20).all(1)
        np.testing.assert_allclose(np.column_stack([xs, ys])[here], path[here], atol=2e-3)


def test_the_status_of_a_walk_that_flies_off_says_at_which_step(explorer):
    shown, at = explorer["valley_walk"], {"x0": -5.25, "x1": 0.0, "learning_rate": 0.03}
    path = valley_walk_at(HIMMELBLAU, *at.values(), steps=40)
    k = int(np.flatnonzero(np.isnan(path[:, 0]))[0])
    assert shown.status(**at, step=40) == f"step 40: height –, diverged at step {k}"
    assert shown.status(**at, step=k) == f"step {k}: height –, diverged at step {k}"
    assert shown.status(**at, step=k - 1).endswith("on the way")
    assert np.abs(path[:k]).max() < 18


def test_secant_at_the_closed_form_of_a_square():
    x, h = np.random.default_rng(0).uniform(0.1, 3, size=(2, 50))
    change, slope = secant_at(np.square, x, h)
    np.testing.assert_allclose(change / h, 2 * x + h, rtol=1e-9)
    np.testing.assert_allclose(slope, 2 * x, rtol=1e-8)


def test_the_secant_runs_through_both_points_and_the_tangent_has_the_slope(explorer):
    shown = explorer["secant"]
    for x in shown.controls["x"][::7]:
        for h in shown.controls["h"][::8]:
            frame = shown.frame(x=x, h=h)
            xs, ys = frame["points"]
            np.testing.assert_allclose(ys, xs**2, atol=0.02)
            (left, right), (low, high) = frame["tangent"]
            assert (high - low) / (right - left) == pytest.approx(2 * x, abs=0.02)
            (left, right), (low, high) = frame["secant"]
            assert (high - low) / (right - left) == pytest.approx(2 * x + h, abs=0.02)


@pytest.mark.parametrize(
    ("f", "low", "high", "start"),
    [
        (math.sin, -1, 6, 1.0),
        (lambda x: 3.0, -1, 1, 0.5),
        (lambda x: x**2 if x > 0 else -x, -1, 2, 1.0),
        (np.log, -1, 5, 2.0),
        (math.log, -1, 5, 2.0),
        (lambda x: 1 / x, -2, 2, 1.0),
        (np.sign, -1, 1, 0.5),
        (abs, -1, 1, 0.5),
    ],
)
def test_secant_takes_functions_of_one_number_with_ifs_and_holes(f, low, high, start):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = secant(f, low, high, start=start)
        assert "nan" not in shown.status()
        shown._repr_mimebundle_()


@pytest.mark.parametrize(
    ("f", "start", "words"),
    [
        (lambda x: None, 1.0, "returned None; is its return statement missing"),
        (5, 1.0, "cannot be called"),
        (lambda x: "a", 1.0, "expected one number"),
        (lambda x: [1, 2], 1.0, "expected one number"),
        (np.log, -1.0, "no value or no slope near start"),
    ],
)
def test_secant_says_what_is_wrong_with_a_function(f, start, words):
    with pytest.raises((TypeError, ValueError), match=words):
        secant(f, -2, 2, start=start)


def test_secant_takes_a_learners_own_function():
    shown = secant(lambda x: np.sin(x), 0.0, 6.0, start=1.0, name="sin x")
    assert "(the tangent's slope: 0.54)" in shown.status()


def test_compass_at_equals_a_tiny_step_in_each_direction():
    rng = np.random.default_rng(2)
    for x0, x1 in rng.uniform(-4, 4, size=(20, 2)):
        angles = rng.uniform(0, 360, 30)
        gradient, slopes = compass_at(HIMMELBLAU, x0, x1, angles)
        np.testing.assert_allclose(gradient, approx_fprime([x0, x1], HIMMELBLAU, 1e-7), atol=1e-3)
        radians = np.deg2rad(angles)
        step = 1e-7 * np.column_stack([np.cos(radians), np.sin(radians)])
        felt = (HIMMELBLAU([x0, x1] + step) - HIMMELBLAU([x0, x1] - step)) / 2e-7
        np.testing.assert_allclose(slopes, felt, atol=1e-3)


def test_the_compass_draws_what_compass_at_says(explorer):
    shown, rng = explorer["compass"], np.random.default_rng(5)
    for _ in range(20):
        at = {name: values[rng.integers(len(values))] for name, values in shown.controls.items()}
        place = np.array([at["x0"], at["x1"]])
        gradient, slope = compass_at(BOWL, *place, at["angle"])
        frame = shown.frame(**at)
        np.testing.assert_allclose(np.ravel(frame["you"]), place, atol=0.01)
        radians = np.deg2rad(at["angle"])
        ahead = np.diff(frame["direction"])[:, 0]
        np.testing.assert_allclose(ahead, [2.2 * np.cos(radians), 2.2 * np.sin(radians)], atol=0.02)
        tip = np.array(frame["gradient"])[:, 1] - place  # of one length everywhere
        np.testing.assert_allclose(tip, 2.2 * gradient / np.linalg.norm(gradient), atol=0.02)
        dot = np.ravel(frame["the direction you look in"])
        np.testing.assert_allclose(dot, [at["angle"], slope], atol=0.1)
        angles, slopes = frame["slope in each direction"]
        np.testing.assert_allclose(slopes, compass_at(BOWL, *place, angles)[1], atol=0.05)


def test_dragging_on_the_compass_map_moves_you_and_on_the_rose_turns_you(explorer):
    moved = [
        [zone and zone["name"] for zone in axes["controls"]]
        for axes in explorer["compass"].spec["drag"]
    ]
    assert moved == [["x0", "x1"], ["angle", None]]


def test_compass_at_the_lowest_point_has_no_direction(explorer):
    assert explorer["compass"].status(x0=0.0, x1=0.0, angle=0) == (
        "gradient (0, 0), size 0, no direction: level ground; slope towards 0°: 0"
    )


def test_line_fit_at_equals_autograd():
    rng = np.random.default_rng(3)
    w, b = rng.normal(size=(2, 6, 5))
    fit = line_fit_at(X, Y, w, b)
    tensors = [torch.tensor(v, requires_grad=True) for v in (w, b)]
    predicted = tensors[0][..., None] * torch.tensor(X) + tensors[1][..., None]
    loss = ((predicted - torch.tensor(Y)) ** 2).mean(-1)
    loss.sum().backward()
    np.testing.assert_allclose(fit.loss, loss.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(fit.dw, tensors[0].grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(fit.db, tensors[1].grad.numpy(), rtol=1e-12)


def test_the_three_views_of_a_line_agree(explorer):
    shown = explorer["line_fit"]
    rng = np.random.default_rng(4)
    for _ in range(20):
        w, b = (values[rng.integers(len(values))] for values in shown.controls.values())
        frame, fit = shown.frame(w=w, b=b), line_fit_at(X, Y, w, b)
        (left, right), (low, high) = frame["line"]
        assert (high - low) / (right - left) == pytest.approx(w, abs=0.01)
        np.testing.assert_allclose(np.ravel(frame["(w, b)"]), [w, b], atol=0.01)
        if fit.loss < 26:
            np.testing.assert_allclose(
                np.ravel(frame["loss of this line"]), [w, fit.loss], atol=0.05
            )
            (left, right), (low, high) = frame["tangent"]
            assert (high - low) / (right - left) == pytest.approx(fit.dw, abs=0.3)
        xs, ys = (np.reshape(side, (9, 5))[:, :4] for side in frame["squared errors"])
        area = np.ptp(xs, axis=1) * np.ptp(ys, axis=1)
        assert area.mean() == pytest.approx(fit.loss, rel=0.05, abs=0.02)


def test_the_advice_is_right_on_both_sides_of_the_best_line(explorer):
    shown = explorer["line_fit"]
    best = linregress(X, Y)
    assert "a larger w lowers" in shown.status(w=best.slope - 1, b=best.intercept)
    assert "a smaller w lowers" in shown.status(w=best.slope + 1, b=best.intercept)
    assert "w is best for this b" in shown.status(w=best.slope, b=best.intercept)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))]
)
def test_the_three_views_hold_their_data_for_every_seed(seed):
    y = 0.8 * X + 0.9 + np.random.default_rng(seed).normal(0, 0.5, 9)
    shown = line_fit(X, y)
    (low, high) = shown.figure.axes[0].get_ylim()
    assert (low < y).all() and (y < high).all()


def test_every_explorer_has_a_pure_function_beside_it():
    for name in NAMES:
        assert callable(getattr(explorers, f"{name}_at"))


@pytest.mark.parametrize("scheme", explorers.SCHEMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_precision_at_computes_in_its_dtype_and_finds_cos(scheme, dtype):
    h = 1e-20 if scheme == "complex" else np.finfo(dtype).eps ** (1 / 3)
    slope, error = precision_at(scheme, dtype, h)
    assert slope.dtype == dtype
    assert error == pytest.approx(abs(float(slope) - np.cos(1.0)), abs=1e-15)
    assert error < (1e-2 if dtype == "float32" else 1e-5)


def test_the_two_branches_of_the_error_are_named_on_the_right_sides(explorer):
    shown = precision()
    for scheme, best in (("forward", 1e-8), ("central", 1e-5)):
        assert "truncation rules" in shown.status(scheme=scheme, dtype="float64", h=best * 100)
        assert "rounding rules" in shown.status(scheme=scheme, dtype="float64", h=best / 100)
        assert "near the bottom" in shown.status(scheme=scheme, dtype="float64", h=best)
    assert "nothing is left" in shown.status(scheme="forward", dtype="float32", h=1e-9)
    assert "slope 0.54" in shown.status(scheme="complex", dtype="float64", h=1e-16)


def test_the_drawn_error_is_the_error(explorer):
    shown = precision()
    h = np.array(shown.controls["h"])
    for scheme in explorers.SCHEMES:
        _, error = precision_at(scheme, "float64", h)
        xs, ys = shown.frame(scheme=scheme, dtype="float64", h=1.0)["error"]
        np.testing.assert_allclose(np.log10(xs), np.log10(h), atol=0.01)
        np.testing.assert_allclose(np.log10(ys), np.log10(np.maximum(error, 1e-17)), atol=0.02)


def test_likelihood_at_is_scipys():
    values, centre = np.random.default_rng(0).normal(size=7), np.linspace(-2, 2, 5)
    for noise, law in (("Gaussian", stats.norm), ("Laplace", stats.laplace)):
        density, loss = likelihood_at(noise, values, centre)
        expected = law.pdf(values, loc=centre[:, None])
        np.testing.assert_allclose(density, expected, rtol=1e-12)
        np.testing.assert_allclose(loss, -np.log(expected).mean(axis=1), rtol=1e-12)


def test_the_best_centre_of_the_bell_is_where_the_loss_is_lowest():
    shown = likelihood()
    for noise in explorers.NOISES:
        for last in (1.4, 5.0, 9.0):
            losses = [
                float(shown.frame(noise=noise, last=last, centre=c)["loss here"][1][0])
                for c in shown.controls["centre"]
            ]
            said = float(shown.status(noise=noise, last=last).split(", ")[-1].replace("−", "-"))
            best = shown.controls["centre"][int(np.argmin(losses))]
            assert best == pytest.approx(said, abs=0.06)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 1.05])
def test_learning_rate_at_is_the_closed_form(share):
    curvature = np.array([0.5, 1.0, 4.0])
    path = learning_rate_at(curvature, share * 2 / curvature, 30)
    np.testing.assert_allclose(path, (1 - 2 * share) ** np.arange(31) * np.ones((3, 1)), atol=1e-12)


def test_the_status_names_the_four_kinds_of_walk():
    shown = learning_rate()
    for curvature in shown.controls["curvature"]:
        for share, word in ((0.05, "slow"), (0.4, "good"), (0.9, "overshoots"), (1, "critical")):
            assert word in shown.status(curvature=curvature, rate=share * 2 / curvature)
        assert "diverges" in shown.status(curvature=curvature, rate=1.05 * 2 / curvature)
