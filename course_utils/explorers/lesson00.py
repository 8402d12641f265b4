"""A walk downhill: drag the start over a map, set the stride, and play the walk."""

from __future__ import annotations

import numpy as np

from course_utils.descent import descend, diverged_at
from course_utils.explore import Lookup, lookup
from course_utils.optimizers import SGD
from course_utils.plots import ORANGE, contours, figure
from course_utils.surfaces import HIMMELBLAU, Surface

__all__ = ["valley_walk", "valley_walk_at"]


def valley_walk_at(surface: Surface, x0, x1, learning_rate, steps: int) -> np.ndarray:
    """Walks of plain gradient descent, shape (*grid, steps + 1, 2), from starts (x0, x1).

    x0, x1 and learning_rate broadcast to the grid. A walk has diverged, and is NaN from there
    on, when it is further out than three times the map.
    """
    x0, x1, rate = np.broadcast_arrays(*(np.asarray(v, float) for v in (x0, x1, learning_rate)))
    path = descend(surface, SGD(lr=rate[..., None]), np.stack([x0, x1], -1), steps)
    far = ~(np.abs(path) < 3 * np.abs(surface.bounds).max()).all(axis=-1)  # NaN is far as well
    path[np.logical_or.accumulate(far)] = np.nan
    return np.moveaxis(path, 0, -2)


def valley_walk(surface: Surface = HIMMELBLAU, steps: int = 40) -> Lookup:
    """Drag the start over the map, set the stride, and play the walk step by step."""
    (left, right), (low, high) = surface.bounds
    x0 = np.linspace(left, right, 17).round(2)[1:-1]
    x1 = np.linspace(low, high, 17).round(2)[1:-1]
    rates = np.array([0.001, 0.003, 0.006, 0.01, 0.015, 0.02, 0.025, 0.03])
    alt = (
        f"Left: map of the {surface.name} landscape with a walker's path from a start that "
        "can be dragged. Right: the walker's height at each step."
    )
    fig, [[land, height]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1.2, 1])
    contours(land, surface, surface.bounds, power=0.4)
    land.plot(*surface.minima.T, color="black", marker="+", markersize=9, linestyle="none")
    (path_line,) = land.plot(
        [], [], color=ORANGE, linewidth=1.6, marker="o", markersize=8, markevery=[-1], label="path"
    )
    (start_dot,) = land.plot(
        [], [], color="black", marker="s", markersize=6, linestyle="none", label="start"
    )
    (height_line,) = height.plot(
        [], [], color=ORANGE, marker="o", markersize=6, markevery=[-1], label="height"
    )
    height.set(xlim=(0, steps), ylim=(-5, 200), xlabel="step", ylabel="height")

    grid = np.meshgrid(x0, x1, rates, indexing="ij")
    paths = valley_walk_at(surface, *grid, steps)[..., None, :, :]
    heights = surface(paths)
    now = np.moveaxis(heights, -1, -2)[..., 0]  # (x0, x1, rate, step): one height for each step
    gone = diverged_at(np.moveaxis(paths[..., 0, :, :], -2, 0))[..., None]
    step = np.arange(steps + 1)
    now = np.where((gone >= 0) & (step >= gone), np.nan, now)
    what = np.where(
        np.isnan(now),
        np.char.add("diverged at step ", gone.astype(str)),
        np.where(now < 0.01, "arrived in a valley", "on the way"),
    )
    return lookup(
        fig,
        {
            path_line: (paths[..., 0], paths[..., 1]),
            start_dot: (grid[0][..., None, None], grid[1][..., None, None]),
            height_line: (np.arange(steps + 1.0), heights),
        },
        reveal={path_line: "step", height_line: "step"},
        drag={land: ("x0", "x1")},
        play="step",
        values={"height": now, "what": what},
        status="step {step}: height {height}, {what}",
        alt=alt,
        start={"x0": x0[9], "x1": x1[7], "learning_rate": 0.01, "step": steps},
        labels={"x0": "start x₀", "x1": "start x₁", "learning_rate": "learning rate η"},
        x0=x0,
        x1=x1,
        learning_rate=rates,
        step=range(steps + 1),
    )
