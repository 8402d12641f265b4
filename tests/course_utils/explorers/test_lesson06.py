import numpy as np
import pytest
import torch

from course_utils.data import digits
from course_utils.explorers import xray, xray_at
from course_utils.networks import mlp

SIZES = {
    "activation |a|": "activation",
    "|δ|": "delta",
    "gradient |∂L/∂W|": "gradient",
    "step ÷ weights (η = 0.1)": "update",
}
SHARES = {"saturated activations": "saturated", "dead units": "dead"}


@pytest.fixture(scope="module")
def shown():
    return xray()


def picture(depth, activation, init, norm, residual):
    return xray_at(depth, activation, init, norm, residual == "yes")


def by_hand(depth, activation, init, residual, seed):
    """Mean |a|, |δ| and |∂L/∂W| of each hidden layer, by the chain rule in NumPy's float64."""
    X, y = digits()
    some = np.random.default_rng(seed).permutation(len(X))[:128]
    X, y = X[some], y[some]
    model = mlp(depth, 32, activation, init, "none", residual, seed=seed)
    weights = [w.detach().double().numpy() for w in model.weights]
    f = {
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "tanh": np.tanh,
        "relu": lambda z: np.maximum(z, 0),
    }[activation]
    slope = {
        "sigmoid": lambda z: f(z) * (1 - f(z)),
        "tanh": lambda z: 1 - f(z) ** 2,
        "relu": lambda z: (z > 0) * 1.0,
    }[activation]
    inputs, zs = [X], []
    for k, w in enumerate(weights[:-1]):
        zs.append(inputs[-1] @ w)  # biases start at 0
        inputs.append(f(zs[-1]) + (inputs[-1] if residual and k > 0 else 0))
    scores = inputs[-1] @ weights[-1]
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    back = (p - np.eye(10)[y]) / len(y) @ weights[-1].T  # ∂L/∂a of the last hidden layer
    rows = []
    for k in reversed(range(depth)):
        delta = back * slope(zs[k])
        rows.append([np.abs(m).mean() for m in (inputs[k + 1], delta, inputs[k].T @ delta)])
        back = delta @ weights[k].T + (back if residual and k > 0 else 0)
    return np.array(rows[::-1]).T


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    "activation, init", [("sigmoid", "xavier"), ("tanh", "large"), ("relu", "he")]
)
def test_the_x_ray_is_the_chain_rule_by_hand(activation, init, residual):
    found = xray_at(6, activation, init, "none", residual, seed=3)
    expected = by_hand(6, activation, init, residual, seed=3)
    for row, name in zip(expected, ("activation", "delta", "gradient")):
        np.testing.assert_allclose(getattr(found, name), row, rtol=2e-4)


def test_several_inits_are_the_single_ones_stacked():
    stack = xray_at(5, "tanh", ["tiny", "he"], "batch", True)
    for k, init in enumerate(["tiny", "he"]):
        alone = xray_at(5, "tanh", init, "batch", True)
        np.testing.assert_allclose(stack.gradient[k], alone.gradient, rtol=1e-4)


def test_the_explorer_shows_what_the_pure_function_gives(shown):
    rng = np.random.default_rng(0)
    for _ in range(25):
        at = {name: values[rng.integers(len(values))] for name, values in shown.controls.items()}
        if at["init"] == "equal":
            continue  # its gradients are what rounding leaves of 0
        found, frame = picture(**at), shown.frame(**at)
        layers = np.arange(1, at["depth"] + 1)
        for label, name in (SIZES | SHARES).items():
            xs, ys = (side[: at["depth"]] for side in frame[label])
            expected = getattr(found, name)
            assert not np.isfinite(frame[label][0][at["depth"] :]).any()
            if label in SHARES:
                np.testing.assert_allclose(ys, expected, atol=0.01)
                np.testing.assert_allclose(xs, layers, atol=0.05)
            else:
                seen = (expected > 1e-12) & (expected < 1e4)
                np.testing.assert_allclose(xs[seen], layers[seen], atol=0.05)
                np.testing.assert_allclose(np.log10(ys[seen]), np.log10(expected[seen]), atol=0.02)


def test_a_line_that_leaves_the_axes_is_seen_to_leave(shown):
    low, high = shown.figure.axes[0].get_ylim()
    exploded = shown.frame(depth=50, activation="relu", init="large")["activation |a|"][1]
    vanished = shown.frame(depth=50, activation="tanh", init="tiny")["activation |a|"][1]
    assert np.isfinite(exploded).all() and exploded[-1] > high
    assert np.isfinite(vanished).all() and vanished[-1] < low


@pytest.mark.parametrize(
    "settings, words",
    [
        (
            dict(depth=20, activation="sigmoid", init="xavier"),
            "vanishes on the way back, to about 1e−",
        ),
        (dict(depth=50, activation="sigmoid", init="tiny"), "of 50 layers get no gradient at all"),
        (dict(depth=50, activation="tanh", init="tiny"), "next to nothing, in any layer"),
        (dict(depth=2, activation="sigmoid", init="equal"), "next to nothing, in any layer"),
        (dict(depth=50, activation="relu", init="large"), "explodes, activations beyond 1e"),
        (
            dict(depth=50, activation="relu", init="he", residual="yes"),
            "explodes, activations beyond",
        ),
        (dict(depth=50, activation="relu", init="he", norm="batch"), "explodes on the way back"),
        (
            dict(depth=50, activation="relu", init="he", norm="batch", residual="yes"),
            "first and last within a factor of 100",
        ),
    ],
)
def test_the_status_tells_what_happens_to_the_gradient(shown, settings, words):
    said = shown.status(**settings)
    assert words in said
    found = picture(**(shown.start | settings))
    first, last = found.gradient[[0, -1]]
    told = [part.split()[0].strip(",:") for part in said.split(" layer ")[1:2]]
    told += [said.split("in the last ")[1].split(":")[0]]
    if settings["init"] != "equal":
        for text, value in zip(told, (first, last)):
            assert float(text.replace("−", "-")) == pytest.approx(value, rel=0.01)
    if "about" in said:
        power = float(said.split("about ")[1].split()[0].replace("−", "-"))
        assert power / 3.2 < first / last < power * 3.2
    if "beyond 1e" in said:
        power = float(said.split("beyond ")[1].split(".")[0])
        assert power <= found.activation.max() < 10 * power


def test_overflow_is_told_and_drawn_beyond_the_axes(monkeypatch):
    from course_utils import networks

    monkeypatch.setitem(networks.INITS, "large", lambda n, m: 1e3)
    shown = xray()
    settings = dict(depth=50, activation="relu", init="large")
    assert "explodes, beyond the largest number of float32" in shown.status(**settings)
    heights = shown.frame(**settings)["activation |a|"][1]
    assert np.isfinite(heights).all() and heights[-1] > 1e5


def test_both_ends_of_every_control_draw_and_say_something_else(shown):
    for control, values in shown.controls.items():
        said = {shown.status(**{control: value}) for value in (values[0], values[-1])}
        drawn = {repr(shown.frame(**{control: value})) for value in (values[0], values[-1])}
        assert len(said) == len(drawn) == 2


def test_making_the_explorer_leaves_pytorchs_own_random_numbers_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    xray_at(2, "relu", "he", "none", False)
    assert torch.equal(torch.get_rng_state(), before)
