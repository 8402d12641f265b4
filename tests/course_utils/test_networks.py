"""Networks compute what PyTorch's own layers do; a run of a stack is the network alone."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given as given_losses
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from course_utils import networks
from course_utils.networks import (
    ACTIVATIONS,
    INITS,
    MLP,
    accuracy,
    cross_entropy,
    mlp,
    stopping_epoch,
    train,
    xray,
)

N, INPUTS, CLASSES = 60, 6, 4
LAYERS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
NOTHING = {"rtol": 0, "atol": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, INPUTS))
    return X, (X @ rng.normal(size=(INPUTS, CLASSES))).argmax(-1)


def small(depth=3, width=5, activation="tanh", init="xavier", *args, **options):
    """A network in double precision, so that equal means equal to the last digits."""
    options = {"inputs": INPUTS, "outputs": CLASSES, **options}
    return mlp(depth, width, activation, init, *args, **options).double()


def run_of(stack, k):
    """Network k of a stack, as a network alone."""
    alone = copy.deepcopy(stack)
    for holder in [alone.weights, alone.biases]:
        for i, p in enumerate(holder):
            holder[i] = nn.Parameter(p.detach()[k].clone())
    for norm in alone.norms:
        norm.gain, norm.shift = nn.Parameter(norm.gain[k]), nn.Parameter(norm.shift[k])
        norm.mean, norm.variance = norm.mean[k].clone(), norm.variance[k].clone()
    alone.runs = torch.Size([])
    return alone


def in_pytorch(model):
    """The same network from PyTorch's own layers, weights copied."""
    layers = []
    for k, weight in enumerate(model.weights):
        last = k == len(model.weights) - 1
        layers.append(nn.Linear(*weight.shape, bias=last or not model.norms).double())
        layers[-1].weight.data.copy_(weight.T)
        if layers[-1].bias is not None:
            layers[-1].bias.data.copy_(model.biases[-1 if last else k])
        else:
            layers.append(nn.BatchNorm1d(weight.shape[1]).double())
            layers[-1].weight.data.copy_(model.norms[k].gain)
            layers[-1].bias.data.copy_(model.norms[k].shift)
        if not last:
            layers.append(LAYERS[model.activation]())
    return nn.Sequential(*layers)


def batches(data, count=5):
    X, y = torch.as_tensor(data[0]), torch.as_tensor(data[1])
    return [(X[k::count], y[k::count]) for k in range(count)]


def same(a, b, rtol=1e-10, atol=1e-12):
    for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=rtol, atol=atol)


# ------------------------------------------------------------------ the network


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_computes_and_learns_what_pytorchs_layers_do(data, activation, norm):
    ours = small(3, 5, activation, "he", norm)
    with torch.no_grad():
        for p in [*ours.biases, *[p for layer in ours.norms for p in layer.parameters()]]:
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    theirs = in_pytorch(ours)
    steps = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (ours, theirs)]
    for X, y in batches(data):  # in training mode: the statistics of the batch
        for model, step in zip((ours, theirs), steps):
            step.zero_grad()
            functional.cross_entropy(model(X), y).backward()
            step.step()
    X = torch.as_tensor(data[0])
    torch.testing.assert_close(ours(X), theirs(X))
    torch.testing.assert_close(ours.eval()(X), theirs.eval()(X))  # the running statistics
    for layer, norm1d in zip(ours.norms, [m for m in theirs if isinstance(m, nn.BatchNorm1d)]):
        assert (norm1d.running_mean != 0).all()
        torch.testing.assert_close(layer.mean, norm1d.running_mean)
        torch.testing.assert_close(layer.variance, norm1d.running_var)


