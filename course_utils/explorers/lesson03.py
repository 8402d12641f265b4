"""Likelihood and loss: a bell over seven numbers, and the loss that says the same."""

from __future__ import annotations

import numpy as np

from course_utils.explore import Control, Explorer, On, explorer
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREY, ORANGE, figure

__all__ = ["NOISES", "likelihood", "likelihood_at"]

NOISES = ["Gaussian", "Laplace"]
FIXED = np.array([-1.6, -0.9, -0.4, 0.1, 0.5, 0.9])  # six of the seven numbers


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


@in_own_style
def likelihood() -> Explorer:
    """Move a bell over seven numbers: how likely they are, and the loss that says the same."""
    last = np.linspace(1.4, 9, 20).round(1)
    centres = np.linspace(-2, 4, 61).round(1)
    xs = np.linspace(-4, 9.5, 181)
    fig, panels, (bell, sticks, dots, rise, rise_dot, fall, fall_dot) = _stage()

    every = "noise last centre"
    values = np.concatenate([np.tile(FIXED, (len(last), 1)), last[:, None]], axis=1)
    found = [likelihood_at(noise, values[:, None], centres) for noise in NOISES]
    density, level = (np.stack(both) for both in zip(*found))
    bells = np.stack([likelihood_at(noise, xs, centres)[0] for noise in NOISES])
    stick_x, stick_y = _sticks(values, density)
    share = np.exp(-7 * (level - level.min(-1, keepdims=True)))
    best = np.stack([values.mean(1), np.median(values, axis=1)])
    return explorer(
        fig,
        {
            "noise": Control(NOISES, "shape of the bell"),
            "last": Control(last, "position of the last value", start=last[0]),
            "centre": Control(centres, "centre of the bell", start=-1.0, play=True),
        },
        {
            bell: (xs, On(bells, "noise centre")),
            sticks: (On(stick_x, "last"), On(stick_y, every)),
            dots: (On(values, "last"), 0.0),
            rise: (centres, On(share, "noise last")),
            rise_dot: (On(centres, "centre"), On(share, every)),
            fall: (centres, On(level, "noise last")),
            fall_dot: (On(centres, "centre"), On(level, every)),
        },
        says={
            "share": On(share, every),
            "loss": On(level, every),
            "best": On(best, "noise last"),
            "name": On(np.array(["mean", "median"]), "noise"),
        },
        status="centre {centre}: likelihood {share} of the best, loss {loss}; "
        "the best centre is the {name}, {best}",
        drag={axes: ("centre", None) for axes in panels},
        alt=fig.alt,
    )


def _stage():
    alt = (
        "Three linked views. Left: seven numbers under a bell that can be moved, with a stick "
        "for the likelihood of each. Middle: the likelihood of all seven together, for every "
        "position of the bell. Right: the loss, minus its logarithm; it is lowest there."
    )
    fig, [panels] = figure(3, alt=alt, width=9.6, height=3.7, width_ratios=[1.3, 1, 1])
    data, product, loss = panels
    data.set(xlim=(-4, 9.5), ylim=(0, 0.6), title="data: seven values")
    data.set(xlabel="value", ylabel="likelihood of each value")
    product.set(xlim=(-2, 4), ylim=(0, 1.08), title="multiplied: likelihood")
    product.set(xlabel="centre of the bell", ylabel="likelihood of all (best = 1)")
    loss.set(xlim=(-2, 4), ylim=(0.8, 5.5), title="minus logarithm: loss")
    loss.set(xlabel="centre of the bell", ylabel="loss: mean of −log(likelihood)")
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
    return fig, panels, (bell, sticks, dots, rise, rise_dot, fall, fall_dot)


def _sticks(values, density):
    """A stick from 0 to each density, cut apart by NaN: (last, 21), (*grid, 21)."""
    gap = np.full(values.shape, np.nan)
    xs = np.stack([values, values, gap], -1).reshape(len(values), -1)
    ys = np.stack([0 * density, density, 0 * density], -1).reshape(*density.shape[:3], -1)
    return xs, ys
