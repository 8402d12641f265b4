"""Likelihood and loss: a bell over seven numbers, and the loss that says the same."""

from __future__ import annotations

import numpy as np

from course_utils.explore import Lookup, lookup
from course_utils.plots import BLUE, GREY, ORANGE, figure

__all__ = ["NOISES", "likelihood", "likelihood_at"]

NOISES = ["Gaussian", "Laplace"]


def likelihood_at(noise: str, values, centre) -> tuple[np.ndarray, np.ndarray]:
    """The density of each of `values` (..., N) around `centre` (...), and the mean of its −log.

    "Gaussian" is the normal distribution of standard deviation 1, "Laplace" that of scale 1.
    """
    distance = np.asarray(values, float) - np.asarray(centre, float)[..., None]
    if noise == "Gaussian":
        surprise = distance**2 / 2 + np.log(2 * np.pi) / 2
    else:
        surprise = np.abs(distance) + np.log(2)
    return np.exp(-surprise), surprise.mean(-1)


def likelihood() -> Lookup:
    """Move a bell over seven numbers: how likely they are, and the loss that says the same."""
    fixed = np.array([-1.6, -0.9, -0.4, 0.1, 0.5, 0.9])
    last = np.linspace(1.4, 9, 20).round(1)
    centres = np.linspace(-2, 4, 61).round(1)
    alt = (
        "Three linked views. Left: seven numbers under a bell that can be moved, with a stick "
        "for the likelihood of each. Middle: the likelihood of all seven together, for every "
        "position of the bell. Right: the loss, minus its logarithm; it is lowest there."
    )
    fig, [[data, product, loss]] = figure(
        3, alt=alt, width=9.6, height=3.7, width_ratios=[1.3, 1, 1]
    )
    data.set(
        xlim=(-4, 9.5),
        ylim=(0, 0.6),
        xlabel="value",
        ylabel="likelihood of each value",
        title="data: seven values",
    )
    product.set(
        xlim=(-2, 4),
        ylim=(0, 1.08),
        xlabel="centre of the bell",
        ylabel="likelihood of all (best = 1)",
        title="multiplied: likelihood",
    )
    loss.set(
        xlim=(-2, 4),
        ylim=(0.8, 5.5),
        xlabel="centre of the bell",
        ylabel="loss: mean of −log(likelihood)",
        title="minus logarithm: loss",
    )
    (bell,) = data.plot([], [], color=BLUE, label="bell")
    (sticks,) = data.plot(
        [], [], color=ORANGE, linestyle="-", linewidth=2.5, label="likelihood of a value"
    )
    (dots,) = data.plot(
        [], [], color="black", marker="o", linestyle="none", label="values", clip_on=False
    )
    (rise,) = product.plot([], [], color=GREY, linestyle="--", label="likelihood of all")
    (rise_dot,) = product.plot(
        [], [], color=BLUE, marker="o", markersize=9, linestyle="none", label="likelihood here"
    )
    (fall,) = loss.plot([], [], color=GREY, linestyle="--", label="loss")
    (fall_dot,) = loss.plot(
        [], [], color=BLUE, marker="o", markersize=9, linestyle="none", label="loss here"
    )

    # Axes of the grid: noise, position of the last value, centre.
    xs = np.linspace(-4, 9.5, 181)
    values = np.concatenate([np.tile(fixed, (len(last), 1)), last[:, None]], axis=1)
    every = [likelihood_at(noise, values[:, None], centres) for noise in NOISES]
    density, level = (np.stack(both) for both in zip(*every))
    bells = np.stack([likelihood_at(noise, xs, centres)[0] for noise in NOISES])[:, None]
    gap = np.full(values.shape, np.nan)
    stick_x = np.stack([values, values, gap], -1).reshape(len(last), 1, -1)
    stick_y = np.stack([0 * density, density, 0 * density], -1).reshape(*density.shape[:3], -1)
    share = np.exp(-7 * (level - level.min(-1, keepdims=True)))
    best = np.stack([values.mean(1), np.median(values, axis=1)])[..., None]
    name = np.array(["mean", "median"])[:, None, None]
    return lookup(
        fig,
        {
            bell: (xs, bells),
            sticks: (stick_x, stick_y),
            dots: (values[None, :, None], 0.0),
            rise: (centres, share[..., None, :]),
            rise_dot: (centres[:, None], share[..., None]),
            fall: (centres, level[..., None, :]),
            fall_dot: (centres[:, None], level[..., None]),
        },
        values={"share": share, "loss": level, "best": best, "name": name},
        status="centre {centre}: likelihood {share} of the best, loss {loss}; "
        "the best centre is the {name}, {best}",
        drag={data: ("centre", None), product: ("centre", None), loss: ("centre", None)},
        play="centre",
        alt=alt,
        start={"last": last[0], "centre": -1.0},
        labels={
            "noise": "shape of the bell",
            "last": "position of the last value",
            "centre": "centre of the bell",
        },
        noise=NOISES,
        last=last,
        centre=centres,
    )