def test_a_residual_is_added_in_each_hidden_layer_but_the_first(data):
    model = small(3, residual=True)
    a = x = torch.as_tensor(data[0])
    for k in range(3):
        out = torch.tanh(a @ model.weights[k] + model.biases[k])
        a = out + a if k else out
    torch.testing.assert_close(model(x), a @ model.weights[3] + model.biases[3])


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_each_run_of_a_stack_is_the_network_of_its_seed_and_init(data, norm):
    X = torch.as_tensor(data[0])
    inits, seeds = ["he", "xavier", "equal"], [3, 1, 4]
    stack = small(3, 5, "relu", inits, norm, seed=seeds)
    out = stack(X)
    assert out.shape == (3, N, CLASSES)
    for k, (init, seed) in enumerate(zip(inits, seeds)):
        alone = small(3, 5, "relu", init, norm, seed=seed)
        torch.testing.assert_close(alone(X), out[k])
        same(run_of(stack, k), alone)


def test_one_seed_serves_all_inits_and_one_init_all_seeds():
    same(small(init=["he", "tiny"], seed=7), small(init=["he", "tiny"], seed=[7, 7]), **NOTHING)
    same(small(init="he", seed=range(3)), small(init=["he"] * 3, seed=[0, 1, 2]), **NOTHING)
    assert small(seed=[5]).weights[0].shape == (1, INPUTS, 5)  # a stack of one


def test_the_seed_makes_the_first_weights():
    first, again, other = small(seed=0), small(seed=0), small(seed=1)
    same(first, again, **NOTHING)
    assert all((p != q).all() for p, q in zip(first.weights, other.weights))


@pytest.mark.parametrize(
    "init, spread",
    [
        ("tiny", lambda n, m: 0.01),
        ("large", lambda n, m: 1.0),
        ("xavier", lambda n, m: (2 / (n + m)) ** 0.5),
        ("he", lambda n, m: (2 / n) ** 0.5),
    ],
)
def test_first_weights_have_the_standard_deviation_of_their_name(init, spread):
    model = mlp(2, 300, init=init, inputs=100)
    for weight in list(model.weights)[:-1]:
        n, m = weight.shape
        assert weight.std().item() == pytest.approx(spread(n, m), rel=0.03)  # 5 standard errors
        assert abs(weight.mean().item()) < 5 * spread(n, m) / (n * m) ** 0.5
    assert model.weights[-1].std().item() == pytest.approx(300**-0.5, rel=0.08)
    assert all((bias == 0).all() for bias in model.biases)
    assert set(INITS) == {"equal", "tiny", "large", "xavier", "he"}


@pytest.mark.parametrize(
    "init, pytorchs",
    [
        ("xavier", nn.init.xavier_normal_),
        ("he", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
    ],
)
def test_xavier_and_he_are_as_large_as_pytorchs(init, pytorchs):
    theirs = pytorchs(torch.empty(300, 100))  # outputs first
    assert mlp(1, 300, init=init, inputs=100).weights[0].std().item() == pytest.approx(
        theirs.std().item(), rel=0.03
    )


def test_equal_weights_stay_equal_because_of_symmetry(data):
    model = small(3, 5, "tanh", "equal")
    train(model, *data, rng=np.random.default_rng(0), epochs=3, lr=0.5)
    assert not torch.allclose(model.weights[1], torch.tensor(0.1).double())  # it did learn
    for k, weight in enumerate(model.weights):
        if k < 3:  # every unit of a hidden layer has the weights of its neighbour
            torch.testing.assert_close(weight, weight[:, :1].expand_as(weight))
        if k > 0:
            torch.testing.assert_close(weight, weight[:1].expand_as(weight))


def test_dropout_acts_in_training_only_and_keeps_the_mean():
    model = small(1, 400, "sigmoid", dropout=0.5)
    X = torch.zeros(1, INPUTS).double()  # every activation is a half
    record = []
    model.eval()(X, record)
    assert (record[0][1] == 0.5).all()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.train()(X, record)
    assert set(record[1][1].unique().tolist()) == {0.0, 1.0}
    assert record[1][1].mean().item() == pytest.approx(0.5, abs=0.125)  # 5 standard errors


def test_torch_func_sees_the_parameters():
    model = small(2)
    X = torch.ones(2, INPUTS).double()
    doubled = {name: (2 * p).requires_grad_() for name, p in model.named_parameters()}
    out = torch.func.functional_call(model, doubled, (X,)).square().sum()
    assert all((slope != 0).any() for slope in torch.autograd.grad(out, doubled.values()))


@pytest.mark.parametrize(
    "settings, words",
    [
        (
            {"activation": "rleu"},
            'activation must be one of "sigmoid", "tanh", "relu", "leaky_relu"; not ',
        ),
        ({"norm": "layer"}, 'norm must be one of "none", "batch"; not '),
        ({"init": "kaiming"}, 'init must be one of "equal", "tiny", "large", "xavier", "he"; not '),
        ({"init": ["he", "kaiming"]}, "not 'kaiming'"),
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"depth": 2.0}, "depth must be a whole number, not 2.0"),
        ({"width": -3}, "width must be at least 1, not -3"),
        ({"inputs": 0}, "inputs must be"),
        ({"outputs": True}, "outputs must be"),
        ({"dropout": 1}, "dropout must be at least 0 and below 1, not 1"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, not -0.1"),
        ({"dropout": float("nan")}, "not nan"),
        ({"init": ["he", "tiny"], "seed": range(3)}, "one seed, a whole number, for each init"),
        ({"seed": [[1, 2]]}, "given 'he' and"),
        ({"seed": []}, "one seed"),
        ({"seed": 1.5}, "a whole number"),
    ],
)
def test_mlp_says_what_is_wrong(settings, words):
    with pytest.raises((TypeError, ValueError), match="^mlp: ") as error:
        mlp(**{"depth": 2, **settings})
    assert words in str(error.value)


