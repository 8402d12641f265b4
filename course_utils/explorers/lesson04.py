"""The learning rate: too small, good, critical, divergent, in one valley."""

from __future__ import annotations

import numpy as np

from course_utils.descent import descend
from course_utils.explore import Lookup, lookup
from course_utils.optimizers import SGD
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["learning_rate", "learning_rate_at"]


def learning_rate_at(curvature, rate, steps: int, start: float = 1.0) -> np.ndarray:
    """Gradient descent on ½ λ x² from `start`: (*grid, steps + 1), for λ and η that broadcast.

    Each step multiplies x by 1 − η λ (Nesterov 2004, section 1.2.3).
    """
    curvature, rate = np.broadcast_arrays(np.asarray(curvature, float), np.asarray(rate, float))

    def slope(x):
        return curvature[..., None] * x

    path = descend(slope, SGD(lr=rate[..., None]), np.full((*rate.shape, 1), start), steps)
    return np.moveaxis(path[..., 0], 0, -1)


def learning_rate(steps: int = 20) -> Lookup:
    """Too small, good, critical, divergent: one valley, one rate, and the border 2/λ."""
    curvatures = [1.0, 2.0, 4.0]
    shares = np.array(
        [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.02, 1.05, 1.1, 1.2]
    )
    rates = np.unique((shares[:, None] * 2 / np.array(curvatures)).round(3))
    alt = (
        "Left: a valley with the steps of gradient descent in it. Middle: the loss after each "
        "step. Right: by how much a step multiplies the distance, against the rate, with the "
        "border 2/λ."
    )
    fig, [[valley, loss, factor]] = figure(3, alt=alt, width=9.6, height=3.8)
    xs = np.linspace(-2.2, 2.2, 121)
    valley.set(
        xlim=(-2.2, 2.2), ylim=(-0.1, 4.2), xlabel="weight x", ylabel="loss", title="the valley"
    )
    loss.set(
        yscale="log",
        xlim=(0, steps),
        ylim=(1e-8, 1e3),
        xlabel="step",
        ylabel="loss",
        title="after each step",
    )
    factor.set(
        xlim=(0, rates[-1]),
        ylim=(0, 1.5),
        xlabel="learning rate η",
        ylabel="distance after ÷ before",
        title="factor of a step",
    )
    factor.axhline(1, color=GREY, linewidth=1)
    (bowl,) = valley.plot([], [], color=BLUE, linestyle="-", label="valley")
    (walk,) = valley.plot(
        [], [], color=ORANGE, linestyle="-", linewidth=1.4, marker="o", markersize=5, label="walk"
    )
    (fall,) = loss.plot(
        [], [], color=ORANGE, linestyle="-", marker="o", markersize=5, label="loss on the way"
    )
    (curve,) = factor.plot([], [], color=BLUE, linestyle="-", label="factor")
    (border,) = factor.plot([], [], color=GREEN, linestyle="-.", label="2/λ")
    (dot,) = factor.plot(
        [], [], color=ORANGE, marker="o", markersize=9, linestyle="none", label="this rate"
    )
    factor.legend(handles=[border], loc="upper right", frameon=False)

    # Axes of the grid: λ, η, step.
    lam, eta = np.meshgrid(curvatures, rates, indexing="ij")
    path = learning_rate_at(lam, eta, steps)[:, :, None]
    height = lam[..., None, None] / 2 * path**2
    product = (lam * eta)[..., None]
    what = np.select(
        [product > 2.0001, product > 1.9999, product > 1, product > 0.3],
        [
            "diverges: beyond 2/λ each step makes it worse",
            "critical: exactly 2/λ, it swings for ever",
            "overshoots, and comes closer all the same",
            "good",
        ],
        "slow: tiny steps",
    )
    ends = 2 / np.array(curvatures)[:, None, None, None]
    every = np.abs(1 - np.array(curvatures)[:, None] * rates)[:, None, None]
    return lookup(
        fig,
        {
            bowl: (xs, np.array(curvatures)[:, None, None, None] / 2 * xs**2),
            walk: (path, height),
            fall: (np.arange(steps + 1.0), np.maximum(height, 1e-12)),
            curve: (rates, every),
            border: (ends + np.zeros(2), np.array([0, 1.5])),
            dot: (rates[:, None, None], np.abs(1 - product)[..., None]),
        },
        values={"loss": height[:, :, 0], "what": what, "border": ends[..., 0]},
        reveal={walk: "step", fall: "step"},
        play="step",
        alt=alt,
        status="η = {rate}, border 2/λ = {border}: {what}; step {step}: loss {loss}",
        start={"curvature": 2.0, "rate": 0.4, "step": steps},
        labels={"curvature": "curvature λ", "rate": "learning rate η"},
        curvature=curvatures,
        rate=rates,
        step=range(steps + 1),
    )
