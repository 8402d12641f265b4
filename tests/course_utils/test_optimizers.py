"""The optimizers are torch.optim's, step by step, and never change what they are given."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import optimizers
from course_utils.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop

STEPS = 40
RULES = [SGD, Adagrad, Adadelta, RMSprop, Adam, AdamW]

rates = st.floats(1e-4, 0.5)
decays = st.one_of(st.just(0.0), st.floats(1e-4, 0.5))
tiny = st.floats(1e-10, 1e-2)
# Without any memory of sizes a rule divides g by |g|, and a g of nearly 0 has no digits to compare;
# these ends have a test of their own.
betas = st.tuples(st.floats(0.0, 0.99), st.floats(0.5, 0.9999))
momenta = st.one_of(st.just(0.0), st.floats(0.01, 0.95))


def one_of_sgd(nesterov):
    return st.fixed_dictionaries(
        {
            "lr": rates,
            "momentum": st.floats(0.01, 0.95) if nesterov else momenta,
            "dampening": st.just(0.0) if nesterov else st.floats(-0.5, 1.0),
            "weight_decay": decays,
        }
    )


# For each rule: its switch (shared by a whole grid) and the numbers of one setting.
OPTIONS = {
    SGD: ("nesterov", one_of_sgd),
    Adagrad: (
        None,
        lambda _: st.fixed_dictionaries(
            {
                "lr": rates,
                "lr_decay": decays,
                "weight_decay": decays,
                "initial_accumulator_value": decays,
                "eps": tiny,
            }
        ),
    ),
    Adadelta: (
        None,
        lambda _: st.fixed_dictionaries(
            {
                "lr": st.floats(0.01, 5.0),
                "rho": st.floats(0.0, 1.0),
                "eps": tiny,
                "weight_decay": decays,
            }
        ),
    ),
    # Centred, α is kept near 1: s − m² loses all its digits once m has caught up with g.
    RMSprop: (
        "centered",
        lambda centered: st.fixed_dictionaries(
            {
                "lr": rates,
                "alpha": st.floats(0.9 if centered else 0.5, 0.999),
                "eps": tiny,
                "weight_decay": decays,
                "momentum": momenta,
            }
        ),
    ),
    Adam: (
        "amsgrad",
        lambda _: st.fixed_dictionaries(
            {"lr": rates, "betas": betas, "eps": tiny, "weight_decay": decays}
        ),
    ),
    AdamW: (
        "amsgrad",
        lambda _: st.fixed_dictionaries(
            {"lr": rates, "betas": betas, "eps": tiny, "weight_decay": decays}
        ),
    ),
}


def grids_of(rule):
    """One to three settings of a rule, and its switch."""
    switch, one = OPTIONS[rule]
    if switch is None:
        return st.tuples(st.just({}), st.lists(one(None), min_size=1, max_size=3))
    return st.booleans().flatmap(
        lambda on: st.tuples(st.just({switch: on}), st.lists(one(on), min_size=1, max_size=3))
    )


def stacked(settings_):
    """Settings as arrays of shape (k, 1), which broadcast against points (k, n)."""

    def column(values):
        return np.array(values)[:, None]

    grid = {}
    for name in settings_[0]:
        values = [setting[name] for setting in settings_]
        grid[name] = (
            tuple(map(column, zip(*values, strict=True))) if name == "betas" else column(values)
        )
    return grid


def problem(seed, n, size=1.0):
    """A random gradient: of a quadratic with waves on it."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n)) / np.sqrt(n)
    a, b = size * root @ root.T, rng.normal(size=n)
    depth, pace = rng.normal(size=n) / 2, rng.uniform(0.5, 3, size=n)
    return (lambda x: x @ a + b + depth * np.sin(pace * x)), 3 * rng.normal(size=n)


