"""Deep networks that can be looked into, trained many at a time.

From architecture to X-ray::

    model = mlp(20, 32, "sigmoid", init="xavier")            # 20 hidden layers of 32 units
    history = train(model, X, y, epochs=10, lr=0.1, rng=rng)
    picture = xray(model, X, y)                              # what each layer does, and learns

Settings broadcast, as everywhere in this course: ``seed=range(5)`` makes five networks in one
model. Their weights are stacked along a first axis, one multiplication serves them all, and each
learns as if it were alone, because no run's loss depends on another run's weights. Experiments
with several seeds then cost little more than one. Lessons 06 to 08 use this module.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce, wraps

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from course_utils._given import NOT_NEGATIVE, array, numbers, one_of, switch, whole
from course_utils.data import minibatches

__all__ = [
    "ACTIVATIONS",
    "INITS",
    "NORMS",
    "MLP",
    "mlp",
    "cross_entropy",
    "accuracy",
    "History",
    "train",
    "stopping_epoch",
    "XRay",
    "xray",
]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
}
# Standard deviation of the first weights of a layer with n inputs and m outputs.
INITS: dict[str, Callable[[int, int], float]] = {
    "equal": lambda n, m: 0.0,  # every weight is 0.1: what symmetry does
    "tiny": lambda n, m: 0.01,
    "large": lambda n, m: 1.0,
    "xavier": lambda n, m: math.sqrt(2 / (n + m)),  # Glorot and Bengio (2010), equation 12
    "he": lambda n, m: math.sqrt(2 / n),  # He et al. (2015), equation 10
}
NORMS = ["none", "batch"]
DTYPE = torch.float32  # whatever a reader has made PyTorch's default: results stay the same
SLOPE_OF_LAYER_OUT = 0.1  # below this share of its steepest slope an activation is saturated
SLOPE_OF_DEAD_UNIT = 0.001  # a unit that stays below this share for every sample is dead


def with_slopes(function: Callable) -> Callable:
    """Let a function take gradients, also where a reader has turned them off."""

    @wraps(function)
    def able(*given, **more):
        with torch.inference_mode(False), torch.enable_grad():
            return function(*given, **more)

    return able


# ------------------------------------------------------------------ the network


class MLP(nn.Module):
    """A multilayer perceptron, or a stack of them; made by `mlp`.

    Attributes
    ----------
    weights, biases
        parameters of the `depth` hidden layers and, last, of the output layer. A weight has the
        shape ``(*runs, inputs of the layer, outputs)``, a bias ``(*runs, outputs)``; runs is () for
        one network and (R,) for a stack. Hidden layers with batch normalisation have no bias: it
        would be subtracted again, with the mean.
    """

    def __init__(self, weights, biases, activation, norm, residual, dropout):
        super().__init__()
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases[-1:] if norm == "batch" else biases)
        self.runs = weights[0].shape[:-2]
        self.activation, self.residual, self.dropout = activation, residual, dropout
        self.norms = nn.ModuleList(BatchNorm(bias.shape) for bias in biases[:-1] if norm == "batch")

    def forward(self, x: Tensor, record: list | None = None) -> Tensor:
        """Logits ``(*runs, N, outputs)`` for inputs (N, inputs) or ``(*runs, N, inputs)``.

        A `record` is appended to: (z, a) of each hidden layer, before its activation and after.
        """
        a = x
        *hidden, last = self.weights
        for k, weight in enumerate(hidden):
            z = a @ weight
            z = self.norms[k](z) if self.norms else z + self.biases[k].unsqueeze(-2)
            out = ACTIVATIONS[self.activation](z)
            if self.dropout:
                out = functional.dropout(out, self.dropout, self.training)
            a = out + a if self.residual and k > 0 else out
            if record is not None:
                record.append((z, a))
        return a @ last + self.biases[-1].unsqueeze(-2)


class BatchNorm(nn.Module):
    """Batch normalisation of ``(*runs, N, width)`` over its samples; Ioffe and Szegedy (2015).

    It is `torch.nn.BatchNorm1d`, with gain, shift and statistics of the shape ``(*runs, width)``.
    """

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        zeros, ones = torch.zeros(shape, dtype=DTYPE), torch.ones(shape, dtype=DTYPE)
        self.gain, self.shift = nn.Parameter(ones), nn.Parameter(zeros)
        self.register_buffer("mean", zeros.clone())
        self.register_buffer("variance", ones.clone())

    def forward(self, z: Tensor) -> Tensor:
        if self.training and z.shape[-2] == 1:
            raise ValueError(
                "batch normalisation: a mini-batch of one sample has no spread to "
                "divide by; choose a batch_size that leaves no single sample over"
            )
        columns = z.movedim(-2, 0)  # the samples first: PyTorch takes all runs at once
        out = functional.batch_norm(
            columns.flatten(1),
            self.mean.flatten(),
            self.variance.flatten(),
            self.gain.flatten(),
            self.shift.flatten(),
            self.training,
        )
        return out.view(columns.shape).movedim(0, -2)


@with_slopes
def mlp(
    depth: int,
    width: int = 32,
    activation: str = "relu",
    init: str | Sequence[str] = "he",
    norm: str = "none",
    residual: bool = False,
    *,
    dropout: float = 0.0,
    seed: int | Sequence[int] = 0,
    inputs: int = 64,
    outputs: int = 10,
) -> MLP:
    """A network of `depth` hidden layers, each of `width` units, and a linear output layer.

    Parameters
    ----------
    depth, width
        1 or more.
    activation
        a name in ACTIVATIONS.
    init
        a name in INITS, which says how large the first weights of the hidden layers are (biases
        start at 0). Those of the output layer have the standard deviation 1/√width, whatever the
        name; but with "equal" every weight of every layer is 0.1.
    norm
        "none", or "batch" for batch normalisation before each activation.
    residual
        add the input of each hidden layer, except the first, to its output (He et al. 2016).
    dropout
        the probability that an activation is set to 0 in training (Srivastava et al. 2014); those
        that stay are divided by 1 − dropout, as PyTorch does it.
    seed
        of the first weights. A sequence of seeds, of inits, or of both makes a stack of networks;
        run k of a stack equals the single network of the k-th seed and init.
    inputs, outputs
        numbers of features and of classes.

    Raises
    ------
    ValueError
        A name is unknown, a number is out of its range, or the numbers of seeds and inits differ.
    """
    one_of("mlp", "activation", activation, ACTIVATIONS)
    one_of("mlp", "norm", norm, NORMS)
    switch("mlp", "residual", residual)
    for name, value in {
        "depth": depth,
        "width": width,
        "inputs": inputs,
        "outputs": outputs,
    }.items():
        whole("mlp", name, value, least=1)
    if not 0 <= dropout < 1:
        raise ValueError(f"mlp: dropout must be at least 0 and below 1, not {dropout}")
    alone = isinstance(init, str) and np.ndim(seed) == 0
    names, seeds = np.atleast_1d(init), np.atleast_1d(seed)
    runs = max(names.size, seeds.size)
    if {names.shape, seeds.shape} - {(1,), (runs,)} or seeds.dtype.kind not in "iu":
        raise ValueError(
            "mlp: a stack needs one seed, a whole number, for each init, or one for "
            f"all; given {init!r} and {seed!r}"
        )
    stack = [
        _first_weights(depth, width, name, int(number), inputs, outputs)
        for name, number in zip(*np.broadcast_arrays(names, seeds))
    ]
    weights = stack[0] if alone else [torch.stack(layer) for layer in zip(*stack)]
    biases = [torch.zeros(*w.shape[:-2], w.shape[-1], dtype=DTYPE) for w in weights]
    return MLP(weights, biases, activation, norm, residual, dropout)


def _first_weights(depth, width, init, seed, inputs, outputs):
    one_of("mlp", "init", init, INITS)
    random = torch.Generator().manual_seed(seed)
    sizes = [inputs] + [width] * depth

    def drawn(n, m):
        return torch.randn(n, m, generator=random, dtype=DTYPE)

    weights = [
        INITS[init](n, m) * drawn(n, m) + (0.1 if init == "equal" else 0.0)
        for n, m in zip(sizes, sizes[1:])
    ]
    last = drawn(width, outputs) / math.sqrt(width)
    return [*weights, torch.full_like(last, 0.1) if init == "equal" else last]


# ------------------------------------------------------------------ training


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each run, shape ``(*runs,)``, from logits ``(*runs, N, classes)``.

    Labels y have the shape (N,), or ``(*runs, N)`` where each run has its own. Raises ValueError
    for a label that is no class: PyTorch would leave out the label −100 and still divide by N.
    """
    y = y.expand(logits.shape[:-1])
    if y.numel() and (y.min() < 0 or y.max() >= logits.shape[-1]):
        wrong = y[(y < 0) | (y >= logits.shape[-1])][0]
        raise ValueError(
            f"y has the label {wrong}, but {logits.shape[-1]} classes allow 0 to "
            f"{logits.shape[-1] - 1}; drop the samples that have none"
        )
    return functional.cross_entropy(
        logits.movedim(-1, 1) if logits.ndim > 2 else logits, y, reduction="none"
    ).mean(-1)


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """The share of samples whose largest logit is that of their label, shape ``(*runs,)``."""
    return (logits.argmax(-1) == y).double().mean(-1)


