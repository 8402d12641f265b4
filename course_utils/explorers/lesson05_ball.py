"""A ball in a ravine: what rate and momentum make of each of its two directions."""

from __future__ import annotations

import numpy as np

from course_utils.descent import descend
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.optimizers import SGD
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREY, ORANGE, contours, figure
from course_utils.surfaces import Surface, valley

__all__ = ["ball", "ball_at", "ball_factor"]

FLOOR = 1e-8  # the lowest distance that is drawn


def ball_at(surface: Surface, rate, momentum, steps: int) -> np.ndarray:
    """The walk of momentum from the surface's start: ``(*grid, steps + 1, 2)``.

    rate η and momentum μ broadcast to the grid; from its divergence on a walk is NaN.
    """
    rate, momentum = np.broadcast_arrays(np.asarray(rate, float), np.asarray(momentum, float))
    rule = SGD(lr=rate[..., None], momentum=momentum[..., None])
    return np.moveaxis(descend(surface, rule, surface.start, steps), 0, -2)


def ball_factor(curvature, rate, momentum) -> np.ndarray:
    """By what a step of momentum multiplies the distance in the long run; inputs broadcast.

    The larger size of the two solutions of r² − (1 + μ − ηλ) r + μ = 0 (Polyak 1964; Goh 2017).
    """
    middle = (1 + momentum - rate * curvature) / 2
    root = np.sqrt(middle**2 - momentum + 0j)
    return np.maximum(abs(middle + root), abs(middle - root))


@in_own_style
def ball(kappa: float = 100.0, steps: int = 100) -> Explorer:
    """Turn the momentum up: the ball creeps, then comes to rest soonest, then swings."""
    surface = valley(kappa)
    curvatures = np.array([2 / kappa, 2.0])
    rates = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.65, 1.8])
    momenta = np.array(
        [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.67, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98]
    )
    fig, (walk, along, across) = _stage(surface, steps)

    both = "rate momentum"
    eta, mu = np.meshgrid(rates, momenta, indexing="ij")
    path = ball_at(surface, eta, mu, steps)
    far = np.maximum(abs(path), FLOOR)
    now = np.arange(steps + 1.0)
    motion = [_motion(curvature * eta, mu) for curvature in curvatures]
    factor = [ball_factor(curvature, eta, mu) for curvature in curvatures]
    return explorer(
        fig,
        {
            "rate": Control(rates, "learning rate η", start=0.3),
            "momentum": Control(momenta, "momentum μ", start=0.0),
            "step": Control(range(steps + 1), start=steps, play=True),
        },
        {
            walk: (On(path[..., 0], both), On(path[..., 1], both), "step"),
            along: (now, On(far[..., 0], both), "step"),
            across: (now, On(far[..., 1], both), "step"),
        },
        says={
            "along": On(motion[0], both),
            "across": On(motion[1], both),
            "slow": On(factor[0], both),
            "steep": On(factor[1], both),
        },
        status="Along the valley it {along}: × {slow} a step. "
        "Across it {across}: × {steep} a step. "
        "(η = {rate}, μ = {momentum}, step {step})",
        alt=fig.alt,
    )


def _stage(surface, steps):
    alt = (
        "Left: map of a long narrow valley with the walk of momentum. Right: the distance from the "
        "bottom along the valley and across it after each step, on a logarithmic axis."
    )
    fig, [[land, distance]] = figure(2, alt=alt, width=9.2, height=3.6, width_ratios=[1.5, 1])
    contours(land, surface, surface.bounds, power=0.4)
    land.set_aspect("equal")
    black = {"color": "black", "linestyle": "none"}
    (start,) = land.plot(*surface.start, marker="s", **black, label="start")
    (bottom,) = land.plot(0, 0, marker="*", markersize=13, **black, label="bottom")
    land.set(xlabel="x₀, along the valley", ylabel="x₁, across it")
    distance.set(yscale="log", xlim=(-1, steps + 1), ylim=(FLOOR, 30))
    distance.set(
        xlabel="step", ylabel="distance from the bottom", yticks=10.0 ** np.arange(-8, 2, 2)
    )
    style = {"linewidth": 1.6, "marker": "o", "markersize": 3}
    (walk,) = land.plot([], [], color=GREY, linestyle="-", **style, label="walk")
    (along,) = distance.plot([], [], color=BLUE, linestyle="-", label="along the valley")
    (across,) = distance.plot([], [], color=ORANGE, linestyle="--", label="across the valley")
    fig.legend(
        handles=[start, bottom, walk, along, across],
        loc="outside upper center",
        ncols=5,
        frameon=False,
    )
    return fig, (walk, along, across)


def _motion(product, momentum):
    """What a direction with this ηλ does, in words."""
    root, size = np.sqrt(momentum), np.sqrt(product)
    critical = (abs(size - (1 - root)) < 0.01) | (abs(size - (1 + root)) < 0.01)
    return np.select(
        [
            product > 2 * (1 + momentum) * (1 + 1e-9),
            critical & (momentum > 0),
            size < 1 - root,
            size < 1 + root,
        ],
        ["runs away", "is critical", "creeps", "swings"],
        "jumps from side to side",
    )