def test_batch_normalisation_refuses_to_learn_from_one_sample(data):
    model = small(norm="batch")
    one = torch.as_tensor(data[0][:1])
    with pytest.raises(ValueError, match="one sample has no spread"):
        model(one)
    assert model.eval()(one).isfinite().all()


# ------------------------------------------------------------------ loss and accuracy


def test_the_loss_of_each_run_is_pytorchs():
    random = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(3, 7, CLASSES, generator=random)
    y = torch.randint(CLASSES, (3, 7), generator=random)
    for k in range(3):
        torch.testing.assert_close(
            cross_entropy(logits, y)[k], functional.cross_entropy(logits[k], y[k])
        )
        torch.testing.assert_close(
            cross_entropy(logits, y[0])[k], functional.cross_entropy(logits[k], y[0])
        )
    assert cross_entropy(logits[0], y[0]).shape == ()


def test_accuracy_counts_the_largest_logits():
    logits = torch.tensor([[[2.0, 1.0], [0.0, 3.0]], [[1.0, 2.0], [0.0, 3.0]]])
    assert accuracy(logits, torch.tensor([0, 1])).tolist() == [1.0, 0.5]
    assert accuracy(logits, torch.tensor([[1, 1], [1, 1]])).tolist() == [0.5, 1.0]
    assert accuracy(logits[1], torch.tensor([0, 0])).item() == 0.0


# ------------------------------------------------------------------ training