@dataclass(frozen=True)
class History:
    """Loss and accuracy at the start and after each epoch, arrays of shape ``(epochs + 1, *runs)``.

    They are taken in evaluation mode, over all samples. Without validation data, the last two are
    empty. A run whose numbers overflowed has a loss of NaN, and the accuracy of a guess.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray


@with_slopes
def train(
    model: nn.Module,
    X,
    y,
    *,
    rng: np.random.Generator,
    epochs: int,
    lr: float | ArrayLike,
    batch_size: int = 32,
    optimizer: Callable = torch.optim.SGD,
    validation: tuple | None = None,
    clip: float | None = None,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    **options,
) -> History:
    """Train a classifier on mini-batches, drawn anew in each epoch; the model changes in place.

    The model is left in evaluation mode. A run whose numbers overflow stays NaN; the others go on.

    Parameters
    ----------
    model
        gives logits ``(*runs, N, classes)``: from `mlp`, or any other.
    X, y
        features (N, inputs) and labels (N,), for all runs of a stack the same; or ``(*runs, N,
        inputs)``, ``(*runs, N)``, or both, where each run has its own.
    rng
        draws the mini-batches; all runs of a stack get the same positions. Dropout (and what a
        penalty or transform draws from PyTorch) repeats with it, too.
    epochs, batch_size
        how often through the data, and samples in each step.
    lr
        the learning rate; for a stack, ``(*runs,)`` gives each run its own. Then the optimizer's
        step must be proportional to its rate, as those of SGD and Adam are.
    optimizer
        of `torch.optim`; called as ``optimizer(parameters, lr=lr, **options)``.
    validation
        (X, y) to measure, never to learn from.
    clip
        the length to which a longer gradient is cut, for each run on its own (Pascanu et al. 2013).
    penalty
        added to the loss of each step; a function of the model. For a stack, the sum over its runs,
        or one number for each.
    transform
        changes the features of each mini-batch, for augmentation.

    Raises
    ------
    TypeError
        rng is no generator.
    ValueError
        epochs, batch_size or clip is out of its range; X and y do not fit each other; with batch
        normalisation, a mini-batch of one sample.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "train: rng must be a random generator, so that training can be repeated: "
            f"rng=np.random.default_rng(SEED), not {rng!r}"
        )
    whole("train", "epochs", epochs, least=0)
    if validation is not None and not (
        isinstance(validation, tuple | list) and len(validation) == 2
    ):
        raise TypeError("train: validation must be a pair (X_val, y_val): features and labels")
    if clip is not None and not clip > 0:
        raise ValueError(f"train: clip is a length, above 0, not {clip}; None cuts nothing")
    X, y = samples(model, X, y)
    watched = [(X, y), *([samples(model, *validation)] if validation else [])]
    runs = len(getattr(model, "runs", ()))
    rates = _rates(lr, model)
    step = optimizer(model.parameters(), lr=lr if rates is None else 1.0, **options)
    seen = [_measure(model, watched)]
    with torch.random.fork_rng(devices=[]):  # the reader's own torch.manual_seed stays in force
        torch.manual_seed(int(rng.spawn(1)[0].integers(2**63)))  # takes nothing from rng's draws
        for _ in range(epochs):
            model.train()
            for batch in minibatches(rng, X.shape[-2], batch_size):
                features = X[..., batch, :]
                logits = model(transform(features) if transform else features)
                loss = cross_entropy(logits, y[..., batch]).sum()  # a sum: no run meets another
                if penalty:
                    loss = loss + penalty(model).sum()
                step.zero_grad()
                loss.backward()
                if clip is not None:
                    _clip(model.parameters(), clip, runs)
                if rates is None:
                    step.step()
                else:
                    _step_each(step, list(model.parameters()), rates)
            seen.append(_measure(model, watched))
    return History(*(np.array(column) for column in zip(*seen)))


