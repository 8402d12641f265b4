"""How sharp is the valley that training ended in, and what does that number mean?

Sharpness here is the largest eigenvalue of the Hessian of the training loss: the curvature along
the steepest way. Power iteration finds it from products of the Hessian with a vector, which cost
two backward passes and no matrix. `rescaled` then makes a network that computes the same function
and is many times sharper. Lesson 07 uses this module.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.networks import MLP, _tensors, cross_entropy

__all__ = ["Sharpness", "top_eigenvalue", "rescaled"]


@dataclass(frozen=True)
class Sharpness:
    """The eigenvalue of largest size, shape (*runs,), and how far the last iteration moved it.

    `change` is relative; above 0.01 more iterations are needed.
    """

    eigenvalue: np.ndarray
    change: np.ndarray


def top_eigenvalue(model: nn.Module, X, y, *, iterations: int = 50, seed: int = 0) -> Sharpness:
    """The Hessian's eigenvalue of largest size, for the mean cross-entropy on X, y.

    The Hessian is that with respect to all parameters. A stack of networks (`networks.mlp`) gives
    one value for each run. Each iteration is one product of Hessian and vector (Pearlmutter 1994)
    and a division by its length. The model is taken in evaluation mode and left as it was.

    Raises ValueError for fewer than two iterations: there would be no change to report.
    """
    if iterations < 2:
        raise ValueError(f"top_eigenvalue: iterations must be at least 2, not {iterations}")
    X, y = _tensors(X, y)
    runs = len(getattr(model, "runs", ()))
    mode = model.training
    model.eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = cross_entropy(model(X), y).sum()
    slopes = torch.autograd.grad(loss, parameters, create_graph=True)
    random = torch.Generator().manual_seed(seed)
    v = _normalised([torch.randn(p.shape, generator=random, dtype=p.dtype) for p in parameters],
                    runs)
    values = []
    for _ in range(iterations):
        Hv = torch.autograd.grad(slopes, parameters, grad_outputs=v, retain_graph=True)
        values.append(_dot(v, Hv, runs))  # Rayleigh's quotient: v has length 1
        v = _normalised(Hv, runs)
    model.train(mode)
    last, before = values[-1], values[-2]
    change = (last - before).abs() / last.abs().clamp_min(1e-30)
    return Sharpness(last.double().numpy(), change.double().numpy())


def _dot(a, b, runs: int) -> Tensor:
    return sum((x * y).flatten(runs).sum(-1) for x, y in zip(a, b)).detach()


def _normalised(vector, runs: int):
    length = _dot(vector, vector, runs).sqrt().clamp_min(1e-30)
    return [x / length.reshape(length.shape + (1,) * (x.ndim - runs)) for x in vector]


def rescaled(model: MLP, factor: float, layer: int = 0) -> MLP:
    """A copy that computes the same: weights and bias of a layer × factor, next weights ÷ factor.

    It holds because relu(c z) = c relu(z) for c > 0 (Dinh et al. 2017, section 3).

    Raises ValueError for a factor that is not above 0, a layer that is not hidden, and networks
    where it does not hold: other activations than ReLU and leaky ReLU, residuals, normalisation.
    """
    if factor <= 0:
        raise ValueError(f"rescaled: factor must be above 0, not {factor}")
    if not 0 <= layer < len(model.weights) - 1:
        raise ValueError(f"rescaled: layer must be one of the hidden layers, 0 to "
                         f"{len(model.weights) - 2}, not {layer}")
    if model.activation not in ("relu", "leaky_relu") or model.residual or model.norms:
        raise ValueError("rescaled: only a plain network of ReLU or leaky ReLU computes the same "
                         "after rescaling; give one without residuals and normalisation")
    result = copy.deepcopy(model)
    with torch.no_grad():
        result.weights[layer] *= factor
        result.biases[layer] *= factor
        result.weights[layer + 1] /= factor
    return result
