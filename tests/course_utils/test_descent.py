"""The loop: its path, its grid, its noise, and how it says that a run is lost."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.descent import FAR, descend, diverged_at
from course_utils.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop
from course_utils.schedules import constant, cosine, exponential, step, warmup
from course_utils.surfaces import BOWL, RAVINE, ROSENBROCK, SADDLE

RULES = [SGD, Adagrad, Adadelta, RMSprop, Adam, AdamW]


@given(rate=st.floats(0.01, 0.99), steps=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_plain_descent_on_a_bowl_shrinks_by_one_minus_two_eta_each_step(rate, steps):
    path = descend(BOWL, SGD(rate), [3.0, 4.0], steps)
    shrink = (1 - 2 * rate) ** np.arange(steps + 1)
    np.testing.assert_allclose(path, shrink[:, None] * [3.0, 4.0], rtol=1e-12, atol=1e-12)


def torch_loop(rule, options, schedule, steps):
    x = torch.tensor(RAVINE.start.copy(), requires_grad=True)
    opt = getattr(torch.optim, rule.__name__)([x], **options)
    scheduler = torch.optim.lr_scheduler.LambdaLR(opt, schedule)
    path = [RAVINE.start]
    for _ in range(steps):
        opt.zero_grad()
        (x[0] ** 2 / 20 + x[1] ** 2).backward()
        opt.step()
        scheduler.step()
        path.append(x.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("schedule", [constant(), cosine(60, 0.1), warmup(9, exponential(0.97))])
def test_the_path_is_that_of_torchs_loop_with_a_schedule(rule, schedule):
    theirs = torch_loop(rule, {"lr": 0.05}, schedule, 60)
    ours = descend(RAVINE, rule(lr=0.05), RAVINE.start, 60, schedule=schedule)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize("rule", RULES)
def test_every_path_of_a_grid_is_the_path_of_its_setting_alone(rule):
    rates, decays, starts = [0.01, 0.05, 0.2], [0.0, 0.1], np.array([[-7.0, 2.0], [3.0, -4.0]])
    grid = rule(
        lr=np.array(rates)[:, None, None, None], weight_decay=np.array(decays)[:, None, None]
    )
    path = descend(RAVINE, grid, starts, 30)
    assert path.shape == (31, 3, 2, 2, 2)
    for i, lr in enumerate(rates):
        for j, decay in enumerate(decays):
            for k, start in enumerate(starts):
                alone = descend(RAVINE, rule(lr=lr, weight_decay=decay), start, 30)
                np.testing.assert_allclose(path[:, i, j, k], alone, rtol=1e-13, atol=1e-300)


def test_a_grid_of_schedules_grows_the_path_too():
    gammas = np.array([0.5, 1.0])
    path = descend(BOWL, SGD(0.1), [3.0, 4.0], 20, schedule=step(5, gammas[:, None]))
    for i, gamma in enumerate(gammas):
        alone = descend(BOWL, SGD(0.1), [3.0, 4.0], 20, schedule=step(5, gamma))
        np.testing.assert_array_equal(path[:, i], alone)


def test_no_steps_give_the_start_in_the_shape_of_the_grid():
    path = descend(BOWL, SGD(np.array([[0.1], [0.2]])), [3.0, 4.0], 0)
    np.testing.assert_array_equal(path, [[[3.0, 4.0], [3.0, 4.0]]])


def test_a_gradient_function_does_as_well_as_a_surface():
    def gradient(x):
        x *= 2  # changing the argument does not change the run
        return x

    np.testing.assert_array_equal(
        descend(gradient, SGD(0.1), [3.0, 4.0], 10), descend(BOWL, SGD(0.1), [3.0, 4.0], 10)
    )


def test_a_learners_own_optimizer_will_do():
    class Plain:
        def init(self, x):
            return None

        def step(self, x, grad, state):
            return x - 0.1 * grad, state

    np.testing.assert_array_equal(
        descend(BOWL, Plain(), [3.0, 4.0], 10), descend(BOWL, SGD(0.1), [3.0, 4.0], 10)
    )


def test_start_is_not_changed_and_float32_stays_float32():
    start = np.array([3, 4], dtype=np.float32)
    noise = {"noise": 0.1, "rng": np.random.default_rng(0)}
    path = descend(BOWL, Adam(np.array([[0.1], [0.2]])), start, 5, **noise)
    assert path.dtype == np.float32
    np.testing.assert_array_equal(start, [3, 4])


# -- noise -------------------------------------------------------------------------------------


def test_noise_of_size_zero_changes_nothing_and_the_same_seed_gives_the_same_path():
    def run(noise, seed):
        return descend(
            RAVINE, SGD(0.1), RAVINE.start, 30, noise=noise, rng=np.random.default_rng(seed)
        )

    np.testing.assert_array_equal(run(0, 1), descend(RAVINE, SGD(0.1), RAVINE.start, 30))
    np.testing.assert_array_equal(run(1.0, 1), run(1.0, 1))
    assert not np.array_equal(run(1.0, 1), run(1.0, 2))


def test_a_noisy_run_out_of_a_grid_equals_the_same_run_alone():
    rates, sizes = [0.05, 0.1, 0.2], [0.5, 2.0]

    def run(rate, size):
        return descend(
            RAVINE, SGD(rate), RAVINE.start, 30, noise=size, rng=np.random.default_rng(3)
        )

    grid = run(np.array(rates)[:, None, None], np.array(sizes)[:, None])
    assert grid.shape == (31, 3, 2, 2)
    for i, rate in enumerate(rates):
        for j, size in enumerate(sizes):
            np.testing.assert_allclose(grid[:, i, j], run(rate, size), rtol=1e-13)


def test_runs_along_the_starts_axis_are_independent_and_stall_at_the_known_noise_floor():
    """x ← (1 − η) x − η ξ on the slope x settles at the variance η σ² / (2 − η)."""
    eta, sigma, runs = 0.3, 2.0, 20_000
    path = descend(
        lambda x: x, SGD(eta), np.zeros((runs, 1)), 60, noise=sigma, rng=np.random.default_rng(0)
    )
    expected = eta * sigma**2 / (2 - eta)
    # The variance of n normal numbers has a relative standard deviation of √(2/n): 1 % here.
    assert path[-1].var() == pytest.approx(expected, rel=5 * np.sqrt(2 / runs))
    assert path[-1].mean() == pytest.approx(0, abs=5 * np.sqrt(expected / runs))


# -- divergence --------------------------------------------------------------------------------


def test_a_lost_run_is_nan_from_the_step_where_it_went_too_far_and_its_neighbours_go_on():
    rates = np.array([0.1, 0.99, 1.5, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = descend(BOWL, SGD(rates[:, None]), [3.0, 4.0], 200)
    lost = diverged_at(path)
    growth = np.abs(1 - 2 * rates)
    # |x| = 4 growthᵗ passes 4 FAR first at t = ⌈log FAR / log growth⌉
    expected = [-1, -1, *np.floor(np.log(FAR) / np.log(growth[2:])).astype(int) + 1]
    np.testing.assert_array_equal(lost, expected)
    for i, t in enumerate(lost):
        assert np.isfinite(path[: t if t >= 0 else None, i]).all()
        assert t < 0 or np.isnan(path[t:, i]).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_lost_run_stays_lost_under_every_rule_without_warnings(rule):
    def gradient(x):
        return np.where(np.abs(x) < 2, np.inf, x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = descend(gradient, rule(lr=0.05), [[1.0, 5.0], [5.0, 5.0]], 3)
    np.testing.assert_array_equal(diverged_at(path), [1, -1])
    assert np.isnan(path[1:, 0]).all() and np.isfinite(path[:, 1]).all()


def test_an_overflowing_surface_warns_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = descend(ROSENBROCK, SGD(1.0), np.float32([-1.2, 1.0]), 20)
    assert diverged_at(path) > 0


def test_how_far_is_too_far_is_measured_from_the_start():
    path = descend(BOWL, SGD(0.1), [3e9, 4e9], 5)
    assert diverged_at(path) == -1
    assert diverged_at(descend(SADDLE, SGD(0.5), [0.0, 1e-3], 100)) == 30  # 2³⁰ > 10⁹ > 2²⁹


def test_diverged_at_of_one_path_is_one_number():
    assert diverged_at(np.zeros((5, 2))).shape == ()
    with pytest.raises(ValueError, match=r"shape \(steps \+ 1, \.\.\., n\)"):
        diverged_at(np.zeros(5))


# -- bad input ---------------------------------------------------------------------------------


def run(surface=BOWL, optimizer=None, start=(3.0, 4.0), steps=3, **more):
    return descend(surface, SGD(0.1) if optimizer is None else optimizer, start, steps, **more)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: run(start=[3, 4]), TypeError, "start has dtype int64.*write 3.0 for 3"),
        (lambda: run(start=[3.0, np.nan]), ValueError, "start must be finite"),
        (lambda: run(start=["a"]), TypeError, "start must be an array of floats"),
        (lambda: run(start=3.0), ValueError, r"start has shape \(\), expected \(\.\.\., n\)"),
        (lambda: run(steps=-1), ValueError, "steps must be at least 0, not -1"),
        (lambda: run(steps=3.0), TypeError, "steps must be a whole number, not 3.0"),
        (lambda: run(steps=True), TypeError, "steps must be a whole number"),
        (lambda: run(surface=3), TypeError, "must be a Surface or a gradient function"),
        (lambda: run(optimizer=SGD), TypeError, "must be an optimizer such as"),
        (lambda: run(optimizer=0.1), TypeError, "must be an optimizer such as"),
        (
            lambda: run(surface=lambda x: x[0]),
            ValueError,
            r"gradient has shape \(\) at points of shape \(2,\)",
        ),
        (
            lambda: run(surface=lambda x: x.sum(-1), start=np.ones((5, 2))),
            ValueError,
            r"gradient has shape \(5,\) at points of shape \(5, 2\)",
        ),
        (lambda: run(surface=lambda x: None), TypeError, "is its return missing"),
        (lambda: run(surface=lambda x: 1j * x), TypeError, "must be an array of numbers"),
        (lambda: run(noise=1.0), TypeError, "with noise, rng must be .*default_rng"),
        (lambda: run(noise=1.0, rng=0), TypeError, "with noise, rng must be .*default_rng"),
        (lambda: run(noise=-1.0, rng=np.random.default_rng(0)), ValueError, "noise must be finite"),
        (lambda: run(rng=np.random.default_rng(0)), ValueError, "rng is given but noise is not"),
        (lambda: run(schedule=lambda t: -1.0), ValueError, "lr must be finite and at least 0"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_schedule_needs_an_optimizer_with_a_rate():
    class NoRate:
        def init(self, x):
            return None

        def step(self, x, grad, state):
            return x, state

    with pytest.raises(TypeError, match="a schedule needs an optimizer with lr"):
        run(optimizer=NoRate(), schedule=constant())
