"""Deep networks that can be looked into, trained many at a time.

    model = mlp(20, 32, "sigmoid", init="xavier")            # 20 hidden layers of 32 units
    history = train(model, X, y, epochs=10, lr=0.1, rng=rng)
    picture = xray(model, X, y)                              # what each layer does, and learns

Settings broadcast, as everywhere in this course: ``seed=range(5)`` makes five networks in one
model. Their weights are stacked along a first axis, one multiplication serves them all, and each
learns as if it were alone, because no run's loss depends on another run's weights. Experiments
with several seeds then cost little more than one. Lessons 06 to 08 use this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course_utils.data import minibatches

__all__ = ["ACTIVATIONS", "INITS", "NORMS", "MLP", "mlp", "cross_entropy", "accuracy", "History",
           "train", "XRay", "xray"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu,
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
SLOPE_OF_LAYER_OUT = 0.1  # below this share of its steepest slope an activation is saturated
SLOPE_OF_DEAD_UNIT = 0.001  # a unit that stays below this share for every sample is dead


# ------------------------------------------------------------------ the network


class MLP(nn.Module):
    """A multilayer perceptron, or a stack of them; made by `mlp`.

    weights, biases : parameters of the `depth` hidden layers and, last, of the output layer.
        A weight has the shape (*runs, inputs of the layer, outputs), a bias (*runs, outputs);
        runs is () for one network and (R,) for a stack.
    """

    def __init__(self, weights, biases, activation, norm, residual, dropout):
        super().__init__()
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)
        self.runs = weights[0].shape[:-2]
        self.activation, self.residual, self.dropout = activation, residual, dropout
        self.norms = nn.ModuleList(
            BatchNorm(bias.shape) for bias in biases[:-1] if norm == "batch")

    def forward(self, x: Tensor, record: list | None = None) -> Tensor:
        """Logits (*runs, N, outputs) for inputs (N, inputs) or (*runs, N, inputs).

        A `record` is appended to: (z, a) of each hidden layer, before its activation and after.
        """
        a = x
        for k, (weight, bias) in enumerate(zip(self.weights[:-1], self.biases[:-1])):
            z = a @ weight + bias.unsqueeze(-2)
            if self.norms:
                z = self.norms[k](z)
            out = ACTIVATIONS[self.activation](z)
            if self.dropout:
                out = functional.dropout(out, self.dropout, self.training)
            a = out + a if self.residual and k > 0 else out
            if record is not None:
                record.append((z, a))
        return a @ self.weights[-1] + self.biases[-1].unsqueeze(-2)


class BatchNorm(nn.Module):
    """Batch normalisation of (*runs, N, width) over its samples; Ioffe and Szegedy (2015).

    Conventions are those of `torch.nn.BatchNorm1d`: the running variance is the unbiased one.
    """

    def __init__(self, shape: Sequence[int], momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.momentum, self.eps = momentum, eps

    def forward(self, z: Tensor) -> Tensor:
        mean, variance = self.mean, self.variance
        if self.training:
            variance, mean = torch.var_mean(z, dim=-2, correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                unbiased = variance * (z.shape[-2] / max(z.shape[-2] - 1, 1))
                self.variance.lerp_(unbiased, self.momentum)
        scale = self.gain * torch.rsqrt(variance + self.eps)
        return (z - mean.unsqueeze(-2)) * scale.unsqueeze(-2) + self.shift.unsqueeze(-2)


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
    depth, width : 1 or more.
    activation : a name in ACTIVATIONS.
    init : a name in INITS, which says how large the first weights of the hidden layers are
        (biases start at 0). The output layer has 1/√width in all of them, so that the start of
        the loss does not depend on the choice.
    norm : "none", or "batch" for batch normalisation before each activation.
    residual : add the input of each hidden layer, except the first, to its output
        (He et al. 2016).
    dropout : the probability that an activation is set to 0 in training.
    seed : of the first weights. A sequence of seeds, of inits, or of both makes a stack of
        networks; run k of a stack equals the single network of the k-th seed and init.
    inputs, outputs : numbers of features and of classes.

    Raises
    ------
    ValueError
        A name is unknown, or a number is out of its range.
    """
    _known("activation", activation, ACTIVATIONS)
    _known("norm", norm, NORMS)
    for name, value in [("depth", depth), ("width", width)]:
        if value < 1:
            raise ValueError(f"mlp: {name} must be at least 1, not {value}")
    if not 0 <= dropout < 1:
        raise ValueError(f"mlp: dropout must be at least 0 and below 1, not {dropout}")
    alone = isinstance(init, str) and np.ndim(seed) == 0
    names, seeds = np.broadcast_arrays(np.atleast_1d(init), np.atleast_1d(seed))
    stack = [_first_weights(depth, width, name, int(number), inputs, outputs)
             for name, number in zip(names, seeds)]
    weights = stack[0] if alone else [torch.stack(layer) for layer in zip(*stack)]
    biases = [torch.zeros(*weight.shape[:-2], weight.shape[-1]) for weight in weights]
    return MLP(weights, biases, activation, norm, residual, dropout)