def torch_run(rule, options, gradient, start, steps=STEPS):
    """Every point and every gradient of torch.optim's run, in start's dtype."""
    x = torch.tensor(start, requires_grad=True)
    opt = getattr(torch.optim, rule.__name__)([x], foreach=False, **options)
    points, gradients = [np.array(start)], []
    for _ in range(steps):
        gradients.append(gradient(points[-1]).astype(start.dtype))
        x.grad = torch.from_numpy(gradients[-1].copy())
        opt.step()
        points.append(x.detach().numpy().copy())
    return np.array(points), np.array(gradients)


def assert_same(ours, theirs, tolerance=1e-12):
    """Equal up to `tolerance` of the largest coordinate met so far (at least 1)."""
    scale = np.maximum.accumulate(np.maximum(1, np.abs(theirs).max(axis=-1, keepdims=True)))
    assert np.all(np.isfinite(theirs))
    assert np.max(np.abs(ours - theirs) / scale) <= tolerance


@pytest.mark.parametrize("rule", RULES)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_every_entry_of_a_grid_matches_torch_step_by_step(rule, data, seed, n):
    switch, listed = data.draw(grids_of(rule))
    gradient, start = problem(seed, n)
    runs = [torch_run(rule, switch | setting, gradient, start) for setting in listed]
    points, gradients = (np.stack(part, axis=1) for part in zip(*runs, strict=True))

    opt = rule(**switch, **stacked(listed))
    state, ours = opt.init(points[0]), [points[0]]
    # Each step is taken from torch's point with our memory: a rule near a sign change may multiply
    # a rounding error by 30, and fed back forty times it would hide whether the rule is right.
    for x, g in zip(points, gradients, strict=False):
        x, state = opt.step(x, g, state)
        ours.append(x)
    assert_same(np.array(ours), points)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (SGD, {"momentum": 0.9, "dampening": 1.0}),
        (Adadelta, {"rho": 0.0}),
        (Adadelta, {"rho": 1.0}),
        (RMSprop, {"alpha": 0.0}),
        (RMSprop, {"alpha": 1.0}),
        (Adam, {"betas": (0.0, 0.0)}),
        (AdamW, {"betas": (0.0, 0.0), "amsgrad": True}),
        *[(rule, {"lr": 0.0, "weight_decay": 0.1}) for rule in RULES],
    ],
)
def test_the_ends_of_the_ranges_match_torch(rule, options):
    start = np.array([3.0, -2.0])
    points, gradients = torch_run(rule, options, lambda x: x + np.sin(3 * x), start, steps=10)
    opt = rule(**options)
    x, state, ours = start, opt.init(start), [start]
    for g in gradients:
        x, state = opt.step(x, g, state)
        ours.append(x)
    assert_same(np.array(ours), points)


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_a_run_on_its_own_gradients_matches_torch(rule, seed, n):
    rng = np.random.default_rng(seed)
    start = 2 + rng.uniform(size=n)
    curvature = rng.uniform(0.2, 1, size=n)

    def gradient(x):  # convex, so that rounding errors die out
        return curvature * x + 0.1 * np.sin(x)

    points, _ = torch_run(rule, {"lr": 0.05}, gradient, start, steps=60)
    opt = rule(lr=0.05)
    x, state, ours = start, opt.init(start), [start]
    for _ in range(60):
        x, state = opt.step(x, gradient(x), state)
        ours.append(x)
    assert_same(np.array(ours), points)


@pytest.mark.parametrize("rule", RULES)
def test_defaults_are_torchs(rule):
    theirs = getattr(torch.optim, rule.__name__)([torch.zeros(1)]).defaults
    for name, value in vars(rule()).items():
        assert value == theirs[name], name