def test_training_is_the_loop_that_pytorchs_users_write(data):
    """With momentum and clipping, on a plain nn.Sequential."""
    ours = in_pytorch(small())
    theirs = copy.deepcopy(ours)
    history = train(
        ours,
        *data,
        rng=np.random.default_rng(3),
        epochs=2,
        lr=0.1,
        batch_size=13,
        momentum=0.9,
        clip=0.5,
    )
    X, y = map(torch.as_tensor, data)
    step = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    rng, cut = np.random.default_rng(3), 0
    losses = [functional.cross_entropy(theirs(X), y).item()]
    for _ in range(2):
        order = rng.permutation(N)
        for start in range(0, N, 13):
            batch = order[start : start + 13]
            step.zero_grad()
            functional.cross_entropy(theirs(X[batch]), y[batch]).backward()
            cut += nn.utils.clip_grad_norm_(theirs.parameters(), 0.5).item() > 0.5
            step.step()
        losses.append(functional.cross_entropy(theirs(X), y).item())
    assert 0 < cut < 10  # some gradients were cut, and some were not
    same(ours, theirs, rtol=1e-5, atol=1e-7)  # clip_grad_norm_ adds 1e-6 to the length
    np.testing.assert_allclose(history.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(history.accuracy[-1], (ours(X).argmax(-1) == y).double().mean())


OPTIONS = {
    "plain": {},
    "clip": {"clip": 0.3},
    "momentum": {"momentum": 0.9},
    "adam": {"optimizer": torch.optim.Adam, "lr": 0.01},
    "penalty": {"penalty": lambda model: 0.1 * sum(w.square().sum() for w in model.weights)},
    "penalty of each run": {
        "penalty": lambda model: 0.1 * sum(w.abs().sum((-2, -1)) for w in model.weights)
    },
    "transform": {"transform": lambda features: features + 0.5},
}


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("name", OPTIONS)
def test_each_run_of_a_stack_learns_as_if_it_were_alone(data, name, norm):
    options = {"lr": 0.2, "epochs": 2, "batch_size": 20, "validation": data, **OPTIONS[name]}
    stack = small(2, 5, "tanh", "xavier", norm, seed=[1, 2])
    together = train(stack, *data, rng=np.random.default_rng(5), **options)
    for k, seed in enumerate([1, 2]):
        model = small(2, 5, "tanh", "xavier", norm, seed=seed)
        alone = train(model, *data, rng=np.random.default_rng(5), **options)
        same(run_of(stack, k), model)
        np.testing.assert_allclose(together.loss[:, k], alone.loss)
        np.testing.assert_allclose(together.val_accuracy[:, k], alone.val_accuracy)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_run_may_have_a_rate_of_its_own(data, name):
    rates = [0.01, 0.2, 0.5]
    options = {**OPTIONS[name], "epochs": 2, "batch_size": 20}
    options.pop("lr", None)
    stack = small(2, 5, "tanh", "xavier", "batch", seed=[1, 1, 2])
    together = train(stack, *data, rng=np.random.default_rng(5), lr=rates, **options)
    for k, (seed, rate) in enumerate(zip([1, 1, 2], rates)):
        model = small(2, 5, "tanh", "xavier", "batch", seed=seed)
        alone = train(model, *data, rng=np.random.default_rng(5), lr=rate, **options)
        same(run_of(stack, k), model)
        np.testing.assert_allclose(together.loss[:, k], alone.loss)


@pytest.mark.parametrize("own", ["X", "y", "both"])
def test_runs_may_have_features_or_labels_of_their_own(data, own):
    X, y = data
    Xs, ys = np.stack([X, X[::-1]]), np.stack([y, y[::-1]])
    stack = small(seed=[1, 2])
    train(
        stack,
        X if own == "y" else Xs,
        y if own == "X" else ys,
        epochs=2,
        lr=0.2,
        rng=np.random.default_rng(5),
    )
    for k, seed in enumerate([1, 2]):
        model = small(seed=seed)
        train(
            model,
            X if own == "y" else Xs[k],
            y if own == "X" else ys[k],
            epochs=2,
            lr=0.2,
            rng=np.random.default_rng(5),
        )
        same(run_of(stack, k), model)


def test_a_run_that_overflows_stays_nan_and_harms_no_other(data):
    stack = small(3, 5, "relu", ["he", "he"], seed=[1, 2])
    alone = small(3, 5, "relu", "he", seed=1)
    with torch.no_grad():
        for weight in stack.weights:
            weight[1] *= 1e100
    options = {"epochs": 2, "lr": 0.1, "clip": 1.0}
    history = train(stack, *data, rng=np.random.default_rng(5), **options)
    train(alone, *data, rng=np.random.default_rng(5), **options)
    assert np.isnan(history.loss[:, 1]).all() and np.isfinite(history.loss[:, 0]).all()
    same(run_of(stack, 0), alone)


def test_a_penalty_is_added_to_the_loss(data):
    """In the full batch, (λ/2) ‖w‖² is the weight decay λ of plain descent."""
    ours, theirs = small(), small()
    options = {"epochs": 3, "lr": 0.2, "batch_size": N}
    train(
        ours,
        *data,
        rng=np.random.default_rng(0),
        **options,
        penalty=lambda model: 0.05 * sum(p.square().sum() for p in model.parameters()),
    )
    train(theirs, *data, rng=np.random.default_rng(0), **options, weight_decay=0.1)
    same(ours, theirs)


def test_a_transform_changes_what_is_learnt_from_and_nothing_that_is_measured(data):
    ours, theirs = small(), small()
    options = {"epochs": 1, "lr": 0.2}
    changed = train(ours, *data, rng=np.random.default_rng(0), transform=lambda x: -x, **options)
    mirrored = train(theirs, -data[0], data[1], rng=np.random.default_rng(0), **options)
    same(ours, theirs)
    assert changed.loss[0] == pytest.approx(
        cross_entropy(small()(torch.as_tensor(data[0])), torch.as_tensor(data[1])).item()
    )
    assert changed.loss[0] != pytest.approx(mirrored.loss[0])


def test_a_history_has_one_row_more_than_there_are_epochs(data):
    X, y = data
    options = {"rng": np.random.default_rng(0), "lr": 0.1}
    alone = train(small(), X, y, epochs=2, **options)
    assert alone.loss.shape == alone.accuracy.shape == (3,)
    assert alone.val_loss.size == alone.val_accuracy.size == 0
    watched = train(small(seed=range(2)), X, y, validation=(X[:9], y[:9]), epochs=3, **options)
    assert {column.shape for column in vars(watched).values()} == {(4, 2)}
    assert train(small(), X, y, epochs=0, **options).loss.shape == (1,)


def test_the_same_generator_gives_the_same_training_with_dropout_too(data):
    def result(seed):
        model = small(dropout=0.3)
        history = train(model, *data, rng=np.random.default_rng(seed), epochs=2, lr=0.2)
        assert not model.training  # left ready for use
        return history.loss

    state = torch.get_rng_state()
    first, again, other = result(0), result(0), result(1)
    assert (first == again).all() and first[-1] != other[-1]
    assert (torch.get_rng_state() == state).all()  # the reader's torch.manual_seed stays in force
    rng, one = np.random.default_rng(0), (data[0][:1], data[1][:1])
    losses = [
        train(small(dropout=0.3), *one, rng=rng, epochs=1, lr=0.2, batch_size=1).loss[1]
        for _ in range(2)
    ]
    assert losses[0] != losses[1]  # the same single sample, another mask


def test_training_works_in_single_precision_on_single_and_double_data(data):
    losses = [
        train(
            mlp(2, 5, inputs=INPUTS),
            X,
            data[1].astype(np.uint8),
            epochs=1,
            lr=0.1,
            rng=np.random.default_rng(0),
        ).loss
        for X in (data[0], np.float32(data[0]))
    ]
    np.testing.assert_array_equal(*losses)
    assert losses[0][1] < losses[0][0]


@given_losses(
    st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0]), min_size=1, max_size=25), st.integers(1, 6)
)
def test_early_stopping_goes_back_to_the_best_epoch_before_patience_ended(losses, patience):
    # Over all epochs at which training may end: the first that looked back in vain for so long.
    def best(n):
        return int(np.argmin(losses[:n]))

    ends = [n for n in range(1, len(losses) + 1) if n - 1 - best(n) >= patience]
    assert stopping_epoch(losses, patience) == best(min(ends, default=len(losses)))