def _first_weights(depth, width, init, seed, inputs, outputs):
    _known("init", init, INITS)
    random = torch.Generator().manual_seed(seed)
    sizes = [inputs] + [width] * depth
    weights = [INITS[init](n, m) * torch.randn(n, m, generator=random)
               + (0.1 if init == "equal" else 0.0) for n, m in zip(sizes, sizes[1:])]
    last = torch.randn(width, outputs, generator=random) / math.sqrt(width)
    return [*weights, torch.full_like(last, 0.1) if init == "equal" else last]


def _known(what, name, names):
    if name not in names:
        raise ValueError(f"mlp: {what} must be one of {', '.join(names)}; not {name!r}")


# ------------------------------------------------------------------ training


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each run, shape (*runs,), from logits (*runs, N, classes).

    Labels y have the shape (N,), or (*runs, N) where each run has its own.
    """
    y = y.expand(logits.shape[:-1])
    return functional.cross_entropy(logits.movedim(-1, 1) if logits.ndim > 2 else logits, y,
                                    reduction="none").mean(-1)


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """The share of samples whose largest logit is that of their label, shape (*runs,)."""
    return (logits.argmax(-1) == y).double().mean(-1)


@dataclass(frozen=True)
class History:
    """Loss and accuracy at the start and after each epoch, arrays of shape (epochs + 1, *runs).

    They are taken in evaluation mode, over all samples. Without validation data those are empty.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray


def train(
    model: nn.Module,
    X,
    y,
    *,
    rng: np.random.Generator,
    epochs: int,
    lr: float,
    batch_size: int = 32,
    optimizer: Callable = torch.optim.SGD,
    validation: tuple | None = None,
    clip: float | None = None,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    **options,
) -> History:
    """Train a classifier on mini-batches, drawn anew in each epoch; the model changes in place.

    Parameters
    ----------
    model : gives logits (*runs, N, classes).
    X, y : features (N, inputs) and labels (N,); or (*runs, N, inputs) and (*runs, N), where each
        run of a stack has data of its own.
    rng : draws the mini-batches; all runs of a stack get the same positions.
    epochs, batch_size : how often through the data, and samples in each step.
    optimizer : of `torch.optim`; called as ``optimizer(parameters, lr=lr, **options)``.
    validation : (X, y) to measure, never to learn from.
    clip : the length to which a longer gradient is cut, for each run on its own
        (Pascanu et al. 2013).
    penalty : added to the loss of each step; a function of the model.
    transform : changes the features of each mini-batch, for augmentation.

    A run whose numbers overflow stays NaN; the others go on.
    """
    X, y = _tensors(X, y)
    runs = len(getattr(model, "runs", ()))
    step = optimizer(model.parameters(), lr=lr, **options)
    seen = [_measure(model, X, y, validation)]
    for _ in range(epochs):
        model.train()
        for batch in minibatches(rng, X.shape[-2], batch_size):
            features = X[..., batch, :]
            logits = model(transform(features) if transform else features)
            loss = cross_entropy(logits, y[..., batch]).sum()  # a sum: no run meets another
            step.zero_grad()
            (loss + penalty(model) if penalty else loss).backward()
            if clip is not None:
                _clip(model.parameters(), clip, runs)
            step.step()
        seen.append(_measure(model, X, y, validation))
    return History(*(np.array(column) for column in zip(*seen)))


