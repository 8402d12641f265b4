"""A walk downhill: drag the start over a map, set the stride, and play the walk."""

from __future__ import annotations

import numpy as np

from course_utils.descent import descend, diverged_at
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.optimizers import SGD
from course_utils.pictures import in_own_style
from course_utils.plots import ORANGE, contours, figure
from course_utils.surfaces import HIMMELBLAU, Surface

__all__ = ["valley_walk", "valley_walk_at"]


def valley_walk_at(surface: Surface, x0, x1, learning_rate, steps: int) -> np.ndarray:
    """Walks of plain gradient descent, shape ``(*grid, steps + 1, 2)``, from starts (x0, x1).

    x0, x1 and learning_rate broadcast to the grid. A walk has diverged, and is NaN from there
    on, when it is further out than three times the map.
    """
    x0, x1, rate = np.broadcast_arrays(*(np.asarray(v, float) for v in (x0, x1, learning_rate)))
    path = descend(surface, SGD(lr=rate[..., None]), np.stack([x0, x1], -1), steps)
    far = ~(np.abs(path) < 3 * np.abs(surface.bounds).max()).all(axis=-1)  # NaN is far as well
    path[np.logical_or.accumulate(far)] = np.nan
    return np.moveaxis(path, 0, -2)


@in_own_style
def valley_walk(surface: Surface = HIMMELBLAU, steps: int = 40) -> Explorer:
    """Drag the start over the map, set the stride, and play the walk step by step."""
    (left, right), (low, high) = surface.bounds
    x0 = np.linspace(left, right, 17).round(2)[1:-1]
    x1 = np.linspace(low, high, 17).round(2)[1:-1]
    rates = np.array([0.001, 0.003, 0.006, 0.01, 0.015, 0.02, 0.025, 0.03])
    fig, land, (path_line, start_dot, height_line) = _stage(surface, steps)

    each = "x0 x1 learning_rate"
    starts = np.meshgrid(x0, x1, rates, indexing="ij")
    paths = valley_walk_at(surface, starts[0], starts[1], starts[2], steps)
    heights = surface(paths)
    now, what = _says(paths, heights)
    return explorer(
        fig,
        {
            "x0": Control(x0, "start x₀", start=x0[9]),
            "x1": Control(x1, "start x₁", start=x1[7]),
            "learning_rate": Control(rates, "learning rate η", start=0.01),
            "step": Control(range(steps + 1), start=steps, play=True),
        },
        {
            path_line: (On(paths[..., 0], each), On(paths[..., 1], each), "step"),
            start_dot: (On(starts[0], each), On(starts[1], each)),
            height_line: (np.arange(steps + 1.0), On(heights, each), "step"),
        },
        says={"height": On(now, f"{each} step"), "what": On(what, f"{each} step")},
        status="step {step}: height {height}, {what}",
        drag={land: ("x0", "x1")},
        alt=fig.alt,
    )


def _stage(surface, steps):
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
    return fig, land, (path_line, start_dot, height_line)


def _says(paths, heights):
    """The height after each step, (*grid, steps + 1), and where the walk is by then, in words."""
    gone = diverged_at(paths, axis=-2)[..., None]
    now = np.where((gone >= 0) & (np.arange(heights.shape[-1]) >= gone), np.nan, heights)
    what = np.where(
        np.isnan(now),
        np.char.add("diverged at step ", gone.astype(str)),
        np.where(now < 0.01, "arrived in a valley", "on the way"),
    )
    return now, what
