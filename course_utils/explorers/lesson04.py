"""The learning rate: too small, good, critical, divergent, in one valley."""

from __future__ import annotations

import numpy as np

from course_utils.descent import descend
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.optimizers import SGD
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["learning_rate", "learning_rate_at"]


def learning_rate_at(curvature, rate, steps: int, start: float = 1.0) -> np.ndarray:
    """Gradient descent on ½ λ x² from `start`: ``(*grid, steps + 1)``, for λ and η that broadcast.

    Each step multiplies x by 1 − η λ (Nesterov 2004, section 1.2.3).
    """
    curvature, rate = np.broadcast_arrays(np.asarray(curvature, float), np.asarray(rate, float))

    def slope(x):
        return curvature[..., None] * x

    path = descend(slope, SGD(lr=rate[..., None]), np.full((*rate.shape, 1), start), steps)
    return np.moveaxis(path[..., 0], 0, -1)


@in_own_style
def learning_rate(steps: int = 20) -> Explorer:
    """Too small, good, critical, divergent: one valley, one rate, and the border 2/λ."""
    curvatures = np.array([1.0, 2.0, 4.0])
    shares = np.array(
        [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.02, 1.05, 1.1, 1.2]
    )
    rates = np.unique((shares[:, None] * 2 / curvatures).round(3))
    xs = np.linspace(-2.2, 2.2, 121)
    fig, (bowl, walk, fall, curve, border, dot) = _stage(steps, rates)

    both = "curvature rate"
    lam, eta = np.meshgrid(curvatures, rates, indexing="ij")
    path = learning_rate_at(lam, eta, steps)
    height = lam[..., None] / 2 * path**2
    factor = np.abs(1 - lam * eta)
    return explorer(
        fig,
        {
            "curvature": Control(curvatures, "curvature λ", start=2.0),
            "rate": Control(rates, "learning rate η", start=0.4),
            "step": Control(range(steps + 1), start=steps, play=True),
        },
        {
            bowl: (xs, On(curvatures[:, None] / 2 * xs**2, "curvature")),
            walk: (On(path, both), On(height, both), "step"),
            fall: (np.arange(steps + 1.0), On(np.maximum(height, 1e-12), both), "step"),
            curve: (rates, On(factor, "curvature")),
            border: (On((2 / curvatures)[:, None] + np.zeros(2), "curvature"), [0, 1.5]),
            dot: (On(rates, "rate"), On(factor, both)),
        },
        says={
            "loss": On(height, "curvature rate step"),
            "what": On(_verdict(lam * eta), both),
            "border": On(2 / curvatures, "curvature"),
        },
        status="η = {rate}, border 2/λ = {border}: {what}; step {step}: loss {loss}",
        alt=fig.alt,
    )


def _stage(steps, rates):
    alt = (
        "Left: a valley with the steps of gradient descent in it. Middle: the loss after each "
        "step. Right: by how much a step multiplies the distance, against the rate, with the "
        "border 2/λ."
    )
    fig, [[valley, loss, factor]] = figure(3, alt=alt, width=9.6, height=3.8)
    valley.set(
        xlim=(-2.2, 2.2), ylim=(-0.1, 4.2), xlabel="weight x", ylabel="loss", title="the valley"
    )
    loss.set(yscale="log", xlim=(0, steps), ylim=(1e-8, 1e3), xlabel="step", ylabel="loss")
    loss.set_title("after each step")
    factor.set(xlim=(0, rates[-1]), ylim=(0, 1.5), xlabel="learning rate η")
    factor.set(ylabel="distance after ÷ before", title="factor of a step")
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
    return fig, (bowl, walk, fall, curve, border, dot)


def _verdict(product):
    """What becomes of a walk with this η λ, in words."""
    return np.select(
        [product > 2.0001, product > 1.9999, product > 1, product > 0.3],
        [
            "diverges: beyond 2/λ each step makes it worse",
            "critical: exactly 2/λ, it swings for ever",
            "overshoots, and comes closer all the same",
            "good",
        ],
        "slow: tiny steps",
    )
