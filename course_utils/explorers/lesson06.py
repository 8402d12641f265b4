"""The X-ray: what passes through each layer of a deep network, forwards and backwards.

PyTorch is imported when an X-ray is made, not before: the other explorers do without it.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from course_utils.data import digits
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["xray", "xray_at"]

SAMPLES, WIDTH = 128, 32


def xray_at(depth: int, activation: str, init, norm: str, residual: bool, seed: int = 0):
    """The `networks.XRay` of a fresh network of 32 units a layer, on 128 of the real digits.

    The other arguments are those of `networks.mlp`; several inits give arrays (inits, depth).
    The samples are the same for every setting, and drawn by `seed` as the weights are.
    """
    from course_utils import networks

    X, y = digits()
    some = np.random.default_rng(seed).permutation(len(X))[:SAMPLES]
    model = networks.mlp(depth, WIDTH, activation, init, norm, residual, seed=seed)
    return networks.xray(model, X[some], y[some])


@in_own_style
def xray(seed: int = 0) -> Explorer:
    """Choose depth, activation, init, norm and residual, and see which layers get a gradient."""
    from course_utils.networks import ACTIVATIONS, INITS, NORMS

    depths, shortcuts = [2, 5, 10, 20, 50], {"no": False, "yes": True}
    fig, lines = _stage()

    # One stack of networks for all inits, so theirs is the last axis.
    each, grid = "depth activation norm residual init", (depths, ACTIVATIONS, NORMS, shortcuts)
    pictures = [
        xray_at(depth, activation, list(INITS), norm, shortcuts[shortcut], seed)
        for depth, activation, norm, shortcut in product(*grid)
    ]

    def on(rows):
        """What follows all controls, from one row of inits for each picture."""
        rows = np.array(rows)
        return On(rows.reshape(*map(len, grid), *rows.shape[1:]), each)

    def drawn(name):
        values = np.array([_padded(getattr(one, name), depths[-1]) for one in pictures])
        # Held within sight of the axes, so that a line which leaves them is seen to leave.
        return on(values if name in ("saturated", "dead") else np.clip(values, 1e-20, 1e12))

    place = np.stack([_padded(np.arange(1.0, depth + 1), depths[-1]) for depth in depths])
    return explorer(
        fig,
        {
            "depth": Control(depths, "hidden layers", start=20, play=True),
            "activation": Control(list(ACTIVATIONS), start="sigmoid"),
            "init": Control(list(INITS), "first weights", start="xavier"),
            "norm": Control(NORMS, "normalisation"),
            "residual": Control(list(shortcuts), "residual connections"),
        },
        {line: (On(place, "depth"), drawn(name)) for name, line in lines.items()},
        says={
            "loss": on([one.loss for one in pictures]),
            "first": on([one.gradient[:, 0] for one in pictures]),
            "last": on([one.gradient[:, -1] for one in pictures]),
            "what": on([[*map(_what, one.gradient, one.activation)] for one in pictures]),
        },
        status="|∂L/∂W| in the first layer {first}, in the last {last}: {what}. Loss {loss}",
        alt=fig.alt,
    )


def _stage():
    alt = (
        "Left: mean size of activations, of δ, of the gradient and of the step in each hidden "
        "layer of a network, on a logarithmic axis. Right: the share of saturated activations "
        "and of dead units in each layer."
    )
    fig, [[sizes, shares]] = figure(2, alt=alt, width=8.8, height=4.3, width_ratios=[1.35, 1])
    sizes.set(yscale="log", ylim=(1e-13, 1e5), yticks=10.0 ** np.arange(-12, 5, 4))
    sizes.set(ylabel="mean size in the layer", title="what flows through")
    shares.set(ylim=(-0.03, 1.03), ylabel="share of the layer", title="what is stuck")
    for axes in (sizes, shares):
        axes.set(xlim=(0, 51), xlabel="layer, counted from the input")
    looks = {
        "activation": (sizes, GREEN, "-.", "o", "activation |a|"),
        "delta": (sizes, BLUE, "--", "s", "|δ|"),
        "gradient": (sizes, ORANGE, "-", "o", "gradient |∂L/∂W|"),
        "update": (sizes, GREY, ":", "^", "step ÷ weights (η = 0.1)"),
        "saturated": (shares, BLUE, "--", "s", "saturated activations"),
        "dead": (shares, ORANGE, "-", "o", "dead units"),
    }
    lines = {
        name: axes.plot(
            [], [], color=color, linestyle=style, marker=marker, markersize=3.5, label=label
        )[0]
        for name, (axes, color, style, marker, label) in looks.items()
    }
    for axes, columns in ((sizes, 2), (shares, 1)):
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.17),
            ncols=columns,
            frameon=False,
            columnspacing=1,
        )
    return fig, lines


def _padded(array, length):
    """NaN after the end of the last axis, up to `length`; NaN in the data counts as overflow."""
    array = np.nan_to_num(array, nan=np.inf, posinf=np.inf)
    missing = [(0, 0)] * (array.ndim - 1) + [(0, length - array.shape[-1])]
    return np.pad(array, missing, constant_values=np.nan)


def _what(gradient, activation) -> str:
    """In words, how mean |∂L/∂W| and mean |a| of the layers, each of shape (depth,), look."""
    if not (np.isfinite(gradient).all() and np.isfinite(activation).all()):
        return "explodes, beyond the largest number of float32"
    if activation.max() > 1e3:
        return f"explodes, activations beyond {_power(np.floor, activation.max())}"
    if gradient.max() < 1e-6:
        return "next to nothing, in any layer"
    if (gradient == 0).any():
        return (
            f"vanishes, {(gradient == 0).sum()} of {gradient.size} layers get no gradient at "
            "all, in float32"
        )
    first, last = gradient[[0, -1]]
    if first < last / 100:
        return f"vanishes on the way back, to about {_power(np.round, first / last)} of the last's"
    if first > last * 100:
        times = _power(np.round, first / last)
        return f"explodes on the way back, to about {times} times the last's"
    return "first and last within a factor of 100"


def _power(whole, number) -> str:
    return f"1e{whole(np.log10(number)):.0f}".replace("-", "−")