@pytest.mark.parametrize("rule", RULES)
def test_a_point_grows_to_the_grid_of_hyperparameters(rule):
    start, rates_, decays_ = np.array([1.0, -2.0]), np.geomspace(0.01, 0.1, 3), np.array([0, 0.1])
    opt = rule(lr=rates_[:, None, None], weight_decay=decays_[:, None])
    x, state = start, opt.init(start)
    for _ in range(5):
        x, state = opt.step(x, 3 * x, state)
    assert x.shape == (3, 2, 2)
    for i, lr in enumerate(rates_):
        for j, decay in enumerate(decays_):
            alone = rule(lr=lr, weight_decay=decay)
            y, memory = start, alone.init(start)
            for _ in range(5):
                y, memory = alone.step(y, 3 * y, memory)
            np.testing.assert_allclose(x[i, j], y, rtol=1e-14)


@pytest.mark.parametrize("rule", RULES)
def test_a_step_changes_nothing_it_is_given(rule):
    x, grad = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    opt = rule(weight_decay=0.1)
    _, state = opt.step(x, grad, opt.init(x))
    for array in (x, grad, *(v for v in state.values() if isinstance(v, np.ndarray))):
        array.flags.writeable = False
    before = dict(state)
    new_x, new_state = opt.step(x, grad, state)
    assert state.keys() == before.keys() and all(state[k] is before[k] for k in state)
    assert state["t"] == 1 and new_state["t"] == 2
    again_x, _ = opt.step(x, grad, state)
    np.testing.assert_array_equal(new_x, again_x)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lr", [0.01, np.float64(0.01), np.array([[0.01], [0.02]])])
def test_float32_in_gives_float32_out_and_torchs_float32_path(rule, lr):
    start = np.array([1.0, -2.0], dtype=np.float32)
    points, _ = torch_run(rule, {"lr": 0.01}, lambda x: 3 * x, start)
    opt = rule(lr=lr)
    x, state = start, opt.init(start)
    for _ in range(STEPS):
        x, state = opt.step(x, 3 * x, state)
    assert x.dtype == np.float32
    assert all(v.dtype == np.float32 for k, v in state.items() if k != "t")
    np.testing.assert_allclose(x if x.ndim == 1 else x[0], points[-1], rtol=2e-5)


def test_the_first_momentum_step_is_the_bare_gradient_whatever_the_dampening():
    opt = SGD(lr=1.0, momentum=0.9, dampening=0.5)
    x, state = opt.step(np.zeros(1), np.ones(1), opt.init(np.zeros(1)))
    assert x == -1.0
    x, _ = opt.step(x, np.ones(1), state)
    assert x == -1.0 - (0.9 * 1 + 0.5 * 1)


def test_without_momentum_dampening_has_no_effect():
    opt = SGD(lr=1.0, dampening=0.5)
    x, state = opt.step(np.zeros(1), np.ones(1), opt.init(np.zeros(1)))
    x, state = opt.step(x, np.ones(1), state)
    assert x == -2.0


@pytest.mark.parametrize("size", [1e-1, 1.0, 1e6])
def test_adams_first_step_is_the_rate_whatever_the_gradient(size):
    opt = Adam(lr=0.1)
    x, _ = opt.step(np.zeros(1), np.array([size]), opt.init(np.zeros(1)))
    assert x[0] == pytest.approx(-0.1, rel=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e6])