def _tensors(X, y):
    return torch.as_tensor(X, dtype=torch.get_default_dtype()), torch.as_tensor(y)


@torch.no_grad()
def _measure(model, X, y, validation):
    model.eval()
    result = []
    for features, labels in [(X, y), *([_tensors(*validation)] if validation else [])]:
        logits = model(features)
        result += [cross_entropy(logits, labels).numpy(), accuracy(logits, labels).numpy()]
    return result if validation else [*result, (), ()]


@torch.no_grad()
def _clip(parameters, limit, runs):
    gradients = [p.grad for p in parameters if p.grad is not None]
    length = sum(g.flatten(runs).square().sum(-1) for g in gradients).sqrt()
    factor = (limit / length).clamp(max=1.0)
    for g in gradients:
        g.mul_(factor.reshape(factor.shape + (1,) * (g.ndim - runs)))


# ------------------------------------------------------------------ the X-ray


@dataclass(frozen=True)
class XRay:
    """What each hidden layer does in one forward and one backward pass; arrays (*runs, depth).

    activation : mean |a| of the layer's output.
    delta : mean |δ|, where δ = ∂L/∂z and z goes into the activation function; L is the mean
        loss of the samples.
    gradient : mean |∂L/∂W| of the layer's weights.
    saturated : share of the z where the slope of the activation function is below a tenth of
        its steepest.
    dead : share of units whose slope is below a thousandth of the steepest for every sample.
    update : length of the step −η ∂L/∂W as a share of the length of W; about 0.001 is usual.
    loss : mean cross-entropy, shape (*runs,).
    """

    activation: np.ndarray
    delta: np.ndarray
    gradient: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray
    update: np.ndarray
    loss: np.ndarray


def xray(model: MLP, X, y, lr: float = 0.1) -> XRay:
    """Look into each hidden layer of `model` on the samples X (N, inputs), y (N,).

    Batch normalisation uses the statistics of these samples, as in a step of training; the model
    is left as it was.
    """
    X, y = _tensors(X, y)
    mode, kept = model.training, [buffer.clone() for buffer in model.buffers()]
    model.train()
    record: list[tuple[Tensor, Tensor]] = []
    losses = cross_entropy(model(X, record), y)
    zs, weights = [z for z, _ in record], list(model.weights)[:-1]
    found = torch.autograd.grad(losses.sum(), zs + weights)
    deltas, gradients = found[: len(zs)], found[len(zs):]
    with torch.no_grad():
        for buffer, before in zip(model.buffers(), kept):
            buffer.copy_(before)
    model.train(mode)

    steepness = [_slope(model.activation, z) for z in zs]
    length = torch.linalg.matrix_norm
    rows = {
        "activation": [a.abs().mean((-2, -1)) for _, a in record],
        "delta": [d.abs().mean((-2, -1)) for d in deltas],
        "gradient": [g.abs().mean((-2, -1)) for g in gradients],
        "saturated": [(s < SLOPE_OF_LAYER_OUT).double().mean((-2, -1)) for s in steepness],
        "dead": [(s.amax(-2) < SLOPE_OF_DEAD_UNIT).double().mean(-1) for s in steepness],
        "update": [lr * length(g) / length(w) for g, w in zip(gradients, weights)],
    }
    arrays = {name: torch.stack(row, -1).detach().double().numpy() for name, row in rows.items()}
    return XRay(**arrays, loss=losses.detach().double().numpy())


def _slope(activation, z):
    """φ′(z) as a share of the largest φ′ there is; NaN counts as no slope at all."""
    z = z.detach().requires_grad_()
    slope, = torch.autograd.grad(ACTIVATIONS[activation](z).sum(), z)
    return torch.nan_to_num(slope / (0.25 if activation == "sigmoid" else 1.0))
