"""How sharp is the valley that training ended in, and what does that number mean?

Sharpness here is the largest eigenvalue of the Hessian of the training loss: the curvature along
the steepest way. Power iteration finds it from products of the Hessian with a vector, which cost
two backward passes and no matrix. `rescaled` then makes a network that computes the same function
and is many times sharper.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from course_utils._given import whole
from course_utils.networks import MLP, cross_entropy, samples, with_slopes

__all__ = ["Sharpness", "top_eigenvalue", "rescaled"]


@dataclass(frozen=True)
class Sharpness:
    """The eigenvalue of largest size and how far off it may be, arrays of shape ``(*runs,)``.

    Attributes
    ----------
    error
        ‖Hv − λv‖ ÷ ``|λ|``: the Hessian has an eigenvalue no further from λ than this share of λ.
        Above 0.05 take more iterations. In float32 it does not fall below about 0.0003.
    """

    eigenvalue: np.ndarray
    error: np.ndarray


@with_slopes
def top_eigenvalue(model: nn.Module, X, y, *, iterations: int = 50, seed: int = 0) -> Sharpness:
    """The Hessian's eigenvalue of largest size, for the mean cross-entropy on X, y.

    The Hessian is that with respect to all parameters. A stack of networks (`networks.mlp`) gives
    one value for each run. Each iteration is one product of Hessian and vector (Pearlmutter 1994)
    and a division by its length; the seed is that of the first vector, the same for all runs. The
    model is taken in evaluation mode and left as it was.

    Raises ValueError for less than one iteration, and where X and y do not fit.
    """
    whole("top_eigenvalue", "iterations", iterations, least=1)
    X, y = samples(model, X, y)
    runs = len(getattr(model, "runs", ()))
    twin = copy.deepcopy(model).requires_grad_().eval()
    parameters = list(twin.parameters())
    loss = cross_entropy(twin(X), y).sum()
    slopes = torch.autograd.grad(loss, parameters, create_graph=True)
    random = torch.Generator().manual_seed(seed)
    v = _normalised(
        [
            torch.randn(p.shape[runs:], generator=random, dtype=p.dtype).expand(p.shape)
            for p in parameters
        ],
        runs,
    )
    for _ in range(iterations):
        Hv = torch.autograd.grad(slopes, parameters, grad_outputs=v, retain_graph=True)
        value = _dot(v, Hv, runs)  # Rayleigh's quotient: v has length 1
        # ‖Hv − λv‖² = ‖Hv‖² − λ². A small last change of λ would prove less: it is 0 where v
        # lies between two eigenvectors of eigenvalues +λ and −λ, and stays there.
        error = (_dot(Hv, Hv, runs) / value.square() - 1).clamp_min(0).sqrt()
        v = _normalised(Hv, runs)
    return Sharpness(value.double().numpy(), error.double().numpy())


def _dot(a, b, runs: int) -> Tensor:
    return sum((x * y).flatten(runs).sum(-1) for x, y in zip(a, b)).detach()


def _normalised(vector, runs: int):
    length = _dot(vector, vector, runs).sqrt().clamp_min(1e-30)
    return [x / length.reshape(length.shape + (1,) * (x.ndim - runs)) for x in vector]


def rescaled(model: MLP, factor: float, layer: int = 0) -> MLP:
    """A copy that computes the same: weights and bias of a layer × factor, next weights ÷ factor.

    It holds because relu(c z) = c relu(z) for c > 0 (Dinh et al. 2017, section 3).

    Raises TypeError for a model that is not of `mlp`; ValueError for a factor that is not above 0,
    a layer that is not hidden, and networks where it does not hold: other activations than ReLU
    and leaky ReLU, residuals, normalisation.
    """
    if not isinstance(model, MLP):
        raise TypeError(f"rescaled: takes networks made by mlp, not {type(model).__name__}")
    if not 0 < factor < float("inf"):
        raise ValueError(f"rescaled: factor must be above 0 and finite, not {factor}")
    if not 0 <= layer < len(model.weights) - 1:
        raise ValueError(
            f"rescaled: layer must be one of the hidden layers, 0 to "
            f"{len(model.weights) - 2}, not {layer}"
        )
    if model.activation not in ("relu", "leaky_relu") or model.residual or model.norms:
        raise ValueError(
            "rescaled: only a plain network of ReLU or leaky ReLU computes the same "
            "after rescaling; give one without residuals and normalisation"
        )
    result = copy.deepcopy(model)
    with torch.no_grad():
        result.weights[layer] *= factor
        result.biases[layer] *= factor
        result.weights[layer + 1] /= factor
    changed = [result.weights[layer], result.biases[layer], result.weights[layer + 1]]
    before = [model.weights[layer], model.biases[layer], model.weights[layer + 1]]
    for new, old in zip(changed, before):
        if not torch.isfinite(new).all() or bool(((new == 0) & (old != 0)).any()):
            raise ValueError(
                f"rescaled: factor = {factor:g} makes weights that {new.dtype} cannot hold, and "
                "then the function would be another; take one nearer to 1"
            )
    return result