def _rates(lr, model):
    """None where all runs have one rate; else a tensor (*runs,)."""
    if np.ndim(lr) == 0:
        return None
    rates = np.asarray(numbers("train", "lr", lr, NOT_NEGATIVE))
    if rates.shape != (shape := tuple(getattr(model, "runs", ()))):
        raise ValueError(
            f"train: lr must be one rate, or one for each of the runs {shape}, not {rates.shape}"
        )
    return torch.tensor(rates, dtype=next(model.parameters()).dtype)


@torch.no_grad()
def _step_each(step, parameters, rates):
    """One step at the rate 1, of which each run keeps the share that is its rate."""
    before = [p.clone() for p in parameters]
    step.step()
    for p, old in zip(parameters, before):
        share = rates.reshape(rates.shape + (1,) * (p.ndim - rates.ndim))
        p.copy_(old + share * (p - old))


def stopping_epoch(losses: ArrayLike, patience: int = 10) -> int:
    """The epoch to which early stopping with patience goes back; Prechelt (1998).

    losses (epochs,): validation loss of epoch 0, 1, 2, …. It is the one with the lowest loss before
    `patience` epochs in a row have brought none that is lower. Raises ValueError without a loss, or
    for a patience below 1.
    """
    whole("stopping_epoch", "patience", patience)
    given = array("stopping_epoch", "losses", losses)
    if given.ndim != 1 or not given.size:
        raise ValueError(f"stopping_epoch: losses must be (epochs,), not {given.shape}")
    best = 0
    for epoch, loss in enumerate(given):
        if loss < given[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def samples(model, X, y):
    """Features, in the model's precision, and labels, as tensors.

    Raises ValueError where they do not belong together.
    """
    X = torch.as_tensor(_readable("X", X))
    if X.is_complex():
        raise TypeError("X is complex, and its imaginary part would be dropped; pass X.real")
    X = X.to(next(model.parameters()).dtype)
    y = torch.as_tensor(_readable("y", y))
    if X.ndim < 2 or y.shape[-1:] != X.shape[-2:-1] or y.is_floating_point():
        raise ValueError(
            "X must be features (N, inputs) and y whole numbers (N,), the class of each; given "
            f"X {tuple(X.shape)} and y {tuple(y.shape)} of {y.dtype}"
        )
    return X, y.long()


def _readable(name, values):
    """Values that PyTorch takes without a word: in order, and not read-only."""
    if isinstance(values, Tensor):
        return values
    values = array("samples", name, values)
    return values if values.flags.writeable and values.flags.c_contiguous else values.copy()


@torch.no_grad()
def _measure(model, watched):
    model.eval()
    result = []
    for X, y in watched:
        logits = model(X)
        result += [cross_entropy(logits, y).numpy(), accuracy(logits, y).numpy()]
    return result if len(watched) > 1 else [*result, (), ()]


def length(tensors: Iterable[Tensor], runs: int = 0) -> Tensor:
    """The length of tensors ``(*runs, …)`` taken together as one vector: shape ``(*runs,)``.

    `runs` is the number of axes that count runs.
    """
    squares = [tensor.flatten(runs).square().sum(-1) for tensor in tensors]
    return reduce(torch.add, squares).sqrt()


@torch.no_grad()
def _clip(parameters, limit, runs):
    gradients = [p.grad for p in parameters if p.grad is not None]
    factor = (limit / length(gradients, runs)).clamp(max=1.0)
    for g in gradients:
        g.mul_(factor.reshape(factor.shape + (1,) * (g.ndim - runs)))


# ------------------------------------------------------------------ the X-ray


@dataclass(frozen=True)
class XRay:
    """What each hidden layer does in one forward and one backward pass; arrays ``(*runs, depth)``.

    Numbers that overflowed are inf or NaN, and shares of NaN are NaN.

    Attributes
    ----------
    activation
        mean ``|a|`` of the layer's output.
    delta
        mean ``|δ|``, where δ = ∂L/∂z and z goes into the activation function; L is the mean loss of
        the samples.
    gradient
        mean ``|∂L/∂W|`` of the layer's weights.
    saturated
        share of the z where the slope of the activation function is below a tenth of its steepest;
        for ReLU, where z is not above 0.
    dead
        share of units whose slope is below a thousandth of the steepest for every sample.
    update
        length of the step −η ∂L/∂W as a share of the length of W; about 0.001 is usual.
    loss
        mean cross-entropy, shape ``(*runs,)``.
    """

    activation: np.ndarray
    delta: np.ndarray
    gradient: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray
    update: np.ndarray
    loss: np.ndarray


@with_slopes
def xray(model: MLP, X, y, lr: float = 0.1) -> XRay:
    """Look into each hidden layer of `model` on the samples X (N, inputs), y (N,).

    Batch normalisation uses the statistics of these samples, as in a step of training; dropout
    rests. The model is left as it was.

    Raises TypeError for a model that is not of `mlp`; ValueError where X and y do not fit.
    """
    if not isinstance(model, MLP):
        raise TypeError(f"xray: looks into networks made by mlp, not {type(model).__name__}")
    X, y = samples(model, X, y)
    twin = copy.deepcopy(model).requires_grad_().eval()
    twin.norms.train()
    record: list[tuple[Tensor, Tensor]] = []
    losses = cross_entropy(twin(X, record), y)
    zs, weights = [z for z, _ in record], list(twin.weights)[:-1]
    found = torch.autograd.grad(losses.sum(), zs + weights)
    # In double precision: the square of a vanishing gradient would be 0 in single.
    found = [slope.double() for slope in found]
    deltas, gradients = found[: len(zs)], found[len(zs) :]

    steepness = [_slope(model.activation, z) for z in zs]
    length = torch.linalg.matrix_norm
    rows = {
        "activation": [a.abs().mean((-2, -1)) for _, a in record],
        "delta": [d.abs().mean((-2, -1)) for d in deltas],
        "gradient": [g.abs().mean((-2, -1)) for g in gradients],
        "saturated": [_below(s, SLOPE_OF_LAYER_OUT).mean((-2, -1)) for s in steepness],
        "dead": [_below(s.amax(-2), SLOPE_OF_DEAD_UNIT).mean(-1) for s in steepness],
        "update": [lr * length(g) / length(w) for g, w in zip(gradients, weights)],
    }
    arrays = {name: torch.stack(row, -1).detach().double().numpy() for name, row in rows.items()}
    return XRay(**arrays, loss=losses.detach().double().numpy())


def _slope(activation, z):
    """φ′(z) as a share of the largest φ′ there is; NaN where z is."""
    z = z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(ACTIVATIONS[activation](z).sum(), z)
    return torch.where(z.isnan(), z, slope / (0.25 if activation == "sigmoid" else 1.0)).detach()


def _below(slope, limit):
    """1 where the slope is below the limit and 0 where it is not; NaN stays NaN."""
    return torch.where(slope.isnan(), slope, (slope < limit).to(slope.dtype)).double()