def test_adadeltas_first_step_is_set_by_eps_whatever_the_gradient(size):
    opt = Adadelta()
    x, _ = opt.step(np.zeros(1), np.array([size]), opt.init(np.zeros(1)))
    assert x[0] == pytest.approx(-np.sqrt(1e-6 / 0.1), rel=1e-4)


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "bad", "words"),
    [
        (SGD, {"lr": -0.1}, "lr must be finite and at least 0, but lr = -0.1"),
        (SGD, {"momentum": -1}, "momentum must be"),
        (SGD, {"dampening": np.inf}, "dampening must be finite"),
        (Adagrad, {"lr_decay": -1}, "lr_decay must be"),
        (Adagrad, {"initial_accumulator_value": -1}, "initial_accumulator_value must be"),
        (Adadelta, {"rho": 1.1}, "rho must be between 0 and 1"),
        (RMSprop, {"alpha": 1.1}, "alpha must be between 0 and 1"),
        (RMSprop, {"momentum": -0.1}, "momentum must be"),
        (Adam, {"betas": (1.0, 0.9)}, r"betas\[0\] must be at least 0 and below 1"),
        (Adam, {"betas": (0.9, 1.0)}, r"betas\[1\] must be at least 0 and below 1"),
        (AdamW, {"betas": 0.9}, "betas must be a pair"),
        (SGD, {"nesterov": True}, "nesterov=True needs momentum > 0"),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening = 0.1"),
        (SGD, {"nesterov": True, "momentum": np.array([0.9, 0.0])}, "nesterov=True needs"),
        *[(rule, {"lr": np.array([0.1, -0.2])}, "lr = -0.2") for rule in RULES],
        *[(rule, {"lr": np.nan}, "lr = nan") for rule in RULES],
        *[(rule, {"lr": np.inf}, "lr = inf") for rule in RULES],
        *[(rule, {"weight_decay": np.nan}, "weight_decay = nan") for rule in RULES],
        *[(rule, {"eps": -1e-8}, "eps must be") for rule in RULES[1:]],
    ],
)
def test_a_hyperparameter_out_of_range_is_named(rule, bad, words):
    with pytest.raises(ValueError, match=words):
        rule(**bad)


@pytest.mark.parametrize(
    ("rule", "bad", "words"),
    [
        (SGD, {"lr": "0.1"}, "lr must be a number"),
        (SGD, {"lr": True}, "lr must be a number"),
        (Adam, {"betas": (0.9, None)}, r"betas\[1\] must be a number"),
        (SGD, {"nesterov": 1, "momentum": 0.9}, "nesterov must be True or False"),
        (RMSprop, {"centered": np.array([True, False])}, "centered must be True or False"),
        (AdamW, {"amsgrad": "yes"}, "amsgrad must be True or False"),
    ],
)
def test_a_hyperparameter_of_the_wrong_kind_is_named(rule, bad, words):
    with pytest.raises(TypeError, match=words):
        rule(**bad)


def test_integer_points_are_refused_with_the_fix():
    with pytest.raises(TypeError, match="dtype=float"):
        SGD().init(np.array([3, 4]))
    with pytest.raises(TypeError, match="dtype=float"):
        SGD().step(np.array([3, 4]), np.array([6.0, 8.0]), SGD().init(np.zeros(2)))


def test_a_gradient_of_another_shape_is_refused_before_it_broadcasts():
    opt, x = SGD(), np.zeros((3, 1))
    with pytest.raises(ValueError, match=r"grad has shape \(3,\) but x has shape \(3, 1\)"):
        opt.step(x, np.zeros(3), opt.init(x))


def test_a_gradient_that_is_no_number_is_refused():
    opt, x = Adam(), np.zeros(2)
    with pytest.raises(TypeError, match="grad must be an array of numbers, not array"):
        opt.step(x, None, opt.init(x))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"lr": np.full(41, 0.1)}, "lr"),
        ({"betas": (0.9, np.full(41, 0.9))}, r"betas\[1\]"),
    ],
)
def test_a_grid_without_a_last_axis_for_coordinates_is_explained(options, name):
    with pytest.raises(ValueError, match=rf"{name} of shape \(41,\).*{name}\[\.\.\., None\]"):
        Adam(**options).init(np.zeros(2))


def test_hyperparameters_cannot_be_changed_from_outside():
    lr = np.array([[0.1], [0.2]])
    opt = SGD(lr=lr)
    lr[0] = -1
    assert opt.lr[0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        opt.lr[0] = -1


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), np.array(0.1), np.float32(0.5), 1])
def test_a_number_is_kept_as_a_python_float(lr):
    assert type(SGD(lr=lr).lr) is float and SGD(lr=lr).lr == lr


def test_all_names_exist():
    assert [rule.__name__ for rule in RULES] == optimizers.__all__