@pytest.mark.parametrize(
    ("losses", "patience", "words"),
    [([], 3, "losses must be"), ([[1.0]], 3, r"not \(1, 1\)"), ([1.0], 0, "patience must be")],
)
def test_early_stopping_says_what_is_wrong(losses, patience, words):
    with pytest.raises(ValueError, match=words):
        stopping_epoch(losses, patience)


@pytest.mark.parametrize(
    "settings, error, words",
    [
        ({"rng": 0}, TypeError, "rng must be a random generator"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0, not -1"),
        ({"epochs": 1.5}, TypeError, "epochs must be a whole number"),
        ({"clip": 0}, ValueError, "clip is a length, above 0, not 0"),
        ({"clip": -1.0}, ValueError, "above 0, not -1.0"),
        ({"clip": float("nan")}, ValueError, "above 0, not nan"),
        ({"batch_size": N + 1}, ValueError, "batch_size"),
        ({"lr": -1.0}, ValueError, "learning rate"),
        ({"lr": [0.1]}, ValueError, r"one for each of the runs \(\), not \(1,\)"),
        ({"lr": [-0.1]}, ValueError, "lr must be finite and at least 0"),
        ({"momentums": 0.9}, TypeError, "momentums"),
        ({"X": np.ones(N)}, ValueError, r"X must be features \(N, inputs\)"),
        ({"X": np.ones((N - 1, INPUTS))}, ValueError, r"given X \(59, 6\) and y \(60,\)"),
        ({"y": np.ones(N)}, ValueError, "y whole numbers .*float64"),
        ({"y": np.ones((N, CLASSES), int)}, ValueError, r"y \(60, 4\)"),
        ({"validation": (np.ones((3, INPUTS)), np.ones(2, int))}, ValueError, r"X \(3, 6\)"),
    ],
)
def test_train_says_what_is_wrong_before_it_changes_the_model(data, settings, error, words):
    model, before = small(), small()
    arguments = {
        "X": data[0],
        "y": data[1],
        "rng": np.random.default_rng(0),
        "epochs": 1,
        "lr": 0.1,
        **settings,
    }
    with pytest.raises(error, match=words):
        train(model, **arguments)
    same(model, before, **NOTHING)


# ------------------------------------------------------------------ the X-ray


def by_hand(model, data, lr):
    """The X-ray of a plain network from hooks in PyTorch's own layers."""
    theirs = in_pytorch(model)
    z, a = [], []
    for layer in theirs:
        if isinstance(layer, LAYERS[model.activation]):
            layer.register_forward_pre_hook(lambda _, inputs: z.append(inputs[0]))
            layer.register_forward_hook(lambda _, inputs, out: a.append(out))
    loss = functional.cross_entropy(theirs(torch.as_tensor(data[0])), torch.as_tensor(data[1]))
    for tensor in z:
        tensor.retain_grad()
    loss.backward()
    linear = [layer.weight for layer in theirs if isinstance(layer, nn.Linear)][:-1]
    return {
        "activation": [out.abs().mean().item() for out in a],
        "delta": [tensor.grad.abs().mean().item() for tensor in z],
        "gradient": [weight.grad.abs().mean().item() for weight in linear],
        "update": [(lr * weight.grad).norm().item() / weight.norm().item() for weight in linear],
        "loss": loss.item(),
    }


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_xray_shows_what_hooks_in_pytorchs_layers_see(data, activation, norm):
    stack = small(3, 5, activation, "he", norm, seed=[1, 2])
    pictures = xray(stack, *data, lr=0.3)
    for k, seed in enumerate([1, 2]):
        alone = small(3, 5, activation, "he", norm, seed=seed)
        picture = xray(alone, *data, lr=0.3)
        for name, expected in by_hand(alone, data, 0.3).items():
            np.testing.assert_allclose(getattr(picture, name), expected, rtol=1e-10)
        for name, values in vars(picture).items():
            assert values.shape == (() if name == "loss" else (3,))
            np.testing.assert_allclose(getattr(pictures, name)[k], values, rtol=1e-10)


def test_the_update_is_the_step_that_plain_descent_takes(data):
    model = small()
    before = [weight.detach().clone() for weight in model.weights]
    share = xray(model, *data, lr=0.2).update
    train(model, *data, rng=np.random.default_rng(0), epochs=1, lr=0.2, batch_size=N)
    moved = [((now - was).norm() / was.norm()).item() for now, was in zip(model.weights, before)]
    np.testing.assert_allclose(share, moved[:-1])


def layer_with(activation, z):
    """One hidden layer whose z is `z`, of shape (samples, units): a network and its data."""
    samples, units = z.shape
    model = mlp(1, units, activation, inputs=samples, outputs=2).double()
    with torch.no_grad():
        model.weights[0].copy_(torch.as_tensor(z))
    return model, np.eye(samples), np.arange(samples) % 2


INF_SLOPE = 50.0  # there, the slope of sigmoid and tanh is nothing


@pytest.mark.parametrize(
    "activation, z, saturated, dead",
    [
        # Units in columns: one in its middle, one far out for one sample, one far out for all.
        ("sigmoid", [[0, INF_SLOPE, INF_SLOPE], [0, 0, -INF_SLOPE]], 3 / 6, 1 / 3),
        ("tanh", [[0, INF_SLOPE, INF_SLOPE], [0, 0, -INF_SLOPE]], 3 / 6, 1 / 3),
        ("relu", [[1, 1, -1], [1, -1, -1]], 3 / 6, 1 / 3),
        ("leaky_relu", [[1, 1, -1], [1, -1, -1]], 3 / 6, 0),  # its slope is never below 0.01
        # σ′ is a tenth of its steepest, ¼, at ±3.637, and a thousandth at ±8.293.
        ("sigmoid", [[3.63, -3.64, 8.28, -8.30]], 3 / 4, 1 / 4),
        # tanh′ = 1 − tanh² is a tenth at ±1.8184 and a thousandth at ±4.1465.
        ("tanh", [[1.81, -1.82, 4.14, -4.15]], 3 / 4, 1 / 4),
    ],
)
def test_shares_of_saturated_and_dead_are_those_that_were_built_in(activation, z, saturated, dead):
    picture = xray(*layer_with(activation, np.array(z, float)))
    assert picture.saturated == pytest.approx([saturated])
    assert picture.dead == pytest.approx([dead])


def test_a_vanished_gradient_still_has_its_length_in_single_precision():
    """The squares of 1e-26 are 0 in single precision; the share they make is not."""
    data = np.eye(4), np.arange(4)
    model = mlp(5, 8, "sigmoid", "tiny", inputs=4, outputs=4)
    with torch.no_grad():
        for k in (1, 2, 3, 4):
            model.weights[k].fill_(3e-7)
    shares = [xray(twin, *data).update for twin in (model, copy.deepcopy(model).double())]
    assert 0 < shares[1][0] < 1e-23
    np.testing.assert_allclose(*shares, rtol=1e-3)


def test_the_xray_of_an_exploded_network_says_nan_and_harms_no_other_run(data):
    stack = small(3, 5, "relu", "he", seed=[1, 2])
    before = xray(stack, *data)
    with torch.no_grad():
        for weight in stack.weights:
            weight[1] *= 1e150
    after = xray(stack, *data)
    for name, values in vars(after).items():
        np.testing.assert_array_equal(values[0], getattr(before, name)[0])
    assert np.isnan(after.loss[1]) and np.isnan(after.gradient[1]).all()
    with torch.no_grad():
        stack.weights[0][1] = torch.nan
    lost = xray(stack, *data)
    assert np.isnan(lost.saturated[1]).all() and np.isnan(lost.dead[1]).all()


@pytest.mark.parametrize("training", [True, False])
def test_the_xray_leaves_the_model_as_it_was(data, training):
    model = small(3, 5, "relu", "he", "batch", dropout=0.4)
    train(model, *data, rng=np.random.default_rng(0), epochs=1, lr=0.1)
    model.train(training)
    model.norms[0].eval()
    model.weights[0].requires_grad_(False)  # frozen: looked into as well
    before = copy.deepcopy(model)
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    state = torch.get_rng_state()
    pictures = [xray(model, *data) for _ in range(2)]
    for name, values in vars(pictures[0]).items():  # dropout rests
        np.testing.assert_array_equal(values, getattr(pictures[1], name))
    same(model, before, **NOTHING)
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert not model.weights[0].requires_grad and (torch.get_rng_state() == state).all()
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        assert (p.grad is None) == (gradient is None)
        assert gradient is None or (p.grad == gradient).all()


def test_xray_says_what_is_wrong(data):
    with pytest.raises(TypeError, match="made by mlp, not Sequential"):
        xray(in_pytorch(small()), *data)
    with pytest.raises(ValueError, match="X must be features"):
        xray(small(), data[0][:5], data[1])


def test_every_public_name_exists():
    assert all(hasattr(networks, name) for name in networks.__all__)
    assert isinstance(small(), MLP)
