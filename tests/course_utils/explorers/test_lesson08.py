import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import networks
from course_utils.data import digits, minibatches, split
from course_utils.explorers import learning_curves, learning_curves_at, lesson08


@pytest.fixture(scope="module")
def made():
    """The explorer, and what it got from the pure function: all rates × all first weights."""
    runs = {}

    def remembered(rates, size, inits, seed):
        runs[size] = learning_curves_at(rates, size, inits, seed)
        return runs[size]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson08, "learning_curves_at", remembered)
        return learning_curves(), runs


@pytest.fixture(scope="module")
def shown(made):
    return made[0]


@pytest.fixture(scope="module")
def found(made):
    return made[1]


def number(words):
    return float(words.split()[0].rstrip(",;.").replace("−", "-"))


def plain_loop(rate, batch_size, init, seed):
    """The same run with nn.Linear and torch.optim.SGD: losses, steps ÷ weights, validation."""
    rng = np.random.default_rng(seed)
    X, y = digits()
    (X, y), (X_val, y_val), _ = split(rng, X, y, 300 / 1797, 997 / 1797)
    X, y, X_val, y_val = map(torch.tensor, (X, y, X_val, y_val))
    model = nn.Sequential(
        nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
    ).double()
    with torch.no_grad():
        for layer, weight in zip(model[::2], networks.mlp(2, 32, "relu", init, seed=seed).weights):
            layer.weight.copy_(weight.T)
            layer.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses, updates = [], []
    while True:
        for batch in minibatches(rng, 500, batch_size):
            if len(losses) == 150:
                scores = model(X_val)
                right = (scores.argmax(1) == y_val).double().mean()
                return losses, updates, nn.CrossEntropyLoss()(scores, y_val).item(), right.item()
            before = nn.utils.parameters_to_vector(model.parameters()).detach()
            loss = nn.CrossEntropyLoss()(model(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            after = nn.utils.parameters_to_vector(model.parameters()).detach()
            losses.append(loss.item())
            updates.append(float((after - before).norm() / before.norm()))


@pytest.mark.parametrize(
    "rate, batch_size, init, seed",
    [(0.1, 50, "he", 0), (0.05, 250, "tiny", 3), (0.002, 10, "large", 1)],
)
def test_the_curves_are_those_of_a_plain_torch_loop(rate, batch_size, init, seed):
    run = learning_curves_at(rate, batch_size, init, seed)
    losses, updates, val_loss, val_accuracy = plain_loop(rate, batch_size, init, seed)
    assert run.loss.shape == run.update.shape == run.steps.shape == (150,)
    assert run.val_loss.shape == run.val_accuracy.shape == run.val_steps.shape == (31,)
    assert (run.val_steps[[0, -1]] == [0, 150]).all()
    np.testing.assert_allclose(run.loss, losses, rtol=1e-7)
    np.testing.assert_allclose(run.update, updates, rtol=1e-6)
    assert run.val_loss[-1] == pytest.approx(val_loss, rel=1e-7)
    assert run.val_accuracy[-1] == pytest.approx(val_accuracy)


def test_the_runs_of_a_grid_are_the_single_ones(found, shown):
    rates, inits = (shown.controls[name] for name in ("learning_rate", "init"))
    assert list(found) == shown.controls["batch_size"]
    # Rates at which rounding errors do not grow.
    for size, i, j in [(10, 3, 0), (50, 5, 1), (250, 0, 2), (250, 4, 1)]:
        alone = learning_curves_at(rates[i], size, inits[j])
        for name in ("loss", "update", "val_loss", "val_accuracy"):
            np.testing.assert_allclose(
                getattr(found[size], name)[i, j], getattr(alone, name), rtol=1e-6
            )


def test_the_explorer_shows_what_the_pure_function_gives(shown, found):
    for size, runs in found.items():
        for i, rate in enumerate(shown.controls["learning_rate"]):
            for j, init in enumerate(shown.controls["init"]):
                at = dict(learning_rate=rate, batch_size=size, init=init)
                frame, said = shown.frame(**at), shown.status(**at)
                for label, steps, exact, (low, high) in [
                    ("training (mini-batch)", runs.steps, runs.loss[i, j], (0.02, 60)),
                    ("validation", runs.val_steps, runs.val_loss[i, j], (0.02, 60)),
                    ("each step", runs.steps, runs.update[i, j], (1e-5, 10)),
                ]:
                    xs, ys = frame[label]
                    inside = (low < exact) & (exact < high)
                    np.testing.assert_allclose(xs[inside], steps[inside], atol=0.1)
                    np.testing.assert_allclose(
                        np.log10(ys[inside]), np.log10(exact[inside]), atol=0.01
                    )
                    assert (ys[exact > high] > 0.99 * high).all()
                    assert (ys[exact < low] < 1.01 * low).all()
                told = [
                    number(said.split(words)[1])
                    for words in ("First loss ", "validation loss ", "median step ")
                ]
                expected = [
                    runs.loss[i, j, 0],
                    runs.val_loss[i, j, -1],
                    np.median(runs.update[i, j]),
                ]
                np.testing.assert_allclose(told, expected, rtol=0.006)
                read = number(said.split("validation loss ")[1].split(", ")[1])
                assert abs(read - 100 * runs.val_accuracy[i, j, -1]) <= 0.51


def test_the_words_for_a_rate_are_true(shown, found):
    seen = set()
    for size, runs in found.items():
        for j, init in enumerate(shown.controls["init"]):
            error = runs.val_loss[:, j, -1]
            for i, rate in enumerate(shown.controls["learning_rate"]):
                said = shown.status(learning_rate=rate, batch_size=size, init=init)
                said = said.split("weights. ")[1]
                seen.add(said)
                if "No rate" in said:
                    assert min(error) > math.log(10) / 2
                elif "Too small" in said:
                    assert min(error[i + 1 :]) < error[i] / 1.5
                elif "like a guess" in said:
                    assert error[i] > 2.18 and min(error[:i]) < error[i] / 1.5
                    assert runs.val_accuracy[i, j, -1] < 0.3
                elif "Too large" in said:
                    assert min(error[:i]) < error[i] / 1.5
                else:
                    assert "About as good" in said
                    assert error[i] <= 1.5 * min(error) < 1.5 * math.log(10) / 2
    assert len(seen) == 5


def test_overflow_leaves_a_gap_and_is_told(monkeypatch, found):
    with monkeypatch.context() as patched:
        patched.setitem(networks.INITS, "large", lambda n, m: 1e60)
        wild = learning_curves_at(10.0, 50, "large")
    k = int(np.flatnonzero(~np.isfinite(wild.loss))[0])
    assert not np.isfinite(wild.loss[k:]).any() and not np.isfinite(wild.val_loss[-1])

    def with_one_wild_run(rates, size, inits, seed):
        changed = {
            name: getattr(found[size], name).copy()
            for name in ("loss", "update", "val_loss", "val_accuracy")
        }
        for name, array in changed.items():
            array[-1, -1] = getattr(wild, name)
        return replace(found[size], **changed)

    monkeypatch.setattr(lesson08, "learning_curves_at", with_one_wild_run)
    shown = learning_curves()
    at = dict(learning_rate=10.0, init="large")
    assert shown.status(**at).endswith(f"diverged at step {k}")
    drawn = shown.frame(**at)["training (mini-batch)"][1]
    assert np.isnan(drawn[k:]).all() and np.isfinite(drawn[:k]).all()
    assert "diverged" not in shown.status(learning_rate=10.0, init="he")


@pytest.mark.parametrize("seed", range(3))
def test_first_loss_tells_the_first_weights_apart(seed):
    first = learning_curves_at(0.01, 250, ["tiny", "he", "large"], seed).loss[:, 0]
    assert first[0] == pytest.approx(math.log(10), abs=0.01)
    assert first[1] == pytest.approx(math.log(10), abs=0.7)
    assert first[2] > 5


@pytest.mark.parametrize(
    "rate, batch_size, init, words",
    [
        (0.0, 50, "he", "a rate is a number above 0.*not 0.0"),
        ([0.1, math.nan], 50, "he", "above 0.*not nan"),
        (0.1, 501, "he", "only n = 500 samples"),
        (0.1, 50, "huge", "init must be one of .*not 'huge'"),
    ],
)
def test_learning_curves_at_says_what_is_wrong_with_its_arguments(rate, batch_size, init, words):
    with pytest.raises(ValueError, match=words):
        learning_curves_at(rate, batch_size, init)


def test_both_ends_of_every_control_draw_and_say_something_else(shown):
    for control, values in shown.controls.items():
        said = {shown.status(**{control: value}) for value in (values[0], values[-1])}
        drawn = {repr(shown.frame(**{control: value})) for value in (values[0], values[-1])}
        assert len(said) == len(drawn) == 2


def test_the_explorer_is_light(shown):
    assert len(shown.data) + len(shown.stage) < 0.5e6
