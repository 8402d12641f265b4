"""The largest eigenvalue is the dense Hessian's; rescaling moves it and not the function."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import sharpness
from course_utils.networks import cross_entropy, mlp, train
from course_utils.sharpness import rescaled, top_eigenvalue

INPUTS, CLASSES = 3, 3


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, INPUTS))
    return X, (X @ rng.normal(size=(INPUTS, CLASSES))).argmax(-1)


def small(activation="tanh", *args, seed=0, **options):
    return mlp(
        2, 4, activation, "xavier", *args, seed=seed, inputs=INPUTS, outputs=CLASSES, **options
    ).double()


def trained(data, *args, epochs=5, **options):
    model = small(*args, **options)
    train(model, *data, rng=np.random.default_rng(0), epochs=epochs, lr=0.3)
    return model


def dense_eigenvalues(model, data):
    """Of the whole Hessian, written out by PyTorch; sorted by size, the largest last."""
    X, y = map(torch.as_tensor, data)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    sizes = [p.numel() for p in parameters.values()]

    def loss(flat):
        parts = [part.view(p.shape) for part, p in zip(flat.split(sizes), parameters.values())]
        return cross_entropy(
            torch.func.functional_call(model, dict(zip(parameters, parts)), (X,)), y
        )

    flat = torch.cat([p.flatten() for p in parameters.values()])
    hessian = torch.autograd.functional.hessian(loss, flat)
    return np.array(sorted(np.linalg.eigvalsh(hessian.numpy()), key=abs))


class Curved(nn.Module):
    """Logits (Σ xᵢ wᵢ², 0) at w = 0: with label 0, the Hessian is diagonal with entries −xᵢ."""

    def __init__(self, n):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(n).double())

    def forward(self, x):
        score = x @ self.w.square()
        return torch.stack([score, torch.zeros_like(score)], -1)


# ------------------------------------------------------------------ the eigenvalue


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("epochs", [0, 20])
def test_the_eigenvalue_is_the_largest_of_the_dense_hessian(data, activation, norm, epochs):
    model = trained(data, activation, norm, epochs=epochs)
    found = top_eigenvalue(model, *data, iterations=1000)
    assert found.eigenvalue == pytest.approx(dense_eigenvalues(model, data)[-1], rel=1e-6)
    assert found.error < 1e-3


def test_a_negative_eigenvalue_is_found_where_it_is_the_largest_in_size():
    found = top_eigenvalue(Curved(3), [[3.0, -1.0, 0.5]], [0])
    assert found.eigenvalue == pytest.approx(-3)
    assert found.error < 1e-6


def test_eigenvalues_that_tie_are_not_passed_off_as_found():
    """Between the vectors of +3 and −3 Rayleigh's quotient stands still at a wrong value."""
    few, many = [top_eigenvalue(Curved(2), [[3.0, -3.0]], [0], iterations=n) for n in (50, 51)]
    assert few.eigenvalue == pytest.approx(many.eigenvalue)
    assert abs(few.eigenvalue) < 2.9 and few.error > 0.1


@pytest.mark.parametrize("iterations", [1, 3, 10, 30])
@pytest.mark.parametrize("seed", range(3))
def test_an_eigenvalue_lies_no_further_away_than_the_error(data, iterations, seed):
    model = trained(data, seed=seed)
    found = top_eigenvalue(model, *data, iterations=iterations, seed=seed)
    nearest = np.abs(dense_eigenvalues(model, data) - found.eigenvalue).min()
    assert nearest <= found.error * abs(found.eigenvalue) * (1 + 1e-9) + 1e-12


def test_more_iterations_bring_the_error_down(data):
    errors = [top_eigenvalue(trained(data), *data, iterations=n).error for n in (2, 20, 200)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_each_run_of_a_stack_has_its_own_eigenvalue(data):
    found = top_eigenvalue(trained(data, seed=[1, 2]), *data, iterations=7)
    assert found.eigenvalue.shape == found.error.shape == (2,)
    for k, seed in enumerate([1, 2]):
        alone = top_eigenvalue(trained(data, seed=seed), *data, iterations=7)
        np.testing.assert_allclose(found.eigenvalue[k], alone.eigenvalue, rtol=1e-9)
        np.testing.assert_allclose(found.error[k], alone.error, rtol=1e-6)


def test_a_run_that_overflowed_is_nan_and_harms_no_other(data):
    stack = trained(data, seed=[1, 2])
    sound = top_eigenvalue(stack, *data)
    with torch.no_grad():
        stack.weights[0][1] = torch.nan
    found = top_eigenvalue(stack, *data)
    assert found.eigenvalue[0] == sound.eigenvalue[0] and np.isnan(found.eigenvalue[1])


def test_single_precision_agrees_with_double(data):
    model = trained(data)
    single = top_eigenvalue(copy.deepcopy(model).float(), *data)
    assert single.eigenvalue == pytest.approx(top_eigenvalue(model, *data).eigenvalue, rel=1e-4)
    assert single.eigenvalue.dtype == np.float64 and single.error < 1e-2


def test_the_seed_makes_the_first_vector(data):
    values = [
        top_eigenvalue(small(), *data, iterations=1, seed=seed).eigenvalue for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_model_as_it_was(data, training):
    model = trained(data, "relu", "batch", dropout=0.5).train(training)
    model.weights[0].requires_grad_(False)
    before = copy.deepcopy(model)
    gradients = [p.grad.clone() for p in model.parameters()]
    values = [top_eigenvalue(model, *data).eigenvalue for _ in range(2)]
    assert values[0] == values[1]  # dropout rests
    assert model.training == training and not model.weights[0].requires_grad
    for name, tensor in model.state_dict().items():
        assert (tensor == before.state_dict()[name]).all(), name
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        assert (p.grad == gradient).all()


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
        ({"iterations": 2.5}, "iterations must be a whole number, not 2.5"),
        ({"y": [0, 1]}, r"X must be features .* given X \(40, 3\) and y \(2,\)"),
    ],
)
def test_top_eigenvalue_says_what_is_wrong(data, settings, words):
    with pytest.raises((TypeError, ValueError), match=words):
        top_eigenvalue(small(), **{"X": data[0], "y": data[1], **settings})


# ------------------------------------------------------------------ rescaling


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_rescaling_keeps_the_function_and_changes_the_sharpness(data, activation, layer, factor):
    model = trained(data, activation, seed=[1, 2])
    before = copy.deepcopy(model)
    twin = rescaled(model, factor, layer)
    X = torch.as_tensor(data[0])
    torch.testing.assert_close(twin(X), model(X))
    sharp, plain = (top_eigenvalue(m, *data, iterations=200).eigenvalue for m in (twin, model))
    # Dividing weights by 10 multiplies the curvature along them by 100.
    assert (sharp > 10 * plain).all()
    for name, tensor in model.state_dict().items():
        assert (tensor == before.state_dict()[name]).all(), name
    torch.testing.assert_close(twin.weights[layer], factor * model.weights[layer])


def test_rescaling_by_one_or_there_and_back_changes_nothing(data):
    model = trained(data, "relu")
    for twin in (rescaled(model, 1), rescaled(rescaled(model, 4), 0.25)):
        assert all((p == q).all() for p, q in zip(twin.parameters(), model.parameters()))


@pytest.mark.parametrize("factor", [0, -2.0, float("nan"), float("inf")])
def test_rescaled_needs_a_factor_above_0(factor):
    with pytest.raises(ValueError, match=f"factor must be above 0 and finite, not {factor}"):
        rescaled(small("relu"), factor)


@pytest.mark.parametrize("layer", [-1, 2])
def test_rescaled_needs_a_hidden_layer(layer):
    with pytest.raises(ValueError, match=f"one of the hidden layers, 0 to 1, not {layer}"):
        rescaled(small("relu"), 2.0, layer)


@pytest.mark.parametrize(
    "activation, options",
    [
        ("tanh", {}),
        ("sigmoid", {}),
        ("relu", {"residual": True}),
        ("relu", {"norm": "batch"}),
    ],
)
def test_rescaled_refuses_networks_that_it_would_change(activation, options):
    with pytest.raises(ValueError, match="plain network of ReLU or leaky ReLU"):
        rescaled(small(activation, **options), 2.0)


def test_rescaled_refuses_networks_it_does_not_know():
    with pytest.raises(TypeError, match="made by mlp, not Linear"):
        rescaled(nn.Linear(2, 2), 2.0)


def test_every_public_name_exists():
    assert all(hasattr(sharpness, name) for name in sharpness.__all__)
